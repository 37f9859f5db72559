//! A look at each index, or at the template that will make it: what is set so that it hurts, each with the request that changes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{IndexState, Written, json, of_any};
use crate::config::ElasticsearchSettings;
use crate::sink::client::{Broken, Client, Reply};

/// Below this every refresh costs more than it is worth to a pipeline that writes all the time.
const REFRESH_MILLIS_MIN: u64 = 5_000;
/// What an index takes where nothing is set.
const FIELDS_MAX: u64 = 1_000;
/// From so many hundredths of them on it is spoken of.
const FIELDS_NEAR: u64 = 80;

pub(super) struct Looks<'a> {
    client: &'a Client,
    settings: &'a ElasticsearchSettings,
    /// Where the requests that are shown go.
    url: &'a str,
    warnings: Vec<String>,
    /// Names whose index maps fields as documents bring them, and how that is changed for the first.
    dynamic: Vec<(String, String)>,
    /// None: not asked yet.
    data_nodes: Option<u64>,
}

#[derive(Deserialize)]
struct Present {
    settings: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Mapped {
    mappings: Value,
}

impl<'a> Looks<'a> {
    pub fn new(client: &'a Client, settings: &'a ElasticsearchSettings) -> Self {
        let url = settings.urls.first().map_or("", |url| url.trim_end_matches('/'));
        Looks { client, settings, url, warnings: Vec::new(), dynamic: Vec::new(), data_nodes: None }
    }

    /// At the index of a name. Where it has `*` in it, what is set is looked at in the last of the indices by their names, which is the newest one
    /// where they have dates: there may be thousands. So it is with a data stream.
    pub async fn at(&mut self, name: &str, written: Written) -> IndexState {
        const SETTINGS: &str =
            "index.uuid,index.refresh_interval,index.number_of_replicas,index.mapping.total_fields.limit";
        let path = format!("{}/_settings/{SETTINGS}?flat_settings=true&ignore_unavailable=true", encode(name));
        let mut present: BTreeMap<String, Present> = match self.ask(|| self.client.get(&path)).await {
            Ok(present) => present.unwrap_or_default(),
            Err(state) => return state,
        };
        let is_alias = !name.contains('*') && !present.is_empty() && !present.contains_key(name);
        let is_stream = is_alias && present.keys().all(|index| index.starts_with(".ds-"));
        if is_stream && !written.created {
            self.warnings.push(format!(
                "index=`{name}` is a data stream: every document that is not created is refused, and a dead letter; `operation = \"create\"` in \
                 the output"
            ));
        } else if is_alias && !is_stream {
            match self.write_index(name).await {
                Some(index) => present.retain(|other, _| *other == index),
                None => return IndexState::Present,
            }
        }
        let Some((index, Present { settings })) = present.pop_last() else {
            return self.template(name, written).await;
        };
        let setting = |name: &str| settings.get(name).map(String::as_str);
        let place = if is_stream { Place::Template } else { Place::Index(self.url, &index) };
        self.settings(name, setting("index.refresh_interval"), setting("index.number_of_replicas"), &place).await;
        let path = format!("{}/_mapping", encode(&index));
        let mapped: Option<BTreeMap<String, Mapped>> = self.ask(|| self.client.get(&path)).await.unwrap_or_default();
        if let Some(Mapped { mappings }) = mapped.and_then(|mut mapped| mapped.remove(&index)) {
            self.mapping(name, &mappings, setting("index.mapping.total_fields.limit"), &place);
        }
        IndexState::Present
    }

    /// None: there is no such thing.
    async fn ask<T: DeserializeOwned, F: Future<Output = Result<Reply, Broken>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<Option<T>, IndexState> {
        match of_any(self.settings, ask).await {
            Ok(reply) if reply.status == 404 => Ok(None),
            Ok(reply) if matches!(reply.status, 401 | 403) => Err(IndexState::Unknown),
            Ok(reply) => json(&reply).map(Some).ok_or(IndexState::Unanswered),
            Err(_) => Err(IndexState::Unanswered),
        }
    }

