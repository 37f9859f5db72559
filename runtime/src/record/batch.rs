//! Records as they came, copied out of Kafka's client once: all keys, values and headers of a batch end to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{EventTime, Offset};

/// A byte range of a batch, or the absence of a value.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    /// `u32::MAX` for null.
    len: u32,
}

impl Span {
    const NULL: Span = Span { start: 0, len: u32::MAX };

    fn get(self, bytes: &[u8]) -> Option<&[u8]> {
        (self.len != u32::MAX).then(|| &bytes[self.start as usize..self.start as usize + self.len as usize])
    }
}

/// Records of one partition, offsets ascending. Nothing about a value is judged yet.
#[derive(Debug)]
pub struct RecordBatch {
    records: Arc<Records>,
    permit: Option<Permit>,
}

#[derive(Debug)]
struct Records {
    received: EventTime,
    offsets: Vec<i64>,
    timestamps: Vec<EventTime>,
    keys: Vec<Span>,
    values: Vec<Span>,
    /// Where the headers of record i begin; one more than records. Empty when no record has headers.
    header_starts: Vec<u32>,
    headers: Vec<(Span, Span)>,
    bytes: Vec<u8>,
}

impl RecordBatch {
    pub fn len(&self) -> usize {
        self.records.offsets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.offsets.is_empty()
    }

    /// The bytes of all keys, values and headers.
    pub fn bytes(&self) -> usize {
        self.records.bytes.len()
    }

    /// When the runtime got them, by the wall clock (`$received`).
    pub fn received(&self) -> EventTime {
        self.records.received
    }

    pub fn offset(&self, row: usize) -> Offset {
        Offset(self.records.offsets[row])
    }

    pub fn offsets(&self) -> &[i64] {
        &self.records.offsets
    }

    /// Kafka's timestamp; none where the broker has none.
    pub fn timestamp(&self, row: usize) -> Option<EventTime> {
        Some(self.records.timestamps[row]).filter(|time| *time != EventTime::MIN)
    }

    pub fn key(&self, row: usize) -> Option<&[u8]> {
        self.records.keys[row].get(&self.records.bytes)
    }

    /// None for a tombstone.
    pub fn value(&self, row: usize) -> Option<&[u8]> {
        self.records.values[row].get(&self.records.bytes)
    }

    /// Names may repeat; a value may be null.
    pub fn headers(&self, row: usize) -> impl DoubleEndedIterator<Item = (&[u8], Option<&[u8]>)> {
        let range = match self.records.header_starts.get(row..row + 2) {
            Some(bounds) => bounds[0] as usize..bounds[1] as usize,
            None => 0..0,
        };
        self.records.headers[range]
            .iter()
            .map(|(name, value)| (name.get(&self.records.bytes).unwrap_or_default(), value.get(&self.records.bytes)))
    }

    /// Ties the batch to the memory that it occupies in a budget, until it is dropped.
    pub fn hold(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// The same records, in no budget.
    pub fn unbudgeted(&self) -> RecordBatch {
        RecordBatch { records: self.records.clone(), permit: None }
    }
}

/// Collects records of one partition into a batch.
#[derive(Debug)]
pub struct BatchBuilder(Records);

impl BatchBuilder {
    pub fn new(received: EventTime) -> Self {
        BatchBuilder(Records {
            received,
            offsets: Vec::new(),
            timestamps: Vec::new(),
            keys: Vec::new(),
            values: Vec::new(),
            header_starts: Vec::new(),
            headers: Vec::new(),
            bytes: Vec::new(),
        })
    }

    pub fn len(&self) -> usize {
        self.0.offsets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.offsets.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.0.bytes.len()
    }

    pub fn reserve(&mut self, records: usize, bytes: usize) {
        self.0.offsets.reserve(records);
        self.0.timestamps.reserve(records);
        self.0.keys.reserve(records);
        self.0.values.reserve(records);
        self.0.bytes.reserve(bytes);
    }

    pub fn push(&mut self, offset: Offset, timestamp: Option<EventTime>, key: Option<&[u8]>, value: Option<&[u8]>) {
        let key = self.copy(key);
        let value = self.copy(value);
        let batch = &mut self.0;
        debug_assert!(batch.offsets.last().is_none_or(|last| *last < offset.0), "offsets ascend");
        batch.offsets.push(offset.0);
        batch.timestamps.push(timestamp.unwrap_or(EventTime::MIN));
        batch.keys.push(key);
        batch.values.push(value);
        if !batch.header_starts.is_empty() {
            batch.header_starts.push(batch.headers.len() as u32);
        }
    }

    /// Adds a header to the record that was pushed last.
    pub fn header(&mut self, name: &[u8], value: Option<&[u8]>) {
        let records = self.0.offsets.len();
        debug_assert!(records > 0, "a header belongs to a record");
        if self.0.header_starts.is_empty() {
            self.0.header_starts.resize(records + 1, 0);
        }
        let entry = (self.copy(Some(name)), self.copy(value));
        self.0.headers.push(entry);
        self.0.header_starts[records] = self.0.headers.len() as u32;
    }

    fn copy(&mut self, value: Option<&[u8]>) -> Span {
        let Some(value) = value else { return Span::NULL };
        let start = u32::try_from(self.0.bytes.len()).expect("a batch is bounded far below 4 GiB");
        self.0.bytes.extend_from_slice(value);
        Span { start, len: value.len() as u32 }
    }

    pub fn finish(self) -> RecordBatch {
        RecordBatch { records: Arc::new(self.0), permit: None }
    }
}

/// Counts the bytes of the batches that are alive, so that the source knows when to pause.
#[derive(Debug, Default)]
pub struct Budget(AtomicUsize);

impl Budget {
    pub fn used_bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub fn take(self: &Arc<Self>, bytes: usize) -> Permit {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Permit { budget: self.clone(), bytes }
    }
}

/// Bytes taken from a budget; dropping it gives them back.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_went_in() {
        let mut builder = BatchBuilder::new(EventTime::from_micros(7));
        builder.push(Offset(3), None, None, Some(b"a"));
        builder.push(Offset(5), Some(EventTime::from_micros(9)), Some(b"k"), None);
        builder.header(b"h", Some(b"1"));
        builder.header(b"h", None);
        builder.push(Offset(6), None, Some(b""), Some(b""));
        let batch = builder.finish();
        assert_eq!((batch.key(0), batch.value(0)), (None, Some(&b"a"[..])));
        assert_eq!(
            (batch.key(1), batch.value(1), batch.timestamp(1)),
            (Some(&b"k"[..]), None, Some(EventTime::from_micros(9)))
        );
        assert_eq!(batch.headers(0).count(), 0);
        assert_eq!(batch.headers(1).collect::<Vec<_>>(), [(&b"h"[..], Some(&b"1"[..])), (b"h", None)]);
        assert_eq!(batch.headers(2).count(), 0);
        assert_eq!((batch.key(2), batch.value(2)), (Some(&b""[..]), Some(&b""[..])));
    }

    #[test]
    fn a_dropped_batch_gives_its_bytes_back() {
        let budget = Arc::new(Budget::default());
        let mut batch = BatchBuilder::new(EventTime::MIN).finish();
        batch.hold(budget.take(10));
        assert_eq!(budget.used_bytes(), 10);
        let kept = batch.unbudgeted();
        drop(batch);
        assert_eq!((budget.used_bytes(), kept.len()), (0, 0));
    }
}
