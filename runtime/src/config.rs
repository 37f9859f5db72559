//! The pipeline file: text to settings, validated once. Handles and sockets are not known here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

mod error;
mod index;
mod interpolate;
mod librdkafka;
mod load;
mod reader;
mod secret;
mod settings;
mod values;

pub use error::{ConfigError, ConfigErrors, Place};
pub use load::{Environment, Places};
pub use secret::Secret;
pub use values::{show_duration, show_size};

/// One pipeline file, validated.
#[derive(Clone, PartialEq, Debug)]
pub struct PipelineSettings {
    /// The pipeline's name: consumer group, topics, ids and metrics are named after it. Letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// The plugin directory, resolved against the file's own.
    pub plugins: PathBuf,
    /// The folder of the pipeline file: `"@countries.csv"` in settings is read from here.
    pub folder: PathBuf,
    pub kafka: KafkaSettings,
    pub decode: DecodeSettings,
    pub watermark: WatermarkSettings,
    pub transforms: Vec<TransformSettings>,
    pub elasticsearch: ElasticsearchSettings,
    pub outputs: Vec<OutputSettings>,
    pub dead_letters: DeadLetterSettings,
    pub limits: LimitSettings,
}

/// `[source.kafka]`.
#[derive(Clone, PartialEq, Debug)]
pub struct KafkaSettings {
    /// Bootstrap servers, `host:port`, separated by commas.
    pub brokers: String,
    pub topics: Vec<String>,
    /// The consumer group. Default: the pipeline's name.
    pub group: String,
    /// Where a group without a position begins. Default: earliest.
    pub start: Start,
    /// What to do when the position is gone from the log. Default: stop.
    pub on_data_loss: OnDataLoss,
    /// Passed through to librdkafka; keys that the runtime owns are refused. Values may be secrets.
    pub librdkafka: BTreeMap<String, Secret>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    Earliest,
    Latest,
    /// The first record with a timestamp not before this one (Kafka's own, milliseconds since 1970 UTC).
    Timestamp {
        millis: i64,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnDataLoss {
    Stop,
    Continue,
}

/// `[source.decode]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodeSettings {
    pub format: Format,
    /// A field's path, or `$timestamp` for the record's own. Default: `$timestamp`.
    pub event_time: String,
    /// How a number in `event_time` and in other timestamps is read. Default: told apart by its size.
    pub timestamp_unit: TimestampUnit,
    /// A field that is there but not of the kind that a component asks for. Default: dead-letter.
    pub on_wrong_type: OnWrongType,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestampUnit {
    /// Seconds, milli-, micro- or nanoseconds, told apart by size.
    Auto,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnWrongType {
    DeadLetter,
    Null,
}

/// `[watermark]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WatermarkSettings {
    /// How far behind the largest event time of its partition a record may come. Required where an output has windows.
    pub out_of_order: Duration,
    /// A partition at its end from which nothing came for this long holds no window back. Default: 30 s.
    pub idle_after: Duration,
    /// How long after a partition was passed over as idle its parts still update documents, in event time.
    /// Default: `out_of_order` + 1 h.
    pub idle_grace: Duration,
    /// How far ahead of its Kafka timestamp a record's event time may be. Default: 5 min.
    pub max_future: Duration,
    /// Default: dead-letter.
    pub on_future: OnFuture,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFuture {
    DeadLetter,
    /// The event time becomes the Kafka timestamp.
    Clamp,
}

/// `[[transform]]` and `[[output.transform]]`.
#[derive(Clone, PartialEq, Debug)]
pub struct TransformSettings {
    /// Unique in the pipeline. Default: the plugin file's stem.
    pub name: String,
    pub plugin: PluginSettings,
}

/// A component and its settings.
#[derive(Clone, PartialEq, Eq)]
pub struct PluginSettings {
    /// The component's file, resolved against the plugin directory.
    pub file: PathBuf,
    /// JSON text. A string `"@NAME"` stood for the text of a file beside the pipeline and is replaced by it already.
    pub settings: String,
}

/// Without the settings, in which a secret may be.
impl fmt::Debug for PluginSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginSettings").field("file", &self.file).finish_non_exhaustive()
    }
}

/// `[sink.elasticsearch]`.
#[derive(Clone, PartialEq, Debug)]
pub struct ElasticsearchSettings {
    pub urls: Vec<String>,
    pub auth: Auth,
    /// A PEM file with the certificate authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// The size at which a bulk request is sent, uncompressed. Default: 8 MiB.
    pub bulk_bytes_max: usize,
    /// The age at which it is sent even so. Default: 1 s, at least 10 ms.
    pub bulk_age_max: Duration,
    /// Bulk requests in flight at once. Default: 4.
    pub in_flight_max: usize,
    /// How long to wait for an answer. Default: 60 s.
    pub timeout: Duration,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Auth {
    None,
    Basic { user: String, password: Secret },
    ApiKey(Secret),
    Bearer(Secret),
}

/// `[[output]]`.
#[derive(Clone, PartialEq, Debug)]
pub struct OutputSettings {
    /// Unique; part of every id, so a change of it is another output.
    pub name: String,
    pub index: IndexPattern,
    /// The field that names a document, in place of the derived id.
    pub id: Option<IdSettings>,
    pub transforms: Vec<TransformSettings>,
    pub aggregate: Option<AggregateSettings>,
}

/// An index name: literal text and functions of the input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexPattern(pub Vec<IndexPart>);

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IndexPart {
    Literal(String),
    /// `{field}`: the field's text.
    Field(String),
    /// `{event_time:FORMAT}`, strftime.
    EventTime(String),
    /// `{window_start:FORMAT}`, strftime.
    WindowStart(String),
}

/// `id = "field"` or `id = { field = "…", version = "field" }`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdSettings {
    /// A field's path, or `$key`.
    pub field: String,
    /// The field that holds the version. Without it the id must be `$key`, and the offset is the version.
    pub version: Option<String>,
}

/// `[output.aggregate]`.
#[derive(Clone, PartialEq, Debug)]
pub struct AggregateSettings {
    pub plugin: PluginSettings,
    /// Paths of the fields that make a group; empty: one group.
    pub group_by: Vec<String>,
    pub window: WindowSettings,
    /// Default: dead-letter.
    pub late: OnLate,
    /// The topic's key is the group: no merging over partitions.
    pub partitioned_by_group: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowSettings {
    /// Windows of this length, end to end, aligned to 1970 UTC. 1 ms to 366 days.
    Tumbling { length: Duration },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnLate {
    DeadLetter,
    Drop,
}

/// `[dead_letters]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetterSettings {
    /// Default: the pipeline's name and `.dead-letters`.
    pub topic: String,
}

/// `[limits]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitSettings {
    /// The memory that the pipeline may use for what is in flight. Default: 512 MiB.
    pub memory_bytes: usize,
    /// Worker threads. Default: one for each core.
    pub workers: usize,
}

#[cfg(test)]
mod tests;