    /// Of an alias.
    async fn write_index(&mut self, alias: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Index {
            aliases: BTreeMap<String, Alias>,
        }
        #[derive(Deserialize)]
        struct Alias {
            is_write_index: Option<bool>,
        }
        let path = format!("{0}/_alias/{0}", encode(alias));
        let indices: BTreeMap<String, Index> = self.ask(|| self.client.get(&path)).await.ok()??;
        let is_written = |index: &Index| index.aliases.get(alias).and_then(|alias| alias.is_write_index);
        let only = indices.len() == 1;
        let written =
            |(_, index): &(&String, &Index)| is_written(index) == Some(true) || only && is_written(index).is_none();
        if let Some((index, _)) = indices.iter().find(written) {
            return Some(index.clone());
        }
        let last = indices.keys().next_back()?;
        let body = format!(r#"{{"actions":[{{"add":{{"index":"{last}","alias":"{alias}","is_write_index":true}}}}]}}"#);
        self.warnings.push(format!(
            "index=`{alias}` is an alias of `{}`, none of which is the one that is written: every document is refused; such as {}",
            indices.keys().map(String::as_str).collect::<Vec<_>>().join("`, `"),
            curl(self.url, "POST", "_aliases", &body)
        ));
        None
    }

    pub fn warnings(self) -> Vec<String> {
        let Looks { mut warnings, dynamic, .. } = self;
        if let Some((_, change)) = dynamic.first() {
            let names: Vec<&str> = dynamic.iter().map(|(name, _)| name.as_str()).collect();
            warnings.push(format!(
                "fields that are not mapped are guessed from whichever document comes first indices=`{}`: one with another type is then a dead \
                 letter, and every new name takes of what the index takes at most; map what you want, then {change}",
                names.join("`, `")
            ));
        }
        warnings
    }

    async fn settings(
        &mut self,
        name: &str,
        refresh_interval: Option<&str>,
        replicas: Option<&str>,
        place: &Place<'_>,
    ) {
        self.warnings.extend(refresh(name, refresh_interval, place));
        if replicas == Some("0") && self.data_nodes().await > 1 {
            let change = place.settings(r#"{"index":{"number_of_replicas":1}}"#);
            self.warnings
                .push(format!("number_of_replicas=`0` index=`{name}`: what is on a node is gone with it; {change}"));
        }
    }

    fn mapping(&mut self, name: &str, mappings: &Value, limit: Option<&str>, place: &Place<'_>) {
        let limit = limit.and_then(|limit| limit.parse().ok()).unwrap_or(FIELDS_MAX);
        let fields = fields(mappings);
        if fields * 100 >= limit * FIELDS_NEAR {
            let body =
                format!(r#"{{"index":{{"mapping":{{"total_fields":{{"limit":{}}}}}}}}}"#, limit.saturating_mul(2));
            self.warnings.push(format!(
                "fields=`{fields}` of at most `{limit}` index=`{name}`: at the limit, documents that bring another one are refused; stop new names \
                 by `dynamic`, or {}",
                place.settings(&body)
            ));
        }
        let guesses = match mappings.get("dynamic") {
            Some(Value::Bool(dynamic)) => *dynamic,
            Some(Value::String(dynamic)) => dynamic == "true",
            Some(_) | None => true,
        };
        if guesses {
            self.dynamic.push((name.to_owned(), place.mappings(r#"{"dynamic":"strict"}"#)));
        }
    }

    async fn data_nodes(&mut self) -> u64 {
        #[derive(Deserialize)]
        struct Health {
            number_of_data_nodes: u64,
        }
        if self.data_nodes.is_none() {
            let reply = self.client.get("_cluster/health?filter_path=number_of_data_nodes").await;
            let health: Option<Health> = reply.as_ref().ok().and_then(json);
            self.data_nodes = Some(health.map_or(0, |health| health.number_of_data_nodes));
        }
        self.data_nodes.unwrap_or_default()
    }

    async fn template(&mut self, name: &str, written: Written) -> IndexState {
        #[derive(Deserialize)]
        struct Simulated {
            template: Option<Value>,
        }
        let path = format!("_index_template/_simulate_index/{}", encode(&name.replace('*', "0")));
        let simulated: Option<Simulated> = match self.ask(|| self.client.post(&path)).await {
            Ok(simulated) => simulated,
            Err(state) => return state,
        };
        let Some(template) = simulated.and_then(|simulated| simulated.template) else {
            if written.template || self.may_have_template(name).await {
                return IndexState::Template;
            }
            self.warnings.push(format!(
                "neither an index nor an index template index=`{name}`: the first document creates it with guessed \
                 mappings, or is refused where indices are not created by themselves; put a template first, or name it as `template` in the output"
            ));
            return IndexState::Missing;
        };
        let setting = |name: &str| template.pointer(&format!("/settings/index/{name}")).and_then(Value::as_str);
        self.settings(name, setting("refresh_interval"), setting("number_of_replicas"), &Place::Template).await;
        let mappings = template.get("mappings").unwrap_or(&Value::Null);
        self.mapping(name, mappings, setting("mapping/total_fields/limit"), &Place::Template);
        IndexState::Template
    }

    /// Templates of before 7.8, and those for some only of the names that a pattern makes, are not found by asking for one name.
    async fn may_have_template(&self, name: &str) -> bool {
        #[derive(Deserialize)]
        struct Legacy {
            index_patterns: Vec<String>,
        }
        #[derive(Deserialize)]
        struct Composable {
            index_templates: Vec<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            index_template: Legacy,
        }
        let legacy = || self.client.get("_template?filter_path=*.index_patterns");
        let composable =
            || self.client.get("_index_template?filter_path=index_templates.index_template.index_patterns");
        let legacy: Option<BTreeMap<String, Legacy>> = self.ask(legacy).await.unwrap_or_default();
        let composable: Option<Composable> = self.ask(composable).await.unwrap_or_default();
        let composable = composable.into_iter().flat_map(|it| it.index_templates).map(|it| it.index_template);
        let all = legacy.into_iter().flat_map(BTreeMap::into_values).chain(composable);
        all.flat_map(|template| template.index_patterns).any(|pattern| may_match(&pattern, name))
    }
}

/// Whether both may mean one name: `*` stands for any text.
fn may_match(pattern: &str, name: &str) -> bool {
    fn may(one: &[u8], other: &[u8]) -> bool {
        match (one, other) {
            ([], []) => true,
            ([b'*', rest @ ..], other) => may(rest, other) || !other.is_empty() && may(one, &other[1..]),
            (one, [b'*', rest @ ..]) => may(one, rest) || !one.is_empty() && may(&one[1..], other),
            ([a, one @ ..], [b, other @ ..]) => a == b && may(one, other),
            ([], _) | (_, []) => false,
        }
    }
    may(pattern.as_bytes(), name.as_bytes())
}

/// Where something is changed.
enum Place<'a> {
    /// The server's address, and its name.
    Index(&'a str, &'a str),
    Template,
}

impl Place<'_> {
    fn settings(&self, body: &str) -> String {
        match self {
            Place::Index(url, index) => curl(url, "PUT", &format!("{}/_settings", encode(index)), body),
            Place::Template => format!("in the template: {{\"settings\":{body}}}"),
        }
    }

    fn mappings(&self, body: &str) -> String {
        match self {
            Place::Index(url, index) => curl(url, "PUT", &format!("{}/_mapping", encode(index)), body),
            Place::Template => format!("in the template: {{\"mappings\":{body}}}"),
        }
    }
}

/// What is said of a refresh interval, with the request that changes it.
fn refresh(index: &str, interval: Option<&str>, place: &Place<'_>) -> Option<String> {
    let short = interval.map_or(Some(1_000), millis).is_some_and(|millis| millis < REFRESH_MILLIS_MIN);
    short.then(|| {
        let interval = interval.unwrap_or("1s, the default");
        format!(
            "refresh_interval=`{interval}` index=`{index}` makes indexing slower than it need be; {}",
            place.settings(r#"{"index":{"refresh_interval":"30s"}}"#)
        )
    })
}

/// As a request from a shell.
fn curl(url: &str, method: &str, path: &str, body: &str) -> String {
    format!("curl -X {method} '{url}/{path}' -H 'content-type: application/json' -d '{body}'")
}

/// What an index counts against its limit: fields, objects, and the fields that a field has besides.
fn fields(mappings: &Value) -> u64 {
    let below = ["properties", "fields", "runtime"].iter().filter_map(|name| mappings.get(name)?.as_object());
    below.flat_map(|fields| fields.values()).map(|field| 1 + fields(field)).sum()
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

/// A name as a segment of a path.
pub(in crate::sink) fn encode(name: &str) -> String {
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
    use serde_json::json;

    use super::*;

    #[test]
    fn short_refresh_intervals_are_warned_about() {
        let warned = |interval| refresh("i", interval, &Place::Template).is_some();
        assert_eq!([None, Some("1s"), Some("500ms")].map(warned), [true; 3]);
        assert_eq!([Some("30s"), Some("1m"), Some("-1"), Some("?")].map(warned), [false; 4]);
    }

    #[test]
    fn fields_are_counted_as_the_index_counts_them() {
        let text = json!({ "type": "text", "fields": { "keyword": { "type": "keyword" } } });
        let mappings = json!({ "properties": { "a": text, "o": { "properties": { "b": { "type": "long" } } } } });
        assert_eq!((fields(&mappings), fields(&json!({}))), (4, 0));
    }

    #[test]
    fn a_template_may_be_for_some_of_the_names() {
        let may = |pattern| may_match(pattern, "events-*-2025");
        assert_eq!(["*", "events-*", "events-a-*", "events-a-2025", "*-2025"].map(may), [true; 5]);
        assert_eq!(["event", "others-*", "events-a-2024", "*-2024", ""].map(may), [false; 5]);
        assert!(may_match("ev*s", "events") && !may_match("ev*x", "events"));
    }

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(encode("a:b/c é-*"), "a%3Ab%2Fc%20%C3%A9-*");
    }
}
