//! The source: records in order, positions, assignment. The only room that knows Kafka's client and consumer groups; the
//! writer of parts, markers and dead letters, the admin requests and the stand-in broker live here for that reason.
//!
//! One thread polls the group for the source topics and the parts topic, copies what comes into batches, and tells a
//! [`Receiver`] of partitions, batches and idleness. It commits what the receiver says may be committed, with the text that
//! belongs to the position.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::KafkaSettings;
use crate::record::{Commitment, Offset, Partition, RecordBatch, Resume, TopicId};

mod error;
mod client;
mod broker;
mod native;
mod contact;
mod start;
mod assigned;
mod flow;
mod commit;
mod control;
mod poll;
mod writer;
mod follow;
mod admin;

mod stand_in;

use control::Control;
use native::Consumer;
use poll::Poller;

pub use admin::{Admin, PartitionDescription, RecordRange, TopicDescription, TopicSettings};
pub use client::OWNED_KEYS;
pub use error::{Refusal, SourceError, WriteError};
pub use follow::{Followed, Follower};
pub use stand_in::StandInBroker;
pub use writer::{OMITTED_HEADER, Writer, WriterStatus};

/// What Kafka's client may read ahead, at least and at most: more than a few batches for each worker only costs memory.
const FETCH_BYTES: (usize, usize) = (1 << 20, 16 << 20);

/// How a partition goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Course {
    Onward,
    /// Its lane takes nothing: nothing is read.
    Stalled,
    /// Its lane has begun anew: from here.
    Again(Offset),
}

/// What the source tells, and asks. All calls are made on the poll thread; all but `revoked` return at once.
///
/// For each partition: `assigned`, then any number of `batch` and `idle`, then `revoked`; after that it may be assigned again.
pub trait Receiver: Send {
    /// A partition was assigned; its lane begins here. A refusal stops the source.
    fn assigned(&mut self, partition: Partition, resume: Resume) -> Result<(), Refusal>;

    /// May the next batch be handed over (nothing waits in the lane's queue)? Until then records collect in the batch;
    /// when that is full it comes unasked.
    fn ready(&self, partition: &Partition) -> bool;

    /// How the partition goes on; asked several times a second.
    fn course(&mut self, partition: &Partition) -> Course;

    /// The next records of the partition. The batch holds a permit of the partition's budget: dropping it frees the bytes.
    fn batch(&mut self, partition: &Partition, batch: RecordBatch);

    /// The broker says that the partition is at its end, it is not paused, and nothing came for `idle_after` (or it never had
    /// a record). Told again each time that `idle_after` has passed, as long as it lasts.
    fn idle(&mut self, partition: &Partition);

    /// These partitions go away: finish what is in flight until `deadline`, and say what may be committed for them. When they
    /// are `lost` they belong to somebody else already: waiting is in vain, and nothing is committed.
    fn revoked(&mut self, partitions: &[Partition], lost: bool, deadline: Instant) -> Vec<(Partition, Commitment)>;

    /// What may be committed now; asked every second. Partitions of which nothing is known may be left out.
    fn commitments(&mut self) -> Vec<(Partition, Commitment)>;

    /// The group took this position of a partition, which may have been taken away since.
    fn committed(&mut self, partition: &Partition, position: &Commitment);

    /// The source cannot go on: no batch comes any more. It stays in the group, as after [`Source::drain`], until it is closed.
    fn failed(&mut self, error: SourceError);
}

/// What the source needs to know.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    pub kafka: KafkaSettings,
    /// Read by the same group, always from its position or else its log's start. It must exist.
    pub parts_topic: Option<Arc<str>>,
    /// A partition at its end from which nothing came for this long is idle.
    pub idle_after: Duration,
    /// For what Kafka's client has fetched (a sixteenth, 1 to 16 MiB) and for the batches that are alive (the rest).
    pub memory_bytes: usize,
    /// The ids of the source topics, as far as the cluster tells: another one under the same name stops the source.
    pub topic_ids: Vec<(Arc<str>, TopicId)>,
    /// What is committed with the positions that the start rule gives. A position with exactly this text is
    /// [`Resume::Fresh`]: nothing of it was settled. Not empty, or the positions of others would look like that.
    pub initial_metadata: String,
}

