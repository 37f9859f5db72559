//! Columns: what crosses the border to a component. The same shapes as `wit/tidegate.wit`, without its bindings.

use std::ops::Range;

use super::Reason;

/// The type in which a component asks for a field, or gives one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Any value but null; only `present` is filled, nothing is copied.
    Presence,
    Boolean,
    Integer,
    Float,
    Text,
    /// Microseconds since 1970 UTC.
    Timestamp,
    /// One valid JSON value.
    Json,
    Bytes,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Presence => "presence",
            Kind::Boolean => "boolean",
            Kind::Integer => "integer",
            Kind::Float => "float",
            Kind::Text => "text",
            Kind::Timestamp => "timestamp",
            Kind::Json => "json",
            Kind::Bytes => "bytes",
        }
    }
}

/// A field that a component reads or writes, by its dotted path (`user.id`; `\.` and `\$` escape). Paths that begin
/// with `$` are the record's own.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Field {
    pub path: String,
    pub kind: Kind,
    pub required: bool,
}

/// What a configured component reads and writes.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Ports {
    pub reads: Vec<Field>,
    pub writes: Vec<Field>,
}

/// Values of varying length, end to end: value i is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slices {
    /// One more than values, ascending, from 0 to the length of `bytes`.
    pub offsets: Vec<u32>,
    pub bytes: Vec<u8>,
}

impl Default for Slices {
    fn default() -> Self {
        Slices { offsets: vec![0], bytes: Vec::new() }
    }
}

impl Slices {
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, row: usize) -> &[u8] {
        &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// The values of these rows, end to end.
    pub fn span(&self, rows: Range<usize>) -> &[u8] {
        &self.bytes[self.offsets[rows.start] as usize..self.offsets[rows.end] as usize]
    }

    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.seal();
    }

    /// Adds the value that `write` appends.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.seal();
    }

    fn seal(&mut self) {
        let end = u32::try_from(self.bytes.len()).expect("batches are bounded far below 4 GiB");
        self.offsets.push(end);
    }

    pub fn clear(&mut self) {
        self.offsets.truncate(1);
        self.bytes.clear();
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|row| self.get(row))
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Slices {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut slices = Slices::default();
        for value in values {
            slices.push(value.as_ref());
        }
        slices
    }
}

/// The values of a column; which variant belongs to which kind is fixed: see [`Values::empty`].
#[derive(Clone, PartialEq, Debug)]
pub enum Values {
    Presence,
    /// 0 or 1.
    Booleans(Vec<u8>),
    /// Timestamps too.
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    /// Text (valid UTF-8), JSON (one valid value), bytes.
    Slices(Slices),
}

impl Values {
    /// The variant that a kind crosses in.
    pub fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Presence => Values::Presence,
            Kind::Boolean => Values::Booleans(Vec::new()),
            Kind::Integer | Kind::Timestamp => Values::Integers(Vec::new()),
            Kind::Float => Values::Floats(Vec::new()),
            Kind::Text | Kind::Json | Kind::Bytes => Values::Slices(Slices::default()),
        }
    }
}

/// `present` has a byte for each record, 0 where the field is absent or null; empty when all are present. An absent
/// value has a placeholder (0, or no bytes) in `values`.
#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    pub values: Values,
    pub present: Vec<u8>,
}

impl Column {
    pub fn is_present(&self, row: usize) -> bool {
        self.present.is_empty() || self.present[row] != 0
    }

    /// The column of these rows, in this order.
    pub fn take(&self, rows: &[u32]) -> Column {
        let rows = || rows.iter().map(|row| *row as usize);
        let values = match &self.values {
            Values::Presence => Values::Presence,
            Values::Booleans(values) => Values::Booleans(rows().map(|row| values[row]).collect()),
            Values::Integers(values) => Values::Integers(rows().map(|row| values[row]).collect()),
            Values::Floats(values) => Values::Floats(rows().map(|row| values[row]).collect()),
            Values::Slices(values) => Values::Slices(rows().map(|row| values.get(row)).collect()),
        };
        let present = if self.present.is_empty() { Vec::new() } else { rows().map(|row| self.present[row]).collect() };
        Column { values, present }
    }
}

/// A column for each field that was asked for, in that order.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Batch {
    pub rows: u32,
    pub columns: Vec<Column>,
}

impl Batch {
    /// The batch of these rows, in this order.
    pub fn take(&self, rows: &[u32]) -> Batch {
        Batch { rows: rows.len() as u32, columns: self.columns.iter().map(|column| column.take(rows)).collect() }
    }
}

/// A row that a component does not take, in its words, or that its call breaks on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejection {
    pub row: u32,
    pub reason: Reason,
}

/// A filter's answer: a byte for each row, 0 drops it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Verdicts {
    pub keep: Vec<u8>,
    pub rejected: Vec<Rejection>,
}

/// The answer of `enrich` and `emit`. `rows`: for each output the input row it comes from, ascending; a row left out is
/// dropped, one named twice is split; none: every row once, in order. A rejected row is not in `rows`; without `rows`
/// its values are ignored.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Output {
    pub rows: Option<Vec<u32>>,
    pub columns: Vec<Column>,
    pub rejected: Vec<Rejection>,
}

/// The name and version of an aggregate's state.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StateSchema {
    pub name: String,
    pub version: u32,
}

/// The states after `accumulate`, one for each that went in; a rejected row changed nothing.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Accumulated {
    pub states: Slices,
    pub rejected: Vec<Rejection>,
}
