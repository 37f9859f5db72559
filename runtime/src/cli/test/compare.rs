//! What differs between lines that are expected and lines that were found: which is missing, which is there besides, and
//! what has changed in one.

use serde_json::{Map, Value};

/// Lines without a partner are compared with each other up to so many pairs.
const PAIRS_MAX: usize = 10_000;

/// Something that is not as it is expected.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Difference {
    Missing(Value),
    Unexpected(Value),
    /// The line that was found, and what differs in it.
    Changed {
        line: Value,
        fields: Vec<Changed>,
    },
    /// Text, line by line.
    Text {
        expected: String,
        found: String,
    },
}

/// A field, by its path; absent on one side.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Changed {
    pub path: String,
    pub expected: Option<Value>,
    pub found: Option<Value>,
}

/// Pairs each expected line with one that has all that it says, in any order; then those that are left with those that are
/// of the same thing, or most alike.
pub(super) fn lines(expected: &[Value], found: &[Value]) -> Vec<Difference> {
    let mut found: Vec<&Value> = found.iter().collect();
    let mut left: Vec<&Value> = Vec::new();
    for line in expected {
        match found.iter().position(|candidate| says(line, candidate)) {
            Some(place) => drop(found.remove(place)),
            None => left.push(line),
        }
    }
    let pairs = alike(&left, &found);
    let mut differences = Vec::new();
    for (place, line) in left.into_iter().enumerate() {
        differences.push(match pairs.iter().find(|(expected, _)| *expected == place) {
            Some((_, partner)) => {
                let other = found[*partner];
                Difference::Changed { line: other.clone(), fields: changed(line, other) }
            }
            None => Difference::Missing(line.clone()),
        });
    }
    let alone = (0..found.len()).filter(|place| !pairs.iter().any(|(_, partner)| partner == place));
    differences.extend(alone.map(|place| Difference::Unexpected(found[place].clone())));
    differences
}

/// Pairs of lines that are of the same thing, by their places: those that are most alike first.
fn alike(expected: &[&Value], found: &[&Value]) -> Vec<(usize, usize)> {
    if expected.len() * found.len() > PAIRS_MAX {
        return Vec::new();
    }
    let mut candidates: Vec<(usize, usize, usize)> = Vec::new();
    for (place, line) in expected.iter().enumerate() {
        let likeness = found.iter().enumerate().map(|(other, found)| (likeness(line, found), place, other));
        candidates.extend(likeness.filter(|(likeness, _, _)| *likeness > 0));
    }
    candidates.sort_by_key(|(likeness, place, other)| (std::cmp::Reverse(*likeness), *place, *other));
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (_, place, other) in candidates {
        if !pairs.iter().any(|pair| pair.0 == place || pair.1 == other) {
            pairs.push((place, other));
        }
    }
    pairs
}

/// Counters, of which those that are not named may be anything.
pub(super) fn counters(expected: &Map<String, Value>, found: &Map<String, Value>) -> Vec<Difference> {
    let (expected, found) = (Value::Object(expected.clone()), Value::Object(found.clone()));
    if says(&expected, &found) {
        return Vec::new();
    }
    vec![Difference::Changed { fields: changed(&expected, &found), line: found }]
}

/// Whether `found` has every key of `expected`, with the same value.
fn says(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().all(|(key, value)| found.get(key) == Some(value))
        }
        _ => expected == found,
    }
}

/// 0: these are different things. Lines of the same document, or of the same record, are more alike than any others.
fn likeness(expected: &Value, found: &Value) -> usize {
    let same = |key: &str| expected.get(key).map(|value| Some(value) == found.get(key));
    let named: Vec<bool> = ["_index", "_id", "origin", "output"].into_iter().filter_map(same).collect();
    if named.contains(&false) {
        return 0;
    }
    let is_one = expected.get("_id").is_some() || expected.get("origin").is_some();
    let all = leaves(expected);
    let says_little = |path: &str| ["_index", "output", "reason"].contains(&path);
    let alike = leaves(found).iter().filter(|leaf| !says_little(&leaf.0) && all.contains(leaf)).count();
    alike + if is_one { all.len() + 1 } else { 0 }
}

