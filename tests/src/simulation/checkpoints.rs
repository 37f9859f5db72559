//! The stores of checkpoints, the one that decides and one with copies: the real ones, over objects in memory, and what goes wrong
//! between them and those who write.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use futures_util::FutureExt;
use tidegate::checkpoint::{
    CheckpointError, CheckpointId, ClaimToken, Owner, Place, Slot, SlotId, Store, StoreId, Wanted,
};
use tidegate::lane::Frozen;
use tidegate::record::Partition;

use super::actor::Claimed;

const PIPELINE: &str = "simulated";

pub struct Checkpoints {
    store: Store,
    /// Nobody can claim a partition, and nothing is put.
    pub is_down: bool,
    copy: Store,
    pub copy_is_down: bool,
    /// Nothing is committed before it is copied.
    copies_first: bool,
    pipeline: Arc<str>,
    claims: u128,
    /// Given up by those who wrote them, and still under way.
    late: Vec<(Slot, Vec<u8>)>,
    /// What is in the store of a partition.
    there: BTreeMap<Partition, BTreeMap<SlotId, Object>>,
}

#[derive(Clone, Copy)]
struct Object {
    /// It is as it was written.
    is_whole: bool,
    /// An owner wrote it, since the last rewind.
    is_current: bool,
}

/// A checkpoint on its way.
pub struct Saving<'a> {
    pub frozen: &'a Frozen,
    /// The partition is another's, whether or not its writer knows.
    pub is_zombie: bool,
    /// The checkpoint of the newest position of which its writer knows that the group has it.
    pub committed: Option<SlotId>,
}

/// What became of a checkpoint, as its writer knows it.
#[derive(Debug)]
pub enum Saved {
    /// Or, none, not surely.
    Kept(Option<CheckpointId>),
    Fenced,
    /// What cannot happen to an owner.
    Wrong(String),
}

const STORE: StoreId = StoreId(7);

impl Checkpoints {
    pub fn new(copies_first: bool) -> Self {
        let store = empty();
        assert_eq!(now(store.id(STORE)), Ok(STORE));
        Checkpoints {
            store,
            is_down: false,
            copy: empty(),
            copy_is_down: false,
            copies_first,
            pipeline: PIPELINE.into(),
            claims: 0,
            late: Vec::new(),
            there: BTreeMap::new(),
        }
    }

    fn place(&self, partition: &Partition) -> Place {
        Place { pipeline: self.pipeline.clone(), partition: partition.clone() }
    }

    pub fn claim(&mut self, partition: &Partition, wanted: &Wanted) -> Result<Claimed, String> {
        let place = self.place(partition);
        self.claims += 1;
        let owner = now(self.store.claim(place.clone(), ClaimToken(self.claims))).map_err(|error| error.to_string())?;
        let found = now(self.store.to_restore(&place, wanted)).map_err(|error| error.to_string())?;
        Ok(Claimed { owner, store: STORE, found, named: wanted.named.map(|named| named.slot) })
    }

    /// From here on nothing can be restored that is there.
    pub fn rewound(&mut self) {
        self.there.values_mut().flat_map(BTreeMap::values_mut).for_each(|object| object.is_current = false);
    }

