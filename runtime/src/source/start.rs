//! Where partitions begin: the start rule of a new group, resolved to positions and committed before anybody joins; and the
//! judgement of a position against the log as it is.

use std::time::Instant;

use rdkafka::types::RDKafkaErrorCode;

use super::contact::{self, REQUEST_TIMEOUT};
use super::native::{Committed, Consumer};
use super::{SourceConfig, SourceError};
use crate::config::{OnDataLoss, Start};
use crate::record::{Commitment, Offset, Partition, Resume};

/// Resolves the start rule when the group has no position on any of the source partitions, and commits the result for all of
/// them. The group takes such a commit only while it has no member: of several that start at once, each reads what one of
/// them has committed, and nobody has read a record before.
pub(super) fn first_start(
    consumer: &mut Consumer,
    config: &SourceConfig,
    partitions: &[Partition],
) -> Result<(), SourceError> {
    let what = format!("positions of group {}", config.kafka.group);
    let began = Instant::now();
    loop {
        let step = resolve(consumer, config, partitions);
        match step {
            Ok(()) => return Ok(()),
            Err(code) => contact::pause(consumer, &config.kafka.brokers, code, &what, began)?,
        }
    }
}

fn resolve(consumer: &Consumer, config: &SourceConfig, partitions: &[Partition]) -> Result<(), RDKafkaErrorCode> {
    if consumer.committed(partitions, REQUEST_TIMEOUT)?.iter().any(Option::is_some) {
        return Ok(());
    }
    let bounds = consumer.log_bounds(partitions, REQUEST_TIMEOUT)?;
    let offsets: Vec<Offset> = match config.kafka.start {
        Start::Earliest => bounds.into_iter().map(|(start, _)| start).collect(),
        Start::Latest => bounds.into_iter().map(|(_, end)| end).collect(),
        Start::Timestamp { millis } => {
            let found = consumer.offsets_at(partitions, millis, REQUEST_TIMEOUT)?;
            found.into_iter().zip(bounds).map(|(found, (_, end))| found.unwrap_or(end)).collect()
        }
    };
    let initial = |offset| Commitment { offset, metadata: config.initial_metadata.clone() };
    let commitments: Vec<_> = partitions.iter().cloned().zip(offsets.into_iter().map(initial)).collect();
    consumer.commit(&commitments)?;
    match consumer.commit_answer(REQUEST_TIMEOUT) {
        Some(answer) => answer?,
        None => return Err(RDKafkaErrorCode::RequestTimedOut),
    }
    tracing::info!(
        group = config.kafka.group,
        partitions = partitions.len(),
        "a new group begins, its start is committed"
    );
    Ok(())
}

/// Where a partition begins, and how many records it lost before that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Beginning {
    pub(super) resume: Resume,
    pub(super) lost_records: u64,
}

impl Beginning {
    pub(super) fn offset(&self) -> Offset {
        match &self.resume {
            Resume::Fresh { offset } | Resume::Position { offset, .. } => *offset,
        }
    }
}

/// Judges the group's position (none: the partition was discovered later, or belongs to the parts topic) against the log.
pub(super) fn begin(
    partition: &Partition,
    position: Option<Committed>,
    (log_start, log_end): (Offset, Offset),
    on_data_loss: OnDataLoss,
    initial_metadata: &str,
) -> Result<Beginning, SourceError> {
    let Some(position) = position else {
        return Ok(Beginning { resume: Resume::Fresh { offset: log_start }, lost_records: 0 });
    };
    if position.offset > log_end {
        return Err(SourceError::BeyondEnd { partition: partition.clone(), position: position.offset, log_end });
    }
    let lost_records = u64::try_from(log_start.0 - position.offset.0).unwrap_or(0);
    if lost_records > 0 && on_data_loss == OnDataLoss::Stop {
        return Err(SourceError::DataLoss { partition: partition.clone(), position: position.offset, log_start });
    }
    let offset = position.offset.max(log_start);
    // Text that is not ours is for the receiver to refuse, whatever its encoding.
    let metadata = position.metadata.unwrap_or_else(|| "\u{fffd}".to_owned());
    Ok(Beginning { resume: Resume::at(offset, metadata, log_end, initial_metadata), lost_records })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: (Offset, Offset) = (Offset(10), Offset(20));

    fn begin_at(offset: i64, metadata: &str, on_data_loss: OnDataLoss) -> Result<Beginning, SourceError> {
        let position = Committed { offset: Offset(offset), metadata: Some(metadata.to_owned()) };
        begin(&Partition::new("t", 0), Some(position), LOG, on_data_loss, "new")
    }

    #[test]
    fn a_partition_resumes_at_its_position_with_what_was_remembered() {
        let resume = Resume::Position { offset: Offset(12), metadata: "w".to_owned(), log_end: LOG.1 };
        assert_eq!(begin_at(12, "w", OnDataLoss::Stop).expect("in the log"), Beginning { resume, lost_records: 0 });
        let fresh = begin_at(20, "new", OnDataLoss::Stop).expect("the end is in the log");
        assert_eq!(fresh.resume, Resume::Fresh { offset: Offset(20) });
    }

    #[test]
    fn a_partition_without_a_position_begins_at_the_start_of_its_log() {
        let it = begin(&Partition::new("t", 0), None, LOG, OnDataLoss::Stop, "new").expect("begins");
        assert_eq!(it.resume, Resume::Fresh { offset: Offset(10) });
    }

    #[test]
    fn a_position_that_is_gone_stops_or_goes_on_at_the_start_of_the_log() {
        let stop = begin_at(7, "w", OnDataLoss::Stop).expect_err("three records are gone");
        assert!(matches!(stop, SourceError::DataLoss { position: Offset(7), log_start: Offset(10), .. }));
        assert!(stop.to_string().contains("3 records"), "{stop}");
        let go_on = begin_at(7, "w", OnDataLoss::Continue).expect("goes on");
        assert_eq!((go_on.offset(), go_on.lost_records), (Offset(10), 3));
    }

    #[test]
    fn a_position_beyond_the_end_always_stops() {
        let error = begin_at(21, "w", OnDataLoss::Continue).expect_err("the topic was recreated");
        assert!(matches!(error, SourceError::BeyondEnd { .. }));
    }
}
