//! Of which of the schemas that followed each other states are: each has a number, its turn, and is converted when it is found to be
//! of an earlier one.

use crate::record::StateSchema;

/// So many states are converted by one call where all are.
pub(crate) const CONVERTED_AT_ONCE: usize = 4096;

#[derive(Clone, Default, Debug)]
pub(crate) struct Schemas {
    /// Of the states that are not of this turn.
    before: Option<StateSchema>,
    /// How often the schema has changed.
    turn: u32,
}

impl Schemas {
    pub fn turn(&self) -> u32 {
        self.turn
    }

    /// The schema from which states are to be converted; none where all have been.
    pub fn before(&self) -> Option<&StateSchema> {
        self.before.as_ref()
    }

    /// From here on states are of another schema; those that are there are of `before`.
    pub fn change(&mut self, before: StateSchema) {
        debug_assert!(self.before.is_none(), "a state is converted from the schema that it is of");
        self.turn = self.turn.wrapping_add(1);
        self.before = Some(before);
    }

    /// All states have been converted.
    pub fn converted(&mut self) {
        self.before = None;
    }
}