    /// With `faults`, some puts fail, some fail and are done nevertheless, now or later, some are damaged, cut short or lost
    /// afterwards, and some are not copied.
    pub fn save(&mut self, owner: &mut Owner, saving: &Saving<'_>, faults: Option<&mut Rng>) -> Saved {
        let slot = owner.next_slot();
        if self.is_down {
            return Saved::Kept(None);
        }
        let frozen = saving.frozen;
        let (id, whole) = (slot.id(), frozen.encode(&self.pipeline, slot.id()));
        let mut object = whole.clone();
        let draw = |rng: &mut Rng| (rng.u8(..12), rng.usize(..object.len() * 8), rng.u8(..4) > 0);
        let (fate, bit, copies) = faults.map_or((u8::MAX, 0, true), draw);
        let there = self.there.entry(frozen.partition().clone()).or_default();
        // Where no other is whole nothing could be restored, and nothing would be; and of the oldest ones nobody knows how long they stay.
        let may_be_lost = there.values().rev().take(2).any(|object| object.is_whole && object.is_current);
        match fate {
            0 => return Saved::Kept(None),
            1 => {
                self.late.push((slot, object));
                return Saved::Kept(None);
            }
            2 if may_be_lost => object[bit / 8] ^= 1 << (bit % 8),
            3 if may_be_lost => object.truncate(bit / 8),
            // It is kept, and is gone when somebody looks for it.
            5 if may_be_lost => return Saved::Kept(Some(CheckpointId { store: STORE, slot: id })),
            _ => {}
        }
        there.insert(id, Object { is_whole: object == whole, is_current: !saving.is_zombie });
        let place = self.place(frozen.partition());
        let kept = match now(self.store.put(slot, object)) {
            Ok(_) if fate == 4 => return Saved::Kept(None),
            Ok(slot) => slot,
            Err(CheckpointError::Fenced { .. }) => return Saved::Fenced,
            // Nobody else may write with this claim.
            Err(error) => return Saved::Wrong(error.to_string()),
        };
        let is_copied = copies && !self.copy_is_down;
        if is_copied && let Err(error) = self.copy(&place, kept, whole) {
            return Saved::Wrong(error.to_string());
        }
        if self.copies_first && !is_copied {
            return Saved::Kept(None);
        }
        match self.delete_old(&place, saving.committed.unwrap_or(kept)) {
            Ok(()) => Saved::Kept(Some(CheckpointId { store: STORE, slot: kept })),
            Err(error) => Saved::Wrong(error.to_string()),
        }
    }

    fn copy(&self, place: &Place, slot: SlotId, object: Vec<u8>) -> Result<(), CheckpointError> {
        now(self.copy.mark_copy_of(STORE))?;
        now(self.copy.copy_in(place, slot, object.into()))
    }

    fn delete_old(&mut self, place: &Place, committed: SlotId) -> Result<(), CheckpointError> {
        let gone = now(self.store.delete_old(place, committed))?;
        self.there.entry(place.partition.clone()).or_default().retain(|slot, _| !gone.contains(slot));
        if !self.copy_is_down {
            now(self.copy.delete_old(place, committed))?;
        }
        Ok(())
    }

    /// The store is lost, and that with the copies takes its place, where it has what these positions need. Nobody has a partition.
    pub fn promote(&mut self, positions: &[(Partition, Wanted)]) -> Result<bool, String> {
        let has_all = positions.iter().all(|(partition, wanted)| self.is_copied(partition, wanted));
        if self.copy_is_down || !has_all || now(self.copy.copy_of()).is_err() {
            return Ok(false);
        }
        let told = |error: CheckpointError| error.to_string();
        let copied = now(self.copy.partitions(&self.pipeline)).map_err(told)?;
        let before = std::mem::take(&mut self.there);
        for (place, kept) in copied {
            self.claims += 1;
            now(self.copy.claim_far(place.clone(), ClaimToken(self.claims))).map_err(told)?;
            let known = before.get(&place.partition);
            let is_current = |slot| known.and_then(|known| known.get(slot)).is_some_and(|object| object.is_current);
            let copies =
                kept.iter().map(|kept| (kept.slot, Object { is_whole: true, is_current: is_current(&kept.slot) }));
            self.there.insert(place.partition, copies.collect());
        }
        now(self.copy.promote()).map_err(told)?;
        self.store = std::mem::replace(&mut self.copy, empty());
        self.late.clear();
        self.is_down = false;
        Ok(true)
    }

    fn is_copied(&self, partition: &Partition, wanted: &Wanted) -> bool {
        let Some(named) = wanted.named else { return true };
        let place = self.place(partition);
        let of_revision =
            |slot| now(self.copy.read(&place, slot)).is_ok_and(|it| it.header().revision >= wanted.revision);
        let copied = now(self.copy.list(&place)).unwrap_or_default();
        copied.iter().any(|kept| kept.slot == named.slot || kept.slot < named.slot && of_revision(kept.slot))
    }

    /// Whether its writer is the owner still does not matter: nobody hears the answer.
    pub fn put_late(&mut self, rng: &mut Rng) {
        if !self.late.is_empty() {
            let (slot, object) = self.late.swap_remove(rng.usize(..self.late.len()));
            let _ = now(self.store.put(slot, object));
        }
    }
}

fn empty() -> Store {
    Store::open("memory:///", &[]).expect("memory is a store")
}

/// A store in memory never waits.
fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("it is there at once")
}
