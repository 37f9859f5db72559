//! `[[output]]` and `[output.aggregate]`: what becomes of the records that are left.

use std::path::PathBuf;
use std::time::Duration;

use super::{PluginSettings, TransformSettings};

/// `[[output]]`: what is written. All outputs are fed by one read of the topics. Without `[output.aggregate]` each
/// record that passes becomes a document.
#[derive(Clone, PartialEq, Debug)]
pub struct OutputSettings {
    /// Part of every id, so an output with another name writes other documents.
    /// Value: a name that no other output has. Required.
    pub name: String,
    /// Text with `{field}` and `{event_time:%Y.%m}` in it, or, with an aggregate, `{window_start:%Y.%m}`: functions of
    /// the input only. Formats are strftime's, in UTC. `{+yyyy.MM.dd}`, as Logstash has it, is either of the two
    /// times, of `yyyy`, `yy`, `MM`, `dd`, `DDD`, `HH`, `mm`, `ss`, `xxxx` and `ww`. A name that begins with `.` has no such parts.
    /// Value: an index name after Elasticsearch's rules. Required.
    pub index: IndexPattern,
    /// The cluster that it goes to: the name of a table under `sink`.
    /// Value: a name. Default: the one that there is; required where there are several.
    pub sink: String,
    /// What is done with a document. `index`: it replaces what has its id, unless that is newer. `create`: it is written where there is
    /// nothing with its id, which is what data streams take. `update`: what has its id takes over its fields, and where there is nothing
    /// it is written; that wants an `id`. `{ script = "…" }`: what has its id goes through a script in Painless, to which the document
    /// is `params.document`. docs/delivery.md says what each of them promises. With an aggregate: `index` alone.
    /// Value: `index`, `create`, `update`, or a table. Default: `index`.
    pub operation: WriteOperation,
    /// The field that names a document, in place of an id made of topic, partition and offset. `"$key"`: the record's
    /// key, whose newest record wins. `{ field = "order.id", version = "revision" }`: the document with the greatest
    /// version wins, a whole number from 0. Where `operation` is `create` or an update: any field, without a version. Not supported yet
    /// with an aggregate.
    /// Value: a field's path, or a table. Default: an id for each record.
    pub id: Option<IdSettings>,
    /// The field whose text decides which shard a document is on, in place of its id. All records of one id must have the same. Not
    /// supported with an aggregate, nor together with `tombstones = "delete"`.
    /// Value: a field's path, or `$key`. Default: none.
    pub routing: Option<String>,
    /// A file with an index template in JSON, as `PUT _index_template` takes it. It is installed at each start, named after the pipeline and the
    /// output, in place of one with that name.
    /// Value: a path, seen from the pipeline file. Default: none, nothing is installed.
    pub template: Option<PathBuf>,
    /// The index's own ingest pipeline that documents go through. Not supported with an update, where the index leaves it out.
    /// Value: its name. Default: none, or what the index is set to.
    pub pipeline: Option<String>,
    /// What a record without a value does. `skip`: nothing, it is counted. `delete`: it deletes the document that its key names, as
    /// the topic's own compaction does; that wants `id = "$key"` and an index that is the same for all records. Not supported with an
    /// aggregate.
    /// Value: `skip` or `delete`. Default: `skip`.
    pub tombstones: Tombstones,
    pub transforms: Vec<TransformSettings>,
    pub aggregate: Option<AggregateSettings>,
}

/// What is done with a document.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub enum WriteOperation {
    /// The greatest version of an id stays.
    #[default]
    Index,
    /// The first of an id stays.
    Create,
    /// The fields of all of an id, each from the last that has it.
    Update,
    /// The source of a script.
    Script(String),
}

/// What a record without a value does.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Tombstones {
    #[default]
    Skip,
    /// Deletes the document that its key names.
    Delete,
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

/// What names a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdSettings {
    /// A field's path, or `$key`.
    pub field: String,
    /// The field that holds the version. Without it the id is `$key`, and the offset is the version.
    pub version: Option<String>,
}

/// `[output.aggregate]`: a component that folds records into windows of event time. A document has the fields of the
/// group, `window_start`, `window_end`, and what the component emits.
#[derive(Clone, PartialEq, Debug)]
pub struct AggregateSettings {
    pub plugin: PluginSettings,
    /// The fields that make a group. A field that is absent or null makes a group of its own.
    /// Value: a list of fields' paths. Default: empty, which is one group.
    pub group_by: Vec<String>,
    /// `{ tumbling = "1m" }`: windows of this length, end to end, aligned to 1970 UTC. `{ sliding = "5m", every = "1m" }`: windows
    /// of the first length, a new one begins every so often; a record is folded into each window that it is in, here five, and
    /// costs as much. `every` is at most the length, and not below a thousandth of it. `{ session_gap = "30m", max_session = "1d" }`: a group's
    /// records that are less than a gap apart; a session is cut at the multiples of `max_session` since 1970 UTC.
    /// Value: a table with durations from 1ms to 366d. Required.
    pub window: WindowSettings,
    /// So many groups of a window, at most, in one partition of the topic. A record of another one is a dead letter.
    /// Value: a number from 1 to 4294967295. Default: none, as many as come.
    pub groups_max: Option<u32>,
    /// When a window's document is written. `on_close`: once, when nothing more can come. `{ every = "10s" }`: also whenever event time
    /// has passed a multiple of it, for the groups that have changed: early results, which later ones replace. `{ when_quiet = true }`:
    /// also when every partition of the topics is idle, or the group's own one where they are `partitioned_by_group`. Both may be given.
    /// Value: `on_close`, or a table. Default: `on_close`.
    pub emit: EmitSettings,
    /// What happens to a record whose window had closed: a dead letter, or it is dropped and counted. `{ update_within = "1h" }`: for
    /// so long, by the partition's watermark, it still counts, and the window's document is written again; afterwards it is a
    /// dead letter. Windows are kept for as much longer.
    /// Value: `dead-letter`, `drop`, or a table with a duration from 1ms to 366d. Default: `dead-letter`.
    pub late: OnLate,
    /// The records of a group are all in one partition, because the topic's key is the group. Then windows need no
    /// merging over partitions, and no topic for their parts. Where it is not true, a group has a document for each
    /// partition.
    /// Value: true or false. Default: false.
    pub partitioned_by_group: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowSettings {
    /// Windows of this length, end to end, aligned to 1970 UTC. 1 ms to 366 days.
    Tumbling { length: Duration },
    /// A new one begins every so often.
    Sliding { length: Duration, every: Duration },
    /// Records of a group that are less than a gap apart, cut at the multiples of the other.
    Session { gap: Duration, max: Duration },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnLate {
    DeadLetter,
    Drop,
    /// For so long after a window has ended, it counts; then it is a dead letter.
    UpdateWithin(Duration),
}

impl OnLate {
    /// For how long after its end a window still changes.
    pub fn update_within(self) -> Duration {
        match self {
            OnLate::UpdateWithin(span) => span,
            OnLate::DeadLetter | OnLate::Drop => Duration::ZERO,
        }
    }
}

/// When a window's document is written before the window closes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct EmitSettings {
    /// Whenever event time has passed a multiple of it.
    pub every: Option<Duration>,
    /// When nothing more comes.
    pub when_quiet: bool,
}
