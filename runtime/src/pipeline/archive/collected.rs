//! Letters of one partition on their way into an object of the archive, and the bounds of one.

use std::time::{Duration, Instant};

use crate::checkpoint::PutLines;
use crate::record::{Offset, Partition, RecordBatch};
use crate::sink::Letter;
use crate::sink::dead_letter::PIPELINE;

/// Uncompressed. Large enough that a store's price for each put is nothing, and small enough to be held in memory.
const OBJECT_BYTES_MAX: usize = 8 << 20;
/// What an archive may be behind, as long as its store answers.
const OBJECT_AGE_MAX: Duration = Duration::from_secs(300);

pub(super) struct Collected {
    pub partition: Partition,
    /// The next message of the partition: all before it is in the lines, or in the archive, or another pipeline's.
    next: Offset,
    /// When the first message came that is not committed.
    since: Option<Instant>,
    lines: Vec<u8>,
    /// Where each line ends, and the offset of its letter.
    ends: Vec<(usize, Offset)>,
}

impl Collected {
    pub fn new(partition: Partition, next: Offset) -> Self {
        Collected { partition, next, since: None, lines: Vec::new(), ends: Vec::new() }
    }

    /// Takes the letters of a pipeline; other messages are passed over.
    pub fn add(&mut self, pipeline: &str, batch: &RecordBatch, now: Instant) {
        for row in 0..batch.len() {
            let letter = Letter::read(&self.partition, batch, row);
            let is_ours = |letter: &Letter| letter.text(PIPELINE).is_none_or(|of| of == pipeline);
            if let Some(letter) = letter.filter(is_ours) {
                letter.write_line(1, &mut self.lines).expect("memory takes what is written");
                self.ends.push((self.lines.len(), batch.offset(row)));
            }
            self.next = batch.offset(row).next();
            self.since.get_or_insert(now);
        }
    }

    pub fn bytes(&self) -> usize {
        self.lines.len()
    }

    pub fn letters(&self) -> usize {
        self.ends.len()
    }

    pub fn is_full(&self) -> bool {
        self.bytes() >= OBJECT_BYTES_MAX
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.is_full() || self.since.is_some_and(|since| now.duration_since(since) >= OBJECT_AGE_MAX)
    }

    /// Whether there is anything to put or to commit.
    pub fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// The object that the lines belong into, and they; none where there are none.
    pub fn object(&self, pipeline: &str) -> Option<(String, &[u8])> {
        let (_, first) = self.ends.first()?;
        Some((format!("{pipeline}/{}/{:020}", self.partition, first.0), &self.lines))
    }

    /// These lines are in the archive: how many they are, and what may be committed.
    pub fn archived(&mut self, put: PutLines) -> (usize, Offset) {
        let letters = match put {
            PutLines::All => self.ends.len(),
            PutLines::Some(bytes) => self.ends.partition_point(|(end, _)| *end <= bytes),
        };
        match self.ends.get(letters) {
            None => {
                self.ends.clear();
                // One large letter is not to hold its memory for good.
                self.lines = Vec::new();
                self.since = None;
                (letters, self.next)
            }
            Some((_, first)) => {
                let (first, begin) = (*first, self.ends[..letters].last().map_or(0, |(end, _)| *end));
                self.lines.drain(..begin);
                self.ends.drain(..letters);
                self.ends.iter_mut().for_each(|(end, _)| *end -= begin);
                (letters, first)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, EventTime};
    use crate::sink::dead_letter::IDENTITY;

    /// Messages of these offsets, each a letter of a pipeline, or none.
    fn batch(messages: &[(i64, Option<&str>)]) -> RecordBatch {
        let mut batch = BatchBuilder::new(EventTime::MIN);
        for (offset, pipeline) in messages {
            batch.push(Offset(*offset), None, None, Some(b"x"));
            if let Some(pipeline) = pipeline {
                batch.header(IDENTITY.as_bytes(), Some(format!("events-0-{offset}//0").as_bytes()));
                batch.header(PIPELINE.as_bytes(), Some(pipeline.as_bytes()));
            }
        }
        batch.finish()
    }

    fn collected(messages: &[(i64, Option<&str>)], now: Instant) -> Collected {
        let mut collected = Collected::new(Partition::new("dead", 2), Offset(0));
        collected.add("shop", &batch(messages), now);
        collected
    }

    #[test]
    fn an_object_is_named_after_its_first_letter_and_others_are_passed_over() {
        let mut it = collected(&[(4, None), (5, Some("bank")), (6, Some("shop")), (9, None)], Instant::now());
        let (name, lines) = it.object("shop").expect("there is a letter");
        assert_eq!(name, "shop/dead-2/00000000000000000006");
        assert!(
            lines.starts_with(b"{\"position\":\"2-6\"") && lines.iter().filter(|byte| **byte == b'\n').count() == 1
        );
        assert_eq!(it.archived(PutLines::All), (1, Offset(10)));
        assert!(it.is_empty() && it.bytes() == 0);
    }

    #[test]
    fn what_is_in_the_archive_already_leaves_and_the_rest_is_an_object_of_its_own() {
        let mut it = collected(&[(6, Some("shop")), (7, Some("shop")), (8, Some("shop"))], Instant::now());
        let (all, two) = (it.lines.clone(), it.ends[1].0);
        assert_eq!(it.archived(PutLines::Some(two)), (2, Offset(8)));
        let (name, lines) = it.object("shop").expect("a letter is left");
        assert_eq!((name.as_str(), lines), ("shop/dead-2/00000000000000000008", &all[two..]));
        assert_eq!(it.archived(PutLines::All), (1, Offset(9)));
    }

    #[test]
    fn it_is_due_when_it_is_large_or_old_and_messages_of_others_are_committed_too() {
        let now = Instant::now();
        let mut others = collected(&[(0, Some("bank")), (1, None)], now);
        assert!(!others.is_due(now) && others.is_due(now + OBJECT_AGE_MAX) && others.object("shop").is_none());
        assert_eq!(others.archived(PutLines::All), (0, Offset(2)));
        let mut large = collected(&[(0, Some("shop"))], now);
        large.lines.resize(OBJECT_BYTES_MAX, b'x');
        assert!(large.is_due(now));
    }
}
