//! What checkpoints are called in a store: `PIPELINE/TOPIC/PARTITION/EPOCH/claim` and `…/EPOCH/SEQUENCE`, with numbers of ten
//! digits, so that names sort as what they name does.

use std::fmt;
use std::sync::Arc;

use crate::record::Partition;

/// Whose checkpoints: a partition of a pipeline.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    pub pipeline: Arc<str>,
    pub partition: Partition,
}

/// Numbers the owners of a partition, one after the other; the first is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Epoch(pub u32);

/// Numbers the checkpoints of an epoch, the ones that failed included; the first is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sequence(pub u32);

/// A slot of a partition. The greater one is the later checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SlotId {
    pub epoch: Epoch,
    pub sequence: Sequence,
}

/// What an object below a place is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Named {
    Claim(Epoch),
    Slot(SlotId),
}

const CLAIM: &str = "claim";
const DIGITS: usize = 10;

impl Named {
    pub fn epoch(self) -> Epoch {
        match self {
            Named::Claim(epoch) => epoch,
            Named::Slot(slot) => slot.epoch,
        }
    }

    /// From the last two segments of a name; none where nobody here gives such a name.
    pub fn parse(epoch: &str, last: &str) -> Option<Named> {
        let epoch = Epoch(number(epoch)?);
        match last {
            CLAIM => Some(Named::Claim(epoch)),
            sequence => Some(Named::Slot(SlotId { epoch, sequence: Sequence(number(sequence)?) })),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    let is_number = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$}", self.0)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$}", self.0)
    }
}

/// `epoch/sequence`.
impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.sequence)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Claim(epoch) => write!(f, "{epoch}/{CLAIM}"),
            Named::Slot(slot) => slot.fmt(f),
        }
    }
}

/// `pipeline/topic/partition`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.pipeline, self.partition.topic, self.partition.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_sort_as_their_numbers() {
        let slot = |epoch, sequence| SlotId { epoch: Epoch(epoch), sequence: Sequence(sequence) };
        let slots = [slot(1, 9), slot(1, 10), slot(2, 1), slot(u32::MAX, u32::MAX)];
        let names = slots.map(|slot| slot.to_string());
        assert!(slots.is_sorted() && names.is_sorted());
        for name in names.iter().map(String::as_str).chain(["0000000007/claim"]) {
            let (epoch, last) = name.split_once('/').expect("two segments");
            assert_eq!(Named::parse(epoch, last).map(|named| named.to_string()).as_deref(), Some(name));
        }
    }

    #[test]
    fn other_names_are_nobodys() {
        for (epoch, last) in [("1", "claim"), ("0000000001", "1"), ("0000000001", "x"), ("9999999999", "claim")] {
            assert_eq!(Named::parse(epoch, last), None);
        }
        assert_eq!(Named::parse("+000000001", "claim"), None);
    }
}
