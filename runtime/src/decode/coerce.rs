//! JSON values to columns of a kind: a value is taken only where nothing of it is lost.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::span::Shape;
use super::{number, scan, text, time};
use crate::config::TimestampUnit;
use crate::record::{Column, Kind, Values};

/// How bytes are spelled in JSON: the standard alphabet, with padding; read without it as well.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A checked JSON value, quotes and all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    pub(super) shape: Shape,
    pub(super) bytes: &'a [u8],
}

impl<'a> Raw<'a> {
    pub(super) const ABSENT: Raw<'static> = Raw { shape: Shape::Absent, bytes: &[] };

    /// Of one checked value without white space around it; absent when empty.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let shape = match bytes.first() {
            None => Shape::Absent,
            Some(b'"') if memchr::memchr(b'\\', bytes).is_some() => Shape::Escaped,
            Some(b'"') => Shape::Text,
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::Array,
            Some(b't') => Shape::True,
            Some(b'f') => Shape::False,
            Some(b'n') => Shape::Null,
            Some(_) if memchr::memchr3(b'.', b'e', b'E', bytes).is_some() => Shape::Decimal,
            Some(_) => Shape::Integer,
        };
        Raw { shape, bytes }
    }

    /// What is between the quotes.
    pub(super) fn inside(self) -> &'a [u8] {
        self.bytes.get(1..self.bytes.len().saturating_sub(1)).unwrap_or_default()
    }

    /// Whether it is a number, whatever its spelling.
    fn is_number(self) -> bool {
        matches!(self.shape, Shape::Integer | Shape::Decimal)
    }

    pub(super) fn micros(self, unit: TimestampUnit) -> Option<i64> {
        match self.shape {
            Shape::Text => time::of_text(self.inside()),
            Shape::Escaped => {
                let mut plain = Vec::new();
                text::unescape(self.inside(), &mut plain).then(|| time::of_text(&plain)).flatten()
            }
            Shape::Integer | Shape::Decimal => time::of_number(self.bytes, self.shape, unit),
            Shape::Absent | Shape::Null | Shape::False | Shape::True | Shape::Object | Shape::Array => None,
        }
    }

    /// Appends the text; false (and nothing) where it is none.
    fn text(self, bytes: &mut Vec<u8>) -> bool {
        match self.shape {
            Shape::Text => bytes.extend_from_slice(self.inside()),
            Shape::Escaped => {
                let start = bytes.len();
                if !text::unescape(self.inside(), bytes) {
                    bytes.truncate(start);
                    return false;
                }
            }
            Shape::False | Shape::True | Shape::Integer | Shape::Decimal => bytes.extend_from_slice(self.bytes),
            Shape::Absent | Shape::Null | Shape::Object | Shape::Array => return false,
        }
        true
    }

    /// Appends the bytes that a string spells in base64; false (and nothing) where it does not.
    fn base64(self, bytes: &mut Vec<u8>) -> bool {
        let start = bytes.len();
        let mut plain = Vec::new();
        let spelled = match self.shape {
            Shape::Text => self.inside(),
            Shape::Escaped if text::unescape(self.inside(), &mut plain) => &plain,
            Shape::Escaped
            | Shape::Absent
            | Shape::Null
            | Shape::False
            | Shape::True
            | Shape::Integer
            | Shape::Decimal
            | Shape::Object
            | Shape::Array => return false,
        };
        let decoded = BASE64.decode_vec(spelled, bytes).is_ok();
        if !decoded {
            bytes.truncate(start);
        }
        decoded
    }
}

/// Makes a column ready for `rows` values of a kind; its buffers are used again.
pub(super) fn reset(column: &mut Column, kind: Kind, rows: usize) {
    match (kind, &mut column.values) {
        (Kind::Presence, Values::Presence) => {}
        (Kind::Boolean, Values::Booleans(values)) => values.clear(),
        (Kind::Integer | Kind::Timestamp, Values::Integers(values)) => values.clear(),
        (Kind::Float, Values::Floats(values)) => values.clear(),
        (Kind::Text | Kind::Json | Kind::Bytes, Values::Slices(values)) => values.clear(),
        (
            Kind::Presence
            | Kind::Boolean
            | Kind::Integer
            | Kind::Float
            | Kind::Text
            | Kind::Timestamp
            | Kind::Json
            | Kind::Bytes,
            values,
        ) => *values = Values::empty(kind),
    }
    column.present.clear();
    column.present.resize(rows, 1);
}

