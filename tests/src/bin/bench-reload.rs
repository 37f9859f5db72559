//! What a reload costs while records flow: from the rename of a component's file to the lanes that serve with it, how long batches
//! wait meanwhile, and what memory becomes over many of them. On a real Kafka and the stand-in index, in which every number must
//! have been counted once in the end.
//!
//! `make bench BENCHES=reload` runs it, or `target/release/bench-reload --reloads 1000`. It is no test, and fails for no figure.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tidegate::pipeline::{BATCH_SECONDS, Counts, Stage};
use tidegate_tests::bench::broker::Broker;
use tidegate_tests::bench::process::resident_bytes;
use tidegate_tests::bench::versions::{Changed, version};
use tidegate_tests::bench::{Arguments, Spread};
use tidegate_tests::load::{Load, check_counted, fill};
use tidegate_tests::reload::{Numbers, Plugins, Running};
use tidegate_tests::wait_for;
use tidegate_tests::workspace::root;

/// The plugin whose versions are deployed: an enricher of 200 KB.
const PLUGIN: &str = "lookup";
const TRANSFORM: &str = r#"
[[transform]]
plugin = "lookup.wasm"
settings = { table = "g,name\ng1,one\ng2,two\n", key = "g" }
"#;
/// Versions that come again and again: their code is in the cache after the first time.
const KNOWN: u32 = 4;
/// Records of the backlog for a reload of each kind, and for the batches without any: more than are read meanwhile.
const BACKLOG_PER_RELOAD: i64 = 1_500_000;
const BACKLOG_QUIET: i64 = 10_000_000;
const TIMEOUT: Duration = Duration::from_secs(20);
/// Of each kind, while a backlog is read: it has to be written before.
const RELOADS_OF_BACKLOG_MAX: u32 = 40;
/// That are looked at without a reload.
const QUIET_BATCHES: u64 = 1500;
const STAGES: [Stage; 5] = [Stage::Compiled, Stage::Validated, Stage::Rehearsed, Stage::Shadowed, Stage::Probation];

/// As the program has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::read();
    let reloads: u32 = arguments.number("reloads", 100);
    let broker = Broker::start()?;
    let component = fs::read(root().join(format!("target/plugins/{PLUGIN}.wasm")))?;
    println!(
        "reload: a component of {} KB, an enricher before windows; 2 workers, 3 partitions",
        component.len() / 1000
    );

    let job = job(&broker, "rate", &component)?;
    let running = job.start();
    let mut bench = Bench { job: &job, running: &running, component: component.clone(), number: 0, generation: 1 };
    let load = Load::begin(&job, 100_000);
    wait_for("records", TIMEOUT, || (running.handle.snapshot().counts.tally.records > 500_000).then_some(()));
    println!("\nwith 100,000 records a second");
    bench.quiet(QUIET_BATCHES).print("no reloads", "");
    bench.deploy(reloads, Versions::New(Changed::All))?.print("code that is new", "<= 300");
    bench.deploy(reloads, Versions::New(Changed::One))?.print("a function that is new", "<= 300");
    bench.deploy(KNOWN, Versions::Known)?;
    bench.deploy(reloads, Versions::Known)?.print("code in the cache", "<= 50");
    let before = resident_bytes()?;
    bench.deploy(reloads, Versions::Known)?.print("code in the cache, again", "<= 50");
    println!("  memory before and after the last {reloads} reloads, MiB: {} {}", before >> 20, resident_bytes()? >> 20);
    let number = bench.number;
    let flowed = load.end()?;
    check_counted(&job, &running, flowed)?;
    running.drain();

    let job = self::job(&broker, "backlog", &component)?;
    let reloads = reloads.min(RELOADS_OF_BACKLOG_MAX);
    let waiting = fill(&job, i64::from(reloads) * BACKLOG_PER_RELOAD + BACKLOG_QUIET)?;
    let running = job.start();
    let mut bench = Bench { job: &job, running: &running, component, number, generation: 1 };
    println!("\nwith all the records that the machine takes, of a backlog");
    bench.quiet(QUIET_BATCHES).print("no reloads", "");
    bench.deploy(reloads, Versions::New(Changed::All))?.print("code that is new", "<= 300");
    bench.deploy(reloads, Versions::New(Changed::One))?.print("a function that is new", "<= 300");
    bench.deploy(reloads, Versions::Known)?.print("code in the cache", "<= 50");
    let read = running.handle.snapshot().counts.tally.records;
    ensure!((read as i64) < waiting, "the backlog of {waiting} came to its end before the reloads did");
    check_counted(&job, &running, waiting)?;
    println!("\nnumbers that flowed, each counted once: {flowed} and {waiting}");
    running.drain();
    job.kafka.delete_topic(&job.topic);
    Ok(())
}

