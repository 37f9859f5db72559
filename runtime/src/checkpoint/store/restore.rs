//! What the owner of a partition goes on with.

use crate::checkpoint::{CheckpointError, Place, SlotId, TopicId, Unreadable};
use crate::record::Offset;

use super::{Damaged, Found, Kept, Store, StoreId};

/// A checkpoint, wherever it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckpointId {
    pub store: StoreId,
    pub slot: SlotId,
}

/// What is known of a partition before its checkpoints are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Wanted {
    /// The group's position; none where it has none.
    pub position: Option<Offset>,
    /// The checkpoint that was committed with the position; none where the position needs none.
    pub named: Option<CheckpointId>,
    /// Checkpoints of an earlier revision are of before a rewind, all but the one that is named.
    pub revision: u16,
    /// None where the broker does not tell.
    pub topic_id: Option<TopicId>,
}

impl Store {
    /// The checkpoint that was committed with the position, or the newest one before it that is whole: then more is read again. None
    /// where the position is all that is needed, and without a position the newest. One that is newer and not committed is of an owner
    /// that may have been one no more: what came of its records was done by others since, maybe with other components. But for one that
    /// was imported. Damage is passed over; a checkpoint that is whole and cannot be understood is not, nor one of something else, nor a
    /// store that does not answer.
    pub async fn to_restore(&self, place: &Place, wanted: &Wanted) -> Result<Option<Found>, CheckpointError> {
        if let Some(named) = wanted.named {
            self.require(named.store).await?;
        }
        let mut damaged: Vec<Damaged> = Vec::new();
        for Kept { slot, .. } in self.list(place).await? {
            let what = match self.read(place, slot).await {
                Ok(checkpoint) => {
                    let header = checkpoint.header();
                    if header.revision < wanted.revision {
                        match wanted.named {
                            Some(named) if named.slot == slot => {}
                            Some(_) => continue,
                            None => break,
                        }
                    }
                    if let (Some(now), Some(then)) = (wanted.topic_id, header.topic_id)
                        && now != then
                    {
                        return Err(CheckpointError::OtherTopic { partition: place.partition.clone() });
                    }
                    let is_committed = wanted.named.is_some_and(|named| slot <= named.slot);
                    if wanted.position.is_some() && !is_committed && !header.imported {
                        continue;
                    }
                    let is_ahead = wanted.position.is_none_or(|position| header.next > position);
                    return Ok((is_ahead || wanted.named.is_some()).then_some(Found { checkpoint, damaged }));
                }
                Err(CheckpointError::Unreadable { why: Unreadable::Damaged(what), .. }) => what,
                Err(CheckpointError::Missing { .. }) => "it vanished while it was looked for".to_owned(),
                Err(error) => return Err(error),
            };
            damaged.push(Damaged { slot, what });
        }
        let needs_one = wanted.named.is_some() || (wanted.position.is_none() && !damaged.is_empty());
        if !needs_one {
            return Ok(None);
        }
        let mut words: Vec<String> = damaged.iter().map(|one| format!("{}: {}", one.slot, one.what)).collect();
        if let Some(named) = wanted.named.filter(|named| damaged.iter().all(|one| one.slot != named.slot)) {
            words.insert(0, format!("{}, which the position was committed with, is not there", named.slot));
        }
        Err(CheckpointError::NoneReadable { partition: place.partition.clone(), damaged: words.join("; ") })
    }
}
