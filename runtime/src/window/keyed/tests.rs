//! Rows in open windows: folded, closed, cloned and converted, in any order, beside a plain map that does the same.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LENGTH: i64 = 10;

fn tumbling() -> TimeWindows {
    TimeWindows::tumbling(Duration::from_micros(LENGTH as u64))
}

fn schema(version: u32) -> StateSchema {
    StateSchema { name: "test".to_owned(), version }
}

fn row<'a>(micros: i64, group: &'a [u8], offset: i64) -> FoldRow<'a> {
    let start = EventTime::from_micros(micros - micros.rem_euclid(LENGTH));
    let watermark = EventTime::from_micros(offset);
    FoldRow { start, group, offset: Offset(offset), watermark }
}

/// Migrates by appending the version that the state was of.
fn mark(before: &StateSchema, states: &Slices) -> Result<Slices, ()> {
    Ok(states.iter().map(|state| [state, &[before.version as u8]].concat()).collect())
}

fn never(_: &StateSchema, _: &Slices) -> Result<Slices, ()> {
    panic!("nothing is to be migrated")
}

/// Folds by appending a byte of the row's offset to the state.
fn fold(windows: &mut KeyedWindows, rows: &[FoldRow<'_>], taken: &[u8]) {
    let mut slots = Slots::default();
    windows.slots(rows.iter().copied(), &mut slots);
    windows.convert_slots(&mut slots, mark).expect("it migrates");
    let mut states: Vec<Vec<u8>> = slots.states.iter().map(<[u8]>::to_vec).collect();
    for (row, group) in slots.groups.iter().enumerate().filter(|(row, _)| taken[*row] == 1) {
        states[*group as usize].push(rows[row].offset.0 as u8);
    }
    windows.store(rows.iter().copied(), taken, &slots, &states.iter().collect());
}

#[test]
fn rows_reach_their_window_and_group() {
    let mut windows = KeyedWindows::new(tumbling());
    fold(&mut windows, &[row(1, b"a", 5), row(12, b"a", 6), row(2, b"b", 7), row(3, b"a", 8)], &[1, 1, 1, 1]);
    fold(&mut windows, &[row(4, b"a", 9)], &[1]);
    assert_eq!((windows.windows(), windows.groups()), (2, 3));
    let closed = windows.close(EventTime::from_micros(10), never).expect("it closes");
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].hold(), Some(Hold { offset: Offset(5), watermark: EventTime::from_micros(5) }));
    let group = closed[0].groups().next().expect("there is one");
    assert_eq!((group.key, group.state, group.count), (&b"a"[..], &[5, 8, 9][..], 3));
    assert_eq!((group.first, group.last), (Offset(5), Offset(9)));
    assert_eq!(windows.hold().map(|hold| hold.offset), Some(Offset(6)));
}

#[test]
fn a_rejected_row_leaves_no_trace() {
    let mut windows = KeyedWindows::new(tumbling());
    fold(&mut windows, &[row(1, b"a", 5), row(2, b"b", 6)], &[0, 1]);
    assert_eq!(windows.hold().map(|hold| hold.offset), Some(Offset(6)));
    let closed = windows.close(EventTime::MAX, never).expect("it closes");
    assert_eq!(closed[0].groups().count(), 1);
}

fn unshared(one: &KeyedWindows, other: &KeyedWindows) -> usize {
    let of = |(start, entry): (&EventTime, &Entry)| {
        let other = &other.windows[start].window;
        entry.window.states.unshared(&other.states) + entry.window.keys.unshared(&other.keys)
    };
    one.windows.iter().map(of).sum()
}

#[test]
fn a_batch_after_a_clone_copies_what_it_touches_and_no_more() {
    let names: Vec<[u8; 4]> = (0..100_000_u32).map(u32::to_le_bytes).collect();
    let mut windows = KeyedWindows::new(tumbling());
    for (offset, names) in (0..).zip(names.chunks(1000)) {
        let rows: Vec<_> = names.iter().map(|name| row(1, name, offset)).collect();
        fold(&mut windows, &rows, &[1; 1000]);
    }
    let clone = windows.clone();
    assert_eq!(unshared(&windows, &clone), 0);
    let touched: Vec<_> = [7, 8, 50_000, 99_999].map(|name: usize| row(1, &names[name], 200)).into();
    fold(&mut windows, &touched, &[1; 4]);
    assert_eq!(unshared(&windows, &clone), 3, "two groups are neighbours");
    fold(&mut windows, &touched, &[1; 4]);
    assert_eq!(unshared(&windows, &clone), 3, "nothing is copied twice");

    windows.change_schema(schema(1));
    assert_eq!(unshared(&windows, &clone), 3, "another schema copies nothing");
    fold(&mut windows, &touched, &[1; 4]);
    assert_eq!(unshared(&windows, &clone), 3);
    assert!(windows.convert(1024, mark).expect("it migrates"));
    assert!(unshared(&windows, &clone) <= 3 + 1024 / 16, "{}", unshared(&windows, &clone));
}

/// What is done to windows, at random.
#[derive(Clone, Debug)]
enum Step {
    /// Rows of (time, group), and whether each is taken.
    Fold(Vec<(i64, u8, bool)>),
    Clone,
    /// The clone that was taken so many before the last goes on in place of the windows.
    Restore(usize),
    ChangeSchema,
    Convert(usize),
    Close(i64),
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    let row = (0..4 * LENGTH, 0..200_u8, prop::bool::weighted(0.9));
    prop_oneof![
        8 => prop::collection::vec(row, 1..40).prop_map(Step::Fold),
        2 => Just(Step::Clone),
        1 => (0..3_usize).prop_map(Step::Restore),
        2 => Just(Step::ChangeSchema),
        4 => (1..100_usize).prop_map(Step::Convert),
        1 => (0..4 * LENGTH).prop_map(Step::Close),
        1 => Just(Step::Snapshot),
    ]
}

