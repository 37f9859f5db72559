//! The room as a whole: what its tests share.

use std::sync::Arc;

use super::{Decoded, Decoder, Kept, Rejected, Table};
use crate::config::{DecodeSettings, Format, OnWrongType, TimestampUnit};
use crate::record::{
    Batch, BatchBuilder, Column, EventTime, Field, Kind, Offset, Output, Partition, RecordBatch, Slices, Values,
};

mod documents;
mod evolution;
mod kinds;
mod properties;
mod readers;
mod records;
mod rows;

fn settings() -> DecodeSettings {
    DecodeSettings {
        format: Format::Json,
        event_time: "$timestamp".to_owned(),
        timestamp_unit: TimestampUnit::Auto,
        on_wrong_type: OnWrongType::DeadLetter,
        defaults: Default::default(),
        schema_version: None,
        schema_versions: Vec::new(),
    }
}

fn field(path: &str, kind: Kind) -> Field {
    Field { path: path.to_owned(), kind, required: false }
}

fn required(path: &str, kind: Kind) -> Field {
    Field { required: true, ..field(path, kind) }
}

/// Records with Kafka's timestamp 1 s and offsets from 10.
fn batch(values: &[&[u8]]) -> Arc<RecordBatch> {
    let mut builder = BatchBuilder::new(EventTime::from_micros(5));
    for (row, value) in values.iter().enumerate() {
        builder.push(Offset(10 + row as i64), Some(EventTime::from_micros(1_000_000)), None, Some(value));
    }
    Arc::new(builder.finish())
}

fn decode(decoder: &Decoder, values: &[&str]) -> Decoded {
    let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
    decoder.decode(&Partition::new("events", 3), batch(&values))
}

/// A table of records that are all good.
fn table(decoder: &Decoder, values: &[&str]) -> Table {
    let decoded = decode(decoder, values);
    assert_eq!((decoded.rejected.as_slice(), decoded.table.len()), (&[][..], values.len()));
    decoded.table
}

fn decoder(paths: &[&str]) -> Decoder {
    Decoder::new(&settings(), paths.iter().copied()).unwrap()
}

/// The columns of fields, and what was rejected for them.
fn read(decoder: &Decoder, table: &mut Table, fields: &[Field]) -> (Batch, Vec<String>) {
    let mut columns = Batch::default();
    let rejected = table.columns(&decoder.reads(fields).unwrap(), &mut columns);
    assert_eq!(columns.rows as usize, table.len());
    for (column, field) in columns.columns.iter().zip(fields) {
        assert_eq!(std::mem::discriminant(&column.values), std::mem::discriminant(&Values::empty(field.kind)));
        assert!(column.present.is_empty() || column.present.len() == table.len());
    }
    (columns, words(&rejected))
}

fn words(rejected: &[Rejected]) -> Vec<String> {
    let words = |one: &Rejected| format!("{}.{} {}: {}", one.record, one.ordinal, one.reason.kind, one.reason.message);
    rejected.iter().map(words).collect()
}

fn shown(column: &Column, row: usize) -> String {
    if !column.is_present(row) {
        return "-".to_owned();
    }
    match &column.values {
        Values::Presence => "there".to_owned(),
        Values::Booleans(values) => (values[row] != 0).to_string(),
        Values::Integers(values) => values[row].to_string(),
        Values::Floats(values) => format!("{:?}", values[row]),
        Values::Slices(values) => String::from_utf8_lossy(values.get(row)).into_owned(),
    }
}

/// Each row of a column.
fn column(decoder: &Decoder, table: &mut Table, path: &str, kind: Kind) -> Vec<String> {
    let (columns, rejected) = read(decoder, table, &[field(path, kind)]);
    assert_eq!(rejected, [""; 0]);
    (0..table.len()).map(|row| shown(&columns.columns[0], row)).collect()
}

fn document(table: &Table, row: usize) -> String {
    let mut body = b"before".to_vec();
    table.document(row, &mut body);
    assert_eq!(body.drain(..6).collect::<Vec<_>>(), b"before");
    String::from_utf8(body).unwrap()
}

fn texts(values: &[Option<&str>]) -> Column {
    let present = values.iter().map(|value| u8::from(value.is_some())).collect();
    Column { values: Values::Slices(values.iter().map(|value| value.unwrap_or("")).collect::<Slices>()), present }
}

fn integers(values: &[i64]) -> Column {
    Column { values: Values::Integers(values.to_vec()), present: Vec::new() }
}

fn write(decoder: &Decoder, table: &mut Table, fields: &[Field], columns: Vec<Column>) -> Kept {
    let output = Output { rows: None, columns, rejected: Vec::new() };
    table.write(&decoder.writes(fields).unwrap(), output)
}
