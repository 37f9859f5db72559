//! The pipeline: lanes on threads, and the shell that performs their effects; start-up, progress, drain. It knows no wire
//! format.

mod run;
mod components;
mod checkpoints;
mod topics;
mod positions;
mod rewind;
mod dead_letters;
mod reconcile;
mod document;
mod archive;
mod audit;
mod probe;
mod trim;
mod budget;
mod letter_budget;
mod lookups;
mod router;
mod worker;
mod sinks;
mod slot;
mod shell;
mod servers;
mod shared;
mod panic_guard;
mod counters;
mod handle;
mod snapshot;
mod explain;
mod progress;
mod reload;
mod tap;
mod error;
mod virtual_time;

#[cfg(test)]
mod tests;

pub use crate::window::Lateness;
pub use archive::ArchiveCounts;
pub use audit::AuditCounts;
pub use budget::{MemoryDivision, engine_settings};
pub use checkpoints::CheckpointCounts;
pub use components::{Loader, Plugins};
pub use counters::{BATCH_SECONDS, Counts};
pub use dead_letters::{DeadLetterTopic, Fate, FoundLetter, LetterFilter, Moment, Obstacle, Replay, Replayed, replay};
pub use document::{
    CheckpointReport, ComponentReport, DocumentName, DocumentReport, FoundDocument, GenerationReport, LetterReport,
    MadeByReport, PartReport, RecordReport, ServedReport, SpanReport, StepReport, VersionOf, WindowReport,
    explain_document,
};
pub use error::PipelineError;
pub use explain::{SourceWatermark, WatermarkReport, explain_watermark};
pub use handle::Handle;
pub(crate) use probe::written;
pub use reconcile::{
    Counts as RecordCounts, Difference, LetterCounts, OutputAccount, PartitionScope, Reconcile, Reconciled, Why,
    WindowCounts, reconcile,
};
pub use reload::{Generation, Origin, PlaceStatus, ReloadStatus, Stage};
pub use rewind::{Rewind, RewindTo, Rewound, RewoundPartition, rewind};
pub use run::{RunOptions, run};
pub use snapshot::{Balance, CountedReport, LaneSnapshot, Phase, SinkSnapshot, Snapshot};
pub use tap::TapRequest;
pub use virtual_time::{VirtualIndex, VirtualPipeline, VirtualRecord};
