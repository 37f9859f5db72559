//! Rows of which the settings say what fields they have: [`Row`] to read, [`Values`] to write.

use std::borrow::Cow;

use crate::bindings::data::{Column, Field, Kind, Values as ColumnValues};
use crate::cells::{Cells, Writer};
use crate::field_type::Misfit;
use crate::fields::{Columns, Reads, Writes};
use crate::{Json, Timestamp};

/// A record's values, in the order of the plugin's `fn reads(&self) -> Vec<Field>`.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    fields: &'a [Field],
    columns: &'a [Column],
    row: usize,
}

/// One value of a field.
#[derive(Clone, PartialEq, Debug)]
pub enum Value<'a> {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Timestamp(Timestamp),
    Json(Json<'a>),
    Bytes(Cow<'a, [u8]>),
}

impl<'a> Row<'a> {
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The fields, as the plugin asked for them.
    pub fn fields(&self) -> &'a [Field] {
        self.fields
    }

    /// Whether the field is there and not null.
    #[inline]
    pub fn is_present(&self, field: usize) -> bool {
        let present = &self.columns[field].present;
        present.is_empty() || present[self.row] != 0
    }

    /// Whether every field is there and not null.
    #[inline]
    pub fn all_present(&self) -> bool {
        self.columns.iter().all(|column| column.present.is_empty() || column.present[self.row] != 0)
    }

    /// The value; none where the field is absent or null, or was asked for as [`Kind::Presence`].
    pub fn get(&self, field: usize) -> Option<Value<'a>> {
        if !self.is_present(field) {
            return None;
        }
        let kind = self.fields[field].kind;
        match &self.columns[field].values {
            ColumnValues::Presence => None,
            ColumnValues::Booleans(values) => Some(Value::Boolean(values[self.row] != 0)),
            ColumnValues::Integers(values) if kind == Kind::Timestamp => {
                Some(Value::Timestamp(Timestamp::from_micros(values[self.row])))
            }
            ColumnValues::Integers(values) => Some(Value::Integer(values[self.row])),
            ColumnValues::Floats(values) => Some(Value::Float(values[self.row])),
            ColumnValues::Slices(slices) => {
                let start = slices.offsets[self.row] as usize;
                let bytes = &slices.bytes[start..slices.offsets[self.row + 1] as usize];
                Some(match kind {
                    Kind::Json => Value::Json(Json::from_text(utf8(bytes))),
                    Kind::Bytes => Value::Bytes(Cow::Borrowed(bytes)),
                    Kind::Text | Kind::Presence | Kind::Boolean | Kind::Integer | Kind::Float | Kind::Timestamp => {
                        Value::Text(Cow::Borrowed(utf8(bytes)))
                    }
                })
            }
        }
    }

    /// The text of a field that was asked for as text or JSON; none where it is absent.
    pub fn text(&self, field: usize) -> Option<&'a str> {
        match &self.columns[field].values {
            ColumnValues::Slices(slices) if self.is_present(field) && self.fields[field].kind != Kind::Bytes => {
                let start = slices.offsets[self.row] as usize;
                Some(utf8(&slices.bytes[start..slices.offsets[self.row + 1] as usize]))
            }
            ColumnValues::Slices(_)
            | ColumnValues::Presence
            | ColumnValues::Booleans(_)
            | ColumnValues::Integers(_)
            | ColumnValues::Floats(_) => None,
        }
    }
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the runtime sends text that is UTF-8")
}

impl<'a> Reads<'a> for Row<'a> {
    type Views = Columns<'a>;

    fn views(columns: &Columns<'a>) -> Columns<'a> {
        *columns
    }

    #[inline]
    fn read(columns: &Columns<'a>, row: usize) -> Result<Self, Misfit> {
        Ok(Row { fields: columns.slots.fields(), columns: columns.columns, row })
    }
}

