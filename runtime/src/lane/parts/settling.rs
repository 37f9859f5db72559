//! What a parts lane has asked for, until it is settled: documents, and the dead letters that take their place.

use crate::lane::audit::refused;
use crate::lane::{Effect, Sampling, Ticket};
use crate::record::{DocumentBatch, ReasonKind, RejectedDocument};
use crate::sink::GivenUpBy;

use super::{Emission, Emissions, InFlight, PartsLane, Waiting};

impl PartsLane {
    pub(super) fn send(&mut self, output: usize, emissions: Emissions, effects: &mut Vec<Effect>) {
        let Emission { documents, waiting, .. } = emissions.early;
        self.index(documents, InFlight::Early { output, waiting: waiting.clone() }, effects);
        self.settle(output, &waiting);
        let Emission { documents, refused, waiting } = emissions.ended;
        if !refused.is_empty() {
            refused.iter().for_each(|one| self.tally.refuse_windows(one.reason.kind, 1));
            let by = self.plan.outputs[output].aggregate.as_ref().map(|aggregate| aggregate.by.clone());
            self.write_refused(output, by.as_deref(), &refused, waiting.clone(), effects);
        }
        self.index(documents, InFlight::Documents { output, waiting: waiting.clone() }, effects);
        self.settle(output, &waiting);
    }

    fn index(&mut self, documents: DocumentBatch, why: InFlight, effects: &mut Vec<Effect>) {
        if documents.is_empty() {
            return;
        }
        if let InFlight::Documents { output, waiting } | InFlight::Early { output, waiting } = &why {
            self.wait(*output, waiting);
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
        waiting: Waiting,
        effects: &mut Vec<Effect>,
    ) {
        let (letters, name) = (&self.plan.dead_letters, &self.plan.outputs[output].name);
        // The index's name is not the plugin's doing.
        let by = |one: &RejectedDocument| by.filter(|_| one.reason.kind != ReasonKind::Document);
        let messages = refused.iter().map(|one| letters.document(&self.partition, name, by(one), one)).collect();
        self.wait(output, &waiting);
        let ticket = self.in_flight.open(InFlight::Refused { output, waiting });
        effects.push(Effect::Write { ticket, messages });
    }

    fn wait(&mut self, output: usize, waiting: &Waiting) {
        self.holding[output].iter_mut().for_each(|holding| holding.wait(waiting));
    }

    fn settle(&mut self, output: usize, waiting: &Waiting) {
        self.holding[output].iter_mut().for_each(|holding| holding.settled(waiting));
    }

    pub(super) fn indexed(
        &mut self,
        ticket: Ticket,
        rejected: Vec<RejectedDocument>,
        sampling: Option<Sampling>,
        effects: &mut Vec<Effect>,
    ) {
        let (dropped, rejected): (Vec<_>, Vec<_>) = rejected.into_iter().partition(|rejected| rejected.is_dropped);
        match self.in_flight.close(ticket) {
            Some(InFlight::Documents { output, waiting }) => {
                let name = &self.plan.outputs[output].name;
                let drops = dropped.iter().filter_map(|one| refused(sampling?, &self.partition, None, name, one));
                self.tally.drops.extend(drops);
                if !rejected.is_empty() {
                    self.tally.refuse_windows(ReasonKind::Sink, rejected.len() as u64);
                    self.write_refused(output, None, &rejected, waiting.clone(), effects);
                }
                self.settle(output, &waiting);
            }
            Some(InFlight::Early { output, waiting }) => self.settle(output, &waiting),
            Some(InFlight::Refused { .. } | InFlight::LateParts) | None => {
                debug_assert!(false, "only documents are indexed");
            }
        }
    }

    pub(super) fn written(&mut self, ticket: Ticket) {
        match self.in_flight.close(ticket) {
            Some(InFlight::Refused { output, waiting }) => self.settle(output, &waiting),
            Some(InFlight::LateParts) => drop(self.tracker.answer(ticket, None)),
            Some(InFlight::Documents { .. } | InFlight::Early { .. }) | None => {
                debug_assert!(false, "documents are not written");
            }
        }
    }
}
