//! Lanes: one assigned partition each, a plain state machine from events to effects. It neither waits nor reads a clock
//! nor does I/O; calling a component is computation. What it is told and what it asks for is all here.

use std::sync::Arc;

use crate::checkpoint::{Checkpoint, CheckpointId, StoreId, Wanted};
use crate::record::{DocumentBatch, EventTime, Message, Offset, Partition, ReasonKind, RecordBatch};
use crate::window::Lateness;

pub use crate::record::{Commitment, RejectedDocument, Resume};

mod account;
mod audit;
mod error;
pub mod format;
mod generations;
mod group;
pub mod id;
mod index;
mod judging;
mod ledger;
mod metadata;
mod migration;
mod parts;
mod plan;
mod positions;
mod settle;
mod source;
mod tap;
mod tickets;
mod topology;
mod transform;
mod window_documents;

pub use account::{Account, RowFate};
pub use audit::{DroppedDocument, DroppedRecord, Sampling, WhyDropped};
pub use error::LaneError;
pub use generations::{Generations, MadeOf, Makers, Served, ServedBy, settings_hash};
pub(crate) use group::{Value as GroupValue, values as group_values};
pub use judging::Judged;
pub use ledger::{BatchLedger, DocumentOf, Ledger, OutputLedger, RecordFate, WindowOfRecord};
pub use plan::{Components, Described, Instances, OutputComponents, Plan, PluginId, StateDescription};
pub use topology::Topology;

pub use positions::{Known, KnownTopic, REVISION_MAX, Rewinding, RewoundSource};
pub use source::Frozen;
pub use tap::{Sample, Tap, TapCondition, TapPlace, TapVerdict};

use parts::PartsLane;
use source::SourceLane;

/// What a lane is told, in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// The next records of its partition.
    Batch(Arc<RecordBatch>),
    /// Every document of an [`Effect::Index`] was judged; all but the rejected ones are settled, and of these those that are dropped.
    Indexed { ticket: Ticket, rejected: Vec<RejectedDocument> },
    /// Every message of an [`Effect::Write`] was acknowledged.
    Written { ticket: Ticket },
    /// The broker says that the partition is at its end, it is not paused, and nothing came for `idle_after` (or it never
    /// had a record). Told again as long as it lasts, each time that `idle_after` has passed.
    Idle,
    /// A checkpoint is due: the lane freezes what its windows hold now.
    Checkpoint,
    /// What an [`Effect::Save`] asked for is done: the checkpoint that is kept, or none, and then another attempt follows with another
    /// [`Event::Checkpoint`].
    Saved { ticket: Ticket, kept: Option<CheckpointId> },
}

/// What a lane asks the shell to do. The shell answers each `Index` and `Write` once, whenever it is done, in any order; it
/// tries until it succeeds. Dropping the lane leaves them unsettled: the records are read again.
#[derive(Debug)]
pub enum Effect {
    /// Answered by [`Event::Indexed`].
    Index { ticket: Ticket, documents: DocumentBatch },
    /// Answered by [`Event::Written`].
    Write { ticket: Ticket, messages: Vec<Message> },
    /// Answered by [`Event::Saved`].
    Save { ticket: Ticket, frozen: Arc<Frozen> },
}

impl Effect {
    /// The answer where all goes well; a checkpoint is not kept.
    pub fn went_well(&self) -> Event {
        match self {
            Effect::Index { ticket, .. } => Event::Indexed { ticket: *ticket, rejected: Vec::new() },
            Effect::Write { ticket, .. } => Event::Written { ticket: *ticket },
            Effect::Save { ticket, .. } => Event::Saved { ticket: *ticket, kept: None },
        }
    }
}

/// Names an effect until it is answered; unique within a lane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// What happened in a step, by count; added up by whoever shows it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    pub records: u64,
    pub bytes: u64,
    /// By filters and enrichers, at their asking.
    pub dropped: u64,
    pub tombstones: u64,
    pub documents: u64,
    /// By [`crate::record::ReasonKind`], in the order of `ReasonKind::ALL`.
    pub dead_letters: [u64; ReasonKind::ALL.len()],
    pub judged: Judged,
    pub lateness: Lateness,
    /// Of what was dropped, by the index's policy too, what is to be written down; empty where nobody does.
    pub drops: Vec<DroppedRecord>,
    pub account: Account,
}

