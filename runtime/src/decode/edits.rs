//! What was written to a table, and in which order it must be cut into the records.

use std::sync::Arc;

use super::chunk::Marks;
use super::fault::Fault;
use super::plan::{Plan, Slot};
use super::span::Span;
use super::splice::{Edit, Written, splice};
use super::table::Table;
use super::{scan, value};
use crate::record::{Column, Kind};

/// What one enricher wrote.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) columns: Arc<Vec<Column>>,
    /// The row of the columns that belongs to a row of the table.
    pub(super) positions: Vec<u32>,
}

/// A column of a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Source {
    pub(super) layer: usize,
    pub(super) column: usize,
    pub(super) kind: Kind,
}

/// What counts of all layers. Passes are applied one after the other: in one pass no field lies in another.
#[derive(Clone, Default, Debug)]
pub(super) struct Edits {
    pub(super) sources: Vec<Source>,
    passes: Vec<Vec<Edit>>,
}

/// Where the values of a field come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Supply {
    /// From the records as they came.
    Records,
    /// From what was written to just this field.
    Written(Source),
    /// Both, or several: from the documents as they are now.
    Documents,
}

impl Edits {
    /// Adds a later write to a field: it replaces earlier ones to the field and to what is in it.
    pub(super) fn add(&mut self, plan: &Plan, slot: Slot, source: Source) {
        for pass in &mut self.passes {
            pass.retain(|edit| edit.slot != slot && !plan.is_within(edit.slot, slot));
        }
        let is_around = |edit: &Edit| plan.is_within(slot, edit.slot);
        let pass = self.passes.iter().rposition(|pass| pass.iter().any(is_around)).map_or(0, |pass| pass + 1);
        if pass == self.passes.len() {
            self.passes.push(Vec::new());
        }
        let edit = Edit { slot, source: self.sources.len() };
        self.sources.push(source);
        let edits = &mut self.passes[pass];
        let place = edits.partition_point(|other| other.slot < slot);
        edits.insert(place, edit);
    }

    pub(super) fn supply(&self, plan: &Plan, slot: Slot) -> Supply {
        let mut supply = Supply::Records;
        for edit in self.passes.iter().flatten() {
            if plan.is_within(edit.slot, slot) {
                return Supply::Documents;
            } else if edit.slot == slot {
                supply = Supply::Written(self.sources[edit.source]);
            } else if plan.is_within(slot, edit.slot) && supply == Supply::Records {
                supply = Supply::Documents;
            }
        }
        supply
    }
}

/// A row's values for its document.
struct RowOf<'a> {
    table: &'a Table,
    row: usize,
}

impl RowOf<'_> {
    fn value(&self, source: usize) -> (&Column, Kind, usize) {
        let Source { layer, column, kind } = self.table.edits.sources[source];
        let layer = &self.table.layers[layer];
        (&layer.columns[column], kind, layer.positions[self.row] as usize)
    }
}

impl Written for RowOf<'_> {
    fn is_present(&self, source: usize) -> bool {
        let (column, _, row) = self.value(source);
        column.is_present(row)
    }

    fn write(&self, source: usize, body: &mut Vec<u8>) {
        let (column, kind, row) = self.value(source);
        value::write(column, kind, row, body);
    }
}

impl Table {
    /// Appends the row's document: the record's own bytes with what was written cut in. What is there replaces the old value
    /// (all of them, where a key was repeated), what is not there removes it, objects on the way are made. Everything else is
    /// byte for byte as it came, but for line breaks between values, which become blanks.
    pub fn document(&self, row: usize, body: &mut Vec<u8>) {
        let start = body.len();
        let record = self.rows[row].record;
        let values = RowOf { table: self, row };
        let (last, before) = match self.edits.passes.split_last() {
            Some((last, before)) => (last.as_slice(), before),
            None => (&[][..], &[][..]),
        };
        // The record as the passes so far left it.
        let mut now: Option<(Vec<u8>, Vec<Span>)> = None;
        let apply = |now: &Option<(Vec<u8>, Vec<Span>)>, pass: &[Edit], body: &mut Vec<u8>| {
            let (text, spans) = match now {
                Some((text, spans)) => (text.as_slice(), spans.as_slice()),
                None => (self.shared.value(record), self.shared.spans(record)),
            };
            splice(&self.shared.plan, text, spans, pass, body, &values);
        };
        for pass in before {
            let (mut text, mut spans) = (Vec::new(), vec![Span::ABSENT; self.shared.plan.len()]);
            apply(&now, pass, &mut text);
            if scan::object(&self.shared.plan, &text, &mut spans, &mut Marks::default()).is_err() {
                // It grew longer than anything that is decoded, and than anything that an index takes.
                break;
            }
            now = Some((text, spans));
        }
        apply(&now, last, body);
        super::splice::join_lines(&mut body[start..]);
    }

    /// The row's document and where the plan's fields are in it.
    pub(super) fn render(&self, row: usize, body: &mut Vec<u8>, spans: &mut [Span]) -> Result<(), Fault> {
        body.clear();
        self.document(row, body);
        spans.fill(Span::ABSENT);
        scan::object(&self.shared.plan, body, spans, &mut Marks::default())
    }
}
