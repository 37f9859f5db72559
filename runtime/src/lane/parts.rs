//! A parts lane: parts and markers in, documents out. It merges what the source lanes folded of a group, once the
//! markers say that nothing more can come. Time here is what the topic says, never a clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::{
    Commitment, DocumentBatch, EventTime, Offset, Partition, ReasonKind, RecordBatch, RejectedDocument, Resume,
};
use crate::window::{CONVERTED_AT_ONCE, Hold};

use super::format::{self, PartsMessage};
use super::generations::{Beginning, Generations};
use super::id::Revision;
use super::index::NameCache;
use super::metadata::{Emitted, PartsMetadata, emitted_of};
use super::migration::migrate;
use super::plan::{Instances, Plan};
use super::settle::SettleTracker;
use super::tickets::Tickets;
use super::{Effect, Event, LaneError, SourceStatus, Tally};

mod emitting;
mod holding;
mod late;
mod merging;
mod rounds;
mod schema;
mod sessions;
mod settling;
mod sources;
mod status;
mod taking;

use holding::{Holding, Waiting};
use sessions::SessionId;
use sources::{MarkerWord, SourceHistory, Sources};

/// Why a ticket is in flight: what waits for it.
#[derive(Clone, Debug)]
enum InFlight {
    Documents {
        output: usize,
        waiting: Waiting,
    },
    /// Documents of windows that are open. One that is refused is left to those that follow.
    Early {
        output: usize,
        waiting: Waiting,
    },
    /// Dead letters of documents.
    Refused {
        output: usize,
        waiting: Waiting,
    },
    /// Dead letters of parts.
    LateParts,
}

/// A batch that the lane has read up to a part that it cannot take before another plan is deployed.
#[derive(Clone)]
struct Blocked {
    batch: Arc<RecordBatch>,
    row: usize,
    error: LaneError,
}

#[derive(Clone)]
pub(super) struct PartsLane {
    plan: Arc<Plan>,
    partition: Partition,
    next: Offset,
    /// R: what an earlier owner of the position had read and settled.
    read: Offset,
    /// What has merged, up to what does.
    generations: Generations,
    sources: SourceHistory,
    /// For each output of the plan, its windows.
    holding: Vec<Option<Holding>>,
    /// E of outputs that are gone: their parts are known up to there.
    gone: Vec<Emitted>,
    tracker: SettleTracker,
    in_flight: Tickets<InFlight>,
    names: NameCache,
    blocked: Option<Blocked>,
    tally: Tally,
    /// What the newest markers say, for those who watch.
    shown: Arc<[SourceStatus]>,
}

/// What a batch gives for one output.
#[derive(Default)]
struct Emissions {
    /// Of windows that have ended.
    ended: Emission,
    /// Of windows that are open.
    early: Emission,
    /// Groups of windows that were emitted before, by the window's start, and the last part that changed them.
    updated: BTreeMap<EventTime, BTreeMap<u32, Offset>>,
    /// Sessions likewise, and those that had ended when they came.
    updated_sessions: BTreeMap<SessionId, Offset>,
}

#[derive(Default)]
struct Emission {
    documents: DocumentBatch,
    refused: Vec<RejectedDocument>,
    /// What it is made of: it waits until the emission is sent.
    waiting: Waiting,
}

impl PartsLane {
    pub fn new(plan: Arc<Plan>, partition: Partition, resume: Resume) -> Result<Self, LaneError> {
        let (next, read_max, metadata) = match resume {
            Resume::Fresh { offset } => (offset, offset, None),
            Resume::Position { offset, metadata, log_end } => {
                (offset, log_end, Some(PartsMetadata::decode(&metadata)?))
            }
        };
        let revision = Revision(plan.topology.revision);
        let mut sources = Sources::new(revision, plan.topology.sources.iter().map(|(topic, _)| &**topic));
        let mut gone = Vec::new();
        if let Some(metadata) = &metadata {
            sources.restore(metadata);
            let known = |hash| plan.outputs.iter().any(|output| output.hash == hash);
            gone.extend(metadata.emitted.iter().filter(|emitted| !known(emitted.output)));
        }
        let holding = plan.outputs.iter().map(|output| {
            let aggregate = output.aggregate.as_ref().filter(|aggregate| aggregate.merged)?;
            let emitted = metadata.as_ref().and_then(|metadata| emitted_of(&metadata.emitted, output.hash));
            let emitted = emitted.map_or(EventTime::MIN, |emitted| emitted.end());
            Some(Holding::new(aggregate, emitted))
        });
        let read = metadata.as_ref().map_or(next, |metadata| Offset(metadata.read));
        let mut generations = metadata.as_ref().map(|it| it.generations.clone()).unwrap_or_default();
        let revision = metadata.as_ref().map_or(revision, |metadata| metadata.revision);
        generations.begin(revision, Beginning { from: next, settled: read, read_max }, &plan.merged_by);
        Ok(PartsLane {
            shown: sources.status(&plan.topology.sources),
            holding: holding.collect(),
            gone,
            read,
            generations,
            sources: SourceHistory::new(sources),
            plan,
            partition,
            next,
            tracker: SettleTracker::default(),
            in_flight: Tickets::default(),
            names: NameCache::default(),
            blocked: None,
            tally: Tally::default(),
        })
    }

    pub fn step(
        &mut self,
        event: Event,
        instances: &mut Instances,
        effects: &mut Vec<Effect>,
    ) -> Result<(), LaneError> {
        match event {
            Event::Batch(batch) => self.take_batch(batch, 0, instances, effects)?,
            Event::Indexed { ticket, rejected } => self.indexed(ticket, rejected, instances.sampling(), effects),
            Event::Written { ticket } => self.written(ticket),
            // Whether time goes on is for the source lanes to say; and what is committed with the position is all that it needs.
            Event::Idle | Event::Checkpoint => {}
            Event::Saved { .. } => debug_assert!(false, "nothing was to be saved"),
        }
        self.move_on();
        Ok(())
    }

