//! The store: claims, slots below them, and what may be done with both.

use std::ffi::OsString;
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;

use super::decode::Contents;
use super::objects::{Listed, Objects, Put};
use super::place::Named;
use super::{Checkpoint, CheckpointError, Epoch, Header, Place, Sequence, SlotId, Unreadable, location, retention};

mod copies;
mod lines;
mod look;
mod restore;
mod self_test;

pub use lines::PutLines;
pub use restore::{CheckpointId, Wanted};

/// Beside the pipelines, whose names hold no `@`.
const ID: &str = "@store";

/// As many lost races for an epoch are no races: a store that says to all that something is there.
const CLAIMS_MAX: u32 = 1000;

/// A place for checkpoints or an archive, of any number of pipelines. Clones are one and the same.
///
/// Requests that fail for a moment are sent again; what fails for longer, or may not be done, is an error, and the caller decides. Any
/// call may be dropped: what it asked for may still be done, or not.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Objects,
}

/// Tells a store from all others, however it is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreId(pub u128);

impl StoreId {
    pub fn random() -> Self {
        StoreId(fastrand::u128(..))
    }
}

/// Tells who claims from all others: a number that nobody else draws.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClaimToken(pub u128);

impl ClaimToken {
    pub fn random() -> Self {
        ClaimToken(fastrand::u128(..))
    }
}

/// Who may put checkpoints of a partition, until another claims it.
#[derive(Debug)]
pub struct Owner {
    place: Place,
    epoch: Epoch,
    next: Sequence,
}

/// A slot that nobody has put anything into; it is for one attempt.
#[derive(Debug)]
pub struct Slot {
    place: Place,
    id: SlotId,
}

/// A checkpoint that is in the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    pub slot: SlotId,
    pub bytes: u64,
    pub modified: Timestamp,
}

/// The newest checkpoint that is whole, and the newer ones that are not.
#[derive(Clone, Debug)]
pub struct Found {
    pub checkpoint: Checkpoint,
    pub damaged: Vec<Damaged>,
}

/// A checkpoint that was passed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damaged {
    pub slot: SlotId,
    pub what: String,
}

impl Store {
    /// The store at a URL, with the ways in that the environment has.
    pub fn at(url: &str) -> Result<Store, CheckpointError> {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Store::open(url, &std::env::vars_os().filter_map(text).collect::<Vec<_>>())
    }

    /// The store at a URL: `file:///…`, `s3://…`, `gs://…`, `az://…`; `memory:///` is one that is gone with the process. Nothing is
    /// asked yet. `options` are credentials and the like, named as in the environment (`AWS_ENDPOINT_URL`, …); others are passed over.
    pub fn open(url: &str, options: &[(String, String)]) -> Result<Store, CheckpointError> {
        Ok(Store { objects: location::open(url, options)? })
    }

    #[cfg(test)]
    pub(super) fn over(objects: Objects) -> Store {
        Store { objects }
    }

    pub fn location(&self) -> &str {
        self.objects.location()
    }

    /// The store's id, which is `fresh` when it has none yet.
    pub async fn id(&self, fresh: StoreId) -> Result<StoreId, CheckpointError> {
        match self.objects.put_new(ID, &Bytes::from(format!("{fresh}\n"))).await? {
            Put::Done => Ok(fresh),
            Put::Taken(id) => read_id(ID, &id),
        }
    }

    /// An error when the store is another one than this, or none yet.
    pub async fn require(&self, expected: StoreId) -> Result<(), CheckpointError> {
        let found = self.objects.get(ID).await?.map(|id| read_id(ID, &id)).transpose()?;
        if found == Some(expected) {
            return Ok(());
        }
        let found = found.map_or_else(|| "none".to_owned(), |id| id.to_string());
        Err(CheckpointError::OtherStore { location: self.location().to_owned(), expected, found })
    }

    /// Claims the next epoch of a partition: from here on all earlier owners are told that they are none. `token` is for this call
    /// alone. What is to be restored is looked for afterwards, so that nothing newer can come.
    pub async fn claim(&self, place: Place, token: ClaimToken) -> Result<Owner, CheckpointError> {
        self.claim_after(place, token, 0).await
    }

    /// Claims an epoch that is so many above the next one.
    async fn claim_after(&self, place: Place, token: ClaimToken, epochs: u32) -> Result<Owner, CheckpointError> {
        let listed = self.objects.list(&place.to_string()).await?;
        let mut epoch = listed.iter().filter_map(|object| named(&object.segments)).map(Named::epoch).max();
        let claim = Bytes::from(format!("{:032x}\n", token.0));
        for _ in 0..CLAIMS_MAX {
            let taken = epoch.map_or(0, |epoch| epoch.0);
            let Some(next) = epochs.checked_add(1).and_then(|above| taken.checked_add(above)).map(Epoch) else {
                return Err(CheckpointError::NoEpochLeft { partition: place.partition, epoch: Epoch(taken) });
            };
            match self.objects.put_new(&format!("{place}/{}", Named::Claim(next)), &claim).await? {
                Put::Done => return Ok(Owner { place, epoch: next, next: Sequence(1) }),
                Put::Taken(_) => epoch = Some(next),
            }
        }
        let what = format!("it says of {CLAIMS_MAX} objects in turn that they are there, and did not list them");
        Err(CheckpointError::NoPutIfAbsent { location: self.location().to_owned(), what })
    }

