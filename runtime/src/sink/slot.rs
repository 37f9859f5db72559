//! A slot: documents whose ids have the same hash, one request in flight. So two versions of one document are never in
//! flight at once. It says what to send next and when; it sends nothing, and time comes as an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::bulk::{BatchKey, Bulk, BulkBuilder, Place};
use super::held::{Held, Moment, Refused, Source};
use crate::record::Document;

/// What waits in a slot.
///
/// ```text
/// documents ─▶ open ─(full, old or flushed)─▶ ready ─▶ in flight ─▶ judged
///                                               ▲          │ ╲
///                                               └─ whole ──┘  ╲─ single items ─▶ held ─(due)─▶ in flight
/// ```
#[derive(Debug, Default)]
pub(crate) struct Slot {
    open: BulkBuilder,
    ready: VecDeque<Bulk>,
    held: Held,
    flush: bool,
    /// A whole request came to nothing: until then the slot is quiet.
    blocked_until: Option<Instant>,
    in_flight: Option<Bulk>,
    /// Where what is in flight comes from.
    source: Source,
    /// Whole requests that came to nothing, one after the other.
    failures: u16,
    /// Memory of an earlier body, for the next.
    spare: Option<Vec<u8>>,
}

/// What an action line has besides index and id.
const ACTION_BYTES: usize = 90;

/// When an open bulk is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    pub bytes_max: usize,
    pub age_max: Duration,
}

impl Slot {
    /// Adds a document and says how many bytes it takes in a body.
    pub fn push(
        &mut self,
        (batch, row): (BatchKey, u32),
        document: &Document<'_>,
        place: Place,
        now: Instant,
        fill: Fill,
    ) -> usize {
        // What is refused for its size shall be so by itself.
        let bytes = ACTION_BYTES + document.index.len() + document.id.len() + document.body.len();
        let is_full = !self.open.is_empty() && self.open.bytes() + bytes > fill.bytes_max;
        if is_full || self.open.has(place) {
            self.close();
        }
        let before = self.open.bytes();
        self.open.push(batch, row, document, place);
        self.open.since.get_or_insert(now);
        let after = self.open.bytes();
        if after >= fill.bytes_max {
            self.close();
        }
        after - before
    }

    fn close(&mut self) {
        self.flush = false;
        if self.open.is_empty() {
            return;
        }
        self.ready.push_back(self.open.finish());
        self.open.reuse(self.spare.take().unwrap_or_default());
    }

    /// What is open now goes out as soon as the slot is free, whatever its age.
    pub fn flush(&mut self) {
        self.flush = !self.open.is_empty();
    }

    /// The next bulk to send, if the slot is free and something is due. It is in flight then.
    pub fn next(&mut self, now: Instant, fill: Fill) -> Option<&Bulk> {
        if self.in_flight.is_some() || self.blocked_until.is_some_and(|until| until > now) {
            return None;
        }
        self.blocked_until = None;
        // While a request was in flight the open bulk grew beyond its age: so requests grow by themselves under load.
        if self.flush || self.open.since.is_some_and(|since| since + fill.age_max <= now) {
            self.close();
        }
        let (bulk, source) = match self.held.next(now, fill.bytes_max) {
            Some(held) => held,
            None => (self.next_ready()?, Source::Ready),
        };
        self.source = source;
        let bulk = self.fitting(bulk, fill);
        Some(self.in_flight.insert(bulk))
    }

    fn next_ready(&mut self) -> Option<Bulk> {
        while let Some(bulk) = self.ready.pop_front() {
            if let Some(bulk) = self.held.pass(bulk) {
                return Some(bulk);
            }
        }
        None
    }

    /// What was collected before the size was learned goes in parts without being tried. Halves are never quite equal,
    /// so a little more is as good.
    fn fitting(&mut self, mut bulk: Bulk, fill: Fill) -> Bulk {
        while bulk.len() > 1 && bulk.bytes() > fill.bytes_max + fill.bytes_max / 4 {
            let (left, right) = bulk.halves();
            self.ready.push_front(right);
            bulk = left;
        }
        bulk
    }

    /// When to ask [`Slot::next`] again, if nothing happens before. None: only something that happens can change it.
    pub fn wake(&self, now: Instant, fill: Fill) -> Option<Instant> {
        if self.in_flight.is_some() {
            return None;
        }
        let ready = (self.flush || !self.ready.is_empty()).then_some(now);
        let aged = self.open.since.map(|since| since + fill.age_max);
        let due = [ready, aged, self.held.wake()].into_iter().flatten().min()?;
        Some(self.blocked_until.map_or(due, |until| due.max(until)))
    }

    /// The request has come back.
    pub fn landed(&mut self) -> Option<Bulk> {
        self.in_flight.take()
    }

    /// A bulk of which nothing is left gives its memory back.
    pub fn recycle(&mut self, bulk: Bulk) {
        self.spare = Some(bulk.recycle());
    }

    /// The index has answered for each item of a bulk.
    pub fn answered(&mut self, bulk: &Bulk, refused: Refused, at: &Moment) {
        self.failures = 0;
        let source = std::mem::take(&mut self.source);
        let released = self.held.answered(bulk, source, refused, at);
        released.into_iter().rev().for_each(|bulk| self.ready.push_front(bulk));
    }

