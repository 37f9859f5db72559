//! A line of the audit log. `docs/audit.md` describes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::lane::{DroppedRecord, WhyDropped};
use crate::record::{EventTime, Partition};

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    pipeline: &'a str,
    why: &'static str,
    /// `TOPIC-PARTITION-OFFSET`; of a window's document, the partition of its lane.
    origin: String,
    ordinal: u32,
    output: Option<&'a str>,
    #[serde(flatten)]
    plugin: Option<Plugin<'a>>,
    #[serde(flatten)]
    refused: Option<Refused<'a>>,
    key: Option<Key<'a>>,
    key_bytes: usize,
}

#[derive(Serialize)]
struct Plugin<'a> {
    plugin: &'a str,
    version: &'a str,
    digest: &'a str,
    generation: u64,
}

#[derive(Serialize)]
struct Refused<'a> {
    index: &'a str,
    id: &'a str,
    status: Option<u16>,
    error_type: &'a str,
}

/// Text where it is UTF-8.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Key<'a> {
    Text(&'a str),
    Base64(String),
}

pub(super) fn write(pipeline: &str, partition: &Partition, now: EventTime, drop: &DroppedRecord, text: &mut Vec<u8>) {
    let line = Line {
        time: now.to_string(),
        pipeline,
        why: match drop.why {
            WhyDropped::Filter => "filter",
            WhyDropped::Enrich => "enrich",
            WhyDropped::Late => "late",
            WhyDropped::Policy => "policy",
        },
        origin: drop.offset.map_or_else(|| partition.to_string(), |offset| partition.origin(offset).to_string()),
        ordinal: drop.ordinal,
        output: drop.output.as_deref(),
        plugin: drop.by.as_deref().map(|by| Plugin {
            plugin: &by.plugin,
            version: &by.version,
            digest: &by.digest,
            generation: by.generation,
        }),
        refused: drop.refused.as_ref().map(|refused| Refused {
            index: &refused.index,
            id: &refused.id,
            status: refused.status,
            error_type: &refused.error_type,
        }),
        key: drop.key.as_deref().map(|key| Key::of(key, key.len() < drop.key_bytes)),
        key_bytes: drop.key_bytes,
    };
    serde_json::to_writer(&mut *text, &line).expect("memory takes what is written");
    text.push(b'\n');
}

impl Key<'_> {
    /// One that was cut may end within a character.
    fn of(key: &[u8], is_cut: bool) -> Key<'_> {
        match std::str::from_utf8(key) {
            Ok(text) => Key::Text(text),
            Err(error) if is_cut && error.error_len().is_none() => {
                Key::Text(std::str::from_utf8(&key[..error.valid_up_to()]).unwrap_or_default())
            }
            Err(_) => Key::Base64(STANDARD.encode(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::{Expect, expect};

    use super::*;
    use crate::lane::DroppedDocument;
    use crate::record::Offset;
    use crate::sink::GivenUpBy;

    fn check(drop: &DroppedRecord, expected: Expect) {
        let mut text = Vec::new();
        write("shop", &Partition::new("orders", 1), EventTime::from_micros(1_500_000), drop, &mut text);
        expected.assert_eq(std::str::from_utf8(&text).expect("JSON is text"));
    }

    fn dropped(why: WhyDropped) -> DroppedRecord {
        DroppedRecord {
            why,
            offset: Some(Offset(17)),
            ordinal: 0,
            output: None,
            by: None,
            key: None,
            key_bytes: 0,
            refused: None,
        }
    }

    #[test]
    fn a_line_says_who_dropped_what() {
        let (plugin, version, digest) = ("where".to_owned(), "0.1.0".to_owned(), "c0ffee".to_owned());
        let by = Some(Arc::new(GivenUpBy { plugin, is_transform: true, version, digest, generation: 2 }));
        let key = Some(b"k\xc3".to_vec());
        check(
            &DroppedRecord { by, key, key_bytes: 300, ..dropped(WhyDropped::Filter) },
            expect![[r#"
                {"time":"1970-01-01T00:00:01.5Z","pipeline":"shop","why":"filter","origin":"orders-1-17","ordinal":0,"output":null,"plugin":"where","version":"0.1.0","digest":"c0ffee","generation":2,"key":{"text":"k"},"key_bytes":300}
            "#]],
        );
        let (index, id, error_type) = ("all".to_owned(), "all:x".to_owned(), "mapper_exception".to_owned());
        let refused = Some(DroppedDocument { index, id, status: Some(400), error_type });
        let key = Some(b"\xff".to_vec());
        check(
            &DroppedRecord { output: Some("all".into()), refused, key, key_bytes: 1, ..dropped(WhyDropped::Policy) },
            expect![[r#"
                {"time":"1970-01-01T00:00:01.5Z","pipeline":"shop","why":"policy","origin":"orders-1-17","ordinal":0,"output":"all","index":"all","id":"all:x","status":400,"error_type":"mapper_exception","key":{"base64":"/w=="},"key_bytes":1}
            "#]],
        );
        check(
            &DroppedRecord { offset: None, ..dropped(WhyDropped::Late) },
            expect![[r#"
                {"time":"1970-01-01T00:00:01.5Z","pipeline":"shop","why":"late","origin":"orders-1","ordinal":0,"output":null,"key":null,"key_bytes":0}
            "#]],
        );
    }
}
