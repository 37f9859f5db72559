//! Requests to the cluster outside the group: which topics there are and how they are set, creating ours, trimming the parts.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use super::contact::{self, REQUEST_TIMEOUT, TOPIC_TIMEOUT};
use super::native::Consumer;
use super::{SourceError, client};
use crate::config::KafkaSettings;
use crate::record::{Offset, Partition, TopicId};

mod groups;
mod newest;
mod ranges;
mod wait;

pub use ranges::RecordRange;

use wait::wait;

/// Room for our headers, above the source's largest message.
const DEAD_LETTER_ROOM: usize = 64 << 10;

/// A topic as the cluster describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicDescription {
    pub name: String,
    /// None where the cluster does not tell.
    pub id: Option<TopicId>,
    /// By number.
    pub partitions: Vec<PartitionDescription>,
    /// Replicas of the first partition.
    pub replication: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionDescription {
    pub number: i32,
    pub log_start: Offset,
    pub log_end: Offset,
}

/// What of a topic's settings matters to us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicSettings {
    /// `message.timestamp.type=LogAppendTime`: the broker vouches for the timestamps.
    pub log_append_time: bool,
    /// `message.timestamp.after.max.ms`: how far ahead of the broker's clock a timestamp may be; none: no bound.
    pub timestamp_after_max: Option<Duration>,
    /// `max.message.bytes`.
    pub message_bytes_max: Option<usize>,
    /// `retention.ms`; none: for ever.
    pub retention: Option<Duration>,
    /// `cleanup.policy`.
    pub cleanup: String,
}

/// A connection for such requests.
pub struct Admin {
    /// Asks for topics and offsets, and hears what the brokers say; it never joins the group.
    consumer: Consumer,
    client: AdminClient<DefaultClientContext>,
    brokers: String,
    group: String,
}

impl Admin {
    /// Does not wait for a broker: the first request does.
    pub fn new(kafka: &KafkaSettings) -> Result<Admin, SourceError> {
        let consumer = Consumer::new(&client::consumer(kafka, 1 << 20), client::secrets(kafka));
        let consumer = consumer.map_err(|error| client::refused(kafka, error))?;
        let client = client::admin(kafka).create().map_err(|error| client::refused(kafka, error))?;
        Ok(Admin { consumer, client, brokers: kafka.brokers.clone(), group: kafka.group.clone() })
    }

    /// Describes a topic; an unknown one is an error.
    pub fn describe(&mut self, topic: &str) -> Result<TopicDescription, SourceError> {
        self.describe_within(topic, TOPIC_TIMEOUT)
    }

