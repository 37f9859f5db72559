//! The columns of JSON records: what a component would get of them, by the runtime's rules of kinds.

use serde_json::Value;

use super::record::{find, from_base64};
use crate::Timestamp;
use crate::bindings::data::{Batch, Column, Field, Kind};
use crate::cells::Writer;
use crate::configured::Slots;
use crate::row::{Value as Cell, Values};

/// Whether the record can be read: all that is required is there, and of the kind.
pub(super) fn judge(reads: &[Field], record: &Value, index: usize) -> Result<(), String> {
    for field in reads {
        let (path, expected) = (&field.path, field.kind.name());
        match find(record, path, index) {
            Some(value) if field.kind != Kind::Presence && cell(field, &value).is_none() => {
                let found = name(&value);
                return Err(format!(
                    "a field is not of the kind that is read: field=`{path}`, expected=`{expected}`, found=`{found}`"
                ));
            }
            None if field.required => {
                return Err(format!("a required field is absent or null: field=`{path}`, expected=`{expected}`"));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// The batch of these records, which can be read.
pub(super) fn batch(reads: &[Field], records: &[Value], rows: &[usize]) -> Batch {
    Batch { rows: rows.len() as u32, columns: reads.iter().map(|field| column(field, records, rows)).collect() }
}

fn column(field: &Field, records: &[Value], rows: &[usize]) -> Column {
    let values = rows.iter().map(|&index| find(&records[index], &field.path, index));
    if field.kind == Kind::Presence {
        let present: Vec<u8> = values.map(|value| u8::from(value.is_some())).collect();
        let all = present.iter().all(|&byte| byte == 1);
        return Column {
            values: crate::bindings::data::Values::Presence,
            present: if all { Vec::new() } else { present },
        };
    }
    let slots = Slots::of(vec![field.clone()]);
    let mut writer = Writer::new(&slots, rows.len());
    for value in values {
        let cells: Values = std::iter::once(value.and_then(|value| cell(field, &value))).collect();
        crate::fields::Writes::write(cells, &mut writer).expect("a cell is of its field's kind");
    }
    writer.finish().remove(0)
}

/// The value in the kind that is asked for; none where that would lose something.
fn cell(field: &Field, value: &Value) -> Option<Cell<'static>> {
    match (field.kind, value) {
        (Kind::Boolean, Value::Bool(value)) => Some(Cell::Boolean(*value)),
        (Kind::Integer, Value::Number(number)) => integer(number).map(Cell::Integer),
        (Kind::Float, Value::Number(number)) => number.as_f64().map(Cell::Float),
        (Kind::Text, Value::String(text)) => Some(text.clone().into()),
        (Kind::Text, Value::Number(number)) => Some(number.to_string().into()),
        (Kind::Text, Value::Bool(value)) => Some(value.to_string().into()),
        (Kind::Timestamp, Value::String(text)) => Timestamp::parse(text).map(Cell::Timestamp),
        (Kind::Timestamp, Value::Number(number)) => epoch(number.as_f64()?).map(Cell::Timestamp),
        (Kind::Json, value) => Some(Cell::Json(crate::Json::from_text(value.to_string()))),
        (Kind::Bytes, Value::String(text)) if field.path.starts_with('$') => Some(text.clone().into_bytes().into()),
        (Kind::Bytes, Value::String(text)) => from_base64(text).map(Cell::from),
        _ => None,
    }
}

fn integer(number: &serde_json::Number) -> Option<i64> {
    let whole = |float: f64| (float.fract() == 0.0 && float.abs() < 9.2e18).then_some(float as i64);
    number.as_i64().or_else(|| number.as_f64().filter(|_| !number.is_u64()).and_then(whole))
}

/// Seconds, milli-, micro- or nanoseconds, told apart by their size.
fn epoch(number: f64) -> Option<Timestamp> {
    let micros = match number.abs() {
        size if size < 1e11 => number * 1e6,
        size if size < 1e14 => number * 1e3,
        size if size < 1e17 => number,
        _ => number / 1e3,
    };
    micros.is_finite().then(|| Timestamp::from_micros(micros as i64))
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
