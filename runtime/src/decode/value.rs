//! Values of columns as JSON, and whether they can be.

use std::io::Write;

use base64::Engine;

use super::coerce::BASE64;
use super::{scan, text, time};
use crate::record::{Column, Kind, Values};

/// Whether the value of a row can be written as JSON, at `depth` objects below the root; says what is wrong with it.
pub(super) fn check(column: &Column, kind: Kind, row: usize, depth: usize) -> Result<(), String> {
    match (&column.values, kind) {
        (Values::Floats(values), _) if !values[row].is_finite() => {
            Err(format!("a float is not finite: value=`{}`", values[row]))
        }
        (Values::Integers(values), Kind::Timestamp) if !time::in_calendar(values[row]) => {
            Err(format!("a timestamp is not in the years 1 to 9999: microseconds=`{}`", values[row]))
        }
        (Values::Slices(values), Kind::Json) => match scan::value(values.get(row), depth) {
            Ok(_) => Ok(()),
            Err(fault) => Err(format!("a value is not valid JSON, {fault}")),
        },
        (Values::Presence | Values::Booleans(_) | Values::Integers(_) | Values::Floats(_) | Values::Slices(_), _) => {
            Ok(())
        }
    }
}

/// Appends the checked value of a row as JSON.
pub(super) fn write(column: &Column, kind: Kind, row: usize, body: &mut Vec<u8>) {
    const TO_MEMORY: &str = "a vector takes all that is written";
    match (&column.values, kind) {
        (Values::Presence, _) => body.extend_from_slice(b"true"),
        (Values::Booleans(values), _) => body.extend_from_slice(if values[row] != 0 { b"true" } else { b"false" }),
        (Values::Integers(values), Kind::Timestamp) => {
            body.push(b'"');
            time::write(values[row], body);
            body.push(b'"');
        }
        (Values::Integers(values), _) => write!(body, "{}", values[row]).expect(TO_MEMORY),
        // The shortest spelling that reads back as the same float, always with a point or an exponent.
        (Values::Floats(values), _) => write!(body, "{:?}", values[row]).expect(TO_MEMORY),
        (Values::Slices(values), Kind::Json) => body.extend_from_slice(values.get(row).trim_ascii()),
        (Values::Slices(values), Kind::Bytes) => {
            let bytes = values.get(row);
            body.push(b'"');
            let start = body.len();
            body.resize(start + bytes.len().div_ceil(3) * 4, b'=');
            BASE64.encode_slice(bytes, &mut body[start..]).expect("there is room for four characters for three bytes");
            body.push(b'"');
        }
        (Values::Slices(values), _) => text::quote(values.get(row), body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Slices;

    fn json(values: Values, kind: Kind) -> String {
        let column = Column { values, present: Vec::new() };
        check(&column, kind, 0, 1).unwrap();
        let mut body = Vec::new();
        write(&column, kind, 0, &mut body);
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn each_kind_has_its_spelling() {
        let slices = |bytes: &[u8]| Values::Slices([bytes].into_iter().collect::<Slices>());
        assert_eq!(json(Values::Booleans(vec![1]), Kind::Boolean), "true");
        assert_eq!(json(Values::Integers(vec![-5]), Kind::Integer), "-5");
        assert_eq!(json(Values::Integers(vec![1_500_000]), Kind::Timestamp), r#""1970-01-01T00:00:01.5Z""#);
        assert_eq!(json(Values::Floats(vec![3.0]), Kind::Float), "3.0");
        assert_eq!(json(Values::Floats(vec![1e300]), Kind::Float), "1e300");
        assert_eq!(json(slices("a\"é".as_bytes()), Kind::Text), r#""a\"é""#);
        assert_eq!(json(slices(b" [1] \n"), Kind::Json), "[1]");
        assert_eq!(json(slices(b"ab"), Kind::Bytes), r#""YWI=""#);
        assert_eq!(json(slices(b"abc"), Kind::Bytes), r#""YWJj""#);
        assert_eq!(json(slices(b""), Kind::Bytes), r#""""#);
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        let refused = |values, kind| check(&Column { values, present: Vec::new() }, kind, 0, 1).unwrap_err();
        assert_eq!(refused(Values::Floats(vec![f64::NAN]), Kind::Float), "a float is not finite: value=`NaN`");
        refused(Values::Integers(vec![i64::MAX]), Kind::Timestamp);
        for bytes in [&b"{"[..], b"", b"1 2", b"\"\xff\""] {
            refused(Values::Slices([bytes].into_iter().collect::<Slices>()), Kind::Json);
        }
        let deep = [b'['; 127].into_iter().chain([b']'; 127]).collect::<Vec<_>>();
        let column = Column { values: Values::Slices([deep].into_iter().collect::<Slices>()), present: Vec::new() };
        assert_eq!((check(&column, Kind::Json, 0, 1).is_ok(), check(&column, Kind::Json, 0, 2).is_ok()), (true, false));
    }
}
