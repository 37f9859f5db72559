//! An index in memory that takes documents by external version, as Elasticsearch does.

use std::collections::BTreeMap;

use crate::record::DocumentBatch;

/// The documents by index and id.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct VirtualIndex(BTreeMap<(String, String), (u64, Vec<u8>)>);

impl VirtualIndex {
    /// A document whose version is not greater than the one that is there changes nothing.
    pub(super) fn apply(&mut self, documents: &DocumentBatch) {
        for document in documents.iter() {
            let place = (document.index.to_owned(), document.id.to_owned());
            let (version, body) = self.0.entry(place).or_default();
            if document.version > *version || body.is_empty() {
                (*version, *body) = (document.version, document.body.to_vec());
            }
        }
    }

    /// Index, id and JSON of each document.
    pub fn documents(&self) -> impl ExactSizeIterator<Item = (&str, &str, &[u8])> {
        self.0.iter().map(|((index, id), (_, body))| (index.as_str(), id.as_str(), body.as_slice()))
    }
}
