//! What lanes are told of the topics around them.

use std::sync::Arc;

use crate::record::TopicId;

/// The topics around the lanes.
#[derive(Clone, Default, Debug)]
pub struct Topology {
    /// The source topics, in the order of the pipeline file, with their numbers of partitions.
    pub sources: Vec<(Arc<str>, i32)>,
    /// Kafka's ids of source topics, where the cluster tells.
    pub topic_ids: Vec<(Arc<str>, TopicId)>,
    /// The pipeline's revision, as its positions have it.
    pub revision: u16,
    /// The partitions of the parts topic; 0 without one.
    pub parts_partitions: i32,
    /// Outputs that are no longer in the pipeline file, and whose parts may be dropped.
    pub accept_removed: Vec<String>,
}

impl Topology {
    /// None where the cluster does not tell.
    pub(super) fn topic_id(&self, topic: &str) -> Option<TopicId> {
        self.topic_ids.iter().find(|(name, _)| **name == *topic).map(|(_, id)| *id)
    }
}
