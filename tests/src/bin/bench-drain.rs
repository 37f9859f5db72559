//! The click-stream job on a topic that is full: how fast and at what cost it is drained, in turn with consumers that do
//! less.
//!
//! `make bench` runs it, or `target/release/bench-drain --events 2000000 --rounds 5`. It prints ratios of figures
//! that were taken in one run; it is no test, and fails for no figure.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use tidegate_tests::bench::broker::{Broker, PARTITIONS};
use tidegate_tests::bench::consumers::{Drained, Way};
use tidegate_tests::bench::events::Mix;
use tidegate_tests::bench::index::AcceptOnlyIndex;
use tidegate_tests::bench::pipeline::{Example, Servers};
use tidegate_tests::bench::process::{self, Usage};
use tidegate_tests::bench::tidegate::{Tidegate, rate};
use tidegate_tests::bench::{self, Spread, print_ratio};
use tidegate_tests::workspace::scratch;

/// What a process did, and what it took for it.
#[derive(Clone, Copy, Debug)]
struct Cost {
    records_per_second: f64,
    cpu_seconds: f64,
    peak_mib: f64,
}

impl Cost {
    fn new(records_per_second: f64, usage: Usage) -> Self {
        Cost {
            records_per_second,
            cpu_seconds: usage.cpu.as_secs_f64(),
            peak_mib: usage.peak_bytes as f64 / f64::from(1 << 20),
        }
    }
}

fn main() -> anyhow::Result<()> {
    bench::main(|arguments| compare(arguments.number("events", 2_000_000), arguments.number("rounds", 5)))
}

fn compare(events: u64, rounds: usize) -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let topic = broker.topic(Mix::Clicks, events)?;
    let mut index = AcceptOnlyIndex::start()?;
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); Way::ALL.len() + 1];
    for round in 0..rounds {
        for (way, costs) in Way::ALL.into_iter().zip(&mut costs) {
            costs.push(consume(way, &broker.address(), &topic, events)?);
        }
        let name = format!("drain-{run}-{round}");
        costs[Way::ALL.len()].push(drain(&name, &broker.address(), &topic, &mut index, events)?);
        eprintln!("round {} of {rounds}", round + 1);
    }
    print(events, &costs);
    Ok(())
}

fn consume(way: Way, brokers: &str, topic: &str, events: u64) -> anyhow::Result<Cost> {
    let (printed, usage) = process::measure(process::role(way.name(), &[brokers, topic, &events.to_string()])?)?;
    let drained: Drained = serde_json::from_str(&printed)?;
    ensure!(drained.records == events && drained.counted > 0, "it read something else: {drained:?}");
    Ok(Cost::new(events as f64 / drained.seconds, usage))
}

/// From the first record that a lane takes to the last. The cost is that of the whole process, start and end included.
fn drain(name: &str, brokers: &str, topic: &str, index: &mut AcceptOnlyIndex, events: u64) -> anyhow::Result<Cost> {
    let before = index.accepted()?;
    let servers = Servers { brokers, topic, index: index.url() };
    let pipeline = Example("clickstream").copy(&scratch("bench-drain"), name, servers)?;
    let mut program = Tidegate::run(&pipeline)?;
    let rate = rate(events, || program.records())?;
    let usage = program.terminate()?;
    ensure!(index.accepted()? > before, "no window was indexed");
    Ok(Cost::new(rate, usage))
}

fn print(events: u64, costs: &[Vec<Cost>]) {
    let [batch, poll, native, ours] = costs else { return };
    let names = ["bare consumer, batches", "bare consumer, polls", "native loop", "tidegate run"];
    println!("drain: {events} events in {PARTITIONS} partitions, median of {} rounds in turn", ours.len());
    println!("  {:<28} {:>12} {:>14} {:>10}", "", "records/s", "CPU µs/record", "peak MiB");
    for (name, costs) in names.into_iter().zip(costs) {
        let median = |of: fn(&Cost) -> f64| Spread::of(costs.iter().map(of)).median;
        println!(
            "  {name:<28} {:>12.0} {:>14.3} {:>10.1}",
            median(|cost| cost.records_per_second),
            median(|cost| cost.cpu_seconds) * 1e6 / events as f64,
            median(|cost| cost.peak_mib),
        );
    }
    let ratio = |others: &[Cost], of: fn(&Cost) -> f64| {
        Spread::of(ours.iter().zip(others).map(|(ours, other)| of(ours) / of(other)))
    };
    print_ratio("throughput ÷ bare consumer, batches", ratio(batch, |cost| cost.records_per_second), "≥ 0.5");
    print_ratio("throughput ÷ bare consumer, polls", ratio(poll, |cost| cost.records_per_second), "≥ 0.5");
    print_ratio("CPU ÷ native loop", ratio(native, |cost| cost.cpu_seconds), "≤ 1.2");
    print_ratio("peak memory, MiB", Spread::of(ours.iter().map(|cost| cost.peak_mib)), "≤ 150");
}
