//! The columns that a reader asks for, made from spans, from what was written, and from what a record is besides its value.

use super::coerce::{self, Raw};
use super::edits::{Source, Supply};
use super::path::Own;
use super::plan::{Place, ROOT, Slot};
use super::span::{Shape, Span};
use super::table::{Table, retain_rows};
use super::{Reads, Rejected, time, value};
use crate::config::OnWrongType;
use crate::record::{Batch, Column, EventTime, Kind, Reason, ReasonKind, Slices, Values};

/// A field that is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ReadField {
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

/// Rows without a value for a field: with nothing where it is absent, else with what was found.
type Missing = Vec<(usize, Option<&'static str>)>;

impl Table {
    /// Fills `columns`, whose buffers are used again, with the fields that a reader asks for: a row for each row that
    /// remains. Rows without a required field, or with a value that is not of the kind, leave the table and are returned.
    pub fn columns(&mut self, reads: &Reads, columns: &mut Batch) -> Vec<Rejected> {
        columns.columns.resize_with(reads.fields.len(), || Column { values: Values::Presence, present: Vec::new() });
        let mut failed = Vec::new();
        let mut missing = Missing::new();
        let mut documents = None;
        for (field, column) in reads.fields.iter().zip(&mut columns.columns) {
            missing.clear();
            match &field.place {
                Place::Own(own) => self.own(own, field.kind, column, &mut missing),
                Place::Field(slot) => match self.edits.supply(&self.shared.plan, *slot) {
                    Supply::Records => self.column_of_records(*slot, field.kind, column, &mut missing),
                    Supply::Written(source) => self.column_of_written(source, field.kind, column, &mut missing),
                    Supply::Documents => {
                        let documents = documents.get_or_insert_with(|| self.documents());
                        let slots = self.shared.plan.len();
                        let raw = |row: usize| {
                            let span = documents.spans[row * slots + slot];
                            Raw { shape: span.shape(), bytes: span.of(documents.bodies.get(row)) }
                        };
                        self.fill(column, field.kind, raw, &mut missing);
                    }
                },
            }
            for (row, found) in missing.drain(..) {
                if let Some(reason) = self.judge(field, found) {
                    failed.push((row, reason));
                }
            }
        }
        failed.sort_by_key(|(row, _)| *row);
        failed.dedup_by_key(|(row, _)| *row);
        if !failed.is_empty() {
            let mut keep = vec![true; self.len()];
            failed.iter().for_each(|(row, _)| keep[*row] = false);
            columns.columns.iter_mut().for_each(|column| retain(column, &keep));
        }
        let rejected = self.take_failed(failed);
        columns.rows = self.len() as u32;
        rejected
    }

    /// Whether a row without a value for a field is rejected, and why.
    fn judge(&self, field: &ReadField, found: Option<&'static str>) -> Option<Reason> {
        let (path, kind) = (&field.path, field.kind.name());
        let message = match (found, self.shared.on_wrong_type) {
            (Some(found), OnWrongType::DeadLetter) => {
                format!("a field is not of the kind that is read: field=`{path}`, expected=`{kind}`, found=`{found}`")
            }
            (Some(found), OnWrongType::Null) if field.required => {
                format!("a required field is not of its kind: field=`{path}`, expected=`{kind}`, found=`{found}`")
            }
            (None, _) if field.required => {
                format!("a required field is absent or null: field=`{path}`, expected=`{kind}`")
            }
            (Some(_) | None, OnWrongType::DeadLetter | OnWrongType::Null) => return None,
        };
        Some(Reason::new(ReasonKind::Field, message))
    }

    fn fill<'a>(&self, column: &mut Column, kind: Kind, raw: impl Fn(usize) -> Raw<'a>, missing: &mut Missing) {
        let missing = |row, found| missing.push((row, found));
        coerce::fill(column, kind, self.shared.unit, self.len(), raw, missing);
    }

    fn column_of_records(&self, slot: Slot, kind: Kind, column: &mut Column, missing: &mut Missing) {
        let (shared, rows, slots) = (&*self.shared, &*self.rows, self.shared.plan.len());
        let default = Raw::of(&shared.defaults[slot]);
        let raw = |row: usize| {
            let record = rows[row].record;
            let span = shared.spans[record as usize * slots + slot];
            match span.shape() {
                Shape::Absent => default,
                shape => Raw { shape, bytes: span.of(shared.value(record)) },
            }
        };
        self.fill(column, kind, raw, missing);
    }

    fn column_of_written(&self, source: Source, kind: Kind, column: &mut Column, missing: &mut Missing) {
        let layer = &self.layers[source.layer];
        let (written, positions) = (&layer.columns[source.column], &*layer.positions);
        if source.kind != kind {
            // As it is spelled in the document, and from there by the rules for all values.
            let mut spelled = Slices::default();
            for position in positions {
                let position = *position as usize;
                spelled.push_with(|bytes| {
                    if written.is_present(position) {
                        value::write(written, source.kind, position, bytes);
                    }
                });
            }
            return self.fill(column, kind, |row| Raw::of(spelled.get(row)), missing);
        }
        let from = |row: usize| positions[row] as usize;
        // A JSON null is absent as well.
        let is_there = |row: usize| match &written.values {
            Values::Slices(values) if kind == Kind::Json => {
                written.is_present(from(row)) && values.get(from(row)).trim_ascii() != b"null"
            }
            Values::Presence | Values::Booleans(_) | Values::Integers(_) | Values::Floats(_) | Values::Slices(_) => {
                written.is_present(from(row))
            }
        };
        coerce::reset(column, kind, self.len());
        let rows = 0..self.len();
        match (&mut column.values, &written.values) {
            (Values::Booleans(into), Values::Booleans(values)) => into.extend(rows.map(|row| values[from(row)])),
            (Values::Integers(into), Values::Integers(values)) => into.extend(rows.map(|row| values[from(row)])),
            (Values::Floats(into), Values::Floats(values)) => into.extend(rows.map(|row| values[from(row)])),
            (Values::Slices(into), Values::Slices(values)) => {
                rows.for_each(|row| into.push(if is_there(row) { values.get(from(row)) } else { &[] }));
            }
            (
                Values::Presence | Values::Booleans(_) | Values::Integers(_) | Values::Floats(_) | Values::Slices(_),
                _,
            ) => debug_assert!(false, "a kind has one variant, and presence is not written"),
        }
        for row in 0..self.len() {
            if !is_there(row) {
                column.present[row] = 0;
                missing.push((row, None));
            }
        }
        if missing.is_empty() {
            column.present.clear();
        }
    }

    /// All documents as they are now. One that grew too long to decode has no fields.
    fn documents(&self) -> Documents {
        let slots = self.shared.plan.len();
        let mut documents = Documents { bodies: Slices::default(), spans: vec![Span::ABSENT; self.len() * slots] };
        let mut body = Vec::new();
        for (row, spans) in documents.spans.chunks_exact_mut(slots).enumerate() {
            if self.render(row, &mut body, spans).is_err() {
                body.clear();
                spans.fill(Span::ABSENT);
            }
            documents.bodies.push(&body);
        }
        documents
    }

    fn own(&self, own: &Own, kind: Kind, column: &mut Column, missing: &mut Missing) {
        let batch = &self.shared.batch;
        let record = |row: usize| self.rows[row].record as usize;
        match own {
            Own::Key => self.raw_bytes(kind, column, missing, |row| batch.key(record(row))),
            Own::Value => self.raw_bytes(kind, column, missing, |row| {
                if kind != Kind::Json {
                    return batch.value(record(row));
                }
                Some(self.shared.spans(self.rows[row].record)[ROOT].of(self.shared.value(self.rows[row].record)))
            }),
            Own::Header(name) => self.raw_bytes(kind, column, missing, |row| {
                batch.headers(record(row)).rfind(|(header, _)| header == name).and_then(|(_, value)| value)
            }),
            Own::Topic => {
                let topic = self.shared.partition.topic.as_bytes();
                if kind == Kind::Json {
                    let mut quoted = Vec::new();
                    super::text::quote(topic, &mut quoted);
                    return self.raw_bytes(kind, column, missing, |_| Some(&quoted));
                }
                self.raw_bytes(kind, column, missing, |_| Some(topic));
            }
            Own::Timestamp => self.times(kind, column, missing, |row| batch.timestamp(record(row))),
            Own::EventTime => self.times(kind, column, missing, |row| Some(self.rows[row].event_time)),
            Own::Received => self.times(kind, column, missing, |_| Some(batch.received())),
            Own::Partition => {
                self.spelled(kind, column, missing, |_, text| {
                    push_integer(i64::from(self.shared.partition.number), text)
                });
            }
            Own::Offset => {
                self.spelled(kind, column, missing, |row, text| push_integer(batch.offset(record(row)).0, text));
            }
        }
    }

    /// Bytes as they came: as text only where they are UTF-8.
    fn raw_bytes<'a>(
        &self,
        kind: Kind,
        column: &mut Column,
        missing: &mut Missing,
        bytes: impl Fn(usize) -> Option<&'a [u8]>,
    ) {
        coerce::reset(column, kind, self.len());
        for row in 0..self.len() {
            let value = bytes(row);
            let taken = value.filter(|value| kind != Kind::Text || simdutf8::basic::from_utf8(value).is_ok());
            if let Values::Slices(values) = &mut column.values {
                values.push(taken.unwrap_or_default());
            }
            if taken.is_none() {
                column.present[row] = 0;
                missing.push((row, value.map(|_| "bytes that are not UTF-8")));
            }
        }
        if missing.is_empty() {
            column.present.clear();
        }
    }

    fn times(&self, kind: Kind, column: &mut Column, missing: &mut Missing, at: impl Fn(usize) -> Option<EventTime>) {
        let at = |row| at(row).map(EventTime::micros).filter(|micros| time::in_calendar(*micros));
        if kind != Kind::Timestamp {
            return self.spelled(kind, column, missing, |row, text| {
                if let Some(micros) = at(row) {
                    text.push(b'"');
                    time::write(micros, text);
                    text.push(b'"');
                }
            });
        }
        coerce::reset(column, kind, self.len());
        if let Values::Integers(values) = &mut column.values {
            for row in 0..self.rows.len() {
                let micros = at(row);
                values.push(micros.unwrap_or(0));
                if micros.is_none() {
                    column.present[row] = 0;
                    missing.push((row, None));
                }
            }
        }
        if missing.is_empty() {
            column.present.clear();
        }
    }

    /// Values in their JSON spelling; nothing where there is none.
    fn spelled(&self, kind: Kind, column: &mut Column, missing: &mut Missing, write: impl Fn(usize, &mut Vec<u8>)) {
        let mut spelled = Slices::default();
        (0..self.len()).for_each(|row| spelled.push_with(|text| write(row, text)));
        self.fill(column, kind, |row| Raw::of(spelled.get(row)), missing);
    }
}

struct Documents {
    bodies: Slices,
    /// As many for each row as the plan has slots.
    spans: Vec<Span>,
}

fn push_integer(value: i64, text: &mut Vec<u8>) {
    use std::io::Write;
    write!(text, "{value}").expect("a vector takes all that is written");
}

/// Keeps the rows of a column that `keep` says.
fn retain(column: &mut Column, keep: &[bool]) {
    let kept = |row: usize| keep[row];
    match &mut column.values {
        Values::Presence => {}
        Values::Booleans(values) => retain_rows(values, kept),
        Values::Integers(values) => retain_rows(values, kept),
        Values::Floats(values) => retain_rows(values, kept),
        Values::Slices(values) => {
            *values = (0..values.len()).filter(|row| kept(*row)).map(|row| values.get(row)).collect();
        }
    }
    if !column.present.is_empty() {
        retain_rows(&mut column.present, kept);
        if column.present.iter().all(|present| *present != 0) {
            column.present.clear();
        }
    }
}
