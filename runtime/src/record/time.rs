//! Event time: microseconds since 1970 UTC.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

/// A point in the data's own time, in microseconds since 1970 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventTime(i64);

impl EventTime {
    /// Before every time: a watermark of which nothing is known yet.
    pub const MIN: EventTime = EventTime(i64::MIN);
    /// After every time.
    pub const MAX: EventTime = EventTime(i64::MAX);

    pub const fn from_micros(micros: i64) -> Self {
        EventTime(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// `MIN` stays `MIN`.
    pub fn minus(self, span: Duration) -> Self {
        EventTime(self.0.saturating_sub(micros_of(span)))
    }

    /// `MIN` stays `MIN`, so that an unknown time does not become a known one.
    pub fn plus(self, span: Duration) -> Self {
        if self == EventTime::MIN { self } else { EventTime(self.0.saturating_add(micros_of(span))) }
    }
}

fn micros_of(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, with as many fraction digits as needed; times that no calendar has as a number of microseconds.
impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_rfc_3339() {
        assert_eq!(EventTime::from_micros(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(EventTime::from_micros(1_500_000).to_string(), "1970-01-01T00:00:01.5Z");
    }

    #[test]
    fn an_unknown_time_stays_unknown() {
        assert_eq!(EventTime::MIN.plus(Duration::from_secs(1)), EventTime::MIN);
        assert_eq!(EventTime::MIN.minus(Duration::from_secs(1)), EventTime::MIN);
    }
}
