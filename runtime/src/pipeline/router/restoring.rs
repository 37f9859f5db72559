//! Lanes that begin with a checkpoint: while it is looked for, their partitions are not read.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::Router;
use crate::checkpoint::CheckpointError;
use crate::lane::Lane;
use crate::pipeline::PipelineError;
use crate::pipeline::checkpoints::Begun;
use crate::pipeline::slot::Slot;
use crate::pipeline::worker::{Command, Restored};
use crate::record::{Partition, Resume};
use crate::source::Course;

/// A lane that has not begun.
pub(super) struct Restoring {
    pub slot: Arc<Slot>,
    resume: Resume,
    begun: Receiver<Result<Begun, CheckpointError>>,
}

impl Restoring {
    /// Until nothing is asked of the store any more.
    pub fn wait(&self, deadline: Instant) {
        let _ = self.begun.recv_deadline(deadline);
    }
}

impl Router {
    /// Claims the partition of a lane and looks for its checkpoint, where its lanes make any.
    pub(super) fn restore(&self, slot: &Arc<Slot>, resume: &Resume) -> Option<Restoring> {
        let checkpoints = self.shared.checkpoints.as_ref()?;
        // What is wrong with the position the lane says itself.
        let wanted = Lane::wanted(&self.shared.plan, &slot.partition, resume).ok()??;
        slot.commit_checkpoint(wanted.named.map(|named| named.slot));
        let (tell, begun) = bounded(1);
        checkpoints.begin(slot, wanted, move |begun| drop(tell.send(begun)));
        Some(Restoring { slot: slot.clone(), resume: resume.clone(), begun })
    }

    /// The lane begins when its checkpoint was found, and its partition is read from there.
    pub(super) fn begin_restored(&mut self, partition: &Partition) -> Option<Course> {
        let restoring = self.restoring.get(partition)?;
        let begun = match restoring.begun.try_recv() {
            Ok(begun) => begun,
            // Nobody asks the store any more: everything stops.
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Some(Course::Stalled),
        };
        let Restoring { slot, resume, .. } = self.restoring.remove(partition)?;
        let Begun { owner, found } = match begun {
            Ok(begun) => begun,
            Err(error) => {
                slot.leave();
                let error = Box::new(error);
                self.shared.fail(PipelineError::Checkpoint { partition: partition.clone(), error });
                return Some(Course::Stalled);
            }
        };
        slot.own(owner);
        let position = resume.offset();
        let store = self.shared.checkpoints.as_ref()?.id();
        let restored = found.map(|found| Restored { checkpoint: found.checkpoint, store });
        let next = restored.as_ref().map_or(position, |restored| restored.checkpoint.header().next);
        if let Some(Restored { checkpoint, .. }) = &restored {
            tracing::info!(%partition, %position, slot = %checkpoint.header().slot, %next, "goes on with a checkpoint");
        }
        self.tell(&slot, Command::Assign { slot: slot.clone(), resume, restored: restored.map(Box::new) });
        self.lanes.insert(partition.clone(), slot);
        self.changed();
        Some(Course::Again(next))
    }
}
