//! Bulk bodies: documents written once into the bytes that are sent, with the place of each, so that any of them can be
//! sent again from there.

use std::time::Instant;

use bytes::Bytes;
use hashbrown::HashSet;

use super::answer::Operations;
use super::lines;
use crate::record::{Document, Operation};

/// Where an item ends in its body, and which document of its batch it is.
#[derive(Clone, Copy, Debug)]
struct Item {
    end: u32,
    row: u32,
    operation: Operation,
    place: Place,
}

/// Stands for the index and the id of a document whose order counts ([`Document::is_ordered`]), as a hash; 0: its order does not count.
pub(crate) type Place = u32;

/// The key of a submitted batch among those that are not judged yet.
pub(crate) type BatchKey = u64;

/// Items that follow each other in a bulk, come from one batch, and were sent equally often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    pub batch: BatchKey,
    pub attempt: u16,
    pub items: u32,
}

/// One item of a bulk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ItemView<'a> {
    pub batch: BatchKey,
    pub row: u32,
    pub attempt: u16,
    pub operation: Operation,
    pub place: Place,
    /// Action line and document, where there is one, each with its line break.
    pub bytes: &'a [u8],
}

/// Items on their way, with the bytes that are sent.
#[derive(Clone, Debug)]
pub(crate) struct Bulk {
    body: Bytes,
    items: Vec<Item>,
    runs: Vec<Run>,
    /// How often its connection broke.
    pub resets: u16,
    /// How often it was answered 429 as a whole, and how often of these while nothing else was in flight.
    pub busy: u16,
    pub busy_alone: u16,
    /// It holds up what is written later to the same places.
    pub is_held: bool,
}

impl Bulk {
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn operations(&self) -> Operations {
        let first = self.items.first().map(|item| item.operation).unwrap_or_default();
        match self.items.iter().all(|item| item.operation == first) {
            true => Operations::All(first),
            false => Operations::Each(self.items.iter().map(|item| item.operation).collect()),
        }
    }

    /// Of those whose order counts.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.items.iter().map(|item| item.place).filter(|place| *place != 0)
    }

    pub fn held(self, is_held: bool) -> Bulk {
        Bulk { is_held, ..self }
    }

    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    pub fn iter(&self) -> impl Iterator<Item = ItemView<'_>> {
        let runs = self.runs.iter().flat_map(|run| std::iter::repeat_n(*run, run.items as usize));
        let starts = std::iter::once(0).chain(self.items.iter().map(|item| item.end as usize));
        self.items.iter().zip(runs).zip(starts).map(|((item, run), start)| ItemView {
            batch: run.batch,
            row: item.row,
            attempt: run.attempt,
            operation: item.operation,
            place: item.place,
            bytes: self.body.get(start..item.end as usize).unwrap_or_default(),
        })
    }

    /// Two bulks over the same bytes, with about half of them each; only for a bulk of several items.
    pub fn halves(self) -> (Bulk, Bulk) {
        debug_assert!(self.items.len() > 1, "a single item has no halves");
        let middle = (self.body.len() / 2) as u32;
        let first = self.items.partition_point(|item| item.end <= middle).clamp(1, self.items.len() - 1);
        self.split(first)
    }

    /// All but the first item, over the same bytes.
    pub fn after_first(self) -> Option<Bulk> {
        (self.items.len() > 1).then(|| self.split(1).1)
    }

    /// Two bulks over the same bytes, the first of them with so many items.
    fn split(self, first: usize) -> (Bulk, Bulk) {
        let cut = self.items[first - 1].end;
        let mut left = self.items;
        let mut right = left.split_off(first);
        right.iter_mut().for_each(|item| item.end -= cut);
        let (mut left_runs, mut right_runs, mut rest) = (Vec::new(), Vec::new(), first as u32);
        for run in self.runs {
            let here = run.items.min(rest);
            rest -= here;
            left_runs.extend((here > 0).then_some(Run { items: here, ..run }));
            right_runs.extend((here < run.items).then_some(Run { items: run.items - here, ..run }));
        }
        let cut = cut as usize;
        let part = |body, items, runs| Bulk { is_held: self.is_held, ..bulk(body, items, runs) };
        (part(self.body.slice(..cut), left, left_runs), part(self.body.slice(cut..), right, right_runs))
    }

    /// Gives the body's memory back for the next one, where nobody else reads it any more.
    pub fn recycle(self) -> Vec<u8> {
        match self.body.try_into_mut() {
            Ok(mut body) => {
                body.clear();
                body.into()
            }
            Err(_) => Vec::new(),
        }
    }
}

fn bulk(body: Bytes, items: Vec<Item>, runs: Vec<Run>) -> Bulk {
    Bulk { body, items, runs, resets: 0, busy: 0, busy_alone: 0, is_held: false }
}

/// Collects items.
#[derive(Debug, Default)]
pub(crate) struct BulkBuilder {
    body: Vec<u8>,
    items: Vec<Item>,
    runs: Vec<Run>,
    /// None of these is twice in a bulk, where one may be refused for now and the next one taken.
    places: HashSet<Place>,
    /// When its oldest item came.
    pub since: Option<Instant>,
}

impl BulkBuilder {
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Writes into memory that an earlier bulk had.
    pub fn reuse(&mut self, body: Vec<u8>) {
        if self.body.capacity() == 0 {
            self.body = body;
        }
    }

    /// Whether a document must not be in it, because it has to wait for one that is.
    pub fn has(&self, place: Place) -> bool {
        place != 0 && self.places.contains(&place)
    }

    pub fn push(&mut self, batch: BatchKey, row: u32, document: &Document<'_>, place: Place) {
        if place != 0 {
            self.places.insert(place);
        }
        lines::write(document, &mut self.body);
        self.add(batch, row, document.operation, place, 0);
    }

