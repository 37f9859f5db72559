//! Aggregates: calls that carry states, cut by groups so that each fits the guest, and the bound of one state.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use super::bindings::exports::tidegate::plugin::aggregate::{Guest, StateSchemaParam};
use super::instance::{Caller, nothing};
use super::isolate::isolate;
use super::{Aggregate, CallError, Plugin, PluginError, WORDS_BYTES_MAX, contract, crossing, split};
use crate::record::{Accumulated, Batch, Output, Reason, ReasonKind, Rejection, Slices, StateSchema};

/// What `emit` is reckoned to give back for a state beside its size: a document of some fields. It keeps a call below
/// its output limit when many small states fire at once.
const DOCUMENT_BYTES: usize = 1 << 10;

pub(super) struct AggregateInstance(Caller<Guest>);

impl AggregateInstance {
    pub fn new(plugin: Plugin) -> Result<Self, PluginError> {
        Caller::new(plugin).map(AggregateInstance)
    }

    /// One call, however large.
    fn accumulate_piece(
        &mut self,
        states: &Slices,
        groups: &[u32],
        batch: &Batch,
        deadline: Duration,
    ) -> Result<Accumulated, CallError> {
        let columns = crossing::columns(batch);
        self.0.call(
            deadline,
            |live, guest| {
                live.call(|store| {
                    let batch = crossing::batch(batch, &columns);
                    guest.call_accumulate(store, crossing::slices(states), groups, batch)
                })
            },
            |answer| contract::accumulated(answer, states.len(), batch.rows),
        )
    }

    fn accumulate_split(
        &mut self,
        states: &Slices,
        groups: &[u32],
        batch: &Batch,
        deadline: Duration,
    ) -> Result<Accumulated, CallError> {
        let chunks = split::chunks(states.iter().map(<[u8]>::len), self.states_bytes_max());
        if chunks.len() == 1 {
            return self.accumulate_piece(states, groups, batch, deadline);
        }
        let mut whole = Accumulated::default();
        for chunk in chunks {
            let rows = rows_of(groups, |group| chunk.contains(&(group as usize)));
            let piece = split::range(states, chunk.clone());
            if rows.is_empty() {
                split::append(&mut whole.states, &piece);
                continue;
            }
            let piece_groups: Vec<u32> = rows.iter().map(|row| groups[*row as usize] - chunk.start as u32).collect();
            let answer = self.accumulate_piece(&piece, &piece_groups, &split::select(batch, &rows), deadline)?;
            split::append(&mut whole.states, &answer.states);
            whole.rejected.extend(answer.rejected.into_iter().map(|rejection| at(rejection, &rows)));
        }
        whole.rejected.sort_unstable_by_key(|rejection| rejection.row);
        Ok(whole)
    }

    /// Folds all rows but those on which a call breaks; `error` is what came of all together.
    fn accumulate_isolated(
        &mut self,
        states: &Slices,
        groups: &[u32],
        batch: &Batch,
        error: &CallError,
    ) -> Result<Accumulated, CallError> {
        let limits = self.0.plugin().limits().clone();
        let (mut broken, mut rejected) = (0, Vec::new());
        let states = RefCell::new(states.clone());
        isolate(
            batch.rows,
            &limits,
            |rows, deadline| {
                let piece = &groups[rows.start as usize..rows.end as usize];
                self.accumulate_split(&states.borrow(), piece, &split::rows(batch, rows), deadline)
            },
            |rows, came| match came {
                Ok(answer) => {
                    *states.borrow_mut() = answer.states;
                    rejected.extend(split::shifted(answer.rejected, rows.start));
                }
                Err(reason) => {
                    broken += 1;
                    rejected.push(Rejection { row: rows.start, reason });
                }
            },
        );
        self.0.judge(batch.rows, broken, error)?;
        Ok(Accumulated { states: states.into_inner(), rejected })
    }

