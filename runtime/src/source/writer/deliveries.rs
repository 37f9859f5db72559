//! What the writer's client reports: acknowledgements go to their tickets, messages that came back are kept for the writer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, Headers, Message as _};
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode;

use super::super::broker::{BrokerWord, Words};
use super::ticket::Ticket;
use super::{Sending, code_of};
use crate::config::Secret;
use crate::record::Message;

/// Where acknowledgements and refusals arrive, on the writer's thread.
#[derive(Default)]
pub(super) struct Deliveries {
    words: Words,
    /// Its producer sends every message in a request of its own.
    alone: bool,
    failed: Mutex<Vec<(RDKafkaErrorCode, Sending)>>,
}

impl Deliveries {
    pub(super) fn new(alone: bool, secrets: Arc<[Secret]>) -> Self {
        Deliveries { alone, words: Words::new(secrets), ..Deliveries::default() }
    }

    pub(super) fn secrets(&self) -> Arc<[Secret]> {
        self.words.secrets()
    }

    pub(super) fn broker(&self) -> MutexGuard<'_, BrokerWord> {
        self.words.broker()
    }

    /// What came back since the last call.
    pub(super) fn take_failed(&self) -> Vec<(RDKafkaErrorCode, Sending)> {
        std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.words.log(level, facility, line);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.words.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.words.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Arc<Ticket>) {
        match result {
            Ok(_) => ticket.acknowledge(),
            Err((error, message)) => {
                // A message that is sent again goes to the partition that it went to.
                let header = |it: Header<'_, &[u8]>| (it.key.to_owned(), it.value.map(<[u8]>::to_vec));
                let again = Message {
                    topic: message.topic().into(),
                    partition: (message.partition() >= 0).then(|| message.partition()),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: message.headers().map_or_else(Vec::new, |headers| headers.iter().map(header).collect()),
                };
                let sending = Sending { message: again, ticket, alone: self.alone };
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).push((code_of(error), sending));
            }
        }
    }
}
