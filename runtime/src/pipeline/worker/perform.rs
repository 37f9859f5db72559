//! The effects of a lane, as the shell and the stores of checkpoints perform them.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::Answer;
use crate::checkpoint::CheckpointError;
use crate::lane::{Effect, Event};
use crate::pipeline::shared::Shared;
use crate::pipeline::slot::Slot;
use crate::record::Message;

/// What a dead letter of a document weighs beside the record: some twenty headers, and Kafka's client for each.
const LETTER_BYTES: usize = 2560;

pub(super) fn perform_all(effects: &mut Vec<Effect>, slot: &Arc<Slot>, shared: &Shared, answers: &Sender<Answer>) {
    for effect in effects.drain(..) {
        perform(effect, slot, shared, answers);
    }
}

fn perform(effect: Effect, slot: &Arc<Slot>, shared: &Shared, answers: &Sender<Answer>) {
    let lane = slot.key;
    let answers = answers.clone();
    match effect {
        Effect::Index { ticket, documents } => {
            let bytes = documents.bytes();
            let in_flight = slot.fly(bytes);
            shared.shell.index(
                documents,
                Box::new(move |rejected| {
                    drop(in_flight);
                    let letters_bytes = if rejected.is_empty() { 0 } else { bytes + rejected.len() * LETTER_BYTES };
                    let _ = answers.send(Answer { lane, event: Event::Indexed { ticket, rejected }, letters_bytes });
                }),
            );
        }
        Effect::Write { ticket, messages } => {
            let in_flight = slot.fly(messages.iter().map(Message::weight).sum());
            shared.shell.write(
                messages,
                Box::new(move || {
                    drop(in_flight);
                    let _ = answers.send(Answer { lane, event: Event::Written { ticket }, letters_bytes: 0 });
                }),
            );
        }
        Effect::Save { ticket, frozen } => {
            let answer = move |kept| {
                let _ = answers.send(Answer { lane, event: Event::Saved { ticket, kept }, letters_bytes: 0 });
            };
            let (Some(checkpoints), Some(place)) = (&shared.checkpoints, slot.next_checkpoint()) else {
                return answer(None);
            };
            let slot = slot.clone();
            checkpoints.save(&slot.clone(), place, frozen, move |saved| {
                answer(saved.map_err(|error| refused(&slot, &error)).ok())
            });
        }
    }
}

/// A checkpoint was not kept, or not surely. Where the partition is somebody else's, its lane here does nothing more.
fn refused(slot: &Slot, error: &CheckpointError) {
    let partition = &slot.partition;
    match error {
        CheckpointError::Fenced { .. } | CheckpointError::SlotTaken { .. } => {
            tracing::error!(%partition, "the lane stops: {error}");
            slot.stall(format!("{error}; does another pipeline of this name use the store?"));
        }
        _ => tracing::warn!(%partition, "a checkpoint was not kept, the next one is tried: {error}"),
    }
}
