//! Records as the columns that a component reads, cut into calls; the same ones over and over, and each call full.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::cli::input::InputError;
use crate::config::{DecodeSettings, Format, OnWrongType, TimestampUnit};
use crate::decode::{Decoder, Reads};
use crate::pipeline::VirtualRecord;
use crate::plugin::Plugin;
use crate::record::{Batch, BatchBuilder, Column, EventTime, Field, Kind, Offset, Partition, RecordBatch, Values};

/// Different calls, so that neither caches nor branch predictors know a large file by heart.
const CALLS_MAX: usize = 32;

/// A pipeline's batches are about as large.
const CALL_BYTES_MAX: usize = 1 << 20;

/// What is measured with.
pub(super) struct Batches {
    pub calls: Vec<Call>,
    /// Of an aggregate: all of them, in no order.
    pub groups: usize,
    /// In a call.
    pub rows: usize,
    /// In the file.
    pub records: usize,
    /// Records of the file that no component would see, and why.
    pub left_out: BTreeMap<String, u64>,
}

/// What a call is given.
pub(super) struct Call {
    pub batch: Batch,
    /// Of an aggregate: the group of each row, by its place in `members`.
    pub groups: Vec<u32>,
    /// Of an aggregate: the groups that have rows in this call, ascending.
    pub members: Vec<u32>,
}

impl Batches {
    pub fn new(plugin: &Plugin, records: &[&VirtualRecord], rows: usize, group_by: &[String]) -> anyhow::Result<Self> {
        let reader = Reader::new(plugin, group_by)?;
        let considered = &records[..records.len().min(rows * CALLS_MAX)];
        let (mut left_out, mut usable) = (BTreeMap::new(), Vec::new());
        for record in considered {
            match reader.refusal(record) {
                None => usable.push(*record),
                Some(why) => *left_out.entry(why).or_default() += 1,
            }
        }
        if usable.is_empty() {
            return Err(InputError::Unusable(listed(&left_out)).into());
        }
        if considered.len() < records.len() {
            let more = (records.len() - considered.len()) as u64;
            left_out.insert(format!("beyond the first {}", considered.len()), more);
        }
        let bytes: usize = usable.iter().map(|record| record.value.as_ref().map_or(0, Vec::len)).sum();
        let rows = rows.min(CALL_BYTES_MAX / (bytes / usable.len()).max(1)).max(1);
        let mut groups = HashMap::new();
        let mut all = usable.iter().copied().cycle();
        let calls = (0..usable.len().div_ceil(rows))
            .map(|_| reader.call(&all.by_ref().take(rows).collect::<Vec<_>>(), &mut groups))
            .collect();
        Ok(Batches { calls, groups: groups.len(), rows, records: records.len(), left_out })
    }
}

fn listed(left_out: &BTreeMap<String, u64>) -> String {
    left_out.iter().map(|(why, records)| format!("\n  {records}: {why}")).collect()
}

/// Reads what the component reads, as a lane does.
struct Reader {
    decoder: Decoder,
    reads: Reads,
    groups: Reads,
}

impl Reader {
    fn new(plugin: &Plugin, group_by: &[String]) -> anyhow::Result<Self> {
        let settings = DecodeSettings {
            format: Format::Json,
            // The pipeline's is not known; what a component reads does not depend on it.
            event_time: "$timestamp".to_owned(),
            timestamp_unit: TimestampUnit::Auto,
            on_wrong_type: OnWrongType::DeadLetter,
            defaults: Default::default(),
            schema_version: None,
            schema_versions: Vec::new(),
        };
        let fields = &plugin.ports().reads;
        let group_by: Vec<Field> =
            group_by.iter().map(|path| Field { path: path.clone(), kind: Kind::Json, required: false }).collect();
        let decoder = Decoder::new(&settings, fields.iter().chain(&group_by).map(|field| field.path.as_str()))?;
        Ok(Reader { reads: decoder.reads(fields)?, groups: decoder.reads(&group_by)?, decoder })
    }

    /// Why the record does not reach the component.
    fn refusal(&self, record: &VirtualRecord) -> Option<String> {
        let mut decoded = self.decoder.decode(&partition(), Arc::new(batch(&[record])));
        let unread = decoded.table.columns(&self.reads, &mut Batch::default());
        match (decoded.rejected.first(), unread.first()) {
            (Some(rejected), _) | (None, Some(rejected)) => Some(rejected.reason.message.clone()),
            (None, None) => (!decoded.tombstones.is_empty()).then(|| "without a value".to_owned()),
        }
    }

    fn call(&self, records: &[&VirtualRecord], known: &mut HashMap<Vec<u8>, u32>) -> Call {
        let mut table = self.decoder.decode(&partition(), Arc::new(batch(records))).table;
        let (mut columns, mut keys) = (Batch::default(), Batch::default());
        table.columns(&self.reads, &mut columns);
        table.columns(&self.groups, &mut keys);
        let groups: Vec<u32> = (0..table.len())
            .map(|row| {
                let number = known.len() as u32;
                *known.entry(key(&keys.columns, row)).or_insert(number)
            })
            .collect();
        let mut members = groups.clone();
        members.sort_unstable();
        members.dedup();
        let place = |group: &u32| members.binary_search(group).unwrap_or_default() as u32;
        Call { batch: columns, groups: groups.iter().map(place).collect(), members }
    }
}

/// Tells groups apart by the text of their fields.
fn key(columns: &[Column], row: usize) -> Vec<u8> {
    let mut key = Vec::new();
    for column in columns {
        match &column.values {
            Values::Slices(slices) if column.is_present(row) => key.extend_from_slice(slices.get(row)),
            Values::Slices(_) | Values::Presence | Values::Booleans(_) | Values::Integers(_) | Values::Floats(_) => {}
        }
        key.push(0);
    }
    key
}

fn partition() -> Partition {
    Partition::new("bench", 0)
}

fn batch(records: &[&VirtualRecord]) -> RecordBatch {
    let mut builder = BatchBuilder::new(EventTime::from_micros(0));
    for (offset, record) in records.iter().enumerate() {
        let timestamp = record.timestamp.unwrap_or(EventTime::from_micros(0));
        builder.push(Offset(offset as i64), Some(timestamp), record.key.as_deref(), record.value.as_deref());
        for (name, value) in &record.headers {
            builder.header(name.as_bytes(), value.as_deref());
        }
    }
    builder.finish()
}