/// The values that a plugin writes, in the order of its `fn writes(&self) -> Vec<Field>`; what is left out at the end is
/// absent, and so removed from the record.
///
/// ```
/// # use tidegate_sdk::{Value, Values};
/// let mut values = Values::new();
/// values.push("text");
/// values.push(17);
/// values.push_absent();
/// let same: Values = [Some(Value::from("text")), Some(Value::from(17)), None].into_iter().collect();
/// assert_eq!(values, same);
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Values<'a>(Vec<Option<Value<'a>>>);

impl<'a> Values<'a> {
    pub fn new() -> Self {
        Values(Vec::new())
    }

    pub fn with_capacity(fields: usize) -> Self {
        Values(Vec::with_capacity(fields))
    }

    pub fn push(&mut self, value: impl Into<Value<'a>>) {
        self.0.push(Some(value.into()));
    }

    pub fn push_absent(&mut self) {
        self.0.push(None);
    }
}

impl<'a> FromIterator<Option<Value<'a>>> for Values<'a> {
    fn from_iter<I: IntoIterator<Item = Option<Value<'a>>>>(values: I) -> Self {
        Values(values.into_iter().collect())
    }
}

impl Value<'_> {
    /// What a value is called in messages.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Boolean(_) => Kind::Boolean,
            Value::Integer(_) => Kind::Integer,
            Value::Float(_) => Kind::Float,
            Value::Text(_) => Kind::Text,
            Value::Timestamp(_) => Kind::Timestamp,
            Value::Json(_) => Kind::Json,
            Value::Bytes(_) => Kind::Bytes,
        }
    }

    fn put(&self, field: &Field, cells: &mut Cells) -> Result<(), Misfit> {
        match (self, field.kind) {
            (Value::Boolean(value), Kind::Boolean) => cells.boolean(*value),
            (Value::Integer(value), Kind::Integer) => cells.integer(*value),
            (Value::Float(value), Kind::Float) => cells.float(*value),
            (Value::Timestamp(value), Kind::Timestamp) => cells.integer(value.micros()),
            (Value::Text(value), Kind::Text) => cells.slice(value.as_bytes()),
            (Value::Json(value), Kind::Json) => cells.slice(value.as_str().as_bytes()),
            (Value::Bytes(value), Kind::Bytes) => cells.slice(value),
            _ => {
                let (expected, found) = (field.kind.name(), self.kind().name());
                return Err(Misfit::new(format!("is written as {expected}, but the plugin gave {found}")));
            }
        }
        Ok(())
    }
}

impl Writes for &Values<'_> {
    fn write(self, writer: &mut Writer<'_>) -> Result<(), Misfit> {
        let fields = writer.fields();
        if self.0.len() > fields.len() {
            let (given, asked) = (self.0.len(), fields.len());
            return Err(Misfit::new(format!("the plugin gave {given} values for the {asked} fields that it writes")));
        }
        for (column, field) in fields.iter().enumerate() {
            match self.0.get(column) {
                Some(Some(value)) => value.put(field, writer.cells(column)).map_err(|misfit| misfit.at(column))?,
                Some(None) | None => writer.cells(column).absent(),
            }
        }
        Ok(())
    }
}

impl Writes for Values<'_> {
    fn write(self, writer: &mut Writer<'_>) -> Result<(), Misfit> {
        (&self).write(writer)
    }
}

macro_rules! value_from {
    ($($type:ty => |$value:ident| $made:expr;)*) => {$(
        impl<'a> From<$type> for Value<'a> {
            fn from($value: $type) -> Self {
                $made
            }
        }
    )*};
}

value_from! {
    bool => |value| Value::Boolean(value);
    i64 => |value| Value::Integer(value);
    i32 => |value| Value::Integer(value.into());
    u32 => |value| Value::Integer(value.into());
    f64 => |value| Value::Float(value);
    Timestamp => |value| Value::Timestamp(value);
    &'a str => |value| Value::Text(Cow::Borrowed(value));
    String => |value| Value::Text(Cow::Owned(value));
    Cow<'a, str> => |value| Value::Text(value);
    Json<'a> => |value| Value::Json(value);
    &'a [u8] => |value| Value::Bytes(Cow::Borrowed(value));
    Vec<u8> => |value| Value::Bytes(Cow::Owned(value));
}
