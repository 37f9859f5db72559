//! What the index answers to questions for documents, as it is written.

use serde::Deserialize;
use serde_json::Value;

use super::{Looked, NO_SHARD, Present, Unreadable, WaysIn};

/// What is said of one document; of one that is not there, little.
#[derive(Deserialize)]
pub(super) struct Item {
    #[serde(rename = "_index", default)]
    index: String,
    #[serde(rename = "_id", default)]
    pub id: String,
    #[serde(rename = "_version")]
    version: Option<u64>,
    #[serde(rename = "_source")]
    source: Option<Value>,
    #[serde(default)]
    pub found: bool,
    error: Option<ItemError>,
}

#[derive(Deserialize)]
struct ItemError {
    #[serde(rename = "type", default)]
    kind: String,
    /// Some have none.
    reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Items {
    pub docs: Vec<Item>,
}

#[derive(Deserialize)]
pub(super) struct Searched {
    pub hits: Hits,
    #[serde(rename = "_shards", default)]
    pub shards: Shards,
}

#[derive(Deserialize)]
pub(super) struct Hits {
    pub hits: Vec<Item>,
}

#[derive(Default, Deserialize)]
pub(super) struct Shards {
    total: u64,
    successful: u64,
    #[serde(default)]
    failures: Vec<ShardFailure>,
}

#[derive(Deserialize)]
struct ShardFailure {
    reason: ItemError,
}

impl Item {
    pub fn refused(error: &Unreadable) -> Item {
        let Unreadable { kind, reason } = error.clone();
        let error = Some(ItemError { kind, reason: Some(reason) });
        Item { index: String::new(), id: String::new(), version: None, source: None, found: false, error }
    }

    /// What is said of it, without what lets us in.
    pub fn hide(&mut self, ways_in: &WaysIn) {
        if let Some(error) = self.error.take() {
            let Unreadable { kind, reason } = Unreadable::from(error).without(ways_in);
            self.error = Some(ItemError { kind, reason: Some(reason) });
        }
    }

    /// The index's word for what is wrong with it.
    pub fn error_kind(&self) -> Option<&str> {
        self.error.as_ref().map(|error| error.kind.as_str())
    }

    pub fn looked(mut self) -> Looked {
        match self.error.take() {
            Some(error) => Looked::Unknown(error.into()),
            None => self.present().map_or(Looked::NotThere, Looked::There),
        }
    }

    pub fn present(self) -> Option<Present> {
        let Item { index, version, source, found, .. } = self;
        found.then_some(Present { index, version: version.unwrap_or_default(), source })
    }
}

impl Shards {
    /// Why not all is found.
    pub fn lacking(self) -> Option<Unreadable> {
        let Shards { total, successful, failures } = self;
        let silent = || Unreadable {
            kind: NO_SHARD.to_owned(),
            reason: format!("{successful} of {total} shards have answered"),
        };
        let told = failures.into_iter().next().map(|failure| failure.reason.into());
        (successful < total).then(|| told.unwrap_or_else(silent))
    }
}

impl From<ItemError> for Unreadable {
    fn from(ItemError { kind, reason }: ItemError) -> Self {
        Unreadable { kind, reason: reason.unwrap_or_default() }
    }
}