    /// Puts a checkpoint. `Ok` says that it is durable, and that nobody had claimed a later epoch when it was: only then may the
    /// position be committed. With an error it may be there nevertheless, now or later, and does no harm.
    pub async fn put(&self, slot: Slot, object: impl Into<Bytes>) -> Result<SlotId, CheckpointError> {
        let Slot { place, id } = slot;
        let name = format!("{place}/{id}");
        match self.objects.put_new(&name, &object.into()).await? {
            Put::Done => {}
            Put::Taken(_) => return Err(CheckpointError::SlotTaken { object: name }),
        }
        let own = format!("{place}/{}", Named::Claim(id.epoch));
        let later = |object: &Listed| named(&object.segments).map(Named::epoch).filter(|epoch| *epoch > id.epoch);
        match self.objects.find_after(&place.to_string(), &own, later).await? {
            Some(later) => Err(CheckpointError::Fenced { partition: place.partition.clone(), epoch: id.epoch, later }),
            None => Ok(id),
        }
    }

    /// The checkpoints of a partition, newest first.
    pub async fn list(&self, place: &Place) -> Result<Vec<Kept>, CheckpointError> {
        let listed = self.objects.list(&place.to_string()).await?;
        let kept = listed.into_iter().filter_map(|object| match named(&object.segments)? {
            Named::Slot(slot) => Some(Kept { slot, bytes: object.bytes, modified: object.modified }),
            Named::Claim(_) => None,
        });
        Ok(newest_first(kept.collect()))
    }

    /// A checkpoint, where it is whole and what its name says.
    pub async fn read(&self, place: &Place, slot: SlotId) -> Result<Checkpoint, CheckpointError> {
        let object = format!("{place}/{slot}");
        let bytes = self.object(place, slot).await?;
        let checkpoint = match Checkpoint::open(&bytes) {
            Ok(checkpoint) => checkpoint,
            Err(why) => return Err(CheckpointError::Unreadable { object, why }),
        };
        named_right(&object, checkpoint.header(), place, slot).map(|()| checkpoint)
    }

    /// Reads all of a checkpoint.
    pub async fn verify(&self, place: &Place, slot: SlotId) -> Result<Contents, CheckpointError> {
        let contents = self.read(place, slot).await?.contents();
        contents.map_err(|why| CheckpointError::Unreadable { object: format!("{place}/{slot}"), why })
    }

    /// Deletes all checkpoints of a partition but those that are newer than `committed`, which the group's position names, it and the two
    /// before it, and for a day one of each hour; those that went. Claims stay.
    pub async fn delete_old(&self, place: &Place, committed: SlotId) -> Result<Vec<SlotId>, CheckpointError> {
        let kept: Vec<_> = self.list(place).await?.iter().map(|kept| (kept.slot, kept.modified)).collect();
        let old = retention::old(&kept, committed);
        for slot in &old {
            self.objects.delete(&format!("{place}/{slot}")).await?;
        }
        Ok(old)
    }
}

impl Owner {
    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The slot of the next checkpoint. None is given twice: what was put into one and given up may still come, and must then
    /// be older than what has been put since.
    pub fn next_slot(&mut self) -> Slot {
        let id = SlotId { epoch: self.epoch, sequence: self.next };
        // No process lives so long; the last slot would be found taken.
        self.next = Sequence(self.next.0.saturating_add(1));
        Slot { place: self.place.clone(), id }
    }
}

impl Slot {
    pub fn id(&self) -> SlotId {
        self.id
    }
}

fn named(segments: &[String]) -> Option<Named> {
    match segments {
        [epoch, last] => Named::parse(epoch, last),
        _ => None,
    }
}

fn newest_first(mut kept: Vec<Kept>) -> Vec<Kept> {
    kept.sort_unstable_by_key(|kept| std::cmp::Reverse(kept.slot));
    kept
}

/// Whether a checkpoint is the one that its name says.
fn named_right(object: &str, header: &Header, place: &Place, slot: SlotId) -> Result<(), CheckpointError> {
    if (&header.place, header.slot) == (place, slot) {
        return Ok(());
    }
    Err(CheckpointError::Foreign { object: object.to_owned(), found: format!("{}/{}", header.place, header.slot) })
}

fn read_id(object: &str, bytes: &[u8]) -> Result<StoreId, CheckpointError> {
    let text = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_suffix('\n'));
    let id = text.filter(|text| text.len() == 32).and_then(|text| u128::from_str_radix(text, 16).ok());
    let damaged = || {
        Unreadable::Damaged(format!("an id is 32 hexadecimal digits and a line's end, here are {} bytes", bytes.len()))
    };
    id.map(StoreId).ok_or_else(|| CheckpointError::Unreadable { object: object.to_owned(), why: damaged() })
}

/// 32 hexadecimal digits.
impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
