//! Values as columns of each kind.

use super::*;
use crate::decode::column_of_json;
use expect_test::{Expect, expect};

fn check(kind: Kind, values: &[&str], expected: Expect) {
    let mut shown = String::new();
    for value in values {
        let column = column_of_json([Some(value.as_bytes())].into_iter(), kind, TimestampUnit::Auto);
        let words = match column {
            Err((_, words)) => words.rsplit("found=").next().unwrap_or_default().to_owned(),
            Ok(column) if !column.is_present(0) => "-".to_owned(),
            Ok(column) => match column.values {
                Values::Presence => "present".to_owned(),
                Values::Booleans(values) => format!("{values:?}"),
                Values::Integers(values) => format!("{values:?}"),
                Values::Floats(values) => format!("{values:?}"),
                Values::Slices(values) => String::from_utf8_lossy(values.get(0)).into_owned(),
            },
        };
        shown.push_str(&format!("{value} → {words}\n"));
    }
    expected.assert_eq(&shown);
}

const EACH: [&str; 14] = [
    "null",
    "true",
    "false",
    "3",
    "3.0",
    "3.5",
    "1e999",
    r#""a""#,
    r#""\u0061""#,
    r#""\ud800""#,
    r#""YWI""#,
    "{}",
    "[1]",
    r#" "2024-05-06T07:08:09Z" "#,
];

#[test]
fn text_takes_strings_numbers_and_booleans() {
    check(
        Kind::Text,
        &EACH,
        expect![[r#"
            null → -
            true → true
            false → false
            3 → 3
            3.0 → 3.0
            3.5 → 3.5
            1e999 → 1e999
            "a" → a
            "\u0061" → a
            "\ud800" → `text with half of a surrogate pair`
            "YWI" → YWI
            {} → `object`
            [1] → `array`
             "2024-05-06T07:08:09Z"  → 2024-05-06T07:08:09Z
        "#]],
    );
}

#[test]
fn integers_and_floats_take_numbers_that_they_are() {
    check(
        Kind::Integer,
        &EACH[..8],
        expect![[r#"
            null → -
            true → `boolean`
            false → `boolean`
            3 → [3]
            3.0 → [3]
            3.5 → `number that is no 64-bit integer`
            1e999 → `number that is no 64-bit integer`
            "a" → `text`
        "#]],
    );
    check(
        Kind::Float,
        &EACH[3..8],
        expect![[r#"
            3 → [3.0]
            3.0 → [3.0]
            3.5 → [3.5]
            1e999 → `number that no 64-bit float is`
            "a" → `text`
        "#]],
    );
}

#[test]
fn other_kinds_take_their_own() {
    check(
        Kind::Boolean,
        &EACH[..4],
        expect![[r#"
            null → -
            true → [1]
            false → [0]
            3 → `number`
        "#]],
    );
    check(
        Kind::Bytes,
        &[r#""YWI=""#, r#""YWI""#, r#""\u0059WI""#, r#""""#, r#""a""#, "3"],
        expect![[r#"
            "YWI=" → ab
            "YWI" → ab
            "\u0059WI" → ab
            "" → 
            "a" → `text that is not base64`
            3 → `number`
        "#]],
    );
    check(
        Kind::Timestamp,
        &["1", "1.5", r#""2024-05-06 07:08:09""#, r#""\u0032024-05-06 07:08:09""#, r#""NaN""#, "1e300", "true"],
        expect![[r#"
            1 → [1000000]
            1.5 → [1500000]
            "2024-05-06 07:08:09" → [1714979289000000]
            "\u0032024-05-06 07:08:09" → [1714979289000000]
            "NaN" → `text that is no timestamp`
            1e300 → `number that is no timestamp in the years 1 to 9999`
            true → `boolean`
        "#]],
    );
    check(
        Kind::Json,
        &["null", r#" {"a": [1, null]} "#, r#""\ud800""#],
        expect![[r#"
            null → -
             {"a": [1, null]}  → {"a": [1, null]}
            "\ud800" → "\ud800"
        "#]],
    );
    check(
        Kind::Presence,
        &["null", "0", "{}"],
        expect![[r#"
            null → -
            0 → present
            {} → present
        "#]],
    );
}
