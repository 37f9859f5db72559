//! What can go wrong between us and Kafka, and what it asks of the operator.

use thiserror::Error;

use crate::record::{ErrorKind, HasKind, Offset, Partition, TopicId};

/// Why the source did not start, or stopped. An unreachable broker is one of these at start only; later it is waited for.
#[derive(Debug, Error)]
pub enum SourceError {
    #[error("kafka's client refuses a setting, key=`{key}`: {word}; see `librdkafka` in [source.kafka]")]
    Setting { key: String, word: String },
    #[error("kafka does not answer, brokers=`{brokers}`: {word}; is it running, and is the address right?")]
    Unreachable { brokers: String, word: String },
    #[error(
        "kafka does not let us in, brokers=`{brokers}`: {word}; check the `sasl.*` and `ssl.*` keys of `librdkafka`"
    )]
    Authentication { brokers: String, word: String },
    #[error("kafka forbids it, what=`{what}`: {word}; ask for the rights")]
    Forbidden { what: String, word: String },
    #[error("the topic does not exist, topic=`{topic}`; create it first")]
    UnknownTopic { topic: String },
    #[error(
        "the position is gone from the log, topic=`{}` partition=`{}` position=`{position}` log_start=`{log_start}`: \
         {} records can no longer be read; either `on_data_loss = \"continue\"` in [source.kafka] goes on at the log's start, \
         or `tidegate rewind FILE --to earliest` reads all that is left with a new revision", partition.topic, partition.number, log_start.0 - position.0
    )]
    DataLoss { partition: Partition, position: Offset, log_start: Offset },
    #[error(
        "the position lies beyond the end of the log, topic=`{}` partition=`{}` position=`{position}` log_end=`{log_end}`: \
         the topic was recreated or truncated; `tidegate rewind FILE --to earliest` reads it from its beginning with a new revision, or \
         another name and index begin a new pipeline", partition.topic, partition.number
    )]
    BeyondEnd { partition: Partition, position: Offset, log_end: Offset },
    #[error(
        "the topic was deleted and made anew while the pipeline read it, topic=`{topic}` former_id=`{then}` id=`{now}`: offsets mean \
         other records now; `tidegate rewind FILE --to earliest` reads the new topic from its beginning with a new revision, or another \
         name and index begin a new pipeline"
    )]
    OtherTopic { topic: String, then: TopicId, now: TopicId },
    #[error(
        "the topic has fewer partitions than it had, topic=`{topic}` partitions=`{now}` before=`{then}`: it was deleted and made anew; \
         `tidegate rewind FILE --to earliest` reads it from its beginning with a new revision, or another name and index begin a new \
         pipeline"
    )]
    FewerPartitions { topic: String, then: i32, now: i32 },
    #[error(
        "the group has no position where it had one, topic=`{}` partition=`{}`: the topic was deleted and made anew, or the position was \
         deleted; `tidegate rewind FILE --to earliest`, or `--to TIME`, begins there with a new revision, or another name and index begin \
         a new pipeline", partition.topic, partition.number
    )]
    PositionGone { partition: Partition },
    #[error(
        "the group has members, group=`{group}`: {members}; stop all instances of the pipeline, and wait for one that was killed, or \
         that has an `instance` of its own, until its session has timed out"
    )]
    GroupInUse { group: String, members: String },
    #[error("{message}, partition=`{partition}`")]
    Refused { partition: Partition, kind: ErrorKind, message: String },
    #[error("kafka refuses a request, what=`{what}`: {word}")]
    Request { what: String, word: String },
    #[error("kafka's client gave up: {word}; start again")]
    Fatal { word: String },
    #[error(
        "another process of the same name has taken this one's place in the group, instance=`{instance}`; give each process an \
         `instance` of its own in [source.kafka]"
    )]
    SameInstance { instance: String },
    #[error(
        "the source did not close by its deadline; its last positions may not be committed, which a restart makes good"
    )]
    CloseTimedOut,
    #[error("a thread did not start: {word}")]
    Thread { word: String },
}

impl HasKind for SourceError {
    fn kind(&self) -> ErrorKind {
        match self {
            SourceError::Setting { .. } | SourceError::SameInstance { .. } | SourceError::GroupInUse { .. } => {
                ErrorKind::Config
            }
            // The file may be right, and the topic come later.
            SourceError::UnknownTopic { .. }
            | SourceError::Unreachable { .. }
            | SourceError::Authentication { .. }
            | SourceError::Forbidden { .. }
            | SourceError::Request { .. }
            | SourceError::Fatal { .. }
            | SourceError::CloseTimedOut => ErrorKind::Unavailable,
            SourceError::FewerPartitions { .. } | SourceError::PositionGone { .. } => ErrorKind::Corrupt,
            SourceError::DataLoss { .. } | SourceError::BeyondEnd { .. } | SourceError::OtherTopic { .. } => {
                ErrorKind::Corrupt
            }
            SourceError::Refused { kind, .. } => *kind,
            SourceError::Thread { .. } => ErrorKind::Internal,
        }
    }
}

/// Why a partition's lane cannot begin: the receiver's words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub kind: ErrorKind,
    pub message: String,
}

/// Why messages were not written. What passes by itself is tried for ever and never seen here.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum WriteError {
    #[error(
        "a message is too large for its topic, topic=`{topic}` bytes=`{bytes}`; raise the topic's `max.message.bytes`"
    )]
    TooLarge { topic: String, bytes: usize },
    #[error("kafka's client gave up: {word}; start again")]
    Fatal { word: String },
    #[error("the writer was closed")]
    Closed,
}

impl HasKind for WriteError {
    fn kind(&self) -> ErrorKind {
        match self {
            WriteError::TooLarge { .. } => ErrorKind::Config,
            WriteError::Fatal { .. } | WriteError::Closed => ErrorKind::Unavailable,
        }
    }
}
