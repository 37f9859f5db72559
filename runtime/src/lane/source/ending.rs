//! Windows of a source lane that have ended, and those that are open while the partition is idle: as parts for the parts
//! topic, or as documents where the topic is partitioned by the group.

use crate::lane::format::{Part, encode_part};
use crate::lane::plan::{AggregatePlan, Instances, OutputPlan};
use crate::lane::window_documents::{Due, STATES_MAX, emit};
use crate::lane::{Effect, LaneError, id, parts_partition};
use crate::record::{DocumentBatch, Message, Slices};
use crate::window::{ClosedWindow, Hold};

use super::{InFlight, SourceLane};

impl SourceLane {
    /// Closes what the watermark has passed: parts or documents go out, and the position waits for them.
    pub(super) fn close_windows(
        &mut self,
        instances: &mut Instances,
        effects: &mut Vec<Effect>,
    ) -> Result<(), LaneError> {
        let plan = self.plan.clone();
        let watermark = self.watermark.current();
        let mut parts: Vec<Message> = Vec::new();
        let mut documents: Vec<(usize, DocumentBatch)> = Vec::new();
        let mut refused: Vec<Message> = Vec::new();
        let (mut hold, mut ended) = (None, false);
        for (place, output) in plan.outputs.iter().enumerate() {
            let Some(aggregate) = &output.aggregate else { continue };
            let Some(folding) = &mut self.folding[place] else { continue };
            let Some(closed) = folding.close(aggregate, watermark, instances)? else { continue };
            ended = true;
            hold = closed.iter().fold(hold, |oldest, window| Hold::older(oldest, window.hold()));
            if aggregate.merged {
                parts.extend(self.parts_of(output, aggregate, &closed));
                continue;
            }
            let mut batch = DocumentBatch::default();
            for window in &closed {
                for groups in window.pieces(STATES_MAX) {
                    let due = Due {
                        window: window.window,
                        of: Some(&self.partition),
                        keys: groups.iter().map(|group| group.key).collect(),
                        states: groups.iter().map(|group| group.state).collect::<Slices>(),
                        broken: Vec::new(),
                        versions: groups.iter().map(|group| id::version(self.revision, group.last)).collect(),
                    };
                    let instance = instances.aggregate(aggregate.plugin)?;
                    let rejected = emit(output, aggregate, &due, instance, &mut self.names, &mut batch)?;
                    let letters = &plan.dead_letters;
                    rejected.iter().for_each(|one| self.tally.dead_letters[one.reason.kind as usize] += 1);
                    let (name, by) = (&output.name, Some(&*aggregate.by));
                    refused.extend(rejected.iter().map(|one| letters.document(&self.partition, name, by, one)));
                }
            }
            if !batch.is_empty() {
                documents.push((place, batch));
            }
        }
        if !ended {
            return Ok(());
        }
        let waits = documents.len() + usize::from(!refused.is_empty());
        let closing = self.closings.push(watermark, hold, usize::from(!parts.is_empty()), waits);
        if !parts.is_empty() {
            let ticket = self.in_flight.open(InFlight::Parts { closing });
            effects.push(Effect::Write { ticket, messages: parts });
        }
        for (output, documents) in documents {
            self.tally.documents += documents.len() as u64;
            let ticket = self.in_flight.open(InFlight::WindowDocuments { closing, output });
            effects.push(Effect::Index { ticket, documents });
        }
        if !refused.is_empty() {
            let ticket = self.in_flight.open(InFlight::WindowDeadLetters { closing });
            effects.push(Effect::Write { ticket, messages: refused });
        }
        Ok(())
    }

    /// Writes out what the lane holds, so that the others need not wait for it; an idle marker follows.
    pub(super) fn go_idle(&mut self, instances: &mut Instances, effects: &mut Vec<Effect>) -> Result<(), LaneError> {
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
                let open = folding.snapshot(aggregate, instances)?;
                messages.extend(self.parts_of(output, aggregate, &open));
            }
        }
        let leave = self.closings.leave(messages.is_empty());
        if !messages.is_empty() {
            let ticket = self.in_flight.open(InFlight::Provisional { leave });
            effects.push(Effect::Write { ticket, messages });
        }
        Ok(())
    }

    fn parts_of(&self, output: &OutputPlan, aggregate: &AggregatePlan, windows: &[ClosedWindow]) -> Vec<Message> {
        let Some(topic) = self.plan.parts_topic() else { return Vec::new() };
        let partitions = self.plan.topology.parts_partitions;
        let mut messages = Vec::new();
        let mut key = String::new();
        for window in windows {
            for group in window.groups() {
                id::window_id(&output.name, window.window, None, group.key, 0, &mut key);
                let part = Part {
                    output: &output.name,
                    fingerprint: aggregate.fingerprint,
                    window_start_micros: window.window.start.micros(),
                    window_length_micros: aggregate.windows.length_micros(),
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
                messages.push(Message {
                    topic: topic.clone(),
                    partition: Some(parts_partition(&output.name, group.key, partitions)),
                    key: Some(key.clone().into_bytes()),
                    value: Some(encode_part(&part)),
                    headers: Vec::new(),
                });
            }
        }
        messages
    }
}
