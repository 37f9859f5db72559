//! What a record costs from Kafka to a batch: `BaseConsumer::poll`, the C library's batch call, and the source with all that it
//! does, of the same topic in turn. Processor time of the whole process, the client's threads included.
//!
//! `TIDEGATE_BENCH_BROKERS=127.0.0.1:9092 cargo bench --bench poll`; without the variable it says so and does nothing.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::bindings as c;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message as _, Offset as KafkaOffset, TopicPartitionList};
use tidegate::config::{KafkaSettings, OnDataLoss, Start};
use tidegate::record::{Commitment, Message, Offset, Partition, RecordBatch, Resume};
use tidegate::source::{
    Admin, PartitionDescription, Receiver, Refusal, Source, SourceConfig, SourceError, TopicDescription, Writer,
};

const TOPIC: &str = "tidegate-bench-poll";
const PARTITIONS: i32 = 4;
const RECORD_BYTES: usize = 245;
const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let Ok(brokers) = std::env::var("TIDEGATE_BENCH_BROKERS") else {
        println!("poll: left out, TIDEGATE_BENCH_BROKERS is not set");
        return;
    };
    let records = std::env::var("TIDEGATE_BENCH_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000_000);
    let settings = kafka(&brokers, "fill");
    fill(&settings, records);
    println!("records={records} bytes={RECORD_BYTES} partitions={PARTITIONS}");
    for round in 0..ROUNDS {
        report("BaseConsumer::poll", records, || poll(&brokers, records));
        report("rd_kafka_consume_batch_queue", records, || batch(&brokers, records));
        report("source", records, || source(&brokers, records, &format!("bench-{}-{round}", std::process::id())));
    }
}

fn report(name: &str, records: u64, run: impl FnOnce()) {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    run();
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let count = records as f64;
    println!("{name:30} cpu={:.2} µs/record  {:.2} M records/s", cpu * 1e6 / count, count / wall / 1e6);
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("linux");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().expect("a number")).sum();
    ticks / 100.0
}

fn kafka(brokers: &str, group: &str) -> KafkaSettings {
    KafkaSettings {
        brokers: brokers.to_owned(),
        topics: vec![TOPIC.to_owned()],
        group: group.to_owned(),
        start: Start::Earliest,
        on_data_loss: OnDataLoss::Stop,
        librdkafka: BTreeMap::new(),
    }
}

/// Writes what is missing.
fn fill(settings: &KafkaSettings, records: u64) {
    let partition = |number| PartitionDescription { number, log_start: Offset(0), log_end: Offset(0) };
    let like = TopicDescription {
        name: String::new(),
        partitions: (0..PARTITIONS).map(partition).collect(),
        replication: 1,
        settings: None,
    };
    let mut admin = Admin::new(settings).expect("a client");
    admin.ensure_parts(TOPIC, &[like]).expect("a topic");
    let found = admin.describe(TOPIC).expect("the topic");
    let there: i64 = found.partitions.iter().map(|it| it.log_end.0 - it.log_start.0).sum();
    let missing = records.saturating_sub(there.unsigned_abs());
    let writer = Writer::new(settings, 64 << 20, "none").expect("a writer");
    for first in (0..missing).step_by(100_000) {
        let message = |number: u64| Message {
            topic: TOPIC.into(),
            partition: Some((number % PARTITIONS as u64) as i32),
            key: None,
            value: Some(format!("{{\"event\":{number:>width$}}}", width = RECORD_BYTES - 10).into_bytes()),
            headers: Vec::new(),
        };
        let (told, answer) = mpsc::channel();
        let messages = (first..missing.min(first + 100_000)).map(message).collect();
        writer.write(messages, move |result| told.send(result).expect("somebody waits"));
        answer.recv_timeout(PATIENCE).expect("an answer").expect("written");
    }
}

fn consumer(brokers: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "bench").set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false").set("check.crcs", "true").set("fetch.queue.backoff.ms", "10");
    config.set("queued.max.messages.kbytes", "16384").set("fetch.max.bytes", "16777216");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for number in 0..PARTITIONS {
        list.add_partition_offset(TOPIC, number, KafkaOffset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("assigned");
    consumer
}

fn poll(brokers: &str, records: u64) {
    let consumer = consumer(brokers);
    let (mut count, mut bytes) = (0, 0);
    while count < records {
        if let Some(message) = consumer.poll(PATIENCE) {
            bytes += message.expect("a record").payload_len();
            count += 1;
        }
    }
    assert!(bytes > 0);
}

fn batch(brokers: &str, records: u64) {
    let consumer = consumer(brokers);
    let (mut count, mut bytes) = (0, 0);
    let mut messages = vec![std::ptr::null_mut(); 1024];
    // SAFETY: the consumer outlives its queue; every message that the call gives is read and destroyed once.
    unsafe {
        let queue = c::rd_kafka_queue_get_consumer(consumer.client().native_ptr());
        while count < records {
            let taken = c::rd_kafka_consume_batch_queue(queue, 10, messages.as_mut_ptr(), messages.len());
            for message in &messages[..taken as usize] {
                bytes += (**message).len;
                count += u64::from((**message).err == c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
                c::rd_kafka_message_destroy(*message);
            }
        }
        c::rd_kafka_queue_destroy(queue);
    }
    assert!(bytes > 0);
}

/// Counts, and drops every batch at once.
struct Counter {
    count: u64,
    records: u64,
    all: Option<mpsc::Sender<()>>,
}

impl Receiver for Counter {
    fn assigned(&mut self, _: Partition, _: Resume) -> Result<(), Refusal> {
        Ok(())
    }

    fn ready(&self, _: &Partition) -> bool {
        true
    }

    fn batch(&mut self, _: &Partition, batch: RecordBatch) {
        self.count += batch.len() as u64;
        if self.count >= self.records {
            self.all.take();
        }
    }

    fn idle(&mut self, _: &Partition) {}

    fn revoked(&mut self, _: &[Partition], _: bool, _: Instant) -> Vec<(Partition, Commitment)> {
        Vec::new()
    }

    fn commitments(&mut self) -> Vec<(Partition, Commitment)> {
        Vec::new()
    }

    fn failed(&mut self, error: SourceError) {
        panic!("{error}");
    }
}

fn source(brokers: &str, records: u64, group: &str) {
    let (all, reached) = mpsc::channel();
    let config = SourceConfig {
        kafka: kafka(brokers, group),
        parts_topic: None,
        idle_after: PATIENCE,
        memory_bytes: 256 << 20,
        initial_metadata: "bench".to_owned(),
    };
    let counter = Counter { count: 0, records, all: Some(all) };
    let source = Source::start(config, Box::new(counter)).expect("starts");
    assert_eq!(reached.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected), "all records in time");
    source.close(Instant::now() + PATIENCE).expect("closes");
}
