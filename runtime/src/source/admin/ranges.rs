//! Ranges of records, read outside the group from beginning to end.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode;

use super::Admin;
use crate::record::{BatchBuilder, EventTime, Offset, Partition, RecordBatch};
use crate::source::SourceError;
use crate::source::native::TAKE_MAX;

/// A log of which nothing comes for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);
const WAIT: Duration = Duration::from_millis(100);
const BATCH_RECORDS_MAX: usize = 4096;
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Records of a partition from `start` (in it) to `end` (not in it).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordRange {
    pub partition: Partition,
    pub start: Offset,
    pub end: Offset,
}

struct Reading<'a> {
    range: &'a RecordRange,
    batch: BatchBuilder,
    done: bool,
}

impl Admin {
    /// Shows all records of these ranges, in batches. The client reads nothing else after it.
    pub fn read(
        self,
        ranges: &[RecordRange],
        mut show: impl FnMut(&Partition, RecordBatch),
    ) -> Result<(), SourceError> {
        self.read_while(ranges, |partition, batch| {
            show(partition, batch);
            ControlFlow::Continue(())
        })
    }

    /// The same, until it has seen enough. It may take its time: nothing is read meanwhile.
    pub fn read_while(
        mut self,
        ranges: &[RecordRange],
        mut show: impl FnMut(&Partition, RecordBatch) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let refused = |code: RDKafkaErrorCode| SourceError::Request {
            what: "reading records".to_owned(),
            word: code.to_string(),
        };
        let some = ranges.iter().filter(|range| range.start < range.end);
        let mut readings: Vec<Reading> =
            some.map(|range| Reading { range, batch: BatchBuilder::new(EventTime::MIN), done: false }).collect();
        let starts: Vec<_> =
            readings.iter().map(|reading| (reading.range.partition.clone(), reading.range.start)).collect();
        self.consumer.assign(&starts).map_err(refused)?;
        let (mut heard, mut flow) = (Instant::now(), ControlFlow::Continue(()));
        while flow.is_continue() && readings.iter().any(|reading| !reading.done) {
            self.consumer.take(WAIT, TAKE_MAX, |received| {
                let Some((_, number)) = received.place().filter(|_| flow.is_continue()) else { return };
                let its = |reading: &&mut Reading| {
                    let partition = &reading.range.partition;
                    partition.number == number && *partition.topic == *received.topic()
                };
                let Some(reading) = readings.iter_mut().find(its).filter(|reading| !reading.done) else { return };
                heard = Instant::now();
                match received.error() {
                    None => {
                        if received.offset() < reading.range.end {
                            received.copy_to(&mut reading.batch);
                        }
                        reading.done = received.offset().next() >= reading.range.end;
                    }
                    // The last records of a log may be nobody's: marks of transactions.
                    Some(RDKafkaErrorCode::PartitionEOF) => reading.done = true,
                    Some(code) => {
                        tracing::debug!(partition = %reading.range.partition, %code, "a partition cannot be read")
                    }
                }
                let is_full = reading.batch.len() >= BATCH_RECORDS_MAX || reading.batch.bytes() >= BATCH_BYTES_MAX;
                if !reading.batch.is_empty() && (is_full || reading.done) {
                    let batch = std::mem::replace(&mut reading.batch, BatchBuilder::new(EventTime::MIN));
                    flow = show(&reading.range.partition, batch.finish());
                    heard = Instant::now();
                }
            });
            if heard.elapsed() > PATIENCE {
                let word = "no record came for half a minute".to_owned();
                return Err(SourceError::Unreachable { brokers: self.brokers, word });
            }
        }
        Ok(())
    }
}
