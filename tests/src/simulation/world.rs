//! The world around the lanes: topics, the index, the consumer group, and what goes wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use tidegate::lane::{Event, Lane, Plan, Resume};
use tidegate::record::{BatchBuilder, EventTime, Offset, Partition, RecordBatch};

use super::actor::Actor;
use super::checkpoints::Checkpoints;
use super::input::{Input, TOPIC, VERSION_MAX, pick};
use super::outputs::{Outputs, Plans, plans};
use super::step::{STEPS, Step, chances};
use super::{Difference, Statistics, native, oracle};

pub struct World {
    pub(super) rng: Rng,
    pub(super) trace: bool,
    /// Of instances that began before the topic had all its partitions, and of the others.
    pub(super) plans: [Plans; 2],
    /// The newest version that is deployed anywhere.
    pub(super) states: u32,
    pub(super) parts_topic: Arc<str>,
    pub input: Input,
    /// How many records of each partition were produced.
    pub(super) produced: Vec<usize>,
    next_in_order: usize,
    /// The partition that the topic got later, and whether it has it.
    pub(super) added: Option<(usize, bool)>,
    pub(super) revision: u16,
    /// By which event time windows are not emitted again since the last rewind: of each partition alone.
    pub(super) rewound: Vec<EventTime>,
    pub(super) outputs: Outputs,
    /// Timestamps do not matter in the parts topic, so its messages are values.
    pub(super) parts: Vec<Vec<Vec<u8>>>,
    /// By index and id.
    pub index: BTreeMap<(String, String), (u64, String)>,
    /// The reason of each, by identity.
    pub dead_letters: BTreeMap<String, String>,
    pub(super) committed: BTreeMap<Partition, (i64, String)>,
    pub(super) actors: Vec<Actor>,
    /// Partitions that nobody has, because of a crash, or because the group is not complete yet.
    pub(super) unowned: Vec<Partition>,
    chances: [(Step, usize); STEPS],
    pub(super) store: Checkpoints,
    /// Nothing fails any more.
    pub(super) rests: bool,
    /// The version of the shared filter that new owners run.
    version: u8,
    pub last_version: u8,
    pub(super) statistics: Statistics,
}

