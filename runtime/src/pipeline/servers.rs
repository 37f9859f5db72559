//! The shell of a running pipeline: the indices behind the sinks, the broker behind the writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use crossbeam_channel::Sender;

use super::PipelineError;
use super::shell::{Shell, ShellStatus};
use super::sinks::Sinks;
use super::tap::Taps;
use crate::record::{DocumentBatch, Message, RejectedDocument};
use crate::source::{WriteError, Writer};

pub(crate) struct Servers {
    sinks: Sinks,
    writer: Writer,
    /// Of messages that are not acknowledged.
    messages_bytes: Arc<AtomicUsize>,
    failures: Sender<PipelineError>,
    taps: Arc<Taps>,
}

impl Servers {
    pub fn new(sinks: Sinks, writer: Writer, failures: Sender<PipelineError>) -> Self {
        Servers { sinks, writer, messages_bytes: Arc::default(), failures, taps: Arc::default() }
    }

    /// Nothing is written after this.
    pub fn close(&self, deadline: Instant) {
        self.writer.close(deadline);
    }
}

impl Shell for Servers {
    fn index(&self, documents: DocumentBatch, done: Box<dyn FnOnce(Vec<RejectedDocument>) + Send>) {
        let Some(watched) = self.taps.documents(&documents) else { return self.sinks.submit(documents, done) };
        let judged = move |rejected: Vec<RejectedDocument>| {
            watched.judged(&rejected);
            done(rejected);
        };
        self.sinks.submit(documents, Box::new(judged));
    }

    fn taps(&self) -> Arc<Taps> {
        self.taps.clone()
    }

    /// A message that can never be written stops the pipeline: nothing that depends on it settles.
    fn write(&self, messages: Vec<Message>, done: Box<dyn FnOnce() + Send>) {
        let bytes = messages.iter().map(Message::weight).sum();
        self.messages_bytes.fetch_add(bytes, Relaxed);
        let (failures, in_flight) = (self.failures.clone(), self.messages_bytes.clone());
        self.writer.write(messages, move |written| {
            in_flight.fetch_sub(bytes, Relaxed);
            match written {
                Ok(()) => done(),
                // We have closed it ourselves.
                Err(WriteError::Closed) => {}
                Err(error @ (WriteError::TooLarge { .. } | WriteError::Fatal { .. })) => {
                    let _ = failures.send(error.into());
                }
            }
        });
    }

    fn flush(&self) {
        self.sinks.flush();
    }

    fn held_bytes(&self) -> usize {
        self.sinks.in_flight_bytes() + self.messages_bytes.load(Relaxed)
    }

    fn status(&self) -> ShellStatus {
        let (sinks, waiting) = self.sinks.status();
        let written = self.writer.status();
        let writer = (!written.takes && written.waiting > 0).then(|| {
            let word = written.word.as_deref().unwrap_or("no broker acknowledges them");
            format!("messages=`{}` wait for kafka: {word}", written.waiting)
        });
        ShellStatus {
            documents_bytes: self.sinks.in_flight_bytes(),
            messages_bytes: self.messages_bytes.load(Relaxed),
            sinks,
            waiting: waiting.into_iter().chain(writer).collect(),
        }
    }
}
