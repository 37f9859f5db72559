//! An aggregate that counts by the length of its state, whole, split and with rows that break it.

use std::sync::LazyLock;

use expect_test::expect;
use proptest::prelude::*;

use super::super::limits::Limits;
use super::super::tests::{self as guests, Guest, field};
use super::super::{Component, Instance};
use super::*;
use crate::record::{Column, Kind, Values};

/// A state is a byte for each row; a row whose boolean is 1 is rejected; merging puts one behind the other; what is
/// emitted is the length, and an empty state is rejected; schema 0 cannot be migrated.
fn plugin(limits: Limits) -> Plugin {
    let mut guest = Guest::new(&[field("bad", Kind::Boolean)], &[field("n", Kind::Integer)]);
    let (name, reads) = (guest.bytes(b"tally"), guest.fields(&[field("$window_start", Kind::Timestamp)]));
    let description = guest.words(&[name.0, name.1, 3, reads.0, reads.1]);
    guest.function("aggregate", "describe-state", "(result i32)", &format!("(i32.const {description})"));
    let words = guest.bytes(b"no");
    let text = guest.text("");
    let functions = include_str!("../tests/tally.wat");
    let functions = functions.replace("NO", &format!("(i32.const {}) (i32.const {})", words.0, words.1));
    let text = text.replacen("(data", &format!("{functions} (data"), 1);
    let module = guests::module(&text, None, "aggregate-plugin");
    let plugin = Component::from_bytes(guests::engine(), "tally", &module).expect("loads");
    let plugin = Plugin::new(plugin, "{}", limits).expect("configures");
    let state = plugin.state().expect("an aggregate");
    assert_eq!(state.schema, StateSchema { name: "tally".into(), version: 3 });
    assert_eq!(state.emit_reads, [field("$window_start", Kind::Timestamp)]);
    plugin
}

fn instance(plugin: &Plugin) -> Box<dyn Aggregate> {
    match plugin.instantiate().expect("starts") {
        Instance::Aggregate(aggregate) => aggregate,
        other => panic!("{other:?}"),
    }
}

fn wide() -> Box<dyn Aggregate> {
    static WIDE: LazyLock<Plugin> = LazyLock::new(|| plugin(Limits::default()));
    instance(&WIDE)
}

/// Calls are split at 16 bytes of states, and a state may have 12.
fn narrow() -> Box<dyn Aggregate> {
    static NARROW: LazyLock<Plugin> = LazyLock::new(|| plugin(guests::narrow()));
    instance(&NARROW)
}

fn batch(bad: &[u8]) -> Batch {
    Batch {
        rows: bad.len() as u32,
        columns: vec![Column { values: Values::Booleans(bad.to_vec()), present: Vec::new() }],
    }
}

fn states(lengths: &[usize]) -> Slices {
    lengths.iter().map(|len| vec![b'x'; *len]).collect()
}

fn lengths(states: &Slices) -> Vec<usize> {
    states.iter().map(<[u8]>::len).collect()
}

fn rows(rejected: &[Rejection]) -> Vec<u32> {
    rejected.iter().map(|rejection| rejection.row).collect()
}

#[test]
fn rows_are_added_to_the_states_of_their_groups() {
    let mut tally = wide();
    let answer = tally.accumulate(&states(&[0, 5]), &[1, 0, 1, 1], &batch(&[0, 0, 1, 0])).expect("answers");
    assert_eq!((lengths(&answer.states), rows(&answer.rejected)), (vec![1, 7], vec![2]));
    let merged = tally.merge(&states(&[1, 2]), &states(&[3, 0])).expect("answers");
    assert_eq!((lengths(&merged.states), rows(&merged.rejected)), (vec![4, 2], vec![]));
    let output = tally.emit(&states(&[0, 7]), &Batch { rows: 2, columns: Vec::new() }).expect("answers");
    assert_eq!((output.columns[0].values.clone(), rows(&output.rejected)), (Values::Integers(vec![0, 7]), vec![0]));
    let schema = |version| StateSchema { name: "tally".into(), version };
    assert_eq!(tally.migrate(&schema(1), &states(&[2])), Ok(Ok(states(&[2]))));
    assert_eq!(tally.migrate(&schema(0), &states(&[2])), Ok(Err("no".into())));
}

