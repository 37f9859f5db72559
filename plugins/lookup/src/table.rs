//! A table in memory: names of columns, rows of values, and the kind of each column by its values.

use std::collections::HashMap;

use serde_json::{Map, Number, Value as Json};
use tidegate_sdk::{Field, Kind, Value, Values};

use crate::csv;

pub struct Table {
    names: Vec<String>,
    rows: Vec<TableRow>,
    /// CSV has texts only, so a column of numbers is told by looking at them.
    spelled: bool,
}

struct TableRow {
    line: usize,
    /// As many as names.
    cells: Vec<Option<Json>>,
}

/// What the rows are found by: the value, or each value after its length where there are several.
pub fn key(values: &[&str]) -> String {
    match values {
        [value] => (*value).to_owned(),
        values => values.iter().map(|value| format!("{}:{value}", value.len())).collect(),
    }
}

impl Table {
    pub fn parse(text: &str, separator: char) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let table = if text.trim_start().starts_with('{') { Self::ndjson(text) } else { Self::csv(text, separator) }?;
        if table.rows.is_empty() {
            return Err("table: there is no row in it".to_owned());
        }
        Ok(table)
    }

    fn csv(text: &str, separator: char) -> Result<Self, String> {
        let mut lines = csv::parse(text, separator)?.into_iter();
        let (_, names) = lines.next().ok_or("table: it is empty; the first line has the columns' names")?;
        let names: Vec<String> = names.into_iter().map(|(name, _)| name.trim().to_owned()).collect();
        let mut rows = Vec::new();
        for (line, values) in lines {
            if values.len() != names.len() {
                return Err(format!("table: line {line} has {} values for {} columns", values.len(), names.len()));
            }
            let cells =
                values.into_iter().map(|(value, quoted)| (quoted || !value.is_empty()).then_some(Json::String(value)));
            rows.push(TableRow { line, cells: cells.collect() });
        }
        Ok(Table { names, rows, spelled: true })
    }

    fn ndjson(text: &str) -> Result<Self, String> {
        let mut names: Vec<String> = Vec::new();
        let mut objects = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let object: Map<String, Json> =
                serde_json::from_str(line).map_err(|error| format!("table: line {}: {error}", index + 1))?;
            for name in object.keys() {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            objects.push((index + 1, object));
        }
        let row = |(line, mut object): (usize, Map<String, Json>)| {
            let cells = names.iter().map(|name| object.remove(name).filter(|value| !value.is_null()));
            TableRow { line, cells: cells.collect() }
        };
        let rows = objects.into_iter().map(row).collect();
        Ok(Table { names, rows, spelled: false })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    pub fn column(&self, name: &str) -> Result<usize, String> {
        self.names
            .iter()
            .position(|other| other == name)
            .ok_or_else(|| format!("table: there is no column `{name}`; it has {}", self.names.join(", ")))
    }

    /// The kind that all values of the column are of.
    pub fn kind(&self, column: usize) -> Kind {
        let kinds = self.rows.iter().filter_map(|row| row.cells[column].as_ref()).map(|cell| self.kind_of(cell));
        kinds.reduce(|left, right| self.common(left, right)).unwrap_or(Kind::Text)
    }

    fn common(&self, left: Kind, right: Kind) -> Kind {
        match (left, right) {
            (left, right) if left == right => left,
            (Kind::Integer, Kind::Float) | (Kind::Float, Kind::Integer) => Kind::Float,
            _ if self.spelled => Kind::Text,
            _ => Kind::Json,
        }
    }

    fn kind_of(&self, cell: &Json) -> Kind {
        match cell {
            Json::String(text) if self.spelled => match (text.as_str(), number(text)) {
                ("true" | "false", _) => Kind::Boolean,
                (_, Some(number)) => kind_of_number(&number),
                (_, None) => Kind::Text,
            },
            Json::String(_) => Kind::Text,
            Json::Bool(_) => Kind::Boolean,
            Json::Number(number) => kind_of_number(number),
            Json::Null | Json::Array(_) | Json::Object(_) => Kind::Json,
        }
    }

    /// The values of `columns`, by key.
    pub fn rows_by(
        self,
        keys: &[usize],
        columns: &[usize],
        fields: &[Field],
    ) -> Result<HashMap<String, Values<'static>>, String> {
        let mut rows = HashMap::with_capacity(self.rows.len());
        let mut lines: HashMap<String, usize> = HashMap::with_capacity(self.rows.len());
        for row in self.rows {
            let values: Option<Vec<String>> = keys.iter().map(|&column| row.cells[column].as_ref().map(text)).collect();
            let Some(values) = values else {
                return Err(format!("table: line {} has no value for the key", row.line));
            };
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let key = key(&values);
            if let Some(first) = lines.insert(key.clone(), row.line) {
                return Err(format!("table: lines {first} and {} have the same key: {}", row.line, values.join(", ")));
            }
            let cells = columns.iter().zip(fields);
            let cells =
                cells.map(|(&column, field)| row.cells[column].as_ref().and_then(|cell| value(cell, field.kind)));
            rows.insert(key, cells.collect());
        }
        Ok(rows)
    }
}

/// A text that is spelled as JSON spells numbers: not `007`, nor `+1`.
fn number(text: &str) -> Option<Number> {
    let digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
    if text.as_bytes().first().is_some_and(digit) { serde_json::from_str(text).ok() } else { None }
}

fn kind_of_number(number: &Number) -> Kind {
    if number.is_i64() { Kind::Integer } else { Kind::Float }
}

/// As a record's value is read as text.
fn text(cell: &Json) -> String {
    match cell {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A cell in its column's kind.
fn value(cell: &Json, kind: Kind) -> Option<Value<'static>> {
    match (kind, cell) {
        (Kind::Boolean, Json::Bool(value)) => Some(Value::Boolean(*value)),
        (Kind::Boolean, Json::String(text)) => Some(Value::Boolean(text == "true")),
        (Kind::Integer, Json::Number(number)) => number.as_i64().map(Value::Integer),
        (Kind::Integer, Json::String(text)) => number(text)?.as_i64().map(Value::Integer),
        (Kind::Float, Json::Number(number)) => number.as_f64().map(Value::Float),
        (Kind::Float, Json::String(text)) => number(text)?.as_f64().map(Value::Float),
        (Kind::Text, cell) => Some(Value::from(text(cell))),
        (_, cell) => Some(Value::Json(tidegate_sdk::Json::from_text(cell.to_string()))),
    }
}
