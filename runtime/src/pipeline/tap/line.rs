//! What a tap shows, as lines of JSON.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::lane::{Sample, TapVerdict};
use crate::record::{self, EventTime, RejectedDocument};
use crate::window::Window;

/// A record that is longer is cut, and shown as text.
const RECORD_BYTES_MAX: usize = 64 << 10;

#[derive(Default, Serialize)]
struct Line<'a> {
    /// `decode`, a transform's name, `window`, or `sink`.
    at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<String>,
    verdict: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Shown>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    becomes: Vec<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Shown>,
    #[serde(skip_serializing_if = "is_zero")]
    missed: u64,
}

/// JSON as it came, or a text where it is none.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
    Json(Box<RawValue>),
    Text(Value),
}

/// What is shown of a document.
pub(super) struct Document {
    index: String,
    id: String,
    /// None where the last that is written wins.
    version: Option<u64>,
    /// None where it is deleted.
    body: Option<Vec<u8>>,
}

impl Document {
    pub fn of(document: &record::Document<'_>) -> Document {
        let record::Document { operation, index, id, version, body, .. } = *document;
        let body = (operation != record::Operation::Delete).then(|| body.to_vec());
        Document { index: index.to_owned(), id: id.to_owned(), version, body }
    }
}

/// `missed`: rows that were not shown since the line before.
pub(super) fn of_sample(sample: &Sample, missed: u64) -> String {
    let by = sample.by.as_deref();
    let mut line = Line {
        at: by.unwrap_or("decode"),
        partition: Some(sample.partition.to_string()),
        offset: Some(sample.offset.0),
        event_time: sample.event_time.map(|time| time.to_string()),
        record: Some(shown(&sample.record)),
        missed,
        ..Line::default()
    };
    match &sample.verdict {
        TapVerdict::Kept(documents) => {
            line.verdict = "kept";
            line.becomes = documents.iter().map(|document| shown(document)).collect();
        }
        TapVerdict::Dropped => line.verdict = "dropped",
        TapVerdict::Tombstone => (line.verdict, line.record) = ("tombstone", None),
        TapVerdict::Rejected(reason) => {
            line.verdict = "rejected";
            (line.reason, line.message) = (Some(reason.kind.name()), Some(reason.message.as_str()));
        }
        TapVerdict::Folded(window) => line.in_window("folded", by, window),
        TapVerdict::Ended(window) => line.in_window("ended", by, window),
    }
    line.text()
}

pub(super) fn of_document(document: &Document, rejected: Option<&RejectedDocument>, missed: u64) -> String {
    let line = Line {
        at: "sink",
        index: Some(&document.index),
        id: Some(&document.id),
        version: document.version,
        verdict: match (rejected, &document.body) {
            (Some(rejected), _) if rejected.is_dropped => "dropped",
            (Some(_), _) => "rejected",
            (None, Some(_)) => "indexed",
            (None, None) => "deleted",
        },
        reason: rejected.map(|rejected| rejected.error_type.as_str()),
        message: rejected.map(|rejected| rejected.reason.message.as_str()),
        status: rejected.and_then(|rejected| rejected.status),
        document: document.body.as_deref().map(shown),
        missed,
        ..Line::default()
    };
    line.text()
}

impl<'a> Line<'a> {
    fn in_window(&mut self, verdict: &'a str, output: Option<&'a str>, window: &Window) {
        (self.at, self.output, self.verdict) = ("window", output, verdict);
        let text = |time: EventTime| Some(time.to_string());
        (self.window_start, self.window_end) = (text(window.start), text(window.end));
    }

    fn text(&self) -> String {
        serde_json::to_string(self).expect("it holds nothing but texts, numbers and JSON") + "\n"
    }
}

fn shown(record: &[u8]) -> Shown {
    let json = || serde_json::from_slice::<Box<RawValue>>(record).ok();
    match record.get(..RECORD_BYTES_MAX) {
        None => json().map(without_breaks).unwrap_or_else(|| Shown::Text(String::from_utf8_lossy(record).into())),
        Some(begin) => {
            let text = String::from_utf8_lossy(begin).into_owned();
            Shown::Text(format!("{text}… ({} bytes)", record.len()).into())
        }
    }
}

/// A line of JSON has none; within JSON they mean nothing, and within a text they are escaped.
fn without_breaks(json: Box<RawValue>) -> Shown {
    if !json.get().contains(['\n', '\r']) {
        return Shown::Json(json);
    }
    let text = json.get().replace(['\n', '\r'], " ");
    RawValue::from_string(text).map_or_else(|_| Shown::Text(json.get().into()), Shown::Json)
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::record::{Offset, Partition, Reason, ReasonKind};

    fn sample(verdict: TapVerdict, record: &[u8]) -> Sample {
        Sample {
            by: Some("stamp".into()),
            partition: Partition::new("orders", 2),
            offset: Offset(7),
            event_time: Some(EventTime::from_micros(0)),
            record: record.to_vec(),
            verdict,
        }
    }

    #[test]
    fn a_line_says_what_became_of_a_row() {
        let kept = sample(TapVerdict::Kept(vec![b"{\"a\":2}".to_vec()]), b"{\"a\":\n1}");
        expect![[r#"
            {"at":"stamp","partition":"orders-2","offset":7,"event_time":"1970-01-01T00:00:00Z","verdict":"kept","record":{"a": 1},"becomes":[{"a":2}],"missed":3}
        "#]]
        .assert_eq(&of_sample(&kept, 3));
        let rejected = sample(TapVerdict::Rejected(Reason::new(ReasonKind::Json, "no JSON")), b"{\"a\"");
        expect![[r#"
            {"at":"stamp","partition":"orders-2","offset":7,"event_time":"1970-01-01T00:00:00Z","verdict":"rejected","reason":"json","message":"no JSON","record":"{\"a\""}
        "#]]
        .assert_eq(&of_sample(&rejected, 0));
        let window = Window { start: EventTime::from_micros(0), end: EventTime::from_micros(60_000_000) };
        expect![[r#"
            {"at":"window","output":"stamp","partition":"orders-2","offset":7,"event_time":"1970-01-01T00:00:00Z","verdict":"folded","window_start":"1970-01-01T00:00:00Z","window_end":"1970-01-01T00:01:00Z","record":{}}
        "#]]
        .assert_eq(&of_sample(&sample(TapVerdict::Folded(window), b"{}"), 0));
    }
}
