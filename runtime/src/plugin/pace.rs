//! What calls of a plugin take as a rule, and how long a row may take before it is given up.
//!
//! A row that never comes back costs whatever time it is given. The first one is given nearly the deadline of a batch. Where it
//! was when that ended, its *place*, is remembered: a row that stops at a known place is given up after a multiple of what
//! any call takes, and one that stops elsewhere has its fair time. So innocent rows are safe, and many spinning ones are
//! cheap. docs/decisions/0003-time-for-a-row.md has the figures.

use std::time::Duration;

/// What a short call has beyond what is usual, at least: the clock ticks a few times.
const SHORT_MIN: Duration = Duration::from_micros(200);
/// A run of rows has less: when it breaks, each of them has its own time.
const RUN_SHORT_MIN: Duration = Duration::from_micros(50);
/// And while no row is known to spin.
const PIECE_MIN: Duration = Duration::from_millis(50);
/// How often the longest surprise of late a short call has.
const SURPRISES: u32 = 2;
/// After a row that spun, so many batches have short deadlines.
const SUSPICION_BATCHES: u32 = 64;
/// So many rows that stop at new places have all of the fair time; an interpreter may have any number of places.
const FAIR_WHOLE: u32 = 8;
/// A row's fair time does not sink below it.
const FAIR_MIN: Duration = Duration::from_millis(50);
const PLACES_MAX: usize = 32;
/// A smaller batch says nothing about the next one.
const DENSITY_ROWS_MIN: u32 = 128;
/// The rows that the usual time is taken of.
const ROWS_MAX: u64 = 1 << 16;

/// Where a guest was when its time was over: the innermost frames of its stack, as a number.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Place(pub u64);

#[derive(Debug)]
pub(super) struct Pace {
    deadline: Duration,
    /// Of late: rows of calls that came back, and what these took.
    rows: u64,
    time: Duration,
    /// The most that a call of late took beyond what is usual; the first call of an instance is another matter.
    surprise: Duration,
    first_surprise: Duration,
    /// Batches until spinning rows are no longer expected.
    suspicion: u32,
    fair: Duration,
    /// Rows that still have all of it.
    fair_whole: u32,
    /// Where rows were that did not come back in their fair time.
    places: Vec<Place>,
    /// How many rows in so many broke calls, in the batch before.
    density: (usize, u32),
}

impl Pace {
    pub fn new(deadline: Duration) -> Self {
        Pace {
            deadline,
            rows: 0,
            time: Duration::ZERO,
            surprise: Duration::ZERO,
            first_surprise: Duration::ZERO,
            suspicion: 0,
            fair: fair(deadline),
            fair_whole: FAIR_WHOLE,
            places: Vec::new(),
            density: (0, 1),
        }
    }

    /// The time of a batch; none where it would break for certain, as the one before.
    pub fn batch(&mut self, rows: u32) -> Option<Duration> {
        self.surprise -= self.surprise / 16;
        let (broken, of) = self.density;
        match (broken as u64 * u64::from(rows)).checked_div(u64::from(of)) {
            Some(expected) if expected >= 2 => None,
            Some(_) | None if self.suspicion == 0 => Some(self.deadline),
            Some(_) | None => Some(self.piece(rows)),
        }
    }

    /// The time of some rows of a batch that breaks.
    pub fn piece(&self, rows: u32) -> Duration {
        self.short(rows, SHORT_MIN)
    }

    /// The time of a run of them, which gives nobody up.
    pub fn run_time(&self, rows: u32) -> Duration {
        self.short(rows, RUN_SHORT_MIN)
    }

    fn short(&self, rows: u32, short_min: Duration) -> Duration {
        let least = if self.suspicion == 0 { PIECE_MIN } else { short_min };
        let surprise = self.surprise.max(self.first_surprise).saturating_mul(SURPRISES);
        (self.usual(rows) * 2 + surprise.max(least)).min(self.deadline)
    }

    /// The time of a row that is alone with a fresh instance, before it is given up.
    pub fn fair(&self) -> Duration {
        self.fair.max(self.piece(1)).min(self.deadline)
    }

    /// How many rows of a batch that breaks are tried together: so many that runs and single rows take as many calls each. Where
    /// several rows break calls they are tried singly: that breaks fewer, and a call that breaks costs as much as a hundred that do not.
    pub fn run(&self, rows: u32) -> u32 {
        let (broken, of) = self.density;
        let expected = (broken as u64 * u64::from(rows)).checked_div(u64::from(of)).unwrap_or_default();
        match (2 * u64::from(rows) / expected.max(1)).isqrt() {
            run if run < 24 => 1,
            run => u32::try_from(run).unwrap_or(u32::MAX).min(64),
        }
    }

