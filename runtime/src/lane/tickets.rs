//! Tickets of one lane, and why each is in flight.

use std::collections::BTreeMap;

use super::Ticket;

#[derive(Clone, Debug)]
pub(super) struct Tickets<T> {
    next: u64,
    open: BTreeMap<Ticket, T>,
}

impl<T> Default for Tickets<T> {
    fn default() -> Self {
        Tickets { next: 0, open: BTreeMap::new() }
    }
}

impl<T> Tickets<T> {
    pub fn open(&mut self, why: T) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.open.insert(ticket, why);
        ticket
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// None for one that is not open: it was answered before.
    pub fn close(&mut self, ticket: Ticket) -> Option<T> {
        self.open.remove(&ticket)
    }
}
