//! What readers get, and what is rejected for them.

use super::*;
use expect_test::expect;

#[test]
fn one_path_can_be_read_in_several_kinds() {
    let decoder = decoder(&["a", "u.id", "u"]);
    let mut table = table(&decoder, &[r#"{"a":3.0,"u":{"id":"x","n":[1, 2]}}"#, r#"{"a":null}"#, r#"{"u":{"id":7}}"#]);
    let fields = [
        field("a", Kind::Integer),
        field("a", Kind::Text),
        field("a", Kind::Float),
        field("a", Kind::Presence),
        field("u.id", Kind::Text),
        field("u", Kind::Json),
        field("u", Kind::Presence),
    ];
    let (columns, rejected) = read(&decoder, &mut table, &fields);
    assert_eq!(rejected, [""; 0]);
    let rows = (0..3).map(|row| columns.columns.iter().map(|column| shown(column, row)).collect::<Vec<_>>().join(" "));
    expect![[r#"
        3 3.0 3.0 there x {"id":"x","n":[1, 2]} there
        - - - - - - -
        - - - - 7 {"id":7} there"#]]
    .assert_eq(&rows.collect::<Vec<_>>().join("\n"));
}

#[test]
fn rows_that_fail_a_reader_leave_the_table() {
    let decoder = decoder(&["a", "b"]);
    let values = [r#"{"a":1,"b":"x"}"#, r#"{"b":"x"}"#, r#"{"a":"1"}"#, r#"{"a":4}"#, r#"{"a":5,"b":[]}"#];
    let mut table = table(&decoder, &values);
    let (columns, rejected) = read(
        &decoder,
        &mut table,
        &[required("a", Kind::Integer), field("b", Kind::Text), required("$topic", Kind::Text)],
    );
    expect![[r#"
        1.0 field: a required field is absent or null: field=`a`, expected=`integer`
        2.0 field: a field is not of the kind that is read: field=`a`, expected=`integer`, found=`text`
        4.0 field: a field is not of the kind that is read: field=`b`, expected=`text`, found=`array`"#]]
    .assert_eq(&rejected.join("\n"));
    assert_eq!([table.record(0), table.record(1)], [0, 3]);
    assert_eq!(columns.columns[0], integers(&[1, 4]));
    assert_eq!(columns.columns[1], texts(&[Some("x"), None]));
}

#[test]
fn a_wrong_type_can_be_taken_as_null() {
    let settings = DecodeSettings { on_wrong_type: OnWrongType::Null, ..settings() };
    let decoder = Decoder::new(&settings, ["a"]).unwrap();
    let mut table = table(&decoder, &[r#"{"a":"x"}"#, r#"{"a":2}"#]);
    assert_eq!(column(&decoder, &mut table, "a", Kind::Integer), ["-", "2"]);
    let (_, rejected) = read(&decoder, &mut table, &[required("a", Kind::Integer)]);
    assert_eq!(
        rejected,
        ["0.0 field: a required field is not of its kind: field=`a`, expected=`integer`, found=`text`"]
    );
}

#[test]
fn the_last_of_a_repeated_key_counts() {
    let decoder = decoder(&["a", "u.id", "u.name"]);
    let values = [r#"{"a":1,"\u0061":2,"u":{"id":1,"name":2},"u":{"id":3}}"#, r#"{"u":{"id":1},"u":5}"#];
    let mut table = table(&decoder, &values);
    assert_eq!(column(&decoder, &mut table, "a", Kind::Integer), ["2", "-"]);
    assert_eq!(column(&decoder, &mut table, "u.id", Kind::Integer), ["3", "-"]);
    assert_eq!(column(&decoder, &mut table, "u.name", Kind::Integer), ["-", "-"]);
}

#[test]
fn keys_are_compared_as_what_they_spell() {
    let decoder = decoder(&[r"a\.b", "a.b", r"\$key", "größe", "q\"q"]);
    let value = r#"{"a.b":1,"a":{"\u0062":2},"$key":3,"gr\u00f6\u00dfe":4,"q\"q":5,"b":6}"#;
    let mut table = table(&decoder, &[value]);
    for (path, expected) in [(r"a\.b", "1"), ("a.b", "2"), (r"\$key", "3"), ("größe", "4"), ("q\"q", "5")] {
        assert_eq!(column(&decoder, &mut table, path, Kind::Integer), [expected], "{path}");
    }
}

#[test]
fn a_records_own_can_be_read() {
    let decoder = decoder(&[]);
    let mut builder = BatchBuilder::new(EventTime::from_micros(5));
    builder.push(Offset(7), Some(EventTime::from_micros(1_000_000)), Some(b"\xff"), Some(b" {} "));
    builder.header(b"h.x", Some(b"one"));
    builder.header(b"h.x", Some(b"two"));
    builder.header(b"n", None);
    let mut table = decoder.decode(&Partition::new("ev\"", 3), Arc::new(builder.finish())).table;
    table.set_event_times(&[(0, EventTime::from_micros(2_000_000))]);
    let mut shown = Vec::new();
    for (path, kinds) in [
        ("$key", &[Kind::Presence, Kind::Bytes][..]),
        ("$value", &[Kind::Text, Kind::Json, Kind::Bytes]),
        ("$timestamp", &[Kind::Timestamp, Kind::Text]),
        ("$event_time", &[Kind::Timestamp, Kind::Json]),
        ("$received", &[Kind::Text]),
        ("$topic", &[Kind::Text, Kind::Json]),
        ("$partition", &[Kind::Integer, Kind::Text]),
        ("$offset", &[Kind::Integer, Kind::Float]),
        ("$header.h.x", &[Kind::Text, Kind::Bytes]),
        ("$header.n", &[Kind::Text, Kind::Presence]),
        ("$header.other", &[Kind::Text]),
    ] {
        let each = kinds.iter().map(|kind| column(&decoder, &mut table, path, *kind).concat());
        shown.push(format!("{path}: {}", each.collect::<Vec<_>>().join(" | ")));
    }
    expect![[r#"
        $key: there | �
        $value:  {}  | {} |  {} 
        $timestamp: 1000000 | 1970-01-01T00:00:01Z
        $event_time: 2000000 | "1970-01-01T00:00:02Z"
        $received: 1970-01-01T00:00:00.000005Z
        $topic: ev" | "ev\""
        $partition: 3 | 3
        $offset: 7 | 7.0
        $header.h.x: two | two
        $header.n: - | -
        $header.other: -"#]]
    .assert_eq(&shown.join("\n"));
    let (_, rejected) = read(&decoder, &mut table, &[field("$key", Kind::Text)]);
    assert_eq!(
        rejected,
        [
            "0.0 field: a field is not of the kind that is read: field=`$key`, expected=`text`, found=`bytes that are not UTF-8`"
        ]
    );
}

#[test]
fn what_can_never_be_read_is_an_error_at_once() {
    let decoder = decoder(&["a"]);
    let error = |path: &str, kind| decoder.reads(&[field(path, kind)]).unwrap_err().to_string();
    assert_eq!(
        error("$key", Kind::Integer),
        "a field cannot be read as this kind: field=`$key`, kind=`integer`; it can be read as presence, text, bytes"
    );
    assert!(error("b", Kind::Text).contains("this is a bug"));
    assert!(error("$nope", Kind::Text).contains("$header.NAME"));
}
