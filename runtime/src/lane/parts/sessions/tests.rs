//! Parts of sessions from several sources, in any order, beside what all records together give.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::lane::parts::rounds::tests::Concat;

const GAP: i64 = 10;
const CELL: i64 = 60;

fn at(micros: i64) -> EventTime {
    EventTime::from_micros(micros)
}

fn windows() -> SessionWindows {
    SessionWindows::new(Duration::from_micros(GAP as u64), Duration::from_micros(CELL as u64))
}

fn source(partition: i32) -> SourceKey {
    SourceKey { topic: 0, partition }
}

/// A part of a source: window, last offset, state.
type Part = (Window, i64, Vec<u8>);

/// The times of some records cut by the definition, each with the places of its records.
fn cut(times: &[(i64, u8)]) -> Vec<(Window, Vec<u8>)> {
    let mut times = times.to_vec();
    times.sort_unstable();
    let apart =
        |one: &(i64, u8), next: &(i64, u8)| next.0 - one.0 < GAP && one.0.div_euclid(CELL) == next.0.div_euclid(CELL);
    let window = |of: &[(i64, u8)]| Window { start: at(of[0].0), end: at(of[of.len() - 1].0 + GAP) };
    times.chunk_by(apart).map(|of| (window(of), of.iter().map(|(_, record)| *record).collect())).collect()
}

/// What a source sends: after some of its records, all of its sessions as they are then.
fn parts_of(times: &[i64], first: u8) -> Vec<Part> {
    let records: Vec<(i64, u8)> = times.iter().copied().zip(first..).collect();
    let mut parts = Vec::new();
    for sent in 1..=records.len() {
        for (window, mut state) in cut(&records[..sent]) {
            state.sort_unstable();
            let last = i64::from(*state.last().expect("it has a record"));
            if last == i64::from(records[sent - 1].1) {
                parts.push((window, last, state));
            }
        }
    }
    parts
}

fn keep(merging: &mut MergingSessions, offset: i64, of: i32, part: &Part) -> Kept {
    let (window, last, state) = part;
    let last = Offset(*last);
    let incoming = IncomingSession { group: b"a", source: source(of), window: *window, last, state };
    merging.keep(Offset(offset), &incoming)
}

fn merged(merging: &MergingSessions) -> Vec<(Window, Vec<u8>)> {
    let ids = merging.ended(EventTime::MAX);
    let states = merging.merge(&ids, &mut Concat).expect("it merges").states;
    let mut all: Vec<(Window, Vec<u8>)> = ids
        .iter()
        .zip(states.iter())
        .filter_map(|(id, state)| Some((merging.window_of(id)?, state.to_vec())))
        .collect();
    all.sort_unstable_by_key(|(window, _)| window.start);
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn any_interleaving_gives_the_sessions_of_all_records(
        sources in prop::collection::vec(prop::collection::vec(-100..100_i64, 0..10), 3),
        order in prop::collection::vec((0..3_usize, 0..3_usize), 0..120),
        schemas in any::<bool>(),
    ) {
        let parts: Vec<Vec<Part>> = (0..).zip(&sources).map(|(of, times)| parts_of(times, of * 20)).collect();
        let (mut merging, mut sent) = (MergingSessions::new(windows(), EventTime::MIN), [0_usize; 3]);
        let mut offset = 0;
        // Some come again, and later; all come in the end.
        let rest = (0..3_usize).flat_map(|of| std::iter::repeat_n((of, 0), parts[of].len()));
        for (of, back) in order.into_iter().chain(rest) {
            let place = match back {
                0 => sent[of],
                back if sent[of] >= back => sent[of] - back,
                _ => continue,
            };
            let Some(part) = parts[of].get(place) else { continue };
            offset += 1;
            let clone = merging.clone();
            let before = merged(&clone);
            let kept = keep(&mut merging, offset, of as i32, part);
            prop_assert_ne!(&kept, &Kept::Refused);
            if back > 0 {
                prop_assert_eq!(kept, Kept::Known);
            } else {
                sent[of] += 1;
            }
            prop_assert_eq!(merged(&clone), before);
        }
        if schemas {
            merging.change_schema(StateSchema { name: "test".to_owned(), version: 7 });
            let same = |_: &StateSchema, states: &Slices| Ok::<_, ()>(states.clone());
            while merging.convert(1, same).expect("it migrates") {}
        }
        let all: Vec<(i64, u8)> =
            (0..).zip(&sources).flat_map(|(of, times)| times.iter().copied().zip(of * 20..)).collect();
        let mut wanted = cut(&all);
        let mut found = merged(&merging);
        let by_source = found.iter().all(|(_, records)| records.is_sorted_by_key(|record| record / 20));
        prop_assert!(by_source, "states are merged in the order of their sources");
        wanted.iter_mut().chain(&mut found).for_each(|(_, records)| records.sort_unstable());
        prop_assert_eq!(&found, &wanted);
        merging.release(EventTime::MAX);
        prop_assert_eq!((merging.windows(), merging.groups(), merging.hold()), (0, 0, None));
    }
}

#[test]
fn a_part_that_comes_late_is_of_a_new_session_an_update_or_refused() {
    let part = |start, end, last| (Window { start: at(start), end: at(end) }, last, vec![last as u8]);
    let mut merging = MergingSessions::new(windows(), EventTime::MIN);
    for (offset, start) in [(1, 5), (2, 30)] {
        assert!(matches!(keep(&mut merging, offset, 0, &part(start, start + 10, offset)), Kept::New(..)));
    }
    let ids = merging.ended(at(40));
    assert_eq!(ids.len(), 2);
    ids.iter().for_each(|id| merging.wait(id));
    assert!(merging.ended(EventTime::MAX).is_empty());
    assert_eq!(keep(&mut merging, 3, 1, &part(0, 10, 1)), Kept::Refused, "it would begin elsewhere");
    assert_eq!(keep(&mut merging, 4, 1, &part(14, 31, 1)), Kept::Refused, "two would be one");
    assert_eq!(merging.hold(), Some(Offset(1)));
    let update = keep(&mut merging, 5, 1, &part(7, 20, 1));
    assert_eq!(update, Kept::Update(ids[0].clone(), Window { start: at(5), end: at(20) }));
    assert!(matches!(keep(&mut merging, 6, 1, &part(20, 30, 2)), Kept::New(..)));
    merging.release(at(25));
    assert_eq!((merging.windows(), merging.released()), (3, at(19)), "the first is pending");
    merging.settled(&ids[0]);
    merging.release(at(25));
    assert_eq!((merging.windows(), merging.released(), merging.hold()), (2, at(25), Some(Offset(2))));
}
