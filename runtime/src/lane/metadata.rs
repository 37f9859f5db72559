//! What is committed with a position, as text in the offset's metadata. `docs/formats.md` describes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{CheckpointId, Epoch, Sequence, SlotId, StoreId, Wanted};
use crate::record::{EventTime, Partition, Resume, TopicId};

use super::LaneError;
use super::generations::Generations;
use super::id::Revision;
use super::plan::Plan;

/// What brokers allow by default.
const BYTES_MAX: usize = 4096;

/// What the text begins with: whose it is, and its version.
const PREFIX: &str = "tidegate1:";

/// Of a source lane.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SourceMetadata {
    pub revision: Revision,
    /// W: the watermark before the record at the position.
    pub watermark_micros: i64,
    /// S: documents, drops and dead letters of earlier records are settled.
    pub settled: i64,
    /// Kafka's id of the topic that the position is of, where the cluster tells.
    pub topic_id: Option<[u8; 16]>,
    /// How many partitions the parts topic has; 0 without one.
    pub parts_partitions: i32,
    /// E: through which window end each output has emitted.
    pub emitted: Vec<Emitted>,
    /// What holds the windows that are open at the position; none where no record before it is needed.
    pub checkpoint: Option<CheckpointName>,
    /// Behind all others, as far as there is room.
    #[serde(skip)]
    pub generations: Generations,
}

/// A checkpoint of the partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct CheckpointName {
    pub store: u128,
    pub epoch: u32,
    pub sequence: u32,
}

impl From<CheckpointId> for CheckpointName {
    fn from(CheckpointId { store, slot }: CheckpointId) -> Self {
        CheckpointName { store: store.0, epoch: slot.epoch.0, sequence: slot.sequence.0 }
    }
}

impl From<CheckpointName> for CheckpointId {
    fn from(CheckpointName { store, epoch, sequence }: CheckpointName) -> Self {
        let slot = SlotId { epoch: Epoch(epoch), sequence: Sequence(sequence) };
        CheckpointId { store: StoreId(store), slot }
    }
}

/// What is known of a source partition before its checkpoints are looked at.
pub(super) fn wanted(plan: &Plan, partition: &Partition, resume: &Resume) -> Result<Wanted, LaneError> {
    let topic_id = plan.topology.topic_id(&partition.topic);
    let Resume::Position { offset, metadata, .. } = resume else { return Ok(Wanted { topic_id, ..Wanted::default() }) };
    let metadata = SourceMetadata::decode(metadata)?;
    metadata.check_topic(plan, partition)?;
    let SourceMetadata { revision, checkpoint, .. } = metadata;
    Ok(Wanted { position: Some(*offset), named: checkpoint.map(CheckpointId::from), revision: revision.0, topic_id })
}

/// An output, by a hash of its name, and the window end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Emitted {
    pub output: u64,
    pub end_micros: i64,
    /// For how long after their end the windows until then changed; 0 of a parts lane.
    pub update_micros: u64,
}

impl Emitted {
    pub fn end(&self) -> EventTime {
        EventTime::from_micros(self.end_micros)
    }

    /// Of an output that has not begun.
    pub fn nothing(output: u64) -> Self {
        Emitted { output, end_micros: i64::MIN, update_micros: 0 }
    }
}

