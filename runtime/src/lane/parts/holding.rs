//! What a parts lane holds of an output: windows of one length, or sessions.

use crate::lane::plan::AggregatePlan;
use crate::record::{EventTime, Offset, Slices, StateSchema};

use super::merging::Merging;
use super::sessions::{MergingSessions, SessionId};

#[derive(Clone)]
pub(super) enum Holding {
    Windows {
        merging: Merging,
        /// E as it was committed.
        known_through: EventTime,
    },
    Sessions(MergingSessions),
}

/// Windows and sessions that wait for something.
#[derive(Clone, Default, Debug)]
pub(super) struct Waiting {
    pub windows: Vec<EventTime>,
    pub sessions: Vec<SessionId>,
}

/// Calls the same of either kind.
macro_rules! either {
    ($holding:expr, $one:ident => $call:expr) => {
        match $holding {
            Holding::Windows { merging: $one, .. } => $call,
            Holding::Sessions($one) => $call,
        }
    };
}

impl Holding {
    /// `released` is E as it was committed.
    pub fn new(plan: &AggregatePlan, released: EventTime) -> Self {
        match plan.sessions {
            Some(sessions) => Holding::Sessions(MergingSessions::new(sessions, released)),
            None => Holding::Windows { merging: Merging::new(plan.windows, released), known_through: released },
        }
    }

    pub fn windows(&self) -> usize {
        either!(self, one => one.windows())
    }

    pub fn groups(&self) -> usize {
        either!(self, one => one.groups())
    }

    /// What they take in memory, about.
    pub fn memory_bytes(&self) -> usize {
        either!(self, one => one.memory_bytes())
    }

    pub fn released(&self) -> EventTime {
        either!(self, one => one.released())
    }

    /// Where the oldest window ends that has not ended by then.
    pub fn oldest_end(&self, now: EventTime) -> Option<EventTime> {
        either!(self, one => one.oldest_end(now))
    }

    /// The oldest part of a window that is not released.
    pub fn hold(&self) -> Option<Offset> {
        either!(self, one => one.hold())
    }

    /// From here on all states are of another schema; those that are there are of `before`.
    pub fn change_schema(&mut self, before: StateSchema) {
        either!(self, one => one.change_schema(before));
    }

    /// Converts the states of some more groups; whether there are more.
    pub fn convert<E>(
        &mut self,
        groups_max: usize,
        migrate: impl FnOnce(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<bool, E> {
        either!(self, one => one.convert(groups_max, migrate))
    }

    /// Something of these was asked for, and they stay until that is settled.
    pub fn wait(&mut self, waiting: &Waiting) {
        match self {
            Holding::Windows { merging, .. } => waiting.windows.iter().for_each(|start| merging.wait(*start)),
            Holding::Sessions(sessions) => waiting.sessions.iter().for_each(|id| sessions.wait(id)),
        }
    }

    pub fn settled(&mut self, waiting: &Waiting) {
        match self {
            Holding::Windows { merging, .. } => waiting.windows.iter().for_each(|start| merging.settled(*start)),
            Holding::Sessions(sessions) => waiting.sessions.iter().for_each(|id| sessions.settled(id)),
        }
    }

    /// Lets go of what no part can change any more and of which all is settled.
    pub fn release(&mut self, finished: EventTime) {
        either!(self, one => one.release(finished));
    }
}
