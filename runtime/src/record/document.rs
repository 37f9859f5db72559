//! Documents on their way to the index: columns again, one allocation for all bytes.

use std::sync::Arc;

use super::{Reason, Slices};

/// What is done with a document.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Operation {
    #[default]
    Index,
    /// It is taken out of the index.
    Delete,
}

/// One document, borrowed from its batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Document<'a> {
    pub operation: Operation,
    pub index: &'a str,
    pub id: &'a str,
    pub version: u64,
    /// A JSON object without a line break; nothing where it is deleted.
    pub body: &'a [u8],
}

/// Documents of one lane, in order.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct DocumentBatch {
    operations: Vec<Operation>,
    indices: Vec<Arc<str>>,
    ids: Slices,
    versions: Vec<u64>,
    bodies: Slices,
}

impl DocumentBatch {
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.ids.bytes.len() + self.bodies.bytes.len()
    }

    /// Adds a document whose body `write` appends. Ids are built from text, so they are UTF-8.
    pub fn push(&mut self, index: &Arc<str>, id: &str, version: u64, write: impl FnOnce(&mut Vec<u8>)) {
        self.head(Operation::Index, index, id, version);
        self.bodies.push_with(write);
    }

    /// Adds a document that is to be deleted.
    pub fn push_delete(&mut self, index: &Arc<str>, id: &str, version: u64) {
        self.head(Operation::Delete, index, id, version);
        self.bodies.push(b"");
    }

    fn head(&mut self, operation: Operation, index: &Arc<str>, id: &str, version: u64) {
        self.operations.push(operation);
        self.indices.push(index.clone());
        self.ids.push(id.as_bytes());
        self.versions.push(version);
    }

    pub fn get(&self, row: usize) -> Document<'_> {
        Document {
            operation: self.operations[row],
            index: &self.indices[row],
            id: std::str::from_utf8(self.ids.get(row)).expect("push takes ids as text"),
            version: self.versions[row],
            body: self.bodies.get(row),
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Document<'_>> {
        (0..self.len()).map(|row| self.get(row))
    }
}

/// A document of a batch that the index refused for good. It carries the document itself, so that nobody has to keep
/// one for the case that it is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RejectedDocument {
    /// Its place in the document batch.
    pub row: u32,
    pub reason: Reason,
    /// HTTP status of the answer; none where it was refused before it was sent.
    pub status: Option<u16>,
    /// The index's word for the error; empty where it gave none.
    pub error_type: String,
    pub index: String,
    pub id: String,
    /// Empty where it was to be deleted.
    pub body: Vec<u8>,
}