/// What health and metrics show.
#[derive(Clone, PartialEq, Debug)]
pub struct SourceStatus {
    /// When the group's queue was polled last.
    pub polled: Instant,
    /// Is any broker connected?
    pub connected: bool,
    /// The client's last words about a broker that is not.
    pub word: Option<String>,
    /// No more records are handed over: [`Source::drain`], or a failure.
    pub draining: bool,
    /// Records that came below their partition's position and were left out.
    pub stale_records: u64,
    /// Records that were gone from the log before they were read (`on_data_loss = "continue"`).
    pub lost_records: u64,
    pub partitions: Vec<PartitionStatus>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PartitionStatus {
    pub partition: Partition,
    /// The offset after the last record that was handed over or collected.
    pub next: Offset,
    /// The end of the log as the broker told it last.
    pub end: Option<Offset>,
    pub committed: Option<Offset>,
    pub in_flight_bytes: usize,
    pub paused: bool,
    pub idle: bool,
}

impl PartitionStatus {
    /// Records between the position and the end of the log.
    pub fn lag(&self) -> Option<u64> {
        self.end.map(|end| u64::try_from(end.0.saturating_sub(self.next.0)).unwrap_or(0))
    }
}

/// The running source: a thread that polls until it is closed. Dropping it closes it without waiting.
pub struct Source {
    control: Arc<Control>,
    /// Disconnected when the thread has ended.
    ended: mpsc::Receiver<()>,
}

impl Source {
    /// Waits until Kafka answers, resolves and commits the start of a new group, joins it and starts the thread.
    pub fn start(config: SourceConfig, receiver: Box<dyn Receiver>) -> Result<Source, SourceError> {
        let fetch_bytes = (config.memory_bytes / 16).clamp(FETCH_BYTES.0, FETCH_BYTES.1);
        let batch_bytes = config.memory_bytes.saturating_sub(fetch_bytes).max(FETCH_BYTES.0);
        let settings = client::consumer(&config.kafka, fetch_bytes);
        let mut consumer = Consumer::new(&settings, client::secrets(&config.kafka))
            .map_err(|error| client::refused(&config.kafka, error))?;
        let topics: Vec<&str> = config.kafka.topics.iter().map(String::as_str).collect();
        let mut partitions = Vec::new();
        for topic in &topics {
            let found = contact::topic(&mut consumer, &config.kafka.brokers, topic, contact::TOPIC_TIMEOUT)?;
            partitions.extend(found.partitions.into_iter().map(|number| Partition::new(topic, number)));
        }
        start::first_start(&mut consumer, &config, &partitions)?;
        let parts_topic = config.parts_topic.clone();
        if let Some(topic) = &parts_topic {
            contact::topic(&mut consumer, &config.kafka.brokers, topic, contact::TOPIC_TIMEOUT)?;
        }
        let all: Vec<&str> = topics.into_iter().chain(parts_topic.as_deref()).collect();
        consumer.subscribe(&all).map_err(|code| SourceError::Request {
            what: format!("subscription of group {}", config.kafka.group),
            word: code.to_string(),
        })?;
        let control = Arc::new(Control::new(Instant::now()));
        let poller = Poller::new(consumer, receiver, config.clone(), batch_bytes, control.clone());
        let (ending, ended) = mpsc::channel();
        let run = move || {
            poller.run();
            drop(ending);
        };
        let thread = thread::Builder::new().name("source".to_owned()).spawn(run);
        thread.map_err(|error| SourceError::Thread { word: error.to_string() })?;
        Ok(Source { control, ended })
    }

    /// Stops handing records over, and stays in the group: what is in flight can be finished and committed. For good.
    pub fn drain(&self) {
        self.control.drain();
    }

    /// Tells the receiver that all partitions go away, commits what it says, and leaves the group. When that takes longer than
    /// the deadline the thread is left behind.
    pub fn close(self, deadline: Instant) -> Result<(), SourceError> {
        self.control.close(deadline);
        match self.ended.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Err(mpsc::RecvTimeoutError::Timeout) => Err(SourceError::CloseTimedOut),
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => Ok(()),
        }
    }

    pub fn status(&self) -> SourceStatus {
        self.control.status()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.control.close(Instant::now());
    }
}

#[cfg(test)]
mod tests;
