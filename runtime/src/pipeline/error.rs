//! What stops a pipeline, or keeps it from starting.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::checkpoint::CheckpointError;
use crate::config::show_size;
use crate::lane::LaneError;
use crate::plugin::PluginError;
use crate::record::{ErrorKind, HasKind, Partition};
use crate::sink::SinkError;
use crate::source::{SourceError, WriteError};

#[derive(Debug, Error)]
pub enum PipelineError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("{place}: {cause}")]
    Plugin { place: String, cause: PluginError },
    #[error("{place}: the component does not belong here, kind=`{kind}`; {hint}")]
    Misplaced { place: String, kind: &'static str, hint: &'static str },
    #[error("the pipeline does not fit together: {0}")]
    Plan(LaneError),
    #[error("`{key}` cannot change while the pipeline runs; restart it, or put the key back")]
    Fixed { key: String },
    #[error("partition=`{partition}`: {error}")]
    Lane { partition: Partition, error: LaneError },
    #[error("partition=`{partition}`: {error}")]
    Checkpoint { partition: Partition, error: Box<CheckpointError> },
    #[error(transparent)]
    Store(#[from] Box<CheckpointError>),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("the index template cannot be read path=`{}`: {error}", path.display())]
    Template { path: PathBuf, error: io::Error },
    #[error("the audit log cannot be written path=`{}`: {error}; see `path` in [audit]", path.display())]
    Audit { path: PathBuf, error: io::Error },
    #[error("nothing was changed: {0}")]
    Rewind(String),
    #[error("{0}")]
    DeadLetters(String),
    #[error(
        "start=`latest`: nobody knows any more where the group began; say from when by --from, such as --from 2026-01-31T00:00:00Z"
    )]
    BeginUnknown,
    #[error("a document's id is missing: document=`{document}`; give INDEX/ID, or ID alone")]
    NoDocumentId { document: String },
    #[error("the pipeline file has no such output: output=`{output}`; there are: {known}")]
    UnknownOutput { output: String, known: String },
    #[error(
        "the drain did not end in {seconds} s: partitions=`{lanes}` have something in flight, bytes=`{bytes}`, because {why}; \
         it is read again after the next start"
    )]
    Unfinished { lanes: usize, bytes: usize, seconds: u64, why: String },
    #[error(
        "the open windows have {} of memory and `limits.memory` leaves {} for them: groups=`{groups}` windows=`{windows}`; raise \
         `limits.memory`, bound the groups with `groups_max`, or take shorter windows",
        show_size(*bytes),
        show_size(*bytes_max)
    )]
    Windows { bytes: usize, bytes_max: usize, groups: usize, windows: usize },
    #[error(
        "too many records become dead letters, letters=`{letters}` records=`{records}` {bound}: {reasons}; `tidegate dead-letters stats` \
         says more, and `tidegate dead-letters replay` brings them back when it is mended"
    )]
    TooManyDeadLetters { letters: u64, records: u64, reasons: String, bound: String },
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
    #[error("a thread panicked: thread=`{thread}`; this is a bug, please report it with the log above")]
    Panicked { thread: String },
}

impl HasKind for PipelineError {
    fn kind(&self) -> ErrorKind {
        match self {
            PipelineError::Source(error) => error.kind(),
            PipelineError::Sink(error) => error.kind(),
            PipelineError::Plugin { cause, .. } => cause.kind(),
            PipelineError::Misplaced { .. }
            | PipelineError::Fixed { .. }
            | PipelineError::Template { .. }
            | PipelineError::Audit { .. }
            | PipelineError::Windows { .. }
            | PipelineError::Rewind(_)
            | PipelineError::UnknownOutput { .. }
            | PipelineError::NoDocumentId { .. }
            | PipelineError::DeadLetters(_)
            | PipelineError::BeginUnknown => ErrorKind::Config,
            PipelineError::Plan(error) | PipelineError::Lane { error, .. } => error.kind(),
            PipelineError::Checkpoint { error, .. } | PipelineError::Store(error) => error.kind(),
            PipelineError::Write(error) => error.kind(),
            PipelineError::TooManyDeadLetters { .. } => ErrorKind::Data,
            PipelineError::Unfinished { .. } => ErrorKind::Unavailable,
            PipelineError::Thread(_) | PipelineError::Panicked { .. } => ErrorKind::Internal,
        }
    }
}
