//! Servers inside this process, for commands that need no others: they keep nothing, and end with it.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::runtime::Runtime;

use crate::config::{Auth, PipelineSettings};
use crate::lane::Plan;
use crate::sink::stand_in::StandInIndex;
use crate::source::StandInBroker;

pub(super) struct StandIns {
    pub addresses: Addresses,
    pub index: StandInIndex,
    _broker: StandInBroker,
}

/// Where they are.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    brokers: String,
    url: String,
}

impl StandIns {
    /// With the topics that the pipeline has, the source topics of so many partitions.
    pub fn start(settings: &PipelineSettings, partitions: i32, runtime: &Runtime) -> anyhow::Result<Self> {
        let parts = Plan::parts_topic_of(settings);
        let mut topics: Vec<(&str, i32)> =
            settings.kafka.topics.iter().map(|topic| (topic.as_str(), partitions)).collect();
        topics.push((&settings.dead_letters.topic, 1));
        topics.extend(parts.as_deref().map(|topic| (topic, partitions)));
        let broker = StandInBroker::start(&topics)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let index = runtime.block_on(StandInIndex::start(address)).context("the stand-in index cannot listen")?;
        let addresses = Addresses { brokers: broker.bootstrap(), url: index.url() };
        Ok(StandIns { addresses, index, _broker: broker })
    }
}

impl Addresses {
    /// In place of the servers that the settings name.
    pub fn stand_in(&self, settings: &mut PipelineSettings) {
        settings.kafka.brokers.clone_from(&self.brokers);
        settings.kafka.librdkafka.clear();
        for sink in &mut settings.sinks {
            sink.urls = vec![self.url.clone()];
            (sink.auth, sink.ca, sink.client_certificate) = (Auth::None, None, None);
        }
    }
}
