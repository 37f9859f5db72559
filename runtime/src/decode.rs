//! Bytes to the columns that somebody reads; poison to rejections. The only room that knows JSON; it sees neither Kafka nor
//! wasmtime.
//!
//! One pass over a record checks the whole value as JSON and notes where the fields are that somebody reads or writes
//! ([`scan`]); its bytes stay as they came. Typed columns are made from there when a component asks ([`Table::columns`]),
//! and documents by cutting what was written into the original bytes ([`Table::document`]).
//!
//! What is taken as JSON, beyond RFC 8259:
//!
//! - The top level is an object. Values are at most [`DEPTH_MAX`] levels deep and 128 MiB long, in UTF-8 without a byte order
//!   mark.
//! - Of a repeated key the last one counts for readers. The document keeps the key as often as it came, which Elasticsearch
//!   refuses; a field that is *written* loses all its occurrences but the new one.
//! - Half of a surrogate pair (`\ud800`) is JSON, but no text: a reader that asks for text finds a wrong type.
//! - A number may be larger than any type (`1e999`): its spelling is kept, and readers judge whether they can hold it.
//!
//! What is taken as a timestamp: RFC 3339, also with a blank for the `T`, and UTC where no offset is given; or a number since
//! 1970, in the declared unit or in the one that its size tells (below 10¹¹ seconds, below 10¹⁴ milliseconds, below 10¹⁷
//! microseconds, else nanoseconds). Microseconds are kept and finer parts cut off. The years 1 to 9999 can be read and written;
//! an event time outside them, or one that cannot be read, is a rejection. Whether an event time is plausible is not judged
//! here.
//!
//! Strings are read as bytes by base64, because bytes are written so; `$key`, `$value` and headers are bytes already.

use std::sync::Arc;

use thiserror::Error;

use crate::config::{DecodeSettings, Format, OnWrongType, TimestampUnit};
use crate::record::{ErrorKind, EventTime, Field, HasKind, Kind, Partition, Reason, ReasonKind, RecordBatch};

mod path;
mod plan;
mod chunk;
mod span;
mod fault;
mod scan;
mod text;
mod number;
mod time;
mod coerce;
mod value;
mod table;
mod columns;
mod write;
mod edits;
mod splice;
mod build;
mod compose;
mod version;
#[cfg(test)]
mod tests;

pub use coerce::column_of_json;
pub use compose::Composer;
pub use table::Table;

use chunk::Marks;
use coerce::Raw;
use columns::ReadField;
use path::Own;
use plan::{Place, Plan, Slot};
use span::Span;
use table::{Row, Shared};
use version::SchemaVersion;
use write::WriteField;

/// How many objects and arrays may lie in one another: enough for any real record (Elasticsearch takes 20 levels of objects
/// by default), and a bound for everything that walks one.
pub const DEPTH_MAX: usize = 128;

/// A pipeline's fields, compiled once and shared by all lanes.
#[derive(Clone, Debug)]
pub struct Decoder {
    plan: Arc<Plan>,
    /// The field's slot; none for the record's own timestamp.
    event_time: Option<Slot>,
    event_time_path: String,
    version: Option<SchemaVersion>,
    unit: TimestampUnit,
    on_wrong_type: OnWrongType,
    /// For each slot, the JSON text that is read where a record has nothing there; empty where there is none.
    defaults: Arc<[Box<[u8]>]>,
}

/// The fields of one reader, found once.
#[derive(Clone, Debug)]
pub struct Reads {
    fields: Arc<[ReadField]>,
}

/// The fields of one writer, found once.
#[derive(Clone, Debug)]
pub struct Writes {
    fields: Arc<[WriteField]>,
}

/// What became of the records of a batch.
#[derive(Debug)]
pub struct Decoded {
    /// The rows that are JSON objects with an event time.
    pub table: Table,
    /// One for each record of the batch; `EventTime::MIN` where there is none.
    pub event_times: Vec<EventTime>,
    /// Not JSON, of a version that is not known, or without an event time that can be read.
    pub rejected: Vec<Rejected>,
    /// Records whose value is null; they are not in the table.
    pub tombstones: Vec<u32>,
}

