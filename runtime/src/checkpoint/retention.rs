//! Which checkpoints are kept: those that no position was committed with yet, the newest of the others, and for a day one of each
//! hour.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::SlotId;

/// That of the position may be damaged, and the one before it.
const NEWEST: usize = 3;

/// For damage that is noticed late: so far back Kafka has the offsets almost always, and nobody wants to replay more.
const HOURS: i64 = 24;

/// Those of the slots that go. Whoever comes next goes on with `committed` or an older one, so what is newer than that does not count.
/// Hours are those of the clock, not of age: else the one that is kept of an hour would change with every checkpoint, and none would
/// grow old. The day ends with the newest slot, so that no clock of ours is asked.
pub(super) fn old(slots: &[(SlotId, Timestamp)], committed: SlotId) -> Vec<SlotId> {
    let mut newest_first: Vec<(SlotId, i64)> =
        slots.iter().map(|(slot, modified)| (*slot, modified.as_second().div_euclid(3600))).collect();
    newest_first.sort_unstable_by(|one, other| other.cmp(one));
    let last_hour = newest_first.iter().map(|(_, hour)| *hour).max().unwrap_or_default();
    let mut hours = BTreeSet::new();
    let goes = |(place, (slot, hour)): (usize, &(SlotId, i64))| {
        let is_of_hour = hours.insert(*hour) && *hour > last_hour - HOURS;
        (place >= NEWEST && !is_of_hour).then_some(*slot)
    };
    let candidates = newest_first.iter().filter(|(slot, _)| *slot <= committed);
    candidates.enumerate().filter_map(goes).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Epoch, Sequence};
    use super::*;

    const BEGIN: i64 = 1_800_000_000;

    fn slot(epoch: u32, sequence: u32) -> SlotId {
        SlotId { epoch: Epoch(epoch), sequence: Sequence(sequence) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(BEGIN + second).expect("it is a time")
    }

    #[test]
    fn the_newest_three_stay_however_old_they_are() {
        let slots =
            [(slot(2, 1), at(0)), (slot(1, 7), at(-90_000)), (slot(1, 6), at(-900_000)), (slot(1, 5), at(-900_001))];
        assert_eq!(old(&slots, slot(2, 1)), [slot(1, 5)]);
        assert!(old(&slots[..3], slot(2, 1)).is_empty() && old(&[], slot(2, 1)).is_empty());
    }

    #[test]
    fn what_is_newer_than_the_position_drives_nothing_out() {
        let slots: Vec<_> = (1..=9).map(|number| (slot(1, number), at(0))).collect();
        assert_eq!(old(&slots, slot(1, 4)), [slot(1, 1)]);
        assert_eq!(old(&slots, slot(1, 3)), []);
        assert_eq!(old(&slots, slot(1, 9)).len(), 6);
    }

    #[test]
    fn a_checkpoint_every_ten_seconds_leaves_one_an_hour_for_a_day() {
        let mut kept: Vec<(SlotId, Timestamp)> = Vec::new();
        for number in 0..3 * 8640 {
            kept.push((slot(1 + number / 5000, 1 + number % 5000), at(i64::from(number) * 10)));
            let old = old(&kept, kept[kept.len() - 1].0);
            kept.retain(|(slot, _)| !old.contains(slot));
            assert!(kept.len() <= NEWEST + 24, "{}", kept.len());
        }
        assert!(kept.len() >= NEWEST + 22, "{}", kept.len());
        let ages: Vec<i64> =
            kept.iter().rev().map(|(_, time)| kept[kept.len() - 1].1.as_second() - time.as_second()).collect();
        assert!(ages[NEWEST..].windows(2).all(|pair| pair[1] - pair[0] == 3600), "{ages:?}");
    }
}
