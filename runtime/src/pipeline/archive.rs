//! The archive of dead letters: what their topic gets is copied to object storage, by a group and a thread of its own. The pipeline never
//! waits for it; positions of the group are committed when a store has what is before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use tokio::runtime::Handle;

use super::PipelineError;
use super::panic_guard::PanicGuard;
use super::shared::Shared;
use crate::checkpoint::{CheckpointError, PutLines, Store};
use crate::config::PipelineSettings;
use crate::source::{Followed, Follower};

mod collected;

use collected::Collected;

/// Letters that are held, of all partitions. While there are more, nothing is read; and one batch of Kafka's client is read beyond it.
const BYTES_MAX: usize = 32 << 20;
/// How long the thread waits for letters before it looks for what else is to do.
const WAIT: Duration = Duration::from_millis(200);
/// A store that took nothing is tried again after this, and then after twice as long.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);
/// What a drain may take for the archive, at least and at most: nothing is lost by what it does not wait for.
const FINISH_TIME: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
/// How much of that is kept for leaving the group.
const LEAVE_TIME: Duration = Duration::from_millis(500);

/// What an archive did since the pipeline began.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct ArchiveCounts {
    pub letters: u64,
    /// Puts that a store did not take, each of them with the attempts that its client made.
    pub failures: u64,
    /// Messages of the dead-letter topic that are not archived, of the partitions that this process archives.
    pub lag_records: u64,
}

#[derive(Default)]
pub(crate) struct ArchiveCounters {
    letters: AtomicU64,
    failures: AtomicU64,
    lag_records: AtomicU64,
}

impl ArchiveCounters {
    pub fn read(&self) -> ArchiveCounts {
        ArchiveCounts {
            letters: self.letters.load(Relaxed),
            failures: self.failures.load(Relaxed),
            lag_records: self.lag_records.load(Relaxed),
        }
    }
}

/// The thread. Dropping it ends it without waiting: what is not archived is when the pipeline runs again.
pub(super) struct Archive {
    /// Takes the time at which it must be done.
    stop: Sender<Instant>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl Archive {
    /// None where the pipeline file names no place for one. A store that does not answer is waited for, here and later.
    pub fn start(
        settings: &PipelineSettings,
        shared: &Arc<Shared>,
        requests: &Handle,
    ) -> Result<Option<Archive>, PipelineError> {
        let Some(location) = &settings.dead_letters.archive else { return Ok(None) };
        let store = Store::at(location).map_err(Box::new)?;
        let (group, topic) = (format!("{}.dead-letters-archive", settings.kafka.group), &settings.dead_letters.topic);
        let now = Instant::now();
        let follower = Follower::start(&settings.kafka, group, topic, now)?;
        let (stop, stopped) = bounded(1);
        let (ending, ended) = bounded::<()>(0);
        let archivist = Archivist {
            follower,
            store,
            pipeline: settings.name.as_str().into(),
            requests: requests.clone(),
            shared: shared.clone(),
            collected: Vec::new(),
            again_at: now,
            failing: None,
        };
        let run = move || {
            let _guard = PanicGuard::new(archivist.shared.clone(), "archive");
            archivist.run(&stopped);
            drop(ending);
        };
        thread::Builder::new().name("archive".to_owned()).spawn(run).map_err(PipelineError::Thread)?;
        tracing::info!(location, "dead letters are archived");
        Ok(Some(Archive { stop, ended }))
    }

    /// Archives what the topic has by now. When that takes too long the thread is left behind.
    pub fn finish(self, deadline: Instant) {
        let now = Instant::now();
        let deadline = deadline.clamp(now + FINISH_TIME.0, now + FINISH_TIME.1);
        let _ = self.stop.send(deadline - LEAVE_TIME);
        if self.ended.recv_deadline(deadline) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(
                "the archive has not ended in time; dead letters that it lacks are archived after the next start"
            );
        }
    }
}

struct Archivist {
    follower: Follower,
    store: Store,
    pipeline: Arc<str>,
    requests: Handle,
    shared: Arc<Shared>,
    /// A place for each of our partitions.
    collected: Vec<Collected>,
    /// While the store takes nothing: since when, and the pause before it is tried again.
    failing: Option<(Instant, Duration)>,
    again_at: Instant,
}

