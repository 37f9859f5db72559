//! Who dropped which record, for an audit log: a lane keeps it only where somebody asks, and gives it with its tally.

use std::sync::Arc;

use crate::record::{Offset, Output, Partition, RecordBatch, RejectedDocument, Verdicts};
use crate::sink::GivenUpBy;

use super::plan::Step;

/// A key is cut to this.
const KEY_BYTES_MAX: usize = 256;

/// Why nothing became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhyDropped {
    Filter,
    Enrich,
    /// It came too late for its window, which drops what is late.
    Late,
    /// The index refused its document, and a rule drops it.
    Policy,
}

/// What is dropped of a record: all of it, or what one output would have made of it, or one of those that it was split into.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DroppedRecord {
    pub why: WhyDropped,
    /// None: a window's document, which no single record is the origin of.
    pub offset: Option<Offset>,
    pub ordinal: u32,
    /// None where it was dropped before the outputs part.
    pub output: Option<Arc<str>>,
    /// The plugin that dropped it.
    pub by: Option<Arc<GivenUpBy>>,
    /// Its first bytes.
    pub key: Option<Vec<u8>>,
    /// Of all of the key.
    pub key_bytes: usize,
    pub refused: Option<DroppedDocument>,
}

impl DroppedRecord {
    /// What it takes in memory, about.
    pub fn bytes(&self) -> usize {
        let refused = self.refused.as_ref().map_or(0, |it| it.index.len() + it.id.len() + it.error_type.len());
        size_of::<DroppedRecord>() + self.key.as_ref().map_or(0, Vec::len) + refused
    }
}

/// What the index refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DroppedDocument {
    pub index: String,
    pub id: String,
    pub status: Option<u16>,
    pub error_type: String,
}

/// Which of what is dropped is written down: a function of its origin, so that it is the same when records are read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sampling {
    percent: u8,
}

impl Sampling {
    pub fn of(percent: u8) -> Self {
        Sampling { percent }
    }

    fn takes(self, origin: impl FnOnce() -> String) -> bool {
        if self.percent >= 100 {
            return true;
        }
        let hash = blake3::hash(origin().as_bytes());
        let hash = u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"));
        (u128::from(hash) * 100) >> 64 < u128::from(self.percent)
    }
}

/// A row that left.
#[derive(Debug)]
pub(super) struct Drop {
    pub record: u32,
    pub ordinal: u32,
    pub why: WhyDropped,
    pub by: Option<Arc<GivenUpBy>>,
}

/// What was dropped of a batch, as long as it is not known where.
#[derive(Debug)]
pub(super) struct Drops {
    sampling: Sampling,
    rows: Vec<Drop>,
}

impl Drops {
    pub fn new(sampling: Sampling) -> Self {
        Drops { sampling, rows: Vec::new() }
    }

    pub fn push(&mut self, drop: Drop) {
        self.rows.push(drop);
    }

    /// Rows of a table that a transform drops.
    pub fn rows(&mut self, step: &Step, why: WhyDropped, rows: impl Iterator<Item = (u32, u32)>) {
        let drop = |(record, ordinal)| Drop { record, ordinal, why, by: Some(step.by.clone()) };
        self.rows.extend(rows.map(drop));
    }

    /// What is to be written down of them. What was settled before the lane began was written down then.
    pub fn take(
        &mut self,
        partition: &Partition,
        batch: &RecordBatch,
        output: Option<&Arc<str>>,
        settled: Offset,
        taken: &mut Vec<DroppedRecord>,
    ) {
        for Drop { record, ordinal, why, by } in self.rows.drain(..) {
            let offset = batch.offset(record as usize);
            if offset < settled || !self.sampling.takes(|| partition.origin(offset).to_string()) {
                continue;
            }
            let (key, key_bytes) = key_of(batch, record);
            let output = output.cloned();
            taken.push(DroppedRecord { why, offset: Some(offset), ordinal, output, by, key, key_bytes, refused: None });
        }
    }
}

