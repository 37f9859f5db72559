//! The topics around a pipeline, before it starts: source topics must be there, the parts topic and the dead-letter topic
//! are made where they are missing.

use super::{PipelineError, RunOptions, positions};
use crate::config::PipelineSettings;
use crate::lane::{Plan, Topology};
use crate::source::{Admin, TopicDescription};

pub(super) fn prepare(settings: &PipelineSettings, options: &RunOptions) -> Result<Topology, PipelineError> {
    let mut admin = Admin::new(&settings.kafka)?;
    let sources = settings.kafka.topics.iter().map(|topic| admin.describe(topic)).collect::<Result<Vec<_>, _>>()?;
    let parts_partitions = match Plan::parts_topic_of(settings) {
        Some(topic) => admin.ensure_parts(&topic, &sources)?,
        None => 0,
    };
    admin.ensure_dead_letters(&settings.dead_letters.topic, &sources)?;
    let described = |topic: &TopicDescription| (topic.name.as_str().into(), count(topic.partitions.len()));
    Ok(Topology {
        sources: sources.iter().map(described).collect(),
        topic_ids: sources.iter().filter_map(|topic| Some((topic.name.as_str().into(), topic.id?))).collect(),
        revision: positions::check(settings, &mut admin, &sources)?,
        parts_partitions: count(parts_partitions),
        accept_removed: options.accept_removed.clone(),
    })
}

/// Kafka numbers partitions with 31 bits.
fn count(partitions: usize) -> i32 {
    i32::try_from(partitions).unwrap_or(i32::MAX)
}
