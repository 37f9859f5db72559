//! Batches and states cut into pieces that a call can carry, and answers put together again.

use std::borrow::Cow;
use std::ops::Range;

use crate::record::{Batch, Column, Output, Rejection, Slices, Values};

/// Ranges over all items, in order, whose sizes add up to at most `bytes_max`, or that hold a single item.
pub(super) fn chunks(sizes: impl ExactSizeIterator<Item = usize>, bytes_max: usize) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0usize);
    let count = sizes.len();
    for (item, size) in sizes.enumerate() {
        if item > start && bytes.saturating_add(size) > bytes_max {
            chunks.push(start..item);
            (start, bytes) = (item, 0);
        }
        bytes = bytes.saturating_add(size);
    }
    if start < count || chunks.is_empty() {
        chunks.push(start..count);
    }
    chunks
}

/// The values of `range`.
pub(super) fn range(values: &Slices, range: Range<usize>) -> Slices {
    range.map(|item| values.get(item)).collect()
}

pub(super) fn append(to: &mut Slices, values: &Slices) {
    for value in values.iter() {
        to.push(value);
    }
}

/// A piece of a batch; all of it is not copied.
pub(super) fn rows(batch: &Batch, rows: Range<u32>) -> Cow<'_, Batch> {
    match rows == (0..batch.rows) {
        true => Cow::Borrowed(batch),
        false => Cow::Owned(batch.take(&rows.collect::<Vec<_>>())),
    }
}

/// A piece of states; all of them are not copied.
pub(super) fn slices(values: &Slices, rows: Range<u32>) -> Cow<'_, Slices> {
    match rows == (0..values.len() as u32) {
        true => Cow::Borrowed(values),
        false => Cow::Owned(range(values, rows.start as usize..rows.end as usize)),
    }
}

/// Rejections of a piece that began at row `start`, as those of the whole.
pub(super) fn shifted(rejected: Vec<Rejection>, start: u32) -> impl Iterator<Item = Rejection> {
    rejected.into_iter().map(move |Rejection { row, reason }| Rejection { row: start + row, reason })
}

/// The same answer with its rows named: those that are not rejected.
fn named(answer: Output, rows: u32) -> Output {
    if answer.rows.is_some() {
        return answer;
    }
    let rejected = |row: &u32| answer.rejected.binary_search_by_key(row, |rejection| rejection.row).is_ok();
    let from: Vec<u32> = (0..rows).filter(|row| !rejected(row)).collect();
    let columns = match answer.rejected.is_empty() {
        true => answer.columns,
        false => answer.columns.iter().map(|column| column.take(&from)).collect(),
    };
    Output { rows: Some(from), columns, rejected: answer.rejected }
}

/// Adds the answer to a piece of `rows` rows that began at row `start` to the answer to the rows before it, which
/// names its rows too.
pub(super) fn extend(to: &mut Output, answer: Output, start: u32, rows: u32) {
    let answer = named(answer, rows);
    let before = to.rows.get_or_insert_default();
    let from = answer.rows.unwrap_or_default();
    if before.is_empty() {
        to.columns = answer.columns;
    } else {
        for (to, column) in to.columns.iter_mut().zip(answer.columns) {
            extend_column(to, before.len(), column, from.len());
        }
    }
    before.extend(from.iter().map(|row| start + row));
    to.rejected.extend(shifted(answer.rejected, start));
}

/// `column` has `count` values, `to` has `before`, of the same kind.
fn extend_column(to: &mut Column, before: usize, column: Column, count: usize) {
    if !(to.present.is_empty() && column.present.is_empty()) {
        if to.present.is_empty() {
            to.present.resize(before, 1);
        }
        match column.present.is_empty() {
            true => to.present.resize(before + count, 1),
            false => to.present.extend_from_slice(&column.present),
        }
    }
    match (&mut to.values, column.values) {
        (Values::Booleans(to), Values::Booleans(values)) => to.extend_from_slice(&values),
        (Values::Integers(to), Values::Integers(values)) => to.extend_from_slice(&values),
        (Values::Floats(to), Values::Floats(values)) => to.extend_from_slice(&values),
        (Values::Slices(to), Values::Slices(values)) => append(to, &values),
        (to, values) => debug_assert_eq!(*to, values, "a column has one kind, and presence has no values"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Reason, ReasonKind};

    #[test]
    fn chunks_hold_at_most_the_limit_or_a_single_item() {
        let check = |sizes: &[usize], expected: &[(usize, usize)]| {
            let chunks = chunks(sizes.iter().copied(), 10);
            assert_eq!(chunks.iter().map(|chunk| (chunk.start, chunk.end)).collect::<Vec<_>>(), expected);
        };
        check(&[], &[(0, 0)]);
        check(&[4, 6], &[(0, 2)]);
        check(&[4, 6, 1], &[(0, 2), (2, 3)]);
        check(&[11, 11, 2, 3], &[(0, 1), (1, 2), (2, 4)]);
        check(&[usize::MAX, usize::MAX], &[(0, 1), (1, 2)]);
    }

    #[test]
    fn a_selection_keeps_values_and_absence() {
        let texts = Column { values: Values::Slices(["a", "", "ccc"].iter().collect()), present: vec![1, 0, 1] };
        let numbers = Column { values: Values::Integers(vec![1, 2, 3]), present: Vec::new() };
        let picked = Batch { rows: 3, columns: vec![texts, numbers] }.take(&[2, 1]);
        assert_eq!(picked.rows, 2);
        assert_eq!(picked.columns[0].values, Values::Slices(["ccc", ""].iter().collect()));
        assert_eq!(picked.columns[0].present, [1, 0]);
        assert_eq!(picked.columns[1].values, Values::Integers(vec![3, 2]));
        assert!(picked.columns[1].present.is_empty());
    }

    #[test]
    fn answers_to_pieces_become_one_answer() {
        let piece = |rows: Option<Vec<u32>>, values: &[i64], present: &[u8], rejected: &[u32]| Output {
            rows,
            columns: vec![Column { values: Values::Integers(values.to_vec()), present: present.to_vec() }],
            rejected: rejected
                .iter()
                .map(|row| Rejection { row: *row, reason: Reason::new(ReasonKind::Plugin, "no") })
                .collect(),
        };
        let mut all = Output::default();
        extend(&mut all, piece(None, &[7, 8], &[], &[0]), 0, 2);
        extend(&mut all, piece(Some(vec![0, 0, 2]), &[1, 2, 3], &[1, 0, 1], &[1]), 2, 3);
        extend(&mut all, piece(None, &[9], &[], &[]), 5, 1);
        assert_eq!(all, piece(Some(vec![1, 2, 2, 4, 5]), &[8, 1, 2, 3, 9], &[1, 1, 0, 1, 1], &[0, 3]));
    }
}
