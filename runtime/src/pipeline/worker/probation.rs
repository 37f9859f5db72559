//! Another plan, lane by lane, on probation: what it does takes effect when it is accepted. Until then each lane has a copy of
//! itself from before, and the events since; rolling back is to let the copy do them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::lane::{Effect, Event, Instances, Lane, LaneError, Plan, Tally};
use crate::pipeline::slot::{InFlight, LaneKey, Slot};
use crate::record::{Message, Partition, RecordBatch};

use super::perform::perform_all;
use super::{Owned, Running};

/// How long converting some states may keep a worker from the next batch: it converts more or fewer at once to stay near it.
const PIECE: Duration = Duration::from_millis(1);
/// So many groups at first, and at least and at most: where the clock is coarse, or a single call takes longer.
pub(super) const PIECE_GROUPS: usize = 256;
const PIECE_GROUPS_MIN: usize = 16;
const PIECE_GROUPS_MAX: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LaneKind {
    Source,
    Parts,
}

/// What a worker is told between two steps, by whoever deploys. Each is answered once.
pub(crate) enum Change {
    /// Copies of its lanes, where they are wanted, and its last batches of the source topics.
    Show { lanes: bool, answer: Sender<Shown> },
    /// Its lanes of this kind follow another plan from here on, on probation. An error: none of this worker's do for good, and
    /// all are to be rolled back.
    Swap {
        kind: LaneKind,
        plan: Arc<Plan>,
        instances: Instances,
        trial: Arc<Trial>,
        answer: Sender<Result<(), LaneError>>,
    },
    /// One of its lanes on probation converts some states to the schema of the plan; whether there are more.
    Convert { answer: Sender<bool> },
    /// The trial has ended: what was done on probation takes effect, or is undone and done again by the plan before. Back come
    /// the lanes that are not needed any more, to be dropped where nobody waits: they may have copies of many states.
    Conclude { accepted: bool, answer: Sender<Vec<Lane>> },
}

/// What another plan can be tried on.
pub(crate) struct Shown {
    pub lanes: Vec<(Partition, Lane)>,
    pub recent: Vec<(Partition, Arc<RecordBatch>)>,
}

/// What lanes of each kind follow.
#[derive(Clone)]
pub(super) struct Plans {
    source: Arc<Plan>,
    parts: Arc<Plan>,
}

impl Plans {
    pub fn both(plan: Arc<Plan>) -> Self {
        Plans { source: plan.clone(), parts: plan }
    }

    pub fn of(&self, kind: LaneKind) -> &Arc<Plan> {
        match kind {
            LaneKind::Source => &self.source,
            LaneKind::Parts => &self.parts,
        }
    }

    fn set(&mut self, kind: LaneKind, plan: Arc<Plan>) {
        match kind {
            LaneKind::Source => self.source = plan,
            LaneKind::Parts => self.parts = plan,
        }
    }
}

/// A lane on probation.
pub(super) struct Probation {
    before: Lane,
    /// Since the swap, in order.
    events: Vec<Event>,
    effects: Vec<Effect>,
    /// The bytes of events and effects count against the lane's share, like those in flight.
    bytes: Vec<InFlight>,
    tally: Tally,
    /// Whether there may be states of the schema before.
    converts: bool,
}

impl Probation {
    fn new(before: Lane) -> Self {
        let (events, effects, bytes) = (Vec::new(), Vec::new(), Vec::new());
        Probation { before, events, effects, bytes, tally: Tally::default(), converts: true }
    }

    /// Keeps what the lane is told.
    pub fn told(&mut self, event: &Event, slot: &Arc<Slot>) {
        self.count(event_bytes(event), slot);
        self.events.push(event.clone());
    }

    /// Keeps what a step asked for.
    pub fn hold(&mut self, tally: Tally, effects: &mut Vec<Effect>, slot: &Arc<Slot>) {
        self.tally.add(&tally);
        self.count(effects.iter().map(effect_bytes).sum(), slot);
        self.effects.append(effects);
    }

