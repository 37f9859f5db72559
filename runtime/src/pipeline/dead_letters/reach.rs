//! How far the pipeline has come: its revision, and the records that its topics have had. A letter can be of nothing else.

use hashbrown::HashMap;

use super::obstacle::Obstacle;
use crate::config::PipelineSettings;
use crate::lane::id::revision_and_offset;
use crate::lane::{Known, Plan, REVISION_MAX};
use crate::pipeline::PipelineError;
use crate::pipeline::positions::partitions_of;
use crate::record::{Offset, Origin, Partition};
use crate::sink::Letter;
use crate::sink::dead_letter::REVISION;
use crate::source::Admin;

/// Asked after the dead-letter topic was: what its letters are of is not behind it.
#[derive(Default)]
pub(super) struct Reach {
    /// As the group's positions have it; 0 where there are none.
    pub revision: u16,
    /// Where the log of each source partition ends, by topic and number.
    pub ends: HashMap<String, HashMap<i32, Offset>>,
}

impl Reach {
    pub fn of(settings: &PipelineSettings) -> Result<Reach, PipelineError> {
        let mut admin = Admin::new(&settings.kafka)?;
        let mut reach = Reach::default();
        let parts = Plan::parts_topic_of(settings);
        for (topic, is_source) in
            settings.kafka.topics.iter().map(|it| (it, true)).chain(parts.iter().map(|it| (it, false)))
        {
            // One that is gone says nothing.
            let Some(found) = admin.find(topic)? else { continue };
            let positions = admin.positions(&partitions_of(&found))?;
            let known = positions.into_iter().flatten().filter_map(|(_, text)| Known::of(&text));
            reach.revision = known.map(|known| known.revision).max().unwrap_or_default().max(reach.revision);
            if is_source {
                let ends = found.partitions.iter().map(|it| (it.number, it.log_end));
                reach.ends.insert(topic.clone(), ends.collect());
            }
        }
        Ok(reach)
    }

    /// The revision that a record's letter is of.
    pub fn revision_of(&self, letter: &Letter) -> Result<u16, Obstacle> {
        let Some(text) = letter.text(REVISION) else {
            return if self.revision == 0 { Ok(0) } else { Err(Obstacle::NoRevision) };
        };
        let revision = text.parse().map_err(|_| Obstacle::LaterRevision)?;
        self.check_revision(revision)?;
        Ok(revision)
    }

    /// Of a window's document.
    pub fn check_version(&self, version: u64) -> Result<(), Obstacle> {
        self.check_revision(revision_and_offset(version).0)
    }

    /// With a later one it would replace what is written from now on, and one that is too large for a version would be another one.
    fn check_revision(&self, revision: u16) -> Result<(), Obstacle> {
        (revision <= self.revision.min(REVISION_MAX)).then_some(()).ok_or(Obstacle::LaterRevision)
    }

    /// Whether there has been such a record, which may be gone from the log.
    pub fn check_origin(&self, Origin { partition, offset }: &Origin) -> Result<(), Obstacle> {
        let Partition { topic, number } = partition;
        let ends = self.ends.get(&**topic).ok_or_else(|| Obstacle::UnknownTopic(topic.to_string()))?;
        let end = ends.get(number).ok_or_else(|| Obstacle::UnknownPartition(partition.to_string()))?;
        (offset < end).then_some(()).ok_or(Obstacle::BeyondEnd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(revision: u16) -> Reach {
        let ends = HashMap::from([("events".to_owned(), HashMap::from([(3, Offset(8))]))]);
        Reach { revision, ends }
    }

    #[test]
    fn a_revision_is_one_that_the_pipeline_has_had() {
        let check = |now: u16, revision: u16| reach(now).check_revision(revision);
        assert_eq!((check(2, 0), check(2, 2)), (Ok(()), Ok(())));
        assert_eq!(check(2, 3), Err(Obstacle::LaterRevision));
        assert_eq!(check(u16::MAX, REVISION_MAX), Ok(()));
        assert_eq!(check(u16::MAX, REVISION_MAX + 1), Err(Obstacle::LaterRevision));
        let version = |version: u64| reach(1).check_version(version);
        assert_eq!((version(9), version((1 << 52) + 9)), (Ok(()), Ok(())));
        assert_eq!((version(2 << 52), version(u64::MAX)), (Err(Obstacle::LaterRevision), Err(Obstacle::LaterRevision)));
    }

    #[test]
    fn an_origin_is_a_record_that_there_has_been() {
        let check =
            |topic: &str, number, offset| reach(0).check_origin(&Partition::new(topic, number).origin(Offset(offset)));
        assert_eq!((check("events", 3, 0), check("events", 3, 7)), (Ok(()), Ok(())));
        assert_eq!(check("events", 3, 8), Err(Obstacle::BeyondEnd));
        assert_eq!(check("events", 4, 0), Err(Obstacle::UnknownPartition("events-4".to_owned())));
        assert_eq!(check("clicks", 3, 0), Err(Obstacle::UnknownTopic("clicks".to_owned())));
    }
}
