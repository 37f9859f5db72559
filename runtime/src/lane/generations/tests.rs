//! Generations follow each other, and owners of a partition do.

use super::*;

fn by(digest: &str) -> Arc<[ServedBy]> {
    by_of(digest, 1)
}

fn by_of(digest: &str, generation: u64) -> Arc<[ServedBy]> {
    let component = |plugin: &str, digest: &str, generation: u64| {
        let given_up_by = GivenUpBy {
            plugin: plugin.to_owned(),
            is_transform: true,
            version: "0.1.0".to_owned(),
            digest: digest.repeat(64),
            generation,
        };
        ServedBy::new(&given_up_by, None, 7)
    };
    Arc::new([component("filter", "f", 1), component("mark", digest, generation)])
}

const NONE: Revision = Revision(0);

/// The first record, up to where documents are settled, and where the log ends.
fn at(from: i64, settled: i64, read_max: i64) -> Beginning {
    Beginning { from: Offset(from), settled: Offset(settled), read_max: Offset(read_max) }
}

fn digests(makers: &Makers<'_>) -> String {
    let digest = |served: &&Served| served.by[1].digest()[..1].to_owned();
    makers.served.iter().map(digest).collect::<Vec<_>>().join(" or ") + if makers.is_complete { "" } else { " or ?" }
}

fn of_record(generations: &Generations, offset: i64) -> String {
    digests(&generations.makers(Some(NONE), Offset(offset), MadeOf::Record))
}

#[test]
fn what_is_swapped_in_makes_what_follows() {
    let mut generations = Generations::default();
    generations.begin(NONE, at(10, 10, 10), &by("a"));
    generations.swap(NONE, Offset(50), &by("b"));
    generations.swap(NONE, Offset(50), &by("c"));
    generations.swap(NONE, Offset(90), &by("c"));
    let of = |offset| of_record(&generations, offset);
    assert_eq!([of(9), of(10), of(49), of(50), of(90)], [" or ?", "a", "a", "c", "c"].map(str::to_owned));
    let between = |first, last| digests(&generations.makers_between(Some(NONE), Offset(first), Offset(last)));
    assert_eq!([between(10, 49), between(10, 50), between(50, 90)], ["a", "a or c", "c"].map(str::to_owned));
    assert_eq!(Generations::decode(&generations.encoded(usize::MAX)).all, generations.all);
}

#[test]
fn a_process_that_began_behind_another_may_have_found_its_documents() {
    let mut generations = Generations::default();
    generations.begin(NONE, at(0, 0, 0), &by("a"));
    generations.swap(NONE, Offset(150), &by("b"));
    // It reads again from 100 on, and documents of records before 120 are settled.
    generations.begin(NONE, at(100, 120, 200), &by_of("b", 3));
    let of = |offset| of_record(&generations, offset);
    let makers = [of(119), of(120), of(149), of(150), of(200)];
    assert_eq!(makers, ["a", "b or a", "b or a", "b or b", "b"].map(str::to_owned));
    let windows = |offset| digests(&generations.makers(Some(NONE), Offset(offset), MadeOf::Window));
    assert_eq!([windows(99), windows(100)], ["a", "b or a"].map(str::to_owned));
    // The same components go on.
    let before = generations.clone();
    generations.begin(NONE, at(200, 200, 200), &by("b"));
    assert_eq!(generations.all, before.all);
}

#[test]
fn who_gives_a_partition_away_leaves_no_doubt() {
    let mut generations = Generations::default();
    generations.begin(NONE, at(0, 0, 0), &by("a"));
    generations.leave();
    let mut again = Generations::decode(&generations.encoded(usize::MAX));
    assert_eq!((&again.all, again.is_left), (&generations.all, true));
    again.begin(NONE, at(40, 50, 90), &by("b"));
    assert_eq!([49, 50].map(|offset| of_record(&again, offset)), ["a", "b"].map(str::to_owned));
    // It is said of one owner alone.
    generations.begin(NONE, at(40, 50, 90), &by("a"));
    let mut killed = Generations::decode(&generations.encoded(usize::MAX));
    killed.begin(NONE, at(60, 60, 90), &by("b"));
    assert_eq!([89, 90].map(|offset| of_record(&killed, offset)), ["b or a", "b"].map(str::to_owned));
}