impl Tally {
    pub fn add(&mut self, more: &Tally) {
        let Tally { records, bytes, dropped, tombstones, documents, dead_letters, judged, lateness, drops, account } =
            more;
        self.records += records;
        self.bytes += bytes;
        self.dropped += dropped;
        self.tombstones += tombstones;
        self.documents += documents;
        self.judged.add(judged);
        self.lateness.add(lateness);
        self.drops.extend_from_slice(drops);
        self.account.merge(account);
        for (sum, more) in self.dead_letters.iter_mut().zip(dead_letters) {
            *sum += more;
        }
    }

    /// So many documents or parts of windows are dead letters; they are no records.
    pub(crate) fn refuse_windows(&mut self, reason: ReasonKind, count: u64) {
        self.dead_letters[reason as usize] += count;
        self.judged.reasons[reason as usize] += count;
    }

    /// Dead letters for which a component is to blame, or what it asks of a record.
    pub fn given_up(&self) -> u64 {
        let kinds = [
            ReasonKind::Plugin,
            ReasonKind::Field,
            ReasonKind::Trap,
            ReasonKind::Deadline,
            ReasonKind::Contract,
            ReasonKind::Document,
        ];
        kinds.into_iter().map(|kind| self.dead_letters[kind as usize]).sum()
    }
}

/// Where a lane is, for those who watch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaneStatus {
    /// Of a parts lane: the smallest watermark of the sources that are not idle.
    pub watermark: EventTime,
    pub open_windows: usize,
    /// Where the oldest of them ends.
    pub oldest_end: Option<EventTime>,
    /// Over all open windows.
    pub groups: usize,
    /// What they take in memory, about.
    pub windows_bytes: usize,
    /// The next record to read.
    pub next: Offset,
    pub idle: bool,
    /// Of a parts lane: what it knows of each source.
    pub sources: Arc<[SourceStatus]>,
}

/// Of a lane that has not begun.
impl Default for LaneStatus {
    fn default() -> Self {
        LaneStatus {
            watermark: EventTime::MIN,
            open_windows: 0,
            oldest_end: None,
            groups: 0,
            windows_bytes: 0,
            next: Offset(0),
            idle: false,
            sources: Arc::default(),
        }
    }
}

/// What the markers of a source say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceStatus {
    pub partition: Partition,
    /// None: there is no marker of it.
    pub watermark: Option<EventTime>,
    pub idle: bool,
}

/// The lane of one partition: of a source topic, or of the parts topic. A clone shares the states of windows, and copies those
/// that it changes and a few of their neighbours: neither takes longer because of how many groups are open.
#[derive(Clone)]
pub struct Lane(Kind);

#[derive(Clone)]
enum Kind {
    Source(Box<SourceLane>),
    Parts(Box<PartsLane>),
}

impl Lane {
    /// A lane announces itself to the parts topic when it begins, hence the effects.
    pub fn new(
        plan: Arc<Plan>,
        partition: Partition,
        resume: Resume,
        effects: &mut Vec<Effect>,
    ) -> Result<Self, LaneError> {
        Ok(Lane(if plan.parts_topic() == Some(&partition.topic) {
            Kind::Parts(Box::new(PartsLane::new(plan, partition, resume)?))
        } else {
            Kind::Source(Box::new(SourceLane::new(plan, partition, resume, effects)?))
        }))
    }

    /// Whether the lanes of a partition make checkpoints, and what is looked for among them at the group's position; none where they
    /// make none: their position is all that they need.
    pub fn wanted(plan: &Plan, partition: &Partition, resume: &Resume) -> Result<Option<Wanted>, LaneError> {
        let has_windows = plan.outputs.iter().any(|output| output.aggregate.is_some());
        let is_source = plan.parts_topic() != Some(&partition.topic);
        (has_windows && is_source).then(|| metadata::wanted(plan, partition, resume)).transpose()
    }

    /// The lane of a source partition that goes on with a checkpoint; `resume` is the group's position. States of an older schema are
    /// converted.
    pub fn restore(
        plan: Arc<Plan>,
        partition: Partition,
        resume: &Resume,
        (checkpoint, store): (&Checkpoint, StoreId),
        instances: &mut Instances,
        effects: &mut Vec<Effect>,
    ) -> Result<Self, LaneError> {
        let id = CheckpointId { store, slot: checkpoint.header().slot };
        let lane = SourceLane::restore(plan, partition, resume, (checkpoint, id), instances, effects)?;
        Ok(Lane(Kind::Source(Box::new(lane))))
    }

