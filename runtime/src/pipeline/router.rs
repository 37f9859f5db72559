//! What the poll thread tells the lanes: assignments, batches, idleness, revocations; and what it asks: positions to commit.
//! It never waits for a worker, except in a revocation, and there not beyond the deadline.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, unbounded};
use hashbrown::HashMap;

use restoring::Restoring;

use super::shared::Shared;
use super::slot::{LaneKey, Slot};
use super::worker::{Command, Worker};
use crate::lane::{Event, Lane};
use crate::record::{Commitment, Partition, RecordBatch, Resume};
use crate::source::{Course, Receiver, Refusal, SourceError};

mod restoring;

/// How often the shell is asked to hurry while a revocation waits: documents that a lane makes in between would wait for a
/// full bulk.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// The lanes of this process, as the poll thread knows them.
pub(crate) struct Router {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    lanes: HashMap<Partition, Arc<Slot>>,
    /// Lanes that have not begun: they wait for their checkpoint.
    restoring: HashMap<Partition, Restoring>,
    /// When a lane's next checkpoint is due.
    due: HashMap<LaneKey, Instant>,
    keys: u64,
}

impl Router {
    pub fn new(shared: Arc<Shared>, workers: Vec<Worker>) -> Self {
        Router { shared, workers, lanes: HashMap::new(), restoring: HashMap::new(), due: HashMap::new(), keys: 0 }
    }

    /// Lanes of one topic are spread evenly, since they cost alike; then all lanes.
    fn least_loaded(&self, topic: &str) -> usize {
        let mut loads = vec![(0_usize, 0_usize); self.workers.len()];
        for slot in self.lanes.values() {
            if let Some((of_topic, all)) = loads.get_mut(slot.worker) {
                *of_topic += usize::from(*slot.partition.topic == *topic);
                *all += 1;
            }
        }
        (0..loads.len()).min_by_key(|worker| loads[*worker]).unwrap_or_default()
    }

    #[cfg(test)]
    pub fn loads(&self) -> Vec<usize> {
        let lanes = |worker| self.lanes.values().filter(|slot| slot.worker == worker).count();
        (0..self.workers.len()).map(lanes).collect()
    }

    fn tell(&self, slot: &Slot, command: Command) {
        if let Some(worker) = self.workers.get(slot.worker) {
            worker.tell(command);
        }
    }

    fn begin(&mut self, partition: Partition, resume: Resume) {
        let worker = self.least_loaded(&partition.topic);
        self.keys += 1;
        let slot = Slot::new(LaneKey(self.keys), partition.clone(), worker);
        let old = self.lanes.remove(&partition);
        // The old lane stalled, or was assigned twice without a revocation: it must not go on beside the new one.
        old.iter().for_each(|old| self.drop_lane(old));
        let restoring = self.restore(&slot, &resume);
        // It may begin at a position that the group has not got yet.
        old.iter().for_each(|old| slot.commit_checkpoint(old.committed_checkpoint()));
        match restoring {
            Some(restoring) => drop(self.restoring.insert(partition, restoring)),
            None => {
                self.tell(&slot, Command::Assign { slot: slot.clone(), resume, restored: None });
                self.lanes.insert(partition, slot);
            }
        }
        self.changed();
    }

    fn drop_lane(&mut self, slot: &Slot) {
        slot.leave();
        self.due.remove(&slot.key);
        self.tell(slot, Command::Drop(slot.key));
    }

    /// The lanes have changed.
    fn changed(&mut self) {
        let restoring = self.restoring.values().map(|restoring| &restoring.slot);
        self.shared.set_lanes(self.lanes.values().chain(restoring).cloned().collect());
    }

    /// Tells lanes whose next checkpoint is due. The first of each comes at any time, so that they do not all come at once.
    fn ask_for_checkpoints(&mut self, now: Instant) {
        let Some(every) = self.shared.checkpoints.as_ref().map(|checkpoints| checkpoints.every()) else { return };
        for slot in self.lanes.values().filter(|slot| slot.has_owner()) {
            let due = self.due.entry(slot.key).or_insert_with(|| now + every.mul_f64(fastrand::f64()));
            if *due <= now
                && let Some(worker) = self.workers.get(slot.worker)
            {
                *due = now + every;
                worker.tell(Command::Checkpoint(slot.key));
            }
        }
    }

