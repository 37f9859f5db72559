//! What the program is compared with: the barest consumers of a topic, and a loop as one would write it by hand for the
//! click-stream job, without components, windows that close, restarts or a sink.

use std::collections::HashMap;
use std::ffi::c_int;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rdkafka::bindings as c;
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr, RDKafkaType};
use serde::{Deserialize, Serialize};

use super::arrivals::{Arrived, age_micros};
use super::broker::PARTITIONS;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Messages that the library is asked for at once.
const TAKE: usize = 1024;

/// Which one a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The C library's call for many messages; counts bytes.
    BareBatch,
    /// A message a call, as the Rust client has it; counts bytes.
    BarePoll,
    /// A message a call, three fields of each, a count by minute and type.
    NativeLoop,
}

impl Way {
    pub const ALL: [Way; 3] = [Way::BareBatch, Way::BarePoll, Way::NativeLoop];

    /// The role of the process.
    pub fn name(self) -> &'static str {
        match self {
            Way::BareBatch => "bare-batch",
            Way::BarePoll => "bare-poll",
            Way::NativeLoop => "native-loop",
        }
    }

    fn of(name: &str) -> Option<Way> {
        Way::ALL.into_iter().find(|way| way.name() == name)
    }

    /// Reads so many records of a topic.
    fn run(self, brokers: &str, topic: &str, records: u64) -> anyhow::Result<Drained> {
        match self {
            Way::BareBatch => bare_batch(brokers, topic, records),
            Way::BarePoll => {
                let mut bytes = 0;
                let seconds = poll(brokers, topic, records, |value| {
                    bytes += value.len() as u64;
                    Ok(())
                })?;
                Ok(Drained { records, seconds, counted: bytes })
            }
            Way::NativeLoop => native_loop(brokers, topic, records),
        }
    }
}

/// The body of the process: the way, then brokers, topic and number of records. It prints what it did.
pub fn consume(way: &str, arguments: &[String]) -> anyhow::Result<()> {
    let way = Way::of(way).with_context(|| format!("there is no role {way}"))?;
    let [brokers, topic, records] = arguments else { bail!("brokers, topic and number of records are wanted") };
    println!("{}", serde_json::to_string(&way.run(brokers, topic, records.parse()?)?)?);
    Ok(())
}

/// What a process prints when it is done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Drained {
    pub records: u64,
    /// From the first record to the last.
    pub seconds: f64,
    /// Bytes, or records in windows.
    pub counted: u64,
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "bench").set("enable.auto.commit", "false");
    // The default of a second lets whoever is slower than the network wait for it again and again.
    config.set("fetch.queue.backoff.ms", "10");
    config
}

fn from_the_start(topic: &str) -> anyhow::Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    Ok(list)
}

/// Seconds from the first record to the last.
fn poll(
    brokers: &str,
    topic: &str,
    records: u64,
    mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let consumer: BaseConsumer = config(brokers).create()?;
    consumer.assign(&from_the_start(topic)?)?;
    let (mut begun, mut taken) = (None, 0);
    while taken < records {
        let Some(message) = consumer.poll(TIMEOUT) else { bail!("nothing comes after {taken} records") };
        let message = message?;
        begun.get_or_insert_with(Instant::now);
        take(message.payload().unwrap_or_default())?;
        taken += 1;
    }
    Ok(begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64()))
}

/// How old records are when a bare consumer has them, which say when they were made; the first ones are passed over.
pub fn ages(brokers: &str, topic: &str, passed_over: u64, records: u64) -> anyhow::Result<Arrived> {
    let (mut seen, mut ages) = (0, Vec::new());
    poll(brokers, topic, passed_over + records, |value| {
        seen += 1;
        ages.extend(age_micros(value).filter(|_| seen > passed_over));
        Ok(())
    })?;
    Ok(Arrived::of(ages))
}

#[derive(Deserialize)]
struct Click<'a> {
    timestamp: &'a str,
    #[serde(borrow)]
    user_id: Option<&'a str>,
    event_type: &'a str,
}

/// The minute is the text of the timestamp up to it, which is as cheap as it gets.
fn native_loop(brokers: &str, topic: &str, records: u64) -> anyhow::Result<Drained> {
    let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
    let mut key = Vec::new();
    let seconds = poll(brokers, topic, records, |value| {
        let click: Click = sonic_rs::from_slice(value)?;
        if click.user_id.is_none() {
            return Ok(());
        }
        key.clear();
        key.extend_from_slice(click.timestamp.as_bytes().get(..16).unwrap_or_default());
        key.extend_from_slice(click.event_type.as_bytes());
        match counts.get_mut(&key) {
            Some(count) => *count += 1,
            None => drop(counts.insert(key.clone(), 1)),
        }
        Ok(())
    })?;
    Ok(Drained { records, seconds, counted: counts.values().sum() })
}

fn bare_batch(brokers: &str, topic: &str, records: u64) -> anyhow::Result<Drained> {
    let config = config(brokers);
    let client: Client<DefaultClientContext> =
        Client::new(&config, config.create_native_config()?, RDKafkaType::RD_KAFKA_CONSUMER, DefaultClientContext)?;
    let list = from_the_start(topic)?;
    let milliseconds = c_int::try_from(TIMEOUT.as_millis())?;
    let mut messages: Vec<*mut c::rd_kafka_message_t> = Vec::with_capacity(TAKE);
    let (mut begun, mut taken, mut bytes) = (None, 0, 0);
    // SAFETY: client and list live to the end of this function; the queue is ours until it is destroyed; the library writes
    // `count` pointers at most, each to a message that is ours until it is destroyed, and its payload lives as long.
    unsafe {
        c::rd_kafka_poll_set_consumer(client.native_ptr());
        let queue = c::rd_kafka_queue_get_consumer(client.native_ptr());
        let assigned = c::rd_kafka_assign(client.native_ptr(), list.ptr());
        ensure!(
            assigned == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
            "cannot assign: {:?}",
            RDKafkaErrorCode::from(assigned)
        );
        while taken < records {
            // The library waits until as many have come as were asked for, so it is asked for what is left at the end.
            let want = usize::try_from(records - taken)?.min(TAKE);
            let count = c::rd_kafka_consume_batch_queue(queue, milliseconds, messages.as_mut_ptr(), want);
            ensure!(count > 0, "nothing comes after {taken} records");
            begun.get_or_insert_with(Instant::now);
            messages.set_len(count.unsigned_abs());
            for message in messages.drain(..) {
                ensure!(
                    (*message).err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
                    "an error in the place of a message"
                );
                bytes += (*message).len as u64;
                taken += 1;
                c::rd_kafka_message_destroy(message);
            }
        }
        c::rd_kafka_queue_destroy(queue);
    }
    let seconds = begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
    Ok(Drained { records, seconds, counted: bytes })
}
