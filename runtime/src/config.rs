//! The pipeline file: text to settings, validated once. Handles and sockets are not known here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

mod audit;
mod checkpoint;
mod code_cache;
mod error;
mod index;
mod interpolate;
mod librdkafka;
mod load;
mod output;
mod plugin;
mod reader;
mod secret;
mod settings;
mod values;

pub use audit::AuditSettings;
pub use checkpoint::{CheckpointSettings, Copies};
pub use code_cache::code_cache;
pub use error::{ConfigError, ConfigErrors, Place};
pub(crate) use load::plugins_of;
pub use load::{Environment, Places};
pub use output::{
    AggregateSettings, EmitSettings, IdSettings, IndexPart, IndexPattern, OnLate, OutputSettings, Tombstones,
    WindowSettings, WriteOperation,
};
pub use plugin::{OnBreaker, OnTrap, PluginLimits, PluginSettings};
pub(crate) use reader::nearest;
pub use secret::{Credential, Secret};
pub use values::{parse_duration, show_duration, show_size};

/// Places of every pipeline, for `tidegate tap`: no transform is called so.
pub const TAP_PLACES: [&str; 3] = ["decode", "window", "sink"];

/// One pipeline file, validated.
///
/// Everything else is in tables. `[[transform]]` and `[[output]]` may be there several times; their order counts for
/// transforms.
#[derive(Clone, PartialEq, Debug)]
pub struct PipelineSettings {
    /// Topics, ids, the consumer group and metrics are named after it, so another name is another pipeline.
    /// Value: a name: letters, digits, `.`, `_`, `-`, at most 200. Required.
    pub name: String,
    /// The folder of the components, starting at the folder of the file. `--plugins` takes its place.
    /// Value: a path. Default: `plugins`.
    pub plugins: PathBuf,
    /// The folder of the pipeline file: `"@countries.csv"` in settings is read from here.
    pub folder: PathBuf,
    /// Where compiled components are kept; none: they are compiled at each start.
    pub code_cache: Option<PathBuf>,
    pub kafka: KafkaSettings,
    pub decode: DecodeSettings,
    pub watermark: WatermarkSettings,
    pub transforms: Vec<TransformSettings>,
    /// At least one; the place of each is the same for all that is made of these settings.
    pub sinks: Vec<ElasticsearchSettings>,
    pub outputs: Vec<OutputSettings>,
    pub dead_letters: DeadLetterSettings,
    pub checkpoint: Option<CheckpointSettings>,
    pub audit: Option<AuditSettings>,
    pub limits: LimitSettings,
    pub reload: ReloadSettings,
    /// The files whose text is in the settings of plugins.
    pub included: Vec<PathBuf>,
}

impl PipelineSettings {
    /// The place of an output's sink.
    pub fn sink_of(&self, output: &OutputSettings) -> usize {
        self.sinks.iter().position(|sink| sink.name == output.sink).expect("the file was checked for it")
    }

    /// The nodes of all sinks, for people.
    pub fn index_urls(&self) -> String {
        self.sinks.iter().flat_map(|sink| &sink.urls).cloned().collect::<Vec<_>>().join(", ")
    }

    /// Each sink, with the outputs that go there.
    pub fn outputs_of_sinks(&self) -> impl Iterator<Item = (&ElasticsearchSettings, Vec<&OutputSettings>)> {
        let outputs =
            |sink: &ElasticsearchSettings| self.outputs.iter().filter(|output| output.sink == sink.name).collect();
        self.sinks.iter().map(move |sink| (sink, outputs(sink)))
    }
}