    /// A call came back.
    pub fn took(&mut self, rows: u32, took: Duration, first: bool) {
        let beyond = took.saturating_sub(self.usual(rows));
        if first {
            self.first_surprise = (self.first_surprise - self.first_surprise / 8).max(beyond);
            return;
        }
        if self.rows > 0 {
            self.surprise = self.surprise.max(beyond);
        }
        self.rows += u64::from(rows);
        self.time += took;
        if self.rows > ROWS_MAX {
            (self.rows, self.time) = (self.rows / 2, self.time / 2);
        }
    }

    /// A call did not come back in time.
    pub fn suspect(&mut self) {
        self.suspicion = SUSPICION_BATCHES;
    }

    pub fn knows(&self, place: Place) -> bool {
        self.places.contains(&place)
    }

    /// A row had its fair time, and was there when it ended. After some of them the next ones have less.
    pub fn spun(&mut self, place: Place) {
        if self.places.len() == PLACES_MAX {
            self.places.remove(0);
        }
        self.places.push(place);
        match self.fair_whole.checked_sub(1) {
            Some(left) => self.fair_whole = left,
            None => self.fair = (self.fair / 2).max(FAIR_MIN).min(self.fair),
        }
    }

    /// A row that had seemed to spin came back in its fair time.
    pub fn came_back(&mut self) {
        (self.fair, self.fair_whole) = (fair(self.deadline), FAIR_WHOLE);
    }

    /// A batch is served.
    pub fn served(&mut self, rows: u32, broken: usize) {
        self.density = if rows < DENSITY_ROWS_MIN { (0, 1) } else { (broken, rows) };
        self.suspicion = self.suspicion.saturating_sub(1);
        if self.suspicion == 0 {
            self.came_back();
        }
    }

    fn usual(&self, rows: u32) -> Duration {
        let nanos = self.time.as_nanos() * u128::from(rows) / u128::from(self.rows.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// With the deadline of its batch, which has passed before, that is less than twice the deadline.
fn fair(deadline: Duration) -> Duration {
    deadline / 4 * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    fn used() -> Pace {
        let mut pace = Pace::new(SECOND);
        for _ in 0..100 {
            assert_eq!(pace.batch(1000), Some(SECOND));
            pace.took(1000, micros(100), false);
            pace.served(1000, 0);
        }
        pace
    }

    #[test]
    fn times_are_short_after_a_row_that_spun_and_long_again_later() {
        let mut pace = used();
        pace.suspect();
        assert_eq!(pace.piece(1000), micros(200) + SHORT_MIN);
        for _ in 0..SUSPICION_BATCHES {
            assert!(pace.batch(1000) < Some(micros(1000)));
            pace.served(1000, 0);
        }
        assert_eq!(pace.batch(1000), Some(SECOND));
    }

    #[test]
    fn a_surprise_makes_all_times_longer() {
        let mut pace = used();
        pace.suspect();
        pace.took(1, micros(5_000), false);
        assert!(pace.piece(1) > micros(2 * 4_900));
        pace.took(1, micros(600_000), true);
        assert_eq!((pace.piece(1), pace.fair()), (SECOND, SECOND), "never beyond the deadline");
    }

    #[test]
    fn the_fair_time_sinks_with_rows_that_spin_and_rises_with_one_that_comes_back() {
        let mut pace = used();
        pace.suspect();
        assert_eq!(pace.fair(), SECOND / 4 * 3);
        for place in 0..100 {
            pace.spun(Place(place));
        }
        assert_eq!((pace.fair(), pace.places.len()), (FAIR_MIN, PLACES_MAX));
        assert!(pace.knows(Place(99)) && !pace.knows(Place(0)));
        pace.came_back();
        assert_eq!(pace.fair(), SECOND / 4 * 3);
    }

    #[test]
    fn the_more_rows_break_calls_the_fewer_are_tried_together() {
        let mut pace = used();
        assert_eq!(pace.run(1024), 45);
        pace.served(1024, 1);
        assert!(pace.batch(1024).is_some());
        assert_eq!(pace.run(1024), 45);
        pace.served(1024, 10);
        assert_eq!((pace.batch(1024), pace.run(1024)), (None, 1));
        assert!(pace.batch(100).is_some());
    }
}
