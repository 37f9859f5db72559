//! How often the fields that a pipeline reads are there, in a file of records.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use super::way::{Origin, Way};
use crate::cli::columns::count;
use crate::config::{DecodeSettings, OnWrongType, PipelineSettings};
use crate::decode::{Decoder, Reads};
use crate::record::{Batch, BatchBuilder, EventTime, Field, Kind, Offset, Partition, ReasonKind, RecordBatch};

/// As in the source.
const BATCH_RECORDS_MAX: usize = 4096;
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What a file of records has shown.
pub(super) struct Sample {
    name: String,
    /// `$timestamp`: a file of values has none.
    own_time: bool,
    records: u64,
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

/// Reads the file as the pipeline would, up to the components: filters are not asked, so all records count.
pub(super) fn measure(settings: &PipelineSettings, ways: &[Way], file: &Path) -> anyhow::Result<Sample> {
    let mut sample = Sample::new(settings, ways, file);
    let own_time = if sample.own_time { Some(EventTime::from_micros(0)) } else { None };
    let paths = sample.fields.iter().map(|(field, _, _)| field.path.as_str());
    // A value of the wrong kind must not take its record out of the count of the other fields.
    let decode = DecodeSettings { on_wrong_type: OnWrongType::Null, ..settings.decode.clone() };
    let decoder = Decoder::new(&decode, paths)?;
    let twice =
        sample.fields.iter().flat_map(|(field, _, _)| [Field { kind: Kind::Presence, ..field.clone() }, field.clone()]);
    let optional: Vec<Field> = twice.map(|field| Field { required: false, ..field }).collect();
    let reads = decoder.reads(&optional)?;

    let cannot_read = || format!("cannot read the sample: file=`{}`", file.display());
    let mut lines = BufReader::new(File::open(file).with_context(cannot_read)?);
    let mut line = Vec::new();
    let mut batch = BatchBuilder::new(EventTime::from_micros(0));
    for number in 1.. {
        line.clear();
        let ended = lines.read_until(b'\n', &mut line).with_context(cannot_read)? == 0;
        if batch.len() == BATCH_RECORDS_MAX || batch.bytes() >= BATCH_BYTES_MAX || ended {
            let full = std::mem::replace(&mut batch, BatchBuilder::new(EventTime::from_micros(0)));
            sample.add(&decoder, &reads, full.finish());
        }
        if ended {
            break;
        }
        if !line.trim_ascii().is_empty() {
            batch.push(Offset(number), own_time, None, Some(line.trim_ascii()));
        }
    }
    Ok(sample)
}

impl Sample {
    fn new(settings: &PipelineSettings, ways: &[Way], file: &Path) -> Self {
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
        Sample {
            name: file.display().to_string(),
            own_time: settings.decode.event_time == "$timestamp",
            records: 0,
            with_event_time: 0,
            rejected: BTreeMap::new(),
            times: None,
            fields,
        }
    }

    fn add(&mut self, decoder: &Decoder, reads: &Reads, batch: RecordBatch) {
        let batch = Arc::new(batch);
        self.records += batch.len() as u64;
        let mut decoded = decoder.decode(&Partition::new("sample", 0), batch.clone());
        self.with_event_time += decoded.table.len() as u64;
        for rejected in decoded.rejected {
            let (count, _) = self.rejected.entry(rejected.reason.kind).or_insert_with(|| {
                let line = batch.offset(rejected.record as usize);
                (0, format!("line {line}: {}", rejected.reason.message))
            });
            *count += 1;
        }
        for row in 0..decoded.table.len() {
            let time = decoded.table.event_time(row);
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
        let mut columns = Batch::default();
        decoded.table.columns(reads, &mut columns);
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
        let mut out = format!("sample {}: {}\n", self.name, count(self.records, "record"));
        match (self.own_time, self.times) {
            (true, _) => out.push_str("  event times are Kafka's, which a sample does not have\n"),
            (false, Some((first, last))) => {
                let share = share(self.with_event_time, self.records);
                out.push_str(&format!("  {share} with an event time, from {first} to {last}\n"));
            }
            (false, None) => out.push_str("  none with an event time\n"),
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
