//! The store of checkpoints: the real one, over objects in memory, and what goes wrong between it and those who write.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use futures_util::FutureExt;
use tidegate::checkpoint::{CheckpointError, CheckpointId, ClaimToken, Owner, Place, Slot, Store, StoreId, Wanted};
use tidegate::lane::Frozen;
use tidegate::record::Partition;

use super::actor::Claimed;

const PIPELINE: &str = "simulated";

pub struct Checkpoints {
    store: Store,
    /// Nobody can claim a partition, and nothing is put.
    pub is_down: bool,
    pipeline: Arc<str>,
    claims: u128,
    /// Given up by those who wrote them, and still under way.
    late: Vec<(Slot, Vec<u8>)>,
    /// How many of a partition are in the store as they were written, by who was its owner then.
    whole: BTreeMap<Partition, usize>,
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
    pub fn new() -> Self {
        let store = Store::open("memory:///", &[]).expect("memory is a store");
        assert_eq!(now(store.id(STORE)), Ok(STORE));
        Checkpoints {
            store,
            is_down: false,
            pipeline: PIPELINE.into(),
            claims: 0,
            late: Vec::new(),
            whole: BTreeMap::new(),
        }
    }

    pub fn claim(&mut self, partition: &Partition, wanted: &Wanted) -> Result<Claimed, String> {
        let place = Place { pipeline: self.pipeline.clone(), partition: partition.clone() };
        self.claims += 1;
        let owner = now(self.store.claim(place.clone(), ClaimToken(self.claims))).map_err(|error| error.to_string())?;
        let found = now(self.store.to_restore(&place, wanted)).map_err(|error| error.to_string())?;
        Ok(Claimed { owner, store: STORE, found })
    }

    /// From here on nothing can be restored that is there.
    pub fn rewound(&mut self) {
        self.whole.clear();
    }

    /// With `faults`, some puts fail, some fail and are done nevertheless, now or later, and some are damaged, cut short or lost afterwards.
    pub fn save(&mut self, owner: &mut Owner, is_zombie: bool, frozen: &Frozen, faults: Option<&mut Rng>) -> Saved {
        let slot = owner.next_slot();
        if self.is_down {
            return Saved::Kept(None);
        }
        let mut object = frozen.encode(&self.pipeline, slot.id());
        let (fate, bit) = faults.map_or((u8::MAX, 0), |rng| (rng.u8(..12), rng.usize(..object.len() * 8)));
        let whole = self.whole.entry(frozen.partition().clone()).or_default();
        match fate {
            0 => return Saved::Kept(None),
            1 => {
                self.late.push((slot, object));
                return Saved::Kept(None);
            }
            // Where no other is whole nothing could be restored, and nothing would be.
            2 if *whole > 0 => object[bit / 8] ^= 1 << (bit % 8),
            3 if *whole > 0 => object.truncate(bit / 8),
            // It is kept, and is gone when somebody looks for it.
            5 if *whole > 0 => return Saved::Kept(Some(CheckpointId { store: STORE, slot: slot.id() })),
            // One of before a rewind is not restored.
            _ => *whole += usize::from(!is_zombie),
        }
        match now(self.store.put(slot, object)) {
            Ok(_) if fate == 4 => Saved::Kept(None),
            Ok(slot) => Saved::Kept(Some(CheckpointId { store: STORE, slot })),
            Err(CheckpointError::Fenced { .. }) => Saved::Fenced,
            // Nobody else may write with this claim.
            Err(error) => Saved::Wrong(error.to_string()),
        }
    }

    /// Whether its writer is the owner still does not matter: nobody hears the answer.
    pub fn put_late(&mut self, rng: &mut Rng) {
        if !self.late.is_empty() {
            let (slot, object) = self.late.swap_remove(rng.usize(..self.late.len()));
            let _ = now(self.store.put(slot, object));
        }
    }
}

/// A store in memory never waits.
fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("it is there at once")
}
