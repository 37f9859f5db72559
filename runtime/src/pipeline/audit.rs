//! The audit log: a line for each record that was dropped at somebody's asking. A thread of its own writes it, and nobody waits for that:
//! what there is no room for, or no disk, is counted as lost.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::PipelineError;
use crate::config::AuditSettings;
use crate::lane::{DroppedRecord, Sampling};
use crate::record::{EventTime, Partition};

mod files;
mod line;

use files::Files;

/// Batches that wait for the thread, and what is in them: a disk that is slow for some seconds loses nothing.
const BATCHES_MAX: usize = 1024;
const WAITING_BYTES_MAX: usize = 8 << 20;
/// What a drain waits for the last lines.
const FINISH_TIME: Duration = Duration::from_secs(2);

/// What became of lines since the pipeline began.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct AuditCounts {
    pub lines: u64,
    pub lost: u64,
}

/// What was dropped in a step of a lane.
struct Batch {
    partition: Partition,
    drops: Vec<DroppedRecord>,
    bytes: usize,
}

#[derive(Default)]
struct Counters {
    lines: AtomicU64,
    lost: AtomicU64,
    waiting_bytes: AtomicUsize,
    /// The log says that lines are lost.
    is_losing: AtomicBool,
}

pub(crate) struct Audit {
    sampling: Sampling,
    counters: Arc<Counters>,
    /// None when it has ended.
    batches: Mutex<Option<Sender<Batch>>>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl Audit {
    /// A file that cannot be written is an error here, and later no more than lines that are lost.
    pub fn start(pipeline: &str, settings: &AuditSettings) -> Result<Audit, PipelineError> {
        let files = Files::open(settings);
        let files = files.map_err(|error| PipelineError::Audit { path: settings.path.clone(), error })?;
        let (batches, received) = bounded(BATCHES_MAX);
        let (ending, ended) = bounded::<()>(0);
        let counters = Arc::<Counters>::default();
        let writer = Writer { pipeline: pipeline.to_owned(), files, counters: counters.clone(), text: Vec::new() };
        let run = move || {
            writer.run(&received);
            drop(ending);
        };
        thread::Builder::new().name("audit".to_owned()).spawn(run).map_err(PipelineError::Thread)?;
        let sampling = Sampling::of(settings.percent);
        Ok(Audit { sampling, counters, batches: Mutex::new(Some(batches)), ended })
    }

    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    pub fn counts(&self) -> AuditCounts {
        AuditCounts { lines: self.counters.lines.load(Relaxed), lost: self.counters.lost.load(Relaxed) }
    }

    /// Returns at once.
    pub fn tell(&self, partition: &Partition, drops: Vec<DroppedRecord>) {
        if drops.is_empty() {
            return;
        }
        let lines = drops.len();
        let bytes = drops.iter().map(DroppedRecord::bytes).sum();
        let has_room = self.counters.waiting_bytes.load(Relaxed) + bytes <= WAITING_BYTES_MAX;
        let batch = Batch { partition: partition.clone(), drops, bytes };
        self.counters.waiting_bytes.fetch_add(bytes, Relaxed);
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let is_told = has_room && batches.as_ref().is_some_and(|batches| batches.try_send(batch).is_ok());
        if !is_told {
            self.counters.waiting_bytes.fetch_sub(bytes, Relaxed);
            self.counters.lose(lines, "its disk is slower than what is dropped");
        }
    }

    /// Waits a moment for the last lines.
    pub fn finish(&self) {
        drop(self.batches.lock().unwrap_or_else(PoisonError::into_inner).take());
        if self.ended.recv_timeout(FINISH_TIME) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            let bytes = self.counters.waiting_bytes.load(Relaxed);
            tracing::warn!(bytes, "the last lines of the audit log were not written in time");
        }
    }
}

impl Counters {
    /// Said once for as long as it lasts.
    fn lose(&self, lines: usize, why: &str) {
        self.lost.fetch_add(lines as u64, Relaxed);
        if !self.is_losing.swap(true, Relaxed) {
            tracing::warn!("lines of the audit log are lost: {why}");
        }
    }

    fn wrote(&self, lines: usize) {
        self.lines.fetch_add(lines as u64, Relaxed);
        if self.is_losing.swap(false, Relaxed) {
            tracing::info!(lost = self.lost.load(Relaxed), "the audit log is written again");
        }
    }
}

struct Writer {
    pipeline: String,
    files: Files,
    counters: Arc<Counters>,
    text: Vec<u8>,
}

impl Writer {
    fn run(mut self, batches: &Receiver<Batch>) {
        for Batch { partition, drops, bytes } in batches {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = EventTime::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
            self.text.clear();
            for drop in &drops {
                line::write(&self.pipeline, &partition, now, drop, &mut self.text);
            }
            match self.files.append(&self.text) {
                Ok(()) => self.counters.wrote(drops.len()),
                Err(error) => self.counters.lose(drops.len(), &error.to_string()),
            }
            self.counters.waiting_bytes.fetch_sub(bytes, Relaxed);
        }
    }
}
