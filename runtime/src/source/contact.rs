//! The first contact with the cluster: patience with a broker that is starting, none with one that refuses us.

use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode;

use super::SourceError;
use super::client::definite;
use super::native::{Consumer, TopicMetadata};

/// How long the first contact may take before it is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long one request may take before it is sent again.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before a request is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// A topic that was created a moment ago may be unknown for a while.
pub(super) const TOPIC_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits until a broker answers, and finds the topic; one that stays unknown for `patience` is an error.
pub(super) fn topic(
    consumer: &mut Consumer,
    brokers: &str,
    topic: &str,
    patience: Duration,
) -> Result<TopicMetadata, SourceError> {
    let began = Instant::now();
    loop {
        let code = match consumer.topic(topic, REQUEST_TIMEOUT) {
            Ok(found) => {
                consumer.broker().up();
                return Ok(found);
            }
            Err(code) => code,
        };
        let unknown = matches!(code, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic);
        if unknown && began.elapsed() >= patience {
            return Err(SourceError::UnknownTopic { topic: topic.to_owned() });
        }
        pause(consumer, brokers, code, &format!("topic {topic}"), began)?;
    }
}

/// Sends a request until it is answered.
pub(super) fn retry<T>(
    consumer: &mut Consumer,
    brokers: &str,
    what: &str,
    mut request: impl FnMut(&Consumer) -> Result<T, RDKafkaErrorCode>,
) -> Result<T, SourceError> {
    let began = Instant::now();
    loop {
        match request(consumer) {
            Ok(answer) => return Ok(answer),
            Err(code) => pause(consumer, brokers, code, what, began)?,
        }
    }
}

/// Waits a little before another try, or says why there is none.
pub(super) fn pause(
    consumer: &mut Consumer,
    brokers: &str,
    code: RDKafkaErrorCode,
    what: &str,
    began: Instant,
) -> Result<(), SourceError> {
    if let Some(error) = definite(code, what) {
        return Err(error);
    }
    consumer.take(RETRY_PAUSE, 1, |_| ());
    let broker = consumer.broker();
    if let Some(word) = broker.authentication() {
        return Err(SourceError::Authentication { brokers: brokers.to_owned(), word: word.to_owned() });
    }
    if began.elapsed() >= CONNECT_TIMEOUT {
        let word = broker.word().map_or_else(|| code.to_string(), str::to_owned);
        return Err(SourceError::Unreachable { brokers: brokers.to_owned(), word });
    }
    Ok(())
}
