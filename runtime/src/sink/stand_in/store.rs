//! What the stand-in index holds: documents with versions, in memory. Deleted ones keep their version.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::sink::merged;

/// A document as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredDocument {
    pub id: String,
    pub version: u64,
    /// JSON as it was sent.
    pub source: Vec<u8>,
}

/// How many of the newest writes are remembered in their order.
const NEWEST_MAX: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Store {
    indices: Mutex<BTreeMap<String, Index>>,
    newest: Mutex<VecDeque<(String, Vec<u8>)>>,
    pub templates: Mutex<BTreeMap<String, Value>>,
    /// Indices, and a field of each that is a number.
    numbers: Mutex<BTreeSet<(String, String)>>,
    /// Indices that are closed.
    closed: Mutex<BTreeSet<String>>,
    /// Indices whose documents are found by their routing alone.
    routed: Mutex<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Index {
    documents: BTreeMap<String, Stored>,
}

#[derive(Debug)]
struct Stored {
    version: u64,
    /// None: deleted.
    source: Option<Vec<u8>>,
}

/// How a write says which version it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    /// One more than there is.
    Internal,
    /// Likewise; what is there takes over the fields.
    Merge,
    /// Must be greater than the stored one.
    External(u64),
    /// Must not be less.
    ExternalOrEqual(u64),
    /// There must be none.
    Create,
}

/// What became of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Written {
    Created { version: u64 },
    Updated { version: u64 },
    Deleted { version: u64 },
    NotFound { version: u64 },
    Conflict { stored: u64 },
}

impl Store {
    /// Without `source` it deletes.
    pub fn write(&self, name: &str, id: &str, version: Version, source: Option<&[u8]>) -> Written {
        let mut indices = self.lock();
        if !indices.contains_key(name) {
            indices.insert(name.into(), Index::default());
        }
        let Some(index) = indices.get_mut(name) else { return Written::NotFound { version: 0 } };
        let stored = index.documents.get(id);
        let present = stored.is_some_and(|stored| stored.source.is_some());
        let before = stored.map(|stored| stored.version);
        let refused = match (version, before) {
            (Version::Internal | Version::Merge, _) | (_, None) => false,
            (Version::External(new), Some(before)) => new <= before,
            (Version::ExternalOrEqual(new), Some(before)) => new < before,
            (Version::Create, Some(_)) => present,
        };
        if refused {
            return Written::Conflict { stored: before.unwrap_or_default() };
        }
        let merged = match version {
            Version::Merge => source.map(|change| merged(stored.and_then(|stored| stored.source.as_deref()), change)),
            Version::Internal | Version::External(_) | Version::ExternalOrEqual(_) | Version::Create => None,
        };
        let source = merged.as_deref().or(source);
        let version = match version {
            Version::External(new) | Version::ExternalOrEqual(new) => new,
            Version::Internal | Version::Merge | Version::Create => before.map_or(1, |before| before + 1),
        };
        index.documents.insert(id.into(), Stored { version, source: source.map(<[u8]>::to_vec) });
        drop(indices);
        if let Some(source) = source {
            self.remember(name, source);
        }
        match (source.is_some(), present) {
            (true, false) => Written::Created { version },
            (true, true) => Written::Updated { version },
            (false, true) => Written::Deleted { version },
            (false, false) => Written::NotFound { version },
        }
    }

    fn remember(&self, index: &str, source: &[u8]) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.len() == NEWEST_MAX {
            newest.pop_front();
        }
        newest.push_back((index.to_owned(), source.to_vec()));
    }

    /// The index and the JSON of the documents that were written last, the newest at the end.
    pub fn newest(&self) -> Vec<(String, Vec<u8>)> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub fn map_number(&self, index: &str, field: &str, is_number: bool) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let mapped = (index.to_owned(), field.to_owned());
        let _changed = if is_number { numbers.insert(mapped) } else { numbers.remove(&mapped) };
    }

    pub fn close(&self, index: &str, is_closed: bool) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let _changed = if is_closed { closed.insert(index.to_owned()) } else { closed.remove(index) };
    }

    pub fn is_closed(&self, index: &str) -> bool {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).contains(index)
    }

    pub fn require_routing(&self, index: &str) {
        self.routed.lock().unwrap_or_else(PoisonError::into_inner).insert(index.to_owned());
    }

    pub fn requires_routing(&self, index: &str) -> bool {
        self.routed.lock().unwrap_or_else(PoisonError::into_inner).contains(index)
    }

    /// The field of a document that is text where the index wants a number.
    pub fn wrong_field(&self, index: &str, source: &[u8]) -> Option<String> {
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let of_index = numbers.iter().filter(|(name, _)| name == index).map(|(_, field)| field);
        let mut fields = of_index.peekable();
        fields.peek()?;
        let document: Value = serde_json::from_slice(source).ok()?;
        fields.find(|field| document[field.as_str()].is_string()).cloned()
    }

    /// Forgets what every index with more documents holds.
    pub fn forget_above(&self, documents_max: usize) {
        self.lock().retain(|_, index| index.documents.len() <= documents_max);
    }

    /// False where it is there already.
    pub fn create(&self, index: &str) -> bool {
        let mut indices = self.lock();
        let missing = !indices.contains_key(index);
        if missing {
            indices.insert(index.into(), Index::default());
        }
        missing
    }

    pub fn delete(&self, index: &str) -> bool {
        self.lock().remove(index).is_some()
    }

    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    pub fn documents(&self, index: &str) -> Vec<StoredDocument> {
        let indices = self.lock();
        let documents = indices.get(index).into_iter().flat_map(|index| &index.documents);
        documents.filter_map(|(id, stored)| shown(id, stored)).collect()
    }

    pub fn get(&self, index: &str, id: &str) -> Option<StoredDocument> {
        self.lock().get(index).and_then(|index| index.documents.get(id)).and_then(|stored| shown(id, stored))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Index>> {
        self.indices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(id: &str, stored: &Stored) -> Option<StoredDocument> {
    Some(StoredDocument { id: id.into(), version: stored.version, source: stored.source.clone()? })
}
