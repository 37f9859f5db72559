//! Answers for what a source lane has sent.

use crate::lane::account::RowFate;
use crate::lane::audit::{self, Sampling};
use crate::lane::{Effect, Ticket};
use crate::record::{Message, ReasonKind, RejectedDocument};

use super::records::Sent;
use super::{InFlight, SourceLane};

impl SourceLane {
    /// The index has judged documents: those that it refused become dead letters.
    pub(super) fn indexed(
        &mut self,
        ticket: Ticket,
        rejected: &[RejectedDocument],
        sampling: Option<Sampling>,
        effects: &mut Vec<Effect>,
    ) {
        let refused = || rejected.iter().filter(|rejected| !rejected.is_dropped);
        let dropped = || rejected.iter().filter(|rejected| rejected.is_dropped).zip(std::iter::repeat(sampling));
        match self.in_flight.close(ticket) {
            Some(InFlight::Documents { output, batch, number, sent }) => {
                let name = &self.plan.outputs[output].name;
                let messages: Vec<Message> = refused()
                    .filter_map(|rejected| {
                        let Sent { record, ordinal } = *sent.get(rejected.row as usize)?;
                        let letters = &self.plan.dead_letters;
                        let revision = self.revision.0;
                        Some(letters.refused_record(&self.partition, &batch, record, name, ordinal, revision, rejected))
                    })
                    .collect();
                let drops = dropped().filter_map(|(rejected, sampling)| {
                    let Sent { record, ordinal } = *sent.get(rejected.row as usize)?;
                    audit::refused(sampling?, &self.partition, Some((&batch, record, ordinal)), name, rejected)
                });
                self.tally.drops.extend(drops);
                let records = refused().filter_map(|rejected| Some(sent.get(rejected.row as usize)?.record));
                self.judging.answered(number, records, &mut self.tally.judged);
                let (refused, dropped) = (refused().count() as u64, dropped().count() as u64);
                let account = &mut self.tally.account;
                account.add(Some(name), RowFate::Indexed, sent.len() as u64 - refused - dropped);
                account.add(Some(name), RowFate::RefusedDocument, refused);
                account.add(Some(name), RowFate::DroppedDocument, dropped);
                self.tally.dead_letters[ReasonKind::Sink as usize] += messages.len() as u64;
                let instead = self.write_dead_letters(messages, InFlight::DeadLetters, effects);
                self.tracker.answer(ticket, instead);
            }
            Some(InFlight::WindowDocuments { closing, output }) => {
                let name = &self.plan.outputs[output].name;
                let letters =
                    refused().map(|rejected| self.plan.dead_letters.document(&self.partition, name, None, rejected));
                let messages: Vec<Message> = letters.collect();
                let drops = dropped().filter_map(|(rejected, sampling)| {
                    audit::refused(sampling?, &self.partition, None, name, rejected)
                });
                self.tally.drops.extend(drops);
                self.tally.refuse_windows(ReasonKind::Sink, messages.len() as u64);
                let instead = self.write_dead_letters(messages, InFlight::WindowDeadLetters { closing }, effects);
                self.closings.documents_settled(closing, instead.is_some());
            }
            Some(InFlight::EarlyDocuments { closing }) => self.closings.documents_settled(closing, false),
            Some(InFlight::DeadLetters | InFlight::Parts { .. } | InFlight::Provisional { .. })
            | Some(InFlight::WindowDeadLetters { .. } | InFlight::Marker | InFlight::Checkpoint)
            | None => debug_assert!(false, "only documents are indexed"),
        }
    }

    fn write_dead_letters(
        &mut self,
        messages: Vec<Message>,
        why: InFlight,
        effects: &mut Vec<Effect>,
    ) -> Option<Ticket> {
        if messages.is_empty() {
            return None;
        }
        let ticket = self.in_flight.open(why);
        effects.push(Effect::Write { ticket, messages });
        Some(ticket)
    }

    pub(super) fn written(&mut self, ticket: Ticket) {
        match self.in_flight.close(ticket) {
            Some(InFlight::DeadLetters) => drop(self.tracker.answer(ticket, None)),
            Some(InFlight::Parts { closing }) => self.closings.parts_written(closing),
            Some(InFlight::Provisional { leave }) => self.closings.left(leave),
            Some(InFlight::WindowDeadLetters { closing }) => self.closings.documents_settled(closing, false),
            Some(InFlight::Marker) => self.closings.marker_written(),
            Some(InFlight::Documents { .. } | InFlight::WindowDocuments { .. } | InFlight::EarlyDocuments { .. })
            | Some(InFlight::Checkpoint)
            | None => debug_assert!(false, "neither documents nor checkpoints are written"),
        }
    }
}
