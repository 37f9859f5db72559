//! The stateless example on a topic that is full: a document for each event, to an index that acknowledges everything.
//!
//! `make bench` runs it, or `target/release/bench-sink --events 1000000 --rounds 3`. It is no test, and fails for
//! no figure.

use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_tests::bench::broker::Broker;
use tidegate_tests::bench::consumers::{Drained, Way};
use tidegate_tests::bench::events::Mix;
use tidegate_tests::bench::index::AcceptOnlyIndex;
use tidegate_tests::bench::pipeline::{Example, Servers};
use tidegate_tests::bench::process;
use tidegate_tests::bench::tidegate::{Tidegate, rate};
use tidegate_tests::bench::{self, Spread, print_ratio};
use tidegate_tests::workspace::scratch;

fn main() -> anyhow::Result<()> {
    bench::main(|arguments| measure(arguments.number("events", 1_000_000), arguments.number("rounds", 3)))
}

fn measure(events: u64, rounds: usize) -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let topic = broker.topic(Mix::Purchases, events)?;
    let mut index = AcceptOnlyIndex::start()?;
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let (mut rates, mut cpu, mut peak) = (Vec::new(), Vec::new(), Vec::new());
    let (mut native_rates, mut native_cpu) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let role = process::role(Way::NativeLoop.name(), &[&broker.address(), &topic, &events.to_string()])?;
        let (printed, usage) = process::measure(role)?;
        native_rates.push(events as f64 / serde_json::from_str::<Drained>(&printed)?.seconds);
        native_cpu.push(usage.cpu.as_secs_f64());

        let before = index.accepted()?;
        let servers = Servers { brokers: &broker.address(), topic: &topic, index: index.url() };
        let pipeline =
            Example("enrich-and-index").copy(&scratch("bench-sink"), &format!("sink-{run}-{round}"), servers)?;
        let mut program = Tidegate::run(&pipeline)?;
        rates.push(rate(events, || {
            program.records()?; // it still runs
            Ok(index.accepted()? - before)
        })?);
        let usage = program.terminate()?;
        cpu.push(usage.cpu.as_secs_f64());
        peak.push(usage.peak_bytes as f64 / f64::from(1 << 20));
    }
    let per_document = |seconds: &[f64]| Spread::of(seconds.iter().map(|seconds| seconds * 1e6 / events as f64));
    println!("sink: {events} events, a document for each, median of {rounds} rounds");
    println!("  {:<44} {:>9.0}", "documents/s", Spread::of(rates.iter().copied()).median);
    println!("  {:<44} {:>9.3}", "CPU µs/document", per_document(&cpu).median);
    println!("  {:<44} {:>9.1}", "peak memory, MiB", Spread::of(peak).median);
    let ratio = |ours: &[f64], other: &[f64]| Spread::of(ours.iter().zip(other).map(|(ours, other)| ours / other));
    print_ratio("documents/s ÷ records/s of the native loop", ratio(&rates, &native_rates), "nothing");
    print_ratio("CPU ÷ native loop, which has no sink", ratio(&cpu, &native_cpu), "nothing");
    Ok(())
}
