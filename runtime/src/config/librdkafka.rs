//! What may be passed through to librdkafka, and why the rest may not.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::reader::Value;
use super::secret::Secret;

/// Keys that the runtime owns, each with the reason.
const OWNED: [(&str, &str); 43] = [
    ("bootstrap.servers", "write `brokers`"),
    ("metadata.broker.list", "write `brokers`"),
    ("client.id", "it is `tidegate`"),
    ("group.id", "write `group`"),
    ("group.instance.id", "write `instance`"),
    ("auto.offset.reset", "write `start` and `on_data_loss`"),
    ("enable.auto.commit", POSITION),
    ("auto.commit.enable", POSITION),
    ("auto.commit.interval.ms", POSITION),
    ("enable.auto.offset.store", POSITION),
    ("offset.store.method", POSITION),
    ("offset.store.path", POSITION),
    ("offset.store.sync.interval.ms", POSITION),
    ("partition.assignment.strategy", "lanes follow cooperative rebalances only"),
    ("group.protocol", "lanes follow the classic protocol only"),
    ("enable.partition.eof", "a partition's end is how idleness is told"),
    ("check.crcs", "a record that was damaged on its way must not be indexed: always on"),
    ("isolation.level", "records of aborted transactions are never read"),
    ("consume.callback.max.messages", MEMORY),
    ("queued.min.messages", MEMORY),
    ("queued.max.messages.kbytes", MEMORY),
    ("fetch.max.bytes", MEMORY),
    ("fetch.queue.backoff.ms", MEMORY),
    ("queue.buffering.max.messages", MEMORY),
    ("queue.buffering.max.kbytes", MEMORY),
    ("queue.buffering.backpressure.threshold", MEMORY),
    ("statistics.interval.ms", "lag and idleness are read from the statistics"),
    ("allow.auto.create.topics", "a topic that is missing is an error; ours are created as they must be"),
    ("acks", PRODUCER),
    ("request.required.acks", PRODUCER),
    ("enable.idempotence", PRODUCER),
    ("enable.gapless.guarantee", PRODUCER),
    ("message.timeout.ms", PRODUCER),
    ("delivery.timeout.ms", PRODUCER),
    ("delivery.report.only.error", PRODUCER),
    ("retries", PRODUCER),
    ("message.send.max.retries", PRODUCER),
    ("max.in.flight", PRODUCER),
    ("max.in.flight.requests.per.connection", PRODUCER),
    ("transactional.id", PRODUCER),
    ("transaction.timeout.ms", PRODUCER),
    ("partitioner", "a part's partition is computed from its output and group"),
    ("log_level", "the level of all lines is set with the environment variable TIDEGATE_LOG"),
];

const POSITION: &str = "a position is committed once everything before it is settled, and by the runtime only";
const MEMORY: &str = "it follows from [limits] memory";
const PRODUCER: &str = "parts and dead letters are acknowledged by all replicas, in order, however long it takes";

/// Suffixes of keys that name a function in memory: nothing in a file can.
const CALLBACKS: [&str; 3] = ["_cb", "opaque", ".legacy.path"];

/// Reads the table; numbers and booleans become librdkafka's text for them.
pub(crate) fn librdkafka(value: &Value<'_>) -> Option<BTreeMap<String, Secret>> {
    let read: Vec<_> = value.section().take_all().iter().map(entry).collect();
    match value.value {
        DeValue::Table(_) => read.into_iter().collect(),
        _ => None,
    }
}

fn entry(value: &Value<'_>) -> Option<(String, Secret)> {
    let key = value.key;
    if let Some((_, reason)) = OWNED.iter().find(|(owned, _)| *owned == key) {
        return value.wrong(format!("librdkafka's `{key}` belongs to the runtime"), *reason);
    }
    if CALLBACKS.iter().any(|suffix| key.ends_with(suffix)) {
        return value.wrong(format!("librdkafka's `{key}` cannot be set from a file"), "");
    }
    let text = match value.value {
        DeValue::String(_) => value.text()?.into_string(),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Table(_) => {
            return value.wrong(
                format!("`{key}` is a table"),
                "librdkafka's keys have dots in them: write them with quotes, \"sasl.password\" = …",
            );
        }
        DeValue::Datetime(_) | DeValue::Array(_) => return value.expected("a string, a number or a boolean"),
    };
    Some((key.to_owned(), Secret::new(text)))
}
