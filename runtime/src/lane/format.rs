//! The messages of the parts topic: parts and markers, as bytes. `docs/formats.md` describes them; they do not change
//! within a format version.

use serde::{Deserialize, Serialize};

use super::id::Revision;

/// The first byte of every message.
const VERSION: u8 = 1;
const PART: u8 = 1;
const MARKER: u8 = 2;

/// What one source lane knows of a group in a window, from the window's first record to `last`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part<'a> {
    pub output: &'a str,
    /// Of the settings that the state depends on; parts with another are not merged with ours.
    pub fingerprint: u64,
    pub window_start_micros: i64,
    pub window_length_micros: i64,
    /// The group's key.
    #[serde(with = "serde_bytes_slice")]
    pub group: &'a [u8],
    #[serde(with = "serde_bytes_slice")]
    pub state: &'a [u8],
    pub state_schema_name: &'a str,
    pub state_schema_version: u32,
    /// The hash of the aggregate's component, for people who ask what made this.
    pub component: &'a str,
    /// How many records are in it.
    pub count: u64,
    pub first_offset: i64,
    /// The last source offset that it covers.
    pub last_offset: i64,
    pub topic: &'a str,
    pub partition: i32,
    pub revision: Revision,
}

/// A source lane's word that all its parts of windows up to `watermark` are in the topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Marker<'a> {
    pub topic: &'a str,
    pub partition: i32,
    /// How many partitions that topic has.
    pub partitions: i32,
    /// How many partitions the parts topic has for whoever wrote this.
    pub parts_partitions: i32,
    pub watermark_micros: i64,
    pub idle: bool,
    pub revision: Revision,
}

/// A message of the parts topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PartsMessage<'a> {
    Part(Part<'a>),
    Marker(Marker<'a>),
}

pub fn encode_part(part: &Part<'_>) -> Vec<u8> {
    encode(PART, part)
}

pub fn encode_marker(marker: &Marker<'_>) -> Vec<u8> {
    encode(MARKER, marker)
}

fn encode(kind: u8, body: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(body, vec![VERSION, kind]).expect("plain values are written into memory")
}

/// An error in words: the message is not ours, or from a version that is not known here.
pub fn decode(bytes: &[u8]) -> Result<PartsMessage<'_>, String> {
    match bytes {
        [VERSION, PART, body @ ..] => {
            postcard::from_bytes(body).map(PartsMessage::Part).map_err(|error| format!("a part is damaged: {error}"))
        }
        [VERSION, MARKER, body @ ..] => postcard::from_bytes(body)
            .map(PartsMessage::Marker)
            .map_err(|error| format!("a marker is damaged: {error}")),
        [VERSION, kind, ..] => Err(format!("a message of unknown kind={kind}")),
        [version, ..] => Err(format!("a message of format version={version}, this program knows version={VERSION}")),
        [] => Err("an empty message".to_owned()),
    }
}

/// postcard writes `&[u8]` as a sequence of numbers unless it is told that these are bytes.
mod serde_bytes_slice {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<&'a [u8], D::Error> {
        <&'a [u8]>::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_went_in() {
        let part = Part {
            output: "counts",
            fingerprint: 7,
            window_start_micros: -60,
            window_length_micros: 60,
            group: &[6, 0, 0, 0, 1, b'a'],
            state: &[200, 1],
            state_schema_name: "count",
            state_schema_version: 1,
            component: "abc",
            count: 3,
            first_offset: 5,
            last_offset: 9,
            topic: "events",
            partition: 2,
            revision: Revision(1),
        };
        assert_eq!(decode(&encode_part(&part)), Ok(PartsMessage::Part(part)));
        let marker = Marker {
            topic: "events",
            partition: 2,
            partitions: 4,
            parts_partitions: 4,
            watermark_micros: i64::MIN,
            idle: true,
            revision: Revision(0),
        };
        let bytes = encode_marker(&marker);
        assert_eq!(decode(&bytes), Ok(PartsMessage::Marker(marker)));
        assert!(decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(decode(&[2, 1, 0]).is_err() && decode(&[1, 9]).is_err() && decode(&[]).is_err());
    }
}