#[test]
fn a_row_on_which_a_call_breaks_leaves_the_states_as_they_were() {
    for mut tally in [wide(), narrow()] {
        let bad = [0, 7, 0, 1, 0, 7, 0, 0];
        let answer = tally.accumulate(&states(&[0, 5]), &[1, 0, 1, 1, 0, 1, 1, 0], &batch(&bad)).expect("goes on");
        assert_eq!((lengths(&answer.states), rows(&answer.rejected)), (vec![2, 8], vec![1, 3, 5]));
        let kinds: Vec<_> = answer.rejected.iter().map(|rejection| rejection.reason.kind).collect();
        assert_eq!(kinds, [ReasonKind::Trap, ReasonKind::Plugin, ReasonKind::Trap]);
    }
}

#[test]
fn states_on_whose_merging_a_call_breaks_stay_and_the_others_are_merged() {
    for mut tally in [wide(), narrow()] {
        let merged = tally.merge(&states(&[1, 7, 3, 7]), &states(&[1, 1, 0, 2])).expect("goes on");
        assert_eq!((lengths(&merged.states), rows(&merged.rejected)), (vec![2, 7, 3, 7], vec![1, 3]));
        assert_eq!(merged.rejected[0].reason.kind, ReasonKind::Trap);
    }
}

#[test]
fn rows_that_make_a_state_too_large_are_rejected_and_the_others_are_not() {
    let mut tally = narrow();
    let groups = [0, 1, 1, 0, 1, 0, 2];
    let answer = tally.accumulate(&states(&[11, 3, 12]), &groups, &batch(&[1, 0, 1, 0, 0, 0, 0])).expect("answers");
    assert_eq!((lengths(&answer.states), rows(&answer.rejected)), (vec![12, 5, 12], vec![0, 2, 5, 6]));
    expect!["the state of its group would grow to 13 bytes, the limit is 12"]
        .assert_eq(&answer.rejected[3].reason.message);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_call_that_is_split_gives_what_one_call_gives(
        old in proptest::collection::vec(0usize..6, 1..8),
        seeds in proptest::collection::vec((any::<u32>(), 0u8..4), 0..6),
    ) {
        let groups: Vec<u32> = seeds.iter().map(|(group, _)| group % old.len() as u32).collect();
        let bad: Vec<u8> = seeds.iter().map(|(_, bad)| u8::from(*bad == 0)).collect();
        let (mut wide, mut narrow) = (wide(), narrow());
        let old = states(&old);
        prop_assert_eq!(
            narrow.accumulate(&old, &groups, &batch(&bad)),
            wide.accumulate(&old, &groups, &batch(&bad))
        );
        prop_assert_eq!(narrow.merge(&old, &old), wide.merge(&old, &old));
        let schema = StateSchema { name: "tally".into(), version: 2 };
        prop_assert_eq!(narrow.migrate(&schema, &old), wide.migrate(&schema, &old));

        let context = Batch { rows: old.len() as u32, columns: Vec::new() };
        let (narrow, wide) = (narrow.emit(&old, &context), wide.emit(&old, &context));
        let emitted = |output: Output| {
            let from = output.rows.unwrap_or_else(|| (0..old.len() as u32).collect());
            let Values::Integers(values) = &output.columns[0].values else { panic!("integers") };
            let rejected = rows(&output.rejected);
            let kept = from.into_iter().zip(values.clone()).filter(|(row, _)| !rejected.contains(row));
            (kept.collect::<Vec<_>>(), rejected)
        };
        prop_assert_eq!(narrow.map(emitted), wide.map(emitted));
    }
}
