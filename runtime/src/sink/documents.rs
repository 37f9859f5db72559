//! All documents of an index, for those who watch a demonstration.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::SinkError;
use super::client::{Broken, Client, Reply};
use crate::config::ElasticsearchSettings;

/// The most that Elasticsearch gives at once.
const DOCUMENTS_MAX: usize = 10_000;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    hits: Hits<'a>,
}

#[derive(Deserialize)]
struct Hits<'a> {
    #[serde(borrow)]
    hits: Vec<Hit<'a>>,
}

#[derive(Deserialize)]
struct Hit<'a> {
    #[serde(rename = "_source", borrow)]
    source: &'a RawValue,
}

/// The JSON of each document, with all that was acknowledged before; none where the index is missing.
pub async fn documents(settings: &ElasticsearchSettings, index: &str) -> Result<Vec<Vec<u8>>, SinkError> {
    let client = Client::new(settings)?;
    let refreshed = checked(client.post(&format!("{index}/_refresh")).await, settings)?;
    let found = checked(client.get(&format!("{index}/_search?size={DOCUMENTS_MAX}")).await, settings)?;
    match (refreshed, found) {
        (Some(_), Some(reply)) => sources(&reply),
        (None, _) | (_, None) => Ok(Vec::new()),
    }
}

/// None where the index is missing.
fn checked(reply: Result<Reply, Broken>, settings: &ElasticsearchSettings) -> Result<Option<Reply>, SinkError> {
    let unreachable = |broken: Broken| SinkError::Unreachable { urls: settings.urls.join(", "), error: broken.message };
    let reply = reply.map_err(unreachable)?;
    match reply.status {
        200 => Ok(Some(reply)),
        404 => Ok(None),
        status => Err(SinkError::Answer { status, error: reply.words() }),
    }
}

fn sources(reply: &Reply) -> Result<Vec<Vec<u8>>, SinkError> {
    let answer: Answer<'_> = serde_json::from_slice(&reply.body)
        .map_err(|error| SinkError::Answer { status: reply.status, error: reply.ways_in.hide(error.to_string()) })?;
    Ok(answer.hits.hits.iter().map(|hit| hit.source.get().as_bytes().to_vec()).collect())
}
