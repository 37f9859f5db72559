//! Fields that were written: documents, later readers, and what cannot be written.

use super::*;
use expect_test::expect;

/// Writes text to paths of one record, each in a layer of its own, `None` to remove; the document afterwards.
fn written(value: &str, edits: &[(&str, Option<&str>)]) -> String {
    let paths: Vec<_> = edits.iter().map(|(path, _)| *path).collect();
    let decoder = decoder(&paths);
    let mut table = table(&decoder, &[value]);
    for (path, text) in edits {
        let kept = write(&decoder, &mut table, &[field(path, Kind::Json)], vec![texts(&[*text])]);
        if !kept.rejected.is_empty() {
            return words(&kept.rejected).join("\n");
        }
    }
    let body = document(&table, 0);
    serde_json::from_str::<serde_json::Value>(&body).unwrap();
    body
}

#[test]
fn what_nobody_wrote_stays_as_it_came() {
    let value = r#" {"b" :  1.50, "a":"\u0041/\/", "c" : [ 1 ,2 ] , "d":{}} "#;
    assert_eq!(written(value, &[]), value.trim());
    assert_eq!(written("{\r\n  \"a\": 1,\n\t\"b\": [1,\n2]\n}\n", &[]), "{    \"a\": 1, \t\"b\": [1, 2] }");
}