fn key_of(batch: &RecordBatch, record: u32) -> (Option<Vec<u8>>, usize) {
    let key = batch.key(record as usize);
    (key.map(|key| key[..key.len().min(KEY_BYTES_MAX)].to_vec()), key.map_or(0, <[u8]>::len))
}

/// A document that a rule drops, and the record that it is of.
pub(super) fn refused(
    sampling: Sampling,
    partition: &Partition,
    record: Option<(&RecordBatch, u32, u32)>,
    output: &Arc<str>,
    refused: &RejectedDocument,
) -> Option<DroppedRecord> {
    let offset = record.map(|(batch, record, _)| batch.offset(record as usize));
    let origin = || offset.map_or_else(|| refused.id.clone(), |offset| partition.origin(offset).to_string());
    if !sampling.takes(origin) {
        return None;
    }
    let (key, key_bytes) = record.map_or((None, 0), |(batch, record, _)| key_of(batch, record));
    let RejectedDocument { index, id, status, error_type, .. } = refused;
    Some(DroppedRecord {
        why: WhyDropped::Policy,
        offset,
        ordinal: record.map_or(0, |(_, _, ordinal)| ordinal),
        output: Some(output.clone()),
        by: None,
        key,
        key_bytes,
        refused: Some(DroppedDocument {
            index: index.clone(),
            id: id.clone(),
            status: *status,
            error_type: error_type.clone(),
        }),
    })
}

/// The rows that a filter drops.
pub(super) fn dropped_by_filter(verdicts: &Verdicts) -> impl Iterator<Item = usize> {
    let mut rejected = verdicts.rejected.iter().map(|rejection| rejection.row as usize).peekable();
    let dropped = move |row: &usize| rejected.next_if_eq(row).is_none();
    (0..verdicts.keep.len()).filter(|row| verdicts.keep[*row] == 0).filter(dropped)
}

/// The rows, of so many, that an enricher drops.
pub(super) fn dropped_by_enricher(output: &Output, rows: usize) -> impl Iterator<Item = usize> {
    let named = output.rows.as_deref();
    let mut rejected = output.rejected.iter().map(|rejection| rejection.row as usize).peekable();
    let mut next = 0;
    let mut is_named = move |row: usize| {
        let Some(named) = named else { return true };
        while named.get(next).is_some_and(|one| (*one as usize) < row) {
            next += 1;
        }
        named.get(next).is_some_and(|one| *one as usize == row)
    };
    (0..rows).filter(move |row| rejected.next_if_eq(row).is_none() && !is_named(*row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Reason, ReasonKind, Rejection};

    fn rejected(rows: &[u32]) -> Vec<Rejection> {
        rows.iter().map(|row| Rejection { row: *row, reason: Reason::new(ReasonKind::Plugin, "") }).collect()
    }

    #[test]
    fn what_is_rejected_or_split_is_not_dropped() {
        let verdicts = Verdicts { keep: vec![1, 0, 0, 1, 0], rejected: rejected(&[2]) };
        assert_eq!(dropped_by_filter(&verdicts).collect::<Vec<_>>(), [1, 4]);
        let output = Output { rows: Some(vec![1, 1, 3]), columns: Vec::new(), rejected: rejected(&[0]) };
        assert_eq!(dropped_by_enricher(&output, 6).collect::<Vec<_>>(), [2, 4, 5]);
        let all = Output { rows: None, columns: Vec::new(), rejected: rejected(&[1]) };
        assert_eq!(dropped_by_enricher(&all, 3).count(), 0);
    }

    #[test]
    fn a_sample_is_about_as_large_as_it_says_and_always_the_same() {
        let count = |percent| {
            let takes = |number: &i32| Sampling::of(percent).takes(|| format!("events-0-{number}"));
            (0..10_000).filter(takes).count()
        };
        assert_eq!(count(100), 10_000);
        assert!((900..1100).contains(&count(10)) && count(10) == count(10), "{}", count(10));
    }
}
