//! A real Kafka for benchmarks: an instance of their own by the project's script, and topics that are filled once.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::events::{Events, Mix};
use super::process;
use crate::kafka::Kafka;
use crate::wait_for;
use crate::workspace::{root, target};

const PORT: u16 = 39092;
const TIMEOUT: Duration = Duration::from_secs(120);
/// The client waits for all of it, whatever is acknowledged meanwhile.
const MAKE_ROOM: Duration = Duration::from_millis(10);
pub const PARTITIONS: i32 = 4;
/// Of the process that fills a topic.
pub const ROLE: &str = "fill";

/// A running broker, stopped when it is dropped; its data stay for the next time.
pub struct Broker(());

impl Broker {
    pub fn start() -> anyhow::Result<Self> {
        ensure!(script("start")?.success(), "Kafka does not start");
        Ok(Broker(()))
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{PORT}")
    }

    pub fn pid(&self) -> anyhow::Result<u32> {
        Ok(fs::read_to_string(folder().join("pid"))?.trim().parse()?)
    }

    /// The name of a topic with these events, which is filled unless it is full.
    pub fn topic(&self, mix: Mix, count: u64) -> anyhow::Result<String> {
        let name = format!("bench-{}-{count}", mix.name());
        let consumer: BaseConsumer = config(&self.address()).create()?;
        let found = consumer.fetch_metadata(Some(&name), TIMEOUT)?;
        if found.topics().iter().all(|topic| topic.error().is_some()) {
            Kafka::new(&self.address()).create_topic(&name, PARTITIONS);
        }
        let mut records = 0;
        for partition in 0..PARTITIONS {
            // A broker that has just started does not lead its partitions at once.
            let ends = wait_for("the leader of a partition", TIMEOUT, || {
                consumer.fetch_watermarks(&name, partition, TIMEOUT).ok()
            });
            records += ends.1.unsigned_abs();
        }
        match records {
            0 => {
                eprintln!("writing {count} events to {name}");
                process::measure(process::role(ROLE, &[&self.address(), &name, mix.name(), &count.to_string()])?)?;
            }
            records => ensure!(records == count, "topic {name} has {records} records; delete {}", folder().display()),
        }
        Ok(name)
    }
}

/// The body of the process that fills a topic: brokers, topic, mix and number of events. It is one of its own because what it
/// takes of memory would be counted as that of the processes that are measured.
pub fn fill(arguments: &[String]) -> anyhow::Result<()> {
    let [brokers, topic, mix, count] = arguments else { bail!("brokers, topic, mix and number of events are wanted") };
    let (mix, count) = (Mix::of(mix).with_context(|| format!("there is no mix {mix}"))?, count.parse()?);
    let producer: BaseProducer = config(brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "50")
        .set("batch.size", "500000")
        .set("queue.buffering.max.messages", "400000")
        .create()?;
    let (mut events, mut value) = (Events::new(mix, count), Vec::new());
    for number in 0_i32.. {
        let Some(timestamp) = events.next(&mut value) else { break };
        let mut next =
            BaseRecord::<(), Vec<u8>>::to(topic).partition(number % PARTITIONS).timestamp(timestamp).payload(&value);
        while let Err((error, again)) = producer.send(next) {
            ensure!(error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), "writing to {topic}: {error}");
            producer.poll(MAKE_ROOM); // an acknowledgement makes room
            next = again;
        }
    }
    producer.flush(TIMEOUT).context("the events are not acknowledged")
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = script("stop");
    }
}

fn folder() -> PathBuf {
    target().join("bench").join(format!("kafka-{PORT}"))
}

fn script(what: &str) -> anyhow::Result<std::process::ExitStatus> {
    let mut command = Command::new(root().join("scripts/servers/kafka.sh"));
    command.arg(what).arg(folder()).env("KAFKA_PORT", PORT.to_string()).stdin(Stdio::null());
    command.status().context("scripts/servers/kafka.sh cannot be run")
}
