//! Where a replay goes on: each filter has a consumer group of its own, with how far its replays have come.

use super::{LetterFilter, Replay};
use crate::config::{KafkaSettings, PipelineSettings};
use crate::pipeline::PipelineError;
use crate::record::{Commitment, Offset, Partition};
use crate::source::{Admin, RecordRange};

/// The positions of a replay.
///
/// Without a filter they stay at the end of what was looked at. With one, a replay that has come to the end goes back to the beginning, so
/// that the next one tries again what was refused; what was settled is settled once more, which changes nothing.
pub(super) struct ReplayPosition {
    /// None in a dry run: nothing is kept.
    admin: Option<Admin>,
    has_filter: bool,
    starts: Vec<(Partition, Offset)>,
    /// As the group has them, without those that say nothing.
    reached: Vec<Reached>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Reached {
    partition: Partition,
    /// All before it was looked at.
    offset: Offset,
    /// Letters before it that are not settled.
    left: u64,
}

impl ReplayPosition {
    pub fn of(settings: &PipelineSettings, asked: &Replay, ranges: &[RecordRange]) -> Result<Self, PipelineError> {
        let kafka =
            KafkaSettings { group: group(&settings.name, &asked.filter), instance: None, ..settings.kafka.clone() };
        let mut admin = Admin::new(&kafka)?;
        let starts: Vec<_> = ranges.iter().map(|range| (range.partition.clone(), range.start)).collect();
        let partitions: Vec<Partition> = starts.iter().map(|(partition, _)| partition.clone()).collect();
        let found = if partitions.is_empty() { Vec::new() } else { admin.positions(&partitions)? };
        let mut position = ReplayPosition {
            admin: Some(admin).filter(|_| !asked.dry_run),
            has_filter: !asked.filter.is_empty(),
            starts,
            reached: reached(ranges, found),
        };
        if asked.from_beginning {
            position.go_back()?;
            position.reached.clear();
        }
        Ok(position)
    }

    pub fn offsets(&self) -> Vec<(Partition, Offset)> {
        self.reached.iter().map(|it| (it.partition.clone(), it.offset)).collect()
    }

    /// Letters before the positions that are not settled.
    pub fn left(&self) -> u64 {
        self.reached.iter().map(|it| it.left).sum()
    }

    /// All before `next` was looked at; of what was looked at last, so many letters are not settled.
    pub fn keep(&mut self, partition: &Partition, next: Offset, left: u64) -> Result<(), PipelineError> {
        let Some(admin) = &mut self.admin else { return Ok(()) };
        let reached = advance(&mut self.reached, partition, next, left);
        Ok(admin.commit(&[reached.commitment()])?)
    }

    /// All was looked at.
    pub fn end(&mut self) -> Result<(), PipelineError> {
        if self.has_filter { self.go_back() } else { Ok(()) }
    }

    /// The next replay begins with the oldest letter, unless this one keeps something.
    fn go_back(&mut self) -> Result<(), PipelineError> {
        let Some(admin) = self.admin.as_mut().filter(|_| !self.reached.is_empty()) else { return Ok(()) };
        let start = |(partition, offset): &(Partition, Offset)| {
            (partition.clone(), Commitment { offset: *offset, metadata: String::new() })
        };
        admin.commit(&self.starts.iter().map(start).collect::<Vec<_>>())?;
        self.reached.clear();
        Ok(())
    }
}

impl Reached {
    fn commitment(&self) -> (Partition, Commitment) {
        (self.partition.clone(), Commitment { offset: self.offset, metadata: self.left.to_string() })
    }
}

/// The consumer group that has the positions of replays with this filter.
fn group(pipeline: &str, filter: &LetterFilter) -> String {
    let group = format!("{pipeline}.dead-letters-replay");
    match filter.digits() {
        Some(digits) => format!("{group}-{digits}"),
        None => group,
    }
}

/// What a group says: offset and text for each range. One at the start says nothing, and one elsewhere is of a topic of before.
fn reached(ranges: &[RecordRange], found: Vec<Option<(Offset, String)>>) -> Vec<Reached> {
    let mut reached = Vec::new();
    for (range, found) in ranges.iter().zip(found) {
        if let Some((offset, text)) = found.filter(|(offset, _)| *offset > range.start && *offset <= range.end) {
            let left = text.parse().unwrap_or_default();
            reached.push(Reached { partition: range.partition.clone(), offset, left });
        }
    }
    reached
}

fn advance<'a>(reached: &'a mut Vec<Reached>, partition: &Partition, next: Offset, left: u64) -> &'a Reached {
    let place = reached.iter().position(|it| it.partition == *partition).unwrap_or_else(|| {
        reached.push(Reached { partition: partition.clone(), offset: next, left: 0 });
        reached.len() - 1
    });
    let it = &mut reached[place];
    it.offset = next;
    it.left += left;
    it
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(number: i32, start: i64, end: i64) -> RecordRange {
        RecordRange { partition: Partition::new("dead", number), start: Offset(start), end: Offset(end) }
    }

    fn at(number: i32, offset: i64, left: u64) -> Reached {
        Reached { partition: Partition::new("dead", number), offset: Offset(offset), left }
    }

    /// In a dry run, which asks no server.
    fn position(has_filter: bool, reached: Vec<Reached>) -> ReplayPosition {
        ReplayPosition { admin: None, has_filter, starts: Vec::new(), reached }
    }

    #[test]
    fn each_filter_has_a_group_of_its_own() {
        let output = |name: &str| LetterFilter { outputs: vec![name.to_owned()], ..LetterFilter::default() };
        assert_eq!(group("clicks", &LetterFilter::default()), "clicks.dead-letters-replay");
        let all = group("clicks", &output("all"));
        let digits = all.strip_prefix("clicks.dead-letters-replay-").expect("it begins with the other one's name");
        assert!(digits.len() == 16 && digits.bytes().all(|it| it.is_ascii_hexdigit()), "{all}");
        assert_ne!(all, group("clicks", &output("users")));
    }

    #[test]
    fn positions_that_say_nothing_are_passed_over() {
        let ranges = [range(0, 10, 20), range(1, 10, 20), range(2, 10, 20), range(3, 10, 20), range(4, 10, 20)];
        let text = |offset, text: &str| Some((Offset(offset), text.to_owned()));
        let found = vec![text(10, ""), text(12, "3"), text(21, "1"), None, text(20, "")];
        assert_eq!(reached(&ranges, found), [at(1, 12, 3), at(4, 20, 0)]);
    }

    #[test]
    fn what_is_left_is_counted_from_replay_to_replay() {
        let mut known = vec![at(1, 12, 3)];
        let commitment = advance(&mut known, &Partition::new("dead", 1), Offset(15), 2).commitment();
        assert_eq!(commitment.1, Commitment { offset: Offset(15), metadata: "5".to_owned() });
        advance(&mut known, &Partition::new("dead", 0), Offset(4), 1);
        assert_eq!(known, [at(1, 15, 5), at(0, 4, 1)]);
        assert_eq!(position(true, known).left(), 6);
    }

    #[test]
    fn a_dry_run_leaves_positions_as_they_are() {
        let mut position = position(true, vec![at(0, 12, 3)]);
        let partition = Partition::new("dead", 0);
        position.keep(&partition, Offset(15), 1).and_then(|()| position.end()).expect("no server is asked");
        assert_eq!((position.offsets(), position.left()), (vec![(partition, Offset(12))], 3));
    }
}
