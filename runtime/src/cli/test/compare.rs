//! What differs between lines that are expected and lines that were found: which is missing, which is there besides, and
//! what has changed in one.

use std::collections::BTreeSet;

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

/// What differs between lines that are expected and lines that were found, in any order.
pub(super) fn lines(expected: &[Value], found: &[Value]) -> Vec<Difference> {
    let partners = partners(expected, found);
    let mut differences = Vec::new();
    for (line, partner) in expected.iter().zip(&partners) {
        match partner.and_then(|partner| found.get(partner)) {
            Some(other) if says(line, other) => {}
            Some(other) => {
                differences.push(Difference::Changed { line: other.clone(), fields: changed(line, other) });
            }
            None => differences.push(Difference::Missing(line.clone())),
        }
    }
    differences.extend(alone(&partners, found).map(|line| Difference::Unexpected(line.clone())));
    differences
}

/// The text of a file as it would be right: a line that is right stays as it is written, one that has changed says as much as
/// before, and what nobody expected comes last.
pub(super) fn righted(text: &str, expected: &[Value], found: &[Value]) -> String {
    let written = text.lines().filter(|line| !line.trim().is_empty());
    let partners = partners(expected, found);
    let mut righted = String::new();
    for ((written, line), partner) in written.zip(expected).zip(&partners) {
        match partner.and_then(|partner| found.get(partner)) {
            Some(other) if says(line, other) => righted += &format!("{written}\n"),
            Some(other) => {
                let keys = line.as_object().into_iter().flat_map(Map::keys);
                let said = keys.filter_map(|key| Some((key.clone(), other.get(key)?.clone())));
                righted += &format!("{}\n", Value::Object(said.collect()));
            }
            None => {}
        }
    }
    alone(&partners, found).for_each(|line| righted += &format!("{line}\n"));
    righted
}

/// The place of the found line that is meant by each expected one: one that has all that it says; else one that is of the same
/// thing, or most alike.
fn partners(expected: &[Value], found: &[Value]) -> Vec<Option<usize>> {
    let mut free: Vec<usize> = (0..found.len()).collect();
    let mut partners: Vec<Option<usize>> = Vec::new();
    for line in expected {
        let place = free.iter().position(|place| says(line, &found[*place]));
        partners.push(place.map(|place| free.remove(place)));
    }
    let left: Vec<usize> = (0..expected.len()).filter(|place| partners[*place].is_none()).collect();
    let of =
        |places: &[usize], lines: &'_ [Value]| places.iter().map(|place| lines[*place].clone()).collect::<Vec<_>>();
    let (unmatched, others) = (of(&left, expected), of(&free, found));
    for (line, other) in alike(&unmatched, &others) {
        partners[left[line]] = Some(free[other]);
    }
    partners
}

/// Lines that were found, and that nobody expects.
fn alone<'a>(partners: &[Option<usize>], found: &'a [Value]) -> impl Iterator<Item = &'a Value> {
    let taken: BTreeSet<usize> = partners.iter().flatten().copied().collect();
    found.iter().enumerate().filter(move |(place, _)| !taken.contains(place)).map(|(_, line)| line)
}

/// Pairs of lines that are of the same thing, by their places: those that are most alike first.
fn alike(expected: &[Value], found: &[Value]) -> Vec<(usize, usize)> {
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
    fn what_is_blessed_changes_no_line_that_is_right() {
        let before =
            "{ \"_source\": {\"b\": 2, \"a\": 1} }\n{\"_id\": \"y\", \"_source\": {\"c\": 1}}\n\n{\"_id\": \"gone\"}\n";
        let expected: Vec<Value> = before
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let found = [
            json!({"_id": "new", "_index": "i"}),
            json!({"_id": "y", "_index": "i", "_source": {"c": 2}}),
            json!({"_id": "x", "_index": "i", "_source": {"a": 1, "b": 2}}),
        ];
        let after = "{ \"_source\": {\"b\": 2, \"a\": 1} }\n{\"_id\":\"y\",\"_source\":{\"c\":2}}\n{\"_id\":\"new\",\"_index\":\"i\"}\n";
        assert_eq!(righted(before, &expected, &found), after);
    }

    #[test]
    fn what_is_there_besides_counts_inside_of_a_key_that_is_expected() {
        let expected = json!({"_id": "a", "_source": {"x": 1}});
        let found = json!({"_id": "a", "_source": {"x": 1, "y": {"z": 2}}, "_index": "i"});
        let Difference::Changed { fields, .. } = &lines(&[expected], &[found])[0] else { panic!() };
        assert_eq!(fields, &[Changed { path: "_source.y.z".into(), expected: None, found: Some(json!(2)) }]);
    }
}