    /// Sends a whole bulk again, after what waits already, or as the `next` one: what never succeeds holds up only what is written later to the
    /// same documents. `wait`: how long the slot is quiet, by the number of failures.
    pub fn again(&mut self, mut bulk: Bulk, next: bool, now: Instant, wait: impl FnOnce(u16) -> Duration) {
        self.failures = self.failures.saturating_add(1);
        self.held.hold(&mut bulk);
        match next {
            true => self.ready.push_front(bulk),
            false => self.ready.push_back(bulk),
        }
        self.blocked_until = Some(now + wait(self.failures));
    }

    pub fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Sends a bulk in two, at once.
    pub fn again_in_halves(&mut self, bulk: Bulk) {
        let (left, right) = bulk.halves();
        self.ready.push_front(right);
        self.ready.push_front(left);
    }

    /// Whether something waits for the index to be there again.
    pub fn is_waiting(&self) -> bool {
        self.failures > 0 || matches!(self.source, Source::Slow | Source::Probe) || self.held.is_waiting()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Operation, WriteOptions};

    const FILL: Fill = Fill { bytes_max: 260, age_max: Duration::from_secs(1) };

    fn put(slot: &mut Slot, row: u32, now: Instant) {
        put_into(slot, row, now, FILL);
    }

    fn put_into(slot: &mut Slot, row: u32, now: Instant, fill: Fill) {
        let (operation, version) = (Operation::Index, Some(1));
        slot.push(
            (0, row),
            &Document {
                operation,
                index: "i",
                id: "a",
                version,
                routing: None,
                body: b"{}",
                options: &WriteOptions::default(),
            },
            0,
            now,
            fill,
        );
    }

    fn rows(bulk: Option<&Bulk>) -> Vec<u32> {
        bulk.into_iter().flat_map(|bulk| bulk.iter().map(|item| item.row)).collect()
    }

    fn land(slot: &mut Slot) -> Bulk {
        slot.landed().expect("in flight")
    }

    #[test]
    fn a_bulk_goes_when_it_is_old_full_or_flushed() {
        let start = Instant::now();
        let later = |millis| start + Duration::from_millis(millis);
        let mut slot = Slot::default();
        assert_eq!(slot.wake(start, FILL), None);
        put(&mut slot, 1, start);
        assert!(slot.next(later(999), FILL).is_none());
        assert_eq!(slot.wake(start, FILL), Some(later(1000)));
        assert_eq!(rows(slot.next(later(1000), FILL)), [1]);
        land(&mut slot);

        for row in 2..6 {
            put(&mut slot, row, later(2000));
        }
        assert_eq!(rows(slot.next(later(2000), FILL)), [2, 3, 4]);
        land(&mut slot);
        assert!(slot.next(later(2000), FILL).is_none());
        slot.flush();
        assert!(slot.wake(later(2000), FILL) == Some(later(2000)));
        assert_eq!(rows(slot.next(later(2000), FILL)), [5]);
        land(&mut slot);

        // What is full after it was to be flushed leaves nothing to flush.
        put(&mut slot, 6, later(2000));
        slot.flush();
        let small = Fill { bytes_max: 1, ..FILL };
        put_into(&mut slot, 7, later(2000), small);
        assert_eq!(rows(slot.next(later(2000), FILL)), [6]);
        land(&mut slot);
        assert_eq!(rows(slot.next(later(2000), FILL)), [7]);
        land(&mut slot);
        assert!(slot.next(later(2000), FILL).is_none());
        assert_eq!(slot.wake(later(2000), FILL), None);
    }

    #[test]
    fn one_request_is_in_flight_and_the_next_grows_meanwhile() {
        let start = Instant::now();
        let mut slot = Slot::default();
        put(&mut slot, 1, start);
        assert_eq!(rows(slot.next(start + FILL.age_max, FILL)), [1]);
        put(&mut slot, 2, start + FILL.age_max);
        let late = start + 5 * FILL.age_max;
        put(&mut slot, 3, late);
        assert!(slot.next(late, FILL).is_none());
        assert_eq!(slot.wake(start, FILL), None);
        land(&mut slot);
        assert_eq!(rows(slot.next(late, FILL)), [2, 3]);
    }

    #[test]
    fn a_bulk_that_came_to_nothing_blocks_the_slot_and_then_goes_last() {
        let start = Instant::now();
        let mut slot = Slot::default();
        put(&mut slot, 1, start);
        slot.next(start + FILL.age_max, FILL);
        let bulk = land(&mut slot);
        put(&mut slot, 2, start);
        let until = start + 3 * FILL.age_max;
        slot.again(bulk, false, start, |failures| u32::from(failures) * 3 * FILL.age_max);
        assert!(slot.next(until - Duration::from_millis(1), FILL).is_none());
        assert_eq!(slot.wake(start, FILL), Some(until));
        assert_eq!(rows(slot.next(until, FILL)), [1]);
        land(&mut slot);
        assert_eq!(rows(slot.next(until, FILL)), [2]);
    }

    #[test]
    fn halves_go_at_once() {
        let start = Instant::now();
        let mut slot = Slot::default();
        put(&mut slot, 1, start);
        put(&mut slot, 2, start);
        slot.flush();
        slot.next(start, FILL);
        let bulk = land(&mut slot);
        slot.again_in_halves(bulk);
        assert_eq!(rows(slot.next(start, FILL)), [1]);
        land(&mut slot);
        assert_eq!(rows(slot.next(start, FILL)), [2]);
    }
}
