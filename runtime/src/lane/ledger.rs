//! A ledger: what became of each record of a batch, for each output. It is kept only while somebody asks, and costs nothing else.

use std::sync::Arc;

use crate::decode::Table;
use crate::record::{EventTime, ReasonKind};
use crate::window::Window;

use super::transform::Departed;

/// What became of a record. Of one that was split, the greatest of what became of its rows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RecordFate {
    /// By this transform; or it was late for the windows of an output that drops what is late: then this is the output.
    Dropped(Arc<str>),
    /// It has no value, and the output does nothing about it.
    Tombstone,
    /// Into windows, of which this is the last.
    Folded(WindowOfRecord),
    /// It has a document, or deletes one.
    Document,
    /// It is a dead letter.
    Refused(ReasonKind),
}

/// The last window of a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WindowOfRecord {
    pub end: EventTime,
    pub start: EventTime,
}

/// Which record, and which of those that it was split into, a document is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DocumentOf {
    /// Its place in the batch.
    pub record: u32,
    pub ordinal: u32,
}

/// What became of a batch on the way to one output.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct OutputLedger {
    /// For each record. None: of it nobody said anything, which does not happen.
    pub fates: Vec<Option<RecordFate>>,
    /// For each document of the effect that this output asks for, in order.
    pub documents: Vec<DocumentOf>,
}

/// The ledger of a batch.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct BatchLedger {
    /// Of the batch.
    pub offsets: Vec<i64>,
    /// In the order of the pipeline file.
    pub outputs: Vec<OutputLedger>,
    /// Before the outputs part.
    shared: Vec<Option<RecordFate>>,
}

/// Of all batches since it was given to the instances.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Ledger(pub Vec<BatchLedger>);

impl Ledger {
    pub(super) fn begin(&mut self, offsets: &[i64], tombstones: &[u32]) {
        let mut batch = BatchLedger { offsets: offsets.to_vec(), ..BatchLedger::default() };
        batch.shared.resize(offsets.len(), None);
        tombstones.iter().for_each(|record| note(&mut batch.shared, *record, RecordFate::Tombstone));
        self.0.push(batch);
    }

    /// From here on it is the way to the next output.
    pub(super) fn part(&mut self) {
        if let Some(batch) = self.0.last_mut() {
            let fates = batch.shared.clone();
            batch.outputs.push(OutputLedger { fates, documents: Vec::new() });
        }
    }

    pub(super) fn refused(&mut self, record: u32, kind: ReasonKind) {
        self.note(record, RecordFate::Refused(kind));
    }

    /// A transform has left these of the records that there were.
    pub(super) fn left(&mut self, by: &Arc<str>, before: &[u32], table: &Table) {
        let after = records(table);
        let gone = before.iter().filter(|record| after.binary_search(record).is_err());
        // What was refused is told of later, and is more.
        gone.for_each(|record| self.note(*record, RecordFate::Dropped(by.clone())));
    }

    /// Rows came to the windows of an output; `window` says the last one of each, and whether it had ended.
    pub(super) fn came_to_windows(
        &mut self,
        output: &Arc<str>,
        table: &Table,
        window: impl Fn(u32, EventTime) -> (Window, bool),
    ) {
        for row in 0..table.len() {
            let record = table.record(row);
            self.folded(output, record, window(record, table.event_time(row)));
        }
    }

    fn folded(&mut self, output: &Arc<str>, record: u32, (Window { start, end }, ended): (Window, bool)) {
        self.note(
            record,
            match ended {
                true => RecordFate::Dropped(output.clone()),
                false => RecordFate::Folded(WindowOfRecord { end, start }),
            },
        );
    }

    pub(super) fn documents(&mut self, documents: impl Iterator<Item = DocumentOf>) {
        let Some(output) = self.0.last_mut().and_then(|batch| batch.outputs.last_mut()) else { return };
        output.documents.extend(documents);
        for document in &output.documents {
            note(&mut output.fates, document.record, RecordFate::Document);
        }
    }

    fn note(&mut self, record: u32, fate: RecordFate) {
        let Some(batch) = self.0.last_mut() else { return };
        let fates = batch.outputs.last_mut().map_or(&mut batch.shared, |output| &mut output.fates);
        note(fates, record, fate);
    }
}

fn note(fates: &mut [Option<RecordFate>], record: u32, fate: RecordFate) {
    let known = &mut fates[record as usize];
    if known.as_ref().is_none_or(|known| *known < fate) {
        *known = Some(fate);
    }
}

/// The records of a table's rows, ascending.
pub(super) fn records(table: &Table) -> Vec<u32> {
    let mut records: Vec<u32> = (0..table.len()).map(|row| table.record(row)).collect();
    records.dedup();
    records
}

impl Departed {
    /// What there is before a transform, where a ledger is kept.
    pub(super) fn before(&self, table: &Table) -> Option<Vec<u32>> {
        self.ledger.is_some().then(|| records(table))
    }

    pub(super) fn after(&mut self, by: &Arc<str>, before: Option<Vec<u32>>, table: &Table) {
        if let (Some(before), Some(ledger)) = (before, &mut self.ledger) {
            ledger.left(by, &before, table);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_of_what_became_of_its_rows_is_what_became_of_a_record() {
        let mut ledger = Ledger::default();
        ledger.begin(&[5, 6, 9], &[1]);
        ledger.refused(2, ReasonKind::Json);
        ledger.part();
        let time = EventTime::from_micros;
        ledger.folded(&"counts".into(), 0, (Window { start: time(0), end: time(60) }, false));
        ledger.part();
        ledger.refused(0, ReasonKind::Plugin);
        ledger.documents([0, 1].map(|record| DocumentOf { record, ordinal: 0 }).into_iter());
        let [batch] = &ledger.0[..] else { panic!("a batch: {ledger:?}") };
        let folded = RecordFate::Folded(WindowOfRecord { start: time(0), end: time(60) });
        let refused = RecordFate::Refused(ReasonKind::Json);
        assert_eq!(batch.outputs[0].fates, [Some(folded), Some(RecordFate::Tombstone), Some(refused.clone())]);
        let plugin = RecordFate::Refused(ReasonKind::Plugin);
        assert_eq!(batch.outputs[1].fates, [Some(plugin), Some(RecordFate::Document), Some(refused)]);
        assert_eq!(batch.outputs[1].documents.len(), 2);
    }
}
