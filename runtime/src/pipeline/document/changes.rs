//! In which fields two documents differ.

use serde_json::Value;

/// So many are named.
const NAMED_MAX: usize = 20;

/// A field's path, before and after; none where it is not there.
pub(super) type Change<'a> = (String, Option<&'a Value>, Option<&'a Value>);

/// What differs, by path; objects are compared field by field.
pub(super) fn changes<'a>(before: &'a Value, after: &'a Value) -> Vec<Change<'a>> {
    let mut all = Vec::new();
    compare("", before, after, &mut all);
    all
}

fn compare<'a>(path: &str, before: &'a Value, after: &'a Value, all: &mut Vec<Change<'a>>) {
    let (Value::Object(fields), Value::Object(others)) = (before, after) else {
        if before != after {
            all.push((path.to_owned(), Some(before), Some(after)));
        }
        return;
    };
    let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, value) in fields {
        match others.get(name) {
            Some(other) => compare(&inside(name), value, other, all),
            None => all.push((inside(name), Some(value), None)),
        }
    }
    let added = others.iter().filter(|(name, _)| !fields.contains_key(*name));
    all.extend(added.map(|(name, value)| (inside(name), None, Some(value))));
}

/// `a=1, b=2 (was 3), without c`.
pub(super) fn told(changes: &[Change<'_>]) -> String {
    let one = |(path, before, after): &Change<'_>| match (before, after) {
        (_, None) => format!("without {path}"),
        (None, Some(after)) => format!("{path}={after}"),
        (Some(before), Some(after)) => format!("{path}={after} (was {before})"),
    };
    let mut told: Vec<String> = changes.iter().take(NAMED_MAX).map(one).collect();
    let more = changes.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        told.push(format!("and {more} fields more"));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_named_by_path() {
        let before = json!({ "a": 1, "o": { "x": 1, "y": [1] }, "gone": null });
        let after = json!({ "a": 1, "o": { "x": 2, "y": [1], "z": true } });
        assert_eq!(told(&changes(&before, &after)), "without gone, o.x=2 (was 1), o.z=true");
        assert!(changes(&before, &before).is_empty());
    }
}
