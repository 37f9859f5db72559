//! A topic that is read in a group of its own, beside the pipeline. Who reads it commits when it is done with what came, and is in no
//! hurry: a broker that does not answer is waited for.

use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode;

use super::contact::REQUEST_TIMEOUT;
use super::native::{Consumer, Rebalance, TAKE_MAX};
use super::{SourceError, client};
use crate::config::KafkaSettings;
use crate::record::{BatchBuilder, Commitment, EventTime, Offset, Partition, RecordBatch};

/// What the client reads ahead.
const FETCH_BYTES: usize = 1 << 20;
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The wait for the group's last word.
const CLOSE_WAIT: Duration = Duration::from_millis(10);

/// What came of the topic.
#[derive(Debug)]
pub enum Followed {
    /// The partition is ours, from `next` on; records between the group's position and that are gone from the log.
    Begun {
        partition: Partition,
        next: Offset,
        lost_records: u64,
    },
    /// It is ours no longer. What came of it and was not committed comes to whoever has it now.
    Gone(Partition),
    Batch(Partition, RecordBatch),
}

struct Reading {
    partition: Partition,
    next: Offset,
    committed: Offset,
    /// What was last to be committed.
    done: Offset,
    /// Its position is not in the log any more.
    is_gone: bool,
    batch: BatchBuilder,
}

/// A member of a group that reads one topic.
pub struct Follower {
    consumer: Consumer,
    readings: Vec<Reading>,
    /// What is answered when Kafka answers.
    pending: Option<Rebalance>,
    retry_at: Instant,
    has_joined: bool,
    is_paused: bool,
}

impl Follower {
    /// Joins the group; does not wait for a broker.
    pub fn start(kafka: &KafkaSettings, group: String, topic: &str, now: Instant) -> Result<Follower, SourceError> {
        let kafka = KafkaSettings { group, instance: None, ..kafka.clone() };
        let consumer = Consumer::new(&client::consumer(&kafka, FETCH_BYTES), client::secrets(&kafka));
        let consumer = consumer.map_err(|error| client::refused(&kafka, error))?;
        consumer.subscribe(&[topic]).map_err(|code| SourceError::Request {
            what: format!("subscription of group {}", kafka.group),
            word: code.to_string(),
        })?;
        let readings = Vec::new();
        Ok(Follower { consumer, readings, pending: None, retry_at: now, has_joined: false, is_paused: false })
    }

    /// Serves the group and shows what came; waits so long for the first record. To be called every few minutes at least, or the group
    /// gives the partitions away.
    pub fn take(&mut self, wait: Duration, mut show: impl FnMut(Followed)) {
        self.serve(&mut show);
        self.commit_again();
        let Follower { consumer, readings, .. } = self;
        consumer.take(wait, TAKE_MAX, |received| {
            let Some((_, number)) = received.place() else { return };
            let Some(it) = readings.iter_mut().find(|it| it.partition.number == number) else { return };
            match received.error() {
                // The client may bring what it has brought.
                None if received.offset() < it.next => {}
                None => {
                    received.copy_to(&mut it.batch);
                    it.next = received.offset().next();
                }
                Some(RDKafkaErrorCode::PartitionEOF) => it.next = it.next.max(received.offset()),
                Some(RDKafkaErrorCode::AutoOffsetReset) => it.is_gone = true,
                Some(code) => tracing::debug!(partition = %it.partition, %code, "a partition cannot be read"),
            }
        });
        for it in readings.iter_mut().filter(|it| !it.batch.is_empty()) {
            let batch = std::mem::replace(&mut it.batch, BatchBuilder::new(EventTime::MIN));
            show(Followed::Batch(it.partition.clone(), batch.finish()));
        }
        // One after the other: each is assigned anew.
        if let Some(place) = self.readings.iter().position(|it| it.is_gone).filter(|_| self.pending.is_none()) {
            let partition = self.readings.remove(place).partition;
            show(Followed::Gone(partition.clone()));
            self.give_back(std::slice::from_ref(&partition));
            self.pending = Some(Rebalance::Assign(vec![partition]));
        }
    }

    /// Reads no more, or reads on.
    pub fn pause(&mut self, is_paused: bool) {
        if self.is_paused != is_paused {
            self.is_paused = is_paused;
            let all: Vec<Partition> = self.readings.iter().map(|it| it.partition.clone()).collect();
            if is_paused { self.consumer.pause(&all) } else { self.consumer.resume(&all) }
        }
    }

    /// Sets the group's position of a partition; what Kafka does not take now is sent again.
    pub fn commit(&mut self, partition: &Partition, next: Offset) {
        let Some(it) = self.readings.iter_mut().find(|it| it.partition == *partition) else { return };
        it.done = next;
        // Of a commit whose answer was not waited for.
        while self.consumer.commit_answer(Duration::ZERO).is_some() {}
        let position = (partition.clone(), Commitment { offset: next, metadata: String::new() });
        let sent = self.consumer.commit(std::slice::from_ref(&position));
        match sent.and_then(|()| {
            self.consumer.commit_answer(REQUEST_TIMEOUT).unwrap_or(Err(RDKafkaErrorCode::RequestTimedOut))
        }) {
            Ok(()) => it.committed = next,
            Err(code) => {
                tracing::debug!(%partition, %code, "a position is not committed yet");
                self.retry_at = Instant::now() + RETRY_PAUSE;
            }
        }
    }