    /// None when there is no such topic.
    pub fn find(&mut self, topic: &str) -> Result<Option<TopicDescription>, SourceError> {
        match self.describe_within(topic, Duration::ZERO) {
            Err(SourceError::UnknownTopic { .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Creates the parts topic unless it is there: as many partitions as the source topics have together, replicated as they
    /// are, kept for ever (it is trimmed by [`Admin::trim`]). The number of its partitions.
    pub fn ensure_parts(&mut self, topic: &str, sources: &[TopicDescription]) -> Result<usize, SourceError> {
        let partitions: usize = sources.iter().map(|source| source.partitions.len()).sum();
        let settings = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
        self.ensure(topic, partitions.max(1), sources, &settings)
    }

    /// Creates the dead-letter topic unless it is there: one partition, replicated as the source topics are, with room for
    /// their largest message and our headers. The number of its partitions.
    pub fn ensure_dead_letters(&mut self, topic: &str, sources: &[TopicDescription]) -> Result<usize, SourceError> {
        if let Some(found) = self.find(topic)? {
            return Ok(found.partitions.len());
        }
        let largest = sources.iter().filter_map(|source| self.settings(&source.name)?.message_bytes_max).max();
        let largest = largest.map(|bytes| bytes.saturating_add(DEAD_LETTER_ROOM).min(i32::MAX as usize).to_string());
        let settings = largest.as_deref().map(|bytes| ("max.message.bytes", bytes));
        self.ensure(topic, 1, sources, settings.as_slice())
    }

    fn ensure(
        &mut self,
        topic: &str,
        partitions: usize,
        sources: &[TopicDescription],
        settings: &[(&str, &str)],
    ) -> Result<usize, SourceError> {
        if let Some(found) = self.find(topic)? {
            return Ok(found.partitions.len());
        }
        let replication =
            sources.iter().map(|source| source.replication).max().and_then(|most| i32::try_from(most).ok());
        let replication = TopicReplication::Fixed(replication.unwrap_or(-1));
        let count = i32::try_from(partitions).unwrap_or(i32::MAX);
        let new =
            settings.iter().fold(NewTopic::new(topic, count, replication), |new, (key, value)| new.set(key, value));
        let client = &self.client;
        let create = |_: &Consumer| {
            let answers = wait(client.create_topics([&new], &options())).map_err(|error| code_of(&error))?;
            match answers.into_iter().next() {
                // Somebody else was faster.
                Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
                Some(Err((_, code))) => Err(code),
                Some(Ok(_)) | None => Ok(()),
            }
        };
        contact::retry(&mut self.consumer, &self.brokers, &format!("creation of topic {topic}"), create)?;
        tracing::info!(topic, partitions, "created a topic");
        Ok(self.describe(topic)?.partitions.len())
    }

    /// Deletes the records before these offsets.
    pub fn trim(&mut self, before: &[(Partition, Offset)]) -> Result<(), SourceError> {
        if before.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(before.len());
        for (partition, offset) in before {
            let mut element = list.add_partition(&partition.topic, partition.number);
            element.set_offset(rdkafka::Offset::Offset(offset.0)).expect("a position is not negative");
        }
        let client = &self.client;
        let trim = |_: &Consumer| {
            let answer = wait(client.delete_records(&list, &options())).map_err(|error| code_of(&error))?;
            answer.elements().iter().try_for_each(|it| it.error().map_err(|error| code_of(&error)))
        };
        contact::retry(&mut self.consumer, &self.brokers, "trimming the parts topic", trim)
    }

    fn describe_within(&mut self, topic: &str, patience: Duration) -> Result<TopicDescription, SourceError> {
        let found = contact::topic(&mut self.consumer, &self.brokers, topic, patience)?;
        let partitions: Vec<_> = found.partitions.iter().map(|number| Partition::new(topic, *number)).collect();
        let ask = |consumer: &Consumer| consumer.log_bounds(&partitions, REQUEST_TIMEOUT);
        let bounds = contact::retry(&mut self.consumer, &self.brokers, &format!("the ends of topic {topic}"), ask)?;
        let what = format!("the id of topic {topic}");
        let ask = |consumer: &Consumer| consumer.topic_ids(&[topic], REQUEST_TIMEOUT);
        let id = contact::retry(&mut self.consumer, &self.brokers, &what, ask)?.into_iter().next().flatten();
        let describe = |(number, (log_start, log_end))| PartitionDescription { number, log_start, log_end };
        Ok(TopicDescription {
            name: topic.to_owned(),
            id,
            partitions: found.partitions.into_iter().zip(bounds).map(describe).collect(),
            replication: found.replication,
        })
    }

    /// None where the cluster does not tell (no rights, or a stand-in).
    pub fn settings(&self, topic: &str) -> Option<TopicSettings> {
        let answers = wait(self.client.describe_configs([&ResourceSpecifier::Topic(topic)], &options()));
        Some(read_settings(&answers.ok()?.into_iter().next()?.ok()?))
    }
}

fn read_settings(resource: &ConfigResource) -> TopicSettings {
    let text = |key: &str| resource.get(key).and_then(|entry| entry.value.as_deref());
    let number = |key: &str| text(key).and_then(|value| value.parse::<u64>().ok());
    // Without a bound the value is the largest number there is; for retention it is -1.
    let bound = |key: &str| number(key).filter(|millis| *millis < i64::MAX as u64).map(Duration::from_millis);
    TopicSettings {
        log_append_time: text("message.timestamp.type") == Some("LogAppendTime"),
        timestamp_after_max: bound("message.timestamp.after.max.ms"),
        message_bytes_max: number("max.message.bytes").and_then(|bytes| usize::try_from(bytes).ok()),
        retention: bound("retention.ms"),
        cleanup: text("cleanup.policy").unwrap_or_default().to_owned(),
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

fn code_of(error: &rdkafka::error::KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)
}
