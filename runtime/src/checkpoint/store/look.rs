//! What is in a store, for those who look at it from outside: it claims nothing and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::super::place::Named;
use super::super::{CheckpointError, Header, Place, SlotId, frame};
use super::{Kept, Store, named, named_right, newest_first};
use crate::record::Partition;

/// So much of an object has its header in it, and nearly always little else.
const START_BYTES: u64 = 16 << 10;

impl Store {
    /// The partitions of a pipeline that were ever claimed, each with its checkpoints, newest first.
    pub async fn partitions(&self, pipeline: &Arc<str>) -> Result<Vec<(Place, Vec<Kept>)>, CheckpointError> {
        let mut partitions: BTreeMap<Partition, Vec<Kept>> = BTreeMap::new();
        for object in self.objects.list(pipeline).await? {
            let [topic, number, name @ ..] = object.segments.as_slice() else { continue };
            let Some(number) = number.parse().ok().filter(|parsed: &i32| parsed.to_string() == *number) else {
                continue;
            };
            let Some(named) = named(name) else { continue };
            let kept = partitions.entry(Partition::new(topic, number)).or_default();
            if let Named::Slot(slot) = named {
                kept.push(Kept { slot, bytes: object.bytes, modified: object.modified });
            }
        }
        let place = |partition| Place { pipeline: pipeline.clone(), partition };
        Ok(partitions.into_iter().map(|(partition, kept)| (place(partition), newest_first(kept))).collect())
    }

    /// What a checkpoint says of itself. The rest of it is not looked at.
    pub async fn header(&self, place: &Place, kept: &Kept) -> Result<Header, CheckpointError> {
        let object = format!("{place}/{}", kept.slot);
        let start_bytes = START_BYTES.min(kept.bytes);
        let missing = || CheckpointError::Missing { object: object.clone() };
        let start = self.objects.get_start(&object, start_bytes).await?.ok_or_else(missing)?;
        let read = match frame::first_section(&start) {
            Err(_) if start_bytes < kept.bytes => frame::first_section(&self.object(place, kept.slot).await?),
            read => read,
        };
        match read.and_then(|section| Header::of(Some(section))) {
            Ok(header) => named_right(&object, &header, place, kept.slot).map(|()| header),
            Err(why) => Err(CheckpointError::Unreadable { object, why }),
        }
    }

    /// A checkpoint as it lies there, whatever it is.
    pub async fn object(&self, place: &Place, slot: SlotId) -> Result<Bytes, CheckpointError> {
        let object = format!("{place}/{slot}");
        self.objects.get(&object).await?.ok_or(CheckpointError::Missing { object })
    }
}