    /// See [`super::Lane::deploy`].
    pub fn deploy(
        &mut self,
        plan: Arc<Plan>,
        instances: &mut Instances,
        effects: &mut Vec<Effect>,
    ) -> Result<(), LaneError> {
        while self.convert(CONVERTED_AT_ONCE, instances)? {}
        for ((before, after), holding) in self.plan.outputs.iter().zip(&plan.outputs).zip(&mut self.holding) {
            if let (Some(before), Some(after), Some(holding)) = (&before.aggregate, &after.aggregate, holding)
                && before.schema != after.schema
            {
                holding.change_schema(before.schema.clone());
            }
        }
        self.generations.swap(self.sources.now.revision(), self.next, &plan.merged_by);
        self.plan = plan;
        if let Some(Blocked { batch, row, .. }) = self.blocked.take() {
            self.take_batch(batch, row, instances, effects)?;
            self.move_on();
        }
        Ok(())
    }

    /// See [`super::Lane::convert`].
    pub fn convert(&mut self, groups_max: usize, instances: &mut Instances) -> Result<bool, LaneError> {
        let mut more = false;
        for (output, holding) in self.plan.outputs.iter().zip(&mut self.holding) {
            if let (Some(plan), Some(holding)) = (&output.aggregate, holding) {
                more |= holding.convert(groups_max, |before, states| {
                    migrate(plan, before, states, instances.aggregate(plan.plugin)?)
                })?;
            }
        }
        Ok(more)
    }

    pub fn blocked(&self) -> Option<&LaneError> {
        self.blocked.as_ref().map(|blocked| &blocked.error)
    }

    /// Lets go of what nothing needs any more.
    fn move_on(&mut self) {
        let finished = self.sources.now.finished(self.plan.idle_grace());
        for (output, holding) in self.plan.outputs.iter().zip(&mut self.holding) {
            if let (Some(plan), Some(holding)) = (&output.aggregate, holding) {
                holding.release(plan.finished_by(finished));
            }
        }
        let position = self.position();
        self.sources.move_to(position);
    }

    pub fn commitment(&self) -> Result<Commitment, LaneError> {
        let emitted = self.plan.outputs.iter().zip(&self.holding).filter_map(|(output, holding)| {
            let end_micros = holding.as_ref()?.released().micros();
            Some(Emitted { output: output.hash, end_micros, update_micros: 0 })
        });
        let read = self.tracker.hold().map_or(self.next, |hold| hold.offset).max(self.read);
        let mut metadata = PartsMetadata {
            revision: super::id::Revision::default(),
            read: read.0,
            time_micros: 0,
            base_micros: 0,
            emitted: emitted.chain(self.gone.iter().copied()).collect(),
            topics: Vec::new(),
            generations: self.generations.clone(),
        };
        self.sources.as_of().save(&mut metadata);
        Ok(Commitment { offset: self.position(), metadata: metadata.encode()? })
    }

    /// The oldest part that something still needs.
    fn position(&self) -> Offset {
        let windows = self.holding.iter().flatten().filter_map(Holding::hold).min();
        let pending = self.tracker.hold().map(|hold| hold.offset);
        windows.into_iter().chain(pending).min().unwrap_or(self.next)
    }

    /// See [`super::Lane::leave`].
    pub fn leave(&mut self) {
        self.generations.leave();
    }

    pub fn is_settled(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Takes the rows of a batch from `from` on, up to one that has to wait for another plan.
    fn take_batch(
        &mut self,
        batch: Arc<RecordBatch>,
        from: usize,
        instances: &mut Instances,
        effects: &mut Vec<Effect>,
    ) -> Result<(), LaneError> {
        debug_assert!(self.blocked.is_none(), "a lane that is blocked takes no batch");
        if from >= batch.len() {
            return Ok(());
        }
        let begin = Hold { offset: batch.offset(from), watermark: EventTime::MIN };
        self.next = batch.offset(batch.len() - 1).next();
        let mut emissions: Vec<Emissions> = self.holding.iter().map(|_| Emissions::default()).collect();
        let (mut late, mut marked) = (Vec::new(), false);
        for row in from..batch.len() {
            let offset = batch.offset(row);
            let message = format::decode(batch.value(row).unwrap_or_default())
                .map_err(|what| LaneError::ForeignPart { offset: offset.0, what })?;
            match message {
                PartsMessage::Part(part) => match self.take_part(offset, &part, instances, &mut emissions, &mut late) {
                    Err(error) if error.waits_for_deployment() => {
                        self.next = offset;
                        self.blocked = Some(Blocked { batch: batch.clone(), row, error });
                        break;
                    }
                    taken => taken?,
                },
                PartsMessage::Marker(marker) => {
                    let before = self.sources.now.time();
                    self.sources.apply(offset, MarkerWord::new(&marker));
                    marked = true;
                    self.emit_ended(offset, before, instances, &mut emissions)?;
                    self.emit_early(offset, before, instances, &mut emissions)?;
                }
            }
        }
        if marked {
            self.show_sources();
        }
        for (output, mut emissions) in emissions.into_iter().enumerate() {
            self.emit_updated(output, &mut emissions, instances)?;
            self.send(output, emissions, effects);
        }
        if !late.is_empty() {
            self.tally.refuse_windows(ReasonKind::LatePart, late.len() as u64);
            let ticket = self.in_flight.open(InFlight::LateParts);
            self.tracker.open(begin, &[ticket]);
            effects.push(Effect::Write { ticket, messages: late });
        }
        Ok(())
    }
}
