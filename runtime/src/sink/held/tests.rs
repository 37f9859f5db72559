//! What is refused goes together, an index that stalls is probed, and later writes of a document wait.

use std::time::Duration;

use super::*;
use crate::record::{Document, Operation, WriteOptions};

const NONE: [u32; 0] = [];

/// A slot's held items, at a time in seconds.
struct Clock {
    held: Held,
    start: Instant,
    seconds: f64,
}

impl Clock {
    fn new() -> Self {
        Clock { held: Held::default(), start: Instant::now(), seconds: 0.0 }
    }

    fn at(&mut self, seconds: f64) -> &mut Self {
        self.seconds = seconds;
        self
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs_f64(self.seconds)
    }

    fn wakes_at(&self) -> Option<f64> {
        self.held.wake().map(|due| due.duration_since(self.start).as_secs_f64())
    }

    fn next(&mut self) -> Option<(Bulk, Source)> {
        let now = self.now();
        self.held.next(now, 1000)
    }

    /// The answer for a bulk, of which `refuse` sees each item; what is released.
    fn answer(
        &mut self,
        (bulk, source): (Bulk, Source),
        refuse: impl Fn(&mut Refused, u32, &ItemView<'_>),
    ) -> Vec<Vec<u32>> {
        let mut refused = Refused::default();
        (0..).zip(bulk.iter()).for_each(|(number, item)| refuse(&mut refused, number, &item));
        let at = Moment { now: self.now(), pace: Pace::default(), dice: 1.0, bytes_max: 1000 };
        self.held.answered(&bulk, source, refused, &at).iter().map(rows).collect()
    }

    fn passes(&mut self, bulk: Bulk) -> Vec<u32> {
        self.held.pass(bulk).as_ref().map(rows).unwrap_or_default()
    }
}

/// Documents by row, index and place.
fn bulk(documents: &[(u32, &str, Place)]) -> Bulk {
    let options = &WriteOptions::default();
    let mut builder = BulkBuilder::default();
    for (row, index, place) in documents {
        let (operation, version) = (Operation::Index, Some(1));
        let document = Document { operation, index, id: "a", version, routing: None, body: b"{}", options };
        builder.push(0, *row, &document, *place);
    }
    builder.finish()
}

fn plain(rows: std::ops::Range<u32>) -> Bulk {
    bulk(&rows.map(|row| (row, "i", 0)).collect::<Vec<_>>())
}

fn rows(bulk: &Bulk) -> Vec<u32> {
    bulk.iter().map(|item| item.row).collect()
}

fn busy(refused: &mut Refused, number: u32, item: &ItemView<'_>) {
    refused.busy(number, item);
}

fn stalled(refused: &mut Refused, number: u32, item: &ItemView<'_>) {
    refused.index_stalled(number, item);
}

fn taken(_: &mut Refused, _: u32, _: &ItemView<'_>) {}

#[test]
fn what_is_refused_goes_together_and_ever_slower() {
    let mut clock = Clock::new();
    clock.answer((plain(0..2), Source::Ready), busy);
    clock.at(0.05).answer((plain(2..4), Source::Ready), busy);
    assert_eq!(clock.wakes_at(), Some(0.1), "with what waits already");
    assert!(clock.next().is_none());
    let mut times = Vec::new();
    for _ in 0..9 {
        let at = clock.wakes_at().expect("it waits");
        times.push(at);
        let sent = clock.at(at).next().expect("it is due");
        assert_eq!(rows(&sent.0), [0, 1, 2, 3]);
        assert!(clock.next().is_none(), "one request at a time");
        clock.answer(sent, busy);
        assert_eq!(clock.held.is_waiting(), times.len() >= 6, "{times:?}");
    }
    let waits: Vec<f64> = times.windows(2).map(|pair| ((pair[1] - pair[0]) * 10.0).round() / 10.0).collect();
    assert_eq!(waits, [0.1, 0.2, 0.4, 0.8, 1.6, 1.0, 1.0, 2.0]);
    let sent = clock.at(100.0).next().expect("it is due");
    clock.answer(sent, taken);
    assert_eq!((clock.wakes_at(), clock.held.is_waiting()), (None, false));
}

#[test]
fn what_is_taken_in_part_is_sent_again_soon() {
    let mut clock = Clock::new();
    clock.answer((plain(0..4), Source::Ready), busy);
    for (at, expected) in [(1.0, 1.1), (2.0, 2.1)] {
        let sent = clock.at(at).next().expect("it is due");
        clock.answer(sent, |refused, number, item| {
            if number > 0 {
                refused.busy(number, item)
            }
        });
        assert_eq!(clock.wakes_at(), Some(expected));
    }
    assert_eq!(rows(&clock.at(3.0).next().expect("it is due").0), [2, 3]);
}

#[test]
fn a_probe_that_finds_the_index_busy_waits_too() {
    let mut clock = Clock::new();
    clock.answer((plain(0..3), Source::Ready), stalled);
    let probe = clock.at(1.0).next().expect("it is due");
    clock.answer(probe, busy);
    assert_eq!(clock.wakes_at(), Some(1.1), "the item alone");
    let sent = clock.at(1.1).next().expect("it is due");
    assert_eq!((rows(&sent.0), sent.1), (vec![0], Source::Soon));
    clock.answer(sent, busy);
    assert_eq!(rows(&clock.at(2.0).next().expect("it is due").0), [1]);
}

#[test]
fn an_index_that_stalls_is_probed_with_one_item_and_nothing_more_is_sent_to_it() {
    let mut clock = Clock::new();
    clock.answer((bulk(&[(0, "full", 0), (1, "full", 0), (2, "fine", 0)]), Source::Ready), |refused, number, item| {
        if index_of(item.bytes) == b"full" {
            refused.index_stalled(number, item);
        }
    });
    assert!(clock.held.is_waiting());
    assert_eq!(clock.passes(bulk(&[(3, "fine", 0), (4, "full", 0), (5, "fine", 0)])), [3, 5]);
    assert_eq!(clock.passes(bulk(&[(6, "full", 0)])), NONE);
    assert_eq!(clock.wakes_at(), Some(1.0));
    let probe = clock.at(1.0).next().expect("it is due");
    assert_eq!((rows(&probe.0), clock.wakes_at()), (vec![0], Some(1.0)));
    clock.answer(probe, stalled);
    assert_eq!(clock.wakes_at(), Some(2.0));
    let probe = clock.at(2.0).next().expect("it is due");
    assert_eq!(rows(&probe.0), [1], "another one, for the first may never be taken");
    clock.answer(probe, stalled);
    let probe = clock.at(4.0).next().expect("it is due");
    assert_eq!(rows(&probe.0), [4]);
    assert_eq!(clock.answer(probe, taken), [[6, 0, 1]]);
    assert_eq!((clock.wakes_at(), clock.held.is_waiting()), (None, false));
    assert_eq!(clock.passes(bulk(&[(7, "full", 0)])), [7]);
}

#[test]
fn later_writes_of_a_document_wait_for_it_and_others_do_not() {
    let mut clock = Clock::new();
    clock.answer((bulk(&[(0, "i", 7), (1, "i", 8)]), Source::Ready), busy);
    assert_eq!(clock.passes(bulk(&[(2, "i", 7), (3, "i", 9)])), [3]);
    assert_eq!(clock.passes(bulk(&[(4, "i", 8), (5, "i", 7), (6, "i", 0)])), [6]);
    assert_eq!(clock.passes(bulk(&[(7, "i", 7)])), NONE);
    let sent = clock.at(1.0).next().expect("it is due");
    let released = clock.answer(sent, |refused, number, item| {
        if item.place == 8 {
            refused.busy(number, item)
        }
    });
    assert_eq!(released, [[2], [5], [7]], "one after the other");
    assert_eq!(clock.passes(bulk(&[(2, "i", 7), (8, "i", 8)])), [2]);
    let sent = clock.at(2.0).next().expect("it is due");
    assert_eq!(clock.answer(sent, taken), [[4], [8]]);
}

#[test]
fn what_waited_for_several_documents_goes_together() {
    let mut clock = Clock::new();
    clock.answer((bulk(&[(0, "i", 7), (1, "i", 8)]), Source::Ready), busy);
    clock.passes(bulk(&[(2, "i", 7), (3, "i", 8)]));
    clock.passes(bulk(&[(4, "i", 7)]));
    let sent = clock.at(1.0).next().expect("it is due");
    assert_eq!(clock.answer(sent, taken), [vec![2, 3], vec![4]]);
}

#[test]
fn whole_bulks_that_are_sent_again_hold_up_what_is_written_to_the_same_documents() {
    let mut clock = Clock::new();
    let mut first = bulk(&[(0, "i", 7), (1, "i", 0)]);
    clock.held.hold(&mut first);
    assert_eq!(clock.passes(bulk(&[(2, "i", 7), (3, "i", 0)])), [3]);
    assert_eq!(clock.passes(first.clone()), [0, 1]);
    assert_eq!(clock.answer((first, Source::Ready), taken), [[2]]);
}
