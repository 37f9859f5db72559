//! Aggregates: calls that carry states, cut by groups so that each fits the guest, and the bound of one state.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::bindings::exports::tidegate::plugin::aggregate::{Guest, StateSchemaParam};
use super::caller::Caller;
use super::crossing::Piece;
use super::instance::output;
use super::isolate::Served;
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

    /// Folds all rows but those on which a call breaks.
    fn accumulate_contained(
        &mut self,
        states: &Slices,
        groups: &[u32],
        batch: &Batch,
    ) -> Result<Accumulated, CallError> {
        // A piece goes on with the states that the ones before it left, and takes those of its own groups along.
        let (mut whole, mut folded) = (None, Vec::new());
        let rejected = self.0.serve(
            batch.rows,
            |caller, rows, deadline| {
                if rows == (0..batch.rows) {
                    let answer = accumulate_split(caller, states, groups, batch, rows, deadline)?;
                    whole = Some(answer.states);
                    return Ok(answer.rejected);
                }
                if folded.is_empty() {
                    folded.extend(states.iter().map(Cow::Borrowed));
                }
                let (own, groups) = own_groups(&groups[rows.start as usize..rows.end as usize]);
                let before = own.iter().map(|group| &folded[*group as usize]).collect();
                let answer = accumulate_split(caller, &before, &groups, batch, rows, deadline)?;
                for (group, state) in own.iter().zip(answer.states.iter()) {
                    folded[*group as usize] = Cow::Owned(state.to_vec());
                }
                Ok(answer.rejected)
            },
            |served| {
                let rejections = |(rows, came): Served<Vec<Rejection>>| match came {
                    Ok(rejected) => split::shifted(rejected, rows.start).collect(),
                    Err(reason) => vec![Rejection { row: rows.start, reason }],
                };
                served.into_iter().flat_map(rejections).collect()
            },
        )?;
        let states = whole.unwrap_or_else(|| if folded.is_empty() { states.clone() } else { folded.iter().collect() });
        Ok(Accumulated { states, rejected })
    }

    /// Folds all rows but those on which a call breaks, and those that make a state too large.
    fn fold(&mut self, states: &Slices, groups: &[u32], batch: &Batch) -> Result<Accumulated, CallError> {
        let mut whole = self.accumulate_contained(states, groups, batch)?;

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

    /// Folds the rows of one group one by one, so that only those are rejected that make its state too large.
    fn accumulate_singly(&mut self, state: &[u8], rows: &[u32], batch: &Batch) -> Result<Accumulated, CallError> {
        let state_bytes_max = self.0.plugin().limits().state_bytes_max;
        let mut states: Slices = [state].into_iter().collect();
        let mut rejected = Vec::new();
        for row in rows {
            let answer = self.accumulate_contained(&states, &[0], &batch.take(&[*row]))?;
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

    /// Merges all pairs but those on which a call breaks: their left state stays.
    fn merge_contained(&mut self, left: &Slices, right: &Slices) -> Result<Accumulated, CallError> {
        self.0.serve(
            left.len() as u32,
            |caller, rows, time| {
                let (left, right) = (split::slices(left, rows.clone()), split::slices(right, rows));
                let states = caller.call(
                    time,
                    |live, guest| {
                        live.call(|store| guest.call_merge(store, crossing::slices(&left), crossing::slices(&right)))
                    },
                    |answer| contract::states(answer, left.len()),
                )?;
                Ok(Accumulated { states, rejected: Vec::new() })
            },
            |served| {
                let mut whole = Accumulated::default();
                for (rows, came) in served {
                    match came {
                        Ok(merged) => split::append(&mut whole.states, &merged.states),
                        Err(reason) => {
                            whole.states.push(left.get(rows.start as usize));
                            whole.rejected.push(Rejection { row: rows.start, reason });
                        }
                    }
                }
                whole
            },
        )
    }

    /// Takes those back that merging has made too large.
    fn without_large(&self, left: &Slices, merged: Accumulated) -> Accumulated {
        let bytes_max = self.0.plugin().limits().state_bytes_max;
        if merged.states.iter().all(|state| state.len() <= bytes_max) {
            return merged;
        }
        let mut whole = Accumulated { states: Slices::default(), rejected: merged.rejected };
        for (row, state) in merged.states.iter().enumerate() {
            let is_large = state.len() > bytes_max;
            whole.states.push(if is_large { left.get(row) } else { state });
            let is_rejected = whole.rejected.iter().any(|rejection| rejection.row as usize == row);
            if is_large && !is_rejected {
                let reason = format!(
                    "merged, the state of its group would have {} bytes, the limit is {bytes_max}",
                    state.len()
                );
                whole.rejected.push(Rejection { row: row as u32, reason: Reason::new(ReasonKind::Plugin, reason) });
            }
        }
        whole.rejected.sort_unstable_by_key(|rejection| rejection.row);
        whole
    }

    /// The documents of all states but those on which a call breaks.
    fn emit_contained(&mut self, states: &Slices, context: &Batch) -> Result<Output, CallError> {
        let plugin = self.0.plugin().clone();
        self.0.serve(
            context.rows,
            |caller, rows, deadline| {
                let piece = split::slices(states, rows.clone());
                emit_call(caller, &piece, &Piece::new(context, rows), deadline)
            },
            |served| output(served, &plugin),
        )
    }

    /// In as many calls as the states need.
    fn emit_split(&mut self, states: &Slices, context: &Batch) -> Result<Output, CallError> {
        let chunks = split::chunks(states.iter().map(|state| state.len() + DOCUMENT_BYTES), states_bytes_max(&self.0));
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
}

impl Aggregate for AggregateInstance {
    fn accumulate(&mut self, states: &Slices, groups: &[u32], batch: &Batch) -> Result<Accumulated, CallError> {
        debug_assert_eq!(groups.len(), batch.rows as usize, "each row has a group");
        let mut folded = self.fold(states, groups, batch)?;
        self.0.plugin().hide(&mut folded.rejected);
        self.0.plugin().usage().judged(batch.rows, 0, &folded.rejected);
        Ok(folded)
    }

    fn merge(&mut self, left: &Slices, right: &Slices) -> Result<Accumulated, CallError> {
        debug_assert_eq!(left.len(), right.len(), "states are merged two by two");
        let sizes = (0..left.len()).map(|item| left.get(item).len() + right.get(item).len());
        let mut whole = Accumulated::default();
        for chunk in split::chunks(sizes, states_bytes_max(&self.0)) {
            let start = chunk.start as u32;
            let merged = self.merge_contained(&split::range(left, chunk.clone()), &split::range(right, chunk))?;
            split::append(&mut whole.states, &merged.states);
            whole.rejected.extend(split::shifted(merged.rejected, start));
        }
        Ok(self.without_large(left, whole))
    }

    fn emit(&mut self, states: &Slices, context: &Batch) -> Result<Output, CallError> {
        debug_assert_eq!(states.len(), context.rows as usize, "each state has its context");
        let mut output = self.emit_split(states, context)?;
        self.0.plugin().hide(&mut output.rejected);
        self.0.plugin().usage().gave(context.rows, &output);
        Ok(output)
    }

    fn migrate(&mut self, from: &StateSchema, states: &Slices) -> Result<Result<Slices, String>, CallError> {
        let mut whole = Slices::default();
        let plugin = self.0.plugin().clone();
        let (bytes_max, secrets) = (plugin.limits().state_bytes_max, &plugin.limits().secrets);
        for chunk in split::chunks(states.iter().map(<[u8]>::len), states_bytes_max(&self.0)) {
            let piece = split::range(states, chunk);
            let schema = StateSchemaParam { name: &from.name, version: from.version };
            let migrated = self.0.call(
                self.0.deadline(),
                |live, guest| live.call(|store| guest.call_migrate(store, schema, crossing::slices(&piece))),
                |answer| match answer {
                    Ok(states) => contract::migrated(states, piece.len(), bytes_max).map(Ok),
                    Err(words) => Ok(Err(super::words(&words, WORDS_BYTES_MAX, secrets))),
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

fn states_bytes_max(caller: &Caller<Guest>) -> usize {
    caller.plugin().limits().states_bytes_max
}

/// As many calls as the states need; `groups` are those of `rows`.
fn accumulate_split(
    caller: &mut Caller<Guest>,
    states: &Slices,
    groups: &[u32],
    batch: &Batch,
    rows: Range<u32>,
    deadline: Duration,
) -> Result<Accumulated, CallError> {
    let chunks = split::chunks(states.iter().map(<[u8]>::len), states_bytes_max(caller));
    let mut call = |states: &Slices, groups: &[u32], piece: &Piece<'_>| {
        let columns = piece.columns();
        caller.call(
            deadline,
            |live, guest| {
                let (states, batch) = (crossing::slices(states), piece.batch(&columns));
                live.call(|store| guest.call_accumulate(store, states, groups, batch))
            },
            |answer| contract::accumulated(answer, states.len(), piece.rows()),
        )
    };
    if chunks.len() == 1 {
        return call(states, groups, &Piece::new(batch, rows));
    }
    let batch = split::rows(batch, rows);
    let mut whole = Accumulated::default();
    for chunk in chunks {
        let rows = rows_of(groups, |group| chunk.contains(&(group as usize)));
        let piece = split::range(states, chunk.clone());
        if rows.is_empty() {
            split::append(&mut whole.states, &piece);
            continue;
        }
        let piece_groups: Vec<u32> = rows.iter().map(|row| groups[*row as usize] - chunk.start as u32).collect();
        let batch = batch.take(&rows);
        let answer = call(&piece, &piece_groups, &Piece::new(&batch, 0..batch.rows))?;
        split::append(&mut whole.states, &answer.states);
        whole.rejected.extend(answer.rejected.into_iter().map(|rejection| at(rejection, &rows)));
    }
    whole.rejected.sort_unstable_by_key(|rejection| rejection.row);
    Ok(whole)
}

fn emit_call(
    caller: &mut Caller<Guest>,
    states: &Slices,
    context: &Piece<'_>,
    deadline: Duration,
) -> Result<Output, CallError> {
    let columns = context.columns();
    let plugin = caller.plugin().clone();
    caller.call(
        deadline,
        |live, guest| live.call(|store| guest.call_emit(store, crossing::slices(states), context.batch(&columns))),
        |answer| contract::output(answer, context.rows(), &plugin.ports().writes, plugin.limits().output_rows_max),
    )
}

/// Groups without those that no row is of: what they are called, and which of them each row is of.
fn own_groups(groups: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut own = groups.to_vec();
    own.sort_unstable();
    own.dedup();
    let place = |group: &u32| own.binary_search(group).unwrap_or_default() as u32;
    let groups = groups.iter().map(place).collect();
    (own, groups)
}

fn rows_of(groups: &[u32], wanted: impl Fn(u32) -> bool) -> Vec<u32> {
    (0u32..).zip(groups).filter(|(_, group)| wanted(**group)).map(|(row, _)| row).collect()
}

/// A rejection within a piece, as one of the batch that the piece has these rows of.
fn at(rejection: Rejection, rows: &[u32]) -> Rejection {
    Rejection { row: rows[rejection.row as usize], reason: rejection.reason }
}

#[cfg(test)]
mod tests;
