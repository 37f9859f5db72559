//! Documents of single records: for outputs without an aggregate.

use crate::decode::{Rejected, Table};
use crate::lane::index::{IdPlan, text_of};
use crate::lane::plan::OutputPlan;
use crate::lane::{DocumentOf, Effect, RowFate, id};
use crate::record::{Batch, DocumentBatch, EventTime, Operation, Reason, ReasonKind, RecordBatch, Values};

use super::{BatchWork, InFlight, SourceLane};

/// Which record, and which of those that it was split into, a document is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub record: u32,
    pub ordinal: u32,
}

/// Documents, and what each is of.
struct Made {
    documents: DocumentBatch,
    sent: Vec<Sent>,
}

impl SourceLane {
    /// Sends a document for each row, and where the output wants it a deletion for each record without a value; except for records that an
    /// earlier owner of the position had settled.
    pub(super) fn index_records(
        &mut self,
        output: usize,
        mut table: Table,
        tombstones: &[u32],
        work: &mut BatchWork,
        effects: &mut Vec<Effect>,
    ) {
        let plan = self.plan.clone();
        let output_plan = &plan.outputs[output];
        let batch = table.batch().clone();
        let known: Vec<u32> =
            (0..batch.len()).take_while(|row| batch.offset(*row) < self.settled).map(|row| row as u32).collect();
        let rows = table.len();
        if !known.is_empty() {
            table.remove_records(&known);
        }
        let before = rows - table.len();
        let mut columns = Columns::default();
        columns.read(output_plan, &mut table, work);
        let mut made = Made { documents: DocumentBatch::default(), sent: Vec::with_capacity(table.len()) };
        made.documents.write_with(&output_plan.options);
        let is_versioned = output_plan.operation == Operation::Index;
        let deleting = if output_plan.deletes { tombstones } else { &[] };
        let settled = deleting.iter().take_while(|record| batch.offset(**record as usize) < self.settled).count();
        work.departed.fates.push((RowFate::Before, (before + settled) as u64));
        let mut deleting = deleting[settled..].iter().copied().peekable();
        let mut id_text = String::new();
        for row in 0..table.len() {
            let (record, ordinal) = (table.record(row), table.ordinal(row));
            while let Some(deleted) = deleting.next_if(|deleted| *deleted < record) {
                self.delete(output_plan, &batch, deleted, &mut made, work);
            }
            let offset = batch.offset(record as usize);
            let index = output_plan.index.name(&columns.index, row, table.event_time(row), &mut self.names);
            let version = match &output_plan.id {
                IdPlan::Derived => {
                    id::record_id(&output_plan.name, &self.partition, offset, ordinal, &mut id_text);
                    Ok(id::version(self.revision, offset))
                }
                IdPlan::Named { versioned, .. } => {
                    named(&columns.id, row, *versioned, id::version(self.revision, offset), &mut id_text)
                }
            };
            match (index, version) {
                (Ok(index), Ok(version)) => {
                    let version = is_versioned.then_some(version);
                    let write = |body: &mut Vec<u8>| table.document(row, body);
                    made.documents.push_as(output_plan.operation, &index, &id_text, version, write);
                    if let Some(column) = columns.routing.columns.first() {
                        made.documents.route(text_of(column, row));
                    }
                    made.sent.push(Sent { record, ordinal });
                }
                (Err(message), _) | (_, Err(message)) => {
                    let reason = Reason::new(ReasonKind::Document, message);
                    work.departed.rejected.push((None, Rejected { record, ordinal, reason }));
                }
            }
        }
        deleting.for_each(|record| self.delete(output_plan, &batch, record, &mut made, work));
        let Made { documents, sent } = made;
        if let Some(ledger) = &mut work.departed.ledger {
            ledger.documents(sent.iter().map(|sent| DocumentOf { record: sent.record, ordinal: sent.ordinal }));
        }
        if !documents.is_empty() {
            self.tally.documents += documents.len() as u64;
            work.departed.fates.push((RowFate::Document, documents.len() as u64));
            let ticket = self.in_flight.open(InFlight::Documents { output, batch, number: self.judging.sent(), sent });
            work.tickets.push(ticket);
            effects.push(Effect::Index { ticket, documents });
        }
    }

    /// Adds a deletion for a record without a value.
    fn delete(&mut self, output: &OutputPlan, batch: &RecordBatch, record: u32, made: &mut Made, work: &mut BatchWork) {
        let version = id::version(self.revision, batch.offset(record as usize));
        let version = (output.operation == Operation::Index).then_some(version);
        // The index is the same for all.
        let index = output.index.name(&Batch::default(), 0, EventTime::MIN, &mut self.names);
        match index.and_then(|index| Ok((index, key_of(batch, record as usize)?))) {
            Ok((index, id)) => {
                made.documents.push_as(Operation::Delete, &index, id, version, |_| {});
                made.sent.push(Sent { record, ordinal: 0 });
            }
            Err(message) => {
                let reason = Reason::new(ReasonKind::Document, message);
                work.departed.rejected.push((None, Rejected { record, ordinal: 0, reason }));
            }
        }
    }
}

/// What index names, ids and routings are made of.
#[derive(Default)]
struct Columns {
    index: Batch,
    id: Batch,
    routing: Batch,
}

impl Columns {
    /// A row that lacks a field leaves the table, so the columns that were read before are read again.
    fn read(&mut self, output: &OutputPlan, table: &mut Table, work: &mut BatchWork) {
        let id = match &output.id {
            IdPlan::Named { reads, .. } => Some(reads),
            IdPlan::Derived => None,
        };
        loop {
            let rows = table.len();
            let all = [
                (Some(&output.index.reads), &mut self.index),
                (id, &mut self.id),
                (output.routing.as_ref(), &mut self.routing),
            ];
            for (reads, columns) in all {
                let Some(reads) = reads else { continue };
                let rejected = table.columns(reads, columns);
                work.departed.reject(None, rejected);
            }
            if table.len() == rows {
                return;
            }
        }
    }
}

/// The document that the key of a record without a value names.
fn key_of(batch: &RecordBatch, record: usize) -> Result<&str, String> {
    let key = batch.key(record).ok_or("a record without key and value names no document to delete")?;
    let id = std::str::from_utf8(key);
    checked(id.map_err(|_| "a key that is not UTF-8 names no document to delete")?)
}

fn checked(id: &str) -> Result<&str, String> {
    match id.len() {
        1..=512 => Ok(id),
        bytes => Err(format!("an id has 1 to 512 bytes, this one has {bytes}")),
    }
}

/// The id that a field names, and its version: a field too, or `offset`, which is one of the record.
fn named(columns: &Batch, row: usize, versioned: bool, offset: u64, id: &mut String) -> Result<u64, String> {
    id.clear();
    id.push_str(checked(columns.columns.first().map_or("", |column| text_of(column, row)))?);
    if !versioned {
        return Ok(offset);
    }
    let version = match columns.columns.get(1).map(|column| &column.values) {
        Some(Values::Integers(values)) => values[row],
        Some(Values::Presence | Values::Booleans(_) | Values::Floats(_) | Values::Slices(_)) | None => 0,
    };
    u64::try_from(version).map_err(|_| format!("a version is not negative, this one is {version}"))
}
