//! Components: load, configure, call. The lane calls the traits below, and never sees wasmtime.
//!
//! A [`Component`] is a file, compiled; with settings it is a [`Plugin`], which makes live [`Instance`]s, one for each
//! thread. Nothing that a component does or gives back can hurt more than the call that it is in.

mod aggregate;
mod artefact;
mod bindings;
mod cache;
mod caller;
mod clock;
mod component;
mod configured;
mod contract;
mod crossing;
mod engine;
mod functions;
mod host;
mod inspect;
mod instance;
mod interface;
mod isolate;
mod limits;
mod live;
mod noop;
mod pace;
mod pieces;
mod pool;
mod split;
#[cfg(test)]
mod tests;
mod trace;
mod usage;
mod wasi;
mod weight;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use artefact::encode;
pub use clock::cpu_time;
pub use component::{Component, Identity};
pub use configured::{Instance, Plugin, StateDescription};
pub use crossing::Crossing;
pub use engine::{ComponentsMemory, Engine, EngineSettings};
pub use inspect::{Configured, FieldDescription, Inspection, State, inspect, inspect_bytes};
pub use interface::{Import, PluginKind};
pub use limits::THREAD_STACK_BYTES;
pub use noop::noop;
pub use pieces::InPieces;
pub use usage::{Usage, UsageCounts};

use crate::config::{OnBreaker, Secret};
use crate::record::{
    Accumulated, Batch, ErrorKind, HasKind, Output, Reason, ReasonKind, Slices, StateSchema, Verdicts, without,
};

/// Decides which rows go on.
///
/// An instance is called by one thread at a time, once for each batch, and keeps nothing between calls. What comes back
/// was checked against the contract of `wit/tidegate.wit`: numbers and kinds of columns, lengths, order and range of rows,
/// UTF-8 of text. (Whether a JSON value is valid is judged where it is written into a record.) Rejections come in the
/// order of their rows, each row once, reasons cut at 1 KiB; the `keep` of a rejected row is 0. A row on which a call
/// breaks is rejected like one that the component rejects, and the others are served.
pub trait Filter: Send {
    fn filter(&mut self, batch: &Batch) -> Result<Verdicts, CallError>;
}

/// Writes fields, drops rows, splits them. Called like [`Filter`].
pub trait Enrich: Send {
    fn enrich(&mut self, batch: &Batch) -> Result<Output, CallError>;
}

/// Folds rows into states that the host keeps. Called like [`Filter`].
pub trait Aggregate: Send {
    /// Adds row i to the state of group `groups[i]`; an empty state is a new group. A row that makes its state larger
    /// than the limit is rejected.
    fn accumulate(&mut self, states: &Slices, groups: &[u32], batch: &Batch) -> Result<Accumulated, CallError>;
    /// State by state; `right` comes later. A pair on which a call breaks, or which makes a state larger than the limit, is
    /// rejected, and its state is `left`.
    fn merge(&mut self, left: &Slices, right: &Slices) -> Result<Accumulated, CallError>;
    /// The fields of the documents of each state; `context` has a row for each state.
    fn emit(&mut self, states: &Slices, context: &Batch) -> Result<Output, CallError>;
    /// Turns states that an older version wrote into this version's. One that is larger than the limit breaks the contract.
    fn migrate(&mut self, from: &StateSchema, states: &Slices) -> Result<Result<Slices, String>, CallError>;
}

/// The call itself broke, or breaks too often; nothing of it took effect, and the instance is replaced before the next call.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CallError {
    /// What happened, the guest's last words, and where it was.
    #[error("the plugin trapped: {0}")]
    Trap(String),
    #[error("the plugin did not come back within {time:?} of CPU time{trace}")]
    Deadline { time: Duration, trace: String },
    #[error("the plugin broke the contract of its interface: {0}")]
    Contract(String),
    /// No record's fault: nothing more can be called.
    #[error("the plugin cannot be started again after it broke: {0}")]
    Start(String),
    /// It is not single rows any more.
    #[error("the plugin breaks on {broken} of {rows} records, the last time so: {last}")]
    Failing { broken: u64, rows: u64, last: String, on_breaker: OnBreaker },
    /// No record's fault either, where even a single one finds no room.
    #[error(
        "the plugin needs {bytes} more bytes of memory, and the components together may have {bytes_max}; raise [limits] memory, \
         or have fewer workers"
    )]
    Crowded { bytes: usize, bytes_max: usize },
}

