//! A parts lane: parts and markers in, documents out. It merges what the source lanes folded of a group, once the
//! markers say that nothing more can come. Time here is what the topic says, never a clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::{
    Commitment, DocumentBatch, EventTime, Message, Offset, Partition, ReasonKind, RecordBatch, RejectedDocument, Resume,
};
use crate::window::{CONVERTED_AT_ONCE, Hold};

use super::format::{self, Part, PartsMessage};
use super::index::NameCache;
use super::metadata::{Emitted, PartsMetadata, emitted_of};
use super::migration::migrate;
use super::plan::{Instances, Plan};
use super::settle::SettleTracker;
use super::tickets::Tickets;
use super::{Effect, Event, LaneError, SourceStatus, Tally};

mod emitting;
mod late;
mod merging;
mod schema;
mod sessions;
mod settling;
mod sources;
mod status;

use merging::{Incoming, Merging};
use sources::{MarkerWord, SourceHistory, SourceKey, Sources};

/// Why a ticket is in flight: what waits for it.
#[derive(Clone, Debug)]
enum InFlight {
    Documents {
        output: usize,
        windows: Vec<EventTime>,
    },
    /// Documents of windows that are open. One that is refused is left to those that follow.
    Early {
        output: usize,
        windows: Vec<EventTime>,
    },
    /// Dead letters of documents.
    Refused {
        output: usize,
        windows: Vec<EventTime>,
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
    sources: SourceHistory,
    /// For each output of the plan, its windows, and E as it was committed.
    merging: Vec<Option<(Merging, EventTime)>>,
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
}

#[derive(Default)]
struct Emission {
    documents: DocumentBatch,
    refused: Vec<RejectedDocument>,
    windows: Vec<EventTime>,
}

impl PartsLane {
    pub fn new(plan: Arc<Plan>, partition: Partition, resume: Resume) -> Result<Self, LaneError> {
        let (next, metadata) = match resume {
            Resume::Fresh { offset } => (offset, None),
            Resume::Position { offset, metadata } => (offset, Some(PartsMetadata::decode(&metadata)?)),
        };
        let mut sources = Sources::new(plan.topology.sources.iter().map(|(topic, _)| &**topic));
        let mut gone = Vec::new();
        if let Some(metadata) = &metadata {
            sources.restore(metadata);
            let known = |hash| plan.outputs.iter().any(|output| output.hash == hash);
            gone.extend(metadata.emitted.iter().filter(|emitted| !known(emitted.output)));
        }
        let merging = plan.outputs.iter().map(|output| {
            let aggregate = output.aggregate.as_ref().filter(|aggregate| aggregate.merged)?;
            let emitted = metadata.as_ref().and_then(|metadata| emitted_of(&metadata.emitted, output.hash));
            let emitted = emitted.map_or(EventTime::MIN, |emitted| emitted.end());
            Some((Merging::new(aggregate.windows, emitted), emitted))
        });
        Ok(PartsLane {
            shown: sources.status(&plan.topology.sources),
            merging: merging.collect(),
            gone,
            read: metadata.as_ref().map_or(next, |metadata| Offset(metadata.read)),
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
            Event::Indexed { ticket, rejected } => self.indexed(ticket, &rejected, effects),
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
        for ((before, after), merging) in self.plan.outputs.iter().zip(&plan.outputs).zip(&mut self.merging) {
            if let (Some(before), Some(after), Some((merging, _))) = (&before.aggregate, &after.aggregate, merging)
                && before.schema != after.schema
            {
                merging.change_schema(before.schema.clone());
            }
        }
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
        for (output, merging) in self.plan.outputs.iter().zip(&mut self.merging) {
            if let (Some(plan), Some((merging, _))) = (&output.aggregate, merging) {
                more |= merging.convert(groups_max, |before, states| {
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
        for (output, merging) in self.plan.outputs.iter().zip(&mut self.merging) {
            if let (Some(plan), Some((merging, _))) = (&output.aggregate, merging) {
                merging.release(plan.finished_by(finished));
            }
        }
        let position = self.position();
        self.sources.move_to(position);
    }

    pub fn commitment(&self) -> Result<Commitment, LaneError> {
        let emitted = self.plan.outputs.iter().zip(&self.merging).filter_map(|(output, merging)| {
            let end_micros = merging.as_ref()?.0.released().micros();
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
        };
        self.sources.as_of().save(&mut metadata);
        Ok(Commitment { offset: self.position(), metadata: metadata.encode()? })
    }

    /// The oldest part that something still needs.
    fn position(&self) -> Offset {
        let windows = self.merging.iter().flatten().filter_map(|(merging, _)| merging.hold()).min();
        let pending = self.tracker.hold().map(|hold| hold.offset);
        windows.into_iter().chain(pending).min().unwrap_or(self.next)
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
        let mut emissions: Vec<Emissions> = self.merging.iter().map(|_| Emissions::default()).collect();
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
            self.tally.dead_letters[ReasonKind::LatePart as usize] += late.len() as u64;
            let ticket = self.in_flight.open(InFlight::LateParts);
            self.tracker.open(begin, &[ticket]);
            effects.push(Effect::Write { ticket, messages: late });
        }
        Ok(())
    }

    fn take_part(
        &mut self,
        offset: Offset,
        part: &Part<'_>,
        instances: &mut Instances,
        emissions: &mut [Emissions],
        late: &mut Vec<Message>,
    ) -> Result<(), LaneError> {
        let plan = self.plan.clone();
        let found = plan.outputs.iter().position(|output| *output.name == *part.output);
        let Some(place) = found.filter(|place| self.merging[*place].is_some()) else {
            return self.take_part_of_removed(offset, part);
        };
        let output = &plan.outputs[place];
        let (Some(aggregate), Some((merging, known_through))) = (&output.aggregate, &mut self.merging[place]) else {
            return Ok(());
        };
        let window = aggregate.windows.starting_at(EventTime::from_micros(part.window_start_micros));
        let seen = offset < self.read;
        if seen && window.end <= *known_through {
            return Ok(());
        }
        if part.fingerprint != aggregate.fingerprint {
            return Err(LaneError::Fingerprint { output: part.output.to_owned() });
        }
        let source = SourceKey::new(part.topic, part.partition);
        let sources = &self.sources.now;
        if part.revision < sources.revision_of(source) {
            return Ok(());
        }
        let emitted = window.end <= sources.time();
        if emitted && window.end <= aggregate.finished_by(sources.watermark(source)) {
            return Ok(()); // a replay
        }
        let finished = aggregate.finished_by(sources.finished(plan.idle_grace()));
        if emitted && window.end <= finished.max(merging.released()) {
            if !seen {
                late.push(late::dead_letter(&plan, part, offset));
            }
            return Ok(());
        }
        let state = schema::state(aggregate, part, instances)?;
        let incoming = Incoming {
            group: part.group,
            source,
            revision: part.revision,
            last: Offset(part.last_offset),
            state: &state,
        };
        if let Some(group) = merging.keep(window.start, offset, &incoming).filter(|_| emitted) {
            emissions[place].updated.entry(window.start).or_default().insert(group, offset);
        }
        Ok(())
    }

    /// A part of an output that is not in the pipeline file is dropped where its window had been emitted, or by consent.
    fn take_part_of_removed(&mut self, offset: Offset, part: &Part<'_>) -> Result<(), LaneError> {
        let known =
            emitted_of(&self.gone, super::metadata::hash_of(part.output)).map_or(EventTime::MIN, |one| one.end());
        let end = part.window_start_micros.saturating_add(part.window_length_micros);
        if offset < self.read && end <= known.micros() {
            return Ok(());
        }
        if self.plan.topology.accept_removed.iter().any(|name| name == part.output) {
            self.tally.dropped += part.count;
            return Ok(());
        }
        Err(LaneError::UnknownOutput { output: part.output.to_owned() })
    }
}
