//! A worker: one thread that owns some lanes and one instance of each component, steps the lanes and hands their effects
//! to the shell.

mod perform;
mod probation;
mod recent;
mod room;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, after, never, select_biased, unbounded};
use hashbrown::HashMap;

use super::PipelineError;
use super::panic_guard::PanicGuard;
use super::shared::Shared;
use super::slot::{LaneKey, Slot};
use crate::checkpoint::{Checkpoint, StoreId};
use crate::lane::{Effect, Event, Instances, Lane, LaneError};
use crate::plugin::THREAD_STACK_BYTES;
use crate::record::Resume;
use perform::perform_all;
pub(crate) use probation::{Change, LaneKind, Shown, Trial, TrialWord};
use probation::{PIECE_GROUPS, Plans, Probation};
use recent::Recent;
use room::CROWDED_LOOK;

/// What a worker is told by the poll thread, in order.
pub(crate) enum Command {
    Assign {
        slot: Arc<Slot>,
        resume: Resume,
        /// What the lane goes on with; none where the position is all that it needs.
        restored: Option<Box<Restored>>,
    },
    /// A batch, or idleness.
    Event {
        lane: LaneKey,
        event: Event,
        at: Instant,
    },
    /// Answers on `settled` as soon as nothing of the lane is in flight; at once when there is no such lane.
    Settle {
        lane: LaneKey,
        settled: Sender<LaneKey>,
    },
    /// A checkpoint of the lane is due.
    Checkpoint(LaneKey),
    Drop(LaneKey),
}

/// A checkpoint, and the store that it is in.
pub(crate) struct Restored {
    pub checkpoint: Checkpoint,
    pub store: StoreId,
}

/// Somebody waits until a lane is settled.
struct Settling {
    to: Sender<LaneKey>,
    /// Whether a checkpoint of all that the lane has was asked for.
    checkpoint: bool,
}

/// An answer to an effect.
struct Answer {
    lane: LaneKey,
    event: Event,
    /// What the dead letters of what is refused in it will weigh, at most.
    letters_bytes: usize,
}

/// A worker as the poll thread knows it. Dropping it ends the thread after what it has begun.
pub(crate) struct Worker {
    commands: Sender<Command>,
    changes: Sender<Change>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub fn spawn(number: usize, shared: Arc<Shared>, instances: Instances) -> std::io::Result<Self> {
        // Neither queue has a bound of its own, so that neither the poll thread nor an answer ever waits for a worker. What is
        // in them is bounded: batches by the bytes of records that the source lives with, answers by the effects in flight, of
        // which a lane makes no more when it has its share.
        let (commands, inbox) = unbounded();
        let (changes, changed) = unbounded();
        let name = format!("worker-{number}");
        let thread = Builder::new().name(name.clone()).stack_size(THREAD_STACK_BYTES).spawn(move || {
            let _guard = PanicGuard::new(shared.clone(), &name);
            Running::new(number, shared, instances).run(&inbox, &changed);
        })?;
        Ok(Worker { commands, changes, thread: Some(thread) })
    }

    /// Where it takes another plan.
    pub fn changes(&self) -> Sender<Change> {
        self.changes.clone()
    }

