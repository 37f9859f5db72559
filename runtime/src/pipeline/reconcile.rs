//! A reconciliation: does what was read add up to what is there? The source topics are read again, up to the group's positions, the present
//! components run over them in virtual time, and what they give is looked for in the index and among the dead letters. It writes nothing
//! anywhere, and joins no group.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use hashbrown::HashSet;

use crate::config::{OutputSettings, PipelineSettings};
use crate::pipeline::lookups::Lookups;
use crate::pipeline::{DeadLetterTopic, Loader, PipelineError};
use crate::plugin::THREAD_STACK_BYTES;
use crate::record::{Offset, Partition, RecordBatch};
use crate::source::{Admin, RecordRange};

mod account;
mod differences;
mod expected;
mod letters;
mod lanes;
mod records;
mod scope;
mod windows;

pub use account::{Counts, OutputAccount, WindowCounts};
pub use differences::{Difference, Why};
pub use letters::LetterCounts;
pub use scope::PartitionScope;

use differences::Differences;
use records::Records;
pub(super) use scope::Scope;
use windows::Windows;

/// How often the log says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// How often the pipeline's positions are looked at, while documents are missing that records behind them may have deleted: it commits each
/// second.
const LOOKS_BEHIND: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Clone, Default, Debug)]
pub struct Reconcile {
    /// Records that were written to Kafka before then are left out, in milliseconds since 1970 UTC; none: all that there are.
    pub from_millis: Option<i64>,
    /// Only these outputs; empty: all.
    pub outputs: Vec<String>,
}

/// What was found.
#[derive(Clone, Default, Debug)]
pub struct Reconciled {
    /// What was read of each partition, and what was not.
    pub partitions: Vec<PartitionScope>,
    pub outputs: Vec<OutputAccount>,
    /// In the order of outputs and origins; consecutive ones are one.
    pub differences: Vec<Difference>,
    /// How many documents, records and windows they are, those included that are not remembered one by one.
    pub different: u64,
    pub letters: LetterCounts,
    /// Messages of the parts topic that wait to be merged.
    pub parts_unread: u64,
    /// The pipeline's.
    pub revision: u16,
    /// Somebody wanted it to stop before all was read.
    pub stopped: bool,
}

impl Reconciled {
    pub fn adds_up(&self) -> bool {
        self.different == 0 && !self.stopped
    }
}

/// Reconciles a pipeline, whether it runs or not. It takes a thread of its own, and ends soon after `stop` is set.
pub fn reconcile(
    settings: &PipelineSettings,
    asked: &Reconcile,
    stop: &AtomicBool,
) -> Result<Reconciled, PipelineError> {
    thread::scope(|scope| {
        let reconciling = thread::Builder::new().name("reconcile".to_owned()).stack_size(THREAD_STACK_BYTES);
        let run = || Reconciling::start(settings, asked)?.run(stop);
        let joined = reconciling.spawn_scoped(scope, run).map_err(PipelineError::Thread)?.join();
        joined.unwrap_or_else(|_| Err(PipelineError::Panicked { thread: "reconcile".to_owned() }))
    })
}

struct Reconciling<'a> {
    settings: &'a PipelineSettings,
    asked: &'a Reconcile,
    scope: Scope,
    topic: DeadLetterTopic,
    lookups: Lookups,
    /// Of outputs without windows, if there are any.
    records: Option<Records>,
    /// Of those with windows.
    windows: Option<Windows>,
    differences: Differences,
    read: u64,
    said: Instant,
}

impl<'a> Reconciling<'a> {
    fn start(settings: &'a PipelineSettings, asked: &'a Reconcile) -> Result<Self, PipelineError> {
        check_outputs(settings, &asked.outputs)?;
        let is_asked = |output: &OutputSettings| asked.outputs.is_empty() || asked.outputs.contains(&output.name);
        let with = |has_windows: bool| {
            let mut settings = settings.clone();
            settings.outputs.retain(|output| is_asked(output) && output.aggregate.is_some() == has_windows);
            settings
        };
        let lookups = Lookups::new(settings)?;
        let scope = Scope::of(settings, asked.from_millis)?;
        // After the positions: what was settled before them is there.
        let topic = DeadLetterTopic::open(settings)?;
        let mut loader = Loader::default();
        let (plain, windowed) = (with(false), with(true));
        let records = (!plain.outputs.is_empty()).then(|| Records::start(&plain, &scope, &mut loader)).transpose()?;
        let mut windows =
            (!windowed.outputs.is_empty()).then(|| Windows::start(&windowed, &scope, &mut loader)).transpose()?;
        if let Some(windows) = &mut windows {
            windows.refused.shared_elsewhere = records.is_some();
        }
        Ok(Reconciling {
            settings,
            asked,
            scope,
            topic,
            lookups,
            records,
            windows,
            differences: Differences::default(),
            read: 0,
            said: Instant::now(),
        })
    }