impl World {
    pub fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let input = Input::new(&mut rng);
        if trace {
            println!("{}", oracle::describe(&input));
        }
        let partitions = input.partitions.len();
        let parts_partitions = rng.i32(1..=2);
        let added = (rng.u8(..4) == 0).then_some((partitions - 1, false));
        let outputs = Outputs::draw(&mut rng);
        let plans = plans(partitions, parts_partitions, 0, &outputs);
        let store = Checkpoints::new(rng.bool());
        let parts_topic = plans[0][0].parts_topic().expect("aggregates merge").clone();
        World {
            last_version: [0, rng.u8(1..=VERSION_MAX)][rng.usize(..2)],
            chances: chances(&mut rng),
            unowned: Vec::new(),
            rng,
            trace,
            plans,
            states: 1,
            parts_topic,
            produced: vec![0; partitions],
            next_in_order: 0,
            added,
            revision: 0,
            rewound: vec![EventTime::MIN; partitions],
            outputs,
            parts: vec![Vec::new(); parts_partitions as usize],
            index: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
            committed: BTreeMap::new(),
            actors: Vec::new(),
            version: 0,
            statistics: Statistics { records: input.order.len(), ..Statistics::default() },
            input,
            store,
            rests: false,
        }
    }

    pub fn statistics(&self) -> Statistics {
        Statistics { documents: self.index.len(), dead_letters: self.dead_letters.len(), ..self.statistics }
    }

    /// Everything is produced under faults; then, without faults, everything comes to rest.
    pub fn run(&mut self) -> Result<(), Difference> {
        self.unowned = self.partitions();
        while self.next_in_order < self.input.order.len() || self.rng.u8(..100) > 0 {
            self.random_step()?;
        }
        (self.store.is_down, self.store.copy_is_down) = (false, false);
        for partition in std::mem::take(&mut self.unowned) {
            self.begin(partition)?;
        }
        self.rest()
    }

    /// All that there are, those of the parts topic after the others.
    pub(super) fn partitions(&self) -> Vec<Partition> {
        let sources = (0..self.produced.len()).filter(|number| self.added != Some((*number, false)));
        let parts = (0..self.parts.len()).map(|number| Partition::new(&self.parts_topic, number as i32));
        sources.map(|number| Partition::new(TOPIC, number as i32)).chain(parts).collect()
    }

    fn begin(&mut self, partition: Partition) -> Result<(), Difference> {
        let log_end = Offset(self.end(&partition) as i64);
        let resume = match self.committed.get(&partition) {
            Some((offset, metadata)) => {
                Resume::Position { offset: Offset(*offset), metadata: metadata.clone(), log_end }
            }
            None if partition.topic == self.parts_topic => Resume::Fresh { offset: Offset(0) },
            None if self.added == Some((partition.number as usize, true)) => Resume::Fresh { offset: Offset(0) },
            // The start rule was resolved, and committed before the first record.
            None => Resume::Position { offset: Offset(0), metadata: self.plans[0][0].initial_metadata(), log_end },
        };
        self.say(|| format!("{partition} begins at {resume:?}"));
        let knows_all = self.added.is_none_or(|(_, is_there)| is_there);
        let plan = self.plan(knows_all, self.states);
        let wanted = Lane::wanted(&plan, &partition, &resume).map_err(|error| error.to_string())?;
        if wanted.is_some() && self.store.is_down {
            self.unowned.push(partition);
            return Ok(());
        }
        let claimed = wanted.map(|wanted| self.store.claim(&partition, &wanted)).transpose()?;
        if let Some(found) = claimed.as_ref().and_then(|claimed| claimed.found.as_ref()) {
            self.statistics.restored += 1;
            self.statistics.damaged += found.damaged.len();
            self.say(|| format!("{partition} goes on with {:?}", found.checkpoint.header()));
        }
        let mut actor = Actor::new(&plan, self.states, partition, resume, claimed, self.version)?;
        actor.knows_all = knows_all;
        self.actors.push(actor);
        Ok(())
    }

    pub(super) fn plan(&self, knows_all: bool, states: u32) -> Arc<Plan> {
        self.plans[usize::from(knows_all)][states as usize - 1].clone()
    }

    /// An owner gets the newest version; others may have it, or wait for it.
    fn deploy(&mut self, actor: usize) -> Result<(), Difference> {
        let states = self.states;
        if self.actors[actor].states == states {
            return Ok(());
        }
        self.statistics.deploys += 1;
        self.say(|| format!("{actor} is deployed states {states}"));
        let plan = self.plan(self.actors[actor].knows_all, states);
        self.actors[actor].deploy(&plan, states)
    }

    fn random_step(&mut self) -> Result<(), Difference> {
        self.statistics.steps += 1;
        let weights = self.chances.map(|(_, weight)| weight);
        let (step, _) = self.chances[pick(&mut self.rng, &weights)];
        let actor = (!self.actors.is_empty()).then(|| self.rng.usize(..self.actors.len()));
        match (step, actor) {
            (Step::Produce, _) => self.produce(),
            (Step::Assign, _) => self.assign()?,
            (Step::NewVersion, _) => self.version = self.last_version.min(self.version + 1),
            (Step::NewStates, _) => self.states = native::STATES_MAX.min(self.states + 1),
            (Step::Deploy, Some(actor)) => self.deploy(actor)?,
            (Step::Convert, Some(actor)) => self.actors[actor].convert(self.rng.usize(1..4))?,
            (Step::Read, Some(actor)) => self.read(actor)?,
            (Step::Perform, Some(actor)) => self.perform(actor)?,
            (Step::Checkpoint, Some(actor)) => self.actors[actor].step(Event::Checkpoint)?,
            (Step::LatePut, _) => self.store.put_late(&mut self.rng),
            (Step::StoreFails, _) => {
                self.statistics.outages += usize::from(!self.store.is_down);
                self.store.is_down = true;
            }
            (Step::StoreAnswers, _) => self.store.is_down = false,
            (Step::CopyFails, _) => self.store.copy_is_down = true,
            (Step::CopyAnswers, _) => self.store.copy_is_down = false,
            (Step::Promote, _) => self.promote()?,
            (Step::Answer, Some(actor)) => self.answer(actor)?,
            (Step::Commit, Some(actor)) => self.commit(actor)?,
            (Step::Idle, Some(actor)) => self.idle(actor)?,
            (Step::Crash, Some(actor)) => self.crash(actor)?,
            (Step::EndZombie, Some(actor)) => self.end_zombie(actor),
            (Step::Rewind, _) => self.rewind()?,
            (Step::ChangeOutputs, _) => self.change_outputs(),
            (_, None) => {}
        }
        Ok(())
    }

    fn assign(&mut self) -> Result<(), Difference> {
        if self.unowned.is_empty() {
            return Ok(());
        }
        let partition = self.unowned.swap_remove(self.rng.usize(..self.unowned.len()));
        self.begin(partition)
    }

    fn produce(&mut self) {
        if let Some(partition) = self.input.order.get(self.next_in_order) {
            let partition = *partition;
            if self.added == Some((partition, false)) {
                self.say(|| format!("the topic gets the partition {partition}"));
                self.added = Some((partition, true));
                self.unowned.push(Partition::new(TOPIC, partition as i32));
                self.statistics.added += 1;
            }
            self.produced[partition] += 1;
            self.next_in_order += 1;
        }
    }

    /// A batch of any size.
    fn read(&mut self, actor: usize) -> Result<(), Difference> {
        let at = self.actors[actor].read;
        let end = self.end(&self.actors[actor].partition);
        if at >= end || self.actors[actor].is_blocked() {
            return Ok(());
        }
        let take = self.rng.usize(1..=(end - at).min(6));
        let partition = self.actors[actor].partition.clone();
        self.say(|| format!("{actor} {partition} reads {at}..{}", at + take));
        // Clocks are wrong, and jump.
        let received = EventTime::from_micros(self.rng.i64(..));
        let batch = self.batch(&partition, at, take, received);
        let actor = &mut self.actors[actor];
        actor.read += take;
        actor.told_idle = false;
        actor.step(Event::Batch(std::sync::Arc::new(batch)))
    }

    fn end(&self, partition: &Partition) -> usize {
        let number = partition.number as usize;
        if partition.topic == self.parts_topic { self.parts[number].len() } else { self.produced[number] }
    }

    pub(super) fn batch(&self, partition: &Partition, at: usize, take: usize, received: EventTime) -> RecordBatch {
        let number = partition.number as usize;
        let mut builder = BatchBuilder::new(received);
        for offset in at..at + take {
            if partition.topic == self.parts_topic {
                builder.push(Offset(offset as i64), None, None, Some(&self.parts[number][offset]));
            } else {
                let record = &self.input.partitions[number][offset];
                let stamp = EventTime::from_micros(record.stamp() * 1_000_000);
                builder.push(Offset(offset as i64), Some(stamp), None, Some(&record.value()));
            }
        }
        builder.finish()
    }

    fn answer(&mut self, actor: usize) -> Result<(), Difference> {
        let answers = self.actors[actor].answers.len();
        if answers == 0 {
            return Ok(());
        }
        let place = self.rng.usize(..answers);
        let answer = self.actors[actor].answers.swap_remove(place);
        self.actors[actor].step(answer)
    }

    fn commit(&mut self, actor: usize) -> Result<(), Difference> {
        let owner = &self.actors[actor];
        if !owner.zombie {
            let commitment = owner.commitment()?;
            let (partition, fell_back) = (owner.partition.clone(), owner.fell_back);
            self.say(|| format!("{actor} {partition} commits {commitment:?}"));
            let goes_back = self.committed.get(&partition).is_some_and(|before| before.0 > commitment.0);
            match goes_back {
                // It is not sent before the lane is as far as the group again.
                true if fell_back => return Ok(()),
                true => return Err(format!("the position of {partition} went back to {}", commitment.0)),
                false => self.accept(actor, &partition, commitment)?,
            }
            self.statistics.commits += 1;
        }
        Ok(())
    }

    fn accept(&mut self, actor: usize, partition: &Partition, commitment: (i64, String)) -> Result<(), Difference> {
        let offset = Offset(commitment.0);
        let resume = Resume::Position { offset, metadata: commitment.1.clone(), log_end: offset };
        let plan = self.plan(self.actors[actor].knows_all, self.states);
        let wanted = Lane::wanted(&plan, partition, &resume).map_err(|error| error.to_string())?;
        self.actors[actor].committed = wanted.and_then(|wanted| wanted.named).map(|named| named.slot);
        self.committed.insert(partition.clone(), commitment);
        Ok(())
    }

    /// The broker says that the partition is at its end.
    fn idle(&mut self, actor: usize) -> Result<(), Difference> {
        let end = self.end(&self.actors[actor].partition);
        let owner = &self.actors[actor];
        if owner.partition.topic == self.parts_topic || owner.read < end {
            return Ok(());
        }
        // All idle, time stands still: so one whose last record ends all windows is never idle after it.
        let number = owner.partition.number as usize;
        if self.input.closes[number] && end == self.input.partitions[number].len() {
            return Ok(());
        }
        let owner = &mut self.actors[actor];
        owner.told_idle = true;
        self.statistics.idles += 1;
        self.say(|| format!("{actor} is idle"));
        self.actors[actor].step(Event::Idle)
    }

    /// The owner of a partition is replaced, between any two of its effects.
    pub(super) fn crash(&mut self, actor: usize) -> Result<(), Difference> {
        if self.actors[actor].zombie {
            return Ok(());
        }
        self.statistics.crashes += 1;
        let partition = self.actors[actor].partition.clone();
        self.say(|| format!("{actor} {partition} crashes"));
        if self.rng.bool() {
            self.statistics.zombies += 1;
            self.actors[actor].zombie = true;
        } else {
            self.actors.swap_remove(actor);
        }
        self.unowned.push(partition);
        Ok(())
    }

    fn end_zombie(&mut self, actor: usize) {
        if self.actors[actor].zombie {
            self.actors.swap_remove(actor);
        }
    }

    /// No more faults: whoever is left works until nothing is left to do; partitions at their end become idle.
    fn rest(&mut self) -> Result<(), Difference> {
        self.say(|| "no more faults".to_owned());
        self.rests = true;
        for actor in 0..self.actors.len() {
            self.deploy(actor)?;
        }
        loop {
            let mut busy = false;
            for actor in 0..self.actors.len() {
                let end = self.end(&self.actors[actor].partition);
                while self.actors[actor].read < end {
                    self.read(actor)?;
                    busy = true;
                }
                while !self.actors[actor].is_quiet() {
                    self.perform(actor)?;
                    self.answer(actor)?;
                    busy = true;
                }
            }
            if busy {
                continue;
            }
            let zombies = self.actors.len();
            self.actors.retain(|actor| !actor.zombie);
            if self.actors.len() < zombies {
                // Idleness is told again as long as it lasts.
                self.actors.iter_mut().for_each(|actor| actor.told_idle = false);
            }
            let waiting = (0..self.actors.len()).find(|actor| {
                let owner = &self.actors[*actor];
                let closes = || self.input.closes[owner.partition.number as usize];
                owner.partition.topic != self.parts_topic && !owner.told_idle && !closes()
            });
            match waiting {
                Some(actor) => self.idle(actor)?,
                None if zombies > self.actors.len() => {}
                None => break,
            }
        }
        match self.actors.iter().find(|actor| !actor.is_settled()) {
            Some(actor) => Err(format!("the lane of {} does not come to rest", actor.partition)),
            None => Ok(()),
        }
    }

    pub(super) fn say(&self, words: impl FnOnce() -> String) {
        if self.trace {
            println!("{:6} {}", self.statistics.steps, words());
        }
    }
}