    /// A worker that has ended, which a failure told of already, takes nothing any more.
    pub fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let (closed, _) = unbounded();
        self.commands = closed;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A lane in the hands of its worker.
struct Owned {
    lane: Lane,
    slot: Arc<Slot>,
    /// Held back while the lane has more in flight than its share. Their records count in the source's budget, which pauses
    /// the partition.
    held: VecDeque<(Event, Instant)>,
    /// Answers with refusals, and what their dead letters will weigh, held back until there is room for these: they weigh more than the
    /// documents did, and all that is in flight may be refused at once. Something of the lane is in flight then, whose answer goes on with them.
    refusals: VecDeque<(Event, usize)>,
    /// When its last batch was done.
    free_since: Instant,
    /// Who waits until it is settled.
    settling: Option<Settling>,
    /// While a new plan has to prove itself.
    probation: Option<Box<Probation>>,
}

struct Running {
    number: usize,
    shared: Arc<Shared>,
    instances: Instances,
    /// What lanes that begin now follow.
    plans: Plans,
    /// While a new plan has to prove itself: what it takes the place of, and who judges it.
    trial: Option<(Plans, Arc<Trial>)>,
    /// How many groups are converted at once.
    piece_groups: usize,
    /// Lanes that are not needed any more, until whoever deploys takes them.
    retired: Vec<Lane>,
    recent: Recent,
    lanes: HashMap<LaneKey, Owned>,
    /// Some lane waits for room in what all have in flight.
    is_crowded: bool,
    effects: Vec<Effect>,
    answers: Sender<Answer>,
    answered: Receiver<Answer>,
}

impl Running {
    fn new(number: usize, shared: Arc<Shared>, instances: Instances) -> Self {
        let (answers, answered) = unbounded();
        let (plans, lanes) = (Plans::both(shared.plan.clone()), HashMap::new());
        let (trial, piece_groups, retired) = (None, PIECE_GROUPS, Vec::new());
        let (recent, effects) = (Recent::default(), Vec::new());
        let mut instances = instances;
        if let Some(audit) = shared.audit.get() {
            instances.audit(audit.sampling());
        }
        Running {
            number,
            shared,
            instances,
            plans,
            trial,
            piece_groups,
            retired,
            recent,
            lanes,
            is_crowded: false,
            effects,
            answers,
            answered,
        }
    }