    /// Takes an item over as it was sent before.
    pub fn push_again(&mut self, item: &ItemView<'_>, attempt: u16) {
        self.body.extend_from_slice(item.bytes);
        self.add(item.batch, item.row, item.operation, item.place, attempt);
    }

    fn add(&mut self, batch: BatchKey, row: u32, operation: Operation, place: Place, attempt: u16) {
        self.items.push(Item { end: self.body.len() as u32, row, operation, place });
        match self.runs.last_mut() {
            Some(run) if run.batch == batch && run.attempt == attempt => run.items += 1,
            _ => self.runs.push(Run { batch, attempt, items: 1 }),
        }
    }

    /// For one that may wait long: it takes no more memory than it has to.
    pub fn finish_small(&mut self) -> Bulk {
        self.body.shrink_to_fit();
        self.items.shrink_to_fit();
        self.finish()
    }

    pub fn finish(&mut self) -> Bulk {
        let taken = std::mem::take(self);
        self.items.reserve(taken.items.len());
        bulk(Bytes::from(taken.body), taken.items, taken.runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::WriteOptions;
    use crate::sink::lines::{Apart, take_apart};

    fn document<'a>(id: &'a str, body: &'a str) -> Document<'a> {
        const PLAIN: WriteOptions = WriteOptions { sink: 0, pipeline: None, script: None };
        let (operation, version) = (Operation::Index, Some(7));
        Document { operation, index: "i", id, version, routing: None, body: body.as_bytes(), options: &PLAIN }
    }

    fn text(bulk: &Bulk) -> Vec<String> {
        bulk.iter()
            .map(|item| {
                let Apart { id, body, .. } = take_apart(item.bytes).expect("we wrote it");
                format!("{}/{}/{} {id} {}", item.batch, item.row, item.attempt, String::from_utf8_lossy(&body))
            })
            .collect()
    }

    fn three() -> Bulk {
        let mut builder = BulkBuilder::default();
        builder.push(1, 5, &document("a", "{}"), 0);
        builder.push(1, 6, &document("b", r#"{"b":1}"#), 0);
        builder.push(2, 0, &document("c", "{}"), 0);
        builder.finish()
    }

    #[test]
    fn items_are_written_as_bulk_lines() {
        let mut builder = BulkBuilder::default();
        let document = document("a\"\\\n€", "{\"a\":\n1}");
        builder.push(1, 0, &Document { index: "ev-1", version: Some(u64::MAX), ..document }, 0);
        assert_eq!(
            std::str::from_utf8(builder.finish().body()).unwrap(),
            "{\"index\":{\"_index\":\"ev-1\",\"_id\":\"a\\\"\\\\\\u000a€\",\"version\":18446744073709551615,\
             \"version_type\":\"external\"}}\n{\"a\": 1}\n"
        );
    }

    #[test]
    fn what_is_deleted_has_no_document() {
        let mut builder = BulkBuilder::default();
        builder.push(1, 0, &document("a", "{}"), 0);
        builder.push(1, 1, &Document { operation: Operation::Delete, ..document("b", "") }, 0);
        builder.push(1, 2, &document("c", "{}"), 0);
        let bulk = builder.finish();
        assert_eq!(text(&bulk), ["1/0/0 a {}", "1/1/0 b ", "1/2/0 c {}"]);
        let each = vec![Operation::Index, Operation::Delete, Operation::Index];
        assert_eq!(bulk.operations(), Operations::Each(each));
        let lines = bulk.iter().map(|item| String::from_utf8_lossy(item.bytes).into_owned()).nth(1);
        let expected = "{\"delete\":{\"_index\":\"i\",\"_id\":\"b\",\"version\":7,\"version_type\":\"external\"}}\n";
        assert_eq!(lines.as_deref(), Some(expected));
        let mut again = BulkBuilder::default();
        bulk.iter().filter(|item| item.row == 1).for_each(|item| again.push_again(&item, 1));
        assert_eq!(again.finish().operations(), Operations::All(Operation::Delete));
        assert_eq!(three().operations(), Operations::All(Operation::Index));
    }

    #[test]
    fn an_item_comes_apart_as_it_was_put_together() {
        let mut builder = BulkBuilder::default();
        builder.push(1, 0, &document("a\"\\\n€\u{1}", "{}"), 0);
        let bulk = builder.finish();
        let item = bulk.iter().next().unwrap();
        let id = "a\"\\\n€\u{1}".into();
        let expected = Apart { index: "i".into(), id, version: Some(7), body: b"{}".to_vec() };
        assert_eq!(take_apart(item.bytes), Some(expected));
    }

    #[test]
    fn halves_have_all_items_once() {
        let (left, right) = three().halves();
        assert_eq!(text(&left), ["1/5/0 a {}"]);
        assert_eq!(text(&right), [r#"1/6/0 b {"b":1}"#, "2/0/0 c {}"]);
        let (left, right) = right.halves();
        assert_eq!((text(&left), text(&right)), (vec![r#"1/6/0 b {"b":1}"#.into()], vec!["2/0/0 c {}".to_string()]));
    }

    #[test]
    fn items_are_sent_again_byte_by_byte() {
        let bulk = three();
        let mut builder = BulkBuilder::default();
        for item in bulk.iter().filter(|item| item.row != 6) {
            builder.push_again(&item, item.attempt + 1);
        }
        assert_eq!(text(&builder.finish()), ["1/5/1 a {}", "2/0/1 c {}"]);
    }

    #[test]
    fn a_body_that_nobody_reads_gives_its_memory_back() {
        let bulk = three();
        let sent = bulk.body().clone();
        drop(sent);
        let again = bulk.recycle();
        assert!(again.is_empty() && again.capacity() > 0);
    }
}
