//! Documents asked for by their ids: whether they are there, in which version, with which fields. It writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

mod wire;

use super::SinkError;
use super::answer::said;
use super::client::{Client, Reply};
use super::probe::encode;
use super::ways_in::WaysIn;
use crate::config::ElasticsearchSettings;

use wire::{Item, Items, Searched};

/// So many documents are asked for in one request: enough that a request costs little beside its documents, and an answer of some 100 KB.
const WANTED_MAX: usize = 1000;
/// Of those whose fields are wanted.
const WITH_FIELDS_MAX: usize = 250;
/// An index that has too much to do is asked again so often, and after so long.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// What is said of a name that is none of one index: a search asks for these.
const ELSEWHERE: [&str; 3] = [NO_INDEX, "illegal_argument_exception", "index_closed_exception"];
const NO_INDEX: &str = "index_not_found_exception";
const NO_SHARD: &str = "no_shard_available_action_exception";
/// What is said of documents whose shard is away, or has too much to do, for a moment.
const PASSING: [&str; 9] = [
    NO_SHARD,
    "unavailable_shards_exception",
    "illegal_index_shard_state_exception",
    "es_rejected_execution_exception",
    "rejected_execution_exception",
    "circuit_breaking_exception",
    "node_not_connected_exception",
    "node_disconnected_exception",
    "receive_timeout_transport_exception",
];

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

/// What is known of a document that was asked for.
#[derive(Clone, PartialEq, Debug)]
pub enum Looked {
    There(Present),
    NotThere,
    /// Its index cannot be looked at.
    Unknown(Unreadable),
}

/// Why an index, or a part of it, cannot be looked at, in its own words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// `index_closed_exception`.
    pub kind: String,
    pub reason: String,
}

/// All documents of an id, as far as they could be looked for.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Found {
    pub documents: Vec<Present>,
    /// Names and patterns of which not all could be looked at.
    pub unreadable: Vec<(String, Unreadable)>,
}

/// Asks an index for documents.
pub struct Lookup {
    client: Client,
    urls: String,
    /// Names that were asked [`TRIES`] times in vain: they are asked once, until they answer.
    away: Mutex<BTreeSet<String>>,
}

/// What comes of a request.
enum Asked {
    Answer(Reply),
    /// For what is in it.
    Refused(Unreadable),
    /// However often it is asked.
    Busy(Unreadable),
}

/// What a search finds, with the ids, and why that is perhaps not all.
type Hit = (Vec<(String, Present)>, Option<Unreadable>);

impl Lookup {
    pub fn new(settings: &ElasticsearchSettings) -> Result<Lookup, SinkError> {
        Ok(Lookup { client: Client::new(settings)?, urls: settings.urls.join(", "), away: Mutex::default() })
    }

