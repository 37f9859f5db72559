//! Lanes: one assigned partition each, a plain state machine from events to effects. It neither waits nor reads a clock
//! nor does I/O; calling a component is computation. What it is told and what it asks for is all here.

use crate::record::{DocumentBatch, Message, RecordBatch};

pub use crate::record::{Commitment, RejectedDocument, Resume};

/// What a lane is told, in order.
#[derive(Debug)]
pub enum Event {
    /// The next records of its partition.
    Batch(RecordBatch),
    /// Every document of an [`Effect::Index`] was judged; all but the rejected ones are settled.
    Indexed { ticket: Ticket, rejected: Vec<RejectedDocument> },
    /// Every message of an [`Effect::Write`] was acknowledged.
    Written { ticket: Ticket },
    /// The broker says that the partition is at its end, it is not paused, and nothing came for `idle_after` (or it never
    /// had a record). Told once until the next batch.
    Idle,
}

/// What a lane asks the shell to do. The shell answers each `Index` and `Write` once, whenever it is done, in any order; it
/// tries until it succeeds. Dropping the lane leaves them unsettled: the records are read again.
#[derive(Debug)]
pub enum Effect {
    /// Answered by [`Event::Indexed`].
    Index { ticket: Ticket, documents: DocumentBatch },
    /// Answered by [`Event::Written`].
    Write { ticket: Ticket, messages: Vec<Message> },
}

/// Names an effect until it is answered; unique within a lane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// What happened in a step, by count; added up by whoever shows it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    pub records: u64,
    pub bytes: u64,
    /// By filters and enrichers, at their asking.
    pub dropped: u64,
    pub tombstones: u64,
    pub documents: u64,
    /// By [`crate::record::ReasonKind`], in the order of `ReasonKind::ALL`.
    pub dead_letters: [u64; 9],
}