impl Archivist {
    fn run(mut self, stopped: &Receiver<Instant>) {
        loop {
            match stopped.try_recv() {
                Ok(deadline) => return self.finish(deadline),
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {}
            }
            self.read(WAIT);
            let now = Instant::now();
            let all = self.bytes() >= BYTES_MAX;
            self.put(|collected| all || collected.is_due(now), None);
            self.follower.pause(self.bytes() >= BYTES_MAX || self.collected.iter().any(Collected::is_full));
            self.shared.archive.lag_records.store(self.follower.lag().unwrap_or(0), Relaxed);
        }
    }

    /// Reads to the end of the topic, and puts all that there is; a store that does not take it is not waited for.
    fn finish(mut self, deadline: Instant) {
        let (mut is_read, mut is_put) = (false, false);
        self.again_at = Instant::now();
        while !(is_read && is_put) && Instant::now() < deadline {
            is_read = self.follower.ends().is_some_and(|ends| ends.iter().all(|(next, end)| next >= end));
            self.read(if is_read { Duration::ZERO } else { WAIT });
            self.put(|collected| is_read || collected.is_full(), Some(deadline));
            is_put = self.collected.iter().all(Collected::is_empty);
            if self.again_at > Instant::now() {
                break;
            }
            self.follower.pause(false);
        }
        self.shared.archive.lag_records.store(self.follower.lag().unwrap_or(0), Relaxed);
        let letters: usize = self.collected.iter().map(Collected::letters).sum();
        if !(is_read && is_put) {
            tracing::warn!(letters, "dead letters are not archived yet, and are after the next start");
        }
        self.follower.close(deadline + LEAVE_TIME);
    }

    fn bytes(&self) -> usize {
        self.collected.iter().map(Collected::bytes).sum()
    }

    fn read(&mut self, wait: Duration) {
        let Archivist { follower, collected, pipeline, .. } = self;
        follower.take(wait, |followed| match followed {
            Followed::Begun { partition, next, lost_records } => {
                if lost_records > 0 {
                    tracing::warn!(%partition, records = lost_records, "dead letters were gone from their topic before they were archived");
                }
                collected.push(Collected::new(partition, next));
            }
            Followed::Gone(partition) => collected.retain(|it| it.partition != partition),
            Followed::Batch(partition, batch) => {
                if let Some(it) = collected.iter_mut().find(|it| it.partition == partition) {
                    it.add(pipeline, &batch, Instant::now());
                }
            }
        });
    }

    /// Puts the first that are chosen, unless the store has just failed; the next are put with the next call after a failure.
    fn put(&mut self, is_chosen: impl Fn(&Collected) -> bool, deadline: Option<Instant>) {
        for place in 0..self.collected.len() {
            let it = &mut self.collected[place];
            if it.is_empty() || !is_chosen(it) || Instant::now() < self.again_at {
                continue;
            }
            let put = match it.object(&self.pipeline) {
                None => Ok(PutLines::All),
                Some((name, lines)) => {
                    let patience = deadline.map_or(Duration::MAX, |deadline| deadline - Instant::now().min(deadline));
                    let put = async { tokio::time::timeout(patience, self.store.put_lines(&name, lines)).await };
                    self.requests.block_on(put).unwrap_or_else(|_| {
                        let (location, object) = (self.store.location().to_owned(), name.clone());
                        let what = "it did not answer before the end of the drain".to_owned();
                        Err(CheckpointError::Unavailable { location, object, what })
                    })
                }
            };
            match put {
                Ok(put) => {
                    let (letters, next) = it.archived(put);
                    self.shared.archive.letters.fetch_add(letters as u64, Relaxed);
                    self.follower.commit(&it.partition, next);
                    if let Some((since, _)) = self.failing.take() {
                        tracing::info!(after_seconds = since.elapsed().as_secs(), "dead letters are archived again");
                    }
                }
                Err(error) => self.failed(&error, Instant::now()),
            }
        }
    }

    /// Said once for as long as it lasts.
    fn failed(&mut self, error: &CheckpointError, now: Instant) {
        self.shared.archive.failures.fetch_add(1, Relaxed);
        let (since, pause) = match self.failing {
            Some((since, pause)) => (since, (pause * 2).min(AGAIN_AFTER_MAX)),
            None => {
                tracing::warn!("dead letters are not archived, and are when this is over: {error}");
                (now, AGAIN_AFTER)
            }
        };
        self.failing = Some((since, pause));
        self.again_at = now + pause;
    }
}
