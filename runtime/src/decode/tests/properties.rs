//! Random records, paths and edits against plain trees and another parser.

use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value};

const NAMES: [&str; 6] = ["a", "b", "user_id", "x.y", "q\"\\", "größe of more than sixteen bytes"];

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(NAMES.as_slice()).prop_map(str::to_owned)
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,20}", "[ -~]{0,90}", "\\PC{0,12}", "[a\"\\\\\n\t\u{1}é]{0,40}"]
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        any_text().prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn record() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(), value(), 0..6).prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn segments() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(name(), 1..4)
}

fn path(segments: &[String]) -> String {
    let escape = |segment: &String| segment.replace('\\', "\\\\").replace('.', "\\.");
    segments.iter().map(escape).collect::<Vec<_>>().join(".")
}

/// Spells a value with white space and escapes that the random bytes ask for.
fn spell(value: &Value, random: &mut impl Iterator<Item = u8>, json: &mut String) {
    fn space(random: &mut impl Iterator<Item = u8>, json: &mut String) {
        json.push_str(["", "", "", " ", "\n", "\r\n\t", "  "][usize::from(random.next().unwrap_or(0) % 7)]);
    }
    fn text(text: &str, random: &mut impl Iterator<Item = u8>, json: &mut String) {
        json.push('"');
        for character in text.chars() {
            if random.next().unwrap_or(1).is_multiple_of(11) {
                let mut units = [0; 2];
                let units = character.encode_utf16(&mut units).iter();
                json.extend(units.map(|unit| format!("\\u{unit:04x}")));
            } else {
                let quoted = serde_json::to_string(&character).unwrap();
                json.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
        json.push('"');
    }
    space(random, json);
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => json.push_str(&value.to_string()),
        Value::String(string) => text(string, random, json),
        Value::Array(values) => {
            json.push('[');
            for (at, value) in values.iter().enumerate() {
                json.push_str(if at > 0 { "," } else { "" });
                spell(value, random, json);
            }
            space(random, json);
            json.push(']');
        }
        Value::Object(members) => {
            json.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                json.push_str(if at > 0 { "," } else { "" });
                space(random, json);
                text(name, random, json);
                space(random, json);
                json.push(':');
                spell(value, random, json);
            }
            space(random, json);
            json.push('}');
        }
    }
    space(random, json);
}

fn spelled(value: &Value, random: &[u8]) -> String {
    let mut json = String::new();
    spell(value, &mut random.iter().copied().cycle().take(if random.is_empty() { 0 } else { usize::MAX }), &mut json);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), *value, "{json}");
    json
}

/// What a path names in a tree; none for null.
fn find<'a>(tree: &'a Value, segments: &[String]) -> Option<&'a Value> {
    segments.iter().try_fold(tree, |tree, segment| tree.as_object()?.get(segment)).filter(|value| !value.is_null())
}

/// The edit on a tree; false (and no change) where a single value is in the way.
fn edit(tree: &mut Map<String, Value>, segments: &[String], value: Option<&Value>) -> bool {
    let (name, rest) = segments.split_first().unwrap();
    if rest.is_empty() {
        match value {
            Some(value) => tree.insert(name.clone(), value.clone()),
            None => tree.remove(name),
        };
        return true;
    }
    match (tree.get_mut(name), value) {
        (Some(Value::Object(inner)), _) => edit(inner, rest, value),
        (None | Some(Value::Null), Some(_)) => {
            let mut inner = Map::new();
            edit(&mut inner, rest, value);
            tree.insert(name.clone(), Value::Object(inner));
            true
        }
        (Some(_), Some(_)) => false,
        (_, None) => true,
    }
}

