//! Router, workers and real lanes around a shell that answers when the test says so.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver as Inbox, Sender, bounded, unbounded};

use super::router::Router;
use super::shared::Shared;
use super::shell::{Shell, ShellStatus};
use super::worker::{Change, LaneKind, Trial, Worker};
use super::{MemoryDivision, Phase, PipelineError};
use crate::config::PipelineSettings;
use crate::lane::{Components, Described, Instances, OutputComponents, Plan, PluginId, Topology};
use crate::plugin::{CallError, Filter, Instance};
use crate::record::{
    Batch, BatchBuilder, Commitment, DocumentBatch, ErrorKind, EventTime, HasKind, Message, Offset, Partition,
    RecordBatch, RejectedDocument, Resume, Verdicts,
};
use crate::source::Receiver;

const PIPELINE: &str = r#"
    name = "test"
    [source.kafka]
    brokers = "localhost:1"
    topics = ["clicks"]
    [sink.elasticsearch]
    urls = ["http://localhost:1"]
    [[output]]
    name = "all"
    index = "all"
"#;

/// Longer than any step here takes on a busy machine; no test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);

type Done = Box<dyn FnOnce(Vec<RejectedDocument>) + Send>;

/// Hands documents to the test, and answers what it holds when it is flushed, if it is told to.
struct Hands {
    documents: Sender<(DocumentBatch, Done)>,
    answers_on_flush: Option<Inbox<(DocumentBatch, Done)>>,
    /// What it says that is in flight.
    held_bytes: Arc<AtomicUsize>,
}

impl Shell for Hands {
    fn index(&self, documents: DocumentBatch, done: Done) {
        self.documents.send((documents, done)).expect("the test lives longer than the workers");
    }

    fn write(&self, _: Vec<Message>, done: Box<dyn FnOnce() + Send>) {
        done();
    }

    fn flush(&self) {
        for (_, done) in self.answers_on_flush.iter().flat_map(Inbox::try_iter) {
            done(Vec::new());
        }
    }

    fn status(&self) -> ShellStatus {
        ShellStatus::default()
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes.load(Relaxed)
    }
}

struct Rig {
    router: Router,
    shared: Arc<Shared>,
    documents: Inbox<(DocumentBatch, Done)>,
    failures: Inbox<PipelineError>,
    metadata: String,
    /// Of its first worker.
    changes: Sender<Change>,
    held_bytes: Arc<AtomicUsize>,
}

fn rig(workers: usize, memory_bytes: usize, answers_on_flush: bool) -> Rig {
    rig_with(PIPELINE, workers, memory_bytes, answers_on_flush, &Vec::new)
}

fn rig_with(
    pipeline: &str,
    workers: usize,
    memory_bytes: usize,
    answers_on_flush: bool,
    transforms: &dyn Fn() -> Vec<Instance>,
) -> Rig {
    let settings = PipelineSettings::parse(pipeline, Path::new("test.toml"), &|_| None, None).expect("it is right").0;
    let ids = (0..transforms().len() as u64).map(PluginId);
    let components = Components {
        transforms: ids.map(|id| Described { id, ..Described::default() }).collect(),
        outputs: vec![OutputComponents::default()],
    };
    let topology = Topology { sources: vec![("clicks".into(), 4)], ..Topology::default() };
    let plan = Arc::new(Plan::new(&settings, &components, topology).expect("it fits together"));
    let metadata = plan.initial_metadata();
    let (sender, documents) = unbounded();
    let held_bytes = Arc::new(AtomicUsize::new(0));
    let answers_on_flush = answers_on_flush.then(|| documents.clone());
    let hands = Hands { documents: sender, answers_on_flush, held_bytes: held_bytes.clone() };
    let (failed, failures) = unbounded();
    let shared =
        Shared::new(plan, Arc::new(hands), MemoryDivision::of(memory_bytes), Default::default(), workers, None, failed);
    let workers: Vec<Worker> = (0..workers)
        .map(|number| {
            let instances: Instances = (0..).map(PluginId).zip(transforms()).collect();
            Worker::spawn(number, shared.clone(), instances).expect("a thread starts")
        })
        .collect();
    let changes = workers[0].changes();
    Rig { router: Router::new(shared.clone(), workers), shared, documents, failures, metadata, changes, held_bytes }
}

impl Rig {
    fn assign(&mut self, number: i32) -> Partition {
        let partition = Partition::new("clicks", number);
        self.router.assigned(partition.clone(), Resume::Fresh { offset: Offset(0) }).expect("it is taken");
        partition
    }

    fn documents(&self) -> (DocumentBatch, Done) {
        self.documents.recv_timeout(PATIENCE).expect("the lane makes documents")
    }

    /// Waits until the batch that the lane was given last is not waiting any more.
    fn wait_ready(&self, partition: &Partition) {
        let until = Instant::now() + PATIENCE;
        while !self.router.ready(partition) {
            assert!(Instant::now() < until, "the lane of {partition} takes its batch");
            std::thread::yield_now();
        }
    }

