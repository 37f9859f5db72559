//! What enrichers give back: dropped, rejected and split rows, and the fields that they write.

use std::sync::Arc;

use super::edits::{Layer, Source, Supply};
use super::plan::{Plan, Slot};
use super::span::{Shape, Span};
use super::table::{Row, Table, retain_rows};
use super::{DecodeError, Kept, Rejected, Writes, value};
use crate::record::{Column, Kind, Output, Reason, ReasonKind};

/// A field that is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WriteField {
    pub(super) slot: Slot,
    pub(super) kind: Kind,
}

/// One writer's fields must neither repeat nor lie in one another, and must have values to write.
pub(super) fn refuse_conflicts(
    plan: &Plan,
    fields: impl Iterator<Item = (Slot, Kind)> + Clone,
) -> Result<(), DecodeError> {
    for (at, (slot, kind)) in fields.clone().enumerate() {
        if kind == Kind::Presence {
            return Err(DecodeError::WrittenPresence { path: plan.path(slot) });
        }
        for (other, _) in fields.clone().skip(at + 1) {
            if other == slot || plan.is_within(other, slot) || plan.is_within(slot, other) {
                return Err(DecodeError::Conflict {
                    one: plan.path(slot.min(other)),
                    other: plan.path(slot.max(other)),
                });
            }
        }
    }
    Ok(())
}

impl Table {
    /// Takes an enricher's output over; its shape was checked against `writes`. Rows are rejected one by one where the
    /// enricher says so, where JSON cannot say a value (a float that is not finite, a timestamp outside the years 1 to 9999,
    /// invalid JSON), and where an object is in the way of a scalar or the reverse.
    pub fn write(&mut self, writes: &Writes, output: Output) -> Kept {
        let Output { rows, columns, rejected } = output;
        let before = self.len();
        let asked: Vec<usize> = rejected.iter().map(|rejection| rejection.row as usize).collect();
        let mut all: Vec<Rejected> =
            rejected.into_iter().map(|rejection| self.rejected(rejection.row as usize, rejection.reason)).collect();
        let mut dropped = 0;
        let mut positions: Vec<u32>;
        match rows {
            Some(rows) => {
                dropped = before - asked.len() - rows.chunk_by(|one, other| one == other).count();
                positions = (0..rows.len() as u32).collect();
                self.follow(&rows);
            }
            None => {
                positions = (0..before as u32).collect();
                if !asked.is_empty() {
                    let mut keep = vec![true; before];
                    asked.iter().for_each(|row| keep[*row] = false);
                    self.keep(|row| keep[row]);
                    retain_rows(&mut positions, |row| keep[row]);
                }
            }
        }
        let failed = self.failures(writes, &columns, &positions);
        self.layers.push(Layer { columns: Arc::new(columns), positions });
        all.extend(self.take_failed(failed));
        let layer = self.layers.len() - 1;
        for (column, field) in writes.fields.iter().enumerate() {
            self.edits.add(&self.shared.plan, field.slot, Source { layer, column, kind: field.kind });
        }
        Kept { dropped: dropped as u64, rejected: all }
    }

    /// Takes the rows that are named (ascending), several times where they are named so.
    fn follow(&mut self, named: &[u32]) {
        let mut rows: Vec<Row> = Vec::with_capacity(named.len());
        for (at, from) in named.iter().enumerate() {
            let mut row = self.rows[*from as usize];
            if at > 0 && named[at - 1] == *from {
                let issued = self.issued.entry(row.record).or_insert(1);
                row.ordinal = *issued;
                *issued += 1;
            }
            rows.push(row);
        }
        self.rows = rows;
        for layer in &mut self.layers {
            layer.positions = named.iter().map(|from| layer.positions[*from as usize]).collect();
        }
    }

    /// The rows to which something cannot be written, each with its first reason.
    fn failures(&self, writes: &Writes, columns: &[Column], positions: &[u32]) -> Vec<(usize, Reason)> {
        let plan = &*self.shared.plan;
        let mut failed = Vec::new();
        let (mut body, mut spans) = (Vec::new(), vec![Span::ABSENT; plan.len()]);
        for (field, column) in writes.fields.iter().zip(columns) {
            let depth = plan.node(field.slot).depth;
            let as_they_came = self.edits.supply(plan, field.slot) == Supply::Records;
            for (row, position) in positions.iter().enumerate() {
                let position = *position as usize;
                if !column.is_present(position) {
                    continue;
                }
                let checked = value::check(column, field.kind, position, depth).and_then(|()| {
                    if as_they_came {
                        return in_the_way(plan, self.shared.spans(self.rows[row].record), *field);
                    }
                    self.render(row, &mut body, &mut spans).map_err(|fault| fault.to_string())?;
                    in_the_way(plan, &spans, *field)
                });
                if let Err(problem) = checked {
                    let message = format!("{problem}, field=`{}`", plan.path(field.slot));
                    failed.push((row, Reason::new(ReasonKind::Plugin, message)));
                }
            }
        }
        failed.sort_by_key(|(row, _)| *row);
        failed.dedup_by_key(|(row, _)| *row);
        failed
    }
}

/// An object does not give way to a scalar, nor a scalar to an object: one of the two was a mistake. (JSON may be either, and
/// what is written as JSON replaces anything.)
fn in_the_way(plan: &Plan, spans: &[Span], field: WriteField) -> Result<(), String> {
    if field.kind != Kind::Json && spans[field.slot].shape() == Shape::Object {
        return Err("an object is where a plugin writes a single value: found=`object`".to_owned());
    }
    // The innermost that is there decides; what is around it is an object then.
    let mut around = plan.ancestors(field.slot).map(|slot| (slot, spans[slot].shape()));
    match around.find(|(_, shape)| *shape != Shape::Absent) {
        Some((slot, shape)) if shape != Shape::Object && shape.is_present() => Err(format!(
            "a single value is where a plugin writes into an object: object=`{}`, found=`{}`",
            plan.path(slot),
            shape.name()
        )),
        Some(_) | None => Ok(()),
    }
}