/// The pipeline, on topics of its own.
fn job(broker: &Broker, name: &str, component: &[u8]) -> anyhow::Result<Arc<Numbers>> {
    let job = Arc::new(Numbers::on(&broker.address(), name));
    fs::write(job.plugin(PLUGIN), component)?;
    job.write(Plugins { documents: false, more: TRANSFORM, ..Plugins::default() });
    Ok(job)
}

/// What is deployed.
#[derive(Clone, Copy)]
enum Versions {
    /// A version that nobody has seen before.
    New(Changed),
    /// One of a few, in turns.
    Known,
}

struct Bench<'b> {
    job: &'b Numbers,
    running: &'b Running,
    component: Vec<u8>,
    /// Of the newest version.
    number: u32,
    generation: u64,
}

impl Bench<'_> {
    /// So many batches without a reload.
    fn quiet(&self, batches: u64) -> Measured {
        let (before, begun) = (self.running.handle.snapshot().counts, Instant::now());
        let wanted = before.batch_count() + batches;
        let after = wait_for("batches", TIMEOUT, || {
            let counts = self.running.handle.snapshot().counts;
            (counts.batch_count() >= wanted).then_some(counts)
        });
        Measured::new(&before, &after, begun.elapsed(), Vec::new())
    }

    fn deploy(&mut self, reloads: u32, versions: Versions) -> anyhow::Result<Measured> {
        let (before, begun) = (self.running.handle.snapshot().counts, Instant::now());
        let mut times = Vec::new();
        for reload in 0..reloads {
            let component = match versions {
                Versions::New(changed) => {
                    self.number += 1;
                    version(&self.component, changed, KNOWN + self.number)?
                }
                Versions::Known => version(&self.component, Changed::One, reload % KNOWN)?,
            };
            times.push(self.deploy_one(&component)?);
        }
        Ok(Measured::new(&before, &self.running.handle.snapshot().counts, begun.elapsed(), times))
    }

    /// Milliseconds until each stage was reached.
    fn deploy_one(&mut self, component: &[u8]) -> anyhow::Result<[f64; STAGES.len()]> {
        self.generation += 1;
        let (generation, file) = (self.generation, self.job.plugin(PLUGIN));
        let other = file.with_extension("next");
        fs::write(&other, component)?;
        let renamed = Instant::now();
        fs::rename(&other, &file)?;
        let mut times = [f64::NAN; STAGES.len()];
        loop {
            ensure!(
                renamed.elapsed() < TIMEOUT,
                "generation {generation} does not serve: {:?}",
                self.running.place(PLUGIN)
            );
            let place = self.running.place(PLUGIN);
            let now = renamed.elapsed().as_secs_f64() * 1000.0;
            let candidate = place.candidate.filter(|one| one.number == generation);
            ensure!(candidate.as_ref().is_none_or(|one| one.stage <= Stage::Probation), "refused: {candidate:?}");
            let reached =
                if place.serving.number == generation { Some(Stage::Settled) } else { candidate.map(|one| one.stage) };
            for (time, stage) in times.iter_mut().zip(STAGES) {
                if time.is_nan() && reached.is_some_and(|reached| reached >= stage) {
                    *time = now;
                }
            }
            if reached == Some(Stage::Settled) {
                return Ok(times);
            }
            thread::sleep(Duration::from_micros(500));
        }
    }
}

struct Measured {
    times: Vec<[f64; STAGES.len()]>,
    waits: Counts,
    batch_ms: f64,
    rate: f64,
}

impl Measured {
    fn new(before: &Counts, after: &Counts, time: Duration, times: Vec<[f64; STAGES.len()]>) -> Measured {
        let mut waits = after.clone();
        waits.waits.iter_mut().zip(before.waits).for_each(|(count, before)| *count -= before);
        let batches = after.batch_count() - before.batch_count();
        Measured {
            times,
            waits,
            batch_ms: (after.batch_time - before.batch_time).as_secs_f64() * 1000.0 / batches.max(1) as f64,
            rate: (after.tally.records - before.tally.records) as f64 / time.as_secs_f64(),
        }
    }

    fn print(&self, what: &str, wanted: &str) {
        println!("  {what}: {:.0} records a second, a batch {:.2} ms", self.rate, self.batch_ms);
        for (place, stage) in STAGES.iter().enumerate().filter(|_| !self.times.is_empty()) {
            let Spread { low, median, high } = Spread::of(self.times.iter().map(|times| times[place]));
            let wanted = if *stage == Stage::Probation { format!("   serves; wanted {wanted}") } else { String::new() };
            println!("    {:<12} {median:>8.1} ms   ({low:.1} to {high:.1}){wanted}", stage.name());
        }
        let bounds = BATCH_SECONDS.iter().map(|bound| format!("<= {} ms", bound * 1000.0));
        let buckets = bounds.chain(["> 5 s".to_owned()]).zip(self.waits.waits).filter(|(_, count)| *count > 0);
        let longest: Vec<String> = buckets.map(|(bound, count)| format!("{count} {bound}")).collect();
        println!("    batches by the time that they waited: {}", longest.join(", "));
    }
}
