//! Partitions come, go, and are read anew.

use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode;

use super::super::start::{self, Beginning};
use super::super::{Course, SourceError, client};
use super::{Assigned, Poller, Rebalance};
use crate::record::{Commitment, Offset, Partition};

/// How long a request about positions may take before it is sent again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How long a position beyond the end of the log is doubted: a new leader may not know the end yet.
const DOUBT: Duration = Duration::from_secs(5);
/// How long lanes may take to finish what is in flight when their partitions go.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of that is kept for the commit.
const COMMIT_RESERVE: Duration = Duration::from_secs(2);

/// Why partitions did not begin.
enum Rebalanced {
    /// Kafka did not answer; it is asked again.
    Later(RDKafkaErrorCode),
    Never(SourceError),
}

impl Poller {
    /// Serves what the group decided, in order. What Kafka does not answer now is tried again.
    pub(super) fn serve_rebalance(&mut self, now: Instant) -> Result<(), SourceError> {
        while now >= self.retry_at {
            let next = self.rebalance.take().or_else(|| Some((self.consumer.next_rebalance()?, now)));
            let Some((rebalance, since)) = next else { return Ok(()) };
            match rebalance {
                Rebalance::Revoke { partitions, lost } => self.revoke(&partitions, lost, now + REVOKE_TIMEOUT),
                Rebalance::Assign(partitions) if self.draining => self.assign_paused(&partitions),
                Rebalance::Assign(partitions) => match self.assign(&partitions, now.duration_since(since)) {
                    Ok(()) => {}
                    Err(Rebalanced::Later(code)) => {
                        tracing::debug!(%code, "positions are not known yet");
                        self.retry_at = now + RETRY_PAUSE;
                        self.rebalance = Some((Rebalance::Assign(partitions), since));
                    }
                    Err(Rebalanced::Never(error)) => {
                        self.assign_paused(&partitions);
                        return Err(error);
                    }
                },
            }
        }
        Ok(())
    }

    fn assign(&mut self, partitions: &[Partition], waited: Duration) -> Result<(), Rebalanced> {
        let beginnings = match partitions {
            [] => Vec::new(),
            some => self.beginnings(some, waited)?,
        };
        let now = Instant::now();
        let mut starts = Vec::with_capacity(partitions.len());
        for (partition, beginning) in partitions.iter().zip(beginnings) {
            let offset = beginning.offset();
            if beginning.lost_records > 0 {
                let lost = beginning.lost_records;
                tracing::warn!(%partition, records = lost, log_start = %offset, "DATA LOSS: records are gone from the log");
                self.lost_records += lost;
            }
            self.receiver.assigned(partition.clone(), beginning.resume).map_err(|refusal| {
                let (kind, message) = (refusal.kind, refusal.message);
                Rebalanced::Never(SourceError::Refused { partition: partition.clone(), kind, message })
            })?;
            self.assigned.push(Assigned::new(partition.clone(), offset, now));
            starts.push((partition.clone(), offset));
        }
        self.places.clear();
        self.taken(self.consumer.assign(&starts)).map_err(Rebalanced::Never)?;
        tracing::info!(added = partitions.len(), partitions = self.assigned.len(), "partitions were assigned");
        Ok(())
    }

    /// Where the partitions begin, by the group's positions and the logs as they are.
    fn beginnings(&mut self, partitions: &[Partition], waited: Duration) -> Result<Vec<Beginning>, Rebalanced> {
        let later =
            |code| client::definite(code, "positions of the group").map_or(Rebalanced::Later(code), Rebalanced::Never);
        let positions = self.consumer.committed(partitions, REQUEST_TIMEOUT).map_err(later)?;
        let bounds = self.consumer.log_bounds(partitions, REQUEST_TIMEOUT).map_err(later)?;
        self.check_topics(partitions)?;
        let mut beginnings = Vec::with_capacity(partitions.len());
        for ((partition, position), bounds) in partitions.iter().zip(positions).zip(bounds) {
            let initial = &self.config.initial_metadata;
            let on_data_loss = self.config.kafka.on_data_loss;
            let known = position.clone();
            let beginning = match start::begin(partition, position, bounds, on_data_loss, initial) {
                Err(SourceError::BeyondEnd { .. }) if waited < DOUBT => {
                    return Err(Rebalanced::Later(RDKafkaErrorCode::OffsetOutOfRange));
                }
                other => other.map_err(Rebalanced::Never)?,
            };
            let initial = Commitment { offset: beginning.offset(), metadata: initial.clone() };
            match known {
                Some(known) => {
                    let metadata = known.metadata.unwrap_or_default();
                    self.ledger.resumed(partition, Commitment { offset: known.offset, metadata });
                }
                None if self.is_parts(partition) => {}
                None => self.ledger.begun(partition, initial),
            }
            beginnings.push(beginning);
        }
        Ok(beginnings)
    }

