//! Copies of a store's checkpoints in another location, and how that one takes the place of a store that is lost.

use bytes::Bytes;

use super::super::objects::Put;
use super::super::{CheckpointError, Place, SlotId};
use super::{ClaimToken, ID, Owner, Store, StoreId, read_id};

/// Beside the pipelines, whose names hold no `@`.
const COPY_OF: &str = "@copy-of";

/// Copies may be behind the store that is lost by some owners. So many have none in their lives.
const EPOCHS_APART: u32 = 1000;

impl Store {
    /// Puts a checkpoint of another store, under the same name; where it is already, nothing happens. No claim is needed: what is
    /// copied was put by the partition's owner.
    pub async fn copy_in(&self, place: &Place, slot: SlotId, object: Bytes) -> Result<(), CheckpointError> {
        let name = format!("{place}/{slot}");
        match self.objects.put_new(&name, &object).await? {
            Put::Done => Ok(()),
            Put::Taken(_) => Err(CheckpointError::SlotTaken { object: name }),
        }
    }

    /// Says whose copies are here, before the first is put; once for all.
    pub async fn mark_copy_of(&self, original: StoreId) -> Result<(), CheckpointError> {
        let found = match self.objects.put_new(COPY_OF, &Bytes::from(format!("{original}\n"))).await? {
            Put::Done => return Ok(()),
            Put::Taken(found) => read_id(COPY_OF, &found)?,
        };
        let location = self.location().to_owned();
        (found == original).then_some(()).ok_or(CheckpointError::CopyOfOther { location, expected: original, found })
    }

    /// The store whose copies are here, where this one can take its place.
    pub async fn copy_of(&self) -> Result<StoreId, CheckpointError> {
        let location = self.location().to_owned();
        let Some(original) = self.objects.get(COPY_OF).await? else { return Err(CheckpointError::NoCopy { location }) };
        let original = read_id(COPY_OF, &original)?;
        match self.objects.get(ID).await?.map(|own| read_id(ID, &own)).transpose()? {
            Some(own) if own != original => Err(CheckpointError::StoreOfItsOwn { location, original, own }),
            Some(_) | None => Ok(original),
        }
    }

    /// Becomes the store whose copies are here, which is lost: positions that were committed with that one are taken as those of this
    /// one. Each partition is to be claimed with [`Store::claim_far`] before.
    pub async fn promote(&self) -> Result<StoreId, CheckpointError> {
        let original = self.copy_of().await?;
        match self.id(original).await? {
            own if own == original => Ok(original),
            own => Err(CheckpointError::StoreOfItsOwn { location: self.location().to_owned(), original, own }),
        }
    }

    /// As [`Store::claim`], with an epoch that is above all that a lost store can have given, of which this one has copies.
    pub async fn claim_far(&self, place: Place, token: ClaimToken) -> Result<Owner, CheckpointError> {
        self.claim_after(place, token, EPOCHS_APART).await
    }
}