/// Fills a column with `rows` values. `missing` is told of each row without one: with nothing where the value is absent or
/// null, else with what was found in place of the kind.
pub(super) fn fill<'a>(
    column: &mut Column,
    kind: Kind,
    unit: TimestampUnit,
    rows: usize,
    raw: impl Fn(usize) -> Raw<'a>,
    mut missing: impl FnMut(usize, Option<&'static str>),
) {
    reset(column, kind, rows);
    let mut complete = true;
    let present = &mut column.present;
    let mut miss = |row: usize, shape: Shape| {
        complete = false;
        present[row] = 0;
        missing(row, shape.is_present().then(|| found(kind, shape)));
    };
    match (&mut column.values, kind) {
        (Values::Presence, _) => {
            for row in 0..rows {
                if !raw(row).shape.is_present() {
                    miss(row, Shape::Absent);
                }
            }
        }
        (Values::Booleans(values), _) => {
            values.extend((0..rows).map(|row| match raw(row).shape {
                Shape::True => 1,
                Shape::False => 0,
                other => {
                    miss(row, other);
                    0
                }
            }));
        }
        (Values::Floats(values), _) => values.extend((0..rows).map(|row| {
            let raw = raw(row);
            let value = raw.is_number().then(|| number::float(raw.bytes, raw.shape)).flatten();
            value.unwrap_or_else(|| {
                miss(row, raw.shape);
                0.0
            })
        })),
        (Values::Integers(values), kind) => values.extend((0..rows).map(|row| {
            let raw = raw(row);
            let value = if kind == Kind::Timestamp {
                raw.micros(unit)
            } else {
                raw.is_number().then(|| number::integer(raw.bytes, raw.shape)).flatten()
            };
            value.unwrap_or_else(|| {
                miss(row, raw.shape);
                0
            })
        })),
        (Values::Slices(values), kind) => {
            values.offsets.reserve(rows);
            for row in 0..rows {
                let raw = raw(row);
                let taken = match kind {
                    Kind::Json => {
                        let taken = raw.shape.is_present();
                        values.bytes.extend_from_slice(if taken { raw.bytes } else { &[] });
                        taken
                    }
                    Kind::Bytes => raw.base64(&mut values.bytes),
                    Kind::Text => raw.text(&mut values.bytes),
                    // These have other columns.
                    Kind::Presence | Kind::Boolean | Kind::Integer | Kind::Float | Kind::Timestamp => false,
                };
                // Ends the value; what belongs to it is there already.
                values.push(&[]);
                if !taken {
                    miss(row, raw.shape);
                }
            }
        }
    }
    if complete {
        column.present.clear();
    }
}

/// What to tell people that a value is, where it is not of a kind.
pub(super) fn found(kind: Kind, shape: Shape) -> &'static str {
    match (kind, shape) {
        (Kind::Text, Shape::Escaped) => "text with half of a surrogate pair",
        (Kind::Timestamp, Shape::Text | Shape::Escaped) => "text that is no timestamp",
        (Kind::Timestamp, Shape::Integer | Shape::Decimal) => "number that is no timestamp in the years 1 to 9999",
        (Kind::Integer, Shape::Integer | Shape::Decimal) => "number that is no 64-bit integer",
        (Kind::Float, Shape::Integer | Shape::Decimal) => "number that no 64-bit float is",
        (Kind::Bytes, Shape::Text | Shape::Escaped) => "text that is not base64",
        (_, shape) => shape.name(),
    }
}

/// One JSON value for each row to a column of a kind; null is absent. An error names the row and what is wrong with it.
pub fn column_of_json<'a>(
    values: impl Iterator<Item = Option<&'a [u8]>>,
    kind: Kind,
    unit: TimestampUnit,
) -> Result<Column, (usize, String)> {
    let mut raws = Vec::with_capacity(values.size_hint().0);
    for (row, value) in values.enumerate() {
        raws.push(match value {
            None => Raw::ABSENT,
            Some(value) => {
                let span = scan::value(value, 0).map_err(|fault| (row, fault.to_string()))?;
                Raw { shape: span.shape(), bytes: span.of(value) }
            }
        });
    }
    let mut column = Column { values: Values::empty(kind), present: Vec::new() };
    let mut wrong = None;
    fill(
        &mut column,
        kind,
        unit,
        raws.len(),
        |row| raws[row],
        |row, found| {
            if let (Some(found), None) = (found, &wrong) {
                wrong = Some((row, format!("a value is not of its kind: expected=`{}`, found=`{found}`", kind.name())));
            }
        },
    );
    wrong.map_or(Ok(column), Err)
}