    /// Folds the rows of one group one by one, so that only those are rejected that make its state too large.
    fn accumulate_singly(&mut self, state: &[u8], rows: &[u32], batch: &Batch) -> Result<Accumulated, CallError> {
        let state_bytes_max = self.0.plugin().limits().state_bytes_max;
        let mut states: Slices = [state].into_iter().collect();
        let mut rejected = Vec::new();
        for row in rows {
            let deadline = self.0.deadline();
            let answer = match self.accumulate_piece(&states, &[0], &split::select(batch, &[*row]), deadline) {
                Ok(answer) => answer,
                Err(error) => {
                    rejected.push(Rejection { row: *row, reason: error.reason() });
                    continue;
                }
            };
            let bytes = answer.states.get(0).len();
            if !answer.rejected.is_empty() {
                rejected.extend(answer.rejected.into_iter().map(|rejection| at(rejection, &[*row])));
            } else if bytes > state_bytes_max {
                let reason =
                    format!("the state of its group would grow to {bytes} bytes, the limit is {state_bytes_max}");
                rejected.push(Rejection { row: *row, reason: Reason::new(ReasonKind::Plugin, reason) });
            } else {
                states = answer.states;
            }
        }
        Ok(Accumulated { states, rejected })
    }

    /// One call; where it breaks, the states on which it does are rejected.
    fn emit_contained(&mut self, states: &Slices, context: &Batch) -> Result<Output, CallError> {
        let deadline = self.0.deadline();
        let error = match emit_piece(&mut self.0, states, context, deadline) {
            Ok(output) => return Ok(output),
            Err(error) => self.0.contain(error)?,
        };
        let limits = self.0.plugin().limits().clone();
        let (mut whole, mut broken) = (nothing(self.0.plugin()), 0);
        isolate(
            context.rows,
            &limits,
            |rows, deadline| {
                let piece = split::range(states, rows.start as usize..rows.end as usize);
                emit_piece(&mut self.0, &piece, &split::rows(context, rows), deadline)
            },
            |rows, came| match came {
                Ok(output) => split::extend(&mut whole, output, rows.start, rows.end - rows.start),
                Err(reason) => {
                    broken += 1;
                    whole.rejected.push(Rejection { row: rows.start, reason });
                }
            },
        );
        self.0.judge(context.rows, broken, &error)?;
        Ok(whole)
    }

    fn states_bytes_max(&self) -> usize {
        self.0.plugin().limits().states_bytes_max
    }
}

impl Aggregate for AggregateInstance {
    fn accumulate(&mut self, states: &Slices, groups: &[u32], batch: &Batch) -> Result<Accumulated, CallError> {
        debug_assert_eq!(groups.len(), batch.rows as usize, "each row has a group");
        let mut whole = match self.accumulate_split(states, groups, batch, self.0.deadline()) {
            Ok(whole) => {
                self.0.served(batch.rows);
                whole
            }
            Err(error) => {
                let error = self.0.contain(error)?;
                self.accumulate_isolated(states, groups, batch, &error)?
            }
        };

        let state_bytes_max = self.0.plugin().limits().state_bytes_max;
        let mut redone = BTreeMap::new();
        for (group, state) in whole.states.iter().enumerate().filter(|(_, state)| state.len() > state_bytes_max) {
            let rows = rows_of(groups, |of| of as usize == group);
            tracing::debug!(target: "tidegate::plugin", bytes = state.len(), rows = rows.len(), "a state is too large");
            if !rows.is_empty() {
                redone.insert(group, self.accumulate_singly(states.get(group), &rows, batch)?);
            }
        }
        if redone.is_empty() {
            return Ok(whole);
        }
        whole.rejected.retain(|rejection| !redone.contains_key(&(groups[rejection.row as usize] as usize)));
        let states = std::mem::take(&mut whole.states);
        for (group, state) in states.iter().enumerate() {
            whole.states.push(redone.get(&group).map_or(state, |redone| redone.states.get(0)));
        }
        whole.rejected.extend(redone.into_values().flat_map(|redone| redone.rejected));
        whole.rejected.sort_unstable_by_key(|rejection| rejection.row);
        Ok(whole)
    }

    fn merge(&mut self, left: &Slices, right: &Slices) -> Result<Slices, CallError> {
        debug_assert_eq!(left.len(), right.len(), "states are merged two by two");
        let sizes = (0..left.len()).map(|item| left.get(item).len() + right.get(item).len());
        let mut whole = Slices::default();
        for chunk in split::chunks(sizes, self.states_bytes_max()) {
            let (left, right) = (split::range(left, chunk.clone()), split::range(right, chunk));
            let merged = self.0.call(
                self.0.deadline(),
                |live, guest| {
                    live.call(|store| guest.call_merge(store, crossing::slices(&left), crossing::slices(&right)))
                },
                |answer| contract::states(answer, left.len()),
            )?;
            split::append(&mut whole, &merged);
        }
        Ok(whole)
    }

