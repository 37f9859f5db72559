//! Dead letters: what could not be indexed, as a message that says where it came from and why. The headers and
//! identities are a format (`docs/formats.md`); nothing is sent here.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::record::{EventTime, Message, Offset, Partition, Reason, RecordBatch, RejectedDocument};

mod letter;
mod line;

pub use letter::{Header, Letter, Subject};

/// Which dead letter this is: one that was written twice has the same identity both times.
pub const IDENTITY: &str = "tidegate-identity";
pub const PIPELINE: &str = "tidegate-pipeline";
/// A [`crate::record::ReasonKind`].
pub const REASON: &str = "tidegate-reason";
pub const MESSAGE: &str = "tidegate-message";
/// `topic-partition-offset` of the record; of a document or part, the partition that it comes from.
pub const ORIGIN: &str = "tidegate-origin";
pub const OUTPUT: &str = "tidegate-output";
/// The plugin that gave it up, as commands and metrics call it; the version, digest and generation of it that served then.
pub const PLUGIN: &str = "tidegate-plugin";
pub const PLUGIN_VERSION: &str = "tidegate-plugin-version";
pub const PLUGIN_DIGEST: &str = "tidegate-plugin-digest";
pub const PLUGIN_GENERATION: &str = "tidegate-plugin-generation";
/// The same plugin's name, where it is a transform.
pub const TRANSFORM: &str = "tidegate-transform";
/// The record's own Kafka timestamp, milliseconds since 1970 UTC.
pub const TIMESTAMP: &str = "tidegate-timestamp";
/// The index's answer.
pub const STATUS: &str = "tidegate-status";
/// How often the document was sent.
pub const ATTEMPTS: &str = "tidegate-attempts";
pub const ERROR_TYPE: &str = "tidegate-error-type";
pub const INDEX: &str = "tidegate-index";
pub const ID: &str = "tidegate-id";
/// Which version the document would have had.
pub const VERSION: &str = "tidegate-version";
/// Of a part: how many records are in it, its window in RFC 3339.
pub const RECORDS: &str = "tidegate-records";
pub const WINDOW_START: &str = "tidegate-window-start";
pub const WINDOW_END: &str = "tidegate-window-end";
/// Of a record and of a part: the pipeline's revision then.
pub const REVISION: &str = "tidegate-revision";

/// Makes the dead letters of one pipeline.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    pipeline: Arc<str>,
    topic: Arc<str>,
}

/// The plugin that gave a record or a window's document up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GivenUpBy {
    /// A transform's name, or the output's name and `.aggregate`.
    pub plugin: String,
    pub is_transform: bool,
    /// What the component says of itself.
    pub version: String,
    /// Of the component's bytes, in hexadecimal.
    pub digest: String,
    /// Counted at the plugin's place since the process began.
    pub generation: u64,
}

/// A part that came for a window that is final.
#[derive(Clone, Copy, Debug)]
pub struct LatePart<'a> {
    pub source: &'a Partition,
    /// The last source offset that it covers.
    pub offset: Offset,
    pub output: &'a str,
    /// The group's values as the part carries them.
    pub group: &'a [u8],
    pub window_start: EventTime,
    pub window_end: EventTime,
    pub revision: u64,
    pub records: u64,
    pub state: &'a [u8],
}

impl DeadLetters {
    pub fn new(pipeline: &str, topic: &str) -> Self {
        DeadLetters { pipeline: pipeline.into(), topic: topic.into() }
    }

    /// Who writes them.
    pub fn pipeline(&self) -> &Arc<str> {
        &self.pipeline
    }

