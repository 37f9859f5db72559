//! Our columns as the bindings' borrowed ones: what is sent is copied once, into the guest's memory; and how much that is.

use std::borrow::Cow;
use std::ops::Range;

use super::bindings::tidegate::plugin::data;
use crate::record::{Accumulated, Batch, Column, Output, Rejection, Slices, Values, Verdicts};

/// Rows of a batch, by reference.
pub(super) struct Piece<'b> {
    batch: &'b Batch,
    rows: Range<u32>,
    /// For each column of slices, from 0 on.
    offsets: Vec<Cow<'b, [u32]>>,
}

impl<'b> Piece<'b> {
    pub fn new(batch: &'b Batch, rows: Range<u32>) -> Self {
        let slices = batch.columns.iter().filter_map(|column| match &column.values {
            Values::Slices(slices) => Some(slices),
            Values::Presence | Values::Booleans(_) | Values::Integers(_) | Values::Floats(_) => None,
        });
        let offsets = slices.map(|slices| offsets(slices, &rows)).collect();
        Piece { batch, rows, offsets }
    }

    pub fn rows(&self) -> u32 {
        self.rows.end - self.rows.start
    }

    pub fn columns(&self) -> Vec<data::ColumnParam<'_>> {
        let mut offsets = self.offsets.iter();
        let range = self.rows.start as usize..self.rows.end as usize;
        let column = |column: &'b Column| {
            let values = match &column.values {
                Values::Presence => data::ValuesParam::Presence,
                Values::Booleans(values) => data::ValuesParam::Booleans(&values[range.clone()]),
                Values::Integers(values) => data::ValuesParam::Integers(&values[range.clone()]),
                Values::Floats(values) => data::ValuesParam::Floats(&values[range.clone()]),
                Values::Slices(values) => data::ValuesParam::Slices(data::SlicesParam {
                    offsets: offsets.next().map(|offsets| &**offsets).unwrap_or_default(),
                    bytes: values.span(range.clone()),
                }),
            };
            let present = if column.present.is_empty() { &[] } else { &column.present[range.clone()] };
            data::ColumnParam { values, present }
        };
        self.batch.columns.iter().map(column).collect()
    }

    pub fn batch<'a>(&self, columns: &'a [data::ColumnParam<'a>]) -> data::Batch<'a> {
        data::Batch { rows: self.rows(), columns }
    }
}

fn offsets<'b>(slices: &'b Slices, rows: &Range<u32>) -> Cow<'b, [u32]> {
    let offsets = &slices.offsets[rows.start as usize..=rows.end as usize];
    match offsets.first() {
        Some(first) if *first > 0 => offsets.iter().map(|offset| offset - first).collect(),
        Some(_) | None => Cow::Borrowed(offsets),
    }
}

pub(super) fn slices(slices: &Slices) -> data::SlicesParam<'_> {
    data::SlicesParam { offsets: &slices.offsets, bytes: &slices.bytes }
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
    use super::super::split;
    use super::*;

    #[test]
    fn a_piece_is_part_of_the_lists() {
        let column = |values| Column { values, present: vec![1, 0, 1, 1] };
        let columns = vec![
            column(Values::Floats(vec![1.0, 2.0, 3.0, 4.0])),
            column(Values::Slices(["ab", "", "c", "def"].into_iter().collect())),
            column(Values::Presence),
            column(Values::Slices(["1", "2", "3", "4"].into_iter().collect())),
        ];
        let batch = Batch { rows: 4, columns };
        for start in 0..4u32 {
            for end in start + 1..=4 {
                let (piece, wanted) = (Piece::new(&batch, start..end), split::rows(&batch, start..end));
                let whole = Piece::new(&wanted, 0..end - start);
                assert_eq!(piece.rows(), wanted.rows);
                assert_eq!(format!("{:?}", piece.columns()), format!("{:?}", whole.columns()), "{start}..{end}");
            }
        }
    }

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