/// Of a parts lane.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct PartsMetadata {
    pub revision: Revision,
    /// R: the next message that was not read, or the first of which something is unsettled.
    pub read: i64,
    /// T: how far the lane's time had come, as of the position.
    pub time_micros: i64,
    /// The largest watermark of a source; the others are told by how far they are behind it, which is shorter.
    pub base_micros: i64,
    pub emitted: Vec<Emitted>,
    /// For each topic, by a hash of its name, its sources as of the position.
    pub topics: Vec<TopicSources>,
    /// Behind all others, as far as there is room.
    #[serde(skip)]
    pub generations: Generations,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct TopicSources {
    pub topic: u64,
    /// How many partitions it has, as its markers say.
    pub partitions: i32,
    pub sources: Vec<SourceAsOf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SourceAsOf {
    pub partition: i32,
    /// 0 where `known` is not set.
    pub behind_micros: i64,
    /// Whether it has a watermark.
    pub known: bool,
    pub idle: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Metadata<'a> {
    Source(std::borrow::Cow<'a, SourceMetadata>),
    Parts(std::borrow::Cow<'a, PartsMetadata>),
}

impl Metadata<'static> {
    pub fn decode(text: &str) -> Result<Self, LaneError> {
        let foreign = || LaneError::ForeignPosition { metadata: shown(text) };
        let body = text.strip_prefix(PREFIX).ok_or_else(foreign)?;
        let bytes = STANDARD_NO_PAD.decode(body).map_err(|_| foreign())?;
        let (mut metadata, rest) = postcard::take_from_bytes::<Self>(&bytes).map_err(|_| foreign())?;
        *metadata.generations_mut() = Generations::decode(rest);
        Ok(metadata)
    }

    fn generations_mut(&mut self) -> &mut Generations {
        match self {
            Metadata::Source(source) => &mut source.to_mut().generations,
            Metadata::Parts(parts) => &mut parts.to_mut().generations,
        }
    }
}

/// A stable short name for something that has a name.
pub(crate) fn hash_of(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

impl SourceMetadata {
    pub fn encode(&self) -> String {
        encode(&Metadata::Source(std::borrow::Cow::Borrowed(self)), &self.generations)
    }

    /// An offset of a topic that was deleted since means nothing in the one that has its name now.
    pub fn check_topic(&self, plan: &Plan, partition: &Partition) -> Result<(), LaneError> {
        match (self.topic_id.map(TopicId), plan.topology.topic_id(&partition.topic)) {
            (Some(then), Some(now)) if then != now => {
                Err(LaneError::OtherTopic { topic: partition.topic.clone(), then, now })
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// What a later owner had done beyond this position.
    pub fn learn(&mut self, later: &SourceMetadata) {
        // A rewind raises the revision of a position that stays where it is.
        self.revision = self.revision.max(later.revision);
        self.settled = self.settled.max(later.settled);
        if !later.generations.is_empty() {
            self.generations = later.generations.clone();
        }
        for emitted in &later.emitted {
            match self.emitted.iter_mut().find(|one| one.output == emitted.output) {
                Some(one) if one.end_micros >= emitted.end_micros => {}
                Some(one) => *one = *emitted,
                None => self.emitted.push(*emitted),
            }
        }
    }

    pub fn decode(text: &str) -> Result<Self, LaneError> {
        match Metadata::decode(text)? {
            Metadata::Source(metadata) => Ok(metadata.into_owned()),
            Metadata::Parts(_) => Err(LaneError::ForeignPosition { metadata: shown(text) }),
        }
    }
}

impl PartsMetadata {
    /// An error when it is longer than a broker takes.
    pub fn encode(&self) -> Result<String, LaneError> {
        let text = encode(&Metadata::Parts(std::borrow::Cow::Borrowed(self)), &self.generations);
        if text.len() > BYTES_MAX {
            let sources = self.topics.iter().map(|topic| topic.sources.len()).sum();
            return Err(LaneError::MetadataTooLong { bytes: text.len(), max: BYTES_MAX, sources });
        }
        Ok(text)
    }

    pub fn decode(text: &str) -> Result<Self, LaneError> {
        match Metadata::decode(text)? {
            Metadata::Parts(metadata) => Ok(metadata.into_owned()),
            Metadata::Source(_) => Err(LaneError::ForeignPosition { metadata: shown(text) }),
        }
    }
}

fn encode(metadata: &Metadata<'_>, generations: &Generations) -> String {
    let mut bytes = postcard::to_allocvec(metadata).expect("plain values are written into memory");
    // Four letters for three bytes.
    let room = (BYTES_MAX - PREFIX.len()) / 4 * 3;
    bytes.extend_from_slice(&generations.encoded(room.saturating_sub(bytes.len())));
    format!("{PREFIX}{}", STANDARD_NO_PAD.encode(bytes))
}

/// Enough of a foreign text to recognise it.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// What is known of an output.
pub(crate) fn emitted_of(emitted: &[Emitted], output: u64) -> Option<Emitted> {
    emitted.iter().find(|entry| entry.output == output).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::generations::{Beginning, ServedBy};
    use crate::record::Offset;

    fn generations() -> Generations {
        let by = ServedBy {
            plugin: "mark".to_owned(),
            output: 0,
            version: "0.1.0".to_owned(),
            digest: [7; 6],
            settings: 7,
            generation: 1,
        };
        let mut generations = Generations::default();
        let beginning = Beginning { from: Offset(0), settled: Offset(0), read_max: Offset(0) };
        generations.begin(Revision(0), beginning, &[by].into());
        // As another owner knows them.
        Generations::decode(&generations.encoded(usize::MAX))
    }

    #[test]
    fn metadata_comes_back_as_it_went_in() {
        let metadata = SourceMetadata {
            revision: Revision(3),
            watermark_micros: i64::MIN,
            settled: 17,
            topic_id: Some([7; 16]),
            parts_partitions: 4,
            emitted: vec![Emitted { output: hash_of("counts"), end_micros: 60, update_micros: 7 }],
            checkpoint: Some(CheckpointName { store: u128::MAX, epoch: 2, sequence: 9 }),
            generations: generations(),
        };
        let text = metadata.encode();
        assert_eq!(SourceMetadata::decode(&text).ok(), Some(metadata));
        assert!(PartsMetadata::decode(&text).is_err());
        assert!(SourceMetadata::decode("").is_err() && SourceMetadata::decode("tidegate1:!").is_err());
    }

    #[test]
    fn what_later_owners_have_done_is_learnt() {
        let metadata = |settled, emitted: &[(u64, i64)]| SourceMetadata {
            revision: Revision(0),
            watermark_micros: settled,
            settled,
            topic_id: None,
            parts_partitions: 1,
            emitted: emitted
                .iter()
                .map(|(output, end_micros)| Emitted { output: *output, end_micros: *end_micros, update_micros: 0 })
                .collect(),
            checkpoint: None,
            generations: Generations::default(),
        };
        let mut known = metadata(5, &[(1, 60), (2, 90)]);
        known.learn(&metadata(9, &[(1, 70), (2, 80), (3, 10)]));
        let watermark_micros = 5;
        assert_eq!(known, SourceMetadata { watermark_micros, ..metadata(9, &[(1, 70), (2, 90), (3, 10)]) });
    }

    #[test]
    fn three_hundred_sources_fit() {
        let source = |partition| SourceAsOf { partition, behind_micros: 600_000_000, known: true, idle: false };
        let mut metadata = PartsMetadata {
            revision: Revision(0),
            read: 1 << 40,
            time_micros: 1_800_000_000_000_000,
            base_micros: 1_800_000_000_000_000,
            emitted: vec![Emitted { output: u64::MAX, end_micros: 1_800_000_000_000_000, update_micros: 0 }; 4],
            topics: vec![TopicSources { topic: u64::MAX, partitions: 300, sources: (0..300).map(source).collect() }],
            generations: generations(),
        };
        let text = metadata.encode().expect("it fits");
        assert_eq!(PartsMetadata::decode(&text).ok(), Some(metadata.clone()));
        metadata.topics[0].sources = (0..500).map(source).collect();
        assert!(metadata.encode().is_err());
    }
}
