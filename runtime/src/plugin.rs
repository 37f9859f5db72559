//! Components: load, configure, call. The lane calls the traits below, and never sees wasmtime.

use thiserror::Error;

use crate::record::{Accumulated, Batch, Output, Slices, StateSchema, Verdicts};

/// Decides which rows go on.
///
/// An instance is called by one thread at a time, once for each batch, and keeps nothing between calls. What comes back
/// was checked against the contract of `wit/tidegate.wit`: numbers and kinds of columns, lengths, order and range of rows,
/// UTF-8 of text. (Whether a JSON value is valid is judged where it is written into a record.)
pub trait Filter: Send {
    fn filter(&mut self, batch: &Batch) -> Result<Verdicts, CallError>;
}

/// Writes fields, drops rows, splits them. Called like [`Filter`].
pub trait Enrich: Send {
    fn enrich(&mut self, batch: &Batch) -> Result<Output, CallError>;
}

/// Folds rows into states that the host keeps. Called like [`Filter`].
pub trait Aggregate: Send {
    /// Adds row i to the state of group `groups[i]`; an empty state is a new group.
    fn accumulate(&mut self, states: &Slices, groups: &[u32], batch: &Batch) -> Result<Accumulated, CallError>;
    /// State by state; `right` comes later.
    fn merge(&mut self, left: &Slices, right: &Slices) -> Result<Slices, CallError>;
    /// The fields of the documents of each state; `context` has a row for each state.
    fn emit(&mut self, states: &Slices, context: &Batch) -> Result<Output, CallError>;
    /// Turns states that an older version wrote into this version's.
    fn migrate(&mut self, from: &StateSchema, states: &Slices) -> Result<Result<Slices, String>, CallError>;
}

/// The call itself broke; nothing of it took effect, and the instance is replaced before the next call.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CallError {
    #[error("the plugin trapped: {0}")]
    Trap(String),
    #[error("the plugin took longer than its deadline of {millis} ms for a batch")]
    Deadline { millis: u64 },
    #[error("the plugin broke the contract of its interface: {0}")]
    Contract(String),
}
