//! Windows of a source lane that have ended, and those that are open while the partition is idle: as parts for the parts
//! topic, or as documents where the topic is partitioned by the group.

use crate::lane::format::{Part, encode_part};
use crate::lane::plan::{AggregatePlan, Instances, OutputPlan};
use crate::lane::window_documents::{Due, STATES_MAX, emit};
use crate::lane::{Effect, LaneError, id, parts_partition};
use crate::record::{DocumentBatch, EventTime, Message, ReasonKind, RejectedDocument, Slices};
use crate::window::{GroupState, Hold, Window};

use super::folding::Left;
use super::{InFlight, SourceLane};

/// What windows give.
#[derive(Default)]
struct Given {
    parts: Vec<Message>,
    /// By the place of their output.
    documents: Vec<(usize, DocumentBatch)>,
    /// Of windows that are open.
    early: Vec<DocumentBatch>,
    /// Dead letters of documents.
    refused: Vec<Message>,
}

impl SourceLane {
    /// Closes what the watermark has passed, writes what has changed since, and early results that are due: parts or documents go
    /// out, and the position waits for them.
    pub(super) fn close_windows(
        &mut self,
        instances: &mut Instances,
        effects: &mut Vec<Effect>,
    ) -> Result<(), LaneError> {
        let plan = self.plan.clone();
        let watermark = self.watermark.current();
        let folding = plan.outputs.iter().zip(&self.folding);
        let mut with_windows = folding.filter_map(|(output, folding)| output.aggregate.as_ref().zip(folding.as_ref()));
        if !with_windows.any(|(aggregate, folding)| folding.is_due(aggregate, watermark)) {
            return Ok(());
        }
        let (mut given, mut hold) = (Given::default(), None);
        for (place, output) in plan.outputs.iter().enumerate() {
            let (Some(aggregate), Some(folding)) = (&output.aggregate, &mut self.folding[place]) else { continue };
            let leaving = folding.close(aggregate, watermark, self.next, instances)?;
            hold = Hold::older(hold, leaving.hold);
            if aggregate.merged {
                given.parts.extend(self.parts_of(output, aggregate, &leaving.ended));
                given.parts.extend(self.parts_of(output, aggregate, &leaving.early));
                continue;
            }
            let (documents, refused) = self.documents_of(output, aggregate, &leaving.ended, instances)?;
            let letters = &plan.dead_letters;
            refused.iter().for_each(|one| self.tally.refuse_windows(one.reason.kind, 1));
            // The index's name is not the plugin's doing.
            let by = |one: &RejectedDocument| (one.reason.kind != ReasonKind::Document).then_some(&*aggregate.by);
            let letter = |one| letters.document(&self.partition, &output.name, by(one), one);
            given.refused.extend(refused.iter().map(letter));
            given.documents.push((place, documents));
            // One that is refused early may be taken later.
            given.early.push(self.documents_of(output, aggregate, &leaving.early, instances)?.0);
        }
        self.vouched = watermark;
        self.send(watermark, hold, given, effects);
        Ok(())
    }

    /// Sends what windows gave; the position waits for it, and a marker follows.
    fn send(&mut self, watermark: EventTime, hold: Option<Hold>, given: Given, effects: &mut Vec<Effect>) {
        let Given { parts, mut documents, mut early, refused } = given;
        documents.retain(|(_, documents)| !documents.is_empty());
        early.retain(|documents| !documents.is_empty());
        let waits = documents.len() + early.len() + usize::from(!refused.is_empty());
        let closing = self.closings.push(watermark, hold, usize::from(!parts.is_empty()), waits);
        if !parts.is_empty() {
            let ticket = self.in_flight.open(InFlight::Parts { closing });
            effects.push(Effect::Write { ticket, messages: parts });
        }
        let of_windows =
            documents.into_iter().map(|(output, documents)| (InFlight::WindowDocuments { closing, output }, documents));
        let early = early.into_iter().map(|documents| (InFlight::EarlyDocuments { closing }, documents));
        for (why, documents) in of_windows.chain(early) {
            self.tally.documents += documents.len() as u64;
            effects.push(Effect::Index { ticket: self.in_flight.open(why), documents });
        }
        if !refused.is_empty() {
            let ticket = self.in_flight.open(InFlight::WindowDeadLetters { closing });
            effects.push(Effect::Write { ticket, messages: refused });
        }
    }

