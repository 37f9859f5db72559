//! Kafka as a test needs it: topics, records with their own timestamps, everything in a topic.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::{block_on, wait_for};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A record to produce, or one that was read.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Record {
    pub partition: i32,
    pub timestamp_millis: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rev().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }
}

pub struct Kafka {
    brokers: String,
}

impl Kafka {
    pub fn new(brokers: &str) -> Self {
        Kafka { brokers: brokers.into() }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// Creates a topic that keeps records of any age.
    pub fn create_topic(&self, name: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("valid settings");
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let answers = block_on(admin.create_topics([&topic], &options)).expect("the broker answers");
        for answer in answers {
            answer.unwrap_or_else(|(topic, error)| panic!("topic {topic}: {error}"));
        }
    }

    /// Gives a topic more partitions, so that it has as many as this.
    pub fn add_partitions(&self, topic: &str, partitions: usize) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("valid settings");
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let more = NewPartitions::new(topic, partitions);
        let answers = block_on(admin.create_partitions([&more], &options)).expect("the broker answers");
        for answer in answers {
            answer.unwrap_or_else(|(topic, error)| panic!("topic {topic}: {error}"));
        }
        // A producer gives a record up at once where the broker does not know its partition yet.
        let consumer: BaseConsumer = self.config().create().expect("valid settings");
        wait_for("the partitions", TIMEOUT, || {
            let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).expect("the broker answers");
            (metadata.topics()[0].partitions().len() == partitions).then_some(())
        });
    }

    /// How many members the broker counts in a group.
    pub fn members(&self, group: &str) -> usize {
        let consumer: BaseConsumer = self.config().create().expect("valid settings");
        let groups = consumer.fetch_group_list(Some(group), TIMEOUT).expect("the broker answers");
        groups.groups().iter().filter(|it| it.name() == group).map(|it| it.members().len()).sum()
    }

    /// The positions of a group: topic, partition, offset, and the text beside it.
    pub fn positions(&self, group: &str, topic: &str, partitions: i32) -> Vec<(String, i32, i64, String)> {
        let consumer: BaseConsumer = self.config().set("group.id", group).create().expect("valid settings");
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let found = consumer.committed_offsets(list, TIMEOUT).expect("the broker answers");
        let elements = found.elements();
        let position = |it: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match it.offset() {
            Offset::Offset(offset) => Some((topic.to_owned(), it.partition(), offset, it.metadata().to_owned())),
            _ => None,
        };
        elements.iter().filter_map(position).collect()
    }

    /// Sets positions of a group that has no members.
    pub fn commit(&self, group: &str, positions: &[(String, i32, i64, String)]) {
        let consumer: BaseConsumer = self.config().set("group.id", group).create().expect("valid settings");
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset, metadata) in positions {
            let mut element = list.add_partition(topic, *partition);
            element.set_offset(Offset::Offset(*offset)).expect("a valid offset");
            element.set_metadata(metadata);
        }
        consumer.commit(&list, CommitMode::Sync).expect("the broker takes it");
    }

    pub fn delete_topic(&self, name: &str) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("valid settings");
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let answers = block_on(admin.delete_topics(&[name], &options)).expect("the broker answers");
        for answer in answers {
            answer.unwrap_or_else(|(topic, error)| panic!("topic {topic}: {error}"));
        }
    }

    /// Writes the records in order; returns when all are acknowledged.
    pub fn produce(&self, topic: &str, records: &[Record]) {
        let producer: ThreadedProducer<_> = self
            .config()
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "60000")
            .set("linger.ms", "20")
            .create()
            .expect("valid settings");
        for record in records {
            let mut headers = OwnedHeaders::new();
            for (key, value) in &record.headers {
                headers = headers.insert(rdkafka::message::Header { key, value: Some(value) });
            }
            let mut next = BaseRecord::<[u8], [u8]>::to(topic)
                .partition(record.partition)
                .timestamp(record.timestamp_millis)
                .headers(headers);
            next.key = record.key.as_deref();
            next.payload = record.value.as_deref();
            while let Err((error, again)) = producer.send(next) {
                assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), "produce to {topic}");
                std::thread::sleep(Duration::from_millis(5)); // the producer's own thread makes room
                next = again;
            }
        }
        producer.flush(TIMEOUT).expect("all records are acknowledged");
    }

    /// All records that the topic has now, partition by partition.
    pub fn read_all(&self, topic: &str) -> Vec<Record> {
        let consumer: BaseConsumer = self
            .config()
            .set("group.id", "tests-read-all")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()
            .expect("valid settings");
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).expect("the broker answers");
        let partitions: Vec<i32> =
            metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|p| p.id()).collect();
        let mut list = TopicPartitionList::new();
        for partition in &partitions {
            list.add_partition_offset(topic, *partition, Offset::Beginning).expect("a valid offset");
        }
        consumer.assign(&list).expect("a valid assignment");
        let (mut records, mut ended) = (Vec::new(), 0);
        while ended < partitions.len() {
            match consumer.poll(TIMEOUT).expect("the broker answers") {
                Ok(message) => records.push(owned(&message)),
                Err(KafkaError::PartitionEOF(_)) => ended += 1,
                Err(error) => panic!("read {topic}: {error}"),
            }
        }
        records
    }
}

fn owned(message: &impl Message) -> Record {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Record {
        partition: message.partition(),
        timestamp_millis: message.timestamp().to_millis().unwrap_or_default(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.map(|header| (header.key.into(), header.value.unwrap_or_default().to_vec())).collect(),
    }
}