/// The fields that differ, of the keys that are expected.
fn changed(expected: &Value, found: &Value) -> Vec<Changed> {
    let wanted = |path: &str| expected.get(path.split('.').next().unwrap_or_default()).is_some();
    let (before, after) = (leaves(expected), leaves(found));
    let get = |leaves: &[(String, Value)], path: &str| {
        leaves.iter().find(|(other, _)| other == path).map(|(_, value)| value.clone())
    };
    let mut fields = Vec::new();
    for (path, value) in &before {
        let now = get(&after, path);
        if now.as_ref() != Some(value) {
            fields.push(Changed { path: path.clone(), expected: Some(value.clone()), found: now });
        }
    }
    for (path, value) in after.iter().filter(|(path, _)| wanted(path) && get(&before, path).is_none()) {
        fields.push(Changed { path: path.clone(), expected: None, found: Some(value.clone()) });
    }
    fields
}

/// The values of a line by their dotted paths; arrays are values.
fn leaves(line: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    collect("", line, &mut found);
    found
}

fn collect(path: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(&path, value, found);
            }
        }
        other => found.push((path.to_owned(), other.clone())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(id: &str, count: i32) -> Value {
        json!({"_index": "counts", "_id": id, "_source": {"count": count, "type": "view"}, "_text": "as it was"})
    }

    fn short(line: Value, keys: &[&str]) -> Value {
        Value::Object(keys.iter().map(|key| ((*key).to_owned(), line[*key].clone())).collect())
    }

    #[test]
    fn lines_match_in_any_order_by_what_they_say() {
        let expected = [short(document("b", 2), &["_id"]), short(document("a", 1), &["_source"])];
        assert_eq!(lines(&expected, &[document("a", 1), document("b", 7)]), []);
    }

    #[test]
    fn a_changed_document_is_told_by_its_fields() {
        let expected = [short(document("a", 1), &["_index", "_id", "_source"])];
        let fields = vec![Changed { path: "_source.count".into(), expected: Some(json!(1)), found: Some(json!(2)) }];
        assert_eq!(lines(&expected, &[document("a", 2)]), [Difference::Changed { line: document("a", 2), fields }]);
    }

    #[test]
    fn another_id_is_another_document_and_without_one_the_most_alike_is_meant() {
        let expected = [short(document("a", 1), &["_id", "_source"])];
        let (missing, more) = (Difference::Missing(expected[0].clone()), Difference::Unexpected(document("c", 1)));
        assert_eq!(lines(&expected, &[document("c", 1)]), [missing, more]);
        let expected = [short(document("a", 1), &["_source"])];
        let other = json!({"_id": "z", "_source": {"kind": "order"}});
        let Difference::Changed { line, fields } = &lines(&expected, &[other, document("a", 3)])[0] else { panic!() };
        assert_eq!((line, fields.len()), (&document("a", 3), 1));
    }

    #[test]
    fn the_most_alike_find_each_other_first() {
        let line = |count: i32, at: i32| json!({"_source": {"who": "ada", "count": count, "at": at}});
        let more = json!({"_source": {"who": "ada", "count": 2, "at": 2, "more": true}});
        let differences = lines(&[line(1, 1), line(2, 2)], &[more]);
        assert!(matches!(&differences[..], [Difference::Missing(_), Difference::Changed { .. }]), "{differences:?}");
    }

    #[test]
    fn what_is_there_besides_counts_inside_of_a_key_that_is_expected() {
        let expected = json!({"_id": "a", "_source": {"x": 1}});
        let found = json!({"_id": "a", "_source": {"x": 1, "y": {"z": 2}}, "_index": "i"});
        let Difference::Changed { fields, .. } = &lines(&[expected], &[found])[0] else { panic!() };
        assert_eq!(fields, &[Changed { path: "_source.y.z".into(), expected: None, found: Some(json!(2)) }]);
    }
}
