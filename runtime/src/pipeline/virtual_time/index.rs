//! An index in memory that takes documents by external version, as Elasticsearch does.

use std::collections::BTreeMap;

use crate::record::{DocumentBatch, Operation};

/// The documents by index and id.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct VirtualIndex(BTreeMap<(String, String), Stored>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Stored {
    version: u64,
    /// None where it was deleted.
    body: Option<Vec<u8>>,
}

impl VirtualIndex {
    /// A document whose version is not greater than the one that is there changes nothing.
    pub(super) fn apply(&mut self, documents: &DocumentBatch) {
        for document in documents.iter() {
            let place = (document.index.to_owned(), document.id.to_owned());
            let body = (document.operation == Operation::Index).then(|| document.body.to_vec());
            match self.0.get(&place) {
                Some(stored) if stored.version >= document.version => {}
                Some(_) | None => drop(self.0.insert(place, Stored { version: document.version, body })),
            }
        }
    }

    /// Index, id and JSON of each document.
    pub fn documents(&self) -> impl Iterator<Item = (&str, &str, &[u8])> {
        self.0.iter().filter_map(|((index, id), stored)| Some((index.as_str(), id.as_str(), stored.body.as_deref()?)))
    }
}
