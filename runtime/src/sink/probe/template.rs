//! Index templates, as a file has them or the index lists them: which names one is for, and what it makes.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// As `PUT _index_template` takes it.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct IndexTemplate(Value);

impl IndexTemplate {
    /// None where it cannot be read: `check` tells that of every such file, and `run` installs it before.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Where the name has `*` in it: for some of the names that are meant, at least.
    pub fn is_for(&self, name: &str) -> bool {
        match self.0.get("index_patterns") {
            Some(Value::String(pattern)) => may_match(pattern, name),
            Some(Value::Array(patterns)) => {
                patterns.iter().filter_map(Value::as_str).any(|pattern| may_match(pattern, name))
            }
            Some(_) | None => false,
        }
    }

    /// Of several that are for a name, the one with the highest makes the index.
    pub fn priority(&self) -> u64 {
        self.0.get("priority").and_then(Value::as_u64).unwrap_or_default()
    }

    pub fn is_of_data_stream(&self) -> bool {
        self.0.get("data_stream").is_some_and(Value::is_object)
    }

    /// What it makes. None where it is composed of others, which the index alone knows.
    pub fn made(&self) -> Option<&Value> {
        let others = self.0.get("composed_of").and_then(Value::as_array);
        others.is_none_or(Vec::is_empty).then(|| self.0.get("template").unwrap_or(&Value::Null))
    }
}

/// Settings by their whole names without `index.`, however they are nested.
pub(super) fn flat(settings: &Value) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    let mut rest = vec![(String::new(), settings)];
    while let Some((name, value)) = rest.pop() {
        let text = match value {
            Value::Object(below) => {
                rest.extend(below.iter().map(|(key, value)| (format!("{name}.{key}"), value)));
                continue;
            }
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => value.to_string(),
        };
        let name = name.trim_start_matches('.');
        flat.insert(name.strip_prefix("index.").unwrap_or(name).to_owned(), text);
    }
    flat
}

/// Whether both may mean one name: `*` stands for any text.
pub(super) fn may_match(pattern: &str, name: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_may_be_for_some_of_the_names() {
        let may = |pattern| may_match(pattern, "events-*-2025");
        assert_eq!(["*", "events-*", "events-a-*", "events-a-2025", "*-2025"].map(may), [true; 5]);
        assert_eq!(["event", "others-*", "events-a-2024", "*-2024", ""].map(may), [false; 5]);
        assert!(may_match("ev*s", "events") && !may_match("ev*x", "events"));
    }

    #[test]
    fn a_template_says_which_names_it_is_for_and_what_it_makes() {
        let is_for = |patterns: Value| IndexTemplate(json!({ "index_patterns": patterns })).is_for("i-1");
        assert_eq!([json!("i-*"), json!(["a", "i-1"])].map(is_for), [true; 2]);
        assert_eq!([json!("a"), json!([]), json!(null)].map(is_for), [false; 3]);
        let of = |template: Value| {
            let template = IndexTemplate(template);
            (template.priority(), template.is_of_data_stream(), template.made().is_some())
        };
        assert_eq!(of(json!({})), (0, false, true));
        assert_eq!(of(json!({ "priority": 7, "data_stream": {}, "composed_of": ["a"] })), (7, true, false));
    }

    #[test]
    fn settings_have_one_name_however_they_are_written() {
        let wanted: BTreeMap<String, String> = [("number_of_replicas".to_owned(), "0".to_owned())].into();
        for settings in [
            json!({ "number_of_replicas": 0 }),
            json!({ "index": { "number_of_replicas": "0" } }),
            json!({ "index.number_of_replicas": 0, "index": { "refresh_interval": null } }),
        ] {
            assert_eq!(flat(&settings), wanted, "{settings}");
        }
        assert_eq!(flat(&Value::Null), BTreeMap::new());
    }
}
