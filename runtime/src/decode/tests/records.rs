//! What is a record, and when it happened.

use super::*;
use expect_test::expect;

#[test]
fn poison_is_rejected_with_the_place_that_is_wrong() {
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(128), "]".repeat(128));
    let deep_object = format!("{}1{}", r#"{"a":"#.repeat(129), "}".repeat(129));
    let values: Vec<&[u8]> = vec![
        b"",
        b"  ",
        b"hello",
        b"[1]",
        b"null",
        b"{",
        br#"{"a""#,
        br#"{"a" 1}"#,
        br#"{"a":}"#,
        br#"{"a":1"#,
        br#"{"a":1,}"#,
        br#"{"a":1}}"#,
        br#"{"a":1} {}"#,
        br#"{"a":01}"#,
        br#"{"a":-}"#,
        br#"{"a":1.}"#,
        br#"{"a":.5}"#,
        br#"{"a":1e}"#,
        br#"{"a":NaN}"#,
        br#"{"a":truE}"#,
        br#"{"a":"x}"#,
        br#"{"a":"\x"}"#,
        br#"{"a":"\u12g4"}"#,
        b"{\"a\":\"\n\"}",
        b"{\"a\":\"\0\"}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\xc3\"}",
        b"{\"\xed\xa0\x80\":1}",
        b"{\"a\":1\0}",
        b"\xef\xbb\xbf{}",
        b"{'a':1}",
        br#"{"a":[1,]}"#,
        br#"{"a":[1}"#,
        br#"{"a":{"b":1]}"#,
        br#"{a:1}"#,
        deep.as_bytes(),
        deep_object.as_bytes(),
    ];
    let decoded = decoder(&["a"]).decode(&Partition::new("t", 0), batch(&values));
    assert!(decoded.table.is_empty());
    assert_eq!(decoded.event_times, vec![EventTime::MIN; values.len()]);
    expect![[r#"
        0.0 json: the value is empty
        1.0 json: a value is missing or begins with a wrong character: byte=`2`
        2.0 json: a value is missing or begins with a wrong character: byte=`0`
        3.0 json: the value is not a JSON object: byte=`0`
        4.0 json: the value is not a JSON object: byte=`0`
        5.0 json: a key in quotes is missing: byte=`1`
        6.0 json: a colon is missing after a key: byte=`4`
        7.0 json: a colon is missing after a key: byte=`5`
        8.0 json: a value is missing or begins with a wrong character: byte=`5`
        9.0 json: a comma or the end of an object or array is missing: byte=`6`
        10.0 json: a key in quotes is missing: byte=`7`
        11.0 json: something follows the end of the value: byte=`7`
        12.0 json: something follows the end of the value: byte=`8`
        13.0 json: a number is malformed: byte=`6`
        14.0 json: a number is malformed: byte=`6`
        15.0 json: a number is malformed: byte=`7`
        16.0 json: a value is missing or begins with a wrong character: byte=`5`
        17.0 json: a number is malformed: byte=`7`
        18.0 json: a word is neither true, false nor null: byte=`5`
        19.0 json: a word is neither true, false nor null: byte=`5`
        20.0 json: the value ends within a string: byte=`8`
        21.0 json: an escape in a string is malformed: byte=`6`
        22.0 json: an escape in a string is malformed: byte=`6`
        23.0 json: a string has a control character that is not escaped: byte=`6`
        24.0 json: a string has a control character that is not escaped: byte=`6`
        25.0 json: the text is not UTF-8: byte=`6`
        26.0 json: the text is not UTF-8: byte=`6`
        27.0 json: the text is not UTF-8: byte=`2`
        28.0 json: a comma or the end of an object or array is missing: byte=`6`
        29.0 json: a value is missing or begins with a wrong character: byte=`0`
        30.0 json: a key in quotes is missing: byte=`1`
        31.0 json: a value is missing or begins with a wrong character: byte=`8`
        32.0 json: a comma or the end of an object or array is missing: byte=`7`
        33.0 json: a comma or the end of an object or array is missing: byte=`11`
        34.0 json: a key in quotes is missing: byte=`1`
        35.0 json: values are nested deeper than 128 levels: byte=`132`
        36.0 json: values are nested deeper than 128 levels: byte=`640`"#]]
    .assert_eq(&words(&decoded.rejected).join("\n"));
}

#[test]
fn what_is_unusual_but_json_is_taken() {
    let at_most = format!(r#"{{"a":{}{}}}"#, "[".repeat(127), "]".repeat(127));
    let values = [
        "{}",
        " \t\r\n{ \"a\" : 1 , \"b\" : [ ] } \n",
        r#"{"a":1e999,"b":-0.0e-0}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"":""}"#,
        "{\"\u{7f}\":\"\u{2028}é😀\"}",
        &at_most,
    ];
    table(&decoder(&["a"]), &values);
}

#[test]
fn tombstones_are_no_rows() {
    let mut builder = BatchBuilder::new(EventTime::MIN);
    let time = Some(EventTime::from_micros(1));
    builder.push(Offset(0), time, Some(b"k"), None);
    builder.push(Offset(1), time, None, Some(b"{}"));
    builder.push(Offset(2), None, None, Some(b"{}"));
    builder.push(Offset(3), time, None, None);
    let decoded = decoder(&[]).decode(&Partition::new("t", 0), Arc::new(builder.finish()));
    assert_eq!(decoded.tombstones, [0, 3]);
    assert_eq!((decoded.table.len(), decoded.table.record(0)), (1, 1));
    assert_eq!(words(&decoded.rejected), ["2.0 event-time: the record has no timestamp: event_time=`$timestamp`"]);
}

#[test]
fn the_event_time_is_read_from_its_field() {
    let decoder = Decoder::new(&DecodeSettings { event_time: "at.time".to_owned(), ..settings() }, ["other"]).unwrap();
    let good = [
        r#"{"at":{"time":"1970-01-01T00:00:02Z"}}"#,
        r#"{"at":{"time":2.5}}"#,
        r#"{"at":{"time":-1}}"#,
        r#"{"at":{"time":"0001-01-01T00:00:00Z"}}"#,
        r#"{"at":{"time":"9999-12-31T23:59:59Z"}}"#,
        r#"{"at":{"time":1},"at":{"time":3}}"#,
    ];
    let decoded = decode(&decoder, &good);
    let micros: Vec<_> = decoded.event_times.iter().map(|time| time.micros()).collect();
    assert_eq!(micros, [2_000_000, 2_500_000, -1_000_000, -62_135_596_800_000_000, 253_402_300_799_000_000, 3_000_000]);
    assert_eq!(decoded.table.event_time(1), EventTime::from_micros(2_500_000));
    let bad = [
        "{}",
        r#"{"at":{"time":null}}"#,
        r#"{"at":{"time":"NaN"}}"#,
        r#"{"at":{"time":1e300}}"#,
        r#"{"at":{"time":"0000-12-31T23:59:59Z"}}"#,
        r#"{"at":{"time":true}}"#,
        r#"{"at":{"time":{}}}"#,
        r#"{"at":[{"time":1}]}"#,
        r#"{"at":{"time":1},"at":{}}"#,
    ];
    let decoded = decode(&decoder, &bad);
    assert!(decoded.table.is_empty());
    expect![[r#"
        0.0 event-time: the event time is absent or null: field=`at.time`
        1.0 event-time: the event time is absent or null: field=`at.time`
        2.0 event-time: the event time cannot be read: field=`at.time`, found=`text that is no timestamp`
        3.0 event-time: the event time cannot be read: field=`at.time`, found=`number that is no timestamp in the years 1 to 9999`
        4.0 event-time: the event time cannot be read: field=`at.time`, found=`text that is no timestamp`
        5.0 event-time: the event time cannot be read: field=`at.time`, found=`boolean`
        6.0 event-time: the event time cannot be read: field=`at.time`, found=`object`
        7.0 event-time: the event time is absent or null: field=`at.time`
        8.0 event-time: the event time is absent or null: field=`at.time`"#]].assert_eq(&words(&decoded.rejected).join("\n"));
}

#[test]
fn the_event_time_comes_from_a_field_or_from_kafka() {
    let error = |path: &str| {
        Decoder::new(&DecodeSettings { event_time: path.to_owned(), ..settings() }, []).unwrap_err().to_string()
    };
    assert_eq!(
        error("$received"),
        "the event time cannot come from here: event_time=`$received`; name a field or `$timestamp`"
    );
    assert!(error("a..b").starts_with("a path cannot be read"));
    let decoded = decode(&decoder(&[]), &["{}"]);
    assert_eq!(decoded.event_times, [EventTime::from_micros(1_000_000)]);
}