#[test]
fn present_replaces_and_absent_removes() {
    let value = r#"{"a": 1, "b": {"x": 1, "y": 2}, "c": 3}"#;
    let check = |edits: &[(&str, Option<&str>)]| written(value, edits);
    let all = [
        check(&[("a", Some("9"))]),
        check(&[("c", Some("[]"))]),
        check(&[("a", None)]),
        check(&[("b", None)]),
        check(&[("c", None)]),
        check(&[("a", None), ("b", None)]),
        check(&[("b", None), ("c", None)]),
        check(&[("a", None), ("c", None)]),
        check(&[("a", None), ("b", None), ("c", None)]),
        check(&[("a", None), ("b", None), ("c", None), ("d", Some("4"))]),
        check(&[("a", None), ("b.x", None), ("d", Some("4"))]),
        check(&[("b.x", None), ("b.y", None), ("b.z", Some("5"))]),
        check(&[("b.y", None), ("c", Some("0")), ("a", None)]),
        check(&[("nope", None), ("b.nope", None), ("no.pe", None)]),
    ];
    expect![[r#"
        {"a": 9, "b": {"x": 1, "y": 2}, "c": 3}
        {"a": 1, "b": {"x": 1, "y": 2}, "c": []}
        {"b": {"x": 1, "y": 2}, "c": 3}
        {"a": 1, "c": 3}
        {"a": 1, "b": {"x": 1, "y": 2}}
        {"c": 3}
        {"a": 1}
        {"b": {"x": 1, "y": 2}}
        {}
        {"d":4}
        {"b": {"y": 2}, "c": 3,"d":4}
        {"a": 1, "b": {"z":5}, "c": 3}
        {"b": {"x": 1}, "c": 0}
        {"a": 1, "b": {"x": 1, "y": 2}, "c": 3}"#]]
    .assert_eq(&all.join("\n"));
}

#[test]
fn missing_paths_are_made() {
    let check = |value: &str| {
        let edits =
            [("u.geo.country", Some("1")), ("u.geo.city", Some("2")), ("u.id", Some("3")), ("t.a.b", Some("4"))];
        written(value, &edits)
    };
    let all = [
        check("{}"),
        check(r#"{ "x" : 0 }"#),
        check(r#"{"u":{},"x":0}"#),
        check(r#"{"u":{"geo":{"zip":1}},"x":0}"#),
        check(r#"{"u":null,"x":0}"#),
        check(r#"{"u":{"geo":null , "id":7},"t":{"a":{"b":{}}}}"#),
        check(r#"{"u":5}"#),
    ];
    expect![[r#"
        {"t":{"a":{"b":4}},"u":{"geo":{"city":2,"country":1},"id":3}}
        { "x" : 0 ,"t":{"a":{"b":4}},"u":{"geo":{"city":2,"country":1},"id":3}}
        {"u":{"geo":{"city":2,"country":1},"id":3},"x":0,"t":{"a":{"b":4}}}
        {"u":{"geo":{"zip":1,"city":2,"country":1},"id":3},"x":0,"t":{"a":{"b":4}}}
        {"u":{"geo":{"city":2,"country":1},"id":3},"x":0,"t":{"a":{"b":4}}}
        {"u":{"geo":{"city":2,"country":1} , "id":3},"t":{"a":{"b":4}}}
        0.0 plugin: a single value is where a plugin writes into an object: object=`u`, found=`number`, field=`u.geo.country`"#]].assert_eq(&all.join("\n"));
}

#[test]
fn a_repeated_key_is_written_once() {
    let all = [
        written(r#"{"a":1,"b":2,"a":3}"#, &[("a", Some("9"))]),
        written(r#"{"a":1,"b":2,"\u0061":3, "a" : 4}"#, &[("a", Some("9"))]),
        written(r#"{"a":1,"b":2,"a":3}"#, &[("a", None)]),
        written(r#"{"a":1,"a":3}"#, &[("a", None), ("b", Some("1"))]),
        written(r#"{"u":{"a":1},"u":{"a":2,"a":3}}"#, &[("u.a", Some("9"))]),
        written(r#"{"\u0061":1,"b":2}"#, &[("a", None)]),
        written(r#"{"x\"a":1,"a":2}"#, &[("a", None)]),
    ];
    expect![[r#"
        {"b":2,"a":9}
        {"b":2, "a" : 9}
        {"b":2}
        {"b":1}
        {"u":{"a":1},"u":{"a":9}}
        {"b":2}
        {"x\"a":1}"#]]
    .assert_eq(&all.join("\n"));
}

#[test]
fn later_writes_win_over_what_they_touch() {
    let all = [
        written(r#"{"u":{"a":1}}"#, &[("u.a", Some("2")), ("u", Some(r#"{"b":3}"#))]),
        written(r#"{"u":{"a":1}}"#, &[("u", Some(r#"{"b":3}"#)), ("u.a", Some("2"))]),
        written(r#"{"u":{"a":1}}"#, &[("u", None), ("u.a", Some("2"))]),
        written(r#"{"u":{"a":1}}"#, &[("u", Some("5")), ("u.a", Some("2"))]),
        written(r#"{"u":{"a":1}}"#, &[("u", Some(r#"{"b":{"c":1}}"#)), ("u.b", None), ("u.b.c", Some("7"))]),
        written(r#"{"a":1}"#, &[("a", Some("2")), ("a", None), ("a", Some("3"))]),
    ];
    expect![[r#"
        {"u":{"b":3}}
        {"u":{"b":3,"a":2}}
        {"u":{"a":2}}
        0.0 plugin: a single value is where a plugin writes into an object: object=`u`, found=`number`, field=`u.a`
        {"u":{"b":{"c":7}}}
        {"a":3}"#]]
    .assert_eq(&all.join("\n"));
}

#[test]
fn an_object_and_a_scalar_do_not_replace_each_other() {
    let decoder = decoder(&["u", "u.id"]);
    let mut table = table(&decoder, &[r#"{"u":{}}"#, r#"{"u":1}"#, r#"{"u":null}"#, r#"{"u":[]}"#, "{}"]);
    let mut other = table.clone();
    let kept = write(&decoder, &mut table, &[field("u", Kind::Text)], vec![texts(&[Some("x"); 5])]);
    assert_eq!(
        words(&kept.rejected),
        ["0.0 plugin: an object is where a plugin writes a single value: found=`object`, field=`u`"]
    );
    assert_eq!(document(&table, 2), r#"{"u":"x"}"#);
    let kept = write(&decoder, &mut other, &[field("u.id", Kind::Integer)], vec![integers(&[0, 1, 2, 3, 4])]);
    expect![[r#"
        1.0 plugin: a single value is where a plugin writes into an object: object=`u`, found=`number`, field=`u.id`
        3.0 plugin: a single value is where a plugin writes into an object: object=`u`, found=`array`, field=`u.id`"#]]
    .assert_eq(&words(&kept.rejected).join("\n"));
    assert_eq!(
        [0, 1, 2].map(|row| document(&other, row)),
        [r#"{"u":{"id":0}}"#, r#"{"u":{"id":2}}"#, r#"{"u":{"id":4}}"#]
    );
    // Now it is an object everywhere, and removing it is never in anything's way.
    let kept = write(&decoder, &mut other, &[field("u", Kind::Text)], vec![texts(&[Some("x"), None, Some("x")])]);
    assert_eq!((kept.rejected.len(), document(&other, 0)), (2, "{}".to_owned()));
}

#[test]
fn what_json_cannot_say_is_rejected_row_by_row() {
    let decoder = decoder(&["f", "j", "t"]);
    let mut table = table(&decoder, &["{}"; 4]);
    let fields = [field("f", Kind::Float), field("j", Kind::Json), field("t", Kind::Timestamp)];
    let columns = vec![
        Column { values: Values::Floats(vec![1.0, f64::NAN, 2.5, 3.0]), present: Vec::new() },
        texts(&[Some("{}"), Some("["), Some("1 2"), None]),
        integers(&[1_000_000, 0, 0, i64::MIN]),
    ];
    let kept = write(&decoder, &mut table, &fields, columns);
    expect![[r#"
        1.0 plugin: a float is not finite: value=`NaN`, field=`f`
        2.0 plugin: a value is not valid JSON, something follows the end of the value: byte=`2`, field=`j`
        3.0 plugin: a timestamp is not in the years 1 to 9999: microseconds=`-9223372036854775808`, field=`t`"#]]
    .assert_eq(&words(&kept.rejected).join("\n"));
    assert_eq!((table.len(), document(&table, 0)), (1, r#"{"f":1.0,"j":{},"t":"1970-01-01T00:00:01Z"}"#.to_owned()));
}

#[test]
fn later_readers_see_what_was_written() {
    let decoder = decoder(&["u", "u.id", "u.name", "u.at", "n"]);
    let mut table = table(&decoder, &[r#"{"u":{"id":1,"x":0},"n":1}"#, r#"{"u":{"name":"old"}}"#]);
    let fields = [field("u.id", Kind::Integer), field("u.at", Kind::Timestamp), field("n", Kind::Json)];
    let at = Column { values: Values::Integers(vec![0, 1_500_000]), present: vec![0, 1] };
    write(&decoder, &mut table, &fields, vec![integers(&[7, 8]), at, texts(&[Some("null"), Some("[ 1]")])]);
    assert_eq!(column(&decoder, &mut table, "u.id", Kind::Integer), ["7", "8"]);
    assert_eq!(column(&decoder, &mut table, "u.id", Kind::Text), ["7", "8"]);
    assert_eq!(column(&decoder, &mut table, "u.at", Kind::Timestamp), ["-", "1500000"]);
    assert_eq!(column(&decoder, &mut table, "u.at", Kind::Text), ["-", "1970-01-01T00:00:01.5Z"]);
    assert_eq!(column(&decoder, &mut table, "u.name", Kind::Text), ["-", "old"]);
    assert_eq!(column(&decoder, &mut table, "n", Kind::Json), ["-", "[ 1]"]);
    assert_eq!(column(&decoder, &mut table, "n", Kind::Presence), ["-", "there"]);
    assert_eq!(
        column(&decoder, &mut table, "u", Kind::Json),
        [r#"{"id":7,"x":0}"#, r#"{"name":"old","at":"1970-01-01T00:00:01.5Z","id":8}"#]
    );
    write(&decoder, &mut table, &[field("u", Kind::Json)], vec![texts(&[Some(r#"{"name":"new"}"#), None])]);
    assert_eq!(column(&decoder, &mut table, "u.name", Kind::Text), ["new", "-"]);
    assert_eq!(column(&decoder, &mut table, "u.id", Kind::Text), ["-", "-"]);
}

#[test]
fn written_values_cross_kinds_like_all_others() {
    let decoder = decoder(&["a"]);
    let cross = |kind, column: Column, as_kind| {
        let mut table = table(&decoder, &["{}"]);
        write(&decoder, &mut table, &[field("a", kind)], vec![column]);
        let (columns, rejected) = read(&decoder, &mut table, &[field("a", as_kind)]);
        rejected.first().cloned().unwrap_or_else(|| shown(&columns.columns[0], 0))
    };
    assert_eq!(cross(Kind::Bytes, texts(&[Some("ab")]), Kind::Bytes), "ab");
    assert_eq!(cross(Kind::Bytes, texts(&[Some("ab")]), Kind::Text), "YWI=");
    assert_eq!(cross(Kind::Text, texts(&[Some("a\n\"")]), Kind::Json), r#""a\n\"""#);
    assert_eq!(cross(Kind::Json, texts(&[Some(r#""a\n""#)]), Kind::Text), "a\n");
    assert_eq!(cross(Kind::Integer, integers(&[1_700_000_000]), Kind::Timestamp), "1700000000000000");
    assert!(cross(Kind::Text, texts(&[Some("x")]), Kind::Integer).contains("found=`text`"));
}

#[test]
fn writers_that_contradict_themselves_are_refused() {
    let decoder = decoder(&["a", "a.b", "$key"]);
    let error = |fields: &[Field]| decoder.writes(fields).unwrap_err().to_string();
    assert!(error(&[field("a.b", Kind::Text), field("a", Kind::Json)]).contains("one=`a`, other=`a.b`"));
    assert!(error(&[field("a", Kind::Text), field("a", Kind::Text)]).contains("one=`a`, other=`a`"));
    assert!(error(&[field("a", Kind::Presence)]).contains("write a boolean"));
    assert_eq!(
        error(&[field("$key", Kind::Text)]),
        r"a plugin writes what is the record's own: field=`$key`; a field of this name is written `\$key`"
    );
}
