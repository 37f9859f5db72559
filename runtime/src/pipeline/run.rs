//! A pipeline from start to end: start-up, the loop that watches it, the drain.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select, tick, unbounded};
use tokio::runtime::Runtime;

use super::archive::Archive;
use super::audit::Audit;
use super::checkpoints::Checkpoints;
use super::components::{Loader, Plugins};
use super::letter_budget::LetterBudget;
use super::probe;
use super::progress::{PROGRESS_EVERY, Reporter};
use super::reload::{self, Origin, Serving};
use super::router::Router;
use super::servers::Servers;
use super::shared::Shared;
use super::sinks::Sinks;
use super::worker::Worker;
use super::{Handle, MemoryDivision, Phase, PipelineError};
use super::{topics, trim};
use crate::config::{DeadLetterSettings, PipelineSettings};
use crate::lane::Plan;
use crate::source::{Source, SourceConfig, Writer};

/// Orchestrators kill after 30 s by default; it ends a little before.
const DRAIN_TIME: Duration = Duration::from_secs(25);

/// How often the memory of windows is looked at: they grow by what is read meanwhile, which is bounded.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Long enough for a slow topic to show something, short enough to wait for.
const PROBATION: Duration = Duration::from_secs(1);

/// Threads for requests to the index: they wait and compress, and compete with the workers for cores.
const REQUEST_THREADS: usize = 2;

/// What is decided anew at each start, not in the pipeline file.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Outputs that are no longer in the pipeline file, and whose parts may be dropped.
    pub accept_removed: Vec<String>,
    /// How long a drain may take.
    pub drain_time: Duration,
    /// Where the settings came from, for changes of them while the pipeline runs.
    pub origin: Option<Arc<Origin>>,
    /// How long another version of a component is on probation where few records come.
    pub probation: Duration,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions { accept_removed: Vec::new(), drain_time: DRAIN_TIME, origin: None, probation: PROBATION }
    }
}

/// Runs the pipeline until [`Handle::stop`] drains it, or something stops it, which drains it as well.
///
/// What cannot be started is an error at once: a component, a topic, a server that does not answer. Once it runs, servers
/// are waited for.
pub fn run(settings: &PipelineSettings, options: &RunOptions, handle: &Handle) -> Result<(), PipelineError> {
    let ended = Running::start(settings, options, handle).and_then(|running| running.watch(options, handle));
    handle.enter(Phase::Stopped);
    ended
}

/// All threads of a pipeline.
struct Running {
    shared: Arc<Shared>,
    servers: Arc<Servers>,
    division: MemoryDivision,
    failures: Receiver<PipelineError>,
    requests: Runtime,
    dead_letters: DeadLetterSettings,
    archive: Option<Archive>,
}

impl Running {
    fn start(settings: &PipelineSettings, options: &RunOptions, handle: &Handle) -> Result<Self, PipelineError> {
        let mut loader = Loader::default();
        let plugins = Plugins::load(settings, &mut loader)?;
        let components =
            loader.memory().map_err(|cause| PipelineError::Plugin { place: "plugins".to_owned(), cause })?;
        let topology = topics::prepare(settings, options)?;
        let topic_ids = topology.topic_ids.clone();
        let plan = Plan::new(settings, &plugins.describe(), topology.clone()).map_err(PipelineError::Plan)?;
        let plan = Arc::new(plan);
        let division = MemoryDivision::of(settings.limits.memory_bytes);
        let (failed, failures) = unbounded();

        let requests = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(REQUEST_THREADS)
            .thread_name("requests")
            .enable_all()
            .build()
            .map_err(PipelineError::Thread)?;
        probe::indices(settings, &requests)?;
        let sinks = Sinks::start(settings, requests.handle(), division.documents_bytes)?;
        let writer = Writer::new(&settings.kafka, division.messages_bytes, &settings.dead_letters.topic)?;
        let servers = Arc::new(Servers::new(sinks, writer, failed.clone()));

        let workers = settings.limits.workers.max(1);
        let checkpoint = settings.checkpoint.as_ref();
        let start = |checkpoint| Checkpoints::start(&settings.name, checkpoint, requests.handle());
        let checkpoints = checkpoint.map(start).transpose()?;
        let shared = Shared::new(plan.clone(), servers.clone(), division, components, workers, checkpoints, failed);
        if let Some(audit) = &settings.audit {
            let _ = shared.audit.set(Audit::start(&settings.name, audit)?);
        }
        let workers = start_workers(workers, &shared, &plugins)?;
        let serving = Serving {
            settings: settings.clone(),
            origin: options.origin.clone(),
            topology,
            plugins,
            loader,
            workers: workers.iter().map(Worker::changes).collect(),
            probation: options.probation,
        };
        let config = SourceConfig {
            kafka: settings.kafka.clone(),
            parts_topic: plan.parts_topic().cloned(),
            topic_ids,
            idle_after: settings.watermark.idle_after,
            memory_bytes: division.source_bytes,
            initial_metadata: plan.initial_metadata(),
        };
        handle.show(shared.clone());
        shared.set_source(Source::start(config, Box::new(Router::new(shared.clone(), workers)))?);
        shared.set_reload(reload::start(serving, shared.clone()).map_err(PipelineError::Thread)?);
        trim::start(&shared, &settings.kafka).map_err(PipelineError::Thread)?;
        let archive = Archive::start(settings, &shared, requests.handle())?;
        let dead_letters = settings.dead_letters.clone();
        Ok(Running { shared, servers, division, failures, requests, dead_letters, archive })
    }

