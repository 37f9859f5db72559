//! The last batches that a worker was given, for those who want to see what another plan would make of them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::record::{Partition, RecordBatch};

/// More are forgotten, the oldest first; the newest is always there. Their bytes count in the source's budget.
const BYTES_MAX: usize = 256 << 10;
const RECORDS_MAX: usize = 4096;

#[derive(Default)]
pub(super) struct Recent {
    batches: VecDeque<(Partition, Arc<RecordBatch>)>,
    bytes: usize,
    records: usize,
}

impl Recent {
    pub fn keep(&mut self, partition: &Partition, batch: &Arc<RecordBatch>) {
        self.bytes += batch.bytes();
        self.records += batch.len();
        self.batches.push_back((partition.clone(), batch.clone()));
        while self.batches.len() > 1 && (self.bytes > BYTES_MAX || self.records > RECORDS_MAX) {
            let Some((_, oldest)) = self.batches.pop_front() else { return };
            self.bytes -= oldest.bytes();
            self.records -= oldest.len();
        }
    }

    /// Oldest first.
    pub fn all(&self) -> Vec<(Partition, Arc<RecordBatch>)> {
        self.batches.iter().cloned().collect()
    }
}
