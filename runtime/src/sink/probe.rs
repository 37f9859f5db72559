//! A look at the index before anything is sent: reachable, let in, which product, and what the pipeline's indices are.
//! It changes nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::SinkError;
use super::answer::{read_error, said};
use super::client::{Client, Reply};
use crate::config::ElasticsearchSettings;

mod looks;

use looks::Looks;
pub(super) use looks::encode;

/// What a look at the index has shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeReport {
    pub product: Product,
    /// None where we may not ask.
    pub version: Option<String>,
    /// One for each name that was asked about.
    pub indices: Vec<IndexReport>,
    /// What works, but badly, each with what to do about it.
    pub warnings: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Product {
    Elasticsearch,
    OpenSearch,
    /// It answers like one of them, and says neither.
    Unknown,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexReport {
    pub name: String,
    pub state: IndexState,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexState {
    Present,
    /// The first document creates it from a template.
    Template,
    /// The first document creates it with guessed mappings, or is refused.
    Missing,
    /// We may not ask.
    Unknown,
}

/// Asks the index about itself and about `indices`: names, with `*` for what is different from document to document.
pub async fn probe(settings: &ElasticsearchSettings, indices: &[String]) -> Result<ProbeReport, SinkError> {
    let client = Client::new(settings)?;
    let (product, version) = identify(&client, settings).await?;
    let mut report = ProbeReport { product, version: version.clone(), indices: Vec::new(), warnings: Vec::new() };
    if product == Product::Unknown {
        report.warnings.push("the server says neither that it is Elasticsearch nor OpenSearch".into());
    }
    report.warnings.extend(version.as_deref().and_then(|version| unknown_version(product, version)));
    let mut looks = Looks::new(&client, settings);
    for name in indices {
        let state = looks.at(name).await;
        report.indices.push(IndexReport { name: name.clone(), state });
    }
    report.warnings.extend(looks.warnings());
    Ok(report)
}

/// Major versions whose answers to bulk requests are known here.
fn unknown_version(product: Product, version: &str) -> Option<String> {
    let known = match product {
        Product::Elasticsearch => 7..=9,
        Product::OpenSearch => 1..=3,
        Product::Unknown => return None,
    };
    let major = version.split('.').next().and_then(|major| major.parse().ok());
    let is_known = major.is_some_and(|major: u32| known.contains(&major));
    (!is_known).then(|| {
        let (first, last) = (known.start(), known.end());
        format!("version=`{version}` of the index is none that is known here: {first} to {last} are; its answers may mean something else")
    })
}

/// The first node that answers; `GET /` comes last, because some servers do not have it.
async fn identify(client: &Client, settings: &ElasticsearchSettings) -> Result<(Product, Option<String>), SinkError> {
    #[derive(Deserialize)]
    struct Nodes {
        nodes: BTreeMap<String, Node>,
    }
    #[derive(Deserialize)]
    struct Node {
        version: String,
    }
    #[derive(Deserialize)]
    struct Root {
        version: RootVersion,
    }
    #[derive(Deserialize)]
    struct RootVersion {
        number: String,
        #[serde(default)]
        distribution: String,
    }
    let reply = first_reply(client, settings).await?;
    let version = json(&reply).and_then(|it: Nodes| it.nodes.into_values().next()).map(|node| node.version);
    if reply.is_elasticsearch {
        return Ok((Product::Elasticsearch, version));
    }
    let root = client.get("").await.ok().as_ref().and_then(json::<Root>);
    match root {
        Some(Root { version }) if version.distribution == "opensearch" => {
            Ok((Product::OpenSearch, Some(version.number)))
        }
        // Before 7.14 Elasticsearch did not name itself in a header.
        Some(Root { version }) if version.number.starts_with("7.") => {
            Ok((Product::Elasticsearch, Some(version.number)))
        }
        Some(_) | None if version.is_some() => Ok((Product::Unknown, version)),
        Some(_) | None => Err(SinkError::Answer { status: reply.status, error: words(&reply) }),
    }
}

async fn first_reply(client: &Client, settings: &ElasticsearchSettings) -> Result<Reply, SinkError> {
    let unreachable = |error: String| SinkError::Unreachable { urls: settings.urls.join(", "), error };
    let mut last = String::new();
    for _ in &settings.urls {
        match client.get("_nodes/_local?filter_path=nodes.*.version").await {
            Ok(reply) => {
                return match reply.status {
                    401 => Err(SinkError::Unauthorised { status: 401, error: words(&reply) }),
                    // Let in, but not allowed to look at nodes: only Elasticsearch itself says so.
                    403 if !reply.is_elasticsearch && read_error(&reply.body).is_none() => {
                        Err(SinkError::Unauthorised { status: 403, error: words(&reply) })
                    }
                    429 | 500..=599 => Err(unreachable(words(&reply))),
                    _ => Ok(reply),
                };
            }
            Err(broken) => last = broken.message,
        }
    }
    Err(unreachable(last))
}

fn json<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    (200..300).contains(&reply.status).then(|| serde_json::from_slice(&reply.body).ok()).flatten()
}

fn words(reply: &Reply) -> String {
    let (kind, reason) = read_error(&reply.body).unwrap_or_default();
    said(reply.status, &kind, &reason)
}

/// Puts an index template in place of the one with that name, if there is any.
pub async fn install_template(
    settings: &ElasticsearchSettings,
    name: &str,
    template: Vec<u8>,
) -> Result<(), SinkError> {
    let client = Client::new(settings)?;
    let path = format!("_index_template/{}", looks::encode(name));
    let unreachable = |error: String| SinkError::Unreachable { urls: settings.urls.join(", "), error };
    let reply = client.put(&path, template.into()).await.map_err(|broken| unreachable(broken.message))?;
    match reply.status {
        200..=299 => Ok(()),
        401 | 403 => Err(SinkError::Unauthorised { status: reply.status, error: words(&reply) }),
        429 | 500..=599 => Err(unreachable(words(&reply))),
        _ => Err(SinkError::Template { name: name.to_owned(), error: words(&reply) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_that_are_not_known_are_spoken_of() {
        let unknown = |product, version| unknown_version(product, version).is_some();
        let known =
            [(Product::Elasticsearch, "7.17.9"), (Product::Elasticsearch, "9.2.0"), (Product::OpenSearch, "2.19.1")];
        assert!(known.into_iter().all(|(product, version)| !unknown(product, version)));
        let others = [(Product::Elasticsearch, "6.8.0"), (Product::OpenSearch, "4.0.0"), (Product::Elasticsearch, "x")];
        assert!(others.into_iter().all(|(product, version)| unknown(product, version)));
    }
}
