//! A group's key: the values of `group_by`, typed and length-safe, so that equal keys are equal groups everywhere.
//! `("a-b","c")` is not `("a","b-c")`, null is not "null", 1 is 1.0 but not "1".

use std::fmt::Write;

use crate::record::{Column, Values};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
/// Eight bytes, big endian: an integer from -2^63 to 2^63 - 1.
const INTEGER: u8 = 3;
/// Eight bytes, big endian: an integer from 2^63 to 2^64 - 1.
const UNSIGNED: u8 = 4;
/// Eight bytes, big endian: the bits of any other number.
const FLOAT: u8 = 5;
/// Four bytes of length, big endian, then UTF-8.
const TEXT: u8 = 6;

/// One value of a key.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
}

/// Appends the key of a row of `group_by` columns, which are JSON; an array, an object or text that is no Unicode is an
/// error: the column's place, and words.
pub(crate) fn append_key(columns: &[Column], row: usize, key: &mut Vec<u8>) -> Result<(), (usize, &'static str)> {
    for (place, column) in columns.iter().enumerate() {
        match &column.values {
            Values::Slices(slices) if column.is_present(row) => {
                append_value(slices.get(row), key).map_err(|what| (place, what))?;
            }
            Values::Slices(_) | Values::Presence | Values::Booleans(_) | Values::Integers(_) | Values::Floats(_) => {
                key.push(NULL);
            }
        }
    }
    Ok(())
}

fn append_value(json: &[u8], key: &mut Vec<u8>) -> Result<(), &'static str> {
    match json.first() {
        Some(b'"') if !json.contains(&b'\\') && json.len() >= 2 => append_text(&json[1..json.len() - 1], key),
        Some(b'"') => {
            let text: String = serde_json::from_slice(json).map_err(|_| "a group's text must be Unicode")?;
            append_text(text.as_bytes(), key);
        }
        Some(b'{' | b'[') => return Err("a group's field must be text, a number, a boolean or null"),
        Some(b't') => key.push(TRUE),
        Some(b'f') => key.push(FALSE),
        Some(b'-' | b'0'..=b'9') => append_number(std::str::from_utf8(json).unwrap_or_default(), key)?,
        Some(_) | None => key.push(NULL),
    }
    Ok(())
}

fn append_text(text: &[u8], key: &mut Vec<u8>) {
    key.push(TEXT);
    key.extend_from_slice(&(text.len() as u32).to_be_bytes());
    key.extend_from_slice(text);
}

fn append_number(text: &str, key: &mut Vec<u8>) -> Result<(), &'static str> {
    if let Ok(integer) = text.parse::<i64>() {
        key.push(INTEGER);
        key.extend_from_slice(&integer.to_be_bytes());
        return Ok(());
    }
    if let Ok(unsigned) = text.parse::<u64>() {
        key.push(UNSIGNED);
        key.extend_from_slice(&unsigned.to_be_bytes());
        return Ok(());
    }
    let float: f64 = text.parse().map_err(|_| "a group's number cannot be read")?;
    if !float.is_finite() {
        return Err("a group's number is too large");
    }
    // Below 2^53 every whole float is one integer, so 1.0 and 1e0 are the group of 1.
    if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 {
        key.push(INTEGER);
        key.extend_from_slice(&(float as i64).to_be_bytes());
    } else {
        key.push(FLOAT);
        key.extend_from_slice(&float.to_bits().to_be_bytes());
    }
    Ok(())
}

/// Reads a key that [`append_key`] wrote; ends early where the bytes are not one.
pub(crate) fn values(key: &[u8]) -> impl Iterator<Item = Value<'_>> {
    let mut rest = key;
    std::iter::from_fn(move || {
        let (value, after) = split_value(rest)?;
        rest = after;
        Some(value)
    })
}

fn split_value(key: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (tag, rest) = key.split_first()?;
    let number = |rest: &[u8]| rest.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
    Some(match *tag {
        NULL => (Value::Null, rest),
        FALSE => (Value::Boolean(false), rest),
        TRUE => (Value::Boolean(true), rest),
        INTEGER => (Value::Integer(number(rest)? as i64), &rest[8..]),
        UNSIGNED => (Value::Unsigned(number(rest)?), &rest[8..]),
        FLOAT => (Value::Float(f64::from_bits(number(rest)?)), &rest[8..]),
        TEXT => {
            let length = u32::from_be_bytes(*rest.first_chunk::<4>()?) as usize;
            let text = rest.get(4..4 + length)?;
            (Value::Text(std::str::from_utf8(text).ok()?), &rest[4 + length..])
        }
        _ => return None,
    })
}

/// Appends a value as JSON, for documents.
pub(crate) fn write_json(value: Value<'_>, json: &mut Vec<u8>) {
    let written = match value {
        Value::Null => serde_json::to_writer(json, &()),
        Value::Boolean(boolean) => serde_json::to_writer(json, &boolean),
        Value::Integer(integer) => serde_json::to_writer(json, &integer),
        Value::Unsigned(unsigned) => serde_json::to_writer(json, &unsigned),
        Value::Float(float) => serde_json::to_writer(json, &float),
        Value::Text(text) => serde_json::to_writer(json, text),
    };
    written.expect("scalars are written into memory");
}

