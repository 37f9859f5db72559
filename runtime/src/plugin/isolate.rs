//! After a call that broke: the batch once more in pieces, until the rows that break it are alone.
//!
//! Nothing of a broken call took effect, and each piece gets a fresh instance when the one before it broke, so rows that are
//! not guilty are served as if the guilty ones had never been there. Calls that break cost much more than those that do
//! not (a fresh instance; all the time that they have), so rows are tried in short runs, and those of a run that breaks one by
//! one up to the guilty one: that breaks two calls, not as many as halving takes.

use std::ops::Range;
use std::time::Duration;

use super::CallError;
use super::pace::{Pace, Place};
use crate::record::Reason;

/// A call for some rows, and how it went.
pub(super) struct Attempt<T> {
    pub came: Result<T, CallError>,
    /// CPU time.
    pub took: Duration,
    /// The instance had not been called before.
    pub first: bool,
    /// Where the guest was when it broke.
    pub place: Place,
    /// The instance has more memory than when it started.
    pub grown: bool,
}

/// What came of a piece: an answer, or the reason for a row that breaks alone.
pub(super) type Served<T> = (Range<u32>, Result<T, Reason>);

/// Serves rows `0..rows`, of which all together broke, in pieces and in order. `attempt` gets the rows of a piece and the time
/// that it has. `hopeless` looks at the number of rows that broke. An error is none of a row.
pub(super) fn isolate<T>(
    rows: u32,
    pace: &mut Pace,
    mut attempt: impl FnMut(Range<u32>, Duration) -> Attempt<T>,
    hopeless: impl Fn(usize, &CallError) -> Option<CallError>,
) -> Result<Vec<Served<T>>, CallError> {
    let (mut served, mut broken) = (Vec::new(), 0);
    let run = pace.run(rows).min(rows.div_ceil(2)).max(1);
    let mut start = 0;
    while start < rows {
        let piece = start..rows.min(start + run);
        let count = piece.end - piece.start;
        if count > 1 {
            let time = pace.run_time(count);
            match tried(&mut attempt, pace, piece.clone(), time).came {
                Ok(answer) => {
                    start = piece.end;
                    served.push((piece, Ok(answer)));
                    continue;
                }
                Err(CallError::Deadline { .. }) => pace.suspect(),
                Err(error @ CallError::Start(_)) => return Err(error),
                Err(_) => {}
            }
        }
        for row in piece {
            start = row + 1;
            let came = match alone(row, pace, &mut attempt)? {
                Ok(answer) => Ok(answer),
                Err((error, reason)) => {
                    broken += 1;
                    pace.gave_up();
                    if let Some(error) = hopeless(broken, &error) {
                        return Err(error);
                    }
                    Err(reason)
                }
            };
            let is_guilty = came.is_err();
            served.push((row..row + 1, came));
            if is_guilty {
                // Those after it are tried together again.
                break;
            }
        }
    }
    Ok(served)
}

/// An attempt, of which the pace takes note.
fn tried<T>(
    attempt: &mut impl FnMut(Range<u32>, Duration) -> Attempt<T>,
    pace: &mut Pace,
    rows: Range<u32>,
    time: Duration,
) -> Attempt<T> {
    let count = rows.end - rows.start;
    let tried = attempt(rows, time);
    match &tried.came {
        Ok(_) => pace.took(count, tried.took, tried.first),
        Err(_) => pace.broke(),
    }
    tried
}

/// Serves a row by itself. It is guilty when a fresh instance breaks on it too, within its fair time; or when it is seen to spin,
/// or to trap, where others have.
fn alone<T>(
    row: u32,
    pace: &mut Pace,
    attempt: &mut impl FnMut(Range<u32>, Duration) -> Attempt<T>,
) -> Result<Result<T, (CallError, Reason)>, CallError> {
    let time = pace.piece(1);
    let once = tried(attempt, pace, row..row + 1, time);
    let error = match once.came {
        Ok(answer) => return Ok(Ok(answer)),
        Err(error @ CallError::Start(_)) => return Err(error),
        Err(error) => error,
    };
    let is_late = matches!(error, CallError::Deadline { .. });
    // An answer that breaks the contract comes from no place.
    let is_trap = matches!(error, CallError::Trap(_));
    match error.reason() {
        Some(mut reason) if is_late && pace.knows(once.place) => {
            pace.suspect();
            reason.message.push_str(", and is where other records never came back from");
            return Ok(Err((error, reason)));
        }
        Some(reason) if !is_late && once.first => {
            if is_trap {
                pace.trapped(once.place);
            }
            return Ok(Err((error, reason)));
        }
        // Memory that has grown may be what it traps for.
        Some(reason) if is_trap && !once.grown && pace.knows_trap(once.place) => return Ok(Err((error, reason))),
        Some(_) if is_late => pace.suspect(),
        Some(_) | None => {}
    }
    // A row that was on its way to where others never came back from is there by then.
    if is_late && let Some(time) = pace.longer() {
        let longer = tried(attempt, pace, row..row + 1, time);
        match longer.came {
            Ok(answer) => {
                pace.came_back();
                return Ok(Ok(answer));
            }
            Err(error @ CallError::Deadline { .. }) if !pace.knows(longer.place) => drop(error),
            Err(error) => return broke(error, longer.place, pace).map(Err),
        }
    }
    let time = pace.fair();
    let again = tried(attempt, pace, row..row + 1, time);
    match again.came {
        Ok(answer) => {
            if is_late {
                pace.came_back();
            } else if is_trap {
                pace.trapped_without_reason(once.place);
            }
            Ok(Ok(answer))
        }
        Err(error) => broke(error, again.place, pace).map(Err),
    }
}

/// A row broke a fresh instance, in a time that it cannot complain of.
fn broke(error: CallError, place: Place, pace: &mut Pace) -> Result<(CallError, Reason), CallError> {
    let Some(reason) = error.reason() else { return Err(error) };
    match error {
        CallError::Deadline { .. } => {
            pace.suspect();
            pace.spun(place);
        }
        CallError::Trap(_) => pace.trapped(place),
        _ => {}
    }
    Ok((error, reason))
}

#[cfg(test)]
mod tests;