    /// A record that did not become a document: its key, value and headers as they came. `output` is none where the
    /// record was refused before the outputs part; `ordinal` tells apart what it was split into.
    #[expect(clippy::too_many_arguments, reason = "each is a header of its own")]
    pub fn record(
        &self,
        partition: &Partition,
        batch: &RecordBatch,
        record: u32,
        output: Option<&str>,
        ordinal: u32,
        revision: u16,
        by: Option<&GivenUpBy>,
        reason: &Reason,
    ) -> Message {
        let row = record as usize;
        let origin = partition.origin(batch.offset(row)).to_string();
        let identity = format!("{origin}/{}/{ordinal}", output.unwrap_or_default());
        let mut headers: Vec<_> = batch
            .headers(row)
            .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.map(<[u8]>::to_vec)))
            .collect();
        self.common(&mut headers, identity, origin, output, by, reason);
        if let Some(timestamp) = batch.timestamp(row) {
            add(&mut headers, TIMESTAMP, timestamp.micros().div_euclid(1000).to_string());
        }
        add(&mut headers, REVISION, revision.to_string());
        self.message(batch.key(row), batch.value(row), headers)
    }

    /// A record whose document the index refused.
    #[expect(clippy::too_many_arguments, reason = "each is a header of its own")]
    pub fn refused_record(
        &self,
        partition: &Partition,
        batch: &RecordBatch,
        record: u32,
        output: &str,
        ordinal: u32,
        revision: u16,
        rejected: &RejectedDocument,
    ) -> Message {
        let mut message =
            self.record(partition, batch, record, Some(output), ordinal, revision, None, &rejected.reason);
        refusal(&mut message.headers, rejected);
        message
    }

    /// A window's document that the index refused, or that could not be made (`by`): its id is the key, its JSON the value.
    /// `partition` is its lane's.
    pub fn document(
        &self,
        partition: &Partition,
        output: &str,
        by: Option<&GivenUpBy>,
        rejected: &RejectedDocument,
    ) -> Message {
        let mut headers = Vec::new();
        let identity = format!("document/{output}/{}", rejected.id);
        self.common(&mut headers, identity, partition.to_string(), Some(output), by, &rejected.reason);
        refusal(&mut headers, rejected);
        self.message(Some(rejected.id.as_bytes()), Some(&rejected.body), headers)
    }

    /// A part that came too late: its group is the key, its state the value, as they came.
    pub fn part(&self, part: &LatePart<'_>, reason: &Reason) -> Message {
        let LatePart { source, output, window_start, window_end, revision, .. } = *part;
        let (start, end) = (window_start.micros(), window_end.micros());
        let group = URL_SAFE_NO_PAD.encode(part.group);
        let identity = format!("part/{source}/{output}/{start}/{end}/{revision}/{group}");
        let mut headers = Vec::new();
        self.common(&mut headers, identity, source.origin(part.offset).to_string(), Some(output), None, reason);
        add(&mut headers, WINDOW_START, window_start.to_string());
        add(&mut headers, WINDOW_END, window_end.to_string());
        add(&mut headers, REVISION, revision.to_string());
        add(&mut headers, RECORDS, part.records.to_string());
        self.message(Some(part.group), Some(part.state), headers)
    }

    fn common(
        &self,
        headers: &mut Vec<(String, Option<Vec<u8>>)>,
        identity: String,
        origin: String,
        output: Option<&str>,
        by: Option<&GivenUpBy>,
        reason: &Reason,
    ) {
        add(headers, IDENTITY, identity);
        add(headers, PIPELINE, &*self.pipeline);
        add(headers, REASON, reason.kind.name());
        add(headers, MESSAGE, &*reason.message);
        add(headers, ORIGIN, origin);
        if let Some(output) = output {
            add(headers, OUTPUT, output);
        }
        if let Some(GivenUpBy { plugin, is_transform, version, digest, generation }) = by {
            add(headers, PLUGIN, plugin.as_str());
            if *is_transform {
                add(headers, TRANSFORM, plugin.as_str());
            }
            add(headers, PLUGIN_VERSION, version.as_str());
            add(headers, PLUGIN_DIGEST, digest.as_str());
            add(headers, PLUGIN_GENERATION, generation.to_string());
        }
    }

    fn message(&self, key: Option<&[u8]>, value: Option<&[u8]>, headers: Vec<(String, Option<Vec<u8>>)>) -> Message {
        Message {
            topic: self.topic.clone(),
            partition: None,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers,
        }
    }
}

/// The identity of a dead letter, from its headers in order. A record may have been one before: the last counts.
pub fn identity<'a>(headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Option<&'a str> {
    let (_, value) = headers.into_iter().filter(|(name, _)| *name == IDENTITY).last()?;
    std::str::from_utf8(value?).ok()
}

fn refusal(headers: &mut Vec<(String, Option<Vec<u8>>)>, rejected: &RejectedDocument) {
    if let Some(status) = rejected.status {
        add(headers, STATUS, status.to_string());
    }
    if rejected.attempts > 0 {
        add(headers, ATTEMPTS, rejected.attempts.to_string());
    }
    if !rejected.error_type.is_empty() {
        add(headers, ERROR_TYPE, &*rejected.error_type);
    }
    add(headers, INDEX, &*rejected.index);
    add(headers, ID, &*rejected.id);
    if let Some(version) = rejected.version {
        add(headers, VERSION, version.to_string());
    }
}