    /// The documents of windows that are not merged over partitions, and those that the aggregate refuses.
    fn documents_of(
        &mut self,
        output: &OutputPlan,
        aggregate: &AggregatePlan,
        left: &Left,
        instances: &mut Instances,
    ) -> Result<(DocumentBatch, Vec<RejectedDocument>), LaneError> {
        let (mut documents, mut refused) = (DocumentBatch::default(), Vec::new());
        let groups: Vec<(Window, GroupState<'_>)> = left.groups().collect();
        for groups in groups.chunks(STATES_MAX) {
            let due = Due {
                windows: groups.iter().map(|(window, _)| *window).collect(),
                of: Some(&self.partition),
                keys: groups.iter().map(|(_, group)| group.key).collect(),
                states: groups.iter().map(|(_, group)| group.state).collect::<Slices>(),
                broken: Vec::new(),
                versions: groups.iter().map(|(_, group)| id::version(self.revision, group.last)).collect(),
            };
            let instance = instances.aggregate(aggregate.plugin)?;
            refused.extend(emit(output, aggregate, &due, instance, &mut self.names, &mut documents)?);
        }
        Ok((documents, refused))
    }

    /// Writes out what the lane holds, so that the others need not wait for it; an idle marker follows. What is shown when it is
    /// quiet goes into the index.
    pub(super) fn go_idle(&mut self, instances: &mut Instances, effects: &mut Vec<Effect>) -> Result<(), LaneError> {
        self.show_quiet(instances, effects)?;
        if self.plan.parts_topic().is_none() {
            return Ok(());
        }
        if self.closings.is_idle() {
            self.closings.stay();
            return Ok(());
        }
        let plan = self.plan.clone();
        let mut messages: Vec<Message> = Vec::new();
        for (place, output) in plan.outputs.iter().enumerate() {
            let (Some(aggregate), Some(folding)) = (&output.aggregate, &mut self.folding[place]) else { continue };
            if aggregate.merged {
                let open = folding.open(aggregate, false, self.next, instances)?;
                messages.extend(self.parts_of(output, aggregate, &open));
            }
        }
        self.vouched = self.watermark.current();
        let leave = self.closings.leave(messages.is_empty());
        if !messages.is_empty() {
            let ticket = self.in_flight.open(InFlight::Provisional { leave });
            effects.push(Effect::Write { ticket, messages });
        }
        Ok(())
    }

    /// Early results of windows that are not merged over partitions, of groups that changed since the last ones.
    fn show_quiet(&mut self, instances: &mut Instances, effects: &mut Vec<Effect>) -> Result<(), LaneError> {
        let plan = self.plan.clone();
        let mut given = Given::default();
        for (place, output) in plan.outputs.iter().enumerate() {
            let (Some(aggregate), Some(folding)) = (&output.aggregate, &mut self.folding[place]) else { continue };
            if aggregate.emit.when_quiet && !aggregate.merged {
                let open = folding.open(aggregate, true, self.next, instances)?;
                given.early.push(self.documents_of(output, aggregate, &open, instances)?.0);
            }
        }
        if given.early.iter().any(|documents| !documents.is_empty()) {
            self.send(self.watermark.current(), None, given, effects);
        }
        Ok(())
    }

    fn parts_of(&self, output: &OutputPlan, aggregate: &AggregatePlan, left: &Left) -> Vec<Message> {
        let Some(topic) = self.plan.parts_topic() else { return Vec::new() };
        let partitions = self.plan.topology.parts_partitions;
        let mut key = String::new();
        let message = |(window, group): (Window, GroupState<'_>)| {
            id::window_id(&output.name, aggregate.named(window), None, group.key, 0, &mut key);
            let part = Part {
                output: &output.name,
                fingerprint: aggregate.fingerprint,
                window_start_micros: window.start.micros(),
                window_length_micros: window.end.micros().saturating_sub(window.start.micros()),
                group: group.key,
                state: group.state,
                state_schema_name: &aggregate.schema.name,
                state_schema_version: aggregate.schema.version,
                component: &aggregate.component,
                count: group.count,
                first_offset: group.first.0,
                last_offset: group.last.0,
                topic: &self.partition.topic,
                partition: self.partition.number,
                revision: self.revision,
            };
            Message {
                topic: topic.clone(),
                partition: Some(parts_partition(&output.name, group.key, partitions)),
                key: Some(key.clone().into_bytes()),
                value: Some(encode_part(&part)),
                headers: Vec::new(),
            }
        };
        left.groups().map(message).collect()
    }
}
