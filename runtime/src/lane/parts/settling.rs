//! What a parts lane has asked for, until it is settled: documents, and the dead letters that take their place.

use crate::lane::{Effect, Ticket};
use crate::record::{DocumentBatch, EventTime, ReasonKind, RejectedDocument};
use crate::sink::GivenUpBy;

use super::{Emission, Emissions, InFlight, PartsLane};

impl PartsLane {
    pub(super) fn send(&mut self, output: usize, emissions: Emissions, effects: &mut Vec<Effect>) {
        let Emission { documents, windows, .. } = emissions.early;
        self.index(documents, InFlight::Early { output, windows }, effects);
        let Emission { documents, refused, windows } = emissions.ended;
        if !refused.is_empty() {
            refused.iter().for_each(|one| self.tally.dead_letters[one.reason.kind as usize] += 1);
            let by = self.plan.outputs[output].aggregate.as_ref().map(|aggregate| aggregate.by.clone());
            self.write_refused(output, by.as_deref(), &refused, windows.clone(), effects);
        }
        self.index(documents, InFlight::Documents { output, windows }, effects);
    }

    fn index(&mut self, documents: DocumentBatch, why: InFlight, effects: &mut Vec<Effect>) {
        if documents.is_empty() {
            return;
        }
        if let InFlight::Documents { output, windows } | InFlight::Early { output, windows } = &why {
            self.wait(*output, windows);
        }
        self.tally.documents += documents.len() as u64;
        let ticket = self.in_flight.open(why);
        effects.push(Effect::Index { ticket, documents });
    }

    fn write_refused(
        &mut self,
        output: usize,
        by: Option<&GivenUpBy>,
        refused: &[RejectedDocument],
        windows: Vec<EventTime>,
        effects: &mut Vec<Effect>,
    ) {
        let (letters, name) = (&self.plan.dead_letters, &self.plan.outputs[output].name);
        let messages = refused.iter().map(|refused| letters.document(&self.partition, name, by, refused)).collect();
        self.wait(output, &windows);
        let ticket = self.in_flight.open(InFlight::Refused { output, windows });
        effects.push(Effect::Write { ticket, messages });
    }

    fn wait(&mut self, output: usize, windows: &[EventTime]) {
        if let Some((merging, _)) = &mut self.merging[output] {
            windows.iter().for_each(|start| merging.wait(*start));
        }
    }

    fn settle(&mut self, output: usize, windows: &[EventTime]) {
        if let Some((merging, _)) = &mut self.merging[output] {
            windows.iter().for_each(|start| merging.settled(*start));
        }
    }

    pub(super) fn indexed(&mut self, ticket: Ticket, rejected: &[RejectedDocument], effects: &mut Vec<Effect>) {
        match self.in_flight.close(ticket) {
            Some(InFlight::Documents { output, windows }) => {
                if !rejected.is_empty() {
                    self.tally.dead_letters[ReasonKind::Sink as usize] += rejected.len() as u64;
                    self.write_refused(output, None, rejected, windows.clone(), effects);
                }
                self.settle(output, &windows);
            }
            Some(InFlight::Early { output, windows }) => self.settle(output, &windows),
            Some(InFlight::Refused { .. } | InFlight::LateParts) | None => {
                debug_assert!(false, "only documents are indexed");
            }
        }
    }

    pub(super) fn written(&mut self, ticket: Ticket) {
        match self.in_flight.close(ticket) {
            Some(InFlight::Refused { output, windows }) => self.settle(output, &windows),
            Some(InFlight::LateParts) => drop(self.tracker.answer(ticket, None)),
            Some(InFlight::Documents { .. } | InFlight::Early { .. }) | None => {
                debug_assert!(false, "documents are not written");
            }
        }
    }
}