/// A group in the plain map: its key, then what is to be seen of it.
type Plain = (Vec<u8>, Vec<u8>, u64, i64, i64);

/// The same without chunks and conversions: all states are migrated at once.
#[derive(Clone, Default)]
struct Model {
    windows: BTreeMap<i64, BTreeMap<Vec<u8>, Plain>>,
    version: u32,
}

impl Model {
    fn fold(&mut self, rows: &[FoldRow<'_>], taken: &[u8]) {
        for (row, _) in rows.iter().zip(taken).filter(|(_, taken)| **taken == 1) {
            let start = row.start.micros();
            let empty = || (row.group.to_vec(), Vec::new(), 0, row.offset.0, 0);
            let group = self.windows.entry(start).or_default().entry(row.group.to_vec()).or_insert_with(empty);
            group.1.push(row.offset.0 as u8);
            (group.2, group.4) = (group.2 + 1, row.offset.0);
        }
    }

    fn change_schema(&mut self) {
        self.version += 1;
        let groups = self.windows.values_mut().flat_map(BTreeMap::values_mut);
        groups.for_each(|group| group.1.push(self.version as u8));
    }

    fn close(&mut self, watermark: i64) -> Vec<(i64, Vec<Plain>)> {
        let open = self.windows.split_off(&(watermark - LENGTH + 1));
        shown(std::mem::replace(&mut self.windows, open))
    }
}

fn shown(windows: BTreeMap<i64, BTreeMap<Vec<u8>, Plain>>) -> Vec<(i64, Vec<Plain>)> {
    windows.into_iter().map(|(start, groups)| (start, groups.into_values().collect())).collect()
}

/// What leaves, without windows of which every record was rejected.
fn seen(closed: &[ClosedWindow]) -> Vec<(i64, Vec<Plain>)> {
    let groups = |window: &ClosedWindow| -> Vec<Plain> {
        let plain = |one: crate::window::GroupState<'_>| {
            (one.key.to_vec(), one.state.to_vec(), one.count, one.first.0, one.last.0)
        };
        window.groups().map(plain).collect()
    };
    let windows = closed.iter().map(|window| (window.window.start.micros(), groups(window)));
    windows.filter(|(_, groups)| !groups.is_empty()).collect()
}

proptest! {
    /// Each state is migrated once by each change of schema, whatever happens in between, and clones stay as they were.
    #[test]
    fn windows_are_what_a_plain_map_is(steps in prop::collection::vec(step(), 1..60)) {
        let mut both = (KeyedWindows::new(tumbling()), Model::default());
        let mut clones = Vec::new();
        for (offset, step) in (0..).zip(steps) {
            let (windows, model) = (&mut both.0, &mut both.1);
            match step {
                Step::Fold(rows) => {
                    // A long name now and then, and a state that outgrows its place.
                    let name = |group: u8| vec![group; if group.is_multiple_of(50) { 300 } else { 3 }];
                    let names: Vec<Vec<u8>> = rows.iter().map(|(_, group, _)| name(*group)).collect();
                    let taken: Vec<u8> = rows.iter().map(|(_, _, taken)| u8::from(*taken)).collect();
                    let rows: Vec<FoldRow<'_>> =
                        rows.iter().zip(&names).map(|((micros, _, _), name)| row(*micros, name, offset)).collect();
                    fold(windows, &rows, &taken);
                    model.fold(&rows, &taken);
                }
                Step::Clone => clones.push(both.clone()),
                Step::Restore(back) => {
                    if let Some(place) = clones.len().checked_sub(back + 1) {
                        both = clones[place].clone();
                    }
                }
                Step::ChangeSchema => {
                    while windows.convert(64, mark).expect("it migrates") {}
                    model.change_schema();
                    windows.change_schema(schema(model.version));
                }
                Step::Convert(groups) => drop(windows.convert(groups, mark)),
                Step::Close(watermark) => {
                    let closed = windows.close(EventTime::from_micros(watermark), mark).expect("it migrates");
                    prop_assert_eq!(seen(&closed), model.close(watermark));
                }
                Step::Snapshot => {
                    let open = windows.between((EventTime::MIN, EventTime::MAX), Offset(0), mark).expect("it migrates");
                    prop_assert_eq!(seen(&open), shown(model.windows.clone()));
                }
            }
        }
        clones.push(both);
        for (mut windows, model) in clones {
            let open = windows.between((EventTime::MIN, EventTime::MAX), Offset(0), mark).expect("it migrates");
            prop_assert_eq!(seen(&open), shown(model.windows));
        }
    }
}

#[test]
fn states_of_any_size_are_kept() {
    let mut windows = KeyedWindows::new(tumbling());
    let mut model: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let mut rng = fastrand::Rng::with_seed(5);
    for offset in 0..3000 {
        let group = rng.u8(0..100);
        let size = [rng.usize(1..50), rng.usize(1..300), 256, 257][rng.usize(..4)];
        let state = vec![offset as u8; size];
        let (name, mut slots) = ([group], Slots::default());
        let rows = [row(1, &name, offset)];
        windows.slots(rows.iter().copied(), &mut slots);
        assert_eq!(slots.states.get(0), model.get(&group).map(|state| &state[..]).unwrap_or_default());
        windows.store(rows.iter().copied(), &[1], &slots, &Slices::from_iter([&state]));
        model.insert(group, state);
    }
    let closed = windows.close(EventTime::MAX, never).expect("it closes");
    let found: BTreeMap<u8, Vec<u8>> = closed[0].groups().map(|one| (one.key[0], one.state.to_vec())).collect();
    assert_eq!(found, model);
}
