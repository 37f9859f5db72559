//! The batches that were submitted and are not judged to the end: each is told once, when its last document is.

use std::collections::HashMap;

use super::bulk::BatchKey;
use crate::record::RejectedDocument;

/// Told the documents that were refused, those that a rule drops among them, when all of a batch are judged.
pub type Done = Box<dyn FnOnce(Vec<RejectedDocument>) + Send>;

#[derive(Default)]
pub(crate) struct Batches {
    next: BatchKey,
    waiting: HashMap<BatchKey, Waiting>,
}

struct Waiting {
    left: u32,
    rejected: Vec<RejectedDocument>,
    done: Done,
}

impl Batches {
    pub fn add(&mut self, documents: u32, done: Done) -> BatchKey {
        let key = self.next;
        self.next += 1;
        match documents {
            0 => done(Vec::new()),
            left => drop(self.waiting.insert(key, Waiting { left, rejected: Vec::new(), done })),
        }
        key
    }

    /// So many documents of a batch are settled or superseded.
    pub fn settled(&mut self, key: BatchKey, documents: u32) {
        self.judged(key, documents, None);
    }

    pub fn rejected(&mut self, key: BatchKey, document: RejectedDocument) {
        self.judged(key, 1, Some(document));
    }

    fn judged(&mut self, key: BatchKey, documents: u32, rejected: Option<RejectedDocument>) {
        let waiting = self.waiting.get_mut(&key);
        debug_assert!(waiting.as_ref().is_some_and(|it| it.left >= documents), "a document is judged once");
        let Some(waiting) = waiting else { return };
        waiting.left = waiting.left.saturating_sub(documents);
        waiting.rejected.extend(rejected);
        if waiting.left == 0
            && let Some(mut judged) = self.waiting.remove(&key)
        {
            judged.rejected.sort_by_key(|document| document.row);
            (judged.done)(judged.rejected);
        }
    }
}
