//! The last batches that a worker was given, for those who want to see what another plan would make of them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::record::{Partition, RecordBatch};

/// More are forgotten, the oldest first; the newest is always there. Their bytes are in no budget: nothing that happens would free them, so
/// partitions that are paused would wait for them for ever.
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
        self.batches.push_back((partition.clone(), Arc::new(batch.unbudgeted())));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, Budget, EventTime, Offset};

    #[test]
    fn what_is_kept_is_in_no_budget() {
        let budget = Arc::new(Budget::default());
        let mut builder = BatchBuilder::new(EventTime::MIN);
        builder.push(Offset(3), None, None, Some(b"a"));
        let mut batch = builder.finish();
        batch.hold(budget.take(10));
        let mut recent = Recent::default();
        recent.keep(&Partition::new("t", 0), &Arc::new(batch));
        assert_eq!((recent.all().len(), budget.used_bytes()), (1, 0));
    }
}
