//! Documents of single records: for outputs without an aggregate.

use crate::decode::{Rejected, Table};
use crate::lane::index::{IdPlan, text_of};
use crate::lane::plan::OutputPlan;
use crate::lane::{Effect, id};
use crate::record::{Batch, DocumentBatch, EventTime, Reason, ReasonKind, RecordBatch, Values};

use super::{BatchWork, InFlight, SourceLane};

/// Which record, and which of those that it was split into, a document is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub record: u32,
    pub ordinal: u32,
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
        if !known.is_empty() {
            table.remove_records(&known);
        }
        let (mut index_columns, mut id_columns) = (Batch::default(), Batch::default());
        read_names(output_plan, &mut table, &mut index_columns, &mut id_columns, work);
        let mut documents = DocumentBatch::default();
        let mut sent = Vec::with_capacity(table.len());
        let mut id_text = String::new();
        for row in 0..table.len() {
            let (record, ordinal) = (table.record(row), table.ordinal(row));
            let offset = batch.offset(record as usize);
            let index = output_plan.index.name(&index_columns, row, table.event_time(row), &mut self.names);
            let version = match &output_plan.id {
                IdPlan::Derived => {
                    id::record_id(&output_plan.name, &self.partition, offset, ordinal, &mut id_text);
                    Ok(id::version(self.revision, offset))
                }
                IdPlan::Named { versioned, .. } => {
                    named(&id_columns, row, *versioned, id::version(self.revision, offset), &mut id_text)
                }
            };
            match (index, version) {
                (Ok(index), Ok(version)) => {
                    documents.push(&index, &id_text, version, |body| table.document(row, body));
                    sent.push(Sent { record, ordinal });
                }
                (Err(message), _) | (_, Err(message)) => {
                    let reason = Reason::new(ReasonKind::Document, message);
                    work.departed.rejected.push((None, Rejected { record, ordinal, reason }));
                }
            }
        }
        let deleting = if output_plan.deletes { tombstones } else { &[] };
        for record in deleting.iter().copied().filter(|record| batch.offset(*record as usize) >= self.settled) {
            let version = id::version(self.revision, batch.offset(record as usize));
            // The index is the same for all.
            let index = output_plan.index.name(&Batch::default(), 0, EventTime::MIN, &mut self.names);
            match index.and_then(|index| Ok((index, key_of(&batch, record as usize)?))) {
                Ok((index, id)) => {
                    documents.push_delete(&index, id, version);
                    sent.push(Sent { record, ordinal: 0 });
                }
                Err(message) => {
                    let reason = Reason::new(ReasonKind::Document, message);
                    work.departed.rejected.push((None, Rejected { record, ordinal: 0, reason }));
                }
            }
        }
        if !documents.is_empty() {
            self.tally.documents += documents.len() as u64;
            let ticket = self.in_flight.open(InFlight::Documents { output, batch, sent });
            work.tickets.push(ticket);
            effects.push(Effect::Index { ticket, documents });
        }
    }
}

/// Reads what index names and ids are made of. A row that lacks a field leaves the table, so the columns that were read
/// before are read again.
fn read_names(output: &OutputPlan, table: &mut Table, index: &mut Batch, ids: &mut Batch, work: &mut BatchWork) {
    loop {
        let rejected = table.columns(&output.index.reads, index);
        work.departed.reject(None, rejected);
        let IdPlan::Named { reads, .. } = &output.id else { return };
        let rejected = table.columns(reads, ids);
        if rejected.is_empty() {
            return;
        }
        work.departed.reject(None, rejected);
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
