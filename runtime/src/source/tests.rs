//! The source against the in-process broker: assignment, positions, idleness, back-pressure, commits, a closing group.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::*;
use crate::config::{OnDataLoss, Secret, Start};
use crate::record::ErrorKind;

mod course;
mod pause;

const TOPIC: &str = "events";
const PATIENCE: Duration = Duration::from_secs(20);

/// What a receiver was told, and what it answers.
#[derive(Default)]
struct Told {
    resumes: HashMap<i32, Resume>,
    offsets: HashMap<i32, Vec<i64>>,
    batches: Vec<RecordBatch>,
    idle: Vec<i32>,
    revoked: Vec<i32>,
    failed: Option<SourceError>,
    commit: Vec<(Partition, Commitment)>,
    committed: Vec<(Partition, Commitment)>,
    /// What is answered next.
    courses: HashMap<i32, Course>,
    refuse: bool,
    keep_batches: bool,
}

#[derive(Clone, Default)]
struct Recorder(Arc<(Mutex<Told>, Condvar)>);

impl Recorder {
    fn change<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        let result = change(&mut self.0.0.lock().expect("not poisoned"));
        self.0.1.notify_all();
        result
    }

    fn wait_until(&self, what: &str, mut reached: impl FnMut(&Told) -> bool) {
        let told = self.0.0.lock().expect("not poisoned");
        let (_told, timeout) =
            self.0.1.wait_timeout_while(told, PATIENCE, |told| !reached(told)).expect("not poisoned");
        assert!(!timeout.timed_out(), "waited in vain: {what}");
    }
}

impl Receiver for Recorder {
    fn assigned(&mut self, partition: Partition, resume: Resume) -> Result<(), Refusal> {
        self.change(|told| {
            if told.refuse {
                return Err(Refusal { kind: ErrorKind::Corrupt, message: "not ours".to_owned() });
            }
            told.resumes.insert(partition.number, resume);
            Ok(())
        })
    }

    fn ready(&self, _: &Partition) -> bool {
        true
    }

    fn course(&mut self, partition: &Partition) -> Course {
        self.change(|told| told.courses.remove(&partition.number).unwrap_or(Course::Onward))
    }

    fn batch(&mut self, partition: &Partition, batch: RecordBatch) {
        self.change(|told| {
            told.offsets.entry(partition.number).or_default().extend_from_slice(batch.offsets());
            if told.keep_batches {
                told.batches.push(batch);
            }
        });
    }

    fn idle(&mut self, partition: &Partition) {
        self.change(|told| told.idle.push(partition.number));
    }

    fn revoked(&mut self, partitions: &[Partition], _: bool, _: Instant) -> Vec<(Partition, Commitment)> {
        self.change(|told| {
            told.revoked.extend(partitions.iter().map(|it| it.number));
            told.commit.clone()
        })
    }

    fn commitments(&mut self) -> Vec<(Partition, Commitment)> {
        self.change(|told| told.commit.clone())
    }

    fn committed(&mut self, partition: &Partition, position: &Commitment) {
        self.change(|told| told.committed.push((partition.clone(), position.clone())));
    }

    fn failed(&mut self, error: SourceError) {
        self.change(|told| told.failed = Some(error));
    }
}

fn config(broker: &StandInBroker) -> SourceConfig {
    // The stand-in's group waits for most of a session before it goes on without a member that left.
    let quick = [("session.timeout.ms", "1500"), ("heartbeat.interval.ms", "200")];
    let settings = quick.into_iter().map(|(key, value)| (key.to_owned(), Secret::new(value))).collect();
    SourceConfig {
        topic_ids: Vec::new(),
        kafka: KafkaSettings {
            brokers: broker.bootstrap(),
            topics: vec![TOPIC.to_owned()],
            group: "pipeline".to_owned(),
            instance: None,
            start: Start::Earliest,
            on_data_loss: OnDataLoss::Stop,
            librdkafka: settings,
        },
        parts_topic: None,
        idle_after: Duration::from_millis(300),
        memory_bytes: 64 << 20,
        initial_metadata: "new".to_owned(),
    }
}

