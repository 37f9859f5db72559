//! The protocol of the parts topic, simulated: the real lanes with a simulated log, index and consumer group around them,
//! in one thread, from one seed. The oracle is a plain fold of the input. Components are native here, time is the
//! records' own, and nothing waits: what the shell does is a list of steps in an order that the seed chooses.

mod actor;
mod input;
mod native;
mod oracle;
mod world;

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

/// How much happened, to see that the faults are there.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Statistics {
    pub records: usize,
    pub steps: usize,
    pub crashes: usize,
    pub zombies: usize,
    pub commits: usize,
    pub idles: usize,
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
        self.documents += other.documents;
        self.superseded += other.superseded;
        self.dead_letters += other.dead_letters;
    }
}
