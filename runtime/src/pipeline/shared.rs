//! What the threads of one pipeline share: nothing that is touched for a record.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use hashbrown::HashMap;

use super::archive::ArchiveCounters;
use super::audit::Audit;
use super::checkpoints::Checkpoints;
use super::counters::Counters;
use super::reload::{Reload, Request};
use super::shell::Shell;
use super::slot::Slot;
use super::tap::Taps;
use super::{LaneSnapshot, MemoryDivision, Phase, PipelineError, Snapshot};
use crate::lane::{Account, Plan, Tally};
use crate::plugin::ComponentsMemory;
use crate::record::{Offset, Partition};
use crate::source::Source;

pub(crate) struct Shared {
    pub plan: Arc<Plan>,
    pub shell: Arc<dyn Shell>,
    pub division: MemoryDivision,
    components: ComponentsMemory,
    pub counters: Counters,
    pub archive: ArchiveCounters,
    /// Empty where the pipeline file names no file for it; else there before the workers are.
    pub audit: OnceLock<Audit>,
    pub taps: Arc<Taps>,
    /// None where the pipeline file names no place for them.
    pub checkpoints: Option<Arc<Checkpoints>>,
    /// What stops the pipeline goes here; the first one is the reason.
    pub failures: Sender<PipelineError>,
    /// Lanes that revocations could not bring home before their deadline; a drain begins at 0.
    pub unsettled: AtomicUsize,
    lanes: Mutex<Vec<Arc<Slot>>>,
    /// Of all partitions that were ours since it began.
    accounts: Mutex<BTreeMap<Partition, Account>>,
    /// From the moment that it runs until it is closed.
    source: Mutex<Option<Source>>,
    /// From the moment that it runs until the drain.
    reload: Mutex<Option<Reload>>,
    /// What one lane may have in flight, as many as there are now.
    lane_bytes_max: AtomicUsize,
    begun: Instant,
    /// For each worker, the milliseconds (from 1) after `begun` at which it began its step; 0 between steps.
    steps: Vec<AtomicU64>,
}