    /// Waits until nothing of these lanes is in flight, or the deadline has come. How many are not settled.
    fn settle(&self, slots: &[Arc<Slot>], deadline: Instant) -> usize {
        let (settled, told) = unbounded();
        for slot in slots {
            self.tell(slot, Command::Settle { lane: slot.key, settled: settled.clone() });
        }
        drop(settled);
        let mut waiting = slots.len();
        while waiting > 0 && Instant::now() < deadline {
            self.shared.shell.flush();
            match told.recv_deadline(deadline.min(Instant::now() + FLUSH_EVERY)) {
                Ok(_) => waiting -= 1,
                Err(RecvTimeoutError::Timeout) => {}
                // A worker is gone, and a failure told why.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        waiting
    }
}

impl Receiver for Router {
    /// The lane begins on its worker; when it cannot, the pipeline stops by that failure.
    fn assigned(&mut self, partition: Partition, resume: Resume) -> Result<(), Refusal> {
        self.begin(partition, resume);
        Ok(())
    }

    /// One batch is computed and one waits for it: more would only be read ahead, and a batch grows while it waits.
    fn ready(&self, partition: &Partition) -> bool {
        let Some(slot) = self.lanes.get(partition) else { return false };
        slot.queued_batches() == 0 && !slot.is_gone()
    }

    /// A lane that stalled begins anew at its position when it shall: its partition is read again from there.
    fn course(&mut self, partition: &Partition) -> Course {
        if let Some(course) = self.begin_restored(partition) {
            return course;
        }
        let Some(slot) = self.lanes.get(partition).filter(|slot| slot.is_stalled()) else { return Course::Onward };
        let Some(Commitment { offset, metadata }) = slot.commitment().filter(|_| slot.is_awake()) else {
            return Course::Stalled;
        };
        tracing::info!(%partition, %offset, "a lane that stalled begins again");
        // Nobody has read further than it had.
        let read = slot.status().map_or(offset, |status| status.next);
        self.begin(partition.clone(), Resume::at(offset, metadata, read, &self.shared.plan.initial_metadata()));
        match self.restoring.contains_key(partition) {
            true => Course::Stalled,
            false => Course::Again(offset),
        }
    }

    fn batch(&mut self, partition: &Partition, batch: RecordBatch) {
        // What comes before its lane begins is read again from where that does.
        let Some(slot) = self.lanes.get(partition) else { return };
        slot.queue();
        self.tell(slot, Command::Event { lane: slot.key, event: Event::Batch(Arc::new(batch)), at: Instant::now() });
    }

    fn idle(&mut self, partition: &Partition) {
        if let Some(slot) = self.lanes.get(partition) {
            self.tell(slot, Command::Event { lane: slot.key, event: Event::Idle, at: Instant::now() });
        }
    }

    fn revoked(&mut self, partitions: &[Partition], lost: bool, deadline: Instant) -> Vec<(Partition, Commitment)> {
        let slots: Vec<Arc<Slot>> = partitions.iter().filter_map(|partition| self.lanes.remove(partition)).collect();
        let restoring: Vec<Restoring> = partitions.iter().filter_map(|it| self.restoring.remove(it)).collect();
        restoring.iter().for_each(|one| one.slot.leave());
        let mut positions = Vec::new();
        if !lost {
            let unsettled = self.settle(&slots, deadline);
            self.shared.unsettled.fetch_add(unsettled, Relaxed);
            for slot in &slots {
                positions.extend(slot.commitment().map(|commitment| (slot.partition.clone(), commitment)));
            }
            // A claim that is under way must not come after that of whoever has the partition next.
            restoring.iter().for_each(|one| one.wait(deadline));
        }
        slots.iter().for_each(|slot| self.drop_lane(slot));
        self.changed();
        positions
    }

    fn commitments(&mut self) -> Vec<(Partition, Commitment)> {
        self.ask_for_checkpoints(Instant::now());
        self.lanes
            .values()
            .filter_map(|slot| slot.commitment().map(|commitment| (slot.partition.clone(), commitment)))
            .collect()
    }

    fn committed(&mut self, partition: &Partition, position: &Commitment) {
        let Some(slot) = self.lanes.get(partition).filter(|slot| slot.has_owner()) else { return };
        let Commitment { offset, metadata } = position.clone();
        // What is wrong with a position its lane said already.
        if let Ok(Some(wanted)) =
            Lane::wanted(&self.shared.plan, partition, &Resume::Position { offset, metadata, log_end: offset })
        {
            slot.commit_checkpoint(wanted.named.map(|named| named.slot));
        }
    }

    fn failed(&mut self, error: SourceError) {
        self.shared.fail(error.into());
    }
}
