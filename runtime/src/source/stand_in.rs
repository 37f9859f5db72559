//! A broker inside the process, for `tidegate demo` and for tests: librdkafka's mock cluster on loopback ports, which other
//! programs can use as well. It keeps nothing: at most 5 MiB a partition while it runs.

use rdkafka::ClientConfig;
use rdkafka::bindings as c;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer};

use super::SourceError;

/// How long a new group waits for more members. The cluster's own 3 s are for clusters of many.
const JOIN_DELAY_MILLIS: i32 = 100;

/// Stops when dropped.
pub struct StandInBroker {
    /// The cluster belongs to a client.
    client: BaseProducer,
}

impl StandInBroker {
    /// One broker with these topics, each with a number of partitions.
    pub fn start(topics: &[(&str, i32)]) -> Result<StandInBroker, SourceError> {
        let refused = |error: KafkaError| SourceError::Request {
            what: "a stand-in for the broker".to_owned(),
            word: error.to_string(),
        };
        let client = ClientConfig::new().set("test.mock.num.brokers", "1").create().map_err(refused)?;
        let broker = StandInBroker { client };
        for (topic, partitions) in topics {
            broker.cluster().create_topic(topic, *partitions, 1).map_err(refused)?;
        }
        // SAFETY: the client is alive, and the cluster lives as long.
        unsafe {
            let cluster = c::rd_kafka_handle_mock_cluster(broker.client.client().native_ptr());
            c::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, JOIN_DELAY_MILLIS);
        }
        Ok(broker)
    }

    fn cluster(&self) -> MockCluster<'_, DefaultProducerContext> {
        self.client.client().mock_cluster().expect("the client was made with a cluster")
    }

    /// `host:port`, for `brokers` in the pipeline file.
    pub fn bootstrap(&self) -> String {
        self.cluster().bootstrap_servers()
    }

    /// Takes the broker away, or brings it back.
    #[cfg(test)]
    pub(super) fn set_up(&self, up: bool) {
        let done = if up { self.cluster().broker_up(-1) } else { self.cluster().broker_down(-1) };
        done.expect("the cluster is alive");
    }

    /// Answers the next request of a kind with an error.
    #[cfg(test)]
    pub(super) fn refuse(&self, request: rdkafka::types::RDKafkaApiKey, error: c::rd_kafka_resp_err_t) {
        self.cluster().request_errors(request, &[error]);
    }
}
