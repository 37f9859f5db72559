//! How records of a log in memory are cut into batches.

use super::VirtualRecord;
use crate::record::EventTime;

/// As in the source: a batch that has so many bytes takes no more.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// As in the source.
const BATCH_RECORDS_MAX: usize = 4096;

/// The cut of a run. Records share a batch when they follow each other, in one partition, with nothing between them: so what
/// comes out must not depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    records_max: usize,
    /// `$received` is one for a batch, and here it is the records' timestamp: where somebody reads it, records of
    /// different ones are apart.
    pub by_timestamp: bool,
}

/// A batch that grows.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Growing {
    records: usize,
    bytes: usize,
    timestamp: Option<EventTime>,
}

impl Cut {
    pub fn new(records_max: usize, by_timestamp: bool) -> Self {
        Cut { records_max: records_max.clamp(1, BATCH_RECORDS_MAX), by_timestamp }
    }

    /// Whether the record belongs to the batch, and is added to it.
    pub fn add(&self, batch: &mut Growing, record: &VirtualRecord) -> bool {
        let full = batch.records >= self.records_max || batch.bytes >= BATCH_BYTES_MAX;
        let apart = self.by_timestamp && batch.timestamp != record.timestamp;
        if batch.records > 0 && (full || apart) {
            return false;
        }
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        *batch = Growing {
            records: batch.records + 1,
            bytes: batch.bytes + length(&record.key) + length(&record.value),
            timestamp: record.timestamp,
        };
        true
    }

    /// How many of these records, at least one, are the next batch.
    pub fn first(&self, records: &[VirtualRecord]) -> usize {
        let mut batch = Growing::default();
        records.iter().take_while(|record| self.add(&mut batch, record)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: usize, micros: i64) -> VirtualRecord {
        VirtualRecord {
            value: Some(vec![b'x'; bytes]),
            timestamp: Some(EventTime::from_micros(micros)),
            ..VirtualRecord::default()
        }
    }

    #[test]
    fn a_batch_ends_at_its_bounds() {
        let records: Vec<_> = (0..9).map(|micros| record(1 << 18, micros)).collect();
        assert_eq!(Cut::new(0, false).first(&records), 1);
        assert_eq!(Cut::new(3, false).first(&records), 3);
        assert_eq!(Cut::new(usize::MAX, false).first(&records), 4);
        assert_eq!(Cut::new(7, true).first(&records), 1);
        assert_eq!(Cut::new(7, true).first(&[record(1, 5), record(1, 5), record(1, 6)]), 2);
    }
}
