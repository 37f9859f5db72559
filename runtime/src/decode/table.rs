//! The rows of a batch that still flow, and what was written to them.

use std::sync::Arc;

use hashbrown::HashMap;

use super::edits::{Edits, Layer};
use super::plan::Plan;
use super::span::Span;
use super::{Kept, Rejected};
use crate::config::{OnWrongType, TimestampUnit};
use crate::record::{EventTime, Partition, Reason, RecordBatch, Verdicts};

/// The rows that still flow: at first each record that is a JSON object with an event time; filters and enrichers take rows
/// out, split them and write to them. Records and what was written are shared by clones.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) shared: Arc<Shared>,
    pub(super) rows: Vec<Row>,
    /// How many ordinals were given to a record; only those that were split are here.
    pub(super) issued: HashMap<u32, u32>,
    /// What was written, in order.
    pub(super) layers: Vec<Layer>,
    pub(super) edits: Edits,
}

/// What does not change about a batch.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Arc<Plan>,
    pub(super) unit: TimestampUnit,
    pub(super) on_wrong_type: OnWrongType,
    pub(super) defaults: Arc<[Box<[u8]>]>,
    pub(super) partition: Partition,
    pub(super) batch: Arc<RecordBatch>,
    /// For each record of the batch, as many as the plan has slots.
    pub(super) spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) record: u32,
    pub(super) ordinal: u32,
    pub(super) event_time: EventTime,
}

impl Shared {
    pub(super) fn spans(&self, record: u32) -> &[Span] {
        let slots = self.plan.len();
        &self.spans[record as usize * slots..][..slots]
    }

    pub(super) fn value(&self, record: u32) -> &[u8] {
        self.batch.value(record as usize).unwrap_or_default()
    }
}

impl Table {
    pub(super) fn new(shared: Shared, rows: Vec<Row>) -> Self {
        Table { shared: Arc::new(shared), rows, issued: HashMap::new(), layers: Vec::new(), edits: Edits::default() }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn batch(&self) -> &Arc<RecordBatch> {
        &self.shared.batch
    }

    /// The record of the batch that a row comes from; ascending.
    pub fn record(&self, row: usize) -> u32 {
        self.rows[row].record
    }

    /// Tells the rows of one record apart; 0 unless it was split. No other row of the record ever had it.
    pub fn ordinal(&self, row: usize) -> u32 {
        self.rows[row].ordinal
    }

    /// Whether the row's record was ever split, so that its ordinal belongs in its id.
    pub fn is_split(&self, row: usize) -> bool {
        !self.issued.is_empty() && self.issued.contains_key(&self.rows[row].record)
    }

    pub fn event_time(&self, row: usize) -> EventTime {
        self.rows[row].event_time
    }

    /// Gives records (ascending) other event times: `$event_time` follows, the field in the value stays as it came.
    pub fn set_event_times(&mut self, times: &[(u32, EventTime)]) {
        let mut times = times.iter().peekable();
        for row in &mut self.rows {
            while times.next_if(|(record, _)| *record < row.record).is_some() {}
            if let Some((record, time)) = times.peek()
                && *record == row.record
            {
                row.event_time = *time;
            }
        }
    }

    /// Takes out the rows of records (ascending).
    pub fn remove_records(&mut self, records: &[u32]) {
        if records.is_empty() {
            return;
        }
        let mut records = records.iter().peekable();
        let keep: Vec<bool> = self
            .rows
            .iter()
            .map(|row| {
                while records.next_if(|record| **record < row.record).is_some() {}
                records.peek() != Some(&&row.record)
            })
            .collect();
        self.keep(|row| keep[row]);
    }

    /// Carries a filter's verdicts out.
    pub fn retain(&mut self, verdicts: Verdicts) -> Kept {
        let Verdicts { mut keep, rejected } = verdicts;
        debug_assert_eq!(keep.len(), self.len(), "a verdict for each row");
        for rejection in &rejected {
            keep[rejection.row as usize] = 1;
        }
        let dropped = keep.iter().filter(|keep| **keep == 0).count();
        let rejected: Vec<_> = rejected
            .into_iter()
            .map(|rejection| {
                keep[rejection.row as usize] = 0;
                self.rejected(rejection.row as usize, rejection.reason)
            })
            .collect();
        if dropped + rejected.len() > 0 {
            self.keep(|row| keep[row] != 0);
        }
        Kept { dropped: dropped as u64, rejected }
    }

    pub(super) fn rejected(&self, row: usize, reason: Reason) -> Rejected {
        let Row { record, ordinal, .. } = self.rows[row];
        Rejected { record, ordinal, reason }
    }

    /// Takes out rows that failed (ascending, one reason for each).
    pub(super) fn take_failed(&mut self, failed: Vec<(usize, Reason)>) -> Vec<Rejected> {
        if failed.is_empty() {
            return Vec::new();
        }
        let mut keep = vec![true; self.len()];
        let rejected = failed
            .into_iter()
            .map(|(row, reason)| {
                keep[row] = false;
                self.rejected(row, reason)
            })
            .collect();
        self.keep(|row| keep[row]);
        rejected
    }

    pub(super) fn keep(&mut self, keep: impl Fn(usize) -> bool) {
        retain_rows(&mut self.rows, &keep);
        for layer in &mut self.layers {
            retain_rows(&mut layer.positions, &keep);
        }
    }
}

/// Keeps the rows of a list that `keep` says.
pub(super) fn retain_rows<T>(list: &mut Vec<T>, keep: impl Fn(usize) -> bool) {
    let mut row = 0;
    list.retain(|_| {
        row += 1;
        keep(row - 1)
    });
}