    /// Takes an event; what it asks for is appended to `effects`. After an error the lane must not be used again.
    pub fn step(
        &mut self,
        event: Event,
        instances: &mut Instances,
        effects: &mut Vec<Effect>,
    ) -> Result<(), LaneError> {
        match &mut self.0 {
            Kind::Source(lane) => lane.step(event, instances, effects),
            Kind::Parts(lane) => lane.step(event, instances, effects),
        }
    }

    /// Follows another plan from here on: one with the same outputs and windows. Open windows keep what they hold. States of
    /// another schema are converted when they are touched, when they leave, and by [`Lane::convert`]: what the lane asks for is
    /// of the new plan's schema. After an error the lane must not be used again.
    pub fn deploy(
        &mut self,
        plan: Arc<Plan>,
        instances: &mut Instances,
        effects: &mut Vec<Effect>,
    ) -> Result<(), LaneError> {
        match &mut self.0 {
            Kind::Source(lane) => lane.deploy(plan, instances),
            Kind::Parts(lane) => lane.deploy(plan, instances, effects),
        }
    }

    /// Converts the states of some more groups to the schema of the plan; whether there are more to convert. After an error the
    /// lane must not be used again.
    pub fn convert(&mut self, groups_max: usize, instances: &mut Instances) -> Result<bool, LaneError> {
        match &mut self.0 {
            Kind::Source(lane) => lane.convert(groups_max, instances),
            Kind::Parts(lane) => lane.convert(groups_max, instances),
        }
    }

    /// Why it goes no further before another plan is deployed; until then it takes no batch.
    pub fn blocked(&self) -> Option<&LaneError> {
        match &self.0 {
            Kind::Source(_) => None,
            Kind::Parts(lane) => lane.blocked(),
        }
    }

    /// Closes all windows, as if their time had come: for a rehearsal, never for a lane whose position is committed.
    pub fn finish(&mut self, instances: &mut Instances, effects: &mut Vec<Effect>) -> Result<(), LaneError> {
        match &mut self.0 {
            Kind::Source(lane) => lane.finish(instances, effects),
            Kind::Parts(_) => Ok(()),
        }
    }

    /// What may be committed now.
    pub fn commitment(&self) -> Result<Commitment, LaneError> {
        match &self.0 {
            Kind::Source(lane) => Ok(lane.commitment()),
            Kind::Parts(lane) => lane.commitment(),
        }
    }

    /// Whoever reads on is another one: every effect was answered, and no event follows.
    pub fn leave(&mut self) {
        match &mut self.0 {
            Kind::Source(lane) => lane.leave(),
            Kind::Parts(lane) => lane.leave(),
        }
    }

    /// Whether every effect was answered.
    pub fn is_settled(&self) -> bool {
        match &self.0 {
            Kind::Source(lane) => lane.is_settled(),
            Kind::Parts(lane) => lane.is_settled(),
        }
    }

    /// What happened since the last call.
    pub fn take_tally(&mut self) -> Tally {
        match &mut self.0 {
            Kind::Source(lane) => lane.take_tally(),
            Kind::Parts(lane) => lane.take_tally(),
        }
    }

    pub fn status(&self) -> LaneStatus {
        match &self.0 {
            Kind::Source(lane) => lane.status(),
            Kind::Parts(lane) => lane.status(),
        }
    }
}

/// A group as ids have it.
pub(crate) fn group_id(key: &[u8]) -> String {
    let mut id = String::new();
    group::write_id(key, &mut id);
    id
}

/// The group of which ids have this text; none where they have none such.
pub(crate) fn group_of_id(text: &str) -> Option<Vec<u8>> {
    group::of_id(text)
}

/// The partition of the parts topic that an output's group belongs to: a function of both alone, for ever.
pub(crate) fn parts_partition(output: &str, group: &[u8], partitions: i32) -> i32 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(output.as_bytes()).update(&[0]).update(group);
    let hash = u64::from_le_bytes(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"));
    (hash % u64::from(partitions.max(1).unsigned_abs())) as i32
}
