//! What a reload costs while records flow: from the rename of a component's file to the lanes that serve with it, how long batches
//! wait meanwhile, and what memory becomes over many of them. On stand-ins in this process, under as much load as they give.
//!
//! `make bench BENCHES=reload` runs it, or `target/release/bench-reload --reloads 1000`. It is no test, and fails for no figure.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tidegate::pipeline::{BATCH_SECONDS, Counts, Stage};
use tidegate_tests::bench::process::resident_bytes;
use tidegate_tests::bench::{Arguments, Spread};
use tidegate_tests::reload::{Numbers, Plugins, Running, guest, touched};

/// Versions that come again and again: their code is in the cache after the first time.
const KNOWN: u32 = 4;
/// Numbers are produced in pieces of so many.
const PIECE: i64 = 9000;
/// So many may wait to be read: more would only fill the broker's memory.
const AHEAD: i64 = 60_000;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::read();
    let reloads: u32 = arguments.number("reloads", 100);
    let job = Arc::new(Numbers::new("bench"));
    job.write(Plugins { documents: false, ..Plugins::default() });
    let running = job.start();
    let (stop, produced) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let load = {
        let (job, stop, produced, handle) = (job.clone(), stop.clone(), produced.clone(), running.handle.clone());
        thread::spawn(move || {
            while !stop.load(Relaxed) {
                let begin = produced.load(Relaxed);
                if begin - handle.snapshot().counts.tally.records as i64 > AHEAD {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
                job.produce(begin..begin + PIECE);
                produced.store(begin + PIECE, Relaxed);
            }
        })
    };
    while running.handle.snapshot().counts.tally.records < 100_000 {
        thread::sleep(Duration::from_millis(10));
    }
    let bytes = fs::metadata(guest("mark"))?.len();
    println!("reload: a component of {} KB, an enricher before windows; 2 workers, 3 partitions", bytes / 1000);
    let calm = quiet(&running);
    let cold = measure(&job, &running, 0..reloads, 2)?;
    let memory = resident_bytes()?;
    let known = measure(&job, &running, (0..reloads).map(|number| 1_000_000 + number % KNOWN), 2 + u64::from(reloads))?;
    let after = resident_bytes()?;
    stop.store(true, Relaxed);
    load.join().expect("the load does not panic");
    show("rename to serving, code that is new, ms", &cold.times, "<= 300");
    show("rename to serving, code in the cache, ms", &known.times, "<= 50");
    println!("  records a second meanwhile                   {:>9.0}", known.rate);
    println!("  a batch, mean, ms                            {:>9.2}", calm.batch_ms);
    println!("  longest wait of a batch without reloads      {:>9}", calm.wait);
    println!("  longest wait with code that is new           {:>9}   wanted <= 2 batches + 5 ms", cold.wait);
    println!("  longest wait with code in the cache          {:>9}   wanted <= 2 batches + 5 ms", known.wait);
    println!("  memory after {reloads} reloads, and {reloads} more, MiB {:>7} {:>7}", memory >> 20, after >> 20);
    let counts = running.handle.snapshot().counts;
    ensure!(counts.dead_letters() == 0, "{} dead letters", counts.dead_letters());
    running.drain();
    Ok(())
}

struct Measured {
    times: Vec<f64>,
    wait: String,
    batch_ms: f64,
    rate: f64,
}

/// As long as some reloads take, without one.
fn quiet(running: &Running) -> Measured {
    let (before, begun) = (running.handle.snapshot().counts, Instant::now());
    thread::sleep(Duration::from_secs(5));
    measured(&before, &running.handle.snapshot().counts, begun.elapsed(), Vec::new())
}

fn measure(
    job: &Numbers,
    running: &Running,
    versions: impl Iterator<Item = u32>,
    first: u64,
) -> anyhow::Result<Measured> {
    let (before, begun) = (running.handle.snapshot().counts, Instant::now());
    let mut times = Vec::new();
    let other = job.plugin("mark").with_extension("next");
    for (generation, version) in (first..).zip(versions) {
        fs::write(&other, touched(&guest("mark"), version))?;
        let renamed = Instant::now();
        fs::rename(&other, job.plugin("mark"))?;
        let serves = || {
            let place = running.place("mark");
            ensure!(
                place.candidate.as_ref().is_none_or(|one| one.stage <= Stage::Probation),
                "generation {generation} does not serve: {:?}",
                place.candidate
            );
            let on_probation =
                place.candidate.is_some_and(|one| one.number == generation && one.stage == Stage::Probation);
            Ok(on_probation || place.serving.number == generation)
        };
        while !serves()? {
            thread::sleep(Duration::from_micros(200));
        }
        times.push(renamed.elapsed().as_secs_f64() * 1000.0);
        running.wait_settled("mark", generation);
    }
    Ok(measured(&before, &running.handle.snapshot().counts, begun.elapsed(), times))
}

fn measured(before: &Counts, after: &Counts, time: Duration, times: Vec<f64>) -> Measured {
    let batches = after.batch_count() - before.batch_count();
    let longest = (0..after.waits.len()).rev().find(|bucket| after.waits[*bucket] > before.waits[*bucket]);
    let bound = longest.and_then(|bucket| BATCH_SECONDS.get(bucket));
    Measured {
        times,
        wait: bound.map_or("> 5 s".to_owned(), |bound| format!("<= {} ms", bound * 1000.0)),
        batch_ms: (after.batch_time - before.batch_time).as_secs_f64() * 1000.0 / batches.max(1) as f64,
        rate: (after.tally.records - before.tally.records) as f64 / time.as_secs_f64(),
    }
}

fn show(what: &str, times: &[f64], wanted: &str) {
    let Spread { low, median, high } = Spread::of(times.iter().copied());
    println!("  {what:<44} {median:>9.1}   ({low:.1} to {high:.1})   wanted {wanted}");
}
