//! Settings of Kafka's client: those of the pipeline file, and above them those that the runtime owns.

use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::SourceError;
use crate::config::{KafkaSettings, Secret};

/// The largest message that the writer's client takes: what its queue holds, within these.
const MESSAGE_BYTES_MAX: (usize, usize) = (1_000_000, 100_000_000);
/// The client refuses to fetch less at once than its largest message.
const FETCH_BYTES_MIN: usize = 1_000_000;

/// Keys that decide what the runtime promises. They are set over the user's, so the pipeline file must refuse them.
pub const OWNED_KEYS: [&str; 24] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "client.id",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "partition.assignment.strategy",
    "enable.partition.eof",
    "check.crcs",
    "isolation.level",
    "fetch.max.bytes",
    "fetch.queue.backoff.ms",
    "queued.min.messages",
    "queued.max.messages.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.kbytes",
    "statistics.interval.ms",
    "allow.auto.create.topics",
    "acks",
    "enable.idempotence",
    "message.timeout.ms",
];

/// What every client of ours has: addresses, the user's settings (the runtime's own come over them), and its own words in the
/// log when somebody looks that closely.
fn base(kafka: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in &kafka.librdkafka {
        config.set(key, value.expose());
    }
    config.set("bootstrap.servers", &kafka.brokers).set("client.id", "tidegate").set_log_level(RDKafkaLogLevel::Notice);
    if tracing::enabled!(target: "librdkafka", tracing::Level::TRACE) {
        default(&mut config, "debug", "broker,topic,cgrp");
        config.set_log_level(RDKafkaLogLevel::Debug);
    }
    config
}

/// Sets what the user has not.
fn default(config: &mut ClientConfig, key: &str, value: impl Into<String>) {
    if config.get(key).is_none() {
        config.set(key, value);
    }
}

/// For admin requests. Its words are nobody's: the consumer beside it says the same.
pub(super) fn admin(kafka: &KafkaSettings) -> ClientConfig {
    let mut config = base(kafka);
    config.remove("debug").set_log_level(RDKafkaLogLevel::Emerg);
    config
}

/// For a member of the group. `fetch_bytes` bounds what the client reads ahead.
pub(super) fn consumer(kafka: &KafkaSettings, fetch_bytes: usize) -> ClientConfig {
    let mut config = base(kafka);
    // The client wants to fetch no less than the largest message, which the user may set.
    let message_bytes = config.get("message.max.bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or_default();
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
        .set("fetch.max.bytes", fetch_bytes.max(FETCH_BYTES_MIN).max(message_bytes).to_string())
        .set("statistics.interval.ms", "5000")
        .set("allow.auto.create.topics", "false");
    if let Some(instance) = &kafka.instance {
        config.set("group.instance.id", instance);
    }
    config
}

/// For the writer. `queue_bytes` bounds what waits in the client, and a single message. `alone`: every message is a request of
/// its own.
pub(super) fn producer(kafka: &KafkaSettings, queue_bytes: usize, alone: bool) -> ClientConfig {
    let mut config = base(kafka);
    let message_bytes_max = queue_bytes.clamp(MESSAGE_BYTES_MAX.0, MESSAGE_BYTES_MAX.1);
    default(&mut config, "message.max.bytes", message_bytes_max.to_string());
    // The client's thread does not sleep through the last millisecond of a wait: short ones in a row cost half a core.
    default(&mut config, "linger.ms", "20");
    if config.get("compression.codec").is_none() {
        default(&mut config, "compression.type", "lz4");
    }
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", "0")
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", (queue_bytes.max(MESSAGE_BYTES_MAX.0) / 1000).to_string())
        .set("statistics.interval.ms", "5000");
    if alone {
        config.set("batch.num.messages", "1").set("linger.ms", "0");
    }
    config
}

/// Words that are no secret where they are the value of a key: those of librdkafka itself.
const WORDS: [&str; 16] = [
    "plaintext",
    "ssl",
    "sasl_plaintext",
    "sasl_ssl",
    "plain",
    "scram-sha-256",
    "scram-sha-512",
    "gssapi",
    "oauthbearer",
    "true",
    "false",
    "none",
    "gzip",
    "snappy",
    "zstd",
    "https",
];

/// Values of the user's that the client's own words must not show: all but numbers and words that everybody knows.
pub(super) fn secrets(kafka: &KafkaSettings) -> Arc<[Secret]> {
    let is_known = |text: &str| WORDS.contains(&text.to_ascii_lowercase().as_str()) || text.parse::<f64>().is_ok();
    kafka.librdkafka.values().filter(|value| !is_known(value.expose())).cloned().collect()
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
    use crate::config::{OnDataLoss, Start};

    fn kafka(key: &str, value: &str) -> KafkaSettings {
        KafkaSettings {
            brokers: "127.0.0.1:1".to_owned(),
            topics: vec!["t".to_owned()],
            group: "g".to_owned(),
            instance: None,
            start: Start::Earliest,
            on_data_loss: OnDataLoss::Stop,
            librdkafka: BTreeMap::from([(key.to_owned(), Secret::new(value))]),
        }
    }

    #[test]
    fn the_users_settings_pass_and_ours_come_over_them() {
        let config = consumer(&kafka("security.protocol", "ssl"), 1 << 20);
        assert_eq!(config.get("security.protocol"), Some("ssl"));
        assert_eq!(config.get("auto.offset.reset"), Some("error"));
        assert_eq!(producer(&kafka("acks", "0"), 1 << 20, false).get("acks"), Some("all"));
        assert_eq!(producer(&kafka("linger.ms", "50"), 1 << 20, false).get("linger.ms"), Some("50"));
        let instance = KafkaSettings { instance: Some("one".to_owned()), ..kafka("none", "") };
        assert_eq!(consumer(&instance, 1 << 20).get("group.instance.id"), Some("one"));
        assert_eq!(config.get("group.instance.id"), None);
        let large = consumer(&kafka("message.max.bytes", "10000000"), 1 << 20);
        assert_eq!(large.get("fetch.max.bytes"), Some("10000000"), "the client takes no less");
        let owned = |key: &&str| !matches!(*key, "linger.ms" | "message.max.bytes" | "compression.type" | "none");
        let empty = kafka("none", "");
        for config in [consumer(&empty, 1 << 20), producer(&empty, 1 << 20, false)] {
            let unknown: Vec<_> =
                config.config_map().into_keys().filter(owned).filter(|key| !OWNED_KEYS.contains(key)).collect();
            assert!(unknown.is_empty(), "set over the user's, and not in the list: {unknown:?}");
        }
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
