//! How far a partition's event time has come.

use std::time::Duration;

use crate::record::EventTime;

/// The largest event time of a partition minus `out_of_order`; it never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Watermark {
    current: EventTime,
    out_of_order: Duration,
}

impl Watermark {
    /// `current` is [`EventTime::MIN`] where nothing is known yet, else what was saved with the position.
    pub fn new(current: EventTime, out_of_order: Duration) -> Self {
        Watermark { current, out_of_order }
    }

    pub fn current(&self) -> EventTime {
        self.current
    }

    pub fn observe(&mut self, time: EventTime) {
        self.current = self.current.max(time.minus(self.out_of_order));
    }

    /// The largest event time that was observed, as far as the watermark tells; `MIN` where nothing was.
    pub fn largest(&self) -> EventTime {
        self.current.plus(self.out_of_order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_trails_the_largest_time_and_never_goes_back() {
        let mut watermark = Watermark::new(EventTime::MIN, Duration::from_micros(10));
        watermark.observe(EventTime::from_micros(100));
        watermark.observe(EventTime::from_micros(50));
        assert_eq!(watermark.current(), EventTime::from_micros(90));
        assert_eq!(watermark.largest(), EventTime::from_micros(100));
    }
}
