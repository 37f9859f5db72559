//! What rows that break a component cost a lane, and what loads and starts cost: batches of the click-stream job through `Lane::step`, with a filter that spins
//! or panics on some of them. No Kafka and no index.
//!
//! `make bench BENCHES=isolation` runs it. It is no test, and fails for no figure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::config::{OnBreaker, OnTrap, PluginLimits, PluginSettings, TransformSettings};
use tidegate::lane::{Effect, Event, Lane, Plan, Topology};
use tidegate::pipeline::{Loader, Plugins};
use tidegate::plugin::{Component, Engine, EngineSettings};
use tidegate::record::{BatchBuilder, EventTime, Offset, Partition, RecordBatch, Resume};
use tidegate_tests::bench::events::{Events, Mix, START_MILLIS};
use tidegate_tests::bench::pipeline::Example;
use tidegate_tests::bench::{Arguments, Spread};
use tidegate_tests::workspace::{root, scratch};

const ROWS: u64 = 1024;

/// As the program has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    let batches = Arguments::read().number("batches", 300);
    let mut settings = Example("clickstream").settings()?;
    let plugin = PluginSettings {
        file: root().join("target/guests/moody.wasm"),
        settings: "{}".to_owned(),
        secrets: Vec::new(),
        limits: PluginLimits::default(),
        on_trap: OnTrap::DeadLetter,
        on_breaker: OnBreaker::Stop,
    };
    settings.transforms.insert(0, TransformSettings { name: "moody".to_owned(), plugin });
    let plugins = Plugins::load(&settings, &mut Loader::default())?;
    let topology =
        Topology { sources: vec![("streaming-events".into(), 1)], parts_partitions: 1, ..Topology::default() };
    let plan = Arc::new(Plan::new(&settings, &plugins.describe(), topology)?);

    loads()?;
    println!("isolation: click-stream with a filter that breaks, {batches} batches of {ROWS} records");
    println!(
        "  {:<28} {:>12} {:>8} {:>10} {:>10} {:>10}",
        "", "records/s", "of none", "first ms", "next most", "median"
    );
    let mut none = None;
    for (mood, in_million) in [("fine", 0), ("panic", 1_000), ("panic", 10_000), ("spin", 1_000), ("spin", 10_000)] {
        let run = run(&plan, &plugins, self::batches(batches, mood, in_million))?;
        let speed = run.records_a_second();
        let of_none = speed / *none.get_or_insert(speed);
        let what = format!("{:.1} % {mood}", f64::from(in_million) / 10_000.0);
        let [first, next, median] = run.millis();
        println!("  {what:<28} {speed:>12.0} {of_none:>8.2} {first:>10.1} {next:>10.1} {median:>10.2}");
    }
    Ok(())
}

/// A component in Rust, and one in Python where it was built: compiled, taken from the cache, started and configured.
fn loads() -> anyhow::Result<()> {
    let cache = scratch("bench-isolation").join("code");
    let settings = EngineSettings { code_cache: Some(cache), ..EngineSettings::default() };
    println!("loads and starts, in ms");
    println!("  {:<28} {:>10} {:>10} {:>10} {:>10}", "", "KiB", "compiled", "kept", "a start");
    for (name, settings_json) in [("moody", "{}"), ("where-text", r#"{"field": "event_type", "equals": "purchase"}"#)] {
        let file = root().join(format!("target/guests/{name}.wasm"));
        let Ok(bytes) = std::fs::read(&file) else { continue };
        let load = || {
            let begun = Instant::now();
            let component = Component::from_bytes(&Engine::with(&settings)?, name, &bytes)?;
            anyhow::Ok((millis(begun.elapsed()), component))
        };
        let ((compiled, _), (kept, component)) = (load()?, load()?);
        let plugin = component.configure(settings_json)?;
        let mut starts = Vec::new();
        for _ in 0..200 {
            let begun = Instant::now();
            drop(plugin.instantiate()?);
            starts.push(millis(begun.elapsed()));
        }
        let start = Spread::of(starts).median;
        let size = bytes.len() / 1024;
        println!("  {name:<28} {size:>10} {compiled:>10.1} {kept:>10.1} {start:>10.3}");
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Records of which so many in a million are of that mood.
fn batches(count: u64, mood: &str, in_million: u32) -> Vec<RecordBatch> {
    let (mut events, mut value, mut moody) = (Events::new(Mix::Clicks, count * ROWS), Vec::new(), Vec::new());
    let mut rng = fastrand::Rng::with_seed(3);
    let mut batch = |number: u64| {
        let mut builder = BatchBuilder::new(EventTime::from_micros(START_MILLIS * 1000));
        for row in 0..ROWS {
            let millis = events.next(&mut value).expect("as many as there are");
            let offset = Offset(i64::try_from(number * ROWS + row).expect("few"));
            let mood = if rng.u32(0..1_000_000) < in_million { mood } else { "fine" };
            moody.clear();
            moody.extend_from_slice(format!("{{\"mood\":\"{mood}\",").as_bytes());
            moody.extend_from_slice(value.get(1..).expect("an object"));
            builder.push(offset, Some(EventTime::from_micros(millis * 1000)), None, Some(&moody));
        }
        builder.finish()
    };
    (0..count).map(&mut batch).collect()
}

/// The time of each batch; in that of the first which has one, the plugin meets the first row that breaks it.
struct Run(Vec<Duration>);

impl Run {
    /// Without the longest batch: that is when the first such record comes, once.
    fn records_a_second(&self) -> f64 {
        let whole: Duration = self.0.iter().sum();
        let rest = whole - self.0.iter().max().copied().unwrap_or_default();
        (self.0.len() as u64 - 1) as f64 * ROWS as f64 / rest.as_secs_f64()
    }

    /// The longest, the next, and the one in the middle.
    fn millis(&self) -> [f64; 3] {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(|one, other| other.cmp(one));
        let at = |place: usize| sorted.get(place).map_or(0.0, |time| millis(*time));
        [at(0), at(1), at(sorted.len() / 2)]
    }
}

fn run(plan: &Arc<Plan>, plugins: &Plugins, batches: Vec<RecordBatch>) -> anyhow::Result<Run> {
    let mut instances = plugins.instantiate()?;
    let mut effects = Vec::new();
    let resume = Resume::Fresh { offset: Offset(0) };
    let mut lane = Lane::new(plan.clone(), Partition::new("streaming-events", 0), resume, &mut effects)?;
    let mut times = Vec::new();
    for batch in batches {
        let begun = Instant::now();
        lane.step(Event::Batch(Arc::new(batch)), &mut instances, &mut effects)?;
        while let Some(effect) = effects.pop() {
            let answer = match effect {
                Effect::Index { ticket, .. } => Event::Indexed { ticket, rejected: Vec::new() },
                Effect::Write { ticket, .. } => Event::Written { ticket },
                Effect::Save { ticket, .. } => Event::Saved { ticket, kept: None },
            };
            lane.step(answer, &mut instances, &mut effects)?;
        }
        times.push(begun.elapsed());
    }
    Ok(Run(times))
}