/// A record, or one of the rows that it was split into, that goes no further.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejected {
    /// Its place in the batch.
    pub record: u32,
    pub ordinal: u32,
    pub reason: Reason,
}

/// What left a table.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Rows that a component dropped.
    pub dropped: u64,
    pub rejected: Vec<Rejected>,
}

/// Fields that cannot be looked for.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum DecodeError {
    #[error("a path cannot be read, {problem}: path=`{path}`; {hint}")]
    Path { path: String, problem: String, hint: String },
    #[error("the event time cannot come from here: event_time=`{path}`; name a field or `$timestamp`")]
    EventTime { path: String },
    #[error("the version of a record cannot come from here: schema_version=`{path}`; name a field or `$header.NAME`")]
    SchemaVersion { path: String },
    #[error("a field cannot be read as this kind: field=`{path}`, kind=`{kind}`; it can be read as {kinds}")]
    OwnKind { path: String, kind: &'static str, kinds: String },
    #[error("a plugin writes what is the record's own: field=`{path}`; a field of this name is written `\\{path}`")]
    WrittenOwn { path: String },
    #[error("a plugin writes a field as presence, which has no value: field=`{path}`; write a boolean")]
    WrittenPresence { path: String },
    #[error("a plugin writes a field and something in it: one=`{one}`, other=`{other}`; write one of them")]
    Conflict { one: String, other: String },
    #[error("a field was not declared to the decoder: field=`{path}`; this is a bug, please report it")]
    Undeclared { path: String },
}

impl HasKind for DecodeError {
    fn kind(&self) -> ErrorKind {
        match self {
            DecodeError::Path { .. }
            | DecodeError::EventTime { .. }
            | DecodeError::SchemaVersion { .. }
            | DecodeError::OwnKind { .. } => ErrorKind::Config,
            DecodeError::WrittenOwn { .. } | DecodeError::WrittenPresence { .. } | DecodeError::Conflict { .. } => {
                ErrorKind::Plugin
            }
            DecodeError::Undeclared { .. } => ErrorKind::Internal,
        }
    }
}