    fn emit(&mut self, states: &Slices, context: &Batch) -> Result<Output, CallError> {
        debug_assert_eq!(states.len(), context.rows as usize, "each state has its context");
        let chunks = split::chunks(states.iter().map(|state| state.len() + DOCUMENT_BYTES), self.states_bytes_max());
        if chunks.len() == 1 {
            return self.emit_contained(states, context);
        }
        let mut whole = Output::default();
        for chunk in chunks {
            let rows = chunk.start as u32..chunk.end as u32;
            let answer = self.emit_contained(&split::range(states, chunk), &split::rows(context, rows.clone()))?;
            split::extend(&mut whole, answer, rows.start, rows.end - rows.start);
        }
        Ok(whole)
    }

    fn migrate(&mut self, from: &StateSchema, states: &Slices) -> Result<Result<Slices, String>, CallError> {
        let mut whole = Slices::default();
        for chunk in split::chunks(states.iter().map(<[u8]>::len), self.states_bytes_max()) {
            let piece = split::range(states, chunk);
            let schema = StateSchemaParam { name: &from.name, version: from.version };
            let migrated = self.0.call(
                self.0.deadline(),
                |live, guest| live.call(|store| guest.call_migrate(store, schema, crossing::slices(&piece))),
                |answer| match answer {
                    Ok(states) => contract::states(states, piece.len()).map(Ok),
                    Err(words) => Ok(Err(super::cut(&words, WORDS_BYTES_MAX).to_owned())),
                },
            )?;
            match migrated {
                Ok(states) => split::append(&mut whole, &states),
                Err(words) => return Ok(Err(words)),
            }
        }
        Ok(Ok(whole))
    }
}

fn emit_piece(
    caller: &mut Caller<Guest>,
    states: &Slices,
    context: &Batch,
    deadline: Duration,
) -> Result<Output, CallError> {
    let columns = crossing::columns(context);
    let plugin = caller.plugin().clone();
    caller.call(
        deadline,
        |live, guest| {
            live.call(|store| guest.call_emit(store, crossing::slices(states), crossing::batch(context, &columns)))
        },
        |answer| contract::output(answer, context.rows, &plugin.ports().writes, plugin.limits().output_rows_max),
    )
}

fn rows_of(groups: &[u32], wanted: impl Fn(u32) -> bool) -> Vec<u32> {
    (0u32..).zip(groups).filter(|(_, group)| wanted(**group)).map(|(row, _)| row).collect()
}

/// A rejection within a piece, as one of the batch that the piece has these rows of.
fn at(rejection: Rejection, rows: &[u32]) -> Rejection {
    Rejection { row: rows[rejection.row as usize], reason: rejection.reason }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use expect_test::expect;
    use proptest::prelude::*;

    use super::super::tests::{self as guests, Guest, field};
    use super::super::{Component, Engine, Instance};
    use super::*;
    use crate::record::{Column, Kind, Values};

    /// A state is a byte for each row; a row whose boolean is 1 is rejected; merging puts one behind the other; what is
    /// emitted is the length, and an empty state is rejected; schema 0 cannot be migrated.
    fn plugin(engine: &Engine) -> Plugin {
        let mut guest = Guest::new(&[field("bad", Kind::Boolean)], &[field("n", Kind::Integer)]);
        let (name, reads) = (guest.bytes(b"tally"), guest.fields(&[field("$window_start", Kind::Timestamp)]));
        let description = guest.words(&[name.0, name.1, 3, reads.0, reads.1]);
        guest.function("aggregate", "describe-state", "(result i32)", &format!("(i32.const {description})"));
        let words = guest.bytes(b"no");
        let text = guest.text("");
        let functions = include_str!("tests/tally.wat");
        let functions = functions.replace("NO", &format!("(i32.const {}) (i32.const {})", words.0, words.1));
        let text = text.replacen("(data", &format!("{functions} (data"), 1);
        let module = guests::module(&text, None, "aggregate-plugin");
        let plugin =
            Component::from_bytes(engine, "tally", &module).expect("loads").configure("{}").expect("configures");
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
        static WIDE: LazyLock<Plugin> = LazyLock::new(|| plugin(guests::engine()));
        instance(&WIDE)
    }

    /// Calls are split at 16 bytes of states, and a state may have 12.
    fn narrow() -> Box<dyn Aggregate> {
        static NARROW: LazyLock<Plugin> = LazyLock::new(|| plugin(guests::narrow_engine()));
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
        assert_eq!(lengths(&merged), [4, 2]);
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
}
