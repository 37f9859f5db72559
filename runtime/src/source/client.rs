//! Settings of Kafka's client: those of the pipeline file, and above them those that the runtime owns.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::SourceError;
use crate::config::KafkaSettings;

/// How long the first contact may take before a start is given up.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The client refuses to fetch less at once than its largest message.
const FETCH_BYTES_MIN: usize = 1_000_000;

/// Keys that decide what the runtime promises: the pipeline file must leave them alone.
pub const OWNED_KEYS: [&str; 28] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "client.id",
    "group.id",
    "group.protocol",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "offset.store.method",
    "partition.assignment.strategy",
    "enable.partition.eof",
    "check.crcs",
    "isolation.level",
    "fetch.max.bytes",
    "fetch.queue.backoff.ms",
    "queued.min.messages",
    "queued.max.messages.kbytes",
    "statistics.interval.ms",
    "allow.auto.create.topics",
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "transactional.id",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "partitioner",
];

/// What every client of ours has: addresses, the user's settings, quiet logs.
fn base(kafka: &KafkaSettings) -> Result<ClientConfig, SourceError> {
    let mut config = ClientConfig::new();
    for (key, value) in &kafka.librdkafka {
        if OWNED_KEYS.contains(&key.as_str()) {
            return Err(SourceError::OwnedSetting { key: key.clone() });
        }
        config.set(key, value.expose());
    }
    // Who asks the client for its `debug` lines gets them, in the log at the level of traces.
    let level = if config.get("debug").is_some() { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Notice };
    config.set("bootstrap.servers", &kafka.brokers).set("client.id", "tidegate").set_log_level(level);
    Ok(config)
}

/// For admin requests and look-ups.
pub(super) fn plain(kafka: &KafkaSettings) -> Result<ClientConfig, SourceError> {
    base(kafka)
}

/// For a member of the group. `fetch_bytes` bounds what the client reads ahead.
pub(super) fn consumer(kafka: &KafkaSettings, fetch_bytes: usize) -> Result<ClientConfig, SourceError> {
    let mut config = base(kafka)?;
    config
        .set("group.id", &kafka.group)
        .set("group.protocol", "classic")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Where to begin is our decision: the client reports a position that is gone, and does not move it.
        .set("auto.offset.reset", "error")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        .set("isolation.level", "read_committed")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.min.messages", "100000")
        .set("queued.max.messages.kbytes", (fetch_bytes / 1024).max(1).to_string())
        .set("fetch.max.bytes", fetch_bytes.max(FETCH_BYTES_MIN).to_string())
        .set("statistics.interval.ms", "5000")
        .set("allow.auto.create.topics", "false");
    Ok(config)
}

/// For the writer. `queue_bytes` bounds what waits in the client, and a single message.
pub(super) fn producer(kafka: &KafkaSettings, queue_bytes: usize) -> Result<ClientConfig, SourceError> {
    let mut config = base(kafka)?;
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", "0")
        .set("message.max.bytes", message_bytes_max(queue_bytes).to_string())
        .set("queue.buffering.max.kbytes", (queue_bytes / 1024).max(1).to_string())
        .set("linger.ms", "5");
    if config.get("compression.type").or(config.get("compression.codec")).is_none() {
        config.set("compression.type", "lz4");
    }
    Ok(config)
}

/// The largest message that the writer's client takes: what its queue holds, and no more than 100 MB.
pub(super) fn message_bytes_max(queue_bytes: usize) -> usize {
    queue_bytes.clamp(1_000_000, 100_000_000)
}

/// A client that was not made: the setting's name, and the client's words without any value.
pub(super) fn refused(kafka: &KafkaSettings, error: KafkaError) -> SourceError {
    let (key, word) = match error {
        KafkaError::ClientConfig(_, word, key, _) => (key, word),
        other => (String::new(), other.to_string()),
    };
    let word = kafka
        .librdkafka
        .values()
        .map(|secret| secret.expose())
        .filter(|value| value.len() > 2)
        .fold(word, |word, value| word.replace(value, "…"));
    SourceError::Setting { key, word }
}

/// An answer that another try does not change, as an error; none for one that passes.
pub(super) fn definite(code: RDKafkaErrorCode, what: &str) -> Option<SourceError> {
    let what = what.to_owned();
    let word = code.to_string();
    match code {
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::GroupAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed => Some(SourceError::Forbidden { what, word }),
        RDKafkaErrorCode::InvalidGroupId
        | RDKafkaErrorCode::InvalidTopic
        | RDKafkaErrorCode::UnsupportedVersion
        | RDKafkaErrorCode::InvalidReplicationFactor
        | RDKafkaErrorCode::InvalidPartitions
        | RDKafkaErrorCode::PolicyViolation
        | RDKafkaErrorCode::InvalidConfig
        | RDKafkaErrorCode::InvalidRequest
        | RDKafkaErrorCode::InvalidArgument => Some(SourceError::Request { what, word }),
        RDKafkaErrorCode::Fatal => Some(SourceError::Fatal { word }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{OnDataLoss, Secret, Start};

    fn kafka(key: &str, value: &str) -> KafkaSettings {
        KafkaSettings {
            brokers: "127.0.0.1:1".to_owned(),
            topics: vec!["t".to_owned()],
            group: "g".to_owned(),
            start: Start::Earliest,
            on_data_loss: OnDataLoss::Stop,
            librdkafka: BTreeMap::from([(key.to_owned(), Secret::new(value))]),
        }
    }

    #[test]
    fn a_setting_of_ours_is_refused_and_others_pass() {
        assert!(matches!(plain(&kafka("acks", "0")), Err(SourceError::OwnedSetting { key }) if key == "acks"));
        let config = consumer(&kafka("security.protocol", "ssl"), 1 << 20).expect("passes");
        assert_eq!(config.get("security.protocol"), Some("ssl"));
        assert_eq!(config.get("auto.offset.reset"), Some("error"));
    }

    #[test]
    fn a_value_that_the_client_refuses_is_not_shown() {
        let settings = kafka("sasl.mechanism", "hunter2");
        let word = "Invalid value \"hunter2\" for configuration property \"sasl.mechanism\"";
        let error = KafkaError::ClientConfig(
            rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_INVALID,
            word.to_owned(),
            "sasl.mechanism".to_owned(),
            "hunter2".to_owned(),
        );
        assert!(!refused(&settings, error).to_string().contains("hunter2"));
    }
}
