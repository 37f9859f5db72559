//! The newest records of a topic, read outside the group: for a look at what there is.

use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode;

use super::{Admin, TopicDescription};
use crate::record::{BatchBuilder, EventTime, Offset, Partition, RecordBatch};
use crate::source::SourceError;
use crate::source::native::{Received, TAKE_MAX};

/// What does not come within this time is left out.
const PATIENCE: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_millis(100);
/// Records of a topic may have any size; beyond this nobody looks at them.
const BYTES_MAX: usize = 64 << 20;

/// A partition that is being read, up to the end that it had.
struct Reading {
    partition: Partition,
    start: Offset,
    end: Offset,
    batch: BatchBuilder,
    done: bool,
}

impl Admin {
    /// About `records_max` of the newest records, the same number of each partition; fewer where there are fewer. To be
    /// called once: the client reads nothing else after it.
    pub fn newest(
        &mut self,
        topic: &TopicDescription,
        records_max: usize,
    ) -> Result<Vec<(Partition, RecordBatch)>, SourceError> {
        let each = i64::try_from(records_max.div_ceil(topic.partitions.len().max(1))).unwrap_or(i64::MAX);
        let with_records = topic.partitions.iter().filter(|partition| partition.log_start < partition.log_end);
        let mut readings: Vec<Reading> = with_records
            .map(|it| Reading {
                partition: Partition::new(&topic.name, it.number),
                start: Offset((it.log_end.0 - each).max(it.log_start.0)),
                end: it.log_end,
                batch: BatchBuilder::new(EventTime::MIN),
                done: false,
            })
            .collect();
        let starts: Vec<_> = readings.iter().map(|reading| (reading.partition.clone(), reading.start)).collect();
        let refused = |code: RDKafkaErrorCode| SourceError::Request {
            what: format!("reading topic {}", topic.name),
            word: code.to_string(),
        };
        self.consumer.assign(&starts).map_err(refused)?;
        let (began, mut bytes) = (Instant::now(), 0);
        while readings.iter().any(|reading| !reading.done) && bytes < BYTES_MAX && began.elapsed() < PATIENCE {
            self.consumer.take(WAIT, TAKE_MAX, |received| {
                bytes += received.bytes();
                let number = received.place().map(|(_, number)| number);
                if let Some(reading) = readings.iter_mut().find(|reading| number == Some(reading.partition.number)) {
                    reading.take(received);
                }
            });
        }
        let partitions: Vec<_> = starts.into_iter().map(|(partition, _)| partition).collect();
        self.consumer.unassign(&partitions).map_err(refused)?;
        Ok(readings.into_iter().map(|reading| (reading.partition, reading.batch.finish())).collect())
    }
}

impl Reading {
    fn take(&mut self, received: &Received) {
        match received.error() {
            None => {
                if received.offset() < self.end {
                    received.copy_to(&mut self.batch);
                }
                self.done |= received.offset().next() >= self.end;
            }
            // The last records of a log may be nobody's: marks of transactions.
            Some(RDKafkaErrorCode::PartitionEOF) => self.done = true,
            Some(code) => tracing::debug!(partition = %self.partition, %code, "a partition cannot be read"),
        }
    }
}
