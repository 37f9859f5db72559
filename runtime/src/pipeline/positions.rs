//! The group's positions before a pipeline starts: what its revision is, and whether the source topics are those that were read.

use std::sync::Arc;

use crate::checkpoint::{CheckpointError, Place, Store};
use crate::config::PipelineSettings;
use crate::lane::{Known, KnownTopic, Plan};
use crate::record::Partition;
use crate::source::{Admin, SourceError, TopicDescription};

use super::PipelineError;

/// The pipeline's revision. An error where partitions are gone that were read, or their positions: going on would begin afresh what was
/// not at its end.
pub(super) fn check(
    settings: &PipelineSettings,
    admin: &mut Admin,
    sources: &[TopicDescription],
) -> Result<u16, PipelineError> {
    let mut known = Vec::new();
    let mut unpositioned = Vec::new();
    for topic in sources {
        let partitions = partitions_of(topic);
        for (partition, position) in partitions.iter().zip(admin.positions(&partitions)?) {
            match position {
                Some((_, metadata)) => known.extend(Known::of(&metadata)),
                None => unpositioned.push(partition.clone()),
            }
        }
    }
    if let Some(parts) = Plan::parts_topic_of(settings)
        && let Some(parts) = admin.find(&parts)?
    {
        let positions = admin.positions(&partitions_of(&parts))?;
        known.extend(positions.into_iter().flatten().filter_map(|(_, metadata)| Known::of(&metadata)));
    }
    let revision = known.iter().map(|known| known.revision).max().unwrap_or_default();
    let topics = known.iter().flat_map(|known| &known.topics);
    fewer_partitions(admin, sources, topics.clone(), revision)?;
    for partition in unpositioned {
        let is_known = |topic: &KnownTopic| topic.is(&partition.topic) && topic.sources.contains(&partition.number);
        if topics.clone().any(is_known) && !has_checkpoint(settings, &partition)? {
            return Err(SourceError::PositionGone { partition }.into());
        }
    }
    Ok(revision)
}

/// A topic with fewer partitions than it had was made anew.
fn fewer_partitions<'a>(
    admin: &mut Admin,
    sources: &[TopicDescription],
    known: impl Iterator<Item = &'a KnownTopic> + Clone,
    revision: u16,
) -> Result<(), SourceError> {
    let mut positioned = admin.positioned()?;
    // Those of before a rewind are left over.
    positioned.retain(|(_, metadata)| Known::of(metadata).is_some_and(|known| known.revision == revision));
    for topic in sources {
        let now = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let of_topic = positioned.iter().filter(|(partition, _)| *partition.topic == *topic.name);
        let by_positions = of_topic.map(|(partition, _)| partition.number + 1).max();
        let by_parts = known.clone().filter(|known| known.is(&topic.name)).map(|known| known.partitions).max();
        if let Some(then) = by_positions.max(by_parts).filter(|then| *then > now) {
            return Err(SourceError::FewerPartitions { topic: topic.name.clone(), then, now });
        }
    }
    Ok(())
}

pub(super) fn partitions_of(topic: &TopicDescription) -> Vec<Partition> {
    topic.partitions.iter().map(|it| Partition::new(&topic.name, it.number)).collect()
}

/// Positions expire when a group is away for long; where there is a checkpoint, it takes their place.
fn has_checkpoint(settings: &PipelineSettings, partition: &Partition) -> Result<bool, PipelineError> {
    let place = Place { pipeline: Arc::from(settings.name.as_str()), partition: partition.clone() };
    let kept = ask_store(settings, async |store| store.list(&place).await)?;
    Ok(kept.is_some_and(|kept| !kept.is_empty()))
}

/// Asks the location of checkpoints that decides; none where the pipeline has none.
pub(super) fn ask_store<T>(
    settings: &PipelineSettings,
    ask: impl AsyncFnOnce(Store) -> Result<T, CheckpointError>,
) -> Result<Option<T>, PipelineError> {
    let Some(location) = settings.checkpoint.as_ref().and_then(|checkpoint| checkpoint.locations.first()) else {
        return Ok(None);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(PipelineError::Thread)?;
    let answer = runtime.block_on(async { ask(Store::at(location)?).await });
    answer.map(Some).map_err(|error| PipelineError::Store(Box::new(error)))
}
