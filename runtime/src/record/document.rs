//! Documents on their way to the index: columns again, one allocation for all bytes.

use std::sync::Arc;

use super::{Reason, Slices};

/// What is done with a document.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Operation {
    #[default]
    Index,
    /// It is written where there is none with its id.
    Create,
    /// What is there takes over its fields, or goes through the batch's script; where nothing is there, it is written.
    Update,
    /// It is taken out of the index.
    Delete,
}

/// How documents are written, besides what each of them says.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WriteOptions {
    /// The place of the sink in the pipeline file.
    pub sink: usize,
    /// The index's own pipeline that they go through.
    pub pipeline: Option<String>,
    /// The source of the script by which documents are updated; `params.document` is the document.
    pub script: Option<String>,
}

/// One document, borrowed from its batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Document<'a> {
    pub operation: Operation,
    pub index: &'a str,
    pub id: &'a str,
    /// The greater one wins. None: the one that is written last.
    pub version: Option<u64>,
    /// What decides about its shard in place of the id.
    pub routing: Option<&'a str>,
    /// A JSON object without a line break; nothing where it is deleted.
    pub body: &'a [u8],
    pub options: &'a WriteOptions,
}

impl Document<'_> {
    /// Whether those with one id must be written one after the other, in their order.
    pub fn is_ordered(&self) -> bool {
        match self.operation {
            Operation::Index | Operation::Delete => self.version.is_none(),
            // Of creates the first one counts.
            Operation::Update | Operation::Create => true,
        }
    }
}

/// Documents of one lane, in order.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct DocumentBatch {
    operations: Vec<Operation>,
    indices: Vec<Arc<str>>,
    ids: Slices,
    versions: Vec<Option<u64>>,
    /// Of each, or of none.
    routings: Slices,
    bodies: Slices,
    options: Arc<WriteOptions>,
}

impl DocumentBatch {
    /// All its documents are written with these.
    pub fn write_with(&mut self, options: &Arc<WriteOptions>) {
        self.options = options.clone();
    }

    /// The place of the sink that they are for.
    pub fn sink(&self) -> usize {
        self.options.sink
    }

    pub fn len(&self) -> usize {
        self.versions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// A script goes with each document.
    pub fn bytes(&self) -> usize {
        let of_all = self.options.script.as_ref().map_or(0, String::len) * self.len();
        self.ids.bytes.len() + self.routings.bytes.len() + self.bodies.bytes.len() + of_all
    }

    /// Adds a document that is indexed, and whose body `write` appends. Ids are built from text, so they are UTF-8.
    pub fn push(&mut self, index: &Arc<str>, id: &str, version: u64, write: impl FnOnce(&mut Vec<u8>)) {
        self.push_as(Operation::Index, index, id, Some(version), write);
    }

    /// Adds a document, with what is done with it.
    pub fn push_as(
        &mut self,
        operation: Operation,
        index: &Arc<str>,
        id: &str,
        version: Option<u64>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.operations.push(operation);
        self.bodies.push_with(write);
        self.indices.push(index.clone());
        self.ids.push(id.as_bytes());
        self.versions.push(version);
    }

    /// Of the document that was added last: each has one, or none has.
    pub fn route(&mut self, routing: &str) {
        self.routings.push(routing.as_bytes());
        debug_assert_eq!(self.routings.len(), self.len(), "all documents of a batch have a routing, or none has");
    }

    pub fn get(&self, row: usize) -> Document<'_> {
        Document {
            operation: self.operations[row],
            index: &self.indices[row],
            id: std::str::from_utf8(self.ids.get(row)).expect("push takes ids as text"),
            version: self.versions[row],
            routing: (!self.routings.is_empty())
                .then(|| std::str::from_utf8(self.routings.get(row)).expect("route takes text")),
            body: self.bodies.get(row),
            options: &self.options,
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
    /// How often it was sent.
    pub attempts: u16,
    /// The index's word for the error; empty where it gave none.
    pub error_type: String,
    pub index: String,
    pub id: String,
    /// None where it cannot be read back.
    pub version: Option<u64>,
    /// Empty where it was to be deleted, and where it is dropped.
    pub body: Vec<u8>,
    /// A rule drops it: nobody wants a dead letter of it.
    pub is_dropped: bool,
}
