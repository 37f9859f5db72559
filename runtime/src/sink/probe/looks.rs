//! A look at each index, or at the template that will make it: what is set so that it hurts, each with the request that changes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

use super::{IndexState, json};
use crate::config::ElasticsearchSettings;
use crate::sink::client::Client;

/// Below this every refresh costs more than it is worth to a pipeline that writes all the time.
const REFRESH_MILLIS_MIN: u64 = 5_000;
/// What an index takes where nothing is set.
const FIELDS_MAX: u64 = 1_000;
/// From so many hundredths of them on it is spoken of.
const FIELDS_NEAR: u64 = 80;

pub(super) struct Looks<'a> {
    client: &'a Client,
    /// Where the requests that are shown go.
    url: &'a str,
    warnings: Vec<String>,
    /// Indices that map fields as documents bring them.
    dynamic: Vec<String>,
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
        Looks { client, url, warnings: Vec::new(), dynamic: Vec::new(), data_nodes: None }
    }

    /// At the index of a name. Where it has `*` in it, what is set is looked at in the last of the indices by their names, which is the newest one
    /// where they have dates: there may be thousands.
    pub async fn at(&mut self, name: &str) -> IndexState {
        const SETTINGS: &str =
            "index.uuid,index.refresh_interval,index.number_of_replicas,index.mapping.total_fields.limit";
        let path = format!("{}/_settings/{SETTINGS}?flat_settings=true&ignore_unavailable=true", encode(name));
        let present = match self.client.get(&path).await {
            Ok(reply) if reply.status == 404 => None,
            Ok(reply) => match json::<BTreeMap<String, Present>>(&reply) {
                Some(present) => Some(present),
                None => return IndexState::Unknown,
            },
            Err(_) => return IndexState::Unknown,
        };
        let Some((index, Present { settings })) = present.unwrap_or_default().pop_last() else {
            return self.template(name).await;
        };
        let setting = |name: &str| settings.get(name).map(String::as_str);
        let request = |body: &str| curl(self.url, "PUT", &format!("{}/_settings", encode(&index)), body);
        self.warnings.extend(refresh(&index, setting("index.refresh_interval"), &request));
        if setting("index.number_of_replicas") == Some("0") && self.data_nodes().await > 1 {
            let request = request(r#"{"index":{"number_of_replicas":1}}"#);
            let what = "what is on a node is gone with it";
            self.warnings.push(format!("number_of_replicas=`0` index=`{index}`: {what}; {request}"));
        }
        let reply = self.client.get(&format!("{}/_mapping", encode(&index))).await;
        let mapped: Option<BTreeMap<String, Mapped>> = reply.as_ref().ok().and_then(json);
        if let Some(Mapped { mappings }) = mapped.and_then(|mut mapped| mapped.remove(&index)) {
            let limit = setting("index.mapping.total_fields.limit").and_then(|limit| limit.parse().ok());
            self.mapping(&index, &mappings, limit.unwrap_or(FIELDS_MAX));
        }
        IndexState::Present
    }

    pub fn warnings(self) -> Vec<String> {
        let Looks { mut warnings, dynamic, url, .. } = self;
        if let Some(first) = dynamic.first() {
            let names = dynamic.join("`, `");
            let request = curl(url, "PUT", &format!("{}/_mapping", encode(first)), r#"{"dynamic":"strict"}"#);
            warnings.push(format!(
                "fields that are not mapped are guessed from whichever document comes first indices=`{names}`: one with another type is then a dead \
                 letter, and every new name takes of what the index takes at most; map what you want, then {request}"
            ));
        }
        warnings
    }

    fn mapping(&mut self, index: &str, mappings: &Value, limit: u64) {
        let fields = fields(mappings);
        if fields * 100 >= limit * FIELDS_NEAR {
            let body =
                format!(r#"{{"index":{{"mapping":{{"total_fields":{{"limit":{}}}}}}}}}"#, limit.saturating_mul(2));
            self.warnings.push(format!(
                "fields=`{fields}` of at most `{limit}` index=`{index}`: at the limit, documents that bring another one are refused; stop new names \
                 by `dynamic`, or {}",
                curl(self.url, "PUT", &format!("{}/_settings", encode(index)), &body)
            ));
        }
        let guesses = match mappings.get("dynamic") {
            Some(Value::Bool(dynamic)) => *dynamic,
            Some(Value::String(dynamic)) => dynamic == "true",
            Some(_) | None => true,
        };
        if guesses {
            self.dynamic.push(index.to_owned());
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

    async fn template(&mut self, name: &str) -> IndexState {
        #[derive(Deserialize)]
        struct Simulated {
            template: Option<Value>,
        }
        let path = format!("_index_template/_simulate_index/{}", encode(&name.replace('*', "0")));
        let simulated: Simulated = match self.client.post(&path).await.as_ref().ok().and_then(json) {
            Some(simulated) => simulated,
            None => return IndexState::Unknown,
        };
        let Some(template) = simulated.template else {
            self.warnings.push(format!(
                "neither an index nor an index template index=`{name}`: the first document creates it with guessed \
                 mappings, or is refused where indices are not created by themselves; put a template first, or name it as `template` in the output"
            ));
            return IndexState::Missing;
        };
        let interval = template.pointer("/settings/index/refresh_interval").and_then(Value::as_str);
        let in_template = |body: &str| format!("in the template: {body}");
        self.warnings.extend(refresh(name, interval, &in_template));
        IndexState::Template
    }
}

/// What is said of a refresh interval, with the request that changes it.
fn refresh(index: &str, interval: Option<&str>, request: &dyn Fn(&str) -> String) -> Option<String> {
    let short = interval.map_or(Some(1_000), millis).is_some_and(|millis| millis < REFRESH_MILLIS_MIN);
    short.then(|| {
        let interval = interval.unwrap_or("1s, the default");
        format!(
            "refresh_interval=`{interval}` index=`{index}` makes indexing slower than it need be; {}",
            request(r#"{"index":{"refresh_interval":"30s"}}"#)
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
        let warned = |interval| refresh("i", interval, &|body| body.to_owned()).is_some();
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
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(encode("a:b/c é-*"), "a%3Ab%2Fc%20%C3%A9-*");
    }
}
