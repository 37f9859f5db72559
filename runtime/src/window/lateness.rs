//! How far behind the largest event time of their partition records come: what `out_of_order` has to bear.

use std::time::Duration;

use crate::record::EventTime;

/// Upper bounds of the buckets, in seconds; the first is for records that are in order.
const SECONDS: [u64; 12] = [0, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 21_600, 86_400];

const MICROS: [u64; SECONDS.len()] = {
    let mut micros = SECONDS;
    let mut place = 0;
    while place < micros.len() {
        micros[place] *= 1_000_000;
        place += 1;
    }
    micros
};

/// A histogram of it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Lateness {
    /// One more than bounds: the last is for what is further behind than all.
    pub records: [u64; SECONDS.len() + 1],
    /// Of all records together.
    pub micros: u64,
}

impl Lateness {
    pub const BUCKETS: usize = SECONDS.len() + 1;

    /// Upper bounds, in seconds.
    pub fn bounds() -> impl Iterator<Item = f64> {
        SECONDS.into_iter().map(|seconds| seconds as f64).chain([f64::INFINITY])
    }

    /// A record of then, where the largest event time before it was `largest`.
    pub fn note(&mut self, largest: EventTime, time: EventTime) {
        if time >= largest {
            self.records[0] += 1;
            return;
        }
        let micros = largest.micros().abs_diff(time.micros());
        self.micros = self.micros.saturating_add(micros);
        // Looked through to the end: that is faster than to stop somewhere.
        self.records[MICROS.iter().filter(|bound| **bound < micros).count()] += 1;
    }

    pub fn add(&mut self, more: &Lateness) {
        self.micros = self.micros.saturating_add(more.micros);
        self.records.iter_mut().zip(more.records).for_each(|(sum, more)| *sum += more);
    }

    pub fn total(&self) -> u64 {
        self.records.iter().sum()
    }

    /// The smallest bound within which so many of a thousand records come; none where that is beyond the largest.
    pub fn bound_of(&self, per_mille: u64) -> Option<Duration> {
        let wanted = u128::from(self.total()) * u128::from(per_mille);
        let mut within = 0;
        let bound = SECONDS.iter().zip(self.records).find(|(_, records)| {
            within += u128::from(*records) * 1000;
            within >= wanted
        });
        bound.map(|(seconds, _)| Duration::from_secs(*seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> EventTime {
        EventTime::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn records_are_counted_by_how_far_behind_they_are() {
        let mut lateness = Lateness::default();
        for (largest, time) in [(10, 10), (10, 11), (10, 9), (100, 70), (100, 69), (1_000_000, 0)] {
            lateness.note(at(largest), at(time));
        }
        lateness.note(EventTime::MIN, at(5));
        assert_eq!(lateness.records, [3, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((lateness.total(), lateness.micros), (7, 1_000_062_000_000));
        assert_eq!(lateness.bound_of(400), Some(Duration::ZERO));
        assert_eq!(lateness.bound_of(800), Some(Duration::from_secs(60)));
        assert_eq!(lateness.bound_of(999), None);
        assert_eq!(Lateness::default().bound_of(999), Some(Duration::ZERO));
        let mut both = lateness;
        both.add(&lateness);
        assert_eq!((both.total(), both.records[0]), (14, 6));
    }
}
