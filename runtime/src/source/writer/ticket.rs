//! Counts the acknowledgements of one call to write.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::WriteError;

pub(super) type Done = Box<dyn FnOnce(Result<(), WriteError>) + Send>;

/// Shared by the messages of one call; the last of them to be settled, or the first to fail, tells the caller.
pub(super) struct Ticket {
    remaining: AtomicUsize,
    /// All messages of the writer that are not settled.
    waiting: Arc<AtomicUsize>,
    done: Mutex<Option<Done>>,
}

impl Ticket {
    pub(super) fn new(messages: usize, waiting: Arc<AtomicUsize>, done: Done) -> Arc<Ticket> {
        waiting.fetch_add(messages, Ordering::Relaxed);
        let ticket = Ticket { remaining: AtomicUsize::new(messages), waiting, done: Mutex::new(Some(done)) };
        if messages == 0 {
            ticket.tell(Ok(()));
        }
        Arc::new(ticket)
    }

    pub(super) fn acknowledge(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.tell(Ok(()));
        }
    }

    /// One of the messages will never be acknowledged.
    pub(super) fn fail(&self, error: WriteError) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.remaining.fetch_sub(1, Ordering::AcqRel);
        self.tell(Err(error));
    }

    fn tell(&self, result: Result<(), WriteError>) {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(done) = done {
            done(result);
        }
    }
}
