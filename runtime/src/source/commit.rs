//! Which positions are committed, and which are on their way. No client here.

use std::collections::HashMap;

use crate::record::{Commitment, Partition};

/// Text beside a position that every broker takes by default (`offset.metadata.max.bytes`).
pub(super) const METADATA_BYTES_MAX: usize = 4_096;

/// Remembers what the group has, so that only what advances is sent, one commit at a time.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    committed: HashMap<Partition, Commitment>,
    in_flight: Option<Vec<(Partition, Commitment)>>,
    /// Positions that the start rule gave and nobody has committed yet.
    initial: HashMap<Partition, Commitment>,
}

impl Ledger {
    /// A partition begins at a position that the group has.
    pub(super) fn resumed(&mut self, partition: &Partition, position: Commitment) {
        self.committed.insert(partition.clone(), position);
    }

    /// A partition begins where the group has no position: it gets one with the next commit.
    pub(super) fn begun(&mut self, partition: &Partition, position: Commitment) {
        self.initial.insert(partition.clone(), position);
    }

    pub(super) fn committed(&self, partition: &Partition) -> Option<&Commitment> {
        self.committed.get(partition)
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// What is to be sent of what is offered: known partitions, nothing that goes back, nothing that is there already.
    /// Initial positions of `assigned` partitions come along where nothing better is offered.
    pub(super) fn plan(
        &self,
        offered: Vec<(Partition, Commitment)>,
        assigned: impl Fn(&Partition) -> bool,
    ) -> Vec<(Partition, Commitment)> {
        let mut plan: Vec<_> =
            offered.into_iter().filter(|(it, offer)| assigned(it) && self.advances(it, offer)).collect();
        for (partition, position) in &self.initial {
            if assigned(partition) && !plan.iter().any(|(planned, _)| planned == partition) {
                plan.push((partition.clone(), position.clone()));
            }
        }
        plan
    }

    fn advances(&self, partition: &Partition, offer: &Commitment) -> bool {
        if offer.metadata.len() > METADATA_BYTES_MAX {
            tracing::error!(%partition, bytes = offer.metadata.len(), "the text of a position is too long to be committed");
            return false;
        }
        match self.committed.get(partition) {
            Some(held) => offer.offset >= held.offset && offer != held,
            None => true,
        }
    }

    pub(super) fn sent(&mut self, commitments: Vec<(Partition, Commitment)>) {
        debug_assert!(self.in_flight.is_none(), "one commit at a time");
        self.in_flight = Some(commitments);
    }

    /// The group took what was sent; what that was.
    pub(super) fn accepted(&mut self) -> Vec<(Partition, Commitment)> {
        let accepted = self.in_flight.take().unwrap_or_default();
        for (partition, commitment) in &accepted {
            self.initial.remove(partition);
            self.committed.insert(partition.clone(), commitment.clone());
        }
        accepted
    }

    /// The group did not take it: it is offered again, or the partitions are gone.
    pub(super) fn refused(&mut self) {
        self.in_flight = None;
    }

    pub(super) fn forget(&mut self, partition: &Partition) {
        self.committed.remove(partition);
        self.initial.remove(partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Offset;

    fn at(offset: i64, metadata: &str) -> Commitment {
        Commitment { offset: Offset(offset), metadata: metadata.to_owned() }
    }

    #[test]
    fn only_what_advances_is_sent() {
        let p = Partition::new("t", 0);
        let mut ledger = Ledger::default();
        ledger.resumed(&p, at(5, "a"));
        let plan = |ledger: &Ledger, offer| ledger.plan(vec![(p.clone(), offer)], |_| true).len();
        assert_eq!(plan(&ledger, at(5, "a")), 0);
        assert_eq!(plan(&ledger, at(4, "b")), 0);
        assert_eq!(plan(&ledger, at(5, "b")), 1, "what is remembered beside the position may grow alone");
        assert_eq!(plan(&ledger, at(6, &"x".repeat(METADATA_BYTES_MAX + 1))), 0);
        ledger.sent(vec![(p.clone(), at(6, "b"))]);
        assert!(ledger.is_in_flight());
        ledger.accepted();
        assert_eq!(ledger.committed(&p), Some(&at(6, "b")));
        ledger.sent(vec![(p.clone(), at(7, "b"))]);
        ledger.refused();
        assert_eq!(plan(&ledger, at(7, "b")), 1, "what was refused is sent again");
        assert!(ledger.plan(vec![(p.clone(), at(9, "c"))], |_| false).is_empty(), "not for a partition that is gone");
    }

    #[test]
    fn an_initial_position_is_committed_until_something_better_is_offered() {
        let p = Partition::new("t", 0);
        let mut ledger = Ledger::default();
        ledger.begun(&p, at(0, "new"));
        assert_eq!(ledger.plan(Vec::new(), |_| true), [(p.clone(), at(0, "new"))]);
        assert_eq!(ledger.plan(vec![(p.clone(), at(3, "x"))], |_| true), [(p.clone(), at(3, "x"))]);
        ledger.sent(vec![(p.clone(), at(0, "new"))]);
        ledger.accepted();
        assert!(ledger.plan(Vec::new(), |_| true).is_empty());
    }
}
