//! What a lane's worker, the poll thread and the console share about it: a few numbers, and one lock that is taken once a
//! step.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::checkpoint::{Owner, Slot as StoreSlot, SlotId};
use crate::lane::{LaneError, LaneStatus};
use crate::record::{Commitment, Partition};

/// One assignment of a partition: a partition that comes back gets another, so that a late answer finds nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct LaneKey(pub u64);

#[derive(Debug)]
pub(crate) struct Slot {
    pub key: LaneKey,
    pub partition: Partition,
    /// The worker that owns the lane.
    pub worker: usize,
    queued_batches: AtomicUsize,
    in_flight_bytes: AtomicUsize,
    /// The lane is not to do anything more: it was lost, or it failed.
    gone: AtomicBool,
    /// The lane failed, and may begin anew with a better component.
    stalled: AtomicBool,
    /// It shall.
    awake: AtomicBool,
    /// Who may make checkpoints of the partition; none where none are made.
    owner: Mutex<Option<Owner>>,
    /// The checkpoint that the group's position names, as far as is known.
    committed: Mutex<Option<SlotId>>,
    published: Mutex<Published>,
}

/// What a lane said of itself after its last step.
#[derive(Clone, Default, Debug)]
struct Published {
    /// None until the lane has begun.
    commitment: Option<Commitment>,
    status: Option<LaneStatus>,
    /// Why it goes no further.
    blocked: Option<String>,
}

impl Slot {
    pub fn new(key: LaneKey, partition: Partition, worker: usize) -> Arc<Self> {
        Arc::new(Slot {
            key,
            partition,
            worker,
            queued_batches: AtomicUsize::new(0),
            in_flight_bytes: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            awake: AtomicBool::new(false),
            owner: Mutex::default(),
            committed: Mutex::default(),
            published: Mutex::default(),
        })
    }

    pub fn queue(&self) {
        self.queued_batches.fetch_add(1, Relaxed);
    }

    pub fn unqueue(&self) {
        self.queued_batches.fetch_sub(1, Relaxed);
    }

    pub fn queued_batches(&self) -> usize {
        self.queued_batches.load(Relaxed)
    }

    pub fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes.load(Relaxed)
    }

    /// Bytes of an effect, until its answer drops the guard.
    pub fn fly(self: &Arc<Self>, bytes: usize) -> InFlight {
        self.in_flight_bytes.fetch_add(bytes, Relaxed);
        InFlight { slot: self.clone(), bytes }
    }

    pub fn leave(&self) {
        self.gone.store(true, Relaxed);
    }

    pub fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    /// The lane has not begun, and waits.
    pub fn wait_for(&self, why: String) {
        self.lock().blocked = Some(why);
    }

    /// The partition was claimed.
    pub fn own(&self, owner: Owner) {
        self.lock().blocked = None;
        *self.owner.lock().unwrap_or_else(PoisonError::into_inner) = Some(owner);
    }

    pub fn has_owner(&self) -> bool {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Where its next checkpoint goes.
    pub fn next_checkpoint(&self) -> Option<StoreSlot> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(Owner::next_slot)
    }

    /// The group has a position that names this checkpoint, or none.
    pub fn commit_checkpoint(&self, named: Option<SlotId>) {
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner) = named;
    }

    pub fn committed_checkpoint(&self) -> Option<SlotId> {
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lane goes no further; its position is where it was.
    pub fn stall(&self, why: String) {
        self.lock().blocked = Some(why);
        self.leave();
        self.stalled.store(true, Relaxed);
    }

    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    pub fn wake(&self) {
        self.awake.store(true, Relaxed);
    }

    pub fn is_awake(&self) -> bool {
        self.awake.load(Relaxed)
    }

    pub fn publish(&self, commitment: Commitment, status: LaneStatus, blocked: Option<&LaneError>) {
        let blocked = blocked.map(LaneError::to_string);
        *self.lock() = Published { commitment: Some(commitment), status: Some(status), blocked };
    }

    pub fn blocked(&self) -> Option<String> {
        self.lock().blocked.clone()
    }

    pub fn status(&self) -> Option<LaneStatus> {
        self.lock().status.clone()
    }

    pub fn commitment(&self) -> Option<Commitment> {
        self.lock().commitment.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes in flight for a lane; dropping it takes them off.
#[derive(Debug)]
pub(crate) struct InFlight {
    slot: Arc<Slot>,
    bytes: usize,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.slot.in_flight_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_in_flight_until_the_answer() {
        let slot = Slot::new(LaneKey(1), Partition::new("t", 0), 0);
        let guard = slot.fly(10);
        assert_eq!(slot.in_flight_bytes(), 10);
        drop(guard);
        assert_eq!(slot.in_flight_bytes(), 0);
    }
}