    fn run(mut self, stop: &AtomicBool) -> Result<Reconciled, PipelineError> {
        let ranges = self.scope.ranges();
        read(self.settings, &ranges, stop, |partition, batch| self.take(partition, batch))?;
        if let Some(records) = &mut self.records {
            records.settle(&self.lookups)?;
        }
        self.look_behind(stop)?;
        let stopped = stop.load(Relaxed);
        let Reconciling { scope, topic, lookups, records, windows, mut differences, .. } = self;
        let mut done =
            Reconciled { revision: scope.revision, parts_unread: scope.parts_unread, ..Reconciled::default() };
        let mut refused = HashSet::new();
        if let Some(records) = records {
            let (accounts, of_records) = records.finish(&topic, &mut differences)?;
            done.outputs.extend(accounts);
            refused.extend(of_records.identities);
        }
        if let Some(windows) = windows {
            // Half of the records of a window say nothing of it.
            let (accounts, of_windows) = windows.finish(&lookups, &topic, &scope, stopped, &mut differences)?;
            done.outputs.extend(accounts);
            refused.extend(of_windows.identities);
        }
        done.letters = letters::count(&topic, &scope, &done.outputs, &refused)?;
        done.partitions = scope.partitions;
        done.different = differences.count();
        done.differences = differences.joined();
        done.stopped = stopped;
        Ok(done)
    }

    /// Reads on to where the pipeline is now: what is missing may have been deleted since.
    fn look_behind(&mut self, stop: &AtomicBool) -> Result<(), PipelineError> {
        let Some(records) = &mut self.records else { return Ok(()) };
        let mut ends: Vec<Offset> = self.scope.partitions.iter().map(|it| it.range.1).collect();
        for look in 0..LOOKS_BEHIND {
            if !records.may_be_gone() || stop.load(Relaxed) {
                break;
            }
            if look > 0 {
                thread::sleep(PAUSE);
            }
            let now = Scope::of(self.settings, self.asked.from_millis)?;
            let known = self.scope.partitions.iter().zip(&mut ends);
            let mut behind: Vec<RecordRange> = Vec::new();
            let mut is_at_end = true;
            for (it, end) in known {
                let Some(place) = now.place(&it.partition) else { continue };
                let PartitionScope { partition, log, range, .. } = now.partitions[place].clone();
                is_at_end &= log.1 <= *end;
                let start = std::mem::replace(end, range.1.max(*end));
                behind.push(RecordRange { partition, start, end: *end });
            }
            if is_at_end {
                break;
            }
            read(self.settings, &behind, stop, |partition, batch| match self.scope.place(partition) {
                Some(place) => records.take_behind(place, &Arc::new(batch)),
                None => Ok(()),
            })?;
        }
        Ok(())
    }

    fn take(&mut self, partition: &Partition, batch: RecordBatch) -> Result<(), PipelineError> {
        let Some(place) = self.scope.place(partition) else { return Ok(()) };
        self.read += batch.len() as u64;
        self.scope.partitions[place].read += batch.len() as u64;
        let batch = Arc::new(batch);
        if let Some(records) = &mut self.records {
            records.take(place, &batch, &self.lookups, &self.topic, &mut self.differences)?;
        }
        if let Some(windows) = &mut self.windows {
            windows.take((place, &self.scope.partitions[place]), &batch, &self.topic, &mut self.differences)?;
        }
        if self.said.elapsed() >= SAY_EVERY {
            self.said = Instant::now();
            tracing::info!(records = self.read, of = self.scope.records(), "reconciling");
        }
        Ok(())
    }
}

/// Shows what is in these ranges, until there is an error, or somebody wants it to stop.
fn read(
    settings: &PipelineSettings,
    ranges: &[RecordRange],
    stop: &AtomicBool,
    mut take: impl FnMut(&Partition, RecordBatch) -> Result<(), PipelineError>,
) -> Result<(), PipelineError> {
    let mut failed = None;
    Admin::new(&settings.kafka)?.read_while(ranges, |partition, batch| {
        if stop.load(Relaxed) {
            return ControlFlow::Break(());
        }
        match take(partition, batch) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}

fn check_outputs(settings: &PipelineSettings, asked: &[String]) -> Result<(), PipelineError> {
    let known: Vec<&str> = settings.outputs.iter().map(|output| output.name.as_str()).collect();
    match asked.iter().find(|output| !known.contains(&output.as_str())) {
        None => Ok(()),
        Some(output) => Err(PipelineError::UnknownOutput { output: output.clone(), known: known.join(", ") }),
    }
}

/// Counts by a word: plugins, reasons.
type ByWord = BTreeMap<String, u64>;

#[cfg(test)]
mod tests;
