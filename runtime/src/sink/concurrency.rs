//! How many bulk requests may be in flight: one more while the index answers as fast as it did, half as many when it says that it is busy,
//! a tenth less when it becomes slow (AIMD). As many as it refused are tried again only after a while. It sends nothing, and time comes as an
//! argument.

use std::time::Instant;

/// A response time so many mean deviations above the mean is slow.
const SLOW_DEVIATIONS: f64 = 2.5;
/// Differences below this part of the mean are noise, however small the deviation.
const NOISE: f64 = 0.5;
/// What the newest round counts for in mean and deviation.
const NEWEST: f64 = 0.4;
/// After so many rounds, as many are tried again as were too many.
const PATIENCE: u32 = 10;

/// Between one and as many as there are slots. It is looked at in rounds, each of as many answers as there may be requests at once: what
/// was sent before a round says nothing about it.
#[derive(Debug)]
pub(crate) struct Concurrency {
    limit: usize,
    max: usize,
    /// As many were too many when the index was busy last, and so many rounds have been full since as far as was tried.
    too_many: Option<(usize, u32)>,
    /// Of the rounds' response times in seconds; none before the first.
    usual: Option<Usual>,
    round: Option<Round>,
    /// When there were too many last: what was sent before says no more than that.
    halved: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Usual {
    mean: f64,
    deviation: f64,
}

#[derive(Debug)]
struct Round {
    began: Instant,
    seconds: f64,
    answers: usize,
    /// As many as may be were in flight.
    is_full: bool,
}

/// What a request's answer says about the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Load {
    /// It took the request as a whole, whatever became of the documents.
    Answered,
    /// It refused all or some of it because of what it has to do already, or did not answer in time.
    Busy,
    /// It was not there, or did not let us in: nothing is learned.
    Unknown,
}

