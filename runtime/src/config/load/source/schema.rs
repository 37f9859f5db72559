//! What `[source.decode]` says about records of several versions: defaults of fields, and the versions that are known.

use std::cell::RefCell;
use std::collections::BTreeMap;

use toml::de::DeValue;

use crate::config::reader::Value;
use crate::config::values::{field_path, path_trouble};

/// Paths, and values as JSON text.
pub(super) fn defaults(value: &Value<'_>, event_time: Option<&str>) -> Option<BTreeMap<String, String>> {
    let entries = value.section().take_all();
    let DeValue::Table(_) = value.value else { return None };
    entries.iter().map(|entry| default(entry, event_time)).collect::<Vec<_>>().into_iter().collect()
}

fn default(entry: &Value<'_>, event_time: Option<&str>) -> Option<(String, String)> {
    let path = entry.key;
    if path.starts_with('$') {
        return entry.wrong(format!("the record's own has no default: `{path}`"), "name a field of the value");
    }
    if let Some(hint) = path_trouble(path) {
        return entry.wrong(format!("not a field's path: `{path}`"), hint);
    }
    if event_time == Some(path) {
        return entry.wrong("the event time has no default", "a record without one is a dead letter");
    }
    let json = match entry.value {
        DeValue::String(_) => serde_json::Value::String(entry.text()?.into_string()),
        DeValue::Integer(_) => entry.integer()?.into(),
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(serde_json::Number::from_f64) {
            Some(number) => serde_json::Value::Number(number),
            None => return entry.wrong(format!("`{path}` is not a finite number"), "JSON has no others"),
        },
        DeValue::Boolean(boolean) => (*boolean).into(),
        DeValue::Datetime(datetime) => serde_json::Value::String(datetime.to_string()),
        DeValue::Array(_) => return entry.expected("a text, a number, a boolean or a time"),
        DeValue::Table(_) => {
            return entry.wrong(format!("`{path}` is a table"), "put the whole path in quotes: \"user.country\" = …");
        }
    };
    Some((path.to_owned(), json.to_string()))
}

pub(super) fn version(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if text.starts_with('$') && !text.starts_with("$header.") {
        return text.wrong("not the version of a record", "a field of the value, or `$header.NAME`");
    }
    field_path(text)
}

pub(super) fn versions(value: &Value<'_>) -> Option<Vec<String>> {
    let seen = RefCell::new(Vec::<String>::new());
    let versions = value.list(|item| {
        let text = item.text()?;
        if seen.borrow().iter().any(|seen| **seen == *text) {
            return text.wrong("a version that is named twice", "");
        }
        seen.borrow_mut().push((*text).to_owned());
        Some(text.into_string())
    })?;
    if versions.is_empty() {
        return value.wrong("`schema_versions` is empty", "every record would be a dead letter");
    }
    Some(versions)
}
