//! An index in memory that takes documents by external version, as Elasticsearch does. Scripts are not run: what they are to change
//! is taken over field by field, as in an update without one.

use std::collections::BTreeMap;

use crate::record::{Document, DocumentBatch, Operation};
use crate::sink::merged;

/// The documents by index and id.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct VirtualIndex(BTreeMap<(String, String), Stored>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Stored {
    version: Option<u64>,
    /// None where it was deleted.
    body: Option<Vec<u8>>,
}

impl Stored {
    fn gives_way_to(&self, document: &Document<'_>) -> bool {
        match document.operation {
            Operation::Create => self.body.is_none(),
            Operation::Index | Operation::Delete => document.version.is_none_or(|new| Some(new) > self.version),
            Operation::Update => true,
        }
    }
}

impl VirtualIndex {
    /// A document whose version is not greater than the one that is there changes nothing.
    pub(super) fn apply(&mut self, documents: &DocumentBatch) {
        for document in documents.iter() {
            let place = (document.index.to_owned(), document.id.to_owned());
            let stored = self.0.get(&place);
            if stored.is_none_or(|stored| stored.gives_way_to(&document)) {
                let before = stored.and_then(|stored| stored.body.as_deref());
                let body = match document.operation {
                    Operation::Index | Operation::Create => Some(document.body.to_vec()),
                    Operation::Update => Some(merged(before, document.body)),
                    Operation::Delete => None,
                };
                self.0.insert(place, Stored { version: document.version, body });
            }
        }
    }

    /// Index, id and JSON of each document.
    pub fn documents(&self) -> impl Iterator<Item = (&str, &str, &[u8])> {
        self.0.iter().filter_map(|((index, id), stored)| Some((index.as_str(), id.as_str(), stored.body.as_deref()?)))
    }
}
