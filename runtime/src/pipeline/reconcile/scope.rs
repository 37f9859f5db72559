//! What is read: of each source partition, from where to where, and what the positions say of it.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::config::{PipelineSettings, Start};
use crate::lane::{Generations, Known, Plan, Topology};
use crate::pipeline::PipelineError;
use crate::pipeline::positions::partitions_of;
use crate::record::{EventTime, Offset, Partition};
use crate::source::{Admin, RecordRange};

/// A partition of a source topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionScope {
    pub partition: Partition,
    /// Where the log begins, and where it ends.
    pub log: (Offset, Offset),
    /// The group's; none where it has none.
    pub position: Option<Offset>,
    /// What is read: from the first on, up to the second, which is the position, or behind it, as far as documents are settled already.
    pub range: (Offset, Offset),
    /// Records that were read.
    pub read: u64,
    /// Nothing came of it for so long that windows do not wait for it.
    pub idle: bool,
    /// What has served, as the position tells.
    pub generations: Generations,
}

impl PartitionScope {
    /// Offsets that the pipeline has not settled yet.
    pub fn unread(&self) -> u64 {
        u64::try_from(self.log.1.0 - self.range.1.0).unwrap_or_default()
    }

    /// Whether records lie before what is read.
    pub fn is_cut(&self) -> bool {
        self.range.0 > Offset(0)
    }
}

pub(in crate::pipeline) struct Scope {
    pub partitions: Vec<PartitionScope>,
    places: HashMap<Partition, usize>,
    pub topology: Topology,
    pub revision: u16,
    /// Messages of the parts topic that wait to be merged.
    pub parts_unread: u64,
    /// The partitions of the parts topic, and what has merged there, as their positions tell.
    pub parts: Vec<(Partition, Generations)>,
    /// Windows that end after it may wait to be merged.
    pub merged_through: EventTime,
}

/// From when on records are read; none: from the first on that is there.
fn begin(from_millis: Option<i64>, start: Start) -> Result<Option<i64>, PipelineError> {
    match (from_millis, start) {
        (Some(from), _) => Ok(Some(from)),
        (None, Start::Earliest) => Ok(None),
        (None, Start::Timestamp { millis }) => Ok(Some(millis)),
        (None, Start::Latest) => Err(PipelineError::BeginUnknown),
    }
}

impl Scope {
    pub fn of(settings: &PipelineSettings, from_millis: Option<i64>) -> Result<Scope, PipelineError> {
        let from_millis = begin(from_millis, settings.kafka.start)?;
        let mut admin = Admin::new(&settings.kafka)?;
        let (mut partitions, mut sources, mut revision) = (Vec::new(), Vec::new(), 0);
        for topic in &settings.kafka.topics {
            let found = admin.describe(topic)?;
            let all = partitions_of(&found);
            let positions = admin.positions(&all)?;
            sources.push((Arc::from(topic.as_str()), i32::try_from(all.len()).unwrap_or(i32::MAX)));
            for ((partition, position), it) in all.into_iter().zip(positions).zip(&found.partitions) {
                let known = position.as_ref().and_then(|(_, text)| Known::of(text));
                revision = known.as_ref().map_or(0, |known| known.revision).max(revision);
                let position = position.map(|(offset, _)| offset);
                let Known { settled, generations, .. } = known.unwrap_or_default();
                let settled = position.max(settled).unwrap_or(it.log_start);
                let end = settled.clamp(it.log_start, it.log_end);
                let start = match from_millis {
                    None => it.log_start,
                    Some(millis) => {
                        let found = admin.offsets_at(&[(partition.clone(), millis)])?.into_iter().next().flatten();
                        found.unwrap_or(it.log_end)
                    }
                };
                let (log, range) = ((it.log_start, it.log_end), (start.min(end), end));
                partitions.push(PartitionScope { partition, log, position, range, read: 0, idle: false, generations });
            }
        }
        let places = partitions.iter().enumerate().map(|(place, it)| (it.partition.clone(), place)).collect();
        let topology = Topology { sources, revision, ..Topology::default() };
        let mut scope = Scope {
            partitions,
            places,
            topology,
            revision,
            parts_unread: 0,
            parts: Vec::new(),
            merged_through: EventTime::MAX,
        };
        if let Some(topic) = Plan::parts_topic_of(settings) {
            scope.ask_parts(&mut admin, &topic)?;
        }
        Ok(scope)
    }

    /// What the positions on the parts topic say: which sources are idle, and whether all is merged.
    fn ask_parts(&mut self, admin: &mut Admin, topic: &str) -> Result<(), PipelineError> {
        let Some(found) = admin.find(topic)? else { return Ok(()) };
        let positions = admin.positions(&partitions_of(&found))?;
        for (position, it) in positions.into_iter().zip(&found.partitions) {
            let (offset, known) = match position {
                Some((offset, text)) => (offset, Known::of(&text)),
                None => (it.log_start, None),
            };
            let unread = it.log_end.0 - offset.max(it.log_start).0;
            self.parts_unread += u64::try_from(unread).unwrap_or_default();
            let known = known.unwrap_or_default();
            self.parts.push((Partition::new(topic, it.number), known.generations));
            self.merged_through = self.merged_through.min(known.merged_through.unwrap_or(EventTime::MIN));
            for topic in &known.topics {
                let of_topic = self.partitions.iter_mut().filter(|it| topic.is(&it.partition.topic));
                of_topic.for_each(|it| it.idle |= topic.idle.contains(&it.partition.number));
            }
        }
        // One that goes on is not idle any more.
        self.partitions.iter_mut().for_each(|it| it.idle &= it.range.1 >= it.log.1);
        Ok(())
    }

    pub fn ranges(&self) -> Vec<RecordRange> {
        let range =
            |it: &PartitionScope| RecordRange { partition: it.partition.clone(), start: it.range.0, end: it.range.1 };
        self.partitions.iter().map(range).collect()
    }

    pub fn place(&self, partition: &Partition) -> Option<usize> {
        self.places.get(partition).copied()
    }

    /// How many there are to read, about: offsets may be left out.
    pub fn records(&self) -> u64 {
        self.partitions.iter().map(|it| u64::try_from(it.range.1.0 - it.range.0.0).unwrap_or_default()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_where_the_pipeline_did() {
        let of = |from, start| begin(from, start).map_err(|error| error.to_string());
        assert_eq!(of(None, Start::Earliest), Ok(None));
        assert_eq!(of(None, Start::Timestamp { millis: 7 }), Ok(Some(7)));
        assert_eq!(of(Some(5), Start::Latest), Ok(Some(5)));
        assert!(of(None, Start::Latest).is_err_and(|words| words.contains("--from")));
    }
}