    /// Another plan comes first, then answers: they are short, and they free memory and positions.
    fn run(mut self, inbox: &Receiver<Command>, changed: &Receiver<Change>) {
        let answered = self.answered.clone();
        loop {
            let later = if self.is_crowded { after(CROWDED_LOOK) } else { never() };
            select_biased! {
                recv(changed) -> change => match change {
                    Ok(change) => self.change(change),
                    Err(_) => return,
                },
                recv(answered) -> answer => match answer {
                    Ok(answer) => self.answer(answer),
                    Err(_) => return,
                },
                recv(inbox) -> command => match command {
                    Ok(command) => self.obey(command),
                    Err(_) => return,
                },
                recv(later) -> _ => self.release_all(),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Assign { slot, resume, restored } => self.assign(slot, resume, restored.as_deref()),
            Command::Checkpoint(lane) => self.checkpoint(lane),
            Command::Event { lane, event, at } => self.take(lane, event, at),
            Command::Settle { lane, settled } => self.settle(lane, settled),
            Command::Drop(lane) => {
                self.lanes.remove(&lane);
            }
        }
    }

    fn assign(&mut self, slot: Arc<Slot>, resume: Resume, restored: Option<&Restored>) {
        let kind = self.kind_of(&slot.partition);
        let plans = self.trial.as_ref().map_or(&self.plans, |(before, _)| before);
        let (plan, partition) = (plans.of(kind).clone(), slot.partition.clone());
        let lane = match restored {
            Some(Restored { checkpoint, store }) => {
                let (checkpoint, effects) = ((checkpoint, *store), &mut self.effects);
                Lane::restore(plan, partition, &resume, checkpoint, &mut self.instances, effects)
            }
            None => Lane::new(plan, partition, resume, &mut self.effects),
        };
        match lane {
            Ok(lane) => {
                let key = slot.key;
                let (held, refusals, free_since) = (VecDeque::new(), VecDeque::new(), Instant::now());
                let owned = Owned { lane, slot, held, refusals, free_since, settling: None, probation: None };
                self.lanes.insert(key, owned);
                self.finish(key);
                self.follow(key, kind);
            }
            Err(error) => self.fail(&slot, error),
        }
    }

    /// A lane that is gone takes nothing: a batch that was queued is read again by whoever has the partition now, and an
    /// answer that comes late finds nobody.
    fn step(&mut self, lane: LaneKey, event: Event) {
        let Some(owned) = self.lanes.get_mut(&lane) else { return };
        if owned.slot.is_gone() {
            return;
        }
        let is_batch = matches!(event, Event::Batch(_));
        if let Some(probation) = &mut owned.probation {
            probation.told(&event, &owned.slot);
        }
        let watched = if is_batch { self.shared.taps.watch(&mut self.instances) } else { None };
        let begun = Instant::now();
        self.shared.step_begins(self.number, begun);
        let stepped = owned.lane.step(event, &mut self.instances, &mut self.effects);
        self.shared.step_ends(self.number);
        if let Some(watched) = watched {
            watched.saw(self.instances.take_tap());
        }
        if is_batch {
            owned.free_since = Instant::now();
            self.shared.counters.batch(owned.free_since.duration_since(begun));
        }
        match stepped {
            Ok(()) => self.finish(lane),
            Err(error) if owned.probation.is_some() => self.fail_trial(lane, &error),
            Err(error) if error.waits_for_better() => self.stall(lane, &error),
            Err(error) => {
                let slot = owned.slot.clone();
                self.fail(&slot, error);
            }
        }
    }

    /// The lane goes away: what is held back is read again by whoever gets it, what is in flight is waited for.
    fn settle(&mut self, lane: LaneKey, settled: Sender<LaneKey>) {
        self.accept(lane);
        match self.lanes.get_mut(&lane) {
            Some(owned) if !owned.slot.is_gone() => {
                owned.held.clear();
                owned.settling = Some(Settling { to: settled, checkpoint: !owned.slot.has_owner() });
                self.settle_on(lane);
            }
            Some(_) | None => {
                let _ = settled.send(lane);
            }
        }
    }

    /// Of a lane that goes away and has nothing in flight, a last checkpoint is made.
    fn settle_on(&mut self, lane: LaneKey) {
        let is_settled = |owned: &&mut Owned| owned.settling.is_some() && owned.lane.is_settled();
        let Some(owned) = self.lanes.get_mut(&lane).filter(is_settled) else { return };
        match owned.settling.take() {
            Some(Settling { to, checkpoint: false }) => {
                owned.settling = Some(Settling { to, checkpoint: true });
                self.step(lane, Event::Checkpoint);
            }
            Some(Settling { to, checkpoint: true }) => {
                owned.lane.leave();
                // An error was one before.
                if let Ok(commitment) = owned.lane.commitment() {
                    owned.slot.publish(commitment, owned.lane.status(), owned.lane.blocked());
                }
                let _ = to.send(lane);
            }
            None => {}
        }
    }

    /// A plan on probation may be taken back, and a checkpoint not: it is made when that is over.
    fn checkpoint(&mut self, lane: LaneKey) {
        if self.lanes.get(&lane).is_some_and(|owned| owned.probation.is_none()) {
            self.step(lane, Event::Checkpoint);
        }
    }

    /// What follows a step that went well: its position, its effects, its counts.
    fn finish(&mut self, lane: LaneKey) {
        let Some(owned) = self.lanes.get_mut(&lane) else { return };
        if let Some(probation) = &mut owned.probation {
            let tally = owned.lane.take_tally();
            if let Some((_, trial)) = &self.trial {
                trial.saw(&tally);
            }
            return probation.hold(tally, &mut self.effects, &owned.slot);
        }
        match owned.lane.commitment() {
            Ok(commitment) => owned.slot.publish(commitment, owned.lane.status(), owned.lane.blocked()),
            Err(error) => {
                let slot = owned.slot.clone();
                return self.fail(&slot, error);
            }
        }
        perform_all(&mut self.effects, &owned.slot, &self.shared, &self.answers);
        self.shared.count(&owned.slot.partition, owned.lane.take_tally());
        self.settle_on(lane);
    }

    /// Nothing of the failed step takes effect, and the lane begins anew at its position when a better component is deployed.
    fn stall(&mut self, lane: LaneKey, error: &LaneError) {
        self.effects.clear();
        let Some(Owned { slot, settling, .. }) = self.lanes.remove(&lane) else { return };
        tracing::error!(partition = %slot.partition, "the lane stalls until a better component is deployed: {error}");
        slot.stall(format!("{error}; deploy a better component"));
        if let Some(Settling { to, .. }) = settling {
            let _ = to.send(lane);
        }
    }

    /// Nothing of the failed step takes effect; the lane's position stays where it was before.
    fn fail(&mut self, slot: &Slot, error: LaneError) {
        self.effects.clear();
        slot.leave();
        if let Some(Owned { settling: Some(Settling { to, .. }), .. }) = self.lanes.remove(&slot.key) {
            let _ = to.send(slot.key);
        }
        self.shared.fail(PipelineError::Lane { partition: slot.partition.clone(), error });
    }
}
