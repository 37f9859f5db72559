//! What there is to say of a document, as programs are told.

use serde::Serialize;
use serde_json::Value;

use crate::config::{OutputSettings, WriteOperation};

/// What there is to say of a document.
#[derive(Clone, Default, Debug, Serialize)]
pub struct DocumentReport {
    pub id: String,
    /// Where it is; several where several indices have one of this id.
    pub found: Vec<FoundDocument>,
    /// The records that it may be of: one, unless its id is a field's text.
    pub records: Vec<RecordReport>,
    /// Of a window's document.
    pub window: Option<WindowReport>,
    /// Dead letters of it, or of its record.
    pub dead_letters: Vec<LetterReport>,
    /// The components that the pipeline file names now.
    pub components: Vec<ComponentReport>,
    /// What there is to say besides.
    pub words: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FoundDocument {
    pub index: String,
    pub version: u64,
    pub version_of: VersionOf,
    /// None where the version does not tell.
    pub revision: Option<u16>,
    /// Of the record; of a window that is merged over partitions, in the parts topic.
    pub offset: Option<i64>,
    pub source: Option<Value>,
}

/// What the version of a document is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionOf {
    /// Revision and offset.
    Offset,
    /// A field of the record.
    Field,
    /// The index counts it: the output creates or updates.
    Index,
    /// Outputs with different ones write there.
    Unknown,
}

impl VersionOf {
    pub(super) fn documents_of(output: &OutputSettings) -> Self {
        match (&output.operation, &output.id) {
            (WriteOperation::Create | WriteOperation::Update | WriteOperation::Script(_), _) => VersionOf::Index,
            (WriteOperation::Index, Some(id)) if id.version.is_some() => VersionOf::Field,
            (WriteOperation::Index, _) => VersionOf::Offset,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct RecordReport {
    pub output: String,
    pub origin: String,
    /// Kafka's, RFC 3339.
    pub timestamp: Option<String>,
    /// `settled`, `not read yet`, `gone from the log`, `not written yet`, `no record`.
    pub state: String,
    pub steps: Vec<StepReport>,
    /// What the present components make of it, beside what the index has.
    pub now: String,
    /// The generations that it was given to; none where the partition's position does not tell.
    pub made_by: Option<MadeByReport>,
    /// Where it does not: the components that the checkpoints around the record name.
    pub checkpoints: Vec<CheckpointReport>,
    /// The plugins of its way, as the dead letters around the record name them.
    pub letters: Vec<ServedReport>,
}

/// Which generations made something of records of a partition.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MadeByReport {
    /// Of a source topic, or that of the parts topic where a window was merged.
    pub partition: String,
    pub generations: Vec<GenerationReport>,
    /// It was some of these: nothing unknown can have come before them.
    pub is_complete: bool,
    /// It was all of these.
    pub is_sure: bool,
}

/// A generation that served.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct GenerationReport {
    pub plugin: String,
    pub version: String,
    /// The first 12 digits.
    pub digest: String,
    /// Counted from the start of the process that deployed it.
    pub generation: u64,
    /// The first record that it was given.
    pub from_offset: i64,
    /// What the pipeline file names now: `the same`, `other settings`, `another component`, `not named any more`.
    pub now: String,
}

/// A plugin as a dead letter near a record names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ServedReport {
    pub plugin: String,
    pub version: Option<String>,
    pub digest: String,
    /// Counted from the start of the process that wrote the letter.
    pub generation: Option<u64>,
    /// Of the letter's record.
    pub origin: String,
    /// Its record is not behind the one that is explained.
    pub is_before: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// `decode`, a transform, or the windows of an output.
    pub place: String,
    /// `kept`, `changed`, `split`, `dropped`, `refused`, `folded`, `late`, `without a value`.
    pub verdict: String,
    /// The fields that changed, the reason, the window.
    pub what: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct WindowReport {
    pub output: String,
    pub start: String,
    /// As the document says it.
    pub end: Option<String>,
    /// The group as the id has it.
    pub group: String,
    /// The source partition, where the windows are not merged.
    pub partition: Option<String>,
    pub parts: Vec<PartReport>,
    /// Where there are no parts: what is folded into it now, or the records that Kafka has of its time.
    pub spans: Vec<SpanReport>,
    /// The parts topic has lost its oldest messages.
    pub parts_are_cut: bool,
    /// The generations that its records were given to, for each source partition of which the position tells.
    pub made_by: Vec<MadeByReport>,
    /// The generation that merged it; none where the position does not tell, or it is not merged.
    pub merged_by: Option<MadeByReport>,
}

/// Records of a source partition that may be in a window.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SpanReport {
    pub source: String,
    pub first_offset: i64,
    pub last_offset: i64,
    /// How many of them the present components fold into the window, the first and the last among them; none where these are only those of
    /// its time, by Kafka's timestamps.
    pub records: Option<u64>,
}

/// What a source partition had of the window.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PartReport {
    pub source: String,
    pub first_offset: i64,
    pub last_offset: i64,
    pub records: u64,
    /// The digest of the component that made it.
    pub component: String,
    pub revision: u16,
    /// In the parts topic.
    pub position: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct LetterReport {
    pub identity: String,
    pub reason: String,
    pub message: String,
    /// In the dead-letter topic.
    pub position: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ComponentReport {
    /// A transform's name, or an output's name and `.aggregate`.
    pub name: String,
    /// Where it is known.
    pub version: Option<String>,
    pub digest: String,
}

/// A checkpoint near a record.
#[derive(Clone, Debug, Serialize)]
pub struct CheckpointReport {
    /// The first record that is not in it.
    pub next: i64,
    pub is_before: bool,
    pub components: Vec<ComponentReport>,
}