/// `[source.kafka]`: where records come from.
#[derive(Clone, PartialEq, Debug)]
pub struct KafkaSettings {
    /// The servers to ask first.
    /// Value: `host:port`, separated by commas. Required.
    pub brokers: String,
    /// What is read. Each is named: there are no patterns.
    /// Value: a list of topics, at least one. Required.
    pub topics: Vec<String>,
    /// The consumer group, whose position is where a restart goes on. Processes of one group share the partitions.
    /// Value: text. Default: the pipeline's name.
    pub group: String,
    /// The name of this process in the group, which it has again after a restart: `"${HOSTNAME}"` where hosts keep their names. Then a
    /// process that ends keeps its partitions, and the one of its name that follows within the session time-out (librdkafka's
    /// `session.timeout.ms`, 45 s) goes on with them: the other processes notice nothing, and until then nobody reads these
    /// partitions. Of two processes of one name the earlier one ends.
    /// Value: a name: letters, digits, `.`, `_`, `-`. Default: none, a process that ends gives its partitions to the others at once.
    pub instance: Option<String>,
    /// Where a group without a position begins. It is resolved to offsets once, at the first start.
    /// Value: `earliest`, `latest`, or a time with its offset such as `2026-01-31T00:00:00Z`. Default: `earliest`.
    pub start: Start,
    /// What happens when records behind the position are gone from the log: `stop` ends the program, with what the
    /// choices are; `continue` goes on with the oldest record that there is, and says how many are missing.
    /// Value: `stop` or `continue`. Default: `stop`.
    pub on_data_loss: OnDataLoss,
    /// Keys for librdkafka, each in quotes: `{ "security.protocol" = "SASL_SSL", "sasl.password" = "${PASSWORD}" }`.
    /// Keys that the runtime owns are refused, with the reason. No value is ever shown.
    /// Value: a table. Default: empty.
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

/// `[source.decode]`: how a record becomes fields. `docs/schema-evolution.md` says how records of several versions are read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodeSettings {
    /// What a record's value is.
    /// Value: `json`. Default: `json`.
    pub format: Format,
    /// The field that says when something happened, or `$timestamp` for the record's own (Kafka's word). A record whose
    /// event time is missing or cannot be read is a dead letter.
    /// Value: a field's path, or `$timestamp`. Default: `$timestamp`.
    pub event_time: String,
    /// How a number is read as a time, in `event_time` and wherever a component asks for one. `auto` tells by its size.
    /// Value: `auto`, `seconds`, `milliseconds`, `microseconds` or `nanoseconds`. Default: `auto`.
    pub timestamp_unit: TimestampUnit,
    /// A field that is there and not of the kind that a component asks for: the record is a dead letter, or the field
    /// is null to that component.
    /// Value: `dead-letter` or `null`. Default: `dead-letter`.
    pub on_wrong_type: OnWrongType,
    /// What is read in place of a field that is absent from a record: `{ "user.country" = "unknown", "price" = 0 }`. All that read
    /// the field see it: components, groups, ids, index names. A field that is null stays null, and the document stays as it came,
    /// without the field, unless a component writes it.
    /// Value: a table of fields' paths, in quotes, with texts, numbers, booleans or times. Default: empty.
    pub defaults: BTreeMap<String, String>,
    /// The field or header that says of which version a record is: `version`, `$header.schema-version`.
    /// Value: a field's path, or `$header.NAME`. Default: none, versions are not looked at.
    pub schema_version: Option<String>,
    /// The versions that the components can read. A record of another version is a dead letter, before anything else of it is read.
    /// `""` stands for records that have none. A number is compared by its spelling.
    /// Value: a list of texts, at least one. Default: none; required with `schema_version`.
    pub schema_versions: Vec<String>,
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

/// `[watermark]`: how event time goes on. Each partition has a watermark: the largest event time that it has brought,
/// minus `out_of_order`. It goes by the data only, so a replay gives the same windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WatermarkSettings {
    /// How far behind the largest event time of its partition a record may come. A window closes that much later; what
    /// comes for it after that is late.
    /// Value: a duration up to 366d. Required where an output has an aggregate.
    pub out_of_order: Duration,
    /// A partition that is at its end, and from which nothing came for this long, holds no window back.
    /// Value: a duration from 10ms to 1d. Default: `30s`.
    pub idle_after: Duration,
    /// For how long, in event time, a partition that was passed over as idle may still correct windows that have
    /// closed without it. After that, what it brings for them is a dead letter.
    /// Value: a duration up to 366d. Default: `out_of_order` and one hour.
    pub idle_grace: Duration,
    /// How far ahead of its Kafka timestamp a record's event time may be: one wrong clock must not close everybody's
    /// windows.
    /// Value: a duration up to 366d. Default: `5m`.
    pub max_future: Duration,
    /// What happens to a record beyond that: a dead letter, or its event time becomes its Kafka timestamp.
    /// Value: `dead-letter` or `clamp`. Default: `dead-letter`.
    pub on_future: OnFuture,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFuture {
    DeadLetter,
    /// The event time becomes the Kafka timestamp.
    Clamp,
}

/// `[[transform]]` and `[[output.transform]]`: a component that filters or enriches; which of the two, it says itself.
/// The first kind is for all outputs, the second for its own. `plugin`, `settings`, `limits`, `on_trap` and `on_breaker` are
/// described below.
#[derive(Clone, PartialEq, Debug)]
pub struct TransformSettings {
    /// What metrics and dead letters call it.
    /// Value: a name that no other transform has; not `decode`, `window` or `sink`, which are places of every pipeline. Default: the
    /// file's name without its extension.
    pub name: String,
    pub plugin: PluginSettings,
}

/// `[sink.elasticsearch]`: where documents go. Where outputs go to several clusters, each cluster has a table of its own with the same keys
/// and a name after `sink.`, such as `[sink.archive]`, and each output says its `sink`.
#[derive(Clone, PartialEq, Debug)]
pub struct ElasticsearchSettings {
    pub name: String,
    /// The nodes that requests are spread over. No user or password in them: see `auth`.
    /// Value: a list of `http://…` or `https://…`, at least one. Required.
    pub urls: Vec<String>,
    /// How we are let in: `{ user = "…", password = "…" }`, `{ api_key = "…" }` or `{ bearer = "…" }`. In place of a secret itself may be
    /// `{ file = "…" }`: its text without the last line break, read again when it changes, so that it may be rotated while the pipeline runs.
    /// Value: a table. Default: nothing is sent.
    pub auth: Auth,
    /// A PEM file with certificate authorities to trust besides the system's, starting at the folder of the file.
    /// Value: a path. Default: none.
    pub ca: Option<PathBuf>,
    /// How we show who we are where the servers ask for a certificate, besides or in place of `auth`: `{ file = "client.p12", password = "…" }`.
    /// The file has the certificate, its key and what leads to the authority, as PKCS#12; it starts at the folder of the file, and is read again
    /// when it changes. The password may be left out, or be `{ file = "…" }`.
    /// Value: a table. Default: none.
    pub client_certificate: Option<ClientCertificateSettings>,
    /// The size at which a bulk request is sent, uncompressed. Above some megabytes there is nothing to gain.
    /// Value: a size from 1KiB to 100MB. Default: `8MiB`.
    pub bulk_bytes_max: usize,
    /// The age at which it is sent even so.
    /// Value: a duration from 10ms to 1m. Default: `1s`.
    pub bulk_age_max: Duration,
    /// How many bulk requests may be under way at once. Fewer are, while the server is slow or refuses some.
    /// Value: 1 to 64. Default: 4.
    pub in_flight_max: usize,
    /// Requests are sent compressed. That saves the network, and costs both sides CPU time; `bulk_bytes_max` and the index's own limit
    /// are of the size before.
    /// Value: true or false. Default: false.
    pub gzip: bool,
    /// So many indices are written to at once, at most: those to which something was written in the last hour. A document for another one is a
    /// dead letter. It holds off a field with many values in an index's name: index servers stop to work before they say no.
    /// Value: a number from 1 to 100000. Default: 500.
    pub indices_max: usize,
    /// How long to wait for an answer before the request is sent again.
    /// Value: a duration from 100ms to 10m. Default: `1m`.
    pub timeout: Duration,
    /// Rules for what the index refuses, described below.
    /// Value: a list of tables. Default: none, as [delivery.md](delivery.md) says.
    pub policy: Vec<PolicyRule>,
}

/// `[[sink.elasticsearch.policy]]`: what becomes of a document that the index refuses with this status and this error, in place of what
/// [delivery.md](delivery.md) says. The first rule that fits counts; each has a `status`, a `type` or both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyRule {
    /// The HTTP status of the document's own answer.
    /// Value: 400 to 599. Default: any.
    pub status: Option<u16>,
    /// The index's word for the error, such as `document_parsing_exception`.
    /// Key: `type`.
    /// Value: a string. Default: any.
    pub error_type: Option<String>,
    /// `dead-letter`: it is one, with the index's words. `drop`: it is gone, and counted. `retry`: it is sent again by itself, without
    /// limit, for what passes. `stall`: it is sent again slowly, and the pipeline is not ready meanwhile, for what somebody has to mend.
    /// Value: `dead-letter`, `drop`, `retry` or `stall`. Required.
    pub then: Refusal,
}

