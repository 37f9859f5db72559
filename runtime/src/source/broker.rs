//! What Kafka's client says about its brokers: connected or not since when, its last words, and whether it gave up.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use serde::Deserialize;

use crate::config::Secret;
use crate::record::without;

/// How often a broker that does not answer is mentioned.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// The client's words, in the order that they come.
#[derive(Debug, Default)]
pub(super) struct BrokerWord {
    down_since: Option<Instant>,
    said: Option<Instant>,
    /// The reason that was given last, while none is connected.
    word: Option<String>,
    authentication: Option<String>,
    fatal: Option<String>,
}

impl BrokerWord {
    /// An error that is about brokers or about the client as a whole.
    pub(super) fn error(&mut self, code: RDKafkaErrorCode, reason: &str, now: Instant) {
        match code {
            RDKafkaErrorCode::AllBrokersDown => {
                self.down_since.get_or_insert(now);
                self.word.get_or_insert_with(|| reason.to_owned());
            }
            RDKafkaErrorCode::Authentication => {
                self.authentication = Some(reason.to_owned());
                self.word = Some(reason.to_owned());
            }
            RDKafkaErrorCode::Fatal => self.fatal = Some(reason.to_owned()),
            _ => self.word = Some(reason.to_owned()),
        }
    }

    /// A broker answered.
    pub(super) fn up(&mut self) {
        let said = self.said.take().is_some();
        if let Some(since) = self.down_since.take().filter(|_| said) {
            tracing::info!(after_seconds = since.elapsed().as_secs(), "kafka answers again");
        }
        self.word = None;
        self.authentication = None;
    }

    /// The client's statistics (JSON) name the state of every broker.
    pub(super) fn statistics(&mut self, json: &[u8], now: Instant) {
        let Ok(statistics) = serde_json::from_slice::<Statistics>(json) else { return };
        let mut brokers = statistics.brokers.values().filter(|broker| broker.nodeid >= 0).peekable();
        if brokers.peek().is_none() {
            return;
        }
        if brokers.any(|broker| broker.state == "UP") {
            self.up();
        } else {
            self.down_since.get_or_insert(now);
        }
    }

    pub(super) fn connected(&self) -> bool {
        self.down_since.is_none()
    }

    pub(super) fn word(&self) -> Option<&str> {
        self.word.as_deref()
    }

    pub(super) fn authentication(&self) -> Option<&str> {
        self.authentication.as_deref()
    }

    pub(super) fn fatal(&self) -> Option<&str> {
        self.fatal.as_deref()
    }

    /// Says that nothing answers: when it begins, then every half minute.
    pub(super) fn say(&mut self, now: Instant) {
        let Some(since) = self.down_since else { return };
        if self.said.is_none_or(|said| now.duration_since(said) >= SAY_EVERY) {
            self.said = Some(now);
            let word = self.word.as_deref().unwrap_or("no broker is connected");
            tracing::warn!(for_seconds = now.duration_since(since).as_secs(), word, "kafka does not answer, waiting");
        }
    }
}

/// A client's context that keeps its words to itself: ours are said in their place.
#[derive(Debug, Default)]
pub(super) struct Words {
    broker: Mutex<BrokerWord>,
    /// What they are shown without.
    secrets: Arc<[Secret]>,
}

impl Words {
    pub(super) fn new(secrets: Arc<[Secret]>) -> Self {
        Words { broker: Mutex::default(), secrets }
    }

    pub(super) fn secrets(&self) -> Arc<[Secret]> {
        self.secrets.clone()
    }

    pub(super) fn broker(&self) -> MutexGuard<'_, BrokerWord> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Words {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level as i32, facility, line, &self.secrets);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.broker().statistics(statistics, Instant::now());
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        let reason = &*hidden(reason, &self.secrets);
        tracing::debug!(%code, reason, "kafka's client reports");
        self.broker().error(code, reason, Instant::now());
    }
}

/// The client's words without the values of settings.
pub(super) fn hidden<'w>(words: &'w str, secrets: &[Secret]) -> Cow<'w, str> {
    without(words, secrets.iter().map(Secret::expose))
}

/// A line of the client's own log, for those who look closer.
pub(super) fn log(level: i32, facility: &str, line: &str, secrets: &[Secret]) {
    let line = hidden(line, secrets);
    if level <= RDKafkaLogLevel::Warning as i32 {
        tracing::debug!(target: "librdkafka", facility, "{line}");
    } else {
        tracing::trace!(target: "librdkafka", facility, "{line}");
    }
}

#[derive(Deserialize)]
struct Statistics {
    brokers: HashMap<String, BrokerState>,
}

#[derive(Deserialize)]
struct BrokerState {
    nodeid: i64,
    state: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connected_is_what_the_statistics_say() {
        let now = Instant::now();
        let mut word = BrokerWord::default();
        assert!(word.connected());
        word.error(RDKafkaErrorCode::BrokerTransportFailure, "refused", now);
        word.error(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down", now);
        assert!(!word.connected());
        assert_eq!(word.word(), Some("refused"));
        word.statistics(br#"{"brokers":{"a":{"nodeid":1,"state":"DOWN"},"b":{"nodeid":-1,"state":"UP"}}}"#, now);
        assert!(!word.connected());
        word.statistics(br#"{"brokers":{"a":{"nodeid":1,"state":"UP"}}}"#, now);
        assert!(word.connected());
        assert_eq!(word.word(), None);
    }
}
