//! What a group's positions tell before any lane begins, and the positions with which a pipeline is rewound.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{OnLate, PipelineSettings, WindowSettings};
use crate::decode::Decoder;
use crate::record::{Commitment, EventTime, Offset, Partition, RecordBatch, TopicId};
use crate::window::{Lateness, TimeWindows, Watermark};

use super::LaneError;
use super::generations::Generations;
use super::id::Revision;
use super::metadata::{Emitted, Metadata, PartsMetadata, SourceAsOf, SourceMetadata, TopicSources, hash_of};
use super::source::pass;
use super::transform::Departed;

/// Revisions have 11 bits of a document's version.
pub const REVISION_MAX: u16 = (1 << 11) - 1;

/// What the text beside a position tells.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Known {
    /// The latest of any source.
    pub revision: u16,
    /// Of a source partition: documents, drops and dead letters of records before it are settled, whatever windows still need of them.
    pub settled: Option<Offset>,
    /// Of a partition of the parts topic: the time as of the position. Windows that have ended by it were merged, and are settled.
    pub merged_through: Option<EventTime>,
    /// Of a partition of the parts topic: what its lane knows of the source topics.
    pub topics: Vec<KnownTopic>,
    /// Of a source partition: the topic that the position is of, where the cluster tells.
    pub topic_id: Option<TopicId>,
    /// What has served.
    pub generations: Generations,
}

/// What the lanes of the parts topic know of a source topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownTopic {
    name_hash: u64,
    /// How many partitions it had.
    pub partitions: i32,
    /// Those of which there was a watermark.
    pub sources: Vec<i32>,
    /// Those that were idle.
    pub idle: Vec<i32>,
}

impl KnownTopic {
    pub fn is(&self, topic: &str) -> bool {
        self.name_hash == hash_of(topic)
    }
}

impl Known {
    /// None where the position is not ours.
    pub fn of(metadata: &str) -> Option<Known> {
        Some(match Metadata::decode(metadata).ok()? {
            Metadata::Source(source) => Known {
                revision: source.revision.0,
                settled: Some(Offset(source.settled)),
                merged_through: None,
                topics: Vec::new(),
                topic_id: source.topic_id.map(TopicId),
                generations: source.generations.clone(),
            },
            Metadata::Parts(parts) => {
                let numbers = |topic: &TopicSources, is_wanted: fn(&&SourceAsOf) -> bool| {
                    topic.sources.iter().filter(is_wanted).map(|source| source.partition).collect()
                };
                let topic = |topic: &TopicSources| KnownTopic {
                    name_hash: topic.topic,
                    partitions: topic.partitions,
                    sources: numbers(topic, |source| source.known),
                    idle: numbers(topic, |source| source.idle),
                };
                Known {
                    revision: parts.revision.0,
                    settled: None,
                    merged_through: Some(EventTime::from_micros(parts.time_micros)),
                    topics: parts.topics.iter().map(topic).collect(),
                    topic_id: None,
                    generations: parts.generations.clone(),
                }
            }
        })
    }
}

/// An output with windows, as a rewind needs it.
struct RewoundOutput {
    name: Arc<str>,
    /// Of sessions, where they are cut: one that is under way there is not emitted.
    windows: TimeWindows,
    /// Of sessions.
    gap: Option<Duration>,
    /// Over all partitions.
    merged: bool,
    /// For how long after their end windows change.
    update_micros: u64,
}

/// Where a source partition is rewound to.
#[derive(Clone, Debug)]
pub struct RewoundSource<'a> {
    pub offset: Offset,
    pub revision: u16,
    pub topic_id: Option<TopicId>,
    pub parts_partitions: i32,
    /// The largest event time that was seen right before the offset: the watermark goes on from there.
    pub seen: EventTime,
    /// No record before the offset has a later event time; `MIN` where there is none.
    pub before: EventTime,
    /// The largest `before` of all partitions.
    pub before_any: EventTime,
    /// The text beside the position that it has, where it stays there.
    pub stays: Option<&'a str>,
    /// What has served so far.
    pub generations: Generations,
}

/// What of a pipeline decides about the positions of a rewind. Its components do not.
pub struct Rewinding {
    decoder: Decoder,
    settings: crate::config::WatermarkSettings,
    outputs: Vec<RewoundOutput>,
}

impl Rewinding {
    pub fn new(settings: &PipelineSettings) -> Result<Rewinding, LaneError> {
        let path = settings.decode.event_time.as_str();
        let decoder = Decoder::new(&settings.decode, std::iter::once(path));
        let outputs = settings.outputs.iter().filter_map(|output| {
            let aggregate = output.aggregate.as_ref()?;
            let (windows, gap) = match aggregate.window {
                WindowSettings::Tumbling { length } => (TimeWindows::tumbling(length), None),
                WindowSettings::Sliding { length, every } => (TimeWindows::sliding(length, every), None),
                WindowSettings::Session { gap, max } => (TimeWindows::tumbling(max), Some(gap)),
            };
            let merged = !aggregate.partitioned_by_group;
            let update_micros = match aggregate.late {
                OnLate::UpdateWithin(span) => u64::try_from(span.as_micros()).unwrap_or(u64::MAX),
                OnLate::DeadLetter | OnLate::Drop => 0,
            };
            Some(RewoundOutput { name: output.name.as_str().into(), windows, gap, merged, update_micros })
        });
        Ok(Rewinding {
            decoder: decoder.map_err(|error| LaneError::Plan(error.to_string()))?,
            settings: settings.watermark,
            outputs: outputs.collect(),
        })
    }

