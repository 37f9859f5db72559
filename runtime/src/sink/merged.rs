//! What an update without a script does to a document, for those that stand in for an index.

use serde_json::{Map, Value};

/// The JSON of a document after an update: objects are merged, everything else is replaced. Text that is no JSON object replaces all.
pub fn merged(before: Option<&[u8]>, change: &[u8]) -> Vec<u8> {
    let object = |text: &[u8]| serde_json::from_slice::<Map<String, Value>>(text).ok();
    match (before.and_then(object), object(change)) {
        (Some(mut before), Some(change)) => {
            merge(&mut before, change);
            Value::Object(before).to_string().into_bytes()
        }
        (None, _) | (_, None) => change.to_vec(),
    }
}

fn merge(before: &mut Map<String, Value>, change: Map<String, Value>) {
    for (name, value) in change {
        match (before.get_mut(&name), value) {
            (Some(Value::Object(before)), Value::Object(change)) => merge(before, change),
            (_, value) => drop(before.insert(name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_merged_and_the_rest_is_replaced() {
        let after = |before: Option<&str>, change: &str| {
            String::from_utf8(merged(before.map(str::as_bytes), change.as_bytes())).expect("text")
        };
        let before = r#"{"a":1,"o":{"x":1,"y":[1]}}"#;
        assert_eq!(after(Some(before), r#"{"a":2,"o":{"y":[2],"z":{}}}"#), r#"{"a":2,"o":{"x":1,"y":[2],"z":{}}}"#);
        assert_eq!(after(Some(before), r#"{"o":null}"#), r#"{"a":1,"o":null}"#);
        assert_eq!(after(None, "{}"), "{}");
    }
}