/// The tree after some edits: those that a later one replaces leave nothing behind, not even an object on their way.
fn edited(tree: &Map<String, Value>, edits: &[(Vec<String>, Option<Value>)]) -> Map<String, Value> {
    let mut tree = tree.clone();
    for (at, (segments, value)) in edits.iter().enumerate() {
        if !edits[at + 1..].iter().any(|(later, _)| segments.starts_with(later)) {
            assert!(edit(&mut tree, segments, value.as_ref()));
        }
    }
    tree
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn fields_are_found_where_a_tree_has_them(
        tree in record(), paths in prop::collection::vec(segments(), 1..6), random in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let json = spelled(&tree, &random);
        let names: Vec<_> = paths.iter().map(|segments| path(segments)).collect();
        let decoder = Decoder::new(&settings(), names.iter().map(String::as_str)).unwrap();
        let mut table = table(&decoder, &[&json]);
        for (segments, name) in paths.iter().zip(&names) {
            let expected = find(&tree, segments);
            let found = column(&decoder, &mut table, name, Kind::Json).concat();
            let found = (found != "-").then(|| serde_json::from_str::<Value>(&found).unwrap());
            prop_assert_eq!(found.as_ref(), expected, "{} in {}", name, json);
            if let Some(Value::String(text)) = expected {
                prop_assert_eq!(&column(&decoder, &mut table, name, Kind::Text).concat(), text);
            }
        }
    }

    #[test]
    fn documents_are_what_the_same_edits_make_of_a_tree(
        tree in record(),
        edits in prop::collection::vec((segments(), prop::option::of(value())), 0..6),
        at_once in any::<bool>(),
        random in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let json = spelled(&tree, &random);
        let names: Vec<_> = edits.iter().map(|(segments, _)| path(segments)).collect();
        let decoder = Decoder::new(&settings(), names.iter().map(String::as_str)).unwrap();
        let mut table = table(&decoder, &[&json]);
        let Value::Object(tree) = tree else { unreachable!("records are objects") };
        let fields: Vec<_> = names.iter().map(|name| field(name, Kind::Json)).collect();
        let columns: Vec<_> = edits
            .iter()
            .map(|(_, value)| texts(&[value.as_ref().map(|value| spelled(value, &random)).as_deref()]))
            .collect();
        let mut fits = true;
        if at_once && decoder.writes(&fields).is_ok() {
            // Judged against the record as it was, not against each other: in different fields nothing can collide.
            fits = edits.iter().all(|(segments, value)| edit(&mut tree.clone(), segments, value.as_ref()));
            let kept = write(&decoder, &mut table, &fields, columns);
            prop_assert_eq!(kept.rejected.is_empty(), fits, "{:?} in {}", kept, json);
        } else {
            for (at, (field, column)) in fields.into_iter().zip(columns).enumerate() {
                let (segments, value) = &edits[at];
                fits = edit(&mut edited(&tree, &edits[..at]), segments, value.as_ref());
                let kept = write(&decoder, &mut table, &[field], vec![column]);
                prop_assert_eq!(kept.rejected.is_empty(), fits, "{:?} in {}", kept, json);
                if !fits {
                    break;
                }
            }
        }
        prop_assert_eq!(table.is_empty(), !fits);
        if fits {
            let tree = Value::Object(edited(&tree, &edits));
            let body = document(&table, 0);
            prop_assert!(!body.contains(['\n', '\r']));
            prop_assert_eq!(&serde_json::from_str::<Value>(&body).unwrap(), &tree, "{}", body);
            for (segments, name) in edits.iter().map(|(segments, _)| segments).zip(&names) {
                let found = column(&decoder, &mut table, name, Kind::Json).concat();
                let found = (found != "-").then(|| serde_json::from_str::<Value>(&found).unwrap());
                prop_assert_eq!(found.as_ref(), find(&tree, segments));
            }
        }
    }

    #[test]
    fn what_is_json_is_what_another_parser_takes(
        tree in record(),
        random in prop::collection::vec(any::<u8>(), 0..64),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3, any::<prop::sample::Index>()), 0..3),
        names in prop::collection::vec(segments(), 0..3),
    ) {
        const BYTES: &[u8] = b"{}[]:,\"\\ \n\t0123456789.eE+-truefalsnul/\0\x1f\x7f\xc3\xa9\xff\xed\xa0\x80xX";
        let mut json = spelled(&tree, &random).into_bytes();
        for (at, change, byte) in changes {
            let (at, byte) = (at.index(json.len().max(1)), *byte.get(BYTES));
            match change {
                0 if at < json.len() => json[at] = byte,
                1 if at < json.len() => { json.remove(at); }
                _ => json.insert(at, byte),
            }
        }
        // It passes over values without judging UTF-8, the size of numbers or halves of surrogate pairs.
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&json).is_ok() && str::from_utf8(&json).is_ok();
        let is_object = is_json && json.trim_ascii_start().first() == Some(&b'{');
        let names: Vec<_> = names.iter().map(|segments| path(segments)).collect();
        let decoder = Decoder::new(&settings(), names.iter().map(String::as_str)).unwrap();
        let decoded = decoder.decode(&Partition::new("t", 0), batch(&[&json]));
        prop_assert_eq!(decoded.rejected.is_empty(), is_object, "{:?} {}", decoded.rejected, String::from_utf8_lossy(&json));
        prop_assert_eq!(decoded.table.len(), usize::from(is_object));
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
        let decoder = decoder(&["a", "b.a"]);
        decoder.decode(&Partition::new("t", 0), batch(&[&bytes]));
        // And every beginning of a good record.
        let good = br#"{"a":[1.5e-3,"\u00e9\n",{"x":null}],"b":{"a":true,"c":"more than sixteen bytes of text"}}"#;
        let part = &good[..cut.index(good.len())];
        prop_assert_eq!(decoder.decode(&Partition::new("t", 0), batch(&[part])).rejected.len(), 1);
    }
}
