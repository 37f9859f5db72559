//! How long to wait before something is sent again: full jitter over a ceiling that doubles. The dice are the caller's.

use std::time::Duration;

/// Ceilings of the waits; the defaults are those of the design, tests use shorter ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pace {
    /// What passes by itself: a full queue, a shard that moves, a broken connection.
    pub retry: Ceiling,
    /// What somebody has to mend: a full disk, a wrong password, no server.
    pub stall: Ceiling,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ceiling {
    pub first: Duration,
    pub last: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let last = Duration::from_secs(30);
        Pace {
            retry: Ceiling { first: Duration::from_millis(100), last },
            stall: Ceiling { first: Duration::from_secs(1), last },
        }
    }
}

impl Ceiling {
    /// No more doublings than after so many failures.
    pub fn at_most(self, attempts: u16) -> Ceiling {
        Ceiling { last: self.wait(attempts, 1.0), ..self }
    }

    /// After `attempts` failures (at least one), for `dice` in 0..1. Never less than a twentieth of the ceiling, so
    /// that nothing is sent again at once.
    pub fn wait(self, attempts: u16, dice: f64) -> Duration {
        let doublings = u32::from(attempts.saturating_sub(1)).min(20);
        let ceiling = self.first.saturating_mul(1 << doublings).min(self.last);
        ceiling.mul_f64(dice.clamp(0.05, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_last_ceiling() {
        let wait = |attempts| Pace::default().retry.wait(attempts, 1.0).as_millis();
        assert_eq!([1, 2, 3, 9, 10, u16::MAX].map(wait), [100, 200, 400, 25_600, 30_000, 30_000]);
    }

    #[test]
    fn the_dice_spread_them() {
        let wait = |dice| Pace::default().retry.wait(3, dice).as_millis();
        assert_eq!([0.0, 0.5, 0.99].map(wait), [20, 200, 396]);
    }
}