#[test]
fn a_rewind_begins_anew_and_what_came_before_stays_known() {
    let mut generations = Generations::default();
    generations.begin(NONE, at(0, 0, 0), &by("a"));
    generations.begin(Revision(1), at(20, 20, 200), &by("a"));
    assert_eq!(of_record(&generations, 30), "a");
    assert!(generations.makers(Some(Revision(1)), Offset(30), MadeOf::Record).is_complete);
    assert_eq!(generations.makers(Some(Revision(1)), Offset(19), MadeOf::Record), Makers::default());
}

#[test]
fn of_a_position_without_them_nothing_is_known_before_it() {
    let mut generations = Generations::decode(&[]);
    generations.begin(NONE, at(40, 40, 200), &by("a"));
    assert_eq!([39, 41].map(|offset| of_record(&generations, offset)), [" or ?", "a or ?"].map(str::to_owned));
    assert_eq!(Generations::decode(&[0xff; 9]), Generations::default());
}

#[test]
fn a_pipeline_without_plugins_keeps_nothing_until_it_had_some() {
    let mut generations = Generations::default();
    generations.begin(NONE, at(0, 0, 0), &Arc::default());
    assert!(generations.is_empty() && generations.encoded(usize::MAX).is_empty());
    generations.begin(NONE, at(5, 5, 200), &by("a"));
    generations.begin(NONE, at(9, 9, 200), &Arc::default());
    assert_eq!(generations.makers(Some(NONE), Offset(9), MadeOf::Record).served.len(), 2);
}

#[test]
fn the_oldest_are_forgotten() {
    let mut generations = Generations::default();
    generations.begin(NONE, at(0, 0, 0), &by("a"));
    for round in 1..1000 {
        generations.swap(NONE, Offset(round * 1_000_000_000), &by_of("b", round.unsigned_abs()));
    }
    let kept = generations.all.len();
    assert!((25..100).contains(&kept) && generations.encoded.len() <= BYTES_MAX, "{kept} are kept");
    assert_eq!(generations.all.last().map(|last| last.from), Some(Offset(999_000_000_000)));
    for room in [0, 100, 700] {
        let bytes = generations.encoded(room);
        let fewer = Generations::decode(&bytes);
        assert!(bytes.len() <= room && fewer.all.len() < kept && generations.all.ends_with(&fewer.all));
    }
}

#[test]
fn what_takes_over_while_records_are_read_again_is_not_sure_of_them() {
    let mut generations = Generations::default();
    generations.begin(NONE, at(0, 0, 0), &by("a"));
    // Killed at some record before 150, and the same go on from 40; documents before 60 are settled.
    generations.begin(NONE, at(40, 60, 150), &by("a"));
    generations.swap(NONE, Offset(50), &by("b"));
    let of = |offset| of_record(&generations, offset);
    assert_eq!([of(59), of(60), of(149), of(150)], ["a", "b or a", "b or a", "b"].map(str::to_owned));
    // Given away: documents that were settled are of whoever made them, and nothing else is in doubt.
    generations.leave();
    generations.begin(NONE, at(40, 200, 300), &by("b"));
    generations.swap(NONE, Offset(45), &by("c"));
    let of = |offset| of_record(&generations, offset);
    assert_eq!([of(140), of(199), of(200)], ["b or a", "b", "c"].map(str::to_owned));
}

#[test]
fn who_has_read_at_the_same_offset_is_not_forgotten() {
    let mut generations = Generations::default();
    generations.begin(NONE, at(0, 0, 0), &by("a"));
    generations.begin(NONE, at(0, 0, 10), &by("a"));
    generations.swap(NONE, Offset(0), &by("b"));
    assert_eq!([5, 10].map(|offset| of_record(&generations, offset)), ["b or a", "b"].map(str::to_owned));
}

#[test]
fn without_a_revision_it_may_be_of_any() {
    let mut generations = Generations::default();
    generations.begin(NONE, at(0, 0, 0), &by("a"));
    generations.begin(Revision(1), at(20, 20, 50), &by("b"));
    let of = |offset| digests(&generations.makers(None, Offset(offset), MadeOf::Record));
    assert_eq!([of(30), of(10)], ["b or a".to_owned(), "a or ?".to_owned()]);
}

#[test]
fn a_component_that_others_changed_around_serves_since_it_began() {
    let mut generations = Generations::default();
    generations.begin(NONE, at(7, 7, 7), &by("a"));
    generations.swap(NONE, Offset(50), &by("b"));
    generations.swap(NONE, Offset(60), &by("c"));
    let last = generations.makers(Some(NONE), Offset(70), MadeOf::Record).served[0];
    assert_eq!([0, 1].map(|place| generations.since(last, &last.by[place])), [Offset(7), Offset(60)]);
}
