//! A look at the index before anything is sent: reachable, let in, which product, and what the pipeline's indices are.
//! It changes nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::SinkError;
use super::client::{Broken, BrokenKind, Client, Reply};
use crate::config::ElasticsearchSettings;

mod advice;
mod looks;
mod template;

pub(super) use advice::encode;
use looks::Looks;
use template::IndexTemplate;

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
    /// Likewise, from one that the start installs.
    OwnTemplate,
    /// The first document creates it with guessed mappings, or is refused.
    Missing,
    /// We may not ask.
    Unknown,
    /// No node has an answer that is understood.
    Unanswered,
}

/// What is written to a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// Documents are created, and nothing else is done with them.
    pub created: bool,
}

/// Asks the index about itself and about `indices`: names, with `*` for what is different from document to document. `templates` are the files of
/// index templates that are yet to be installed.
pub async fn probe(
    settings: &ElasticsearchSettings,
    indices: &BTreeMap<String, Written>,
    templates: &[&Path],
) -> Result<ProbeReport, SinkError> {
    let client = Client::new(settings)?;
    let (product, version) = identify(&client, settings).await?;
    let version = version.map(|version| client.hide(version));
    if product == Product::Elasticsearch
        && let Some(version) = version.as_ref().filter(|version| major(version).is_some_and(|major| major < 7))
    {
        return Err(SinkError::TooOld { version: version.clone() });
    }
    let mut report = ProbeReport { product, version: version.clone(), indices: Vec::new(), warnings: Vec::new() };
    report.warnings.extend(match (product, version.as_deref()) {
        (Product::Unknown, Some(_)) => Some("the server says neither that it is Elasticsearch nor OpenSearch".into()),
        (Product::Unknown, None) => Some("we may not ask whether the server is Elasticsearch or OpenSearch".into()),
        (product, version) => version.and_then(|version| unknown_version(product, version)),
    });
    let own: Vec<IndexTemplate> = templates.iter().filter_map(|path| IndexTemplate::read(path)).collect();
    let mut looks = Looks::new(&client, settings, &own);
    for (name, written) in indices {
        let state = looks.at(name, *written).await;
        if state == IndexState::Unanswered {
            let what = "how it is set is not known: no node gives an answer that is understood";
            report.warnings.push(format!("index=`{name}`: {what}"));
        }
        report.indices.push(IndexReport { name: name.clone(), state });
    }
    report.warnings.extend(looks.warnings());
    // They quote how the index is set.
    report.warnings = report.warnings.into_iter().map(|warning| client.hide(warning)).collect();
    Ok(report)
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// Major versions whose answers to bulk requests are known here.
fn unknown_version(product: Product, version: &str) -> Option<String> {
    let known = match product {
        Product::Elasticsearch => 7..=9,
        Product::OpenSearch => 1..=3,
        Product::Unknown => return None,
    };
    let is_known = major(version).is_some_and(|major| known.contains(&major));
    (!is_known).then(|| {
        let (first, last) = (known.start(), known.end());
        format!("version=`{version}` of the index is none that is known here: {first} to {last} are; its answers may mean something else")
    })
}

/// `GET /` comes last, because some servers do not have it.
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
        #[serde(default)]
        tagline: String,
    }
    #[derive(Deserialize)]
    struct RootVersion {
        number: String,
        #[serde(default)]
        distribution: String,
    }
    let reply = of_any(settings, || client.get("_nodes/_local?filter_path=nodes.*.version")).await?;
    // Who may not look at nodes is let in all the same: the index says so in its own words, and a proxy does not.
    let is_forbidden = reply.status == 403 && (reply.is_elasticsearch || reply.error().is_some());
    if reply.status == 401 || reply.status == 403 && !is_forbidden {
        return Err(SinkError::Unauthorised { status: reply.status, error: reply.words() });
    }
    let of_node = json(&reply).and_then(|it: Nodes| it.nodes.into_values().next()).map(|node| node.version);
    if reply.is_elasticsearch {
        return Ok((Product::Elasticsearch, of_node));
    }
    let root = of_any(settings, || client.get("")).await.ok().as_ref().and_then(json::<Root>);
    let Some(Root { version: RootVersion { number, distribution }, tagline }) = root else {
        return match of_node {
            None if !is_forbidden => Err(SinkError::Answer { status: reply.status, error: reply.words() }),
            of_node => Ok((Product::Unknown, of_node)),
        };
    };
    let product = if distribution == "opensearch" || tagline.contains("OpenSearch") {
        Product::OpenSearch
    // Before 7.14 Elasticsearch did not name itself in a header, which a proxy may take away as well.
    } else if tagline == "You Know, for Search" || number.starts_with("7.") {
        Product::Elasticsearch
    } else {
        Product::Unknown
    };
    // OpenSearch can be told to say there that it is 7.10.2.
    let number = Some(number).filter(|number| product != Product::OpenSearch || !number.starts_with("7."));
    Ok((product, of_node.or(number)))
}

/// What a node says; each time that we ask, it is another one. All are asked in their turn, until one of them has an answer.
async fn of_any<F: Future<Output = Result<Reply, Broken>>>(
    settings: &ElasticsearchSettings,
    ask: impl Fn() -> F,
) -> Result<Reply, SinkError> {
    let mut error = String::new();
    for _ in &settings.urls {
        match ask().await {
            Ok(reply) if matches!(reply.status, 429 | 500..=599) => error = reply.words(),
            Ok(reply) => return Ok(reply),
            // The client has tried them all.
            Err(Broken { kind: BrokenKind::NoConnection, message }) => {
                error = message;
                break;
            }
            Err(broken) => error = broken.message,
        }
    }
    Err(SinkError::Unreachable { urls: settings.urls.join(", "), error })
}

fn json<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    (200..300).contains(&reply.status).then(|| serde_json::from_slice(&reply.body).ok()).flatten()
}

/// Puts an index template in place of the one with that name, if there is any.
pub async fn install_template(
    settings: &ElasticsearchSettings,
    name: &str,
    template: Vec<u8>,
) -> Result<(), SinkError> {
    let client = Client::new(settings)?;
    let path = format!("_index_template/{}", encode(name));
    let template = Bytes::from(template);
    let reply = of_any(settings, || client.put(&path, template.clone())).await?;
    match reply.status {
        200..=299 => Ok(()),
        401 | 403 => Err(SinkError::Unauthorised { status: reply.status, error: reply.words() }),
        _ => Err(SinkError::Template { name: name.to_owned(), error: reply.words() }),
    }
}

#[cfg(test)]
mod tests;