impl Decoder {
    /// `paths`: all that anybody will read or write (and more does no harm, but costs time); the event time's is known.
    pub fn new<'a>(
        settings: &DecodeSettings,
        paths: impl IntoIterator<Item = &'a str>,
    ) -> Result<Decoder, DecodeError> {
        let Format::Json = settings.format;
        let event_time_path = settings.event_time.clone();
        let judged = settings.schema_version.iter().chain([&event_time_path]).cloned();
        let plan = Plan::new(paths.into_iter().map(String::from).chain(judged))?;
        let event_time = match plan.place(&event_time_path)? {
            Place::Field(slot) => Some(slot),
            Place::Own(Own::Timestamp) => None,
            Place::Own(_) => return Err(DecodeError::EventTime { path: event_time_path }),
        };
        let version = settings.schema_version.as_deref();
        let version = version.map(|path| SchemaVersion::new(&plan, path, &settings.schema_versions)).transpose()?;
        let mut defaults = vec![Box::default(); plan.len()];
        for (path, json) in &settings.defaults {
            match plan.place(path) {
                Ok(Place::Field(slot)) => defaults[slot] = json.as_bytes().into(),
                // Nobody reads it.
                Err(DecodeError::Undeclared { .. }) => {}
                Ok(Place::Own(_)) => return Err(DecodeError::WrittenOwn { path: path.clone() }),
                Err(error) => return Err(error),
            }
        }
        Ok(Decoder {
            plan: Arc::new(plan),
            event_time,
            event_time_path,
            version,
            unit: settings.timestamp_unit,
            on_wrong_type: settings.on_wrong_type,
            defaults: defaults.into(),
        })
    }

    /// For [`Table::columns`], in this order.
    pub fn reads(&self, fields: &[Field]) -> Result<Reads, DecodeError> {
        let read = |field: &Field| {
            let place = self.plan.place(&field.path)?;
            if let Place::Own(own) = &place
                && !own.kinds().contains(&field.kind)
            {
                let kinds: Vec<_> = own.kinds().iter().map(|kind| kind.name()).collect();
                return Err(DecodeError::OwnKind {
                    path: field.path.clone(),
                    kind: field.kind.name(),
                    kinds: kinds.join(", "),
                });
            }
            Ok(ReadField { path: field.path.clone(), place, kind: field.kind, required: field.required })
        };
        Ok(Reads { fields: fields.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// For [`Table::write`], in this order.
    pub fn writes(&self, fields: &[Field]) -> Result<Writes, DecodeError> {
        let write = |field: &Field| match self.plan.place(&field.path)? {
            Place::Own(_) => Err(DecodeError::WrittenOwn { path: field.path.clone() }),
            Place::Field(slot) => Ok(WriteField { slot, kind: field.kind }),
        };
        let fields: Arc<[WriteField]> = fields.iter().map(write).collect::<Result<_, _>>()?;
        write::refuse_conflicts(&self.plan, fields.iter().map(|field| (field.slot, field.kind)))?;
        Ok(Writes { fields })
    }

    /// Judges each record of a batch of a partition: is it JSON, and when did it happen?
    pub fn decode(&self, partition: &Partition, batch: Arc<RecordBatch>) -> Decoded {
        let (records, slots) = (batch.len(), self.plan.len());
        let mut spans = Vec::with_capacity(records * slots);
        let mut marks = Marks::default();
        let mut event_times = vec![EventTime::MIN; records];
        let mut rows = Vec::with_capacity(records);
        let (mut rejected, mut tombstones) = (Vec::new(), Vec::new());
        for row in 0..records {
            let record = row as u32;
            spans.resize((row + 1) * slots, Span::ABSENT);
            let Some(value) = batch.value(row) else {
                tombstones.push(record);
                continue;
            };
            let spans = &mut spans[row * slots..];
            let event_time = match scan::object(&self.plan, value, spans, &mut marks) {
                Ok(()) => {
                    let known =
                        self.version.as_ref().map_or(Ok(()), |version| version.judge(&batch, row, value, spans));
                    known.and_then(|()| self.event_time(&batch, row, value, spans))
                }
                Err(fault) => Err(Reason::new(ReasonKind::Json, fault.to_string())),
            };
            match event_time {
                Ok(event_time) => {
                    event_times[row] = event_time;
                    rows.push(Row { record, ordinal: 0, event_time });
                }
                Err(reason) => rejected.push(Rejected { record, ordinal: 0, reason }),
            }
        }
        let shared = Shared {
            plan: self.plan.clone(),
            unit: self.unit,
            on_wrong_type: self.on_wrong_type,
            defaults: self.defaults.clone(),
            partition: partition.clone(),
            batch,
            spans,
        };
        Decoded { table: Table::new(shared, rows), event_times, rejected, tombstones }
    }

    fn event_time(&self, batch: &RecordBatch, row: usize, value: &[u8], spans: &[Span]) -> Result<EventTime, Reason> {
        let path = &self.event_time_path;
        let reason = |message: String| Reason::new(ReasonKind::EventTime, message);
        let Some(slot) = self.event_time else {
            let time = batch.timestamp(row).filter(|time| time::in_calendar(time.micros()));
            return time.ok_or_else(|| reason("the record has no timestamp: event_time=`$timestamp`".to_owned()));
        };
        let span = spans[slot];
        let raw = Raw { shape: span.shape(), bytes: span.of(value) };
        if let Some(micros) = raw.micros(self.unit) {
            return Ok(EventTime::from_micros(micros));
        }
        Err(reason(if raw.shape.is_present() {
            let found = coerce::found(Kind::Timestamp, raw.shape);
            format!("the event time cannot be read: field=`{path}`, found=`{found}`")
        } else {
            format!("the event time is absent or null: field=`{path}`")
        }))
    }
}