impl Concurrency {
    /// Begins with one request at a time.
    pub fn new(max: usize) -> Self {
        Concurrency { limit: 1, max: max.max(1), too_many: None, usual: None, round: None, halved: None }
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// So many requests are in flight, the one that was just sent among them.
    pub fn sent(&mut self, in_flight: usize, now: Instant) {
        let began = Round { began: now, seconds: 0.0, answers: 0, is_full: false };
        self.round.get_or_insert(began).is_full |= in_flight >= self.limit;
    }

    /// A request came back that was sent at `sent`.
    pub fn landed(&mut self, load: Load, sent: Instant, now: Instant) {
        match load {
            Load::Unknown => {}
            Load::Busy => {
                if self.halved.is_none_or(|halved| sent >= halved) {
                    self.too_many = Some((self.limit, 0));
                    self.limit = (self.limit / 2).max(1);
                    (self.round, self.halved) = (None, Some(now));
                }
            }
            Load::Answered => {
                let Some(round) = self.round.as_mut().filter(|round| sent >= round.began) else { return };
                round.seconds += now.duration_since(sent).as_secs_f64();
                round.answers += 1;
                if round.answers >= self.limit {
                    let (seconds, is_full) = (round.seconds / round.answers as f64, round.is_full);
                    self.round = None;
                    self.turn(seconds, is_full);
                }
            }
        }
    }

    fn turn(&mut self, seconds: f64, is_full: bool) {
        let Some(usual) = &mut self.usual else {
            self.usual = Some(Usual { mean: seconds, deviation: 0.0 });
            return self.grow(is_full);
        };
        let is_slow = seconds > usual.mean + (SLOW_DEVIATIONS * usual.deviation).max(NOISE * usual.mean);
        let difference = seconds - usual.mean;
        usual.mean += NEWEST * difference;
        usual.deviation += NEWEST * (difference.abs() - usual.deviation);
        match is_slow {
            true => self.limit = (self.limit - self.limit.div_ceil(10)).max(1),
            false => self.grow(is_full),
        }
    }

    /// Nothing is learned about more than was asked for.
    fn grow(&mut self, is_full: bool) {
        if !is_full || self.limit == self.max {
            return;
        }
        match &mut self.too_many {
            // It bears that now.
            Some((limit, _)) if self.limit >= *limit && *limit > 1 => self.too_many = None,
            Some((limit, rounds)) if self.limit + 1 >= *limit && *rounds < PATIENCE => {
                *rounds += 1;
                return;
            }
            Some(_) | None => {}
        }
        self.limit += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Index {
        concurrency: Concurrency,
        now: Instant,
    }

    impl Index {
        fn new(max: usize) -> Self {
            Index { concurrency: Concurrency::new(max), now: Instant::now() }
        }

        /// As many requests as may be, sent at once and answered at once.
        fn round(&mut self, load: Load, millis: u64) -> usize {
            let sent = self.now;
            let count = self.concurrency.limit();
            (1..=count).for_each(|in_flight| self.concurrency.sent(in_flight, sent));
            self.now += Duration::from_millis(millis);
            (0..count).for_each(|_| self.concurrency.landed(load, sent, self.now));
            self.concurrency.limit()
        }
    }

    #[test]
    fn it_grows_by_one_a_round_up_to_the_most() {
        let mut index = Index::new(4);
        let limits: Vec<usize> = (0..5).map(|_| index.round(Load::Answered, 20)).collect();
        assert_eq!(limits, [2, 3, 4, 4, 4]);
    }

    #[test]
    fn it_halves_once_for_all_that_a_busy_index_refused_at_once() {
        let mut index = Index::new(16);
        while index.round(Load::Answered, 20) < 16 {}
        assert_eq!(index.round(Load::Busy, 5), 8);
        assert_eq!([1, 2, 3, 4].map(|_| index.round(Load::Busy, 5)), [4, 2, 1, 1]);
    }

    #[test]
    fn as_many_as_were_too_many_are_tried_again_after_a_while() {
        let mut index = Index::new(16);
        while index.round(Load::Answered, 20) < 6 {}
        let mut limits: Vec<usize> = vec![index.round(Load::Busy, 20)];
        limits.extend((0..14).map(|_| index.round(Load::Answered, 20)));
        assert_eq!(limits, [3, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6, 7]);
        assert_eq!(index.round(Load::Answered, 20), 8, "it bears more than it did");
    }

    #[test]
    fn it_gives_way_to_an_index_that_becomes_slow() {
        let mut index = Index::new(16);
        while index.round(Load::Answered, 20) < 16 {}
        assert_eq!(index.round(Load::Answered, 22), 16, "noise");
        assert_eq!(index.round(Load::Answered, 200), 14);
    }

    #[test]
    fn what_was_not_asked_for_is_not_learned() {
        let mut index = Index::new(16);
        index.round(Load::Answered, 20);
        for _ in 0..4 {
            let sent = index.now;
            index.now += Duration::from_millis(20);
            index.concurrency.sent(1, sent);
            index.concurrency.landed(Load::Answered, sent, index.now);
        }
        assert_eq!(index.concurrency.limit(), 2);
        assert_eq!(index.round(Load::Unknown, 20), 2);
    }

    #[test]
    fn one_that_is_refused_after_the_others_were_answered_counts() {
        let mut index = Index::new(16);
        while index.round(Load::Answered, 20) < 3 {}
        let sent = index.now;
        (1..=3).for_each(|in_flight| index.concurrency.sent(in_flight, sent));
        let later = sent + Duration::from_millis(20);
        index.concurrency.landed(Load::Answered, sent, later);
        index.concurrency.landed(Load::Answered, sent, later);
        index.concurrency.landed(Load::Busy, sent, later);
        assert_eq!(index.concurrency.limit(), 1);
    }

    #[test]
    fn what_was_sent_before_a_round_says_nothing_about_it() {
        let mut index = Index::new(16);
        while index.round(Load::Answered, 20) < 8 {}
        let sent = index.now;
        (1..=8).for_each(|in_flight| index.concurrency.sent(in_flight, sent));
        let later = sent + Duration::from_millis(5);
        index.concurrency.landed(Load::Busy, sent, later);
        index.concurrency.sent(4, later);
        index.concurrency.landed(Load::Busy, sent, later + Duration::from_millis(1));
        assert_eq!(index.concurrency.limit(), 4);
    }
}
