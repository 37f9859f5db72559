//! Windows of one length, a new one begins at every step, aligned to 1970 UTC: end to end where the step is the length, over each
//! other where it is shorter.

use std::iter;
use std::time::Duration;

use crate::record::EventTime;

/// From `start` (in it) to `end` (not in it).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Window {
    pub start: EventTime,
    pub end: EventTime,
}

/// Assigns the windows that it is in to each event time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeWindows {
    length_micros: i64,
    every_micros: i64,
}

impl TimeWindows {
    pub fn tumbling(length: Duration) -> Self {
        TimeWindows::sliding(length, length)
    }

    /// Both are at least a microsecond, and `every` is at most the length; the pipeline file allows 1 ms to 366 days.
    pub fn sliding(length: Duration, every: Duration) -> Self {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX).max(1);
        let (length_micros, every_micros) = (micros(length), micros(every));
        debug_assert!(every_micros <= length_micros, "no time is between two windows");
        TimeWindows { length_micros, every_micros }
    }

    pub fn length_micros(&self) -> i64 {
        self.length_micros
    }

    /// Whether a time may be in more than one.
    pub fn overlap(&self) -> bool {
        self.every_micros < self.length_micros
    }

    /// The last window that an event time is in.
    pub fn last(&self, time: EventTime) -> Window {
        let start = time.micros().saturating_sub(time.micros().rem_euclid(self.every_micros));
        self.starting_at(EventTime::from_micros(start))
    }

    /// All windows that an event time is in, the last one first.
    pub fn all(&self, time: EventTime) -> impl Iterator<Item = Window> {
        let before = |window: &Window| Some(self.before(window.start));
        iter::successors(Some(self.last(time)), before).take_while(move |window| time < window.end)
    }

    pub fn starting_at(&self, start: EventTime) -> Window {
        Window { start, end: EventTime::from_micros(start.micros().saturating_add(self.length_micros)) }
    }

    /// The window that starts before the one that starts then.
    pub fn before(&self, start: EventTime) -> Window {
        self.starting_at(EventTime::from_micros(start.micros().saturating_sub(self.every_micros)))
    }

    /// The first window that starts after a time.
    pub fn after(&self, time: EventTime) -> Window {
        self.starting_at(EventTime::from_micros(self.last(time).start.micros().saturating_add(self.every_micros)))
    }

    /// The end of the last window that has ended by a watermark: a window has ended when its end is at or before it.
    pub fn last_ended(&self, watermark: EventTime) -> EventTime {
        if watermark == EventTime::MIN {
            return watermark;
        }
        self.last(EventTime::from_micros(watermark.micros().saturating_sub(self.length_micros))).end
    }

    /// The last window that an event time is in; `near` is that of another one, and mostly the same.
    pub fn last_by(&self, near: Window, time: EventTime) -> Window {
        match near.start <= time && time.micros().saturating_sub(near.start.micros()) < self.every_micros {
            true => near,
            false => self.last(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> EventTime {
        EventTime::from_micros(micros)
    }

    fn windows(length: u64, every: u64) -> TimeWindows {
        TimeWindows::sliding(Duration::from_micros(length), Duration::from_micros(every))
    }

    #[test]
    fn windows_are_aligned_before_1970_too() {
        let tumbling = TimeWindows::tumbling(Duration::from_micros(10));
        assert_eq!(tumbling.last(at(19)), Window { start: at(10), end: at(20) });
        assert_eq!(tumbling.last(at(20)), Window { start: at(20), end: at(30) });
        assert_eq!(tumbling.last(at(-1)), Window { start: at(-10), end: at(0) });
        assert_eq!(tumbling.all(at(19)).count(), 1);
    }

    #[test]
    fn a_window_has_ended_when_the_watermark_reaches_its_end() {
        let tumbling = TimeWindows::tumbling(Duration::from_micros(10));
        assert_eq!(tumbling.last_ended(at(19)), at(10));
        assert_eq!(tumbling.last_ended(at(20)), at(20));
        assert_eq!(tumbling.last_ended(EventTime::MIN), EventTime::MIN);
    }

    /// Against the definition: a window starts at every multiple of the step, and a time is in those that start at or before it
    /// and end after it.
    #[test]
    fn sliding_windows_are_those_of_the_definition() {
        for (length, every) in [(1, 1), (10, 10), (10, 5), (10, 3), (7, 2), (25, 10), (9, 1)] {
            let windows = windows(length, every);
            let (length, every) = (length as i64, every as i64);
            let starts = || (-60..60).filter(|start| start % every == 0);
            for time in -30..30 {
                let mut defined: Vec<i64> = starts().filter(|start| (*start..start + length).contains(&time)).collect();
                defined.reverse();
                let given: Vec<i64> = windows.all(at(time)).map(|window| window.start.micros()).collect();
                assert_eq!(given, defined, "length={length} every={every} time={time}");
                let ended = starts().map(|start| start + length).filter(|end| *end <= time).max();
                assert_eq!(Some(windows.last_ended(at(time)).micros()), ended, "length={length} every={every} {time}");
                assert_eq!(windows.last_by(windows.last(EventTime::MIN), at(time)), windows.last(at(time)));
                let near = windows.last(at(time));
                for other in -30..30 {
                    assert_eq!(windows.last_by(near, at(other)), windows.last(at(other)));
                }
            }
        }
    }
}
