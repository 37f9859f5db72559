//! Records of several versions: defaults of fields that are absent, and versions that are not known.

use expect_test::expect;

use super::*;
use crate::record::Offset;

fn with(settings: DecodeSettings, paths: &[&str]) -> Decoder {
    Decoder::new(&settings, paths.iter().copied()).expect("the settings are right")
}

fn defaults(of: &[(&str, &str)]) -> DecodeSettings {
    let defaults = of.iter().map(|(path, json)| ((*path).to_owned(), (*json).to_owned())).collect();
    DecodeSettings { defaults, ..settings() }
}

#[test]
fn an_absent_field_has_its_default_in_every_kind_and_null_stays_null() {
    let decoder = with(
        defaults(&[("user.country", "\"un\\\"known\""), ("price", "2"), ("nobody", "1")]),
        &["user.country", "price", "user"],
    );
    let mut rows = table(
        &decoder,
        &[
            "{}",
            r#"{"user":{}}"#,
            r#"{"user":5}"#,
            r#"{"user":{"country":null},"price":null}"#,
            r#"{"user":{"country":"ch"},"price":3}"#,
        ],
    );
    let mut read = |path, kind| column(&decoder, &mut rows, path, kind).join(" ");
    assert_eq!(read("user.country", Kind::Text), "un\"known un\"known un\"known - ch");
    assert_eq!(read("user.country", Kind::Json), r#""un\"known" "un\"known" "un\"known" - "ch""#);
    assert_eq!(read("user.country", Kind::Presence), "there there there - there");
    assert_eq!(read("price", Kind::Integer), "2 2 2 - 3");
    assert_eq!(read("price", Kind::Float), "2.0 2.0 2.0 - 3.0");
    // What it lies in is as it came, and so is the document.
    assert_eq!(read("user", Kind::Json), r#"- {} 5 {"country":null} {"country":"ch"}"#);
    assert_eq!((document(&rows, 0), document(&rows, 1)), ("{}".to_owned(), r#"{"user":{}}"#.to_owned()));
}

#[test]
fn a_default_is_judged_as_a_value_of_the_record_is() {
    let decoder = with(defaults(&[("a", "\"x\"")]), &["a"]);
    let mut rows = table(&decoder, &["{}", r#"{"a":1}"#]);
    let (_, rejected) = read(&decoder, &mut rows, &[required("a", Kind::Integer)]);
    assert_eq!(
        rejected,
        ["0.0 field: a field is not of the kind that is read: field=`a`, expected=`integer`, found=`text`"]
    );
    let mut rows = table(&decoder, &["{}", r#"{"a":null}"#]);
    let (_, rejected) = read(&decoder, &mut rows, &[required("a", Kind::Text)]);
    assert_eq!(rejected, ["1.0 field: a required field is absent or null: field=`a`, expected=`text`"]);
}

#[test]
fn what_a_component_wrote_or_removed_has_no_default() {
    let decoder = with(defaults(&[("a.b", "1")]), &["a.b", "a", "a.c"]);
    let mut rows = table(&decoder, &["{}", "{}"]);
    write(&decoder, &mut rows, &[field("a.c", Kind::Text)], vec![texts(&[Some("x"), Some("x")])]);
    assert_eq!(column(&decoder, &mut rows, "a.b", Kind::Integer), ["1", "1"]);
    write(&decoder, &mut rows, &[field("a.b", Kind::Text)], vec![texts(&[Some("7"), None])]);
    assert_eq!(column(&decoder, &mut rows, "a.b", Kind::Text), ["7", "-"]);
    let mut rows = table(&decoder, &["{}"]);
    write(&decoder, &mut rows, &[field("a", Kind::Json)], vec![texts(&[Some("{}")])]);
    assert_eq!(column(&decoder, &mut rows, "a.b", Kind::Integer), ["-"]);
}

/// A name and a value.
type Header<'a> = (&'a [u8], Option<&'a [u8]>);

fn versions(path: &str, known: &[&str]) -> DecodeSettings {
    let known = known.iter().map(|known| (*known).to_owned()).collect();
    let event_time = "t".to_owned();
    DecodeSettings { schema_version: Some(path.to_owned()), schema_versions: known, event_time, ..settings() }
}

#[test]
fn a_version_that_is_not_known_is_a_rejection_before_the_event_time() {
    let decoder = with(versions("meta.v", &["1", "2.0", "é"]), &[]);
    let long = format!(r#"{{"t":1,"meta":{{"v":"{}"}}}}"#, "x".repeat(500));
    let values = [
        r#"{"t":1,"meta":{"v":"1"}}"#,
        r#"{"t":1,"meta":{"v":1}}"#,
        r#"{"t":1,"meta":{"v":2.0}}"#,
        r#"{"t":1,"meta":{"v":"\u00e9"}}"#,
        r#"{"meta":{"v":"3"}}"#,
        r#"{"t":1,"meta":{"v":2}}"#,
        r#"{"t":1}"#,
        r#"{"t":1,"meta":{"v":null}}"#,
        r#"{"t":1,"meta":{"v":{}}}"#,
        r#"{"meta":{"v":1}}"#,
        &long,
    ];
    let decoded = decode(&decoder, &values);
    expect![[r#"
        4.0 schema: the version of the record is not known: schema_version=`meta.v`, found=`3`, known=`"1", "2.0", "é"`
        5.0 schema: the version of the record is not known: schema_version=`meta.v`, found=`2`, known=`"1", "2.0", "é"`
        6.0 schema: the record has no version: schema_version=`meta.v`, known=`"1", "2.0", "é"`
        7.0 schema: the record has no version: schema_version=`meta.v`, known=`"1", "2.0", "é"`
        8.0 schema: the version of the record is not known: schema_version=`meta.v`, found=`{}`, known=`"1", "2.0", "é"`
        9.0 event-time: the event time is absent or null: field=`t`
        10.0 schema: the version of the record is not known: schema_version=`meta.v`, found=`xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, known=`"1", "2.0", "é"`"#]].assert_eq(&words(&decoded.rejected).join("\n"));
    assert_eq!(decoded.table.len(), 4);
    assert!(decoded.event_times[4..].iter().all(|time| *time == EventTime::MIN));
}

#[test]
fn a_version_in_a_header_and_none_at_all() {
    let judge = |known: &[&str]| {
        let mut builder = BatchBuilder::new(EventTime::from_micros(5));
        let headers: [&[Header<'_>]; 5] = [
            &[],
            &[(b"v", None)],
            &[(b"v", Some(b"1")), (b"v", Some(b"2"))],
            &[(b"v", Some(b"\xff"))],
            &[(b"V", Some(b"2"))],
        ];
        for (row, headers) in headers.iter().enumerate() {
            builder.push(Offset(row as i64), Some(EventTime::from_micros(1)), None, Some(b"{\"t\":1}"));
            headers.iter().for_each(|(name, value)| builder.header(name, *value));
        }
        let decoder = with(versions("$header.v", known), &[]);
        words(&decoder.decode(&Partition::new("events", 3), Arc::new(builder.finish())).rejected).join("\n")
    };
    expect![[r#"
        0.0 schema: the record has no version: schema_version=`$header.v`, known=`"2"`
        1.0 schema: the record has no version: schema_version=`$header.v`, known=`"2"`
        3.0 schema: the version of the record is not known: schema_version=`$header.v`, found=`�`, known=`"2"`
        4.0 schema: the record has no version: schema_version=`$header.v`, known=`"2"`"#]]
    .assert_eq(&judge(&["2"]));
    expect![[
        r#"3.0 schema: the version of the record is not known: schema_version=`$header.v`, found=`�`, known=`"", "2"`"#
    ]]
    .assert_eq(&judge(&["", "2"]));
}
