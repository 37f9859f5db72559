//! What calls of a plugin take as a rule, and how long a row may take before it is given up.
//!
//! A row that never comes back costs whatever time it is given. The first one is given nearly the deadline of a batch. Where it
//! was when that ended, its *place*, is remembered: a row that stops at a known place is given up after a multiple of what
//! any call takes, and one that stops elsewhere has its fair time. So innocent rows are safe, and many spinning ones are
//! cheap. So it is with traps: where a fresh instance has trapped on a row, the next ones are believed to be guilty as well.
//! docs/decisions/0003-time-for-a-row.md has the figures.

use std::time::Duration;

/// What all rows together have of short deadlines that are expected to break calls in a batch: the fewer, the more,
const SHORT_ALL: Duration = Duration::from_micros(1600);
const SHORT_LESS: Duration = Duration::from_micros(240);
const SHORT_LEAST: Duration = Duration::from_micros(400);
/// What a short call has beyond what is usual, at least: the clock ticks.
const SHORT_MIN: Duration = Duration::from_micros(40);
/// A run of rows has less: when it breaks, each of them has its own time.
const RUN_SHORT_MIN: Duration = Duration::from_micros(50);
/// And while no row is known to spin.
const PIECE_MIN: Duration = Duration::from_millis(50);
/// How often the longest surprise of late a short call has.
const SURPRISES: u32 = 2;
/// So many times its short time a row has, to come to where others spin.
const LONGER: u32 = 8;
/// After a row that spun, so many batches have short deadlines.
const SUSPICION_BATCHES: u32 = 64;
/// So many rows that stop at new places have all of the fair time; an interpreter may have any number of places.
const FAIR_WHOLE: u32 = 8;
/// A row's fair time does not sink below it.
const FAIR_MIN: Duration = Duration::from_millis(50);
const PLACES_MAX: usize = 32;
/// A run of fewer rows is not worth the call that it breaks, which costs as much as fifty that do not,
const TRAP_RUN_MIN: u32 = 11;
/// and a hundred where the time of a deadline has to pass.
const SPIN_RUN_MIN: u32 = 24;
const RUN_MAX: u32 = 64;
/// Of the rows that trap at a known place, one in so many has a fresh instance all the same.
const CONFIRMED_ONE_IN: u32 = 16;
/// A smaller batch says nothing about the next one.
const DENSITY_ROWS_MIN: u32 = 128;
/// The rows that the usual time is taken of.
const ROWS_MAX: u64 = 1 << 16;

/// Where a guest was when a call broke: the frames of its stack, as a number. (Of one that was interrupted the innermost ones:
/// more would tell apart how deep the same loop was reached.)
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
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
    /// The next call is the first of an instance.
    is_first: bool,
    /// Batches until spinning rows are no longer expected.
    suspicion: u32,
    fair: Duration,
    /// Rows that still have all of it.
    fair_whole: u32,
    /// Where rows were that did not come back in their fair time.
    places: Vec<Place>,
    /// Where rows trapped on a fresh instance.
    traps: Vec<Place>,
    /// Where one has trapped on a used instance alone: the place says nothing.
    not_traps: Vec<Place>,
    /// How often a trap's place has been asked for.
    asked: u32,
    /// How many rows in so many broke calls, in the batch before.
    density: (usize, u32),
    /// And in this one so far.
    given_up: u32,
}

impl Pace {
    pub fn new(deadline: Duration) -> Self {
        Pace {
            deadline,
            rows: 0,
            time: Duration::ZERO,
            surprise: Duration::ZERO,
            first_surprise: Duration::ZERO,
            is_first: true,
            suspicion: 0,
            fair: fair(deadline),
            fair_whole: FAIR_WHOLE,
            places: Vec::new(),
            traps: Vec::new(),
            not_traps: Vec::new(),
            asked: 0,
            density: (0, 1),
            given_up: 0,
        }
    }

    /// The time of a batch; none where it would break for certain, as the one before.
    pub fn batch(&mut self, rows: u32) -> Option<Duration> {
        self.surprise -= self.surprise / 16;
        match self.expected(rows) {
            2.. => None,
            _ if self.suspicion == 0 => Some(self.deadline),
            _ => Some(self.piece(rows)),
        }
    }

    /// How many of so many rows break calls, if they are as those of the batch before.
    fn expected(&self, rows: u32) -> u32 {
        let (broken, of) = self.density;
        let expected = (broken as u64 * u64::from(rows)).checked_div(u64::from(of)).unwrap_or_default();
        u32::try_from(expected).unwrap_or(u32::MAX)
    }

    /// The time of some rows of a batch that breaks.
    pub fn piece(&self, rows: u32) -> Duration {
        let (_, of) = self.density;
        let expected = self.expected(of).max(self.given_up).max(1);
        let all = SHORT_ALL.saturating_sub(SHORT_LESS.saturating_mul(expected)).max(SHORT_LEAST);
        self.short(rows, (all / expected).max(SHORT_MIN))
    }

