//! Tumbling windows: of one length, end to end, aligned to 1970 UTC.

use std::time::Duration;

use crate::record::EventTime;

/// From `start` (in it) to `end` (not in it).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Window {
    pub start: EventTime,
    pub end: EventTime,
}

/// Assigns one window to each event time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tumbling {
    length_micros: i64,
}

impl Tumbling {
    /// The length is at least a microsecond; the pipeline file allows 1 ms to 366 days.
    pub fn new(length: Duration) -> Self {
        let length_micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX).max(1);
        Tumbling { length_micros }
    }

    pub fn length_micros(&self) -> i64 {
        self.length_micros
    }

    pub fn window(&self, time: EventTime) -> Window {
        let start = time.micros().saturating_sub(time.micros().rem_euclid(self.length_micros));
        self.starting_at(EventTime::from_micros(start))
    }

    pub fn starting_at(&self, start: EventTime) -> Window {
        Window { start, end: EventTime::from_micros(start.micros().saturating_add(self.length_micros)) }
    }

    /// The end of the last window that has ended by a watermark: a window has ended when its end is at or before it.
    pub fn last_ended(&self, watermark: EventTime) -> EventTime {
        if watermark == EventTime::MIN { watermark } else { self.window(watermark).start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> EventTime {
        EventTime::from_micros(micros)
    }

    #[test]
    fn windows_are_aligned_before_1970_too() {
        let tumbling = Tumbling::new(Duration::from_micros(10));
        assert_eq!(tumbling.window(at(19)), Window { start: at(10), end: at(20) });
        assert_eq!(tumbling.window(at(20)), Window { start: at(20), end: at(30) });
        assert_eq!(tumbling.window(at(-1)), Window { start: at(-10), end: at(0) });
    }

    #[test]
    fn a_window_has_ended_when_the_watermark_reaches_its_end() {
        let tumbling = Tumbling::new(Duration::from_micros(10));
        assert_eq!(tumbling.last_ended(at(19)), at(10));
        assert_eq!(tumbling.last_ended(at(20)), at(20));
        assert_eq!(tumbling.last_ended(EventTime::MIN), EventTime::MIN);
    }
}