impl CallError {
    /// Why a row that a call breaks on, alone, is a dead letter; none where the row has no part in it.
    fn reason(&self) -> Option<Reason> {
        let kind = match self {
            CallError::Trap(_) => ReasonKind::Trap,
            CallError::Deadline { .. } => ReasonKind::Deadline,
            CallError::Contract(_) => ReasonKind::Contract,
            CallError::Start(_) | CallError::Failing { .. } | CallError::Crowded { .. } => return None,
        };
        Some(Reason::new(kind, self.to_string()))
    }
}

impl HasKind for CallError {
    fn kind(&self) -> ErrorKind {
        match self {
            CallError::Trap(_) | CallError::Deadline { .. } | CallError::Contract(_) | CallError::Start(_) => {
                ErrorKind::Plugin
            }
            CallError::Failing { .. } => ErrorKind::Failing,
            CallError::Crowded { .. } => ErrorKind::Config,
        }
    }
}

/// A component that cannot be used.
#[derive(Debug, Error)]
pub enum PluginError {
    #[error("cannot read the component: {error}; file=`{}`", file.display())]
    Read { file: PathBuf, error: std::io::Error },
    #[error("`{name}` cannot be used as a plugin: {why}")]
    Component { name: String, why: String },
    /// Its own words.
    #[error("the plugin `{name}` does not accept its settings: {words}")]
    Settings { name: String, words: String },
    #[error("the plugin `{name}` {what}: {error}")]
    Call { name: String, what: &'static str, error: CallError },
    #[error(
        "the plugin `{name}` is unsteady: configured again with the same settings it reads, writes or keeps something \
         else; what it says in `configure` and `describe-state` must follow from its settings alone"
    )]
    Unsteady { name: String },
    #[error(
        "on_trap=`pass` is for filters, and the plugin `{name}` is of the kind {kind}: its answer cannot be done without; \
         write `dead-letter` or `stop`"
    )]
    Pass { name: String, kind: &'static str },
    #[error("the engine for components cannot be made: {0}")]
    Engine(String),
}

impl PluginError {
    /// There is no such file.
    pub fn is_away(&self) -> bool {
        matches!(self, PluginError::Read { error, .. } if error.kind() == std::io::ErrorKind::NotFound)
    }
}

impl HasKind for PluginError {
    fn kind(&self) -> ErrorKind {
        match self {
            PluginError::Call { error, .. } => error.kind(),
            PluginError::Read { .. } | PluginError::Pass { .. } => ErrorKind::Config,
            PluginError::Component { .. } | PluginError::Settings { .. } | PluginError::Unsteady { .. } => {
                ErrorKind::Plugin
            }
            PluginError::Engine(_) => ErrorKind::Internal,
        }
    }
}

/// What a plugin's words about its settings, or about states that it does not migrate, are cut to.
const WORDS_BYTES_MAX: usize = 4 << 10;

/// A name that a component gives to something can be shown in a line.
fn named(what: &str, name: &str) -> Result<(), String> {
    if name.len() > limits::NAME_BYTES_MAX {
        return Err(format!("it names {what} with {} bytes, the limit is {}", name.len(), limits::NAME_BYTES_MAX));
    }
    match name.contains(char::is_control) {
        true => Err(format!("it names {what} with a control character: {name:?}")),
        false => Ok(()),
    }
}

/// Words of a guest as they may be shown: what would move a terminal's cursor, or change its colours, is spelt out.
fn plain(words: &str) -> Cow<'_, str> {
    let is_harmful = |char: char| char.is_control() && char != '\n' && char != '\t';
    if !words.contains(is_harmful) {
        return Cow::Borrowed(words);
    }
    let mut spelt = String::with_capacity(words.len());
    for char in words.chars() {
        match is_harmful(char) {
            true => spelt.extend(char.escape_default()),
            false => spelt.push(char),
        }
    }
    Cow::Owned(spelt)
}

/// Words of a guest as they may be shown.
fn words(words: &str, bytes_max: usize, secrets: &[Secret]) -> String {
    plain(cut(&without(words, secrets.iter().map(Secret::expose)), bytes_max)).into_owned()
}

/// At most `bytes_max` bytes of a text.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
