//! A dead letter as a line of JSON, from which all of it can be made again: what an export and the archive are made of.

use std::collections::BTreeMap;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Letter;

/// What the names of our headers begin with.
const PREFIX: &str = "tidegate-";

impl Letter {
    /// Writes the letter as a line. `copies`: how often its identity is in the topic, as far as the caller knows.
    pub fn write_line(&self, copies: u32, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut out, &Line::of(self, copies))?;
        out.write_all(b"\n")
    }
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
struct Line {
    /// In the dead-letter topic: `PARTITION-OFFSET`.
    position: String,
    /// When it was written, RFC 3339.
    time: Option<String>,
    /// How often its identity is in the topic; this is the last one.
    copies: u32,
    /// Our headers, without what their names begin with.
    tidegate: BTreeMap<String, String>,
    /// All others, in order.
    headers: Vec<LineHeader>,
    key: Option<Bytes>,
    value: Option<Bytes>,
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
struct LineHeader {
    name: String,
    value: Option<Bytes>,
}

/// Text where it is UTF-8.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Bytes {
    Text(String),
    Base64(String),
}

impl Line {
    fn of(letter: &Letter, copies: u32) -> Line {
        let (mut tidegate, mut others) = (BTreeMap::new(), Vec::new());
        for (name, value) in letter.ours().iter().rev() {
            // The last of a name counts; one before it is shown as it is.
            let known = name.strip_prefix(PREFIX).filter(|known| !tidegate.contains_key(*known));
            let text = value.as_deref().and_then(|value| std::str::from_utf8(value).ok());
            match (known, text) {
                (Some(name), Some(text)) => drop(tidegate.insert(name.to_owned(), text.to_owned())),
                (None, _) | (_, None) => others.push((name.clone(), value.clone())),
            }
        }
        others.reverse();
        let header = |(name, value): &(String, Option<Vec<u8>>)| {
            let value = value.as_deref().map(Bytes::of);
            LineHeader { name: name.clone(), value }
        };
        let Letter { key, value, position, .. } = letter;
        Line {
            position: format!("{}-{}", position.partition.number, position.offset),
            time: letter.written.map(|time| time.to_string()),
            copies,
            tidegate,
            headers: letter.own().iter().chain(&others).map(header).collect(),
            key: key.as_deref().map(Bytes::of),
            value: value.as_deref().map(Bytes::of),
        }
    }
}

impl Bytes {
    fn of(bytes: &[u8]) -> Bytes {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text.to_owned()),
            Err(_) => Bytes::Base64(STANDARD.encode(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::record::{BatchBuilder, EventTime, Offset, Partition};

    fn letter(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, Option<&[u8]>)]) -> Letter {
        let mut batch = BatchBuilder::new(EventTime::MIN);
        batch.push(Offset(17), Some(EventTime::from_micros(1_500_000)), key, value);
        headers.iter().for_each(|(name, value)| batch.header(name.as_bytes(), *value));
        Letter::read(&Partition::new("dead", 0), &batch.finish(), 0).expect("it has an identity")
    }

    fn line(letter: &Letter) -> String {
        let mut line = Vec::new();
        letter.write_line(2, &mut line).expect("memory takes what is written");
        let line = String::from_utf8(line).expect("JSON is text");
        line.strip_suffix('\n').expect("a line has an end").to_owned()
    }

    /// Key, value and headers, as a line says them.
    type Parts = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

    fn bytes(of: Bytes) -> Vec<u8> {
        match of {
            Bytes::Text(text) => text.into_bytes(),
            Bytes::Base64(text) => STANDARD.decode(text).expect("we wrote it"),
        }
    }

    fn parts(line: &str) -> Parts {
        let Line { tidegate, headers, key, value, .. } = serde_json::from_str(line).expect("it is a line of ours");
        let others = headers.into_iter().map(|it| (it.name, it.value.map(bytes)));
        let ours = tidegate.into_iter().map(|(name, text)| (format!("{PREFIX}{name}"), Some(text.into_bytes())));
        (key.map(bytes), value.map(bytes), others.chain(ours).collect())
    }

    #[test]
    fn nothing_is_lost() {
        let headers: [(&str, Option<&[u8]>); 6] = [
            ("trace", Some(b"\xff\0")),
            ("null", None),
            ("tidegate-identity", Some(b"an earlier one")),
            ("tidegate-identity", Some(b"events-3-7//0")),
            ("tidegate-message", Some(b"not JSON at byte 1")),
            ("tidegate-reason", Some(b"json")),
        ];
        for (key, value) in [(None, Some(&b"{"[..])), (Some(&b""[..]), None), (Some(b"\xfe"), Some(b"gr\xc3\xb6"))] {
            let line = line(&letter(key, value, &headers));
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            let expected = headers.map(|(name, value)| (name.to_owned(), owned(value)));
            assert_eq!(parts(&line), (owned(key), owned(value), expected.to_vec()), "{line}");
        }
    }

    #[test]
    fn a_line_says_what_is_text_and_what_is_base64() {
        let headers: [(&str, Option<&[u8]>); 3] =
            [("trace", Some(b"x")), ("tidegate-identity", Some(b"events-3-7//0")), ("tidegate-reason", Some(b"json"))];
        let line = line(&letter(Some(b"k"), Some(b"\xff"), &headers));
        expect![[r#"{"position":"0-17","time":"1970-01-01T00:00:01.5Z","copies":2,"tidegate":{"identity":"events-3-7//0","reason":"json"},"headers":[{"name":"trace","value":{"text":"x"}}],"key":{"text":"k"},"value":{"base64":"/w=="}}"#]]
        .assert_eq(&line);
    }
}
