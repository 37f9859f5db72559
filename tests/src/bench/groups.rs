//! A lane with many open groups, and batches of records of them: for the benchmarks of what states cost.

use std::alloc::{GlobalAlloc, Layout};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tidegate::checkpoint::CheckpointId;
use tidegate::config::PipelineSettings;
use tidegate::lane::{Effect, Event, Frozen, Instances, Lane, Plan, Ticket, Topology};
use tidegate::record::{BatchBuilder, EventTime, Offset, Partition, RecordBatch, Resume};
use tikv_jemallocator::Jemalloc;

use crate::workspace::root;

pub const ROWS: u64 = 1024;
/// All records are of one window.
const MILLIS: i64 = 1_700_000_000_000;

/// Counts what the host asks for and has not given back; a guest's memory is its own.
pub struct Counting;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

/// What the process has asked for.
pub fn live_bytes() -> usize {
    LIVE_BYTES.load(Relaxed)
}

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's contract is the allocator's.
        unsafe { Jemalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { Jemalloc.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE_BYTES.fetch_add(size, Relaxed);
        LIVE_BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { Jemalloc.realloc(at, layout, size) }
    }
}

/// A pipeline that has this component count the records of `numbers` by `g`, in windows of an hour.
pub fn settings(plugins: &Path, plugin: &str) -> anyhow::Result<PipelineSettings> {
    let text = format!(
        r#"
        name = "groups"
        plugins = "{}"
        [source.kafka]
        brokers = "localhost:1"
        topics = ["numbers"]
        [source.decode]
        event_time = "time"
        [watermark]
        out_of_order = "10m"
        [sink.elasticsearch]
        urls = ["http://localhost:1"]
        [[output]]
        name = "groups"
        index = "groups"
        [output.aggregate]
        plugin = "{plugin}"
        group_by = ["g"]
        window = {{ tumbling = "1h" }}
        "#,
        plugins.display()
    );
    let parsed = PipelineSettings::parse(&text, &root().join("groups.toml"), &|_| None, None);
    let (settings, _) = parsed.map_err(|errors| anyhow::anyhow!("{errors}"))?;
    Ok(settings)
}

pub fn topology() -> Topology {
    Topology { sources: vec![("numbers".into(), 1)], parts_partitions: 1, ..Topology::default() }
}

/// A lane of `numbers-0` that has its groups open.
pub struct OpenGroups {
    pub lane: Lane,
    pub instances: Instances,
    /// What a checkpoint that is being made is answered with.
    saving: Option<Ticket>,
    offset: i64,
    rng: fastrand::Rng,
}

impl OpenGroups {
    /// A record of each of so many groups is taken.
    pub fn new(plan: &Arc<Plan>, instances: Instances, groups: u64) -> anyhow::Result<Self> {
        let resume = Resume::Fresh { offset: Offset(0) };
        let mut effects = Vec::new();
        let lane = Lane::new(plan.clone(), Self::partition(), resume, &mut effects)?;
        let mut open = OpenGroups { lane, instances, saving: None, offset: 0, rng: fastrand::Rng::with_seed(groups) };
        open.answer(effects)?;
        for first in (0..groups).step_by(ROWS as usize) {
            open.step((first..groups.min(first + ROWS)).collect())?;
        }
        Ok(open)
    }

    pub fn partition() -> Partition {
        Partition::new("numbers", 0)
    }

    pub fn steps(&mut self, batches: usize, groups: u64) -> anyhow::Result<Vec<Duration>> {
        (0..batches).map(|_| self.random_step(groups)).collect()
    }

    pub fn random_step(&mut self, groups: u64) -> anyhow::Result<Duration> {
        let names = (0..ROWS).map(|_| self.rng.u64(..groups)).collect();
        self.step(names)
    }

    /// A batch of a record of each of these groups.
    fn step(&mut self, groups: Vec<u64>) -> anyhow::Result<Duration> {
        let batch = self.batch(&groups);
        let begun = Instant::now();
        let mut effects = Vec::new();
        self.lane.step(Event::Batch(Arc::new(batch)), &mut self.instances, &mut effects)?;
        let took = begun.elapsed();
        self.answer(effects).map(|_| took)
    }

    /// Lets the lane freeze what it holds; how long it took, and what was frozen.
    pub fn freeze(&mut self) -> anyhow::Result<(Duration, Option<Arc<Frozen>>)> {
        let begun = Instant::now();
        let mut effects = Vec::new();
        self.lane.step(Event::Checkpoint, &mut self.instances, &mut effects)?;
        let took = begun.elapsed();
        self.answer(effects).map(|frozen| (took, frozen))
    }

    /// What was frozen is kept.
    pub fn saved(&mut self, id: CheckpointId) -> anyhow::Result<()> {
        let Some(ticket) = self.saving.take() else { return Ok(()) };
        let mut effects = Vec::new();
        self.lane.step(Event::Saved { ticket, kept: Some(id) }, &mut self.instances, &mut effects)?;
        self.answer(effects).map(drop)
    }

    fn answer(&mut self, mut effects: Vec<Effect>) -> anyhow::Result<Option<Arc<Frozen>>> {
        let mut kept = None;
        while let Some(effect) = effects.pop() {
            let answer = match effect {
                Effect::Index { ticket, .. } => Event::Indexed { ticket, rejected: Vec::new() },
                Effect::Write { ticket, .. } => Event::Written { ticket },
                Effect::Save { ticket, frozen } => {
                    (self.saving, kept) = (Some(ticket), Some(frozen));
                    continue;
                }
            };
            self.lane.step(answer, &mut self.instances, &mut effects)?;
        }
        Ok(kept)
    }

    fn batch(&mut self, groups: &[u64]) -> RecordBatch {
        let mut builder = BatchBuilder::new(EventTime::from_micros(MILLIS * 1000));
        for group in groups {
            let value = format!(r#"{{"time":{MILLIS},"g":"group-{group:07}"}}"#);
            let time = EventTime::from_micros(MILLIS * 1000);
            builder.push(Offset(self.offset), Some(time), None, Some(value.as_bytes()));
            self.offset += 1;
        }
        builder.finish()
    }
}
