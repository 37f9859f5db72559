//! Requests about a group from outside of it: its positions, its members, and its positions set by hand.

use std::time::Instant;

use rdkafka::types::RDKafkaErrorCode;

use super::Admin;
use crate::record::{Commitment, Offset, Partition};
use crate::source::contact::{self, REQUEST_TIMEOUT};
use crate::source::native::Consumer;
use crate::source::{SourceError, client};

impl Admin {
    /// The group's position on each of the partitions, and the text beside it.
    pub fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<Option<(Offset, String)>>, SourceError> {
        let ask = |consumer: &Consumer| consumer.committed(partitions, REQUEST_TIMEOUT);
        let positions = contact::retry(&mut self.consumer, &self.brokers, "positions of the group", ask)?;
        let shown =
            |position: crate::source::native::Committed| (position.offset, position.metadata.unwrap_or_default());
        Ok(positions.into_iter().map(|position| position.map(shown)).collect())
    }

    /// The partitions on which the group has a position, whether they are there or not, with the text beside it; none where the broker
    /// does not tell.
    pub fn positioned(&mut self) -> Result<Vec<(Partition, String)>, SourceError> {
        let group = self.group.clone();
        let ask = |consumer: &Consumer| match consumer.all_committed(&group, REQUEST_TIMEOUT) {
            Err(RDKafkaErrorCode::UnsupportedFeature) => Ok(Vec::new()),
            answer => answer,
        };
        let positions = contact::retry(&mut self.consumer, &self.brokers, "positions of the group", ask)?;
        let text = |(partition, position): (_, crate::source::native::Committed)| {
            (partition, position.metadata.unwrap_or_default())
        };
        Ok(positions.into_iter().map(text).collect())
    }

    /// An error that names the members of the group, where it has any and the broker tells; [`Admin::commit`] is refused then in any case.
    pub fn require_empty_group(&mut self) -> Result<(), SourceError> {
        let group = self.group.clone();
        match self.consumer.members(&group, REQUEST_TIMEOUT).filter(|members| !members.is_empty()) {
            Some(members) => Err(SourceError::GroupInUse { group, members: members.join(", ") }),
            None => Ok(()),
        }
    }

    /// Sets positions of the group, all or none; it must have no members.
    pub fn commit(&mut self, positions: &[(Partition, Commitment)]) -> Result<(), SourceError> {
        let what = format!("positions of group {}", self.group);
        let began = Instant::now();
        loop {
            let sent = self.consumer.commit(positions).and_then(|()| {
                self.consumer.commit_answer(REQUEST_TIMEOUT).unwrap_or(Err(RDKafkaErrorCode::RequestTimedOut))
            });
            match sent {
                Ok(()) => return Ok(()),
                Err(RDKafkaErrorCode::UnknownMemberId | RDKafkaErrorCode::IllegalGeneration)
                | Err(RDKafkaErrorCode::RebalanceInProgress) => {
                    let (group, members) = (self.group.clone(), "unknown".to_owned());
                    return Err(SourceError::GroupInUse { group, members });
                }
                Err(code) => {
                    if let Some(error) = client::definite(code, &what) {
                        return Err(error);
                    }
                    contact::pause(&mut self.consumer, &self.brokers, code, &what, began)?;
                }
            }
        }
    }

    /// The first offset of each partition whose Kafka timestamp is not before then; none where all are.
    pub fn offsets_at(&mut self, partitions: &[(Partition, i64)]) -> Result<Vec<Option<Offset>>, SourceError> {
        let mut found = Vec::with_capacity(partitions.len());
        for (partition, millis) in partitions {
            let one = std::slice::from_ref(partition);
            let ask = |consumer: &Consumer| consumer.offsets_at(one, (*millis).max(0), REQUEST_TIMEOUT);
            let what = format!("the offset of a time, partition {partition}");
            found.extend(contact::retry(&mut self.consumer, &self.brokers, &what, ask)?);
        }
        Ok(found)
    }
}