    /// What is there of these, in order, as it is at this moment: no refresh is waited for. Only where a name stands for several indices, as that
    /// of a data stream does, is it as of the last refresh, which is asked for before. An index that cannot be looked at takes down no other.
    pub async fn get(&self, wanted: &[Wanted<'_>], with_fields: bool) -> Result<Vec<Looked>, SinkError> {
        let mut all = Vec::with_capacity(wanted.len());
        for some in wanted.chunks(if with_fields { WITH_FIELDS_MAX } else { WANTED_MAX }) {
            all.extend(self.get_some(some, with_fields).await?);
        }
        Ok(all)
    }

    /// What may pass is asked again.
    async fn get_some(&self, wanted: &[Wanted<'_>], with_fields: bool) -> Result<Vec<Looked>, SinkError> {
        let mut looked = vec![Looked::NotThere; wanted.len()];
        let mut places: Vec<usize> = (0..wanted.len()).collect();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let some: Vec<Wanted<'_>> = places.iter().map(|place| wanted[*place]).collect();
            for (place, of_it) in places.iter().zip(self.get_once(&some, with_fields).await?) {
                looked[*place] = of_it;
            }
            places.retain(|place| looked[*place].may_pass());
            if places.iter().all(|place| self.away().contains(wanted[*place].index)) {
                break;
            }
        }
        self.remember(wanted, &looked);
        Ok(looked)
    }

    /// Which indices stay away, be it with some of their shards, and which answer again.
    fn remember(&self, wanted: &[Wanted<'_>], looked: &[Looked]) {
        let mut away = self.away();
        let all = || wanted.iter().zip(looked);
        let answers =
            |name: &str| all().any(|(wanted, looked)| wanted.index == name && !matches!(looked, Looked::Unknown(_)));
        away.retain(|name| !answers(name));
        let stay = all().filter(|(_, looked)| looked.may_pass());
        away.extend(stay.map(|(wanted, _)| wanted.index.to_owned()));
    }

    async fn get_once(&self, wanted: &[Wanted<'_>], with_fields: bool) -> Result<Vec<Looked>, SinkError> {
        let mut looked: Vec<Looked> = Vec::with_capacity(wanted.len());
        let mut by_search: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, item) in self.items(wanted, with_fields).await?.into_iter().enumerate() {
            // A name that stands for several indices is refused here, and a data stream is said not to be there.
            if item.error_kind().is_some_and(|kind| ELSEWHERE.contains(&kind)) {
                by_search.entry(wanted[place].index).or_default().push(place);
            }
            looked.push(item.looked());
        }
        for (index, places) in by_search {
            let ids: Vec<&str> = places.iter().map(|place| wanted[*place].id).collect();
            let (found, lacking) = self.search(index, &ids, with_fields).await?;
            for place in &places {
                looked[*place] = lacking.clone().map_or(Looked::NotThere, Looked::Unknown);
            }
            for (id, present) in found {
                let of_id = places.iter().filter(|place| wanted[**place].id == id);
                of_id.for_each(|place| looked[*place] = Looked::There(present.clone()));
            }
        }
        Ok(looked)
    }

    /// One for each that is wanted. Where all are refused, as OpenSearch does where it refuses one index, each index is asked for alone.
    async fn items(&self, wanted: &[Wanted<'_>], with_fields: bool) -> Result<Vec<Item>, SinkError> {
        let error = match self.items_or_refused(wanted, with_fields).await? {
            Ok(items) => return Ok(items),
            Err(error) => error,
        };
        let mut by_index: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, wanted) in wanted.iter().enumerate() {
            by_index.entry(wanted.index).or_default().push(place);
        }
        let mut items: Vec<Item> = wanted.iter().map(|_| Item::refused(&error)).collect();
        for places in by_index.values().filter(|places| places.len() < wanted.len()) {
            let some: Vec<Wanted<'_>> = places.iter().map(|place| wanted[*place]).collect();
            match self.items_or_refused(&some, with_fields).await? {
                Ok(of_index) => places.iter().zip(of_index).for_each(|(place, item)| items[*place] = item),
                Err(error) => places.iter().for_each(|place| items[*place] = Item::refused(&error)),
            }
        }
        Ok(items)
    }

    async fn items_or_refused(
        &self,
        wanted: &[Wanted<'_>],
        with_fields: bool,
    ) -> Result<Result<Vec<Item>, Unreadable>, SinkError> {
        let item = |wanted: &Wanted<'_>| {
            let mut item = json!({ "_index": wanted.index, "_id": wanted.id, "_source": with_fields });
            if let Some(routing) = wanted.routing {
                item["routing"] = routing.into();
            }
            item
        };
        let body = json!({ "docs": wanted.iter().map(item).collect::<Vec<_>>() });
        let reply = match self.ask("_mget?realtime=true", &body, TRIES).await? {
            Asked::Answer(reply) => reply,
            Asked::Refused(error) => return Ok(Err(error)),
            Asked::Busy(error) => return Err(self.unreachable(error.to_string())),
        };
        let Items { mut docs } = read(&reply)?;
        docs.iter_mut().for_each(|item| item.hide(&reply.ways_in));
        if docs.len() != wanted.len() {
            let error = format!("it was asked for {} documents and answers for {}", wanted.len(), docs.len());
            return Err(SinkError::Answer { status: reply.status, error });
        }
        Ok(Ok(docs))
    }

    /// All documents with this id, in the indices that these names and patterns (`*`) mean.
    pub async fn find(&self, indices: &[String], id: &str) -> Result<Found, SinkError> {
        let mut all = Found::default();
        for name in indices {
            let (found, lacking) = self.search(name, &[id], true).await?;
            for (_, present) in found {
                // Two patterns may mean the same index.
                if all.documents.iter().all(|known| known.index != present.index) {
                    all.documents.push(present);
                }
            }
            all.unreadable.extend(lacking.map(|why| (name.clone(), why)));
        }
        Ok(all)
    }

    /// `name` may be a pattern.
    async fn search(&self, name: &str, ids: &[&str], with_fields: bool) -> Result<Hit, SinkError> {
        let encoded = encode(name);
        // Where it is not allowed, what is found is a little older.
        let _ = self.client.post(&format!("{encoded}/_refresh?ignore_unavailable=true")).await;
        let body = json!({
            "query": { "ids": { "values": ids } }, "size": WANTED_MAX, "version": true, "_source": with_fields,
        });
        // With those that are closed, so that they are not passed over in silence.
        let all = format!("{encoded}/_search?allow_no_indices=true&expand_wildcards=open,closed");
        let (found, lacking) = self.hits(name, &all, &body).await?;
        match lacking {
            Some(lacking) if lacking.kind == NO_INDEX => Ok((Vec::new(), None)),
            Some(lacking) if found.is_empty() && !lacking.may_pass() => {
                let open = format!("{encoded}/_search?ignore_unavailable=true&allow_no_indices=true");
                let (found, _) = self.hits(name, &open, &body).await?;
                Ok((found, Some(lacking)))
            }
            lacking => Ok((found, lacking)),
        }
    }

    async fn hits(&self, name: &str, path: &str, body: &Value) -> Result<Hit, SinkError> {
        let tries = if self.away().contains(name) { 1 } else { TRIES };
        let reply = match self.ask(path, body, tries).await? {
            Asked::Answer(reply) => reply,
            Asked::Refused(error) => return Ok((Vec::new(), Some(error))),
            Asked::Busy(error) => {
                self.away().insert(name.to_owned());
                return Ok((Vec::new(), Some(error)));
            }
        };
        let Searched { hits, shards } = read(&reply)?;
        let hit = |mut item: Item| {
            item.found = true;
            Some((std::mem::take(&mut item.id), item.present()?))
        };
        let lacking = shards.lacking().map(|why| why.without(&reply.ways_in));
        Ok((hits.hits.into_iter().filter_map(hit).collect(), lacking))
    }

    /// An answer that is one: what is busy or away for a moment is asked again, up to so many times.
    async fn ask(&self, path: &str, body: &Value, tries: u32) -> Result<Asked, SinkError> {
        let mut last = String::new();
        for attempt in 1..=TRIES {
            match self.client.ask(path, body.to_string().into()).await {
                Ok(reply) if (200..300).contains(&reply.status) => return Ok(Asked::Answer(reply)),
                Ok(reply) => {
                    let (kind, reason) = reply.error().unwrap_or_default();
                    let words = said(reply.status, &kind, &reason);
                    let is_told = !kind.is_empty();
                    let error = Unreadable { kind, reason };
                    match reply.status {
                        400 | 403 | 404 if is_told => return Ok(Asked::Refused(error)),
                        status @ (401 | 403) => return Err(SinkError::Unauthorised { status, error: words }),
                        429 | 500..=599 if is_told && attempt >= tries => return Ok(Asked::Busy(error)),
                        429 | 500..=599 => last = words,
                        status => return Err(SinkError::Answer { status, error: words }),
                    }
                }
                Err(broken) => last = broken.message,
            }
            if attempt < TRIES {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Err(self.unreachable(last))
    }

    fn unreachable(&self, error: String) -> SinkError {
        SinkError::Unreachable { urls: self.urls.clone(), error }
    }

    fn away(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Looked {
    fn may_pass(&self) -> bool {
        matches!(self, Looked::Unknown(why) if why.may_pass())
    }
}

impl Unreadable {
    /// Without what lets us in.
    fn without(self, ways_in: &WaysIn) -> Unreadable {
        Unreadable { kind: ways_in.hide(self.kind), reason: ways_in.hide(self.reason) }
    }

    fn may_pass(&self) -> bool {
        PASSING.contains(&self.kind.as_str())
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.reason {
            "" => f.write_str(&self.kind),
            reason => write!(f, "{}: {reason}", self.kind),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(reply: &'a Reply) -> Result<T, SinkError> {
    serde_json::from_slice(&reply.body)
        .map_err(|error| SinkError::Answer { status: reply.status, error: reply.ways_in.hide(error.to_string()) })
}

#[cfg(test)]
mod tests;
