//! Sessions: event times that are less than a gap apart are of one, within the cells of a grid that is aligned to 1970 UTC. So
//! which are together is a function of the set of times alone.

use std::time::Duration;

use crate::record::EventTime;

use super::Window;

/// Assigns the window that it opens to an event time, and tells which windows are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionWindows {
    gap_micros: i64,
    max_micros: i64,
}

impl SessionWindows {
    /// No session has event times of two cells of the length `max`. Both are at least a microsecond.
    pub fn new(gap: Duration, max: Duration) -> Self {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX).max(1);
        SessionWindows { gap_micros: micros(gap), max_micros: micros(max) }
    }

    pub fn gap_micros(&self) -> i64 {
        self.gap_micros
    }

    /// The session of one record by itself.
    pub fn of(&self, time: EventTime) -> Window {
        Window { start: time, end: EventTime::from_micros(time.micros().saturating_add(self.gap_micros)) }
    }

    /// The number of the cell that a time is in.
    pub fn cell(&self, time: EventTime) -> i64 {
        time.micros().div_euclid(self.max_micros)
    }

    /// Whether a record of that time is of this session.
    pub fn joins(&self, window: Window, time: EventTime) -> bool {
        self.are_one(window, self.of(time))
    }

    /// Whether two sessions, or parts of them, are one: they overlap, and are of one cell.
    pub fn are_one(&self, left: Window, right: Window) -> bool {
        left.start < right.end && right.start < left.end && self.cell(left.start) == self.cell(right.start)
    }
}

impl Window {
    /// From the earlier start to the later end.
    pub(crate) fn with(self, other: Window) -> Window {
        Window { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_join_within_a_gap_and_a_cell() {
        let at = EventTime::from_micros;
        let windows = SessionWindows::new(Duration::from_micros(10), Duration::from_micros(100));
        let window = Window { start: at(40), end: at(60) };
        let joins = |micros| windows.joins(window, at(micros));
        assert_eq!([30, 31, 45, 59, 60].map(joins), [false, true, true, true, false]);
        let window = windows.of(at(95));
        assert!(windows.joins(window, at(99)) && !windows.joins(window, at(100)));
        let window = windows.of(at(-1));
        assert!(windows.joins(window, at(-2)) && !windows.joins(window, at(0)));
    }
}
