//! Checkpoints of a source lane: its windows as they are between two batches, kept when all that came before is safe.
//!
//! ```text
//! frozen ─▶ (what came before is settled, its windows released) ─▶ saved ─▶ (durable) ─▶ the position may be there
//! ```

use std::sync::Arc;

use crate::checkpoint::{CheckpointId, Component, Encoder, Fingerprint, Header, Place, SlotId, TopicId};
use crate::lane::id::Revision;
use crate::lane::plan::AggregatePlan;
use crate::lane::{Effect, Ticket};
use crate::record::{Offset, Partition, StateSchema};
use crate::window::Hold;

use super::folding::FrozenWindows;
use super::{Folding, InFlight, SourceLane};

/// What a lane must remember at one position, and how its windows were there. It shares their states with the lane.
#[derive(Debug)]
pub struct Frozen {
    partition: Partition,
    topic_id: Option<TopicId>,
    revision: Revision,
    /// The position, and the watermark there.
    at: Hold,
    /// What is committed with the position.
    metadata: String,
    outputs: Vec<FrozenOutput>,
}

#[derive(Debug)]
struct FrozenOutput {
    name: Arc<str>,
    schema: StateSchema,
    component: String,
    fingerprint: u64,
    windows: FrozenWindows,
}

/// The checkpoint that is being made, one at a time, and the newest that is kept.
#[derive(Clone, Default, Debug)]
pub(super) struct Freezing {
    pending: Option<Pending>,
    kept: Option<(Hold, CheckpointId)>,
}

#[derive(Clone, Debug)]
struct Pending {
    frozen: Arc<Frozen>,
    /// Windows that had ended are those before this closing.
    closing: u64,
    is_in_flight: bool,
}

impl Freezing {
    /// Of a lane that began with a checkpoint, which was made there.
    pub fn restored(at: Hold, id: CheckpointId) -> Self {
        Freezing { pending: None, kept: Some((at, id)) }
    }

    pub fn kept(&self) -> Option<(Hold, CheckpointId)> {
        self.kept
    }

    pub fn is_settled(&self) -> bool {
        self.pending.is_none()
    }
}

impl SourceLane {
    /// Freezes the lane as it is, where records before its position are needed for open windows, and nothing is frozen yet.
    pub(super) fn freeze(&mut self) {
        let has_windows = self.folding.iter().flatten().any(|folding| folding.windows() > 0);
        let is_converted = self.folding.iter().flatten().all(|folding| folding.is_converted());
        let is_kept = self.freezing.kept.is_some_and(|(kept, _)| kept.offset == self.next);
        if !has_windows || !is_converted || is_kept || self.freezing.pending.is_some() {
            return;
        }
        let watermark = self.watermark.current();
        let outputs = self.plan.outputs.iter().zip(&self.folding).filter_map(|(output, folding)| {
            let (aggregate, folding) = (output.aggregate.as_ref()?, folding.as_ref()?);
            Some(FrozenOutput {
                name: output.name.clone(),
                schema: aggregate.schema.clone(),
                component: aggregate.component.clone(),
                fingerprint: aggregate.fingerprint,
                windows: folding.freeze(),
            })
        });
        // All that ended before is released when it is saved.
        let emitted = |plan: &AggregatePlan, folding: &Folding| folding.emitted_through(plan, watermark);
        let frozen = Frozen {
            partition: self.partition.clone(),
            topic_id: self.plan.topology.topic_id(&self.partition.topic),
            revision: self.revision,
            at: Hold { offset: self.next, watermark },
            metadata: self.metadata(watermark, self.next, None, emitted).encode(),
            outputs: outputs.collect(),
        };
        let closing = self.closings.end();
        self.freezing.pending = Some(Pending { frozen: Arc::new(frozen), closing, is_in_flight: false });
    }

    /// Saves what was frozen as soon as all that came before is settled.
    pub(super) fn save_if_settled(&mut self, effects: &mut Vec<Effect>) {
        let Some(pending) = &mut self.freezing.pending else { return };
        let unsettled = self.tracker.hold().is_some_and(|hold| hold.offset < pending.frozen.at.offset);
        if pending.is_in_flight || unsettled || !self.closings.has_released(pending.closing) {
            return;
        }
        pending.is_in_flight = true;
        let ticket = self.in_flight.open(InFlight::Checkpoint);
        effects.push(Effect::Save { ticket, frozen: pending.frozen.clone() });
    }

    /// `kept` is none where it was not, or not surely: the next one is another attempt.
    pub(super) fn saved(&mut self, ticket: Ticket, kept: Option<CheckpointId>) {
        let closed = self.in_flight.close(ticket);
        debug_assert!(matches!(closed, Some(InFlight::Checkpoint)), "only checkpoints are saved");
        if let (Some(pending), Some(id)) = (self.freezing.pending.take(), kept) {
            self.freezing.kept = Some((pending.frozen.at, id));
        }
    }
}

impl Frozen {
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The first record that is not in it.
    pub fn next(&self) -> Offset {
        self.at.offset
    }

    /// The object for a slot.
    pub fn encode(&self, pipeline: &Arc<str>, slot: SlotId) -> Vec<u8> {
        let component = |output: &FrozenOutput| Component {
            name: format!("{}.aggregate", output.name),
            digest: output.component.clone(),
        };
        let fingerprint = |output: &FrozenOutput| Fingerprint {
            output: output.name.as_ref().to_owned(),
            fingerprint: output.fingerprint,
        };
        let mut encoder = Encoder::new(&Header {
            place: Place { pipeline: pipeline.clone(), partition: self.partition.clone() },
            topic_id: self.topic_id,
            slot,
            next: self.at.offset,
            revision: self.revision.0,
            position: self.metadata.clone().into_bytes(),
            components: self.outputs.iter().map(component).collect(),
            fingerprints: self.outputs.iter().map(fingerprint).collect(),
            imported: false,
        });
        for output in self.outputs.iter().filter(|output| !output.windows.is_empty()) {
            encoder.windows(&output.name, &output.schema, |section| match &output.windows {
                FrozenWindows::Windows(windows) => {
                    for (start, hold, groups) in windows.content() {
                        section.window(start, hold);
                        groups.for_each(|group| section.group(group));
                    }
                }
                FrozenWindows::Sessions(sessions) => {
                    sessions.content().iter().for_each(|session| section.session(session));
                }
            });
        }
        encoder.finish()
    }
}
