//! Documents asked for by their ids: whether they are there, in which version, with which fields. It writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::SinkError;
use super::answer::{read_error, said};
use super::client::{Client, Reply};
use super::probe::encode;
use crate::config::ElasticsearchSettings;

/// So many documents are asked for in one request: enough that a request costs little beside its documents, and an answer of some 100 KB.
const WANTED_MAX: usize = 1000;
/// Of those whose fields are wanted.
const WITH_FIELDS_MAX: usize = 250;
/// An index that has too much to do is asked again so often, and after so long.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// What is said of a name that is none of one index.
const ELSEWHERE: [&str; 2] = ["illegal_argument_exception", "index_not_found_exception"];

/// Which document is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted<'a> {
    pub index: &'a str,
    pub id: &'a str,
    pub routing: Option<&'a str>,
}

/// A document that is there.
#[derive(Clone, PartialEq, Debug)]
pub struct Present {
    /// Where it is: of an alias or a data stream, the index behind it.
    pub index: String,
    pub version: u64,
    /// None where the fields were not asked for.
    pub source: Option<Value>,
}

/// Asks an index for documents.
#[derive(Clone)]
pub struct Lookup {
    client: Client,
    urls: String,
}

/// What is said of one document; of one that is not there, little.
#[derive(Deserialize)]
struct Item {
    #[serde(rename = "_index", default)]
    index: String,
    #[serde(rename = "_id", default)]
    id: String,
    #[serde(rename = "_version")]
    version: Option<u64>,
    #[serde(rename = "_source")]
    source: Option<Value>,
    #[serde(default)]
    found: bool,
    error: Option<ItemError>,
}

#[derive(Deserialize)]
struct ItemError {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Items {
    docs: Vec<Item>,
}

#[derive(Deserialize)]
struct Found {
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Item>,
}

impl Lookup {
    pub fn new(settings: &ElasticsearchSettings) -> Result<Lookup, SinkError> {
        Ok(Lookup { client: Client::new(settings)?, urls: settings.urls.join(", ") })
    }

    /// What is there of these, in order, as it is at this moment: no refresh is waited for. Only where a name stands for several indices, as that
    /// of a data stream does, is it as of the last refresh, which is asked for before.
    pub async fn get(&self, wanted: &[Wanted<'_>], with_fields: bool) -> Result<Vec<Option<Present>>, SinkError> {
        let mut all = Vec::with_capacity(wanted.len());
        for some in wanted.chunks(if with_fields { WITH_FIELDS_MAX } else { WANTED_MAX }) {
            all.extend(self.get_some(some, with_fields).await?);
        }
        Ok(all)
    }

    async fn get_some(&self, wanted: &[Wanted<'_>], with_fields: bool) -> Result<Vec<Option<Present>>, SinkError> {
        let item = |wanted: &Wanted<'_>| {
            let mut item = json!({ "_index": wanted.index, "_id": wanted.id, "_source": with_fields });
            if let Some(routing) = wanted.routing {
                item["routing"] = routing.into();
            }
            item
        };
        let body = json!({ "docs": wanted.iter().map(item).collect::<Vec<_>>() });
        let reply = self.ask("_mget?realtime=true", &body).await?;
        let Items { docs } = self.read(&reply)?;
        if docs.len() != wanted.len() {
            let error = format!("it was asked for {} documents and answers for {}", wanted.len(), docs.len());
            return Err(SinkError::Answer { status: reply.status, error });
        }
        let mut found: Vec<Option<Present>> = Vec::with_capacity(docs.len());
        let mut by_search: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, item) in docs.into_iter().enumerate() {
            match &item.error {
                // A name that stands for several indices is refused here, and a data stream is said not to be there.
                Some(error) if ELSEWHERE.contains(&error.kind.as_str()) => {
                    by_search.entry(wanted[place].index).or_default().push(place);
                    found.push(None);
                }
                Some(error) => {
                    let error = said(reply.status, &error.kind, &error.reason);
                    return Err(SinkError::Answer { status: reply.status, error });
                }
                None => found.push(item.present()),
            }
        }
        for (index, places) in by_search {
            let ids: Vec<&str> = places.iter().map(|place| wanted[*place].id).collect();
            for (id, present) in self.search(index, &ids, with_fields).await? {
                let mut of_id = places.iter().filter(|place| wanted[**place].id == id);
                of_id.by_ref().for_each(|place| found[*place] = Some(present.clone()));
            }
        }
        Ok(found)
    }

    /// All documents with this id, in the indices that these names and patterns (`*`) mean.
    pub async fn find(&self, indices: &[String], id: &str) -> Result<Vec<Present>, SinkError> {
        let found = self.search(&indices.join(","), &[id], true).await?;
        Ok(found.into_iter().map(|(_, present)| present).collect())
    }

    async fn search(&self, names: &str, ids: &[&str], with_fields: bool) -> Result<Vec<(String, Present)>, SinkError> {
        let names = names.split(',').map(encode).collect::<Vec<_>>().join(",");
        // Where it is not allowed, what is found is a little older.
        let _ = self.client.post(&format!("{names}/_refresh?ignore_unavailable=true")).await;
        let body = json!({
            "query": { "ids": { "values": ids } }, "size": WANTED_MAX, "version": true, "_source": with_fields,
        });
        let path = format!("{names}/_search?ignore_unavailable=true&allow_no_indices=true");
        let reply = self.ask(&path, &body).await?;
        let Found { hits } = self.read(&reply)?;
        let hit = |mut item: Item| {
            item.found = true;
            let id = std::mem::take(&mut item.id);
            Some((id, item.present()?))
        };
        Ok(hits.hits.into_iter().filter_map(hit).collect())
    }

    /// An answer that is one: what is busy or away for a moment is asked again.
    async fn ask(&self, path: &str, body: &Value) -> Result<Reply, SinkError> {
        let mut error = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            match self.client.ask(path, body.to_string().into()).await {
                Ok(reply) => match reply.status {
                    200..=299 => return Ok(reply),
                    401 | 403 => {
                        return Err(SinkError::Unauthorised { status: reply.status, error: words(&reply) });
                    }
                    429 | 500..=599 => error = words(&reply),
                    status => return Err(SinkError::Answer { status, error: words(&reply) }),
                },
                Err(broken) => error = broken.message,
            }
        }
        Err(SinkError::Unreachable { urls: self.urls.clone(), error })
    }

    fn read<'a, T: Deserialize<'a>>(&self, reply: &'a Reply) -> Result<T, SinkError> {
        serde_json::from_slice(&reply.body)
            .map_err(|error| SinkError::Answer { status: reply.status, error: error.to_string() })
    }
}

impl Item {
    fn present(self) -> Option<Present> {
        let Item { index, version, source, found, .. } = self;
        found.then_some(Present { index, version: version.unwrap_or_default(), source })
    }
}

fn words(reply: &Reply) -> String {
    let (kind, reason) = read_error(&reply.body).unwrap_or_default();
    said(reply.status, &kind, &reason)
}
