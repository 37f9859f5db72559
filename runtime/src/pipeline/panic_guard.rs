//! Tells of a thread of a pipeline that panics: a bug of ours, and nobody is to wait for what the thread would have done.

use std::sync::Arc;
use std::thread;

use super::PipelineError;
use super::shared::Shared;

/// Lives as long as its thread does its work; a panic on the way stops the pipeline.
pub(super) struct PanicGuard {
    shared: Arc<Shared>,
    thread: String,
}

impl PanicGuard {
    pub fn new(shared: Arc<Shared>, thread: &str) -> Self {
        PanicGuard { shared, thread: thread.to_owned() }
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shared.fail(PipelineError::Panicked { thread: std::mem::take(&mut self.thread) });
        }
    }
}
