//! What checkpoints cost a lane with many open groups: how long it pauses, what is written, how long a restore takes; and what a record
//! costs where so many groups are open. The aggregate is linked in and keeps 40 bytes a group. No Kafka, no index, no store.
//!
//! `make bench BENCHES=checkpoints` runs it, or `target/release/bench-checkpoints --checkpoints 200 --groups-max 100000 --turns 9`. It is
//! no test, and fails for no figure.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate::checkpoint::{Checkpoint, CheckpointId, Epoch, Sequence, SlotId, StoreId};
use tidegate::lane::{Components, Described, Instances, Lane, OutputComponents, Plan, PluginId, StateDescription};
use tidegate::plugin::{Aggregate, CallError, Instance};
use tidegate::record::{Accumulated, Batch, Offset, Output, Ports, Resume, Slices, StateSchema};
use tidegate_tests::bench::groups::{Counting, OpenGroups, ROWS, live_bytes, settings, topology};
use tidegate_tests::bench::{Arguments, Spread, print_ratio};

const STATE_BYTES: usize = 40;
/// Batches of which the time is taken, without a checkpoint.
const BATCHES: usize = 50;
const EVERY: Duration = Duration::from_secs(10);
const ID: CheckpointId = CheckpointId { store: StoreId(1), slot: SlotId { epoch: Epoch(1), sequence: Sequence(1) } };
const PLUGIN: PluginId = PluginId(1);

#[global_allocator]
static COUNTING: Counting = Counting;

/// Counts, and keeps bytes beside the count.
struct Wide;

impl Aggregate for Wide {
    fn accumulate(&mut self, states: &Slices, groups: &[u32], _: &Batch) -> Result<Accumulated, CallError> {
        let wide = |state: &[u8]| <[u8; STATE_BYTES]>::try_from(state).unwrap_or([7; STATE_BYTES]);
        let mut counted: Vec<[u8; STATE_BYTES]> = states.iter().map(wide).collect();
        for group in groups {
            let count = &mut counted[*group as usize][..8];
            let next = u64::from_le_bytes(count.try_into().expect("8 bytes")).wrapping_add(1);
            count.copy_from_slice(&next.to_le_bytes());
        }
        Ok(Accumulated { states: counted.into_iter().collect(), rejected: Vec::new() })
    }

    fn merge(&mut self, left: &Slices, _: &Slices) -> Result<Accumulated, CallError> {
        Ok(Accumulated { states: left.clone(), rejected: Vec::new() })
    }

    fn emit(&mut self, _: &Slices, _: &Batch) -> Result<Output, CallError> {
        Ok(Output::default())
    }

    fn migrate(&mut self, _: &StateSchema, states: &Slices) -> Result<Result<Slices, String>, CallError> {
        Ok(Ok(states.clone()))
    }
}

fn instances() -> Instances {
    [(PLUGIN, Instance::Aggregate(Box::new(Wide)))].into_iter().collect()
}

