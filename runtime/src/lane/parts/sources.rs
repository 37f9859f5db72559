//! How far each source lane has come, by its markers; and with them the time of a parts lane.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::lane::SourceStatus;
use crate::lane::format::Marker;
use crate::lane::id::Revision;
use crate::lane::metadata::{PartsMetadata, SourceAsOf, TopicSources, hash_of};
use crate::record::{EventTime, Offset, Partition};

/// A source lane: the hash of its topic's name, and its partition. In this order parts are merged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct SourceKey {
    pub topic: u64,
    pub partition: i32,
}

impl SourceKey {
    pub fn new(topic: &str, partition: i32) -> Self {
        SourceKey { topic: hash_of(topic), partition }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct SourceState {
    watermark: EventTime,
    idle: bool,
}

/// A marker without its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct MarkerWord {
    source: SourceKey,
    partitions: i32,
    revision: Revision,
    state: SourceState,
}

impl MarkerWord {
    pub fn new(marker: &Marker<'_>) -> Self {
        MarkerWord {
            source: SourceKey::new(marker.topic, marker.partition),
            partitions: marker.partitions,
            revision: marker.revision,
            state: SourceState { watermark: EventTime::from_micros(marker.watermark_micros), idle: marker.idle },
        }
    }
}

/// All that markers said, up to some offset.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    /// A rewind waits until nobody is a member of the group. So who writes in an earlier one is no owner any more, and who reads of a
    /// later one is none.
    revision: Revision,
    /// How many partitions each topic has; 0 while no marker told.
    topics: BTreeMap<u64, i32>,
    states: BTreeMap<SourceKey, SourceState>,
    /// The smallest watermark of the sources that are not idle; it never goes back.
    time: EventTime,
}

impl Sources {
    /// `topics` are those of the pipeline file; one of which no marker is known holds time back.
    pub fn new<'a>(revision: Revision, topics: impl Iterator<Item = &'a str>) -> Self {
        let topics = topics.map(|topic| (hash_of(topic), 0)).collect();
        Sources { revision, topics, states: BTreeMap::new(), time: EventTime::MIN }
    }

    pub fn time(&self) -> EventTime {
        self.time
    }

    /// Whatever is written in another one does not count.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn watermark(&self, source: SourceKey) -> EventTime {
        self.states.get(&source).map_or(EventTime::MIN, |state| state.watermark)
    }

    /// Through here no part can change a document any more: every source has passed it, or those that were idle are more
    /// than `grace` behind.
    pub fn finished(&self, grace: Duration) -> EventTime {
        let slowest = if self.complete() { self.states.values().map(|state| state.watermark).min() } else { None };
        let expired = self.time.minus(grace);
        self.time.min(slowest.unwrap_or(EventTime::MIN).max(expired))
    }

    pub fn apply(&mut self, word: &MarkerWord) {
        let Some(partitions) = self.topics.get_mut(&word.source.topic) else { return };
        if word.revision != self.revision {
            return;
        }
        *partitions = word.partitions.max(*partitions);
        let known = self.states.entry(word.source).or_insert(word.state);
        let (said, before) = (word.state, *known);
        known.watermark = said.watermark.max(before.watermark);
        // One that knows less than was said already cannot know that nothing came since.
        known.idle = said.idle && said.watermark >= before.watermark;
        if let Some(smallest) = self.smallest() {
            self.time = self.time.max(smallest);
        }
    }

    /// What is known of each partition of these topics.
    pub fn status(&self, topics: &[(Arc<str>, i32)]) -> Arc<[SourceStatus]> {
        let of_topic = |(topic, partitions): &(Arc<str>, i32)| {
            let said = self.topics.get(&hash_of(topic)).copied().unwrap_or_default();
            let topic = topic.clone();
            (0..said.max(*partitions)).map(move |number| {
                let state = self.states.get(&SourceKey::new(&topic, number));
                SourceStatus {
                    partition: Partition { topic: topic.clone(), number },
                    watermark: state.map(|state| state.watermark),
                    idle: state.is_some_and(|state| state.idle),
                }
            })
        };
        topics.iter().flat_map(of_topic).collect()
    }

    /// Whether every source said that nothing more comes.
    pub fn all_idle(&self) -> bool {
        self.complete() && self.states.values().all(|state| state.idle)
    }

    /// Whether there is a marker of every source.
    fn complete(&self) -> bool {
        self.topics.iter().all(|(topic, partitions)| {
            let key = |partition| SourceKey { topic: *topic, partition };
            *partitions > 0 && self.states.range(key(0)..key(*partitions)).count() == *partitions as usize
        })
    }

    /// None while a source has not written a marker, and while all are idle.
    fn smallest(&self) -> Option<EventTime> {
        if !self.complete() {
            return None;
        }
        self.states.values().filter(|state| !state.idle).map(|state| state.watermark).min()
    }

    pub fn save(&self, metadata: &mut PartsMetadata) {
        metadata.time_micros = self.time.micros();
        let known = self.states.values().map(|state| state.watermark).filter(|watermark| *watermark != EventTime::MIN);
        let base = known.max().map_or(0, EventTime::micros);
        metadata.base_micros = base;
        metadata.revision = self.revision;
        for (topic, partitions) in &self.topics {
            let sources = self.states.iter().filter(|(key, _)| key.topic == *topic).map(|(key, state)| SourceAsOf {
                partition: key.partition,
                behind_micros: match state.watermark {
                    EventTime::MIN => 0,
                    watermark => base.wrapping_sub(watermark.micros()),
                },
                known: state.watermark != EventTime::MIN,
                idle: state.idle,
            });
            metadata.topics.push(TopicSources { topic: *topic, partitions: *partitions, sources: sources.collect() });
        }
    }

    pub fn restore(&mut self, metadata: &PartsMetadata) {
        self.revision = metadata.revision;
        self.time = EventTime::from_micros(metadata.time_micros);
        for saved in &metadata.topics {
            // A topic that is no longer read holds nothing back.
            let Some(partitions) = self.topics.get_mut(&saved.topic) else { continue };
            *partitions = saved.partitions;
            for source in &saved.sources {
                let micros = metadata.base_micros.wrapping_sub(source.behind_micros);
                let watermark = if source.known { EventTime::from_micros(micros) } else { EventTime::MIN };
                let state = SourceState { watermark, idle: source.idle };
                self.states.insert(SourceKey { topic: saved.topic, partition: source.partition }, state);
            }
        }
    }
}

