//! After a call that broke: the batch once more in pieces, halved until the rows that break it are alone.
//!
//! Nothing of a broken call took effect, and each piece gets a fresh instance when the one before it broke, so rows that are
//! not guilty are served as if the guilty ones had never been there.

use std::ops::Range;
use std::time::Duration;

use super::CallError;
use crate::record::Reason;

/// What a piece gets of time at least, however few rows it has.
const PIECE_DEADLINE_MIN: Duration = Duration::from_millis(50);
/// After so many rows of a batch that broke, the rest goes in runs: many are guilty, and halving does not find them faster.
const ISOLATED_MAX: usize = 8;
/// The rows of such a run.
const RUN_ROWS: u32 = 64;

/// A piece of the batch that is still to be served.
struct Piece {
    rows: Range<u32>,
    /// It holds a guilty row for certain: whole it need not be tried.
    broken: bool,
    /// It is the second half of a piece that broke. Where the first half is innocent, this one is broken.
    second: bool,
}

/// What came of a piece: an answer, or the reason for a row that breaks alone.
pub(super) type Served<T> = (Range<u32>, Result<T, Reason>);

/// Serves rows `0..rows`, of which all together broke, in pieces and in order. `call` gets the rows of a piece and the time
/// that it has, of the `deadline` of all. An error is none of a row.
pub(super) fn isolate<T>(
    rows: u32,
    deadline: Duration,
    mut call: impl FnMut(Range<u32>, Duration) -> Result<T, CallError>,
) -> Result<Vec<Served<T>>, CallError> {
    let (mut served, mut isolated) = (Vec::new(), 0);
    let mut pending = vec![Piece { rows: 0..rows, broken: true, second: false }];
    while let Some(piece) = pending.pop() {
        let count = piece.rows.end - piece.rows.start;
        if count == 0 {
            continue;
        }
        if piece.broken && count > 1 {
            split(piece.rows, isolated >= ISOLATED_MAX, &mut pending);
            continue;
        }
        let share = deadline.saturating_mul(count) / rows;
        match call(piece.rows.clone(), share.max(PIECE_DEADLINE_MIN).min(deadline)) {
            Ok(answer) => {
                served.push((piece.rows, Ok(answer)));
                if let Some(next) = pending.last_mut() {
                    next.broken |= next.second;
                }
            }
            Err(error) => {
                let Some(reason) = error.reason() else { return Err(error) };
                if let Some(next) = pending.last_mut() {
                    next.second = false;
                }
                if count == 1 {
                    isolated += 1;
                    served.push((piece.rows, Err(reason)));
                } else {
                    split(piece.rows, isolated >= ISOLATED_MAX, &mut pending);
                }
            }
        }
    }
    Ok(served)
}

/// The pieces of a piece that broke, the first one on top.
fn split(rows: Range<u32>, into_runs: bool, pending: &mut Vec<Piece>) {
    let Range { start, end } = rows;
    if into_runs && end - start > RUN_ROWS {
        let runs = (start..end).step_by(RUN_ROWS as usize).rev();
        pending.extend(runs.map(|run| Piece { rows: run..end.min(run + RUN_ROWS), broken: false, second: false }));
        return;
    }
    let middle = start + (end - start) / 2;
    pending.push(Piece { rows: middle..end, broken: false, second: true });
    pending.push(Piece { rows: start..middle, broken: false, second: false });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Serves rows of which some are guilty: the calls, and what came of each row.
    fn run(rows: u32, guilty: &[u32]) -> (Vec<Range<u32>>, Vec<(u32, bool)>) {
        let mut calls = Vec::new();
        let call = |piece: Range<u32>, _| {
            calls.push(piece.clone());
            if guilty.iter().any(|row| piece.contains(row)) { Err(CallError::Trap("no".into())) } else { Ok(()) }
        };
        let served = isolate(rows, Duration::from_secs(1), call).expect("rows are to blame");
        let settled = served.into_iter().flat_map(|(piece, came)| piece.map(move |row| (row, came.is_ok())));
        let settled = settled.collect();
        (calls, settled)
    }

    #[test]
    fn a_single_guilty_row_is_found_in_few_calls() {
        let (calls, settled) = run(4096, &[4095]);
        assert_eq!(settled.iter().filter(|(_, served)| !served).collect::<Vec<_>>(), [&(4095, false)]);
        // Each first half is innocent, so that no second half is tried whole.
        assert_eq!(calls.len(), 13);
        let (calls, _) = run(4096, &[0]);
        assert_eq!(calls.len(), 24);
    }

    #[test]
    fn a_piece_has_its_share_of_the_time() {
        let mut times = Vec::new();
        let call = |piece: Range<u32>, time: Duration| {
            times.push((piece.len(), time.as_millis()));
            if piece.contains(&0) { Err(CallError::Trap("no".into())) } else { Ok(()) }
        };
        isolate(8, Duration::from_secs(1), call).expect("a row is to blame");
        assert_eq!(times, [(4, 500), (2, 250), (1, 125), (1, 125), (2, 250), (4, 500)]);
    }

    #[test]
    fn what_is_no_rows_fault_ends_it() {
        let gone = |_, _| Err::<(), _>(CallError::Start("no memory".into()));
        assert_eq!(isolate(8, Duration::from_secs(1), gone), Err(CallError::Start("no memory".into())));
    }

    proptest! {
        #[test]
        fn each_row_is_settled_once_in_order_and_only_the_guilty_break(
            rows in 1..600u32,
            guilty in proptest::collection::btree_set(0..600u32, 0..40),
        ) {
            let guilty: Vec<u32> = guilty.into_iter().filter(|row| *row < rows).collect();
            let (_, settled) = run(rows, &guilty);
            let expected: Vec<(u32, bool)> = (0..rows).map(|row| (row, !guilty.contains(&row))).collect();
            prop_assert_eq!(settled, expected);
        }
    }
}
