//! The writer against the in-process broker: order, acknowledgement, room, messages that are too large.

use std::collections::BTreeMap;
use std::sync::mpsc;

use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message as _};
use rdkafka::types::RDKafkaApiKey;

use super::super::StandInBroker;
use super::*;
use crate::config::{OnDataLoss, Start};

const PARTS: &str = "p.parts";
const DEAD_LETTERS: &str = "p.dead-letters";
const PATIENCE: Duration = Duration::from_secs(20);

fn start(queue_bytes: usize) -> (StandInBroker, Writer) {
    let broker = StandInBroker::start(&[(PARTS, 2), (DEAD_LETTERS, 1)]).expect("starts");
    let kafka = KafkaSettings {
        brokers: broker.bootstrap(),
        topics: Vec::new(),
        group: "p".to_owned(),
        instance: None,
        start: Start::Earliest,
        on_data_loss: OnDataLoss::Stop,
        librdkafka: BTreeMap::new(),
    };
    let writer = Writer::new(&kafka, queue_bytes, DEAD_LETTERS).expect("starts");
    (broker, writer)
}

fn message(topic: &str, partition: Option<i32>, value: &[u8]) -> Message {
    Message {
        topic: topic.into(),
        partition,
        key: Some(b"k".to_vec()),
        value: Some(value.to_vec()),
        headers: vec![("tidegate-origin".to_owned(), Some(b"o".to_vec())), ("null".to_owned(), None)],
    }
}

/// Writes, and waits for the answer.
fn write(writer: &Writer, messages: Vec<Message>) -> Result<(), WriteError> {
    let (told, answer) = mpsc::channel();
    writer.write(messages, move |result| told.send(result).expect("somebody waits"));
    answer.recv_timeout(PATIENCE).expect("an answer")
}

type Read = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn read(broker: &StandInBroker, topic: &str, partition: i32, count: usize) -> Vec<Read> {
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap()).set("group.id", "reader");
    let reader: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    reader.assign(&list).expect("assigned");
    let next = |_| {
        let message = reader.poll(PATIENCE).expect("a message in time").expect("no error");
        let headers = message.headers().expect("headers");
        let headers = headers.iter().map(|it| (it.key.to_owned(), it.value.map(<[u8]>::to_vec))).collect();
        (message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec), headers)
    };
    (0..count).map(next).collect()
}

#[test]
fn messages_arrive_in_order_where_they_were_sent_and_are_acknowledged_once() {
    let (broker, writer) = start(8 << 20);
    let values: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let messages = values.iter().map(|value| message(PARTS, Some(1), value.as_bytes())).collect();
    assert_eq!(write(&writer, messages), Ok(()));
    assert_eq!(writer.status(), WriterStatus { takes: true, word: None, waiting: 0 });
    let found = read(&broker, PARTS, 1, 1000);
    for ((key, value, headers), sent) in found.into_iter().zip(values) {
        assert_eq!((key, value), (Some(b"k".to_vec()), Some(sent.into_bytes())));
        assert_eq!(headers, message(PARTS, None, b"").headers);
    }
    assert_eq!(write(&writer, Vec::new()), Ok(()), "nothing to write is written");
    assert!(writer.close(Instant::now() + PATIENCE));
}

#[test]
fn a_client_without_room_keeps_the_order() {
    let (broker, writer) = start(1_000_000);
    let value = vec![b'x'; 20_000];
    let mut messages: Vec<Message> = (0..120).map(|_| message(PARTS, Some(0), &value)).collect();
    for (number, message) in messages.iter_mut().enumerate() {
        message.key = Some(number.to_string().into_bytes());
    }
    assert_eq!(write(&writer, messages), Ok(()));
    let keys: Vec<_> = read(&broker, PARTS, 0, 120).into_iter().map(|(key, _, _)| key).collect();
    let expected: Vec<_> = (0..120).map(|number| Some(number.to_string().into_bytes())).collect();
    assert_eq!(keys, expected);
}

#[test]
fn a_dead_letter_that_is_too_large_goes_without_key_and_value() {
    let (broker, writer) = start(1_000_000);
    assert_eq!(write(&writer, vec![message(DEAD_LETTERS, None, &vec![b'x'; 2_000_000])]), Ok(()));
    let (key, value, headers) = read(&broker, DEAD_LETTERS, 0, 1).remove(0);
    assert_eq!((key, value), (None, None));
    assert_eq!(headers.last(), Some(&(OMITTED_HEADER.to_owned(), Some(b"2000001".to_vec()))));
    assert_eq!(headers.len(), 3, "the others are there");
}

#[test]
fn a_part_that_is_too_large_is_an_error() {
    let (_broker, writer) = start(1_000_000);
    let result =
        write(&writer, vec![message(PARTS, Some(0), b"small"), message(PARTS, Some(0), &vec![b'x'; 2_000_000])]);
    assert!(matches!(result, Err(WriteError::TooLarge { ref topic, .. }) if topic == PARTS), "{result:?}");
}

#[test]
fn a_request_that_is_too_large_is_no_verdict_on_its_messages() {
    let (broker, writer) = start(8 << 20);
    assert_eq!(write(&writer, vec![message(PARTS, Some(0), b"first")]), Ok(()));
    broker.refuse(RDKafkaApiKey::Produce, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_eq!(write(&writer, vec![message(PARTS, Some(0), b"a"), message(PARTS, Some(0), b"b")]), Ok(()));
    let mut values: Vec<_> = read(&broker, PARTS, 0, 3).into_iter().map(|(_, value, _)| value).collect();
    values.sort();
    assert_eq!(values, [Some(b"a".to_vec()), Some(b"b".to_vec()), Some(b"first".to_vec())]);
}

#[test]
fn a_broker_that_is_away_is_waited_for_and_a_writer_that_closes_tells() {
    let (broker, writer) = start(8 << 20);
    assert_eq!(write(&writer, vec![message(PARTS, Some(0), b"a")]), Ok(()));
    broker.set_up(false);
    let (told, answer) = mpsc::channel();
    writer.write(vec![message(PARTS, Some(0), b"b")], move |result| told.send(result).expect("somebody waits"));
    assert!(answer.recv_timeout(Duration::from_millis(500)).is_err());
    broker.set_up(true);
    assert_eq!(answer.recv_timeout(PATIENCE), Ok(Ok(())));

    broker.set_up(false);
    let (told, answer) = mpsc::channel();
    writer.write(vec![message(PARTS, Some(0), b"c")], move |result| told.send(result).expect("somebody waits"));
    assert!(!writer.close(Instant::now()));
    assert_eq!(answer.recv_timeout(PATIENCE), Ok(Err(WriteError::Closed)));
    assert_eq!(write(&writer, vec![message(PARTS, Some(0), b"d")]), Err(WriteError::Closed));
}

#[test]
fn messages_of_which_none_is_acknowledged_for_long_are_stuck() {
    let (mut progress, begun) = (Progress::default(), Instant::now());
    let at = |seconds| begun + Duration::from_secs(seconds);
    assert!(!progress.look(3, at(0)) && !progress.look(5, at(9)) && !progress.is_stuck(at(9)));
    assert!(progress.is_stuck(at(10)));
    assert!(progress.look(4, at(11)) && !progress.is_stuck(at(20)));
    assert!(progress.is_stuck(at(21)));
    assert!(progress.look(0, at(22)) && !progress.is_stuck(at(60)), "none waits");
}
