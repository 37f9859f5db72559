//! A tap: what some rows of a batch are at one place of their way, and what becomes of them there. It looks at a bounded number of
//! rows, and is there only while somebody watches.

use std::sync::Arc;

use crate::decode::Table;
use crate::record::{EventTime, Offset, Partition, Reason, RecordBatch};
use crate::window::Window;

use super::transform::Departed;

/// Where a tap is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TapPlace {
    Decode,
    /// A transform, by its name.
    Transform(String),
    /// The windows of this output; none: of all outputs.
    Window(Option<String>),
}

/// Only rows whose document has this at that path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TapCondition {
    pub field: String,
    /// A text, or any other JSON value as it is written.
    pub value: String,
}

/// Looks at rows, and keeps what it has seen.
#[derive(Debug)]
pub struct Tap {
    place: TapPlace,
    condition: Option<TapCondition>,
    /// How many more rows it looks at, and how many it keeps.
    looks: usize,
    keeps: usize,
    seen: Vec<Sample>,
    missed: u64,
}

/// A row, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The transform, or the output whose windows these are.
    pub by: Option<Arc<str>>,
    pub partition: Partition,
    pub offset: Offset,
    pub event_time: Option<EventTime>,
    /// Before the place; as it came where it is no JSON.
    pub record: Vec<u8>,
    pub verdict: TapVerdict,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TapVerdict {
    /// It goes on; these are its documents, where the place has changed it.
    Kept(Vec<Vec<u8>>),
    Dropped,
    Rejected(Reason),
    /// A record without a value.
    Tombstone,
    /// It was folded into this window.
    Folded(Window),
    /// That window had ended by its partition's watermark, or was emitted before.
    Ended(Window),
}

/// Rows as they were before the place.
pub(super) struct Before {
    rows: Vec<Row>,
    /// How many had left then.
    departed: usize,
}

struct Row {
    record: u32,
    ordinal: u32,
    /// The record had other rows.
    is_split: bool,
    event_time: EventTime,
    document: Vec<u8>,
}

impl Tap {
    /// One that looks at so many rows at most, and keeps fewer.
    pub fn new(place: TapPlace, condition: Option<TapCondition>, looks: usize, keeps: usize) -> Tap {
        Tap { place, condition, looks, keeps, seen: Vec::new(), missed: 0 }
    }

    /// What it has seen, and how many rows passed that it had no look at, or no room for.
    pub fn take(self) -> (Vec<Sample>, u64) {
        (self.seen, self.missed)
    }

    pub(super) fn is_at_decode(&self) -> bool {
        self.place == TapPlace::Decode
    }

    pub(super) fn is_at_transform(&self, name: &str) -> bool {
        matches!(&self.place, TapPlace::Transform(place) if place == name)
    }

    pub(super) fn is_at_windows_of(&self, output: &str) -> bool {
        matches!(&self.place, TapPlace::Window(place) if place.as_ref().is_none_or(|place| place == output))
    }

    /// Records as they were decoded: the table has those that go on.
    pub(super) fn decoded(&mut self, partition: &Partition, batch: &RecordBatch, table: &Table, departed: &Departed) {
        let mut row = 0;
        for record in 0..batch.len() {
            while row < table.len() && (table.record(row) as usize) < record {
                row += 1;
            }
            let passed = row < table.len() && table.record(row) as usize == record;
            let rejected = || departed.rejected.iter().find(|(_, rejected)| rejected.record as usize == record);
            let value = batch.value(record).unwrap_or_default();
            if !self.wants(value) {
                continue;
            }
            let verdict = match (passed, rejected()) {
                (true, _) => TapVerdict::Kept(Vec::new()),
                (false, Some((_, rejected))) => TapVerdict::Rejected(rejected.reason.clone()),
                (false, None) => TapVerdict::Tombstone,
            };
            self.seen.push(Sample {
                by: None,
                partition: partition.clone(),
                offset: batch.offset(record),
                event_time: passed.then(|| table.event_time(row)),
                record: value.to_vec(),
                verdict,
            });
        }
    }

    /// The rows that come to the place.
    pub(super) fn before(&mut self, table: &Table, departed: &Departed) -> Before {
        let mut rows: Vec<Row> = Vec::new();
        for row in 0..table.len() {
            if self.looks == 0 || self.keeps == 0 {
                self.missed += (table.len() - row) as u64;
                break;
            }
            let mut document = Vec::new();
            table.document(row, &mut document);
            if self.wants(&document) {
                let (record, ordinal) = (table.record(row), table.ordinal(row));
                let beside = |other: usize| other < table.len() && table.record(other) == record;
                let is_split = beside(row + 1) || row.checked_sub(1).is_some_and(beside);
                rows.push(Row { record, ordinal, is_split, event_time: table.event_time(row), document });
            }
        }
        Before { rows, departed: departed.rejected.len() }
    }

