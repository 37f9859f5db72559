//! What stops a lane, and the pipeline with it. Positions stay where they are.

use std::sync::Arc;

use thiserror::Error;

use crate::checkpoint::Unreadable;
use crate::config::OnBreaker;
use crate::plugin::CallError;
use crate::record::{ErrorKind, HasKind, TopicId};

#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LaneError {
    #[error("plugin={plugin} failed: {error}")]
    Call { plugin: String, error: CallError },

    #[error("the plugin={plugin} gave states that the contract does not allow: {what}")]
    State { plugin: String, what: String },

    #[error(
        "the consumer group's position was not committed by this pipeline (metadata=`{metadata}`): it was reset by hand or \
         belongs to another program; `tidegate rewind FILE --to TIME` begins there with a new revision, or choose another group"
    )]
    ForeignPosition { metadata: String },

    #[error(
        "the topic was deleted and made anew since the position was committed, topic=`{topic}` former_id=`{then}` id=`{now}`: offsets mean \
         other records now; `tidegate rewind FILE --to earliest` reads the new topic from its beginning with a new revision, or another \
         name and index begin a new pipeline"
    )]
    OtherTopic { topic: Arc<str>, then: TopicId, now: TopicId },

    #[error(
        "what must be remembered with a position takes {bytes} bytes for sources={sources}, the broker allows {max}; \
         use a topic with fewer partitions"
    )]
    MetadataTooLong { bytes: usize, max: usize, sources: usize },

    #[error(
        "the parts topic has partitions={now}, but had {then} when the position was committed; it must not change, \
         because groups would move between partitions"
    )]
    PartsPartitions { now: i32, then: i32 },

    #[error("the parts topic holds something else at offset={offset}: {what}")]
    ForeignPart { offset: i64, what: String },

    #[error(
        "the parts topic holds parts of output=`{output}`, which is not in the pipeline file; put it back, or run once \
         with --accept-removed {output} to drop what its open windows hold"
    )]
    UnknownOutput { output: String },

    #[error(
        "an output with an aggregate is no longer in the pipeline file, and its open windows would be lost; put it back, or run \
         once with --accept-removed NAME"
    )]
    RemovedOutput,

    #[error(
        "the parts topic holds parts of output=`{output}` that were made with another window or group_by; run with the \
         former ones until its windows have closed, or give the output another name"
    )]
    Fingerprint { output: String },

    #[error("the checkpoint cannot be read: {why}")]
    Checkpoint { why: Unreadable },

    #[error(
        "the checkpoint holds windows of output=`{output}`, which is not in the pipeline file; put it back, or run once with \
         --accept-removed {output} to drop what its open windows hold"
    )]
    CheckpointOutput { output: String },

    #[error(
        "the checkpoint holds windows of output=`{output}` that were made with another window or group_by; run with the former \
         ones until its windows have closed, or give the output another name and run once with --accept-removed {output}"
    )]
    CheckpointFingerprint { output: String },

    #[error(
        "states of output=`{output}` have schema=`{found}`, the aggregate here writes `{known}` and \
         cannot take them over{why}"
    )]
    StateSchema { output: String, found: String, known: String, why: String },

    #[error("the pipeline cannot be built: {0}")]
    Plan(String),
}

impl LaneError {
    /// Whether the lane is to begin anew at its position when a better component is there (`on_breaker = "stall"`).
    pub(crate) fn waits_for_better(&self) -> bool {
        matches!(self, LaneError::Call { error: CallError::Failing { on_breaker: OnBreaker::Stall, .. }, .. })
    }

    /// Whether nothing is wrong but the plan: the lane goes on where it is as soon as one is deployed that fits.
    pub(super) fn waits_for_deployment(&self) -> bool {
        matches!(self, LaneError::Fingerprint { .. } | LaneError::StateSchema { .. })
    }
}

impl HasKind for LaneError {
    fn kind(&self) -> ErrorKind {
        match self {
            LaneError::Call { error, .. } => error.kind(),
            LaneError::State { .. } => ErrorKind::Plugin,
            LaneError::MetadataTooLong { .. } | LaneError::Plan(_) => ErrorKind::Config,
            LaneError::ForeignPosition { .. }
            | LaneError::OtherTopic { .. }
            | LaneError::PartsPartitions { .. }
            | LaneError::ForeignPart { .. }
            | LaneError::UnknownOutput { .. }
            | LaneError::RemovedOutput
            | LaneError::Fingerprint { .. }
            | LaneError::Checkpoint { .. }
            | LaneError::CheckpointOutput { .. }
            | LaneError::CheckpointFingerprint { .. }
            | LaneError::StateSchema { .. } => ErrorKind::Corrupt,
        }
    }
}