    /// The time of a run of them, which gives nobody up.
    pub fn run_time(&self, rows: u32) -> Duration {
        self.short(rows, RUN_SHORT_MIN)
    }

    fn short(&self, rows: u32, short_min: Duration) -> Duration {
        let least = if self.suspicion == 0 { PIECE_MIN } else { short_min };
        let first = if self.is_first { self.first_surprise } else { Duration::ZERO };
        let surprise = self.surprise.max(first).saturating_mul(SURPRISES);
        (self.usual(rows) * 2 + surprise.max(least)).min(self.deadline)
    }

    /// The time of a row that is alone with a fresh instance, before it is given up.
    pub fn fair(&self) -> Duration {
        self.fair.max(self.piece(1)).min(self.deadline)
    }

    /// The time of one that did not come back in a short one, before it has its fair time; none while no place is known.
    pub fn longer(&self) -> Option<Duration> {
        (!self.places.is_empty()).then(|| (self.piece(1) * LONGER).min(self.fair()))
    }

    /// How many rows of a batch that breaks are tried together: so many that runs and single rows take as many calls each. Where
    /// that would be few, rows are tried singly: that breaks fewer calls.
    pub fn run(&self, rows: u32) -> u32 {
        let least = if self.suspicion == 0 { TRAP_RUN_MIN } else { SPIN_RUN_MIN };
        match (2 * rows / self.expected(rows).max(1)).isqrt() {
            run if run < least => 1,
            run => run.min(RUN_MAX),
        }
    }

    /// A call broke: the next one has a fresh instance.
    pub fn broke(&mut self) {
        self.is_first = true;
    }

    /// A call came back.
    pub fn took(&mut self, rows: u32, took: Duration, first: bool) {
        self.is_first = false;
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

    /// Whether rows spin there.
    pub fn knows(&self, place: Place) -> bool {
        self.places.contains(&place)
    }

    /// Whether a row that traps there is to blame, whatever instance it was. Now and then that is looked at again.
    pub fn knows_trap(&mut self, place: Place) -> bool {
        self.asked = self.asked.wrapping_add(1);
        self.traps.contains(&place) && !self.asked.is_multiple_of(CONFIRMED_ONE_IN)
    }

    /// A row trapped there, alone, on a fresh instance.
    pub fn trapped(&mut self, place: Place) {
        if !self.traps.contains(&place) && !self.not_traps.contains(&place) {
            push(&mut self.traps, place);
        }
    }

    /// A row trapped there, and not on a fresh instance.
    pub fn trapped_without_reason(&mut self, place: Place) {
        self.traps.retain(|known| *known != place);
        if !self.not_traps.contains(&place) {
            push(&mut self.not_traps, place);
        }
    }

    /// A row had its fair time, and was there when it ended. After some of them the next ones have less.
    pub fn spun(&mut self, place: Place) {
        if self.knows(place) {
            return;
        }
        push(&mut self.places, place);
        match self.fair_whole.checked_sub(1) {
            Some(left) => self.fair_whole = left,
            None => self.fair = (self.fair / 2).max(FAIR_MIN).min(self.fair),
        }
    }

    /// A row that had seemed to spin came back in its fair time.
    pub fn came_back(&mut self) {
        (self.fair, self.fair_whole) = (fair(self.deadline), FAIR_WHOLE);
    }

    /// A row of this batch is given up.
    pub fn gave_up(&mut self) {
        self.given_up += 1;
    }

    /// A batch is served.
    pub fn served(&mut self, rows: u32, broken: usize) {
        self.given_up = 0;
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

/// The oldest goes where there are too many.
fn push(places: &mut Vec<Place>, place: Place) {
    if places.len() == PLACES_MAX {
        places.remove(0);
    }
    places.push(place);
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
        assert_eq!(pace.piece(1000), micros(200) + SHORT_ALL - SHORT_LESS);
        for _ in 0..SUSPICION_BATCHES {
            assert!(pace.batch(1000) < Some(micros(2000)));
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
        pace.took(1, micros(1_200_000), true);
        assert!(pace.piece(1) < SECOND, "another instance has begun long ago");
        pace.broke();
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
        assert_eq!((pace.batch(1024), pace.run(1024)), (None, 14));
        assert!(pace.batch(100).is_some());
        pace.suspect();
        assert_eq!(pace.run(1024), 1);
        assert_eq!(pace.piece(0), micros(40), "all of them together have 400");
    }

    #[test]
    fn a_place_where_a_fresh_instance_traps_is_known_until_a_used_one_traps_there_without_reason() {
        let mut pace = used();
        let place = Place(7);
        assert!(!pace.knows_trap(place));
        pace.trapped(place);
        let known = (0..CONFIRMED_ONE_IN).filter(|_| pace.knows_trap(place)).count();
        assert_eq!(known, CONFIRMED_ONE_IN as usize - 1, "now and then it is looked at");
        pace.trapped_without_reason(place);
        pace.trapped(place);
        assert!((0..CONFIRMED_ONE_IN).all(|_| !pace.knows_trap(place)));
    }
}