    fn count(&mut self, bytes: usize, slot: &Arc<Slot>) {
        if bytes > 0 {
            self.bytes.push(slot.fly(bytes));
        }
    }
}

fn event_bytes(event: &Event) -> usize {
    match event {
        Event::Batch(batch) => batch.bytes(),
        Event::Indexed { rejected, .. } => rejected.iter().map(|one| one.id.len() + one.body.len()).sum(),
        Event::Written { .. } | Event::Idle | Event::Checkpoint | Event::Saved { .. } => 0,
    }
}

fn effect_bytes(effect: &Effect) -> usize {
    match effect {
        Effect::Index { documents, .. } => documents.bytes(),
        Effect::Write { messages, .. } => messages.iter().map(Message::bytes).sum(),
        // Its states are shared with the lane.
        Effect::Save { .. } => 0,
    }
}

/// What a plan on probation has been seen to do, over all lanes.
pub(crate) struct Trial {
    records: AtomicU64,
    given_up: AtomicU64,
    /// After so many records it can be judged.
    enough: u64,
    told: AtomicBool,
    words: Sender<TrialWord>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TrialWord {
    /// It has seen as many records as it takes to judge.
    Enough,
    /// It cannot go on.
    Failed(String),
}

impl Trial {
    pub fn new(enough: u64, words: Sender<TrialWord>) -> Self {
        Trial { records: AtomicU64::new(0), given_up: AtomicU64::new(0), enough, told: AtomicBool::new(false), words }
    }

    /// Records, and those that were given up because of a component.
    pub fn counts(&self) -> (u64, u64) {
        (self.records.load(Relaxed), self.given_up.load(Relaxed))
    }

    pub(super) fn saw(&self, tally: &Tally) {
        self.given_up.fetch_add(tally.given_up(), Relaxed);
        let records = self.records.fetch_add(tally.records, Relaxed) + tally.records;
        if records >= self.enough && !self.told.swap(true, Relaxed) {
            let _ = self.words.send(TrialWord::Enough);
        }
    }