/// The sources as of now, and as of the position: what was said since the position is kept to move it.
#[derive(Clone, Debug)]
pub(super) struct SourceHistory {
    pub now: Sources,
    as_of: Sources,
    since: VecDeque<(Offset, MarkerWord)>,
}

impl SourceHistory {
    pub fn new(sources: Sources) -> Self {
        SourceHistory { now: sources.clone(), as_of: sources, since: VecDeque::new() }
    }

    pub fn apply(&mut self, offset: Offset, word: MarkerWord) {
        self.now.apply(&word);
        self.since.push_back((offset, word));
    }

    /// The position is at `offset` now; the sources as they were there.
    pub fn move_to(&mut self, offset: Offset) -> &Sources {
        while let Some((_, word)) = self.since.pop_front_if(|(said, _)| *said < offset) {
            self.as_of.apply(&word);
        }
        &self.as_of
    }

    pub fn as_of(&self) -> &Sources {
        &self.as_of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(partition: i32, watermark: i64, idle: bool) -> MarkerWord {
        MarkerWord::new(&Marker {
            topic: "t",
            partition,
            partitions: 2,
            parts_partitions: 1,
            watermark_micros: watermark,
            idle,
            revision: Revision(0),
        })
    }

    fn after(words: &[MarkerWord]) -> Sources {
        let mut sources = Sources::new(Revision(0), ["t"].into_iter());
        words.iter().for_each(|word| sources.apply(word));
        sources
    }

    #[test]
    fn a_source_without_a_marker_holds_time_back() {
        assert_eq!(after(&[marker(0, 50, false)]).time(), EventTime::MIN);
        assert_eq!(after(&[marker(0, 50, false), marker(1, 40, false)]).time(), EventTime::from_micros(40));
    }

    #[test]
    fn idle_sources_hold_nothing_back_and_all_idle_stands_still() {
        let words = [marker(0, 50, false), marker(1, 10, true)];
        assert_eq!(after(&words).time(), EventTime::from_micros(50));
        assert_eq!(after(&[marker(0, 50, true), marker(1, 10, true)]).time(), EventTime::MIN);
        let finished = |grace| after(&words).finished(Duration::from_micros(grace));
        assert_eq!((finished(5), finished(45)), (EventTime::from_micros(45), EventTime::from_micros(10)));
    }

    #[test]
    fn what_is_said_in_another_revision_does_not_count() {
        let words = [marker(0, 50, false), marker(1, 40, false)];
        for revision in [0, 2] {
            let mut sources = Sources::new(Revision(1), ["t"].into_iter());
            words.iter().for_each(|word| sources.apply(&MarkerWord { revision: Revision(revision), ..*word }));
            assert_eq!((sources.time(), sources.states.len()), (EventTime::MIN, 0));
        }
    }

    #[test]
    fn time_never_goes_back_and_an_old_marker_makes_nobody_idle() {
        let mut sources = after(&[marker(0, 50, false), marker(1, 40, false)]);
        sources.apply(&marker(1, 30, true));
        assert_eq!(sources.time(), EventTime::from_micros(40));
        sources.apply(&marker(0, 60, false));
        assert_eq!(sources.time(), EventTime::from_micros(40));
    }

    #[test]
    fn sources_come_back_as_they_were_saved() {
        let sources = after(&[marker(0, 50, false), marker(1, i64::MIN, true)]);
        let mut metadata = PartsMetadata {
            revision: Revision(0),
            read: 0,
            time_micros: 0,
            base_micros: 0,
            emitted: Vec::new(),
            topics: Vec::new(),
            generations: Default::default(),
        };
        sources.save(&mut metadata);
        let mut restored = Sources::new(Revision(0), ["t"].into_iter());
        restored.restore(&metadata);
        assert_eq!((restored.states, restored.topics, restored.time), (sources.states, sources.topics, sources.time));
    }
}