fn plan() -> anyhow::Result<Arc<Plan>> {
    let settings = settings(Path::new("none"), "wide.wasm")?;
    let schema = StateSchema { name: "wide".to_owned(), version: 1 };
    let state = Some(StateDescription { schema, emit_reads: Vec::new() });
    let ports = Ports { reads: Vec::new(), writes: Vec::new() };
    let aggregate = Described { id: PLUGIN, ports, state, ..Described::default() };
    let components = Components {
        transforms: Vec::new(),
        outputs: vec![OutputComponents { transforms: Vec::new(), aggregate: Some(aggregate) }],
    };
    Ok(Arc::new(Plan::new(&settings, &components, topology())?))
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::read();
    let checkpoints = arguments.number("checkpoints", 200);
    let groups_max = arguments.number("groups-max", 1_000_000);
    let turns = arguments.number("turns", 9);
    let plan = plan()?;
    println!(
        "checkpoints: batches of {ROWS} records of groups at random, {STATE_BYTES} bytes of state a group; times in ms"
    );
    println!(
        "  {:>9} {:>12} {:>12} {:>12} {:>12} {:>12} {:>12} {:>12} {:>12} {:>12}",
        "groups",
        "ns a record",
        "memory a gr",
        "freeze p99",
        "batch p99",
        "while made",
        "the pause",
        "bytes a gr",
        "made in",
        "restored in"
    );
    for groups in [10, 1_000, 100_000, 1_000_000].into_iter().filter(|groups| *groups <= groups_max) {
        let Costs { record_ns, memory, freeze, before, during, pause, object, made, restored } =
            costs(&plan, groups, if groups > 100_000 { checkpoints / 10 } else { checkpoints })?;
        let per_group = |bytes: usize| bytes as f64 / groups as f64;
        println!(
            "  {groups:>9} {record_ns:>12.0} {:>12.0} {:>12.3} {:>12.3} {:>12.3} {:>12.3} {:>12.1} {:>12.1} {:>12.1}",
            per_group(memory),
            millis(freeze),
            millis(before),
            millis(during),
            millis(pause),
            per_group(object),
            millis(made),
            millis(restored),
        );
    }
    println!("throughput with a checkpoint every {EVERY:?}, of that without, {turns} times so long of each in turn:");
    for groups in [100_000, 1_000_000].into_iter().filter(|groups| *groups <= groups_max) {
        print_ratio(&format!("{groups} groups"), throughput(&plan, groups, turns)?, "0.97 or more");
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

struct Costs {
    record_ns: f64,
    /// With all groups open, and of a checkpoint.
    memory: usize,
    object: usize,
    /// Of the 99th percentile: the lane's own part of a checkpoint, a batch while none is made, and while one is.
    freeze: Duration,
    before: Duration,
    during: Duration,
    /// Of the 99th percentile: the lane's own part, and by how much the longest batch while it is made is above the median.
    pause: Duration,
    /// Medians: from what was frozen to an object, and from that to a lane.
    made: Duration,
    restored: Duration,
}

fn costs(plan: &Arc<Plan>, groups: u64, checkpoints: usize) -> anyhow::Result<Costs> {
    let empty = live_bytes();
    let mut open = OpenGroups::new(plan, instances(), groups)?;
    let memory = live_bytes().saturating_sub(empty);
    let (mut freeze, mut before, mut during) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pause, mut made, mut object) = (Vec::new(), Vec::new(), Vec::new());
    before.extend(open.steps(BATCHES, groups)?);
    let median = percentile(&mut before.clone(), 50);
    for _ in 0..checkpoints {
        before.extend(open.steps(BATCHES, groups)?);
        let (took, frozen) = open.freeze()?;
        let frozen = frozen.ok_or_else(|| anyhow::anyhow!("nothing was frozen"))?;
        let making = thread::spawn(move || {
            let begun = Instant::now();
            let object = frozen.encode(&"checkpoints".into(), ID.slot);
            (object, begun.elapsed())
        });
        let mut longest = Duration::ZERO;
        while !making.is_finished() {
            let batch = open.random_step(groups)?;
            longest = longest.max(batch);
            during.push(batch);
        }
        let (bytes, made_in) = making.join().expect("it is made");
        open.saved(ID)?;
        pause.push(took + longest.saturating_sub(median));
        freeze.push(took);
        made.push(made_in);
        object = bytes;
    }
    drop(open);
    let (object_bytes, object) = (object.len(), object.into());
    let restored = (0..5).map(|_| restore(plan, &object)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Costs {
        record_ns: percentile(&mut before.clone(), 50).as_nanos() as f64 / ROWS as f64,
        memory,
        object: object_bytes,
        freeze: percentile(&mut freeze, 99),
        before: percentile(&mut before, 99),
        during: percentile(&mut during, 99),
        pause: percentile(&mut pause, 99),
        made: percentile(&mut made, 50),
        restored: percentile(&mut restored.clone(), 50),
    })
}

fn restore(plan: &Arc<Plan>, object: &Bytes) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let checkpoint = Checkpoint::open(object).map_err(|why| anyhow::anyhow!("{why}"))?;
    let resume = Resume::Fresh { offset: Offset(0) };
    let from = (&checkpoint, ID.store);
    let lane = Lane::restore(plan.clone(), OpenGroups::partition(), &resume, from, &mut instances(), &mut Vec::new())?;
    let took = begun.elapsed();
    drop(lane);
    Ok(took)
}

/// Records in the time with a checkpoint by those without, for each turn; which of the two comes first changes.
fn throughput(plan: &Arc<Plan>, groups: u64, turns: usize) -> anyhow::Result<Spread> {
    let mut open = OpenGroups::new(plan, instances(), groups)?;
    let mut ratios = Vec::new();
    for turn in 0..turns {
        let first = batches(&mut open, groups, turn % 2 == 0)?;
        let second = batches(&mut open, groups, turn % 2 == 1)?;
        ratios.push(if turn % 2 == 0 { first / second } else { second / first });
    }
    Ok(Spread::of(ratios))
}

/// Batches a second of the lane's time, with a checkpoint at the beginning or without.
fn batches(open: &mut OpenGroups, groups: u64, checkpoint: bool) -> anyhow::Result<f64> {
    let (begun, mut busy, mut count) = (Instant::now(), Duration::ZERO, 0.0);
    let mut making = None;
    if checkpoint {
        let (took, frozen) = open.freeze()?;
        busy += took;
        making = frozen.map(|frozen| thread::spawn(move || frozen.encode(&"checkpoints".into(), ID.slot).len()));
    }
    while begun.elapsed() < EVERY {
        busy += open.random_step(groups)?;
        count += 1.0;
        if let Some(made) = making.take_if(|making| making.is_finished()) {
            made.join().expect("it is made");
            open.saved(ID)?;
        }
    }
    if let Some(made) = making {
        made.join().expect("it is made");
        open.saved(ID)?;
    }
    Ok(count / busy.as_secs_f64())
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