    fn failed(&self, error: String) {
        let _ = self.words.send(TrialWord::Failed(error));
    }
}

/// How many groups are converted next, where so many took that long.
fn next_piece(groups: usize, took: Duration) -> usize {
    let next = match took {
        took if took > PIECE => groups / 2,
        took if took < PIECE / 4 => groups * 2,
        _ => groups,
    };
    next.clamp(PIECE_GROUPS_MIN, PIECE_GROUPS_MAX)
}

impl Running {
    pub(super) fn kind_of(&self, partition: &Partition) -> LaneKind {
        match self.shared.plan.parts_topic() == Some(&partition.topic) {
            true => LaneKind::Parts,
            false => LaneKind::Source,
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        match change {
            Change::Show { lanes, answer } => {
                let wanted = self.lanes.values().filter(|_| lanes);
                let lanes = wanted.map(|owned| (owned.slot.partition.clone(), owned.lane.clone()));
                let _ = answer.send(Shown { lanes: lanes.collect(), recent: self.recent.all() });
            }
            Change::Swap { kind, plan, instances, trial, answer } => {
                self.instances.extend(instances);
                self.trial.get_or_insert_with(|| (self.plans.clone(), trial));
                self.plans.set(kind, plan);
                let _ = answer.send(self.swap(kind));
            }
            Change::Convert { answer } => {
                let _ = answer.send(self.convert());
            }
            Change::Conclude { accepted, answer } => {
                self.conclude(accepted);
                let _ = answer.send(std::mem::take(&mut self.retired));
            }
        }
    }

    fn swap(&mut self, kind: LaneKind) -> Result<(), LaneError> {
        let keys: Vec<LaneKey> = self.lanes.keys().copied().collect();
        for key in keys {
            let of_kind = self.lanes.get(&key).is_some_and(|owned| self.kind_of(&owned.slot.partition) == kind);
            if of_kind {
                self.deploy(key, kind)?;
            }
        }
        Ok(())
    }

    /// A lane that begins while a plan is on probation takes part.
    pub(super) fn follow(&mut self, lane: LaneKey, kind: LaneKind) {
        let Some((before, _)) = &self.trial else { return };
        if Arc::ptr_eq(before.of(kind), self.plans.of(kind)) {
            return;
        }
        if let Err(error) = self.deploy(lane, kind) {
            self.tell_trial(&error);
        }
    }

    /// On an error the lane is as it was.
    fn deploy(&mut self, key: LaneKey, kind: LaneKind) -> Result<(), LaneError> {
        let Some(owned) = self.lanes.get_mut(&key) else { return Ok(()) };
        let before = owned.lane.clone();
        let plan = self.plans.of(kind).clone();
        if let Err(error) = owned.lane.deploy(plan, &mut self.instances, &mut self.effects) {
            self.effects.clear();
            self.retired.push(std::mem::replace(&mut owned.lane, before));
            return Err(error);
        }
        owned.probation = Some(Box::new(Probation::new(before)));
        self.finish(key);
        self.release(key);
        Ok(())
    }

    fn convert(&mut self) -> bool {
        let converts = |owned: &Owned| owned.probation.as_ref().is_some_and(|probation| probation.converts);
        let Some((key, owned)) = self.lanes.iter_mut().find(|(_, owned)| converts(owned)) else { return false };
        let key = *key;
        let begun = Instant::now();
        self.shared.step_begins(self.number, begun);
        let converted = owned.lane.convert(self.piece_groups, &mut self.instances);
        self.shared.step_ends(self.number);
        self.piece_groups = next_piece(self.piece_groups, begun.elapsed());
        match (converted, &mut owned.probation) {
            (Ok(more), Some(probation)) => probation.converts = more,
            (Ok(_), None) => {}
            (Err(error), _) => self.fail_trial(key, &error),
        }
        self.lanes.values().any(converts)
    }

    fn conclude(&mut self, accepted: bool) {
        let Some((before, _)) = self.trial.take() else { return };
        if !accepted {
            self.plans = before;
        }
        let keys: Vec<LaneKey> = self.lanes.keys().copied().collect();
        for key in keys {
            match accepted {
                true => self.accept(key),
                false => self.roll_back(key),
            }
            self.release(key);
        }
        let named: Vec<_> = self.plans.source.plugins().chain(self.plans.parts.plugins()).collect();
        self.instances.retain(|id| named.contains(&id));
    }

    /// What the lane did on probation takes effect.
    pub(super) fn accept(&mut self, lane: LaneKey) {
        let Some(Owned { slot, probation, .. }) = self.lanes.get_mut(&lane) else { return };
        let Some(mut probation) = probation.take() else { return };
        perform_all(&mut probation.effects, slot, &self.shared, &self.answers);
        self.shared.count(&slot.partition, probation.tally);
        self.retired.push(probation.before);
        self.finish(lane);
    }

    /// The lane as it was does what came since.
    fn roll_back(&mut self, lane: LaneKey) {
        let Some(owned) = self.lanes.get_mut(&lane) else { return };
        let Some(probation) = owned.probation.take() else { return };
        let Probation { before, events, bytes, .. } = *probation;
        self.retired.push(std::mem::replace(&mut owned.lane, before));
        drop(bytes);
        for event in events {
            self.step(lane, event);
        }
    }

    /// The lane broke on probation: it goes on as before, and the others will.
    pub(super) fn fail_trial(&mut self, lane: LaneKey, error: &LaneError) {
        self.effects.clear();
        self.tell_trial(error);
        self.roll_back(lane);
    }

    fn tell_trial(&self, error: &LaneError) {
        if let Some((_, trial)) = &self.trial {
            trial.failed(error.to_string());
        }
    }
}