    /// What became of them at a transform.
    pub(super) fn after(
        &mut self,
        by: &Arc<str>,
        before: Before,
        partition: &Partition,
        table: &Table,
        departed: &Departed,
    ) {
        for row in before.rows {
            let verdict = match rejection(departed, before.departed, &row) {
                Some(reason) => TapVerdict::Rejected(reason),
                None => passed(table, &row),
            };
            self.keep(by, partition, table.batch(), row, verdict);
        }
    }

    /// What became of them at a window: `window` says which one, and whether it had ended.
    pub(super) fn folded(
        &mut self,
        by: &Arc<str>,
        before: Before,
        partition: &Partition,
        batch: &RecordBatch,
        departed: &Departed,
        window: impl Fn(u32, EventTime) -> (Window, bool),
    ) {
        for row in before.rows {
            let verdict = match (rejection(departed, before.departed, &row), window(row.record, row.event_time)) {
                (_, (window, true)) => TapVerdict::Ended(window),
                (Some(reason), _) => TapVerdict::Rejected(reason),
                (None, (window, false)) => TapVerdict::Folded(window),
            };
            self.keep(by, partition, batch, row, verdict);
        }
    }

    fn keep(&mut self, by: &Arc<str>, partition: &Partition, batch: &RecordBatch, row: Row, verdict: TapVerdict) {
        self.seen.push(Sample {
            by: Some(by.clone()),
            partition: partition.clone(),
            offset: batch.offset(row.record as usize),
            event_time: Some(row.event_time),
            record: row.document,
            verdict,
        });
    }

    /// Looks at a row.
    fn wants(&mut self, document: &[u8]) -> bool {
        if self.looks == 0 || self.keeps == 0 {
            self.missed += 1;
            return false;
        }
        self.looks -= 1;
        let wanted = self.condition.as_ref().is_none_or(|condition| condition.holds(document));
        self.keeps -= usize::from(wanted);
        wanted
    }
}

fn rejection(departed: &Departed, since: usize, row: &Row) -> Option<Reason> {
    let left = departed.rejected.get(since..).unwrap_or_default();
    let ours = left.iter().find(|(_, one)| one.record == row.record && one.ordinal == row.ordinal);
    ours.map(|(_, one)| one.reason.clone())
}

/// The rows that it is now.
fn passed(table: &Table, row: &Row) -> TapVerdict {
    let is_ours = |at: &usize| table.record(*at) == row.record && (!row.is_split || table.ordinal(*at) == row.ordinal);
    let documents: Vec<Vec<u8>> = (0..table.len())
        .filter(is_ours)
        .map(|at| {
            let mut document = Vec::new();
            table.document(at, &mut document);
            document
        })
        .collect();
    match documents.as_slice() {
        [] => TapVerdict::Dropped,
        [same] if *same == row.document => TapVerdict::Kept(Vec::new()),
        _ => TapVerdict::Kept(documents),
    }
}

impl TapCondition {
    /// `FIELD=VALUE`; a dot goes into an object.
    pub fn parse(text: &str) -> Option<TapCondition> {
        let (field, value) = text.split_once('=').filter(|(field, _)| !field.is_empty())?;
        Some(TapCondition { field: field.to_owned(), value: value.to_owned() })
    }

    pub fn holds(&self, document: &[u8]) -> bool {
        let Ok(document) = serde_json::from_slice::<serde_json::Value>(document) else { return false };
        let found = self.field.split('.').try_fold(&document, |value, key| value.get(key));
        let written = found.map(|found| found.as_str().map_or_else(|| found.to_string(), str::to_owned));
        written.as_ref() == Some(&self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_compares_texts_and_other_values_as_they_are_written() {
        let holds = |condition: &str, document: &str| {
            TapCondition::parse(condition).expect("a condition").holds(document.as_bytes())
        };
        assert!(holds("user.id=7", r#"{"user": {"id": 7}}"#) && holds("user.id=7", r#"{"user": {"id": "7"}}"#));
        assert!(holds("a=null", r#"{"a": null}"#) && holds("a=", r#"{"a": ""}"#) && holds("a=b=c", r#"{"a": "b=c"}"#));
        assert!(!holds("a=1", r#"{"b": 1}"#) && !holds("a.b=1", r#"{"a": 1}"#) && !holds("a=1", "no JSON"));
        assert_eq!((TapCondition::parse("a"), TapCondition::parse("=1")), (None, None));
    }
}
