//! Dead letters read back: what the topic has, each identity once, and those that fit; some of them are sent again.

use std::ops::ControlFlow;
use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::PipelineError;
use crate::config::{KafkaSettings, PipelineSettings};
use crate::record::{EventTime, Offset, Origin, Partition, ReasonKind, RecordBatch};
use crate::sink::Letter;
use crate::sink::dead_letter::PIPELINE;
use crate::source::{Admin, PartitionDescription, RecordRange};

mod filter;
mod obstacle;
mod reach;
mod replay;
mod replay_lanes;
mod replay_position;
mod sending;

pub use filter::{LetterFilter, Moment};
pub use obstacle::Obstacle;
pub use replay::{Replay, Replayed, replay};
pub use sending::Fate;

/// The dead letters of a pipeline, up to the end that the topic had when they were looked at.
pub struct DeadLetterTopic {
    kafka: KafkaSettings,
    name: String,
    pipeline: Arc<str>,
    /// What there is to read; nothing where the topic does not exist.
    ranges: Vec<RecordRange>,
    /// By a hash of the identity: where it is for the last time, and how often it is there.
    last: HashMap<u128, Last>,
    /// Messages that are no dead letters, or those of other pipelines.
    foreign: u64,
}

/// The last letter of an identity.
struct Last {
    written: EventTime,
    partition: i32,
    offset: Offset,
    copies: u32,
    /// Its reason's word; `other` where it is of a later version.
    reason: &'static str,
}

/// The last letter of an identity, and how often the identity is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundLetter {
    pub letter: Letter,
    pub copies: u32,
}

/// Letters of one partition, in its order.
pub(super) struct Portion {
    pub partition: Partition,
    pub letters: Vec<FoundLetter>,
    /// All before it was looked at.
    pub next: Offset,
}

impl DeadLetterTopic {
    /// Reads the topic once. It takes some 50 bytes of memory for each identity.
    pub fn open(settings: &PipelineSettings) -> Result<DeadLetterTopic, PipelineError> {
        Self::open_for(settings, &LetterFilter::default())
    }

    /// The same for the pipeline that a filter names; an error where no letter can fit the filter.
    pub fn open_for(settings: &PipelineSettings, filter: &LetterFilter) -> Result<DeadLetterTopic, PipelineError> {
        filter.check()?;
        let pipeline = filter.pipeline.as_ref().unwrap_or(&settings.name);
        let mut admin = Admin::new(&settings.kafka)?;
        let mut name = topic_of(settings, pipeline);
        let mut found = admin.find(&name)?;
        if found.is_none() && name != settings.dead_letters.topic {
            name.clone_from(&settings.dead_letters.topic);
            found = admin.find(&name)?;
        }
        let range = |it: PartitionDescription| RecordRange {
            partition: Partition::new(&name, it.number),
            start: it.log_start,
            end: it.log_end,
        };
        let mut topic = DeadLetterTopic {
            kafka: settings.kafka.clone(),
            pipeline: pipeline.as_str().into(),
            ranges: found.into_iter().flat_map(|topic| topic.partitions).map(range).collect(),
            name,
            last: HashMap::new(),
            foreign: 0,
        };
        let (mut last, mut foreign) = (HashMap::new(), 0);
        let mut unseen: Vec<&String> = filter.outputs.iter().collect();
        Admin::new(&topic.kafka)?.read(&topic.ranges, |partition, batch| {
            for row in 0..batch.len() {
                match topic.letter(partition, &batch, row) {
                    Some(letter) => {
                        unseen.retain(|name| letter.output() != Some(name.as_str()));
                        note(&mut last, &letter);
                    }
                    None => foreign += 1,
                }
            }
        })?;
        (topic.last, topic.foreign) = (last, foreign);
        filter::check_outputs(settings, &unseen)?;
        Ok(topic)
    }

    /// What the topic is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many identities there are.
    pub fn identities(&self) -> usize {
        self.last.len()
    }

    /// Messages of the topic that were passed over: they are no dead letters, or those of other pipelines.
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Whether the topic has lost its oldest messages.
    pub(super) fn is_cut(&self) -> bool {
        self.ranges.iter().any(|range| range.start > Offset(0))
    }