/// What becomes of a document that the index refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    DeadLetter,
    Drop,
    Retry,
    Stall,
}

/// A certificate with its key, as PKCS#12.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientCertificateSettings {
    pub file: PathBuf,
    pub password: Option<Credential>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Auth {
    None,
    Basic { user: String, password: Credential },
    ApiKey(Credential),
    Bearer(Credential),
}

/// `[dead_letters]`: records that cannot be processed or indexed, with the reason in their headers. Where the topic is missing it is
/// created, with one partition, replicated as the source topics are; its retention is the cluster's default. Aggregates that
/// are not `partitioned_by_group` have a topic of their own, the pipeline's name and `.parts`, created with as many partitions
/// as the source topics have and kept for ever: what was settled an hour ago is deleted from its beginning by the program. Both
/// want the rights to create topics, to read and write them, and to delete records of the second.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetterSettings {
    /// None of the topics that are read.
    /// Value: a topic. Default: the pipeline's name and `.dead-letters`.
    pub topic: String,
    /// More than so many of a hundred records stop the pipeline; a record is one, whatever outputs refuse it. Looked at for each 1,000
    /// records or more, on each instance by itself.
    /// Value: a number from 1 to 99. Default: none, dead letters never stop it.
    pub percent_max: Option<u32>,
    /// So many records of a partition one after the other, with none between them that became no dead letter, stop the pipeline.
    /// Value: a number from 1 to 1000000000. Default: none.
    pub run_max: Option<u64>,
    /// Where dead letters are copied to, for longer than their topic keeps them: `file:///DIRECTORY`, `s3://BUCKET/PREFIX`,
    /// `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`. Pipelines may share it. How to get in stands in the environment: `AWS_…`, `GOOGLE_…`,
    /// `AZURE_…`. [dead-letters.md](dead-letters.md#archive) says how it is read.
    /// Value: a URL. Default: none, there is no archive.
    pub archive: Option<String>,
}

