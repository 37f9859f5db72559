//! What lies outside of the lanes, as a worker sees it: documents go to the index, messages to the broker, and an answer
//! comes back for each.

use std::sync::Arc;

use super::SinkSnapshot;
use super::tap::Taps;
use crate::record::{DocumentBatch, Message, RejectedDocument};

/// Takes the effects of lanes. Neither call waits: the answer comes later, on any thread, once; a dropped `done` says that
/// there will be none, since everything stops.
pub(crate) trait Shell: Send + Sync {
    fn index(&self, documents: DocumentBatch, done: Box<dyn FnOnce(Vec<RejectedDocument>) + Send>);
    fn write(&self, messages: Vec<Message>, done: Box<dyn FnOnce() + Send>);
    /// Somebody waits for the answers: do not wait for company any longer.
    fn flush(&self);
    fn status(&self) -> ShellStatus;
    /// Documents and messages that are not answered, those of lanes that are gone too.
    fn held_bytes(&self) -> usize;
    /// Where somebody may watch what passes.
    fn taps(&self) -> Arc<Taps> {
        Arc::default()
    }
}

#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct ShellStatus {
    pub documents_bytes: usize,
    pub messages_bytes: usize,
    pub sinks: Vec<SinkSnapshot>,
    /// Who does not answer, in words.
    pub waiting: Vec<String>,
}
