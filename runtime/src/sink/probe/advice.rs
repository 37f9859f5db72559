//! What is said of settings and mappings that hurt, each with the request that changes it. It asks nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// Below this every refresh costs more than it is worth to a pipeline that writes all the time.
const REFRESH_MILLIS_MIN: u64 = 5_000;
/// What an index takes where nothing is set.
const FIELDS_MAX: u64 = 1_000;
/// From so many hundredths of them on it is spoken of.
const FIELDS_NEAR: u64 = 80;
/// A limit above this, ten times what is usual, holds nothing back: so many fields are slow, and heavy on the memory of every node.
const FIELDS_LIMIT_MAX: u64 = 10 * FIELDS_MAX;

/// Of an index: each keeps documents out. The last one is set by the index itself while a disk is full.
const BLOCKS: [&str; 3] = ["write", "read_only", "read_only_allow_delete"];

/// Where something is changed.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// The server's address, and its name.
    Index(&'a str, &'a str),
    /// Likewise; the ones that follow it are made by a template.
    Newest(&'a str, &'a str),
    Template,
}

impl Place<'_> {
    fn change(&self, path: &str, key: &str, body: &str) -> String {
        let request = |url, index| curl(url, "PUT", &format!("{}/{path}", encode(index)), body);
        match self {
            Place::Index(url, index) => request(url, index),
            Place::Newest(url, index) => {
                format!("{}, and likewise in the template of those to come", request(url, index))
            }
            Place::Template => format!("in the template: {{\"{key}\":{body}}}"),
        }
    }

    fn settings(&self, body: &str) -> String {
        self.change("_settings", "settings", body)
    }

    fn total_fields(&self, limit: u64) -> String {
        self.settings(&format!(r#"{{"index":{{"mapping":{{"total_fields":{{"limit":{limit}}}}}}}}}"#))
    }

    pub fn strict(&self) -> String {
        self.change("_mapping", "mappings", r#"{"dynamic":"strict"}"#)
    }
}

/// What keeps every document out.
pub(super) fn blocks(index: &str, settings: &BTreeMap<String, String>, place: Place<'_>) -> Option<String> {
    let is_set = |block: &&&str| settings.get(&format!("blocks.{block}")).is_some_and(|set| set == "true");
    let set: Vec<&str> = BLOCKS.iter().filter(is_set).copied().collect();
    let lifted: Vec<String> = set.iter().map(|block| format!(r#""{block}":null"#)).collect();
    (!set.is_empty()).then(|| {
        let lift = place.settings(&format!(r#"{{"index":{{"blocks":{{{}}}}}}}"#, lifted.join(",")));
        format!("blocks=`{}` index=`{index}`: no document is taken, and the pipeline stalls; {lift}", set.join("`, `"))
    })
}

pub(super) fn refresh(index: &str, interval: Option<&str>, place: Place<'_>) -> Option<String> {
    let short = interval.map_or(Some(1_000), millis).is_some_and(|millis| millis < REFRESH_MILLIS_MIN);
    short.then(|| {
        let interval = interval.unwrap_or("1s, the default");
        format!(
            "refresh_interval=`{interval}` index=`{index}` makes indexing slower than it need be; {}",
            place.settings(r#"{"index":{"refresh_interval":"30s"}}"#)
        )
    })
}

/// In a cluster of several data nodes.
pub(super) fn no_replicas(index: &str, place: Place<'_>) -> String {
    let change = place.settings(r#"{"index":{"number_of_replicas":1}}"#);
    format!("number_of_replicas=`0` index=`{index}`: what is on a node is gone with it; {change}")
}

pub(super) fn total_fields(
    index: &str,
    mappings: &Value,
    settings: &BTreeMap<String, String>,
    place: Place<'_>,
) -> Option<String> {
    let setting = |name: &str| settings.get(&format!("mapping.total_fields.{name}")).map(String::as_str);
    let limit = setting("limit").and_then(|limit| limit.parse().ok()).unwrap_or(FIELDS_MAX);
    let fields = fields(mappings);
    let grows = matches!(dynamic(mappings), "true" | "runtime");
    if fields.saturating_mul(100) >= limit.saturating_mul(FIELDS_NEAR) {
        let then = match (grows, setting("ignore_dynamic_beyond_limit") == Some("true")) {
            (true, false) => "documents that bring another one are refused; stop new names by `dynamic`, or",
            (true, true) => "others are left out, and cannot be searched for; stop new names by `dynamic`, or",
            (false, _) => "no other one can be mapped;",
        };
        let raise = place.total_fields(limit.saturating_mul(2));
        return Some(format!("fields=`{fields}` of at most `{limit}` index=`{index}`: at the limit, {then} {raise}"));
    }
    (grows && limit > FIELDS_LIMIT_MAX).then(|| {
        let lower = place.total_fields(FIELDS_MAX.max(fields.saturating_mul(2)));
        format!(
            "total_fields.limit=`{limit}` index=`{index}`: documents that bring ever new names fill the memory of every node before it stops them; \
             {lower}"
        )
    })
}

/// Whether fields that are not mapped are mapped by what the first document has.
pub(super) fn guesses(mappings: &Value) -> bool {
    dynamic(mappings) == "true"
}

fn dynamic(mappings: &Value) -> &str {
    match mappings.get("dynamic") {
        Some(Value::Bool(false)) => "false",
        Some(Value::String(dynamic)) => dynamic,
        Some(_) | None => "true",
    }
}

/// As a request from a shell.
pub(super) fn curl(url: &str, method: &str, path: &str, body: &str) -> String {
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
        "" => (number == 0).then_some(0),
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
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    #[test]
    fn short_refresh_intervals_are_warned_about() {
        let warned = |interval| refresh("i", interval, Place::Template).is_some();
        assert_eq!([None, Some("0"), Some("1s"), Some("500ms")].map(warned), [true; 4]);
        assert_eq!([Some("30s"), Some("1m"), Some("-1"), Some("?")].map(warned), [false; 4]);
    }

    #[test]
    fn what_keeps_documents_out_is_warned_about() {
        let said = |settings: &[(&str, &str)]| {
            let settings =
                settings.iter().map(|(name, value)| (format!("blocks.{name}"), (*value).to_owned())).collect();
            blocks("i", &settings, Place::Index("http://es", "i-1")).unwrap_or_default()
        };
        assert_eq!(said(&[("write", "false"), ("read", "true")]), "");
        expect!["blocks=`write`, `read_only_allow_delete` index=`i`: no document is taken, and the pipeline stalls; curl -X PUT 'http://es/i-1/_settings' -H 'content-type: application/json' -d '{\"index\":{\"blocks\":{\"write\":null,\"read_only_allow_delete\":null}}}'"]
            .assert_eq(&said(&[("write", "true"), ("read_only_allow_delete", "true")]));
    }

    #[test]
    fn fields_are_counted_as_the_index_counts_them() {
        let text = json!({ "type": "text", "fields": { "keyword": { "type": "keyword" } } });
        let mappings = json!({ "properties": { "a": text, "o": { "properties": { "b": { "type": "long" } } } } });
        assert_eq!((fields(&mappings), fields(&json!({}))), (4, 0));
    }

    fn of_fields(dynamic: &Value, count: usize, settings: &[(&str, &str)], expected: &Expect) {
        let properties: serde_json::Map<_, _> =
            (0..count).map(|n| (format!("f{n}"), json!({ "type": "keyword" }))).collect();
        let mappings = json!({ "dynamic": dynamic, "properties": properties });
        let settings = settings
            .iter()
            .map(|(name, value)| (format!("mapping.total_fields.{name}"), (*value).to_owned()))
            .collect();
        let said = total_fields("i", &mappings, &settings, Place::Template);
        expected.assert_eq(said.as_deref().unwrap_or("nothing"));
    }

    #[test]
    fn a_limit_of_fields_that_is_near_is_warned_about() {
        of_fields(&json!(true), 799, &[], &expect!["nothing"]);
        of_fields(
            &json!(true),
            800,
            &[],
            &expect![[
                r#"fields=`800` of at most `1000` index=`i`: at the limit, documents that bring another one are refused; stop new names by `dynamic`, or in the template: {"settings":{"index":{"mapping":{"total_fields":{"limit":2000}}}}}"#
            ]],
        );
        of_fields(
            &json!("runtime"),
            8,
            &[("limit", "10"), ("ignore_dynamic_beyond_limit", "true")],
            &expect![[
                r#"fields=`8` of at most `10` index=`i`: at the limit, others are left out, and cannot be searched for; stop new names by `dynamic`, or in the template: {"settings":{"index":{"mapping":{"total_fields":{"limit":20}}}}}"#
            ]],
        );
        of_fields(
            &json!("strict"),
            8,
            &[("limit", "10")],
            &expect![[
                r#"fields=`8` of at most `10` index=`i`: at the limit, no other one can be mapped; in the template: {"settings":{"index":{"mapping":{"total_fields":{"limit":20}}}}}"#
            ]],
        );
    }

    #[test]
    fn a_limit_of_fields_that_holds_nothing_back_is_warned_about() {
        of_fields(&json!(true), 3, &[("limit", "10000")], &expect!["nothing"]);
        of_fields(
            &json!(true),
            3,
            &[("limit", "9223372036854775807")],
            &expect![[
                r#"total_fields.limit=`9223372036854775807` index=`i`: documents that bring ever new names fill the memory of every node before it stops them; in the template: {"settings":{"index":{"mapping":{"total_fields":{"limit":1000}}}}}"#
            ]],
        );
        of_fields(
            &json!(true),
            600,
            &[("limit", "10001")],
            &expect![[
                r#"total_fields.limit=`10001` index=`i`: documents that bring ever new names fill the memory of every node before it stops them; in the template: {"settings":{"index":{"mapping":{"total_fields":{"limit":1200}}}}}"#
            ]],
        );
        of_fields(&json!(false), 3, &[("limit", "9223372036854775807")], &expect!["nothing"]);
    }

    #[test]
    fn the_request_is_for_where_the_change_belongs() {
        let said = [Place::Index("http://es", "a:b"), Place::Newest("http://es", "i-2"), Place::Template];
        let said = said.map(|place| place.strict()).join("\n");
        expect![[r#"
            curl -X PUT 'http://es/a%3Ab/_mapping' -H 'content-type: application/json' -d '{"dynamic":"strict"}'
            curl -X PUT 'http://es/i-2/_mapping' -H 'content-type: application/json' -d '{"dynamic":"strict"}', and likewise in the template of those to come
            in the template: {"mappings":{"dynamic":"strict"}}"#]].assert_eq(&said);
    }

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(encode("a:b/c é-*"), "a%3Ab%2Fc%20%C3%A9-*");
    }
}