/// Appends a key's values for an id: a letter for the type, the length of text before it.
pub(crate) fn write_id(key: &[u8], id: &mut String) {
    for value in values(key) {
        match value {
            Value::Null => id.push_str("n;"),
            Value::Boolean(boolean) => id.push_str(if boolean { "t;" } else { "f;" }),
            Value::Integer(integer) => write!(id, "i{integer};").expect("into a string"),
            Value::Unsigned(unsigned) => write!(id, "i{unsigned};").expect("into a string"),
            Value::Float(float) => write!(id, "d{float:?};").expect("into a string"),
            Value::Text(text) => write!(id, "s{}:{text};", text.len()).expect("into a string"),
        }
    }
}

/// The key that [`write_id`] wrote this of.
pub(crate) fn of_id(id: &str) -> Option<Vec<u8>> {
    let (mut key, mut rest) = (Vec::new(), id);
    while !rest.is_empty() {
        let (value, after) = match rest.strip_prefix('s') {
            Some(text) => {
                let (length, text) = text.split_once(':')?;
                text.split_at_checked(length.parse().ok()?)?
            }
            None => rest.split_at_checked(rest.find(';')?)?,
        };
        match (rest.as_bytes()[0], value.get(1..).unwrap_or_default()) {
            (b's', _) => append_text(value.as_bytes(), &mut key),
            (b'n', "") => key.push(NULL),
            (b't', "") => key.push(TRUE),
            (b'f', "") => key.push(FALSE),
            (b'i' | b'd', number) => append_number(number, &mut key).ok()?,
            (_, _) => return None,
        }
        rest = after.strip_prefix(';')?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use crate::record::Slices;

    use super::*;

    fn key(values: &[Option<&str>]) -> Vec<u8> {
        let columns: Vec<Column> = values
            .iter()
            .map(|value| Column {
                values: Values::Slices(Slices::from_iter([value.unwrap_or_default().as_bytes()])),
                present: vec![u8::from(value.is_some())],
            })
            .collect();
        let mut key = Vec::new();
        append_key(&columns, 0, &mut key).expect("scalars");
        key
    }

    fn id(values: &[Option<&str>]) -> String {
        let mut id = String::new();
        write_id(&key(values), &mut id);
        id
    }

    #[test]
    fn keys_are_typed_and_length_safe() {
        assert_eq!(id(&[Some(r#""a-b""#), Some(r#""c""#)]), "s3:a-b;s1:c;");
        assert_ne!(key(&[Some(r#""a-b""#), Some(r#""c""#)]), key(&[Some(r#""a""#), Some(r#""b-c""#)]));
        assert_ne!(key(&[None]), key(&[Some(r#""null""#)]));
        assert_ne!(key(&[Some("1")]), key(&[Some(r#""1""#)]));
        assert_eq!(key(&[None]), key(&[Some("null")]));
    }

    #[test]
    fn equal_numbers_are_one_group() {
        for spelling in ["1", "1.0", "1e0", "10e-1"] {
            assert_eq!(id(&[Some(spelling)]), "i1;");
        }
        assert_eq!(id(&[Some("-0.0")]), "i0;");
        assert_eq!(id(&[Some("18446744073709551615")]), "i18446744073709551615;");
        assert_eq!(id(&[Some("0.5")]), "d0.5;");
    }

    #[test]
    fn escapes_do_not_matter() {
        assert_eq!(key(&[Some(r#""\u0061""#)]), key(&[Some(r#""a""#)]));
        assert!(append_value(br#""\ud800""#, &mut Vec::new()).is_err());
        assert!(append_value(b"[1]", &mut Vec::new()).is_err());
        assert!(append_value(b"1e999", &mut Vec::new()).is_err());
    }

    #[test]
    fn a_group_is_known_by_its_id() {
        let values = [Some(r#""a;s1:b""#), Some("true"), None, Some("-3"), Some("2.5"), Some("18446744073709551615")];
        let (key, id) = (key(&values), id(&values));
        assert_eq!(of_id(&id), Some(key));
        for cut in (1..id.len()).filter(|end| !id[..*end].ends_with(';')) {
            assert_eq!(of_id(&id[..cut]), None, "{}", &id[..cut]);
        }
        assert_eq!(of_id(""), Some(Vec::new()));
        assert_eq!(of_id("x1;"), None);
    }

    #[test]
    fn values_come_back_as_json() {
        let key = key(&[Some(r#""a\"b""#), Some("true"), None, Some("-3"), Some("2.5")]);
        let mut json = Vec::new();
        values(&key).for_each(|value| write_json(value, &mut json));
        assert_eq!(String::from_utf8_lossy(&json), r#""a\"b"truenull-32.5"#);
    }
}
