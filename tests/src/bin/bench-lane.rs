//! A lane by itself: batches of the click-stream job through `Lane::step`, with the reference components and with the same
//! logic linked in. No Kafka and no index: what is here is what a worker thread does.
//!
//! `make bench` runs it, or `target/release/bench-lane --rounds 9`. It is no test, and fails for no figure.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tidegate::decode::Decoder;
use tidegate::lane::{Effect, Event, Instances, Lane, Plan, Topology};
use tidegate::pipeline::{Loader, Plugins};
use tidegate::plugin::{Aggregate, CallError, Enrich, Filter, Instance};
use tidegate::record::{
    Accumulated, Batch, BatchBuilder, EventTime, Offset, Output, Partition, RecordBatch, Resume, Slices, StateSchema,
    Verdicts,
};
use tidegate_tests::bench::events::{Events, Mix, START_MILLIS};
use tidegate_tests::bench::pipeline::Example;
use tidegate_tests::bench::{Arguments, Spread, native};

const ROWS: u64 = 1024;
const BATCHES: u64 = 200;
const RECORDS: u64 = ROWS * BATCHES;

/// Counts what the host asks for; what a guest asks for lies in its own memory.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn main() -> anyhow::Result<()> {
    let rounds = Arguments::read().number("rounds", 9);
    let settings = Example("clickstream").settings()?;
    let plugins = Plugins::load(&settings, &mut Loader::default())?;
    let components = plugins.describe();
    let topic: Arc<str> = "streaming-events".into();
    let topology = Topology { sources: vec![(topic, 1)], parts_partitions: 1, ..Topology::default() };
    let plan = Arc::new(Plan::new(&settings, &components, topology)?);
    let paths = components.transforms.iter().flat_map(|one| one.ports.reads.iter().chain(&one.ports.writes));
    let paths: Vec<&str> = paths.map(|field| field.path.as_str()).chain(["event_type"]).collect();
    let decoder = Decoder::new(&settings.decode, paths)?;

    let mut runs = [Vec::new(), Vec::new()];
    let mut decode = Vec::new();
    for _ in 0..rounds {
        runs[0].push(run(&plan, plugins.instantiate()?)?);
        runs[1].push(run(&plan, native::clickstream())?);
        decode.push(decode_only(&decoder));
    }
    println!("lane: click-stream, {BATCHES} batches of {ROWS} records, ns a record, median of {rounds} rounds");
    println!("  {:<28} {:>12} {:>12}", "", "components", "linked in");
    let show = |what: &str, of: &dyn Fn(&Stages) -> f64| {
        let [components, native] = runs.each_ref().map(|runs| Spread::of(runs.iter().map(of)).median);
        println!("  {what:<28} {components:>12.1} {native:>12.1}");
    };
    let decode = Spread::of(decode).median;
    show("the whole step", &|stages| ns(stages.step));
    show("  decode", &|_| decode);
    show("  filter", &|stages| ns(stages.filter));
    show("  enrich", &|stages| ns(stages.enrich));
    show("  accumulate", &|stages| ns(stages.aggregate));
    show("  columns, windows, the rest", &|stages| {
        ns(stages.step.saturating_sub(stages.filter + stages.enrich + stages.aggregate)) - decode
    });
    show("allocations a record", &|stages| stages.allocations as f64 / RECORDS as f64);
    show("allocations a batch", &|stages| stages.allocations as f64 / BATCHES as f64);
    Ok(())
}

fn ns(time: Duration) -> f64 {
    time.as_nanos() as f64 / RECORDS as f64
}

/// Where the time of a run went.
#[derive(Clone, Copy, Default, Debug)]
struct Stages {
    step: Duration,
    filter: Duration,
    enrich: Duration,
    aggregate: Duration,
    allocations: u64,
}

fn batches() -> Vec<RecordBatch> {
    let (mut events, mut value) = (Events::new(Mix::Clicks, RECORDS), Vec::new());
    let mut batch = |number: u64| {
        let mut builder = BatchBuilder::new(EventTime::from_micros(START_MILLIS * 1000));
        for row in 0..ROWS {
            let millis = events.next(&mut value).expect("as many as there are");
            let offset = Offset(i64::try_from(number * ROWS + row).expect("few"));
            builder.push(offset, Some(EventTime::from_micros(millis * 1000)), None, Some(&value));
        }
        builder.finish()
    };
    (0..BATCHES).map(&mut batch).collect()
}