fn add(headers: &mut Vec<(String, Option<Vec<u8>>)>, name: &str, value: impl Into<Vec<u8>>) {
    headers.push((name.into(), Some(value.into())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, ReasonKind};

    fn shown(message: &Message) -> Vec<String> {
        let text = |bytes: &Option<Vec<u8>>| match bytes {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => "(null)".into(),
        };
        let mut lines = vec![format!("{} {} {}", message.topic, text(&message.key), text(&message.value))];
        lines.extend(message.headers.iter().map(|(name, value)| format!("{name}: {}", text(value))));
        lines
    }

    fn named(message: &Message) -> Option<&str> {
        identity(message.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())))
    }

    fn by(plugin: &str, is_transform: bool) -> GivenUpBy {
        let (version, digest) = ("1.2.0".to_owned(), "c0ffee".to_owned());
        GivenUpBy { plugin: plugin.to_owned(), is_transform, version, digest, generation: 3 }
    }

    fn refused() -> RejectedDocument {
        RejectedDocument {
            row: 0,
            reason: Reason::new(ReasonKind::Sink, "no number"),
            status: Some(400),
            attempts: 3,
            error_type: "document_parsing_exception".into(),
            index: "counts-1".into(),
            id: "counts/a".into(),
            version: Some(7),
            body: b"{\"a\":1}".to_vec(),
            is_dropped: false,
        }
    }

    #[test]
    fn a_record_keeps_key_value_and_headers_and_gets_ours_behind() {
        let mut batch = BatchBuilder::new(EventTime::MIN);
        batch.push(Offset(6), None, None, None);
        batch.push(Offset(7), Some(EventTime::from_micros(1_500_000)), Some(b""), Some(b"{"));
        batch.header(b"trace", Some(b"x"));
        batch.header(IDENTITY.as_bytes(), Some(b"an earlier one"));
        let batch = batch.finish();
        let letters = DeadLetters::new("clicks", "clicks.dead-letters");
        let partition = Partition::new("events", 3);
        let message = letters.record(
            &partition,
            &batch,
            1,
            None,
            0,
            2,
            None,
            &Reason::new(ReasonKind::Json, "not JSON at byte 1"),
        );
        assert_eq!(
            shown(&message),
            [
                "clicks.dead-letters  {",
                "trace: x",
                "tidegate-identity: an earlier one",
                "tidegate-identity: events-3-7//0",
                "tidegate-pipeline: clicks",
                "tidegate-reason: json",
                "tidegate-message: not JSON at byte 1",
                "tidegate-origin: events-3-7",
                "tidegate-timestamp: 1500",
                "tidegate-revision: 2",
            ]
        );
        assert_eq!(named(&message), Some("events-3-7//0"));

        let reason = Reason::new(ReasonKind::Plugin, "no user");
        let message =
            letters.record(&partition, &batch, 0, Some("counts"), 2, 0, Some(&by("drop-anonymous", true)), &reason);
        assert_eq!((message.key.clone(), message.value.clone()), (None, None));
        assert_eq!(named(&message), Some("events-3-6/counts/2"));
        assert_eq!(
            shown(&message)[7..],
            [
                "tidegate-plugin: drop-anonymous",
                "tidegate-transform: drop-anonymous",
                "tidegate-plugin-version: 1.2.0",
                "tidegate-plugin-digest: c0ffee",
                "tidegate-plugin-generation: 3",
                "tidegate-revision: 0",
            ]
        );
    }

    #[test]
    fn a_refused_record_says_what_the_index_said() {
        let mut batch = BatchBuilder::new(EventTime::MIN);
        batch.push(Offset(7), None, None, Some(b"{\"a\":true}"));
        let batch = batch.finish();
        let letters = DeadLetters::new("clicks", "dead");
        let message = letters.refused_record(&Partition::new("events", 3), &batch, 0, "purchases", 0, 0, &refused());
        assert_eq!(shown(&message)[0], "dead (null) {\"a\":true}");
        assert_eq!(
            shown(&message)[7..],
            [
                "tidegate-revision: 0",
                "tidegate-status: 400",
                "tidegate-attempts: 3",
                "tidegate-error-type: document_parsing_exception",
                "tidegate-index: counts-1",
                "tidegate-id: counts/a",
                "tidegate-version: 7",
            ]
        );
    }

    #[test]
    fn a_document_and_a_part_carry_their_own_bytes() {
        let letters = DeadLetters::new("clicks", "dead");
        let document = letters.document(&Partition::new("clicks.parts", 1), "counts", None, &refused());
        assert_eq!(shown(&document)[0], "dead counts/a {\"a\":1}");
        let by = by("counts.aggregate", false);
        let given_up = letters.document(&Partition::new("clicks.parts", 1), "counts", Some(&by), &refused());
        assert_eq!(shown(&given_up)[7..9], ["tidegate-plugin: counts.aggregate", "tidegate-plugin-version: 1.2.0"]);
        assert!(!shown(&given_up).iter().any(|line| line.starts_with(TRANSFORM)));
        assert_eq!(named(&document), Some("document/counts/counts/a"));

        let part = LatePart {
            source: &Partition::new("events", 3),
            offset: Offset(9),
            output: "counts",
            group: b"\x01a",
            window_start: EventTime::from_micros(0),
            window_end: EventTime::from_micros(60_000_000),
            revision: 1,
            records: 12,
            state: &[1, 2],
        };
        let message = letters.part(&part, &Reason::new(ReasonKind::LatePart, "too late"));
        assert_eq!((message.key.as_deref(), message.value.as_deref()), (Some(&b"\x01a"[..]), Some(&[1u8, 2][..])));
        assert_eq!(named(&message), Some("part/events-3/counts/0/60000000/1/AWE"));
        assert_eq!(
            shown(&message)[5..],
            [
                "tidegate-origin: events-3-9",
                "tidegate-output: counts",
                "tidegate-window-start: 1970-01-01T00:00:00Z",
                "tidegate-window-end: 1970-01-01T00:01:00Z",
                "tidegate-revision: 1",
                "tidegate-records: 12",
            ]
        );
    }

    #[test]
    fn other_headers_have_no_identity() {
        assert_eq!(identity([("trace", Some(&b"x"[..])), (IDENTITY, None)]), None);
    }
}