/// `RUST_LOG=trace` shows what the client says.
fn broker(partitions: i32) -> StandInBroker {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
    StandInBroker::start(&[(TOPIC, partitions)]).expect("starts")
}

/// Records of `value` at the end of a partition.
fn produce(broker: &StandInBroker, partition: i32, count: usize, value: &[u8]) {
    let producer: BaseProducer =
        rdkafka::ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create().expect("a producer");
    for _ in 0..count {
        let record = BaseRecord::<(), [u8]>::to(TOPIC).partition(partition).payload(value);
        producer.send(record).expect("room in the queue");
    }
    producer.flush(PATIENCE).expect("written");
}

fn start(config: SourceConfig, recorder: &Recorder) -> Source {
    Source::start(config, Box::new(recorder.clone())).expect("starts")
}

fn close(source: Source) {
    source.close(Instant::now() + PATIENCE).expect("closes in time");
}

fn at(partition: i32, offset: i64, metadata: &str) -> (Partition, Commitment) {
    (Partition::new(TOPIC, partition), Commitment { offset: Offset(offset), metadata: metadata.to_owned() })
}

#[test]
fn records_come_in_order_and_a_restart_resumes_with_what_was_committed() {
    let broker = broker(2);
    produce(&broker, 0, 100, b"a");
    produce(&broker, 1, 50, b"b");
    let first = Recorder::default();
    let source = start(config(&broker), &first);
    first.wait_until("all records", |told| {
        let count = |partition| told.offsets.get(&partition).map_or(0, Vec::len);
        count(0) == 100 && count(1) == 50
    });
    first.change(|told| {
        assert_eq!(told.resumes[&0], Resume::Fresh { offset: Offset(0) });
        assert_eq!(told.offsets[&0], (0..100).collect::<Vec<_>>());
        told.commit = vec![at(0, 60, "w=7")];
    });
    close(source);
    first.change(|told| {
        told.revoked.sort_unstable();
        assert_eq!(told.revoked, [0, 1]);
    });

    let second = Recorder::default();
    let source = start(config(&broker), &second);
    second.wait_until("the rest", |told| told.offsets.get(&0).is_some_and(|offsets| offsets.len() == 40));
    second.change(|told| {
        let position = Resume::Position { offset: Offset(60), metadata: "w=7".to_owned(), log_end: Offset(100) };
        assert_eq!(told.resumes[&0], position);
        assert_eq!(told.resumes[&1], Resume::Fresh { offset: Offset(0) }, "nothing of it was settled");
        assert_eq!(told.offsets[&0], (60..100).collect::<Vec<_>>());
    });
    close(source);
}

