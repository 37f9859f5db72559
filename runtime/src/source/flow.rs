//! How many bytes may be in flight: what to pause and what to resume. Arithmetic only.

use std::time::{Duration, Instant};

use super::assigned::BATCH_BYTES_MAX;

/// How long nothing is taken from the client before partitions are paused. A pause throws away what was fetched, and the client may take
/// a second to see that it is over; while workers or the index are merely slower than Kafka, waiting for them costs nothing. So long may
/// a rebalance wait as well.
const HOLD_MAX: Duration = Duration::from_secs(2);

/// What a partition has in flight, and whether it is paused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) bytes: usize,
    pub(super) paused: bool,
}

/// What to do with a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Pause,
    Resume,
}

/// The bound on bytes in flight, over all partitions and for each.
#[derive(Debug)]
pub(super) struct Flow {
    total_bytes: usize,
    full_since: Option<Instant>,
}

impl Flow {
    pub(super) fn new(total_bytes: usize) -> Self {
        Flow { total_bytes, full_since: None }
    }

    /// An even share, twice of which one partition may have; at least room for two batches.
    fn share(&self, partitions: usize) -> usize {
        (self.total_bytes / partitions.max(1)).max(BATCH_BYTES_MAX)
    }

    /// Must taking wait a little? True while the whole is full, and not for longer than a moment.
    pub(super) fn hold(&mut self, loads: &[Load], now: Instant) -> bool {
        if loads.iter().map(|load| load.bytes).sum::<usize>() < self.total_bytes {
            self.full_since = None;
            return false;
        }
        now.duration_since(*self.full_since.get_or_insert(now)) < HOLD_MAX
    }

    /// Changes by index. A full whole pauses all once it has been held for long enough.
    pub(super) fn changes(&self, loads: &[Load], now: Instant) -> Vec<(usize, Change)> {
        let share = self.share(loads.len());
        let whole: usize = loads.iter().map(|load| load.bytes).sum();
        let stuck = self.full_since.is_some_and(|since| now.duration_since(since) >= HOLD_MAX);
        let change = |load: &Load| match load.paused {
            false if stuck || (2 * share < self.total_bytes && load.bytes >= 2 * share) => Some(Change::Pause),
            true if load.bytes <= share / 2 && whole <= self.total_bytes / 2 => Some(Change::Resume),
            _ => None,
        };
        loads.iter().enumerate().filter_map(|(index, load)| Some((index, change(load)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn loads(of: &[(usize, bool)]) -> Vec<Load> {
        of.iter().map(|(bytes, paused)| Load { bytes: *bytes, paused: *paused }).collect()
    }

    #[test]
    fn a_partition_above_its_share_is_paused_and_resumed_at_half() {
        let flow = Flow::new(16 * MIB);
        let now = Instant::now();
        let of = |bytes, paused| flow.changes(&loads(&[(bytes, paused), (0, false), (0, false), (0, false)]), now);
        assert_eq!(of(8 * MIB - 1, false), []);
        assert_eq!(of(8 * MIB, false), [(0, Change::Pause)]);
        assert_eq!(of(2 * MIB + 1, true), []);
        assert_eq!(of(2 * MIB, true), [(0, Change::Resume)]);
    }

    #[test]
    fn a_full_whole_is_held_first_and_paused_when_it_stays_full() {
        let mut flow = Flow::new(4 * MIB);
        let now = Instant::now();
        let full = loads(&[(2 * MIB, false), (2 * MIB - 1, false), (1, false)]);
        assert!(flow.hold(&full, now));
        assert_eq!(flow.changes(&full, now), []);
        let later = now + HOLD_MAX;
        assert!(!flow.hold(&full, later), "polling goes on");
        assert_eq!(flow.changes(&full, later).len(), 3);
        let less = loads(&[(MIB, true), (MIB / 2, true), (0, true)]);
        assert!(!flow.hold(&less, later));
        assert_eq!(flow.changes(&less, later), [(1, Change::Resume), (2, Change::Resume)]);
    }

    #[test]
    fn a_whole_that_is_full_now_and_then_is_never_paused() {
        let mut flow = Flow::new(4 * MIB);
        let start = Instant::now();
        for step in 0..100 {
            let now = start + HOLD_MAX / 2 * step;
            let bytes = if step % 2 == 0 { MIB } else { MIB / 4 };
            let loads = loads(&[(bytes, false); 4]);
            assert_eq!(flow.hold(&loads, now), step % 2 == 0);
            assert_eq!(flow.changes(&loads, now), []);
        }
    }
}
