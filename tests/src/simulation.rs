//! The protocol of the parts topic, simulated: the real lanes with a simulated log, index and consumer group around them,
//! in one thread, from one seed. The oracle is a plain fold of the input. Components are native here, time is the
//! records' own, and nothing waits: what the shell does is a list of steps in an order that the seed chooses.

mod actor;
mod checkpoints;
mod histories;
mod input;
mod native;
mod oracle;
mod outputs;
mod perform;
mod promoting;
mod rewinding;
mod step;
mod world;

use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidegate::lane::{Lane, Plan, Resume, Topology};
use tidegate::record::{Offset, Partition};

pub use histories::run_histories;
use input::TOPIC;
pub use native::WINDOWED;
pub use world::World;

/// What a run saw: as text for people, in case of a difference.
pub type Difference = String;

/// Runs one seed: input, faults, and the comparison. With `trace`, every step is printed.
pub fn run(seed: u64, trace: bool) -> Result<Statistics, Difference> {
    let mut world = World::new(seed, trace);
    world.run()?;
    let statistics = world.statistics();
    oracle::compare(&world)?;
    Ok(statistics)
}

/// Runs these seeds, as many at a time as there are cores, and prints how fast; or gives a seed that fails.
pub fn run_seeds(seeds: Range<u64>) -> Result<Statistics, (u64, Difference)> {
    let (began, many) = (Instant::now(), seeds.end.saturating_sub(seeds.start));
    let next = AtomicU64::new(seeds.start);
    let worker = || {
        let mut total = Statistics::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return Ok(total);
            }
            let outcome = catch_unwind(|| run(seed, false)).unwrap_or_else(|_| Err("it panics".to_owned()));
            match outcome {
                Ok(statistics) => total += statistics,
                Err(difference) => {
                    next.fetch_max(seeds.end, Ordering::Relaxed);
                    return Err((seed, difference));
                }
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let outcomes: Vec<Result<Statistics, (u64, Difference)>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("panics are caught")).collect()
    });
    // Of several that fail, always the same.
    if let Some(failed) = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).min_by_key(|(seed, _)| *seed) {
        return Err(failed.clone());
    }
    let mut total = Statistics::default();
    outcomes.into_iter().flatten().for_each(|statistics| total += statistics);
    let seconds = began.elapsed().as_secs_f64();
    println!("{many} seeds from {} on, {:.0} a second: {total:?}", seeds.start, many as f64 / seconds);
    Ok(total)
}

/// What a source lane says of a position that knows windows, when all outputs with windows are gone but those that the user gives
/// up by name.
pub fn resume_without_windows(given_up: &[&str]) -> Result<(), String> {
    let topology = |accept_removed| Topology {
        sources: vec![(TOPIC.into(), 1)],
        parts_partitions: 1,
        accept_removed,
        ..Topology::default()
    };
    let (mut settings, mut components) = (native::settings(Duration::ZERO), native::components(1));
    let plan = Plan::new(&settings, &components, topology(Vec::new())).expect("the plan is right");
    let metadata = plan.initial_metadata();
    settings.outputs.retain(|output| output.aggregate.is_none());
    components.outputs.retain(|output| output.aggregate.is_none());
    let accept_removed = given_up.iter().map(|name| (*name).to_owned()).collect();
    let plan = Plan::new(&settings, &components, topology(accept_removed)).expect("the plan is right");
    let resume = Resume::Position { offset: Offset(0), metadata, log_end: Offset(0) };
    let lane = Lane::new(plan.into(), Partition::new(TOPIC, 0), resume, &mut Vec::new());
    lane.map(drop).map_err(|error| error.to_string())
}

/// How much happened, to see that the faults are there.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Statistics {
    pub records: usize,
    pub steps: usize,
    pub crashes: usize,
    pub zombies: usize,
    pub commits: usize,
    pub idles: usize,
    pub deploys: usize,
    pub checkpoints: usize,
    pub restored: usize,
    pub fenced: usize,
    pub damaged: usize,
    pub outages: usize,
    pub promoted: usize,
    pub lost_answers: usize,
    pub added: usize,
    pub rewinds: usize,
    pub changes: usize,
    pub documents: usize,
    pub superseded: usize,
    pub dead_letters: usize,
}

impl std::ops::AddAssign for Statistics {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.steps += other.steps;
        self.crashes += other.crashes;
        self.zombies += other.zombies;
        self.commits += other.commits;
        self.idles += other.idles;
        self.deploys += other.deploys;
        self.checkpoints += other.checkpoints;
        self.restored += other.restored;
        self.fenced += other.fenced;
        self.damaged += other.damaged;
        self.outages += other.outages;
        self.promoted += other.promoted;
        self.lost_answers += other.lost_answers;
        self.added += other.added;
        self.rewinds += other.rewinds;
        self.changes += other.changes;
        self.documents += other.documents;
        self.superseded += other.superseded;
        self.dead_letters += other.dead_letters;
    }
}