fn wait_for_status(source: &Source, reached: impl Fn(&SourceStatus) -> bool) -> SourceStatus {
    let began = Instant::now();
    loop {
        let status = source.status();
        if reached(&status) {
            return status;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain: {status:?}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn the_start_of_a_new_group_is_committed_before_a_record_is_read() {
    let broker = broker(2);
    produce(&broker, 0, 5, b"old");
    let latest = || {
        let mut config = config(&broker);
        config.kafka.start = Start::Latest;
        config
    };
    let first = Recorder::default();
    let source = start(latest(), &first);
    first.wait_until("assignment", |told| told.resumes.len() == 2);
    first.change(|told| assert_eq!(told.resumes[&0], Resume::Fresh { offset: Offset(5) }));
    close(source);
    produce(&broker, 0, 3, b"new");
    let second = Recorder::default();
    let source = start(latest(), &second);
    second.wait_until("what came after the first start", |told| told.offsets.contains_key(&0));
    second.change(|told| assert_eq!(told.offsets[&0][0], 5, "`latest` was resolved once"));
    close(source);
}

#[test]
fn a_partition_at_its_end_is_idle_after_a_while_and_as_long_as_it_lasts() {
    let broker = broker(2);
    produce(&broker, 0, 3, b"a");
    let recorder = Recorder::default();
    let mut slow = config(&broker);
    slow.idle_after = Duration::from_secs(2);
    let began = Instant::now();
    let source = start(slow, &recorder);
    let times = |told: &Told, partition: i32| told.idle.iter().filter(|told| **told == partition).count();
    recorder.wait_until("the partition that never had a record", |told| told.idle == [1]);
    recorder.wait_until("the partition at its end", |told| times(told, 0) == 1);
    assert!(began.elapsed() >= Duration::from_secs(2));
    recorder.wait_until("it lasts", |told| times(told, 0) >= 2 && times(told, 1) >= 2);
    produce(&broker, 0, 1, b"a");
    recorder.wait_until("the record", |told| told.offsets[&0].len() == 4);
    let before = recorder.change(|told| times(told, 0));
    recorder.wait_until("idle again", |told| times(told, 0) > before);
    recorder.change(|told| assert_eq!(told.offsets[&0].len(), 4));
    close(source);
}

#[test]
fn too_many_bytes_in_flight_pause_and_nothing_is_lost_or_repeated() {
    let broker = broker(1);
    let value = vec![b'x'; 50_000];
    produce(&broker, 0, 90, &value);
    let recorder = Recorder::default();
    recorder.change(|told| told.keep_batches = true);
    let mut small = config(&broker);
    small.memory_bytes = 3 << 20;
    let source = start(small, &recorder);
    let status = wait_for_status(&source, |status| status.partitions.iter().any(|it| it.paused));
    assert!(status.partitions[0].in_flight_bytes < 4 << 20, "{status:?}");
    assert!(recorder.change(|told| told.offsets[&0].len()) < 90);
    recorder.change(|told| {
        told.keep_batches = false;
        told.batches.clear();
    });
    recorder.wait_until("all records", |told| told.offsets[&0].len() >= 90);
    recorder.change(|told| assert_eq!(told.offsets[&0], (0..90).collect::<Vec<_>>()));
    close(source);
}

#[test]
fn a_position_beyond_the_end_stops_the_source() {
    let broker = broker(1);
    produce(&broker, 0, 5, b"a");
    let first = Recorder::default();
    first.change(|told| told.commit = vec![at(0, 1_000, "w")]);
    let source = start(config(&broker), &first);
    wait_for_status(&source, |status| status.partitions.iter().any(|it| it.committed == Some(Offset(1_000))));
    close(source);
    let second = Recorder::default();
    let source = start(config(&broker), &second);
    second.wait_until("the failure", |told| told.failed.is_some());
    second.change(|told| {
        assert!(
            matches!(told.failed, Some(SourceError::BeyondEnd { position: Offset(1_000), .. })),
            "{:?}",
            told.failed
        );
        assert!(told.offsets.is_empty());
    });
    assert!(source.status().draining);
    close(source);
}

#[test]
fn a_lane_that_refuses_its_position_stops_the_source() {
    let broker = broker(1);
    let recorder = Recorder::default();
    recorder.change(|told| told.refuse = true);
    let source = start(config(&broker), &recorder);
    recorder.wait_until("the failure", |told| told.failed.is_some());
    recorder.change(|told| {
        let kind = told.failed.as_ref().map(crate::record::HasKind::kind);
        assert_eq!(kind, Some(ErrorKind::Corrupt));
    });
    close(source);
}

#[test]
fn a_drained_source_keeps_its_partitions_and_commits() {
    let broker = broker(1);
    produce(&broker, 0, 5, b"a");
    let recorder = Recorder::default();
    let source = start(config(&broker), &recorder);
    recorder.wait_until("records", |told| told.offsets.get(&0).is_some_and(|it| it.len() == 5));
    source.drain();
    wait_for_status(&source, |status| status.draining);
    produce(&broker, 0, 5, b"a");
    recorder.change(|told| told.commit = vec![at(0, 5, "end")]);
    wait_for_status(&source, |status| status.partitions.iter().any(|it| it.committed == Some(Offset(5))));
    recorder.change(|told| assert_eq!((told.offsets[&0].len(), told.revoked.len()), (5, 0)));
    close(source);
}

#[test]
fn a_partition_moves_to_a_second_member_and_goes_on_there() {
    let broker = broker(2);
    produce(&broker, 0, 20, b"a");
    produce(&broker, 1, 20, b"b");
    let one = Recorder::default();
    one.change(|told| told.commit = vec![at(0, 20, "m0"), at(1, 20, "m1")]);
    let first = start(config(&broker), &one);
    one.wait_until("both partitions", |told| told.offsets.values().map(Vec::len).sum::<usize>() == 40);
    // On a machine that stalls for longer than the group waits, the first member is given up before it can commit.
    wait_for_status(&first, |status| {
        status.partitions.iter().filter(|it| it.committed == Some(Offset(20))).count() == 2
    });
    let two = Recorder::default();
    let second = start(config(&broker), &two);
    two.wait_until("one partition", |told| !told.resumes.is_empty());
    let (moved, resume) = two.change(|told| told.resumes.clone().into_iter().next().expect("one"));
    one.wait_until("what moved is given back", |told| told.revoked.contains(&moved));
    assert_eq!(resume, Resume::Position { offset: Offset(20), metadata: format!("m{moved}"), log_end: Offset(20) });
    produce(&broker, moved, 1, b"c");
    two.wait_until("the next record", |told| told.offsets.get(&moved).is_some_and(|it| *it == [20]));
    close(second);
    close(first);
}

#[test]
fn a_broker_that_goes_away_is_waited_for() {
    let broker = broker(1);
    produce(&broker, 0, 5, b"a");
    let recorder = Recorder::default();
    let source = start(config(&broker), &recorder);
    recorder.wait_until("records", |told| told.offsets.contains_key(&0));
    broker.set_up(false);
    wait_for_status(&source, |status| !status.connected);
    broker.set_up(true);
    wait_for_status(&source, |status| status.connected);
    produce(&broker, 0, 5, b"a");
    recorder.wait_until("later records", |told| told.offsets[&0].len() == 10);
    close(source);
}

#[test]
fn an_unknown_topic_is_a_clear_error() {
    let broker = broker(1);
    let mut unknown = config(&broker);
    unknown.kafka.topics = vec!["nothing".to_owned()];
    let error = Source::start(unknown, Box::new(Recorder::default())).err().expect("refused");
    assert!(matches!(&error, SourceError::UnknownTopic { topic } if topic == "nothing"), "{error}");
}

#[test]
fn an_admin_describes_topics_and_finds_what_is_there() {
    let broker = broker(3);
    produce(&broker, 2, 7, b"a");
    let mut admin = Admin::new(&config(&broker).kafka).expect("a client");
    let topic = admin.describe(TOPIC).expect("it is there");
    let ends: Vec<_> = topic.partitions.iter().map(|it| (it.number, it.log_start, it.log_end)).collect();
    assert_eq!(ends, [(0, Offset(0), Offset(0)), (1, Offset(0), Offset(0)), (2, Offset(0), Offset(7))]);
    assert_eq!(topic.replication, 1);
    assert_eq!(admin.find("nothing").expect("answered"), None);
    assert_eq!(admin.ensure_parts(TOPIC, &[]).expect("it is there"), 3, "what exists is left as it is");
    assert_eq!(admin.positions(&[Partition::new(TOPIC, 0)]).expect("answered"), [None]);
}

#[test]
fn an_admin_reads_the_newest_records() {
    let broker = broker(3);
    produce(&broker, 0, 3, b"a");
    produce(&broker, 2, 30, b"b");
    let mut admin = Admin::new(&config(&broker).kafka).expect("a client");
    let topic = admin.describe(TOPIC).expect("it is there");
    let newest = admin.newest(&topic, 30).expect("read");
    let offsets: Vec<_> =
        newest.iter().map(|(partition, batch)| (partition.number, batch.offsets().to_vec())).collect();
    assert_eq!(offsets, [(0, vec![0, 1, 2]), (2, (20..30).collect())]);
}
