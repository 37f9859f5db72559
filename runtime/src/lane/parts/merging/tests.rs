//! Parts of groups: kept, cloned, converted and merged, in any order, beside a plain map that does the same.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::lane::parts::rounds::tests::Concat;

const START: EventTime = EventTime::MIN;

fn merging() -> Merging {
    Merging::new(TimeWindows::tumbling(Duration::from_secs(1)), EventTime::MIN)
}

fn schema(version: u32) -> StateSchema {
    StateSchema { name: "test".to_owned(), version }
}

/// Migrates by appending the version that the state was of.
fn mark(before: &StateSchema, states: &Slices) -> Result<Slices, ()> {
    Ok(states.iter().map(|state| [state, &[before.version as u8]].concat()).collect())
}

fn keep(merging: &mut Merging, group: u8, source: i32, last: i64) -> bool {
    let source = SourceKey { topic: 0, partition: source };
    let state = [group, last as u8];
    let last = Offset(last);
    merging.keep(START, Offset(0), &Incoming { group: &[group], source, last, state: &state }).is_some()
}

/// The groups and what they merge to.
fn merged(merging: &mut Merging) -> Vec<(Vec<u8>, Vec<u8>)> {
    let groups = merging.groups_of(START);
    merging.convert_groups(START, &groups, mark).expect("it migrates");
    let states = merging.merge(START, &groups, &mut Concat).expect("it merges").states;
    let keys = merging.keys_of(START, &groups);
    keys.into_iter().zip(states.iter()).map(|(key, state)| (key.to_vec(), state.to_vec())).collect()
}

#[test]
fn a_part_after_a_clone_copies_the_lists_of_its_neighbours_and_no_more() {
    let mut merging = merging();
    (0..=255).for_each(|group| drop((0..3).map(|source| keep(&mut merging, group, source, 1)).collect::<Vec<_>>()));
    let clone = merging.clone();
    let unshared = |one: &Merging| {
        let chunks = |merging: &Merging| merging.windows[&START].window.chunks.clone();
        chunks(one).iter().zip(&chunks(&clone)).filter(|(one, other)| !Arc::ptr_eq(one, other)).count()
    };
    assert!(keep(&mut merging, 7, 1, 2) && keep(&mut merging, 9, 1, 2));
    merging.wait(START);
    assert_eq!(unshared(&merging), 1);
    merging.change_schema(schema(1));
    assert_eq!(unshared(&merging), 1);
    assert!(merging.convert(48, mark).expect("it migrates"));
    assert_eq!(unshared(&merging), 1, "sixteen groups of three sources");
}

/// What is done, at random.
#[derive(Clone, Debug)]
enum Step {
    Keep { group: u8, source: i32, last: i64 },
    Clone,
    ChangeSchema,
    Convert(usize),
    Merge,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..40_u8, 0..3_i32, 0..6_i64).prop_map(|(group, source, last)| Step::Keep { group, source, last }),
        1 => Just(Step::Clone),
        1 => Just(Step::ChangeSchema),
        3 => (1..20_usize).prop_map(Step::Convert),
        1 => Just(Step::Merge),
    ]
}

/// By group and source: the offset, and the state, migrated at once.
type Model = BTreeMap<u8, BTreeMap<i32, (i64, Vec<u8>)>>;

fn plain(model: &Model) -> Vec<(Vec<u8>, Vec<u8>)> {
    let concat = |parts: &BTreeMap<i32, (i64, Vec<u8>)>| parts.values().flat_map(|(_, state)| state.clone()).collect();
    model.iter().map(|(group, parts)| (vec![*group], concat(parts))).collect()
}

proptest! {
    /// Each state is migrated once by each change of schema, whatever happens in between, and clones stay as they were.
    #[test]
    fn parts_merge_to_what_a_plain_map_has(steps in prop::collection::vec(step(), 1..200)) {
        let (mut merging, mut model, mut version) = (merging(), Model::new(), 0);
        let mut clones = Vec::new();
        for step in steps {
            match step {
                Step::Keep { group, source, last } => {
                    let parts = model.entry(group).or_default();
                    let greater = parts.get(&source).is_none_or(|(known, _)| *known < last);
                    prop_assert_eq!(keep(&mut merging, group, source, last), greater);
                    if greater {
                        parts.insert(source, (last, vec![group, last as u8]));
                    }
                }
                Step::Clone => clones.push((merging.clone(), model.clone())),
                Step::ChangeSchema => {
                    while merging.convert(7, mark).expect("it migrates") {}
                    version += 1;
                    model.values_mut().flat_map(BTreeMap::values_mut).for_each(|(_, state)| state.push(version as u8));
                    merging.change_schema(schema(version));
                }
                Step::Convert(groups) => drop(merging.convert(groups, mark)),
                Step::Merge => prop_assert_eq!(merged(&mut merging), plain(&model)),
            }
        }
        clones.push((merging, model));
        for (mut merging, model) in clones {
            prop_assert_eq!(merged(&mut merging), plain(&model));
        }
    }
}
