//! The account of an output: what became of its records, partition by partition.

use std::sync::Arc;

use super::ByWord;
use crate::lane::RecordFate;

/// What became of the records of a partition on the way to an output. Together they are the records that were read.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    pub read: u64,
    /// The index has their documents, or does not have what they delete.
    pub settled: u64,
    /// The index has a newer version.
    pub superseded: u64,
    pub dropped: u64,
    pub dead_letters: u64,
    /// Without a value, where the output does nothing about it.
    pub tombstones: u64,
    /// In windows that are closed.
    pub closed: u64,
    /// In windows that are open, or of which it is not known.
    pub open: u64,
    /// Missing, where the policy drops what the index refuses.
    pub perhaps_dropped: u64,
    pub different: u64,
}

impl Counts {
    pub fn add(&mut self, more: &Counts) {
        let Counts { read, settled, superseded, dropped, dead_letters, tombstones, closed, open, .. } = more;
        self.read += read;
        self.settled += settled;
        self.superseded += superseded;
        self.dropped += dropped;
        self.dead_letters += dead_letters;
        self.tombstones += tombstones;
        self.closed += closed;
        self.open += open;
        self.perhaps_dropped += more.perhaps_dropped;
        self.different += more.different;
    }
}

/// What became of the windows of an output. Each group of a window is one.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct WindowCounts {
    /// In the index, with equal fields.
    pub equal: u64,
    /// They go through a pipeline of the index, so that only their being there is known.
    pub there: u64,
    pub dead_letters: u64,
    /// Parts of them came too late, and are dead letters: their documents lack what these hold.
    pub late_parts: u64,
    /// They begin before what was read.
    pub not_judged: u64,
    /// They may not have been written yet.
    pub open: u64,
    pub different: u64,
}

#[derive(Clone, Debug)]
pub struct OutputAccount {
    pub name: Arc<str>,
    /// In the order of the partitions.
    pub partitions: Vec<Counts>,
    /// By the transform, or the output's name where a record was late and is dropped.
    pub dropped_by: ByWord,
    /// By reason.
    pub dead_letters_by: ByWord,
    /// Of an output with windows.
    pub windows: Option<WindowCounts>,
    /// Documents of a revision before the pipeline's: a rewind has not read their records again.
    pub earlier_revision: u64,
}

impl OutputAccount {
    pub fn new(name: &str, partitions: usize) -> OutputAccount {
        OutputAccount {
            name: name.into(),
            partitions: vec![Counts::default(); partitions],
            dropped_by: ByWord::new(),
            dead_letters_by: ByWord::new(),
            windows: None,
            earlier_revision: 0,
        }
    }

    pub fn total(&self) -> Counts {
        self.partitions.iter().fold(Counts::default(), |mut sum, counts| {
            sum.add(counts);
            sum
        })
    }

    /// A record that is in no document and in no window.
    pub(super) fn leaves(&mut self, place: usize, fate: &RecordFate) {
        let counts = &mut self.partitions[place];
        match fate {
            RecordFate::Dropped(by) => {
                counts.dropped += 1;
                add_word(&mut self.dropped_by, by);
            }
            RecordFate::Tombstone => counts.tombstones += 1,
            RecordFate::Refused(kind) => {
                counts.dead_letters += 1;
                add_word(&mut self.dead_letters_by, kind.name());
            }
            RecordFate::Folded(_) | RecordFate::Document => {}
        }
    }

    /// A record that was counted among the dead letters has none.
    pub(super) fn lacks_letter(&mut self, place: usize, reason: &str) {
        let counts = &mut self.partitions[place];
        counts.dead_letters = counts.dead_letters.saturating_sub(1);
        counts.different += 1;
        if let Some(count) = self.dead_letters_by.get_mut(reason) {
            *count = count.saturating_sub(1);
        }
    }

    /// A record that was counted among those that are settled.
    pub(super) fn is_not_settled(&mut self, place: usize, what: Unsettled<'_>) {
        let counts = &mut self.partitions[place];
        counts.settled = counts.settled.saturating_sub(1);
        match what {
            Unsettled::Superseded => counts.superseded += 1,
            Unsettled::Different => counts.different += 1,
            Unsettled::PerhapsDropped => counts.perhaps_dropped += 1,
            Unsettled::DeadLetter(reason) => {
                counts.dead_letters += 1;
                add_word(&mut self.dead_letters_by, reason);
            }
        }
    }
}

/// What a record is instead of settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unsettled<'a> {
    Superseded,
    Different,
    PerhapsDropped,
    DeadLetter(&'a str),
}

fn add_word(words: &mut ByWord, word: &str) {
    match words.get_mut(word) {
        Some(count) => *count += 1,
        None => drop(words.insert(word.to_owned(), 1)),
    }
}
