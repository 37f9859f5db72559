//! An owner of a partition: a real lane, what it has asked for, and what it will be told. After a crash it is gone, or goes
//! on as a zombie whose commits nobody takes.

use std::sync::Arc;

use tidegate::checkpoint::{Found, Owner, SlotId, StoreId};
use tidegate::lane::{Account, Effect, Event, Frozen, Instances, Lane, Plan, Resume, Ticket};
use tidegate::record::{DocumentBatch, Message, Partition};

use super::native;

/// One thing that the outside still has to do.
#[expect(clippy::large_enum_variant, reason = "most of them are documents")]
pub enum Pending {
    /// Messages; the last one answers the ticket with the others of it.
    Write {
        ticket: Ticket,
        messages: Vec<Message>,
    },
    Index {
        ticket: Ticket,
        documents: DocumentBatch,
        left: Vec<usize>,
    },
    Save {
        ticket: Ticket,
        frozen: Arc<Frozen>,
    },
}

/// What a source lane begins with: the right to make checkpoints, and the one that it goes on with.
pub struct Claimed {
    pub owner: Owner,
    pub store: StoreId,
    pub found: Option<Found>,
    /// The one of the position.
    pub named: Option<SlotId>,
}

pub struct Actor {
    pub partition: Partition,
    /// The next record to read.
    pub read: usize,
    pub zombie: bool,
    /// Whether it was told that it is idle since its last batch.
    pub told_idle: bool,
    /// Its instance began when the topic had all its partitions.
    pub knows_all: bool,
    /// The version of the aggregates' states that it runs.
    pub states: u32,
    /// Of a source partition.
    pub owner: Option<Owner>,
    /// The checkpoint of the newest position that the group is known to have.
    pub committed: Option<SlotId>,
    /// Its checkpoint was behind the position that its group had committed.
    pub fell_back: bool,
    is_stopped: bool,
    lane: Lane,
    instances: Instances,
    pub pending: Vec<Pending>,
    pub answers: Vec<Event>,
    account: Account,
}

impl Actor {
    /// `states` is the version that the plan is of.
    pub fn new(
        plan: &Arc<Plan>,
        states: u32,
        partition: Partition,
        resume: Resume,
        claimed: Option<Claimed>,
        version: u8,
    ) -> Result<Self, String> {
        let position = resume.offset().0;
        let mut effects = Vec::new();
        let committed = claimed.as_ref().and_then(|claimed| claimed.named);
        let (owner, found) = claimed.map(|claimed| (claimed.owner, claimed.found.zip(Some(claimed.store)))).unzip();
        let found = found.flatten();
        let mut instances = native::instances(version);
        let (plan, read) =
            (plan.clone(), found.as_ref().map_or(position, |(found, _)| found.checkpoint.header().next.0));
        let lane = match &found {
            Some((found, store)) => {
                let checkpoint = (&found.checkpoint, *store);
                Lane::restore(plan, partition.clone(), &resume, checkpoint, &mut instances, &mut effects)
            }
            None => Lane::new(plan, partition.clone(), resume, &mut effects),
        };
        let lane = lane.map_err(|error| error.to_string())?;
        let mut actor = Actor {
            partition,
            read: usize::try_from(read).map_err(|error| error.to_string())?,
            zombie: false,
            told_idle: false,
            knows_all: true,
            states,
            owner,
            committed,
            fell_back: read < position,
            is_stopped: false,
            lane,
            instances,
            pending: Vec::new(),
            answers: Vec::new(),
            account: Account::default(),
        };
        actor.take(effects);
        Ok(actor)
    }

    pub fn step(&mut self, event: Event) -> Result<(), String> {
        if self.is_stopped {
            return Ok(());
        }
        let mut effects = Vec::new();
        self.lane.step(event, &mut self.instances, &mut effects).map_err(|error| error.to_string())?;
        self.take(effects);
        self.balance()
    }

    /// What came to the lane is what is gone, and waits for nobody when all is settled.
    fn balance(&mut self) -> Result<(), String> {
        self.account.merge(&self.lane.take_tally().account);
        for output in self.account.outputs() {
            let ((came, gone), unanswered) = (self.account.balance(output), self.account.unanswered(output));
            if came != gone || unanswered < 0 || (unanswered > 0 && self.lane.is_settled()) {
                return Err(format!("output {output} does not add up, unanswered {unanswered}: {:?}", self.account));
            }
        }
        Ok(())
    }

    /// Another has claimed its partition: it does nothing more.
    pub fn stop(&mut self) {
        assert!(self.zombie, "only a partition that was lost is claimed by another");
        self.is_stopped = true;
        self.pending.clear();
        self.answers.clear();
    }

    /// Another plan, between two batches.
    pub fn deploy(&mut self, plan: &Arc<Plan>, states: u32) -> Result<(), String> {
        self.states = states;
        if self.is_stopped {
            return Ok(());
        }
        let mut effects = Vec::new();
        self.lane.deploy(plan.clone(), &mut self.instances, &mut effects).map_err(|error| error.to_string())?;
        self.take(effects);
        Ok(())
    }

    /// Some more states are converted.
    pub fn convert(&mut self, groups: usize) -> Result<(), String> {
        self.lane.convert(groups, &mut self.instances).map(drop).map_err(|error| error.to_string())
    }

    /// Whether it waits for another plan, and takes no batch until then.
    pub fn is_blocked(&self) -> bool {
        self.lane.blocked().is_some()
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.pending.push(match effect {
                Effect::Write { ticket, messages } => Pending::Write { ticket, messages },
                Effect::Index { ticket, documents } => {
                    let left = (0..documents.len()).collect();
                    Pending::Index { ticket, documents, left }
                }
                Effect::Save { ticket, frozen } => Pending::Save { ticket, frozen },
            });
        }
    }

    pub fn commitment(&self) -> Result<(i64, String), String> {
        let commitment = self.lane.commitment().map_err(|error| error.to_string())?;
        Ok((commitment.offset.0, commitment.metadata))
    }

    /// Whether it has nothing to do but read.
    pub fn is_quiet(&self) -> bool {
        self.pending.is_empty() && self.answers.is_empty()
    }

    pub fn is_settled(&self) -> bool {
        self.lane.is_settled()
    }
}
