//! How often the fields that a pipeline reads are there: in a file, or in the newest records of the topics.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::way::{Origin, Way};
use crate::cli::columns::count;
use crate::config::{DecodeSettings, OnWrongType, PipelineSettings};
use crate::decode::{Decoder, Reads};
use crate::record::{Batch, BatchBuilder, EventTime, Field, Kind, Offset, Partition, ReasonKind, RecordBatch};

/// As in the source.
const BATCH_RECORDS_MAX: usize = 4096;
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What records have shown. Filters are not asked: all records count.
pub(super) struct Sample {
    name: String,
    /// None where the event time is Kafka's, and there is no Kafka.
    is_timed: bool,
    max_future: Duration,
    decoder: Decoder,
    /// Each field twice: whether it is there, and of its kind.
    reads: Reads,
    records: u64,
    tombstones: u64,
    with_event_time: u64,
    /// How many there are of each reason, and the first of them.
    rejected: BTreeMap<ReasonKind, (u64, String)>,
    times: Option<(EventTime, EventTime)>,
    /// How often each field is there, and of its kind.
    fields: Vec<(Field, u64, u64)>,
}

pub(super) struct Measured {
    pub there: String,
    pub of_that_kind: String,
}

/// Measures a file of values, one a line.
pub(super) fn of_file(settings: &PipelineSettings, ways: &[Way], file: &Path) -> anyhow::Result<Sample> {
    let mut settings = settings.clone();
    // A file has no headers.
    settings.decode.schema_version.take_if(|path| path.starts_with('$'));
    let mut sample = Sample::new(&settings, ways, format!("sample {}", file.display()))?;
    sample.is_timed = settings.decode.event_time != "$timestamp";
    let own_time = if sample.is_timed { None } else { Some(EventTime::from_micros(0)) };
    let cannot_read = || format!("cannot read the sample: file=`{}`", file.display());
    let mut lines = BufReader::new(File::open(file).with_context(cannot_read)?);
    let mut line = Vec::new();
    let new_batch = || BatchBuilder::new(EventTime::MIN);
    let mut batch = new_batch();
    for number in 1.. {
        line.clear();
        let ended = lines.read_until(b'\n', &mut line).with_context(cannot_read)? == 0;
        if batch.len() == BATCH_RECORDS_MAX || batch.bytes() >= BATCH_BYTES_MAX || ended {
            let full = std::mem::replace(&mut batch, new_batch());
            sample.add(None, full.finish());
        }
        if ended {
            return Ok(sample);
        }
        if !line.trim_ascii().is_empty() {
            batch.push(Offset(number), own_time, None, Some(line.trim_ascii()));
        }
    }
    Ok(sample)
}

impl Sample {
    pub fn new(settings: &PipelineSettings, ways: &[Way], name: String) -> anyhow::Result<Self> {
        let mut fields: Vec<(Field, u64, u64)> = Vec::new();
        for way in ways {
            for (number, actor) in way.actors.iter().enumerate() {
                for field in &actor.ports.reads {
                    let known = fields.iter().any(|(known, _, _)| known.path == field.path && known.kind == field.kind);
                    if !known && way.origin(number, &field.path) == Origin::Record {
                        fields.push((field.clone(), 0, 0));
                    }
                }
            }
        }
        // A value of the wrong kind must not take its record out of the count of the other fields; and what is counted is what came.
        let decode = DecodeSettings {
            on_wrong_type: OnWrongType::Null,
            defaults: Default::default(),
            ..settings.decode.clone()
        };
        let decoder = Decoder::new(&decode, fields.iter().map(|(field, _, _)| field.path.as_str()))?;
        let read = |field: &Field, kind| Field { path: field.path.clone(), kind, required: false };
        let twice = fields.iter().flat_map(|(field, _, _)| [read(field, Kind::Presence), read(field, field.kind)]);
        let reads = decoder.reads(&twice.collect::<Vec<_>>())?;
        Ok(Sample {
            name,
            is_timed: true,
            max_future: settings.watermark.max_future,
            decoder,
            reads,
            records: 0,
            tombstones: 0,
            with_event_time: 0,
            rejected: BTreeMap::new(),
            times: None,
            fields,
        })
    }

    /// Counts records of a partition, or lines of a file.
    pub fn add(&mut self, partition: Option<&Partition>, batch: RecordBatch) {
        let batch = Arc::new(batch);
        let lines = Partition::new("", 0);
        let mut decoded = self.decoder.decode(partition.unwrap_or(&lines), batch.clone());
        let origin = |record: u32| {
            let offset = batch.offset(record as usize);
            partition.map_or_else(|| format!("line {offset}"), |partition| partition.origin(offset).to_string())
        };
        self.records += batch.len() as u64;
        self.tombstones += decoded.tombstones.len() as u64;
        self.with_event_time += decoded.table.len() as u64;
        let mut reject = |record: u32, kind, message: &str| {
            let first = || (0, format!("{}: {message}", origin(record)));
            self.rejected.entry(kind).or_insert_with(first).0 += 1;
        };
        for rejected in &decoded.rejected {
            reject(rejected.record, rejected.reason.kind, &rejected.reason.message);
        }
        for row in 0..decoded.table.len() {
            let (time, record) = (decoded.table.event_time(row), decoded.table.record(row));
            let timestamp = batch.timestamp(record as usize).filter(|_| partition.is_some());
            if timestamp.is_some_and(|timestamp| time > timestamp.plus(self.max_future)) {
                reject(record, ReasonKind::Future, &format!("it is more than max_future ahead of Kafka's: {time}"));
            }
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
        let mut columns = Batch::default();
        decoded.table.columns(&self.reads, &mut columns);
        let rows = decoded.table.len();
        let mut columns = columns.columns.iter().map(|column| (0..rows).filter(|row| column.is_present(*row)).count());
        for (_, there, of_that_kind) in &mut self.fields {
            *there += columns.next().unwrap_or(0) as u64;
            *of_that_kind += columns.next().unwrap_or(0) as u64;
        }
    }

    /// How often a field was there, of all records that could be read.
    pub fn field(&self, field: &Field) -> Option<Measured> {
        let same = |known: &Field| known.path == field.path && known.kind == field.kind;
        let (_, there, of_that_kind) = self.fields.iter().find(|(known, _, _)| same(known))?;
        Some(Measured { there: share(*there, self.with_event_time), of_that_kind: share(*of_that_kind, *there) })
    }

    /// The records as a whole, line by line.
    pub fn summary(&self) -> String {
        let mut out = format!("{}: {}\n", self.name, count(self.records, "record"));
        match (self.is_timed, self.times) {
            (false, _) => out.push_str("  event times are Kafka's, which a file does not have\n"),
            (true, Some((first, last))) => {
                let share = share(self.with_event_time, self.records - self.tombstones);
                out.push_str(&format!("  {share} with an event time, from {first} to {last}\n"));
            }
            (true, None) if self.records == 0 => {}
            (true, None) => out.push_str("  none with an event time\n"),
        }
        if self.tombstones > 0 {
            out.push_str(&format!("  {} without a value, which no transform sees\n", self.tombstones));
        }
        for (kind, (times, first)) in &self.rejected {
            out.push_str(&format!("  {} ({kind}), the first is {first}\n", count(*times, "dead letter")));
        }
        out
    }
}

/// Cut to a tenth, so that 100 % are all and 0 % are none.
fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".into();
    }
    let tenths = part * 1000 / whole;
    match (part, tenths) {
        (1.., 0) => "< 0.1 %".into(),
        (_, tenths) if tenths % 10 == 0 => format!("{} %", tenths / 10),
        (_, tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}