    fn revoke(&mut self, partition: &Partition, time: Duration) -> Option<Offset> {
        let positions = self.router.revoked(std::slice::from_ref(partition), false, Instant::now() + time);
        positions.into_iter().map(|(_, Commitment { offset, .. })| offset).next()
    }
}

fn batch(offsets: std::ops::Range<i64>) -> RecordBatch {
    let mut builder = BatchBuilder::new(EventTime::from_micros(1));
    for offset in offsets {
        builder.push(Offset(offset), Some(EventTime::from_micros(1_000)), None, Some(br#"{"a":1}"#));
    }
    builder.finish()
}

#[test]
fn a_revoked_lane_is_finished_and_its_position_comes_back() {
    let mut rig = rig(1, 64 << 20, true);
    let partition = rig.assign(0);
    rig.router.batch(&partition, batch(0..3));
    assert_eq!(rig.revoke(&partition, PATIENCE), Some(Offset(3)));
    assert_eq!(rig.shared.unsettled.load(Relaxed), 0);
    let snapshot = rig.shared.snapshot(Phase::Running);
    assert_eq!((snapshot.counts.tally.documents, snapshot.counted().pipeline.as_deref()), (3, Some("test")));
    assert!(rig.router.commitments().is_empty());
}

#[test]
fn what_is_in_flight_is_not_committed() {
    let mut rig = rig(1, 64 << 20, false);
    let partition = rig.assign(0);
    rig.router.batch(&partition, batch(0..3));
    let unanswered = rig.documents();
    assert_eq!(rig.revoke(&partition, Duration::ZERO), Some(Offset(0)));
    assert_eq!(rig.shared.unsettled.load(Relaxed), 1);
    drop(unanswered);
}

#[test]
fn a_late_answer_does_not_reach_the_next_lane_of_the_partition() {
    let mut rig = rig(1, 64 << 20, false);
    let partition = rig.assign(0);
    rig.router.batch(&partition, batch(0..3));
    let (_, late) = rig.documents();
    assert_eq!(rig.revoke(&partition, Duration::ZERO), Some(Offset(0)));
    rig.assign(0);
    rig.router.batch(&partition, batch(0..3));
    let (_, current) = rig.documents();
    late(Vec::new());
    assert_eq!(rig.router.commitments()[0].1.offset, Offset(0));
    current(Vec::new());
    assert_eq!(rig.revoke(&partition, PATIENCE), Some(Offset(3)));
}

#[test]
fn a_lost_lane_is_dropped_at_once_and_commits_nothing() {
    let mut rig = rig(1, 64 << 20, false);
    let partition = rig.assign(0);
    rig.router.batch(&partition, batch(0..3));
    let unanswered = rig.documents();
    let far = Instant::now() + Duration::from_secs(3600);
    assert!(rig.router.revoked(&[partition], true, far).is_empty());
    drop(unanswered);
}

/// Lanes that are gone, as after a rebalance, may have left documents that the index does not take.
#[test]
fn no_lane_takes_a_batch_while_too_much_is_in_flight_that_is_nobodys() {
    let mut rig = rig(1, 64 << 20, false);
    let partition = rig.assign(0);
    rig.held_bytes.store(64 << 20, Relaxed);
    rig.router.batch(&partition, batch(0..3));
    // It is looked at again meanwhile.
    assert!(rig.documents.recv_timeout(Duration::from_millis(200)).is_err());
    assert!(!rig.router.ready(&partition), "a batch waits");
    rig.held_bytes.store(0, Relaxed);
    let (documents, done) = rig.documents();
    assert_eq!(documents.len(), 3);
    done(Vec::new());
    assert_eq!(rig.revoke(&partition, PATIENCE), Some(Offset(3)));
}

#[test]
fn a_lane_with_its_share_in_flight_takes_no_batch_until_an_answer_comes() {
    let mut rig = rig(1, 64, false);
    let partition = rig.assign(0);
    rig.router.batch(&partition, batch(0..3));
    let (_, first) = rig.documents();
    rig.router.batch(&partition, batch(3..5));
    assert!(!rig.router.ready(&partition), "a batch waits");
    assert!(rig.documents.try_recv().is_err());
    first(Vec::new());
    let (documents, second) = rig.documents();
    assert_eq!(documents.len(), 2);
    second(Vec::new());
    assert_eq!(rig.revoke(&partition, PATIENCE), Some(Offset(5)));
}

#[test]
fn a_position_that_is_not_ours_stops_the_pipeline() {
    let mut rig = rig(1, 64 << 20, false);
    let resume = Resume::Position { offset: Offset(7), metadata: "somebody else's".to_owned(), log_end: Offset(7) };
    rig.router.assigned(Partition::new("clicks", 0), resume).expect("it is taken");
    let failure = rig.failures.recv_timeout(PATIENCE).expect("it is told");
    assert_eq!(failure.kind(), ErrorKind::Corrupt);
    // And nobody waits for the lane that never was.
    assert_eq!(rig.revoke(&Partition::new("clicks", 0), PATIENCE), None);
}

#[test]
fn a_committed_position_is_taken_up_where_it_was() {
    let mut rig = rig(1, 64 << 20, true);
    let partition = Partition::new("clicks", 0);
    let resume = Resume::Position { offset: Offset(7), metadata: rig.metadata.clone(), log_end: Offset(9) };
    rig.router.assigned(partition.clone(), resume).expect("it is taken");
    rig.router.batch(&partition, batch(7..9));
    assert_eq!(rig.revoke(&partition, PATIENCE), Some(Offset(9)));
}

#[test]
fn partitions_are_spread_over_the_workers() {
    let mut rig = rig(2, 64 << 20, true);
    for number in 0..4 {
        rig.assign(number);
    }
    assert_eq!(rig.router.loads(), [2, 2]);
    rig.revoke(&Partition::new("clicks", 0), PATIENCE);
    rig.revoke(&Partition::new("clicks", 2), PATIENCE);
    rig.assign(0);
    rig.assign(2);
    assert_eq!(rig.router.loads(), [2, 2]);
}

struct Broken(fn() -> CallError);

impl Filter for Broken {
    fn filter(&mut self, _: &Batch) -> Result<Verdicts, CallError> {
        Err(self.0())
    }
}

fn broken(how: fn() -> CallError) -> Rig {
    let pipeline = format!("{PIPELINE}\n[[transform]]\nplugin = \"broken.wasm\"\n");
    rig_with(&pipeline, 1, 64 << 20, true, &|| vec![Instance::Filter(Box::new(Broken(how)))])
}

#[test]
fn a_component_that_breaks_stops_the_pipeline_and_the_position_stays() {
    let mut rig = broken(|| CallError::Trap("unreachable".to_owned()));
    let partition = rig.assign(0);
    rig.router.batch(&partition, batch(0..3));
    let failure = rig.failures.recv_timeout(PATIENCE).expect("it is told");
    assert_eq!(failure.kind(), ErrorKind::Plugin);
    assert_eq!(rig.revoke(&partition, PATIENCE), Some(Offset(0)));
    assert_eq!(rig.shared.unsettled.load(Relaxed), 0, "nothing of it is in flight");
}

#[test]
fn a_worker_that_panics_is_told_of_and_not_waited_for() {
    let mut rig = broken(|| panic!("a bug of ours, for this test"));
    let partition = rig.assign(0);
    rig.router.batch(&partition, batch(0..3));
    let failure = rig.failures.recv_timeout(PATIENCE).expect("it is told");
    assert_eq!(failure.kind(), ErrorKind::Internal);
    let begun = Instant::now();
    assert_eq!(rig.revoke(&partition, Duration::from_secs(3600)), Some(Offset(0)));
    assert!(begun.elapsed() < PATIENCE);
}

struct DropAll;

impl Filter for DropAll {
    fn filter(&mut self, batch: &Batch) -> Result<Verdicts, CallError> {
        Ok(Verdicts { keep: vec![0; batch.rows as usize], rejected: Vec::new() })
    }
}

#[test]
fn a_lane_on_probation_keeps_no_more_batches_than_its_share() {
    let pipeline = format!("{PIPELINE}\n[[transform]]\nplugin = \"none.wasm\"\n");
    // Nothing but the batches themselves is kept.
    let mut rig = rig_with(&pipeline, 1, 64, false, &|| vec![Instance::Filter(Box::new(DropAll))]);
    let (big, other) = (rig.assign(0), rig.assign(1));
    let (words, _heard) = bounded(1);
    let (plan, trial) = (rig.shared.plan.clone(), Arc::new(Trial::new(1000, words)));
    let (answer, swapped) = bounded(1);
    rig.router.batch(&big, batch(0..1));
    rig.router.batch(&other, batch(0..1));
    rig.wait_ready(&big);
    rig.wait_ready(&other);
    let swap = Change::Swap { kind: LaneKind::Source, plan, instances: Instances::default(), trial, answer };
    rig.changes.send(swap).expect("the worker lives");
    swapped.recv_timeout(PATIENCE).expect("it answers").expect("the lanes follow");

    rig.router.batch(&big, batch(1..4));
    rig.wait_ready(&big);
    rig.router.batch(&big, batch(4..7));
    rig.router.batch(&other, batch(1..2));
    rig.wait_ready(&other);
    assert!(!rig.router.ready(&big), "a batch waits, and one that came after it does not");

    let (answer, concluded) = bounded(1);
    rig.changes.send(Change::Conclude { accepted: true, answer }).expect("the worker lives");
    assert_eq!(concluded.recv_timeout(PATIENCE).expect("it answers").len(), 2, "the lanes of before come back");
    rig.wait_ready(&big);
    assert_eq!(rig.revoke(&big, PATIENCE), Some(Offset(7)));
}