    /// Offsets of a topic that was made anew under the same name mean other records.
    fn check_topics(&self, partitions: &[Partition]) -> Result<(), Rebalanced> {
        let assigned = |topic: &str| partitions.iter().any(|it| *it.topic == *topic);
        let known = self.config.topic_ids.iter().filter(|(topic, _)| assigned(topic));
        let (topics, ids): (Vec<&str>, Vec<_>) = known.map(|(topic, id)| (&**topic, *id)).unzip();
        if topics.is_empty() {
            return Ok(());
        }
        let present = self.consumer.topic_ids(&topics, REQUEST_TIMEOUT).map_err(Rebalanced::Later)?;
        for ((topic, then), now) in topics.into_iter().zip(ids).zip(present) {
            if let Some(now) = now.filter(|now| *now != then) {
                return Err(Rebalanced::Never(SourceError::OtherTopic { topic: topic.to_owned(), then, now }));
            }
        }
        Ok(())
    }

    fn is_parts(&self, partition: &Partition) -> bool {
        self.config.parts_topic.as_deref() == Some(&*partition.topic)
    }

    /// Takes partitions without reading them: the group is answered, and nobody else begins what could not begin here.
    fn assign_paused(&mut self, partitions: &[Partition]) {
        let next = |partition: &Partition| {
            self.assigned.iter().find(|it| it.partition == *partition).map_or(Offset(0), |it| it.next)
        };
        let all: Vec<_> = partitions.iter().map(|it| (it.clone(), next(it))).collect();
        self.consumer.pause(partitions);
        if let Err(code) = self.consumer.assign(&all) {
            tracing::debug!(%code, "partitions that are not wanted any more were not taken");
        }
        self.consumer.pause(partitions);
    }

    /// Lets lanes finish until the deadline, commits what they say, and gives the partitions back.
    pub(super) fn revoke(&mut self, partitions: &[Partition], lost: bool, deadline: Instant) {
        let known: Vec<Partition> =
            self.assigned.iter().map(|it| &it.partition).filter(|it| partitions.contains(it)).cloned().collect();
        self.assigned.retain(|it| !known.contains(&it.partition));
        self.places.clear();
        if !known.is_empty() {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let finish_by = deadline - COMMIT_RESERVE.min(remaining / 4);
            let offered = self.receiver.revoked(&known, lost, finish_by);
            if !lost {
                self.commit_until(offered, &known, deadline);
            }
            known.iter().for_each(|it| self.ledger.forget(it));
        }
        if let Err(code) = self.consumer.unassign(partitions) {
            tracing::debug!(%code, "partitions were gone before they were given back");
        }
        tracing::info!(removed = known.len(), partitions = self.assigned.len(), lost, "partitions were taken away");
    }

    /// The position of a running partition fell out of the log.
    pub(super) fn position_gone(&mut self, partition: &Partition, now: Instant) -> Result<(), SourceError> {
        let Some(index) = self.assigned.iter().position(|it| it.partition == *partition) else { return Ok(()) };
        let Some(it) = self.assigned.get_mut(index).filter(|_| !self.draining) else { return Ok(()) };
        let Ok(bounds) = self.consumer.log_bounds(std::slice::from_ref(partition), REQUEST_TIMEOUT) else {
            // The watchdog for silent partitions tries again.
            return Ok(());
        };
        let Some(&(log_start, log_end)) = bounds.first() else { return Ok(()) };
        if it.next >= log_start && it.next <= log_end {
            return self.restart(index, now);
        }
        let position = super::super::native::Committed { offset: it.next, metadata: None };
        let on_data_loss = self.config.kafka.on_data_loss;
        let beginning = start::begin(partition, Some(position), (log_start, log_end), on_data_loss, "")?;
        tracing::warn!(%partition, records = beginning.lost_records, %log_start, "DATA LOSS: records are gone from the log");
        self.lost_records += beginning.lost_records;
        it.next = log_start;
        self.restart(index, now)
    }

    /// Stops reading where a lane takes nothing, and reads again where one has begun anew.
    pub(super) fn steer(&mut self, now: Instant) -> Result<(), SourceError> {
        for index in 0..self.assigned.len() {
            let Some(it) = self.assigned.get_mut(index) else { break };
            match self.receiver.course(&it.partition) {
                Course::Onward => {}
                Course::Stalled if it.stalled => {}
                Course::Stalled => {
                    it.stall(now);
                    self.consumer.pause(std::slice::from_ref(&it.partition));
                }
                Course::Again(offset) => {
                    it.begin_again(offset, now);
                    let partition = it.partition.clone();
                    self.restart(index, now)?;
                    self.consumer.resume(&[partition]);
                }
            }
        }
        Ok(())
    }

    /// Reads a partition anew from where it is.
    pub(super) fn restart(&mut self, index: usize, now: Instant) -> Result<(), SourceError> {
        let Some(it) = self.assigned.get_mut(index) else { return Ok(()) };
        it.restarted(now);
        let start = [(it.partition.clone(), it.next)];
        let gone = self.consumer.unassign(std::slice::from_ref(&start[0].0));
        self.taken(gone.and_then(|()| self.consumer.assign(&start)))
    }

    /// An assignment that the client does not take is made anew by the group, unless the client is broken.
    fn taken(&self, answer: Result<(), RDKafkaErrorCode>) -> Result<(), SourceError> {
        let Err(code) = answer else { return Ok(()) };
        match client::definite(code, "assignment") {
            Some(error @ SourceError::Fatal { .. }) => Err(error),
            _ => {
                tracing::warn!(%code, "an assignment was not taken");
                Ok(())
            }
        }
    }
}