    fn watch(self, options: &RunOptions, handle: &Handle) -> Result<(), PipelineError> {
        handle.enter(Phase::Running);
        tracing::info!("running");
        let mut reporter = Reporter::new(handle.snapshot(), Instant::now());
        let (ticks, looks) = (tick(PROGRESS_EVERY), tick(LOOK_EVERY));
        let mut letters = LetterBudget::new(&self.dead_letters);
        let failure = loop {
            select! {
                recv(handle.stopped()) -> _ => break None,
                recv(self.failures) -> failure => break failure.ok(),
                recv(looks) -> _ => {
                    let snapshot = handle.snapshot();
                    let crowded = self.division.crowded(&snapshot);
                    if let Some(stop) = crowded.or_else(|| letters.exceeded(&snapshot.counts.tally.judged)) {
                        break Some(stop);
                    }
                },
                recv(ticks) -> _ => {
                    let longest = self.shared.counters.take_batch_max();
                    reporter.report(handle.snapshot(), longest, Instant::now());
                }
            }
        };
        if let Some(error) = &failure {
            tracing::error!("stopping, positions stay: {error}");
        }
        handle.enter(Phase::Draining);
        let drained = self.drain(options.drain_time, handle);
        failure.map_or(drained, Err)
    }

    /// Brings home what is in flight, commits, leaves the group.
    fn drain(self, time: Duration, handle: &Handle) -> Result<(), PipelineError> {
        let begun = Instant::now();
        self.shared.end_reload();
        self.shared.unsettled.store(0, Relaxed);
        let source = self.shared.take_source();
        let closed = source.map_or(Ok(()), |source| source.close(begun + time));
        let unsettled = self.shared.unsettled.load(Relaxed);
        let snapshot = handle.snapshot();
        // What the failure that stopped us has brought about.
        for error in self.failures.try_iter() {
            tracing::warn!("while draining: {error}");
        }
        self.servers.close(Instant::now());
        if let Some(audit) = self.shared.audit.get() {
            audit.finish();
        }
        if let Some(archive) = self.archive {
            archive.finish(begun + time);
        }
        // A request that hangs is not waited for: what it carries is read again.
        self.requests.shutdown_background();
        closed?;
        if unsettled > 0 {
            let bytes = snapshot.documents_bytes + snapshot.messages_bytes;
            let why = match snapshot.waiting.is_empty() {
                true => "it took longer than that".to_owned(),
                false => snapshot.waiting.join("; "),
            };
            return Err(PipelineError::Unfinished { lanes: unsettled, bytes, seconds: time.as_secs(), why });
        }
        let counts = snapshot.counts;
        tracing::info!(
            records = counts.tally.records,
            documents = counts.tally.documents,
            dead_letters = counts.dead_letters(),
            dropped = counts.tally.dropped,
            seconds = begun.elapsed().as_secs_f64(),
            "drained"
        );
        Ok(())
    }
}

fn start_workers(count: usize, shared: &Arc<Shared>, plugins: &Plugins) -> Result<Vec<Worker>, PipelineError> {
    (0..count)
        .map(|number| Worker::spawn(number, shared.clone(), plugins.instantiate()?).map_err(PipelineError::Thread))
        .collect()
}