fn run(plan: &Arc<Plan>, instances: Instances) -> anyhow::Result<Stages> {
    let clock = Arc::new(Clock::default());
    let mut instances = timed(instances, &clock);
    let mut effects = Vec::new();
    let resume = Resume::Fresh { offset: Offset(0) };
    let mut lane = Lane::new(plan.clone(), Partition::new("streaming-events", 0), resume, &mut effects)?;
    let batches = batches();
    let (allocations, begun) = (ALLOCATIONS.load(Relaxed), Instant::now());
    for batch in batches {
        lane.step(Event::Batch(Arc::new(batch)), &mut instances, &mut effects)?;
        while let Some(effect) = effects.pop() {
            let answer = match effect {
                Effect::Index { ticket, .. } => Event::Indexed { ticket, rejected: Vec::new() },
                Effect::Write { ticket, .. } => Event::Written { ticket },
                Effect::Save { ticket, .. } => Event::Saved { ticket, kept: None },
            };
            lane.step(answer, &mut instances, &mut effects)?;
        }
    }
    let step = begun.elapsed();
    let allocations = ALLOCATIONS.load(Relaxed) - allocations;
    assert_eq!(lane.take_tally().records, RECORDS, "all records were taken");
    let spent = |counter: &AtomicU64| Duration::from_nanos(counter.load(Relaxed));
    Ok(Stages {
        step,
        filter: spent(&clock.filter),
        enrich: spent(&clock.enrich),
        aggregate: spent(&clock.aggregate),
        allocations,
    })
}

fn decode_only(decoder: &Decoder) -> f64 {
    let partition = Partition::new("streaming-events", 0);
    let batches: Vec<Arc<RecordBatch>> = batches().into_iter().map(Arc::new).collect();
    let begun = Instant::now();
    for batch in &batches {
        assert_eq!(decoder.decode(&partition, batch.clone()).table.len() as u64, ROWS);
    }
    ns(begun.elapsed())
}

/// The time that each kind of component took, in nanoseconds.
#[derive(Default)]
struct Clock {
    filter: AtomicU64,
    enrich: AtomicU64,
    aggregate: AtomicU64,
}

/// An instance whose calls are timed.
struct Timed<I: ?Sized>(Arc<Clock>, Box<I>);

fn timed(instances: Instances, clock: &Arc<Clock>) -> Instances {
    instances.map(|instance| match instance {
        Instance::Filter(filter) => Instance::Filter(Box::new(Timed(clock.clone(), filter))),
        Instance::Enrich(enrich) => Instance::Enrich(Box::new(Timed(clock.clone(), enrich))),
        Instance::Aggregate(aggregate) => Instance::Aggregate(Box::new(Timed(clock.clone(), aggregate))),
    })
}

fn measured<T>(counter: &AtomicU64, call: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let answer = call();
    counter.fetch_add(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
    answer
}

impl Filter for Timed<dyn Filter> {
    fn filter(&mut self, batch: &Batch) -> Result<Verdicts, CallError> {
        measured(&self.0.filter, || self.1.filter(batch))
    }
}

impl Enrich for Timed<dyn Enrich> {
    fn enrich(&mut self, batch: &Batch) -> Result<Output, CallError> {
        measured(&self.0.enrich, || self.1.enrich(batch))
    }
}

impl Aggregate for Timed<dyn Aggregate> {
    fn accumulate(&mut self, states: &Slices, groups: &[u32], batch: &Batch) -> Result<Accumulated, CallError> {
        measured(&self.0.aggregate, || self.1.accumulate(states, groups, batch))
    }

    fn merge(&mut self, left: &Slices, right: &Slices) -> Result<Accumulated, CallError> {
        self.1.merge(left, right)
    }

    fn emit(&mut self, states: &Slices, context: &Batch) -> Result<Output, CallError> {
        self.1.emit(states, context)
    }

    fn migrate(&mut self, from: &StateSchema, states: &Slices) -> Result<Result<Slices, String>, CallError> {
        self.1.migrate(from, states)
    }
}
