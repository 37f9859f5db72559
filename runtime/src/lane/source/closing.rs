//! Windows that have ended in a source lane, until what they gave is safe: parts are acknowledged first, then the marker
//! that vouches for them, then the position may pass their records. In the order of their watermarks.
//!
//! ```text
//! parts written ─▶ (all acknowledged) ─▶ marker written ─▶ (acknowledged everywhere) ─▶ released
//! documents of outputs that do not merge ─────────────────▶ (settled) ────────────────▶ released
//! ```

use std::collections::VecDeque;

use crate::record::EventTime;
use crate::window::Hold;

/// What a marker says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MarkerWord {
    pub watermark: EventTime,
    pub idle: bool,
}

#[derive(Clone, Debug)]
struct Closing {
    watermark: EventTime,
    hold: Option<Hold>,
    /// Writes of parts that are not acknowledged.
    parts: usize,
    /// Document batches, and dead letters of them, that are not settled.
    documents: usize,
    marked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Idleness {
    Active,
    /// What is open was written out; whether that is acknowledged.
    Leaving {
        written: bool,
    },
    /// The idle marker was written.
    Idle,
}

/// The windows that have ended and are not released.
#[derive(Clone, Debug)]
pub(super) struct Closings {
    queue: VecDeque<Closing>,
    /// The number of the first in the queue.
    first: u64,
    /// Whether there is a parts topic to write markers to.
    marks: bool,
    /// The marker in flight covers closings before this number.
    in_flight: Option<u64>,
    /// What the last marker claimed.
    claimed: EventTime,
    /// A marker is due that says where the lane is, and that it is not idle.
    announce: bool,
    idleness: Idleness,
    /// How many times the partition became idle: an acknowledgement of an earlier time counts no more.
    leaves: u64,
}

impl Closings {
    pub fn new(marks: bool, watermark: EventTime) -> Self {
        Closings {
            queue: VecDeque::new(),
            first: 0,
            marks,
            in_flight: None,
            claimed: watermark,
            announce: marks,
            idleness: Idleness::Active,
            leaves: 0,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.idleness != Idleness::Active
    }

    pub fn is_settled(&self) -> bool {
        let leaving = matches!(self.idleness, Idleness::Leaving { written: false });
        self.queue.is_empty() && self.in_flight.is_none() && !leaving && !self.announce
    }

    /// The number of the next closing.
    pub fn end(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    /// Whether all before this one are safe.
    pub fn has_released(&self, closing: u64) -> bool {
        self.first >= closing
    }

    /// The oldest record that a window here needs.
    pub fn hold(&self) -> Option<Hold> {
        self.queue.iter().fold(None, |oldest, closing| Hold::older(oldest, closing.hold))
    }

    /// Windows that ended by `watermark` were taken out, and so many writes of parts and documents were asked for.
    pub fn push(&mut self, watermark: EventTime, hold: Option<Hold>, parts: usize, documents: usize) -> u64 {
        self.queue.push_back(Closing { watermark, hold, parts, documents, marked: !self.marks });
        self.end() - 1
    }

    pub fn parts_written(&mut self, closing: u64) {
        self.at(closing).parts -= 1;
    }

    /// `more`: dead letters took the place of the documents.
    pub fn documents_settled(&mut self, closing: u64, more: bool) {
        self.at(closing).documents -= usize::from(!more);
    }

    fn at(&mut self, closing: u64) -> &mut Closing {
        &mut self.queue[(closing - self.first) as usize]
    }

    /// A record came.
    pub fn wake(&mut self) {
        if self.idleness != Idleness::Active {
            self.announce = self.marks;
            self.idleness = Idleness::Active;
        }
    }

    /// The partition is idle still: the marker is written again, in case that somebody who is gone said otherwise since.
    pub fn stay(&mut self) {
        if self.idleness == Idleness::Idle {
            self.idleness = Idleness::Leaving { written: true };
        }
    }

    /// The partition is idle; what is open is being written out, if there is anything. The number of this leave.
    pub fn leave(&mut self, written: bool) -> u64 {
        self.idleness = Idleness::Leaving { written };
        self.leaves += 1;
        self.leaves
    }

    /// What was open at a leave is acknowledged.
    pub fn left(&mut self, leave: u64) {
        if self.idleness == (Idleness::Leaving { written: false }) && leave == self.leaves {
            self.idleness = Idleness::Leaving { written: true };
        }
    }

    /// The marker that may be written now, if any; `current` is the lane's watermark. One is in flight at a time.
    pub fn next_marker(&mut self, current: EventTime) -> Option<MarkerWord> {
        if !self.marks || self.in_flight.is_some() {
            return None;
        }
        let ready = self.queue.iter().take_while(|closing| closing.marked || closing.parts == 0).count();
        let unmarked = self.queue.iter().take(ready).filter(|closing| !closing.marked).count();
        let all = ready == self.queue.len();
        let word = if all && self.idleness == (Idleness::Leaving { written: true }) {
            self.idleness = Idleness::Idle;
            MarkerWord { watermark: current, idle: true }
        } else if unmarked > 0 {
            MarkerWord { watermark: self.queue[ready - 1].watermark, idle: false }
        } else if self.announce {
            MarkerWord { watermark: if all { current } else { self.claimed }, idle: false }
        } else {
            return None;
        };
        self.announce = false;
        self.claimed = word.watermark;
        self.in_flight = Some(self.first + ready as u64);
        Some(word)
    }

    /// The marker in flight is acknowledged everywhere.
    pub fn marker_written(&mut self) {
        if let Some(through) = self.in_flight.take() {
            let covered = (through - self.first) as usize;
            self.queue.iter_mut().take(covered).for_each(|closing| closing.marked = true);
        }
    }

    /// Lets go of what is safe; the watermark through which windows are, where that moved.
    pub fn release(&mut self) -> Option<EventTime> {
        let mut released = None;
        while self.queue.front().is_some_and(|one| one.marked && one.parts == 0 && one.documents == 0) {
            // A marker in flight counts on its closings being here.
            released = self.queue.pop_front().map(|closing| closing.watermark);
            self.first += 1;
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use crate::record::Offset;

    use super::*;

    fn at(micros: i64) -> EventTime {
        EventTime::from_micros(micros)
    }

    fn hold(offset: i64) -> Option<Hold> {
        Some(Hold { offset: Offset(offset), watermark: EventTime::MIN })
    }

    fn announced(watermark: i64) -> Closings {
        let mut closings = Closings::new(true, at(watermark));
        assert_eq!(closings.next_marker(at(watermark)), Some(MarkerWord { watermark: at(watermark), idle: false }));
        closings.marker_written();
        closings
    }

    #[test]
    fn a_marker_waits_for_its_parts_and_the_position_for_the_marker() {
        let mut closings = announced(0);
        let first = closings.push(at(10), hold(1), 2, 0);
        closings.parts_written(first);
        assert_eq!(closings.next_marker(at(15)), None);
        closings.parts_written(first);
        assert_eq!(closings.release(), None);
        assert_eq!(closings.next_marker(at(15)), Some(MarkerWord { watermark: at(10), idle: false }));
        assert_eq!((closings.release(), closings.hold()), (None, hold(1)));
        closings.marker_written();
        assert_eq!((closings.release(), closings.hold()), (Some(at(10)), None));
        assert!(closings.is_settled());
    }

    #[test]
    fn one_marker_covers_all_that_is_ready() {
        let mut closings = announced(0);
        closings.push(at(10), None, 0, 0);
        closings.push(at(20), None, 0, 0);
        let last = closings.push(at(30), hold(7), 1, 0);
        assert_eq!(closings.next_marker(at(30)).map(|word| word.watermark), Some(at(20)));
        closings.parts_written(last);
        assert_eq!(closings.next_marker(at(30)), None);
        closings.marker_written();
        assert_eq!(closings.release(), Some(at(20)));
        assert_eq!(closings.next_marker(at(30)).map(|word| word.watermark), Some(at(30)));
    }

    #[test]
    fn an_idle_marker_waits_for_what_was_open_and_a_record_calls_it_off() {
        let mut closings = announced(5);
        let leave = closings.leave(false);
        assert_eq!(closings.next_marker(at(5)), None);
        closings.left(leave);
        assert_eq!(closings.next_marker(at(5)), Some(MarkerWord { watermark: at(5), idle: true }));
        closings.marker_written();
        closings.stay();
        assert_eq!(closings.next_marker(at(5)), Some(MarkerWord { watermark: at(5), idle: true }));
        closings.marker_written();
        closings.wake();
        assert_eq!(closings.next_marker(at(5)), Some(MarkerWord { watermark: at(5), idle: false }));
        closings.marker_written();
        let early = closings.leave(false);
        closings.wake();
        let late = closings.leave(false);
        closings.left(early);
        assert_eq!(closings.next_marker(at(5)).map(|word| word.idle), Some(false));
        closings.marker_written();
        closings.left(late);
        assert_eq!(closings.next_marker(at(5)).map(|word| word.idle), Some(true));
    }

    #[test]
    fn without_a_parts_topic_documents_alone_release() {
        let mut closings = Closings::new(false, EventTime::MIN);
        assert!(closings.is_settled());
        let first = closings.push(at(10), hold(1), 0, 1);
        assert_eq!((closings.next_marker(at(10)), closings.release()), (None, None));
        closings.documents_settled(first, true);
        assert_eq!(closings.release(), None);
        closings.documents_settled(first, false);
        assert_eq!(closings.release(), Some(at(10)));
    }
}
