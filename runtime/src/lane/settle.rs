//! The settle tracker: up to which record everything that was asked for is done.

use std::collections::{BTreeMap, VecDeque};

use crate::window::Hold;

use super::Ticket;

/// Entries in order of their records; the position never passes the first that is unsettled.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettleTracker {
    entries: VecDeque<Entry>,
    /// How many entries were settled and taken off the front: entry i of all time is at `i - settled`.
    settled: u64,
    pending: BTreeMap<Ticket, u64>,
}

#[derive(Clone, Debug)]
struct Entry {
    hold: Hold,
    pending: usize,
}

impl SettleTracker {
    /// The first record of which something is still pending.
    pub fn hold(&self) -> Option<Hold> {
        self.entries.front().map(|entry| entry.hold)
    }

    pub fn is_settled(&self) -> bool {
        self.entries.is_empty()
    }

    /// Records from `hold` on (and before those of the next entry) wait for these tickets.
    pub fn open(&mut self, hold: Hold, tickets: &[Ticket]) {
        if tickets.is_empty() {
            return;
        }
        debug_assert!(self.entries.back().is_none_or(|last| last.hold.offset <= hold.offset), "entries ascend");
        let place = self.settled + self.entries.len() as u64;
        self.pending.extend(tickets.iter().map(|ticket| (*ticket, place)));
        self.entries.push_back(Entry { hold, pending: tickets.len() });
    }

    /// A ticket is answered; `instead` is what its records wait for now, if anything. False: not a ticket of ours.
    pub fn answer(&mut self, ticket: Ticket, instead: Option<Ticket>) -> bool {
        let Some(place) = self.pending.remove(&ticket) else { return false };
        let entry = &mut self.entries[(place - self.settled) as usize];
        match instead {
            Some(instead) => {
                self.pending.insert(instead, place);
            }
            None => entry.pending -= 1,
        }
        while self.entries.front().is_some_and(|entry| entry.pending == 0) {
            self.entries.pop_front();
            self.settled += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::record::{EventTime, Offset};

    use super::*;

    fn hold(offset: i64) -> Hold {
        Hold { offset: Offset(offset), watermark: EventTime::MIN }
    }

    proptest! {
        #[test]
        fn the_position_never_passes_an_unsettled_record(
            sizes in proptest::collection::vec(0_usize..4, 1..20),
            order in any::<u64>(),
        ) {
            let mut tracker = SettleTracker::default();
            let mut open: Vec<(Ticket, i64)> = Vec::new();
            for (entry, size) in sizes.iter().enumerate() {
                let tickets: Vec<Ticket> = (0..*size).map(|one| Ticket((entry * 10 + one) as u64)).collect();
                tracker.open(hold(entry as i64), &tickets);
                open.extend(tickets.iter().map(|ticket| (*ticket, entry as i64)));
            }
            let mut order = fastrand::Rng::with_seed(order);
            while !open.is_empty() {
                prop_assert_eq!(tracker.hold().map(|hold| hold.offset.0), open.iter().map(|(_, entry)| *entry).min());
                let (ticket, entry) = open.swap_remove(order.usize(..open.len()));
                let instead = (ticket.0 < 1000 && order.bool()).then_some(Ticket(ticket.0 + 1000));
                prop_assert!(tracker.answer(ticket, instead));
                open.extend(instead.map(|instead| (instead, entry)));
            }
            prop_assert!(tracker.is_settled());
            prop_assert!(!tracker.answer(Ticket(0), None));
        }
    }
}