/// `[limits]`: what the pipeline may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitSettings {
    /// For what is in flight, in queues, in windows and in components. Partitions are paused when it is used up. Of it three
    /// eighths are for the memories of all components together: what their instances have when they start must fit, and one
    /// that wants more than is left waits for the others. An eighth, and what components leave of theirs, is for open
    /// windows: a pipeline whose windows outgrow it stops and says so.
    /// Key: `memory`.
    /// Value: a size from 64MiB to 1TiB. Default: `512MiB`.
    pub memory_bytes: usize,
    /// Of each call of a component: how deep it may nest functions. One for all of them; the threads that call them have
    /// stacks of their size and more.
    /// Key: `stack`.
    /// Value: a size from 64KiB to 2MiB. Default: `512KiB`.
    pub stack_bytes: usize,
    /// Threads that decode records and call components.
    /// Value: 1 to 1024. Default: one for each core.
    pub workers: usize,
}

/// `[reload]`: how another version of a component, or other settings of one, come into a pipeline that runs. `docs/reload.md`
/// says what happens then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReloadSettings {
    /// Whether a change of a component's file or of the pipeline file is deployed as soon as it is there. Without it,
    /// `tidegate reload` deploys.
    /// Value: true or false. Default: true.
    pub watch: bool,
}

#[cfg(test)]
mod tests;
