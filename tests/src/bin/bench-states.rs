//! What many open groups cost a lane: batches of records of groups at random through `Lane::step`, between them a copy of the lane
//! as a reload keeps it, and another schema of states. No Kafka and no index.
//!
//! `make bench BENCHES=states` runs it, or `target/release/bench-states --rounds 9 --groups-max 100000`. It is no test, and fails
//! for no figure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::lane::{Lane, Plan};
use tidegate::pipeline::{Loader, Plugins};
use tidegate_tests::bench::groups::{Counting, OpenGroups, ROWS, live_bytes, settings, topology};
use tidegate_tests::bench::{Arguments, Spread};
use tidegate_tests::workspace::root;

/// Batches of which the time is taken, before a change and after it.
const BATCHES: usize = 50;
/// So many groups are converted between two batches.
const PIECE_GROUPS: usize = 1024;

#[global_allocator]
static COUNTING: Counting = Counting;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::read();
    let (rounds, groups_max) = (arguments.number("rounds", 5), arguments.number("groups-max", 1_000_000));
    let mut loader = Loader::default();
    let (before, after) = (Version::load("guests", &mut loader)?, Version::load("guests-next", &mut loader)?);
    println!("states: batches of {ROWS} records of groups at random, median of {rounds} rounds, ms");
    println!(
        "  {:>9} {:>8} {:>12} {:>12} {:>12} {:>12} {:>12} {:>14}",
        "groups", "median", "a copy", "longest", "a deploy", "longest", "a piece", "bytes a group"
    );
    for groups in [100, 10_000, 100_000, 1_000_000].into_iter().filter(|groups| *groups <= groups_max) {
        let runs = (0..rounds).map(|_| run(groups, &before, &after)).collect::<anyhow::Result<Vec<_>>>()?;
        let show = |of: fn(&Run) -> Duration| Spread::of(runs.iter().map(of).map(millis)).median;
        let bytes = Spread::of(runs.iter().map(|run| run.bytes as f64 / groups as f64)).median;
        println!(
            "  {groups:>9} {:>8.2} {:>12.3} {:>12.2} {:>12.3} {:>12.2} {:>12.2} {bytes:>14.0}",
            show(|run| run.median),
            show(|run| run.copy),
            show(|run| run.after_copy),
            show(|run| run.deploy),
            show(|run| run.after_deploy),
            show(|run| run.piece),
        );
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A version of `tally` in a pipeline that counts by `g`.
struct Version {
    plan: Arc<Plan>,
    plugins: Plugins,
}

impl Version {
    fn load(guests: &str, loader: &mut Loader) -> anyhow::Result<Self> {
        let settings = settings(&root().join("target").join(guests), "tally.wasm")?;
        let plugins = Plugins::load(&settings, loader)?;
        let plan = Arc::new(Plan::new(&settings, &plugins.describe(), topology())?);
        Ok(Version { plan, plugins })
    }
}

struct Run {
    median: Duration,
    /// Making a copy of the lane, and the longest batch while it is held.
    copy: Duration,
    after_copy: Duration,
    /// Another schema of states, the longest batch after it, and the longest piece of the conversion.
    deploy: Duration,
    after_deploy: Duration,
    piece: Duration,
    /// What the process has asked for more, with all groups open.
    bytes: usize,
}

fn run(groups: u64, before: &Version, after: &Version) -> anyhow::Result<Run> {
    let mut instances = before.plugins.instantiate()?;
    instances.extend(after.plugins.instantiate()?);
    let empty = live_bytes();
    let mut bench = OpenGroups::new(&before.plan, instances, groups)?;
    let bytes = live_bytes().saturating_sub(empty);
    let warm = bench.steps(BATCHES, groups)?;
    let begun = Instant::now();
    let copy = bench.lane.clone();
    let copied = begun.elapsed();
    let after_copy = bench.steps(BATCHES, groups)?;
    retire(copy);
    // What the allocator does about that is not the deployment's.
    bench.steps(BATCHES, groups)?;

    let begun = Instant::now();
    let copy = bench.lane.clone();
    bench.lane.deploy(after.plan.clone(), &mut bench.instances, &mut Vec::new())?;
    let deploy = begun.elapsed();
    let (mut piece, mut after_deploy, mut more) = (Duration::ZERO, Duration::ZERO, true);
    while more {
        after_deploy = after_deploy.max(bench.random_step(groups)?);
        let begun = Instant::now();
        more = bench.lane.convert(PIECE_GROUPS, &mut bench.instances)?;
        piece = piece.max(begun.elapsed());
    }
    retire(copy);
    let longest = |times: &[Duration]| times.iter().max().copied().unwrap_or_default();
    let mut sorted = warm;
    sorted.sort_unstable();
    let median = sorted[sorted.len() / 2];
    Ok(Run { median, copy: copied, after_copy: longest(&after_copy), deploy, after_deploy, piece, bytes })
}

/// As a worker does: what many states cost to free is paid on a thread for which no lane waits.
fn retire(lane: Lane) {
    std::thread::spawn(move || drop(lane)).join().expect("a lane can be dropped");
}
