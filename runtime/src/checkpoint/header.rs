//! What a checkpoint says of itself, and its first section.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::{Offset, Partition, TopicId};

use super::frame::{Section, damaged};
use super::records::HEADER;
use super::{Epoch, Place, Sequence, SlotId, Unreadable};

/// A component that has made states, or judged records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Component {
    /// The name of its place in the pipeline.
    pub name: String,
    /// The hash of its bytes.
    pub digest: String,
}

/// Of the settings that an output's states depend on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fingerprint {
    pub output: String,
    pub fingerprint: u64,
}

/// Whose checkpoint it is, and where its lane goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    pub place: Place,
    /// None where the broker does not tell.
    pub topic_id: Option<TopicId>,
    pub slot: SlotId,
    /// The first record that is not in it.
    pub next: Offset,
    pub revision: u16,
    /// What is committed with a position, in the lane's own encoding.
    pub position: Vec<u8>,
    pub components: Vec<Component>,
    pub fingerprints: Vec<Fingerprint>,
    /// Somebody put it there by hand, so a restart goes on with it though no position names it.
    pub imported: bool,
}

/// As it is written; its fields do not change within a format version.
#[derive(Serialize, Deserialize)]
struct Wire {
    pipeline: String,
    topic: String,
    topic_id: Option<[u8; 16]>,
    partition: i32,
    epoch: u32,
    sequence: u32,
    next: i64,
    revision: u16,
    position: Vec<u8>,
    components: Vec<Component>,
    fingerprints: Vec<Fingerprint>,
    imported: bool,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let wire = Wire {
            pipeline: self.place.pipeline.as_ref().to_owned(),
            topic: self.place.partition.topic.as_ref().to_owned(),
            topic_id: self.topic_id.map(|id| id.0),
            partition: self.place.partition.number,
            epoch: self.slot.epoch.0,
            sequence: self.slot.sequence.0,
            next: self.next.0,
            revision: self.revision,
            position: self.position.clone(),
            components: self.components.clone(),
            fingerprints: self.fingerprints.clone(),
            imported: self.imported,
        };
        postcard::to_allocvec(&wire).expect("plain values are written into memory")
    }

    /// From the first section of an object.
    pub(super) fn of(section: Option<Section>) -> Result<Header, Unreadable> {
        let header = section.filter(|section| section.kind == HEADER);
        let header = header.ok_or_else(|| damaged("it does not begin with its header".to_owned()))?;
        Header::decode(&header.read()?.read_rest()?)
    }

    fn decode(bytes: &[u8]) -> Result<Header, Unreadable> {
        let wire: Wire = match postcard::take_from_bytes(bytes) {
            Ok((wire, [])) => wire,
            Ok((_, rest)) => return Err(Unreadable::Damaged(format!("its header has {} bytes too many", rest.len()))),
            Err(error) => return Err(Unreadable::Damaged(format!("its header: {error}"))),
        };
        Ok(Header {
            place: Place { pipeline: Arc::from(wire.pipeline), partition: Partition::new(&wire.topic, wire.partition) },
            topic_id: wire.topic_id.map(TopicId),
            slot: SlotId { epoch: Epoch(wire.epoch), sequence: Sequence(wire.sequence) },
            next: Offset(wire.next),
            revision: wire.revision,
            position: wire.position,
            components: wire.components,
            fingerprints: wire.fingerprints,
            imported: wire.imported,
        })
    }
}