impl Shared {
    pub fn new(
        plan: Arc<Plan>,
        shell: Arc<dyn Shell>,
        division: MemoryDivision,
        components: ComponentsMemory,
        workers: usize,
        checkpoints: Option<Arc<Checkpoints>>,
        failures: Sender<PipelineError>,
    ) -> Arc<Self> {
        Arc::new(Shared {
            plan,
            taps: shell.taps(),
            shell,
            division,
            components,
            counters: Counters::default(),
            archive: ArchiveCounters::default(),
            audit: OnceLock::new(),
            checkpoints,
            failures,
            unsettled: AtomicUsize::new(0),
            lanes: Mutex::default(),
            accounts: Mutex::default(),
            source: Mutex::default(),
            reload: Mutex::default(),
            lane_bytes_max: AtomicUsize::new(division.lane_bytes(1)),
            begun: Instant::now(),
            steps: (0..workers).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// Only the first failure is waited for, so nobody minds when this one is not heard.
    pub fn fail(&self, error: PipelineError) {
        let _ = self.failures.send(error);
    }

    /// What happened in a lane.
    pub fn count(&self, partition: &Partition, mut tally: Tally) {
        self.counters.add(&tally);
        if !tally.account.is_empty() {
            lock(&self.accounts).entry(partition.clone()).or_default().merge(&tally.account);
        }
        if let Some(audit) = self.audit.get() {
            audit.tell(partition, std::mem::take(&mut tally.drops));
        }
    }

    /// The lanes have changed.
    pub fn set_lanes(&self, mut lanes: Vec<Arc<Slot>>) {
        self.lane_bytes_max.store(self.division.lane_bytes(lanes.len()), Relaxed);
        lanes.sort_by(|left, right| left.partition.cmp(&right.partition));
        *lock(&self.lanes) = lanes;
    }

    /// Lanes that stalled begin anew; how many.
    pub fn wake_lanes(&self) -> usize {
        let lanes = lock(&self.lanes);
        let stalled = lanes.iter().filter(|slot| slot.is_stalled());
        stalled.inspect(|slot| slot.wake()).count()
    }

    /// So much is in flight that no lane may add to it.
    pub fn is_crowded(&self) -> bool {
        self.shell.held_bytes() >= self.division.in_flight_bytes()
    }

    pub fn lane_bytes_max(&self) -> usize {
        self.lane_bytes_max.load(Relaxed)
    }

    pub fn step_begins(&self, worker: usize, now: Instant) {
        if let Some(step) = self.steps.get(worker) {
            step.store(self.millis(now) + 1, Relaxed);
        }
    }

    pub fn step_ends(&self, worker: usize) {
        if let Some(step) = self.steps.get(worker) {
            step.store(0, Relaxed);
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.begun).as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn step_age_max(&self) -> Duration {
        let now = self.millis(Instant::now());
        let ages = self.steps.iter().map(|step| step.load(Relaxed)).filter(|began| *began > 0);
        Duration::from_millis(ages.map(|began| now.saturating_sub(began - 1)).max().unwrap_or(0))
    }

    pub fn set_source(&self, source: Source) {
        *lock(&self.source) = Some(source);
    }

    pub fn take_source(&self) -> Option<Source> {
        lock(&self.source).take()
    }

    pub fn set_reload(&self, reload: Reload) {
        *lock(&self.reload) = Some(reload);
    }

    /// Nothing is deployed any more.
    pub fn end_reload(&self) {
        *lock(&self.reload) = None;
    }

    /// Passes a request on; false where nothing can be deployed.
    pub fn ask_reload(&self, request: Request) -> bool {
        match &*lock(&self.reload) {
            Some(reload) => {
                reload.ask(request);
                true
            }
            None => false,
        }
    }

    /// What the group has committed of the partitions of the parts topic that are ours.
    pub fn committed_parts(&self) -> Vec<(Partition, Offset)> {
        let status = lock(&self.source).as_ref().map(Source::status);
        let partitions = status.into_iter().flat_map(|status| status.partitions);
        partitions
            .filter(|status| self.plan.parts_topic() == Some(&status.partition.topic))
            .filter_map(|status| Some((status.partition, status.committed?)))
            .collect()
    }

    pub fn snapshot(&self, phase: Phase) -> Snapshot {
        let servers = self.shell.status();
        let source = lock(&self.source).as_ref().map(Source::status);
        let partitions = source.iter().flat_map(|source| &source.partitions);
        let lags = partitions.clone().map(|status| (&status.partition, status.lag())).collect();
        let slots = lock(&self.lanes).clone();
        let kafka = source.as_ref().filter(|source| !source.connected).map(|source| {
            let word = source.word.as_deref().unwrap_or("no broker is connected");
            format!("kafka does not answer: {word}")
        });
        let blocked =
            slots.iter().filter_map(|slot| Some(format!("partition=`{}`: {}", slot.partition, slot.blocked()?)));
        Snapshot {
            pipeline: Some(self.plan.pipeline().clone()),
            phase,
            counts: self.counters.read(),
            accounts: lock(&self.accounts).clone(),
            lanes: slots.iter().map(|slot| self.lane(slot, &lags)).collect(),
            polled_ago: source.as_ref().map(|source| source.polled.elapsed()),
            step_age_max: self.step_age_max(),
            stale_records: source.as_ref().map_or(0, |source| source.stale_records),
            lost_records: source.as_ref().map_or(0, |source| source.lost_records),
            records_bytes: partitions.map(|status| status.in_flight_bytes).sum(),
            documents_bytes: servers.documents_bytes,
            messages_bytes: servers.messages_bytes,
            components_bytes: self.components.used_bytes(),
            out_of_order: self.plan.watermark().out_of_order,
            idle_after: self.plan.watermark().idle_after,
            waiting: servers.waiting.into_iter().chain(kafka).chain(blocked).collect(),
            sinks: servers.sinks,
            checkpoints: self.checkpoints.as_ref().map(|checkpoints| checkpoints.counts()).unwrap_or_default(),
            archive: self.archive.read(),
            audit: self.audit.get().map(Audit::counts).unwrap_or_default(),
            reload: lock(&self.reload).as_ref().map(Reload::status).unwrap_or_default(),
        }
    }

    fn lane(&self, slot: &Slot, lags: &HashMap<&Partition, Option<u64>>) -> LaneSnapshot {
        let (partition, parts) = (slot.partition.clone(), self.plan.parts_topic() == Some(&slot.partition.topic));
        let lag = lags.get(&slot.partition).copied().flatten();
        LaneSnapshot { partition, parts, lag, status: slot.status().unwrap_or_default() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