    /// The reason of the letter with this identity, if there is one.
    pub(super) fn reason_of(&self, identity: &str) -> Option<&'static str> {
        self.last.get(&hash_of(identity)).map(|last| last.reason)
    }

    /// Stands for an identity.
    pub(super) fn hash(identity: &str) -> u128 {
        hash_of(identity)
    }

    /// Shows the letters that fit, each identity once, in the order of each partition.
    pub fn each(
        &self,
        filter: &LetterFilter,
        mut show: impl FnMut(FoundLetter) -> ControlFlow<()>,
    ) -> Result<(), PipelineError> {
        self.portions(filter, &[], |portion| portion.letters.into_iter().try_for_each(&mut show))
    }

    /// The same in portions, each partition from its position on, if it is named.
    fn portions(
        &self,
        filter: &LetterFilter,
        positions: &[(Partition, Offset)],
        mut show: impl FnMut(Portion) -> ControlFlow<()>,
    ) -> Result<(), PipelineError> {
        let mut ranges = self.ranges.clone();
        for range in &mut ranges {
            let position = positions.iter().find(|(partition, _)| *partition == range.partition);
            range.start = position.map_or(range.start, |(_, offset)| *offset);
        }
        Admin::new(&self.kafka)?.read_while(&ranges, |partition, batch| {
            let letters = (0..batch.len()).filter_map(|row| self.found(partition, &batch, row));
            let letters = letters.filter(|found| filter.fits(&found.letter)).collect();
            let next = batch.offset(batch.len() - 1).next();
            show(Portion { partition: partition.clone(), letters, next })
        })?;
        Ok(())
    }

    fn letter(&self, partition: &Partition, batch: &RecordBatch, row: usize) -> Option<Letter> {
        let letter = Letter::read(partition, batch, row)?;
        letter.text(PIPELINE).is_none_or(|pipeline| *pipeline == *self.pipeline).then_some(letter)
    }

    /// None for one that was written again later.
    fn found(&self, partition: &Partition, batch: &RecordBatch, row: usize) -> Option<FoundLetter> {
        let letter = self.letter(partition, batch, row)?;
        let last = self.last.get(&hash_of(letter.identity()))?;
        let is_last = (last.partition, last.offset) == place(&letter.position);
        is_last.then_some(FoundLetter { letter, copies: last.copies })
    }
}

/// Where the letters of a pipeline are. One that had another name had a topic of that name, unless the pipeline file says which.
fn topic_of(settings: &PipelineSettings, pipeline: &str) -> String {
    let default = |name: &str| format!("{name}.dead-letters");
    match settings.dead_letters.topic == default(&settings.name) {
        true => default(pipeline),
        false => settings.dead_letters.topic.clone(),
    }
}

fn note(last: &mut HashMap<u128, Last>, letter: &Letter) {
    let (partition, offset) = place(&letter.position);
    let written = letter.written.unwrap_or(EventTime::MIN);
    let kind = ReasonKind::ALL.into_iter().find(|kind| kind.name() == letter.reason());
    let reason = kind.map_or("other", ReasonKind::name);
    let this = Last { written, partition, offset, copies: 1, reason };
    let last = match last.entry(hash_of(letter.identity())) {
        Entry::Vacant(entry) => {
            entry.insert(this);
            return;
        }
        Entry::Occupied(entry) => entry.into_mut(),
    };
    let copies = last.copies.saturating_add(1);
    // The order within a partition is the broker's; between partitions there are only the times.
    let is_later = match this.partition == last.partition {
        true => this.offset > last.offset,
        false => (this.written, this.partition) > (last.written, last.partition),
    };
    if is_later {
        *last = this;
    }
    last.copies = copies;
}

fn place(position: &Origin) -> (i32, Offset) {
    (position.partition.number, position.offset)
}

fn hash_of(identity: &str) -> u128 {
    u128::from_le_bytes(*blake3::hash(identity.as_bytes()).as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

#[cfg(test)]
mod tests;