    /// The outputs with windows, in the order of the pipeline file.
    pub fn outputs(&self) -> impl Iterator<Item = &Arc<str>> {
        self.outputs.iter().map(|output| &output.name)
    }

    /// Whether windows are merged over partitions.
    pub fn merges(&self) -> bool {
        self.outputs.iter().any(|output| output.merged)
    }

    /// A record that was written longer than this before another one shares no window with it, unless one of them is late.
    pub fn look_back(&self) -> Duration {
        self.longest().saturating_add(self.settings.max_future)
    }

    /// Of records that were written `look_back` before this instant no event time is later than this.
    pub fn at_most(&self, written: EventTime) -> EventTime {
        written.minus(self.longest())
    }

    /// Of records that were written before this instant no event time is later than this: what is, is from the far future.
    pub fn at_most_ahead(&self, written: EventTime) -> EventTime {
        written.plus(self.settings.max_future)
    }

    fn longest(&self) -> Duration {
        let longest = self.outputs.iter().map(|output| output.windows.length_micros().unsigned_abs()).max();
        self.settings.out_of_order.saturating_add(Duration::from_micros(longest.unwrap_or_default()))
    }

    /// The largest event time of a batch, as its lane would judge it; `MIN` where there is none.
    pub fn largest(&self, partition: &Partition, batch: RecordBatch) -> EventTime {
        let mut decoded = self.decoder.decode(partition, Arc::new(batch));
        // No bound for disorder: the watermark is the largest event time.
        let mut watermark = Watermark::new(EventTime::MIN, Duration::ZERO);
        pass(&self.settings, &mut watermark, &mut decoded, &mut Departed::default(), &mut Lateness::default());
        watermark.current()
    }

    /// Where the first window begins that an output emits, for each output with windows; none where it emits all.
    pub fn first_windows(&self, source: &RewoundSource<'_>) -> Vec<Option<EventTime>> {
        let first = |output: &RewoundOutput| match output.bound(source) {
            EventTime::MIN => None,
            bound => Some(output.windows.after(bound).start),
        };
        self.outputs.iter().map(first).collect()
    }

    /// The position of a source partition: what began before it is not emitted, what is read from there is written anew.
    pub fn source(&self, to: &RewoundSource<'_>) -> Result<Commitment, LaneError> {
        let metadata = match to.stays {
            Some(metadata) => SourceMetadata { revision: Revision(to.revision), ..SourceMetadata::decode(metadata)? },
            None => SourceMetadata {
                revision: Revision(to.revision),
                watermark_micros: match to.seen {
                    EventTime::MIN => i64::MIN,
                    seen => seen.minus(self.settings.out_of_order).micros(),
                },
                settled: to.offset.0,
                topic_id: to.topic_id.map(|id| id.0),
                parts_partitions: to.parts_partitions,
                emitted: self.outputs.iter().map(|output| output.emitted(to)).collect(),
                checkpoint: None,
                generations: to.generations.clone(),
            },
        };
        Ok(Commitment { offset: to.offset, metadata: metadata.encode() })
    }

    /// The position of a partition of the parts topic: behind all that was written in earlier revisions, with sources of which nothing
    /// is known but that what they wrote in those does not count.
    pub fn parts(
        &self,
        end: Offset,
        revision: u16,
        sources: &[(Arc<str>, i32)],
        generations: Generations,
    ) -> Result<Commitment, LaneError> {
        let revision = Revision(revision);
        let unknown = |partition| SourceAsOf { partition, behind_micros: 0, known: false, idle: false };
        let topic = |(topic, partitions): &(Arc<str>, i32)| TopicSources {
            topic: hash_of(topic),
            partitions: *partitions,
            sources: (0..*partitions).map(unknown).collect(),
        };
        let metadata = PartsMetadata {
            revision,
            read: end.0,
            time_micros: EventTime::MIN.micros(),
            base_micros: 0,
            emitted: Vec::new(),
            topics: sources.iter().map(topic).collect(),
            generations,
        };
        Ok(Commitment { offset: end, metadata: metadata.encode()? })
    }
}

impl RewoundOutput {
    /// Windows with this time, or an earlier one, may lack records.
    fn bound(&self, source: &RewoundSource<'_>) -> EventTime {
        if self.merged { source.before_any } else { source.before }
    }

    fn emitted(&self, source: &RewoundSource<'_>) -> Emitted {
        let end = match self.bound(source) {
            EventTime::MIN => EventTime::MIN,
            // The last record of a session is before the cut, and the session ends a gap after it.
            bound => match self.gap {
                Some(gap) => self.windows.last(bound).end.plus(gap).minus(Duration::from_micros(1)),
                None => self.windows.last(bound).end,
            },
        };
        Emitted { output: hash_of(&self.name), end_micros: end.micros(), update_micros: self.update_micros }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_position_knows_is_known() {
        let metadata = PartsMetadata {
            revision: Revision(4),
            read: 0,
            time_micros: 0,
            base_micros: 0,
            emitted: Vec::new(),
            topics: vec![TopicSources {
                topic: hash_of("t"),
                partitions: 2,
                sources: vec![SourceAsOf { partition: 1, behind_micros: 0, known: true, idle: false }],
            }],
            generations: Generations::default(),
        };
        let known = Known::of(&metadata.encode().expect("it is short")).expect("it is ours");
        assert_eq!((known.revision, &known.topics[0].sources[..]), (4, &[1][..]));
        assert!(known.topics[0].is("t") && !known.topics[0].is("u"));
        assert_eq!(Known::of("somebody's"), None);
    }
}
