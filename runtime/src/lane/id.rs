//! The ids and versions of documents: functions of the input, so that a replay writes the same.

use std::fmt::Write;

use crate::record::{Offset, Partition};
use crate::window::Window;

use super::group;

/// Elasticsearch refuses longer ids, and with one of them the whole request.
const ID_BYTES_MAX: usize = 512;

/// The offset has the lower 52 bits of a version, the revision the 11 above.
const OFFSET_BITS: u32 = 52;

/// Which rewrite of the index this is: one number for the pipeline, raised only by a rewind or a recreated topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Revision(pub u16);

/// `version_type=external`: a later revision wins, then what covers a later offset.
pub fn version(revision: Revision, offset: Offset) -> u64 {
    let offset = u64::try_from(offset.0).unwrap_or_default() & ((1 << OFFSET_BITS) - 1);
    (u64::from(revision.0) << OFFSET_BITS) | offset
}

/// What a version is made of.
pub fn revision_and_offset(version: u64) -> (u16, Offset) {
    let revision = u16::try_from(version >> OFFSET_BITS).unwrap_or(u16::MAX);
    let offset = i64::try_from(version & ((1 << OFFSET_BITS) - 1)).expect("it has 52 bits");
    (revision, Offset(offset))
}

/// `output:topic-partition-offset`, and `/ordinal` for all but the first document of a record that was split.
pub fn record_id(output: &str, partition: &Partition, offset: Offset, ordinal: u32, id: &mut String) {
    id.clear();
    write!(id, "{output}:{partition}-{offset}").expect("into a string");
    write_ordinal(ordinal, id);
    shorten(output, id);
}

/// `output:length in ms:start in ms:group`, with `@partition` before the group where it belongs to one partition, and
/// `/ordinal` for all but the first document of a state.
pub fn window_id(output: &str, window: Window, of: Option<&Partition>, key: &[u8], ordinal: u32, id: &mut String) {
    id.clear();
    let (start, length) = (window.start.micros(), window.end.micros().saturating_sub(window.start.micros()));
    write!(id, "{output}:{}:{}:", length / 1000, start / 1000).expect("into a string");
    if let Some(partition) = of {
        write!(id, "@{partition}:").expect("into a string");
    }
    group::write_id(key, id);
    write_ordinal(ordinal, id);
    shorten(output, id);
}

fn write_ordinal(ordinal: u32, id: &mut String) {
    if ordinal > 0 {
        write!(id, "/{ordinal}").expect("into a string");
    }
}

/// A longer id keeps what changes slowly, and the rest becomes a BLAKE3 hash of the whole.
fn shorten(output: &str, id: &mut String) {
    if id.len() > ID_BYTES_MAX {
        let hash = blake3::hash(id.as_bytes()).to_hex();
        let kept = id.floor_char_boundary(ID_BYTES_MAX - hash.len() - 1).min(output.len() + 64);
        id.truncate(id.floor_char_boundary(kept));
        id.push('#');
        id.push_str(&hash);
    }
}

#[cfg(test)]
mod tests {
    use crate::record::EventTime;

    use super::*;

    fn window() -> Window {
        Window { start: EventTime::from_micros(60_000_000), end: EventTime::from_micros(120_000_000) }
    }

    #[test]
    fn a_later_revision_beats_a_later_offset() {
        assert!(version(Revision(1), Offset(0)) > version(Revision(0), Offset((1 << 52) - 1)));
        assert!(version(Revision(0), Offset(8)) > version(Revision(0), Offset(7)));
        assert_eq!(revision_and_offset(version(Revision(3), Offset(17))), (3, Offset(17)));
        assert!(i64::try_from(version(Revision(2047), Offset((1 << 52) - 1))).is_ok());
    }

    #[test]
    fn ids_name_output_and_origin_or_window_and_group() {
        let (mut id, partition) = (String::new(), Partition::new("events", 3));
        record_id("all", &partition, Offset(17), 0, &mut id);
        assert_eq!(id, "all:events-3-17");
        record_id("all", &partition, Offset(17), 2, &mut id);
        assert_eq!(id, "all:events-3-17/2");
        window_id("counts", window(), None, &[0], 0, &mut id);
        assert_eq!(id, "counts:60000:60000:n;");
        window_id("counts", window(), Some(&partition), &[2], 1, &mut id);
        assert_eq!(id, "counts:60000:60000:@events-3:t;/1");
    }

    #[test]
    fn a_long_id_is_hashed_and_stays_different() {
        let long = |last: u8| {
            let mut key = vec![6, 0, 0, 2, 0];
            key.extend_from_slice(&[b'x'; 511]);
            key.push(last);
            let mut id = String::new();
            window_id("counts", window(), None, &key, 0, &mut id);
            id
        };
        assert!(long(b'a').len() <= ID_BYTES_MAX && long(b'a').starts_with("counts:60000:60000:"));
        assert_ne!(long(b'a'), long(b'b'));
    }
}
