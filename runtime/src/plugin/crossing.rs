//! Our columns as the bindings' borrowed ones: what is sent is copied once, into the guest's memory; and how much that is.

use super::bindings::tidegate::plugin::data;
use crate::record::{Accumulated, Batch, Column, Output, Rejection, Slices, Values, Verdicts};

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

/// What crosses the border, in one direction or the other.
pub trait Crossing {
    /// Of the lists that are copied, without the few words that say where they are.
    fn bytes(&self) -> usize;
}

impl Crossing for Batch {
    fn bytes(&self) -> usize {
        self.columns.iter().map(Crossing::bytes).sum()
    }
}

impl Crossing for Column {
    fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Presence => 0,
            Values::Booleans(values) => values.len(),
            Values::Integers(values) => size_of_val(values.as_slice()),
            Values::Floats(values) => size_of_val(values.as_slice()),
            Values::Slices(values) => values.bytes(),
        };
        values + self.present.len()
    }
}

impl Crossing for Slices {
    fn bytes(&self) -> usize {
        size_of_val(self.offsets.as_slice()) + self.bytes.len()
    }
}

impl Crossing for Verdicts {
    fn bytes(&self) -> usize {
        self.keep.len() + rejections(&self.rejected)
    }
}

impl Crossing for Output {
    fn bytes(&self) -> usize {
        let rows = self.rows.as_ref().map_or(0, |rows| size_of_val(rows.as_slice()));
        rows + self.columns.iter().map(Crossing::bytes).sum::<usize>() + rejections(&self.rejected)
    }
}

impl Crossing for Accumulated {
    fn bytes(&self) -> usize {
        self.states.bytes() + rejections(&self.rejected)
    }
}

/// A row, and a pointer and a length of its reason.
const REJECTION_BYTES: usize = 12;

fn rejections(rejected: &[Rejection]) -> usize {
    rejected.iter().map(|rejection| REJECTION_BYTES + rejection.reason.message.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_crosses_is_the_lists() {
        let texts = ["ab", "", "c"].into_iter().collect();
        let column = |values, present: &[u8]| Column { values, present: present.to_vec() };
        let batch = Batch {
            rows: 3,
            columns: vec![
                column(Values::Presence, &[1, 0, 1]),
                column(Values::Integers(vec![1, 2, 3]), &[]),
                column(Values::Slices(texts), &[]),
            ],
        };
        assert_eq!(batch.bytes(), 3 + 3 * 8 + (4 * 4 + 3));
        assert_eq!(Verdicts { keep: vec![1, 0, 1], rejected: Vec::new() }.bytes(), 3);
        assert_eq!(Output { rows: Some(vec![0, 2]), ..Output::default() }.bytes(), 8);
    }
}
