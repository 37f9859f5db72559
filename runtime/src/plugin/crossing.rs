//! Our columns as the bindings' borrowed ones: what is sent is copied once, into the guest's memory.

use super::bindings::tidegate::plugin::data;
use crate::record::{Batch, Column, Slices, Values};

/// The columns of a batch, by reference.
pub(super) fn columns(batch: &Batch) -> Vec<data::ColumnParam<'_>> {
    batch.columns.iter().map(column).collect()
}

pub(super) fn batch<'a>(batch: &Batch, columns: &'a [data::ColumnParam<'a>]) -> data::Batch<'a> {
    data::Batch { rows: batch.rows, columns }
}

pub(super) fn slices(slices: &Slices) -> data::SlicesParam<'_> {
    data::SlicesParam { offsets: &slices.offsets, bytes: &slices.bytes }
}

fn column(column: &Column) -> data::ColumnParam<'_> {
    let values = match &column.values {
        Values::Presence => data::ValuesParam::Presence,
        Values::Booleans(values) => data::ValuesParam::Booleans(values),
        Values::Integers(values) => data::ValuesParam::Integers(values),
        Values::Floats(values) => data::ValuesParam::Floats(values),
        Values::Slices(values) => data::ValuesParam::Slices(slices(values)),
    };
    data::ColumnParam { values, present: &column.present }
}
