//! A look at the index before anything is sent: reachable, let in, which product, and what the pipeline's indices are.
//! It changes nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::SinkError;
use super::answer::{read_error, said};
use super::client::{Client, Reply};
use crate::config::ElasticsearchSettings;

/// Below this every refresh costs more than it is worth to a pipeline that writes all the time.
const REFRESH_MILLIS_MIN: u64 = 5_000;

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
    let mut report = ProbeReport { product, version, indices: Vec::new(), warnings: Vec::new() };
    if product == Product::Unknown {
        report.warnings.push("the server says neither that it is Elasticsearch nor OpenSearch".into());
    }
    for name in indices {
        let state = index(&client, name, &mut report.warnings).await;
        report.indices.push(IndexReport { name: name.clone(), state });
    }
    Ok(report)
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

async fn index(client: &Client, name: &str, warnings: &mut Vec<String>) -> IndexState {
    #[derive(Deserialize)]
    struct Present {
        settings: BTreeMap<String, String>,
    }
    let path = format!(
        "{}/_settings/index.uuid,index.refresh_interval?flat_settings=true&ignore_unavailable=true",
        encode(name)
    );
    let reply = match client.get(&path).await {
        Ok(reply) if reply.status == 404 => None,
        Ok(reply) => match json::<BTreeMap<String, Present>>(&reply) {
            Some(present) => Some(present),
            None => return IndexState::Unknown,
        },
        Err(_) => return IndexState::Unknown,
    };
    let present = reply.unwrap_or_default();
    if present.is_empty() {
        return template(client, name, warnings).await;
    }
    for (index, present) in present {
        refresh(&index, present.settings.get("index.refresh_interval"), "set it in the index", warnings);
    }
    IndexState::Present
}

async fn template(client: &Client, name: &str, warnings: &mut Vec<String>) -> IndexState {
    #[derive(Deserialize)]
    struct Simulated {
        template: Option<serde_json::Value>,
    }
    let path = format!("_index_template/_simulate_index/{}", encode(&name.replace('*', "0")));
    let simulated: Simulated = match client.post(&path).await.as_ref().ok().and_then(json) {
        Some(simulated) => simulated,
        None => return IndexState::Unknown,
    };
    let Some(template) = simulated.template else {
        warnings.push(format!(
            "neither an index nor an index template index=`{name}`: the first document creates it with guessed \
             mappings, or is refused where indices are not created by themselves; put a template first"
        ));
        return IndexState::Missing;
    };
    let interval = template.pointer("/settings/index/refresh_interval").and_then(|value| value.as_str());
    refresh(name, interval.map(str::to_string).as_ref(), "set it in the template", warnings);
    IndexState::Template
}

fn refresh(index: &str, interval: Option<&String>, how: &str, warnings: &mut Vec<String>) {
    let millis = interval.map_or(Some(1_000), |interval| millis(interval));
    if millis.is_some_and(|millis| millis < REFRESH_MILLIS_MIN) {
        let interval = interval.map_or("1s, the default", String::as_str);
        warnings.push(format!(
            "refresh_interval=`{interval}` index=`{index}` makes indexing slower than it need be: {how}, for example \
             {{\"index\":{{\"refresh_interval\":\"30s\"}}}}"
        ));
    }
}

/// None where refreshing is off, or is said in a way that we do not know.
fn millis(interval: &str) -> Option<u64> {
    let unit = interval.trim_start_matches(|char: char| char.is_ascii_digit());
    let number: u64 = interval.strip_suffix(unit)?.parse().ok()?;
    match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    }
}

fn json<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    (200..300).contains(&reply.status).then(|| serde_json::from_slice(&reply.body).ok()).flatten()
}

fn words(reply: &Reply) -> String {
    let (kind, reason) = read_error(&reply.body).unwrap_or_default();
    said(reply.status, &kind, &reason)
}

/// A name as a segment of a path.
fn encode(name: &str) -> String {
    let mut path = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'*' => path.push(byte as char),
            other => write!(path, "%{other:02X}").unwrap_or_default(),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_refresh_intervals_are_warned_about() {
        let warned = |interval: Option<&str>| {
            let mut warnings = Vec::new();
            refresh("i", interval.map(str::to_string).as_ref(), "do", &mut warnings);
            warnings.len()
        };
        assert_eq!([None, Some("1s"), Some("500ms")].map(warned), [1, 1, 1]);
        assert_eq!([Some("30s"), Some("1m"), Some("-1"), Some("?")].map(warned), [0, 0, 0, 0]);
    }

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(encode("a:b/c é-*"), "a%3Ab%2Fc%20%C3%A9-*");
    }
}