    fn commit_again(&mut self) {
        let left = self.readings.iter().find(|it| it.done > it.committed);
        let left = left.filter(|_| Instant::now() >= self.retry_at).map(|it| (it.partition.clone(), it.done));
        if let Some((partition, done)) = left {
            self.commit(&partition, done);
        }
    }

    /// Records of our partitions that are not committed; none while the group has not said which are ours.
    pub fn lag(&self) -> Option<u64> {
        let lag = |it: &Reading| {
            let end = self.consumer.known_end(&it.partition).unwrap_or(it.next).max(it.next);
            u64::try_from(end.0 - it.committed.0).unwrap_or(0)
        };
        self.has_joined.then(|| self.readings.iter().map(lag).sum())
    }

    /// Where each of our partitions is read from next, and where its log ends now; none while the group or Kafka does not say.
    pub fn ends(&self) -> Option<Vec<(Offset, Offset)>> {
        let partitions: Vec<Partition> = self.readings.iter().map(|it| it.partition.clone()).collect();
        if !self.has_joined || self.pending.is_some() {
            return None;
        }
        let bounds = match partitions.is_empty() {
            true => Vec::new(),
            false => self.consumer.log_bounds(&partitions, REQUEST_TIMEOUT).ok()?,
        };
        Some(self.readings.iter().zip(bounds).map(|(it, (_, end))| (it.next, end)).collect())
    }

    /// Leaves the group; gives up at the deadline.
    pub fn close(mut self, deadline: Instant) {
        if let Err(code) = self.consumer.begin_close() {
            tracing::debug!(%code, "the group was left before");
        }
        while !self.consumer.closed() && Instant::now() < deadline {
            self.consumer.take(CLOSE_WAIT, TAKE_MAX, |_| ());
            let mut pending = self.pending.take();
            while let Some(rebalance) = pending.take().or_else(|| self.consumer.next_rebalance()) {
                let (Rebalance::Assign(partitions) | Rebalance::Revoke { partitions, .. }) = rebalance;
                self.give_back(&partitions);
            }
        }
    }

    fn serve(&mut self, show: &mut impl FnMut(Followed)) {
        while Instant::now() >= self.retry_at {
            let Some(rebalance) = self.pending.take().or_else(|| self.consumer.next_rebalance()) else { return };
            match rebalance {
                Rebalance::Revoke { partitions, .. } => {
                    self.readings.retain(|it| !partitions.contains(&it.partition));
                    self.give_back(&partitions);
                    partitions.into_iter().for_each(|partition| show(Followed::Gone(partition)));
                }
                Rebalance::Assign(partitions) => {
                    if let Err(code) = self.begin(&partitions, show) {
                        tracing::debug!(%code, "positions are not known yet");
                        self.retry_at = Instant::now() + RETRY_PAUSE;
                        self.pending = Some(Rebalance::Assign(partitions));
                    }
                }
            }
        }
    }

    fn begin(&mut self, partitions: &[Partition], show: &mut impl FnMut(Followed)) -> Result<(), RDKafkaErrorCode> {
        let (mut starts, mut lost) = (Vec::new(), Vec::new());
        if !partitions.is_empty() {
            let positions = self.consumer.committed(partitions, REQUEST_TIMEOUT)?;
            let bounds = self.consumer.log_bounds(partitions, REQUEST_TIMEOUT)?;
            for ((partition, position), (log_start, log_end)) in partitions.iter().zip(positions).zip(bounds) {
                let (next, lost_records) = first_of(position.map(|it| it.offset), log_start, log_end);
                starts.push((partition.clone(), next));
                lost.push(lost_records);
            }
        }
        self.consumer.assign(&starts)?;
        self.has_joined = true;
        if self.is_paused {
            self.consumer.pause(partitions);
        }
        for ((partition, next), lost_records) in starts.into_iter().zip(lost) {
            let batch = BatchBuilder::new(EventTime::MIN);
            let (committed, done) = (next, next);
            let it = Reading { partition: partition.clone(), next, committed, done, is_gone: false, batch };
            self.readings.push(it);
            show(Followed::Begun { partition, next, lost_records });
        }
        Ok(())
    }

    fn give_back(&self, partitions: &[Partition]) {
        if let Err(code) = self.consumer.unassign(partitions) {
            tracing::debug!(%code, "partitions were gone before they were given back");
        }
    }
}

/// Where a partition begins, and how many records before it are gone. A position beyond the end is of a topic that was made anew.
fn first_of(position: Option<Offset>, log_start: Offset, log_end: Offset) -> (Offset, u64) {
    match position {
        Some(position) if position < log_start => (log_start, u64::try_from(log_start.0 - position.0).unwrap_or(0)),
        Some(position) if position <= log_end => (position, 0),
        Some(_) | None => (log_start, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_begins_at_its_position_or_with_what_is_left_of_the_log() {
        let first = |position: Option<i64>| {
            let (next, lost) = first_of(position.map(Offset), Offset(10), Offset(20));
            (next.0, lost)
        };
        assert_eq!([first(None), first(Some(15)), first(Some(20))], [(10, 0), (15, 0), (20, 0)]);
        assert_eq!([first(Some(4)), first(Some(21))], [(10, 6), (10, 0)]);
    }
}
