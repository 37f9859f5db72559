//! The same input in other batches, and on instances that have worked before, must come to the same; where it does not,
//! a component is to blame.

use anyhow::Result;

use super::compare::{self, Difference};
use super::outcome::Outcome;
use super::play::{Mode, Play};
use super::scenario::{DEAD_LETTERS, DOCUMENTS, Differences, ERROR};
use super::witness::{Guilty, Witnesses};

/// One record, some, and as many as there are.
const BATCHES: [usize; 3] = [1, 7, usize::MAX];

/// Two runs of the same input that came to different ends.
pub(super) struct Unsteady {
    pub runs: [Mode; 2],
    pub cause: Cause,
    /// The components that made something else of the same rows; none where that cannot be told.
    pub guilty: Vec<Guilty>,
    /// From the first of the runs to the second.
    pub differences: Differences,
}

/// What a component does that it must not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// The same calls in the same order gave something else the second time.
    State,
    /// What differs is how many rows a call had.
    Cut,
}

/// `first` is what the first run came to.
pub(super) fn judge(play: &mut Play<'_>, first: &Outcome) -> Result<Option<Unsteady>> {
    let first = first.comparable();
    let mut cut = None;
    for batch_records in BATCHES {
        let runs = [Mode { batch_records, used: false }, Mode { batch_records, used: true }];
        let fresh = if runs[0] == Mode::FIRST { first.clone() } else { play.run(runs[0])?.comparable() };
        let used = play.run(runs[1])?.comparable();
        if used != fresh {
            return unsteady(play, Cause::State, runs, &fresh, &used).map(Some);
        }
        if fresh != first {
            cut.get_or_insert((runs[0], fresh));
        }
    }
    cut.map(|(mode, other)| unsteady(play, Cause::Cut, [Mode::FIRST, mode], &first, &other)).transpose()
}

fn unsteady(play: &mut Play<'_>, cause: Cause, runs: [Mode; 2], before: &Outcome, after: &Outcome) -> Result<Unsteady> {
    let mut seen = Vec::new();
    for mode in runs {
        let mut witnesses = Witnesses::default();
        let settings = play.settings;
        play.run_with(mode, |instances| witnesses = Witnesses::attach(settings, instances))?;
        seen.push(witnesses.testify());
    }
    let guilty = match &seen[..] {
        [before, after] => before.iter().zip(after).filter_map(|(before, after)| before.differs(after)).collect(),
        _ => Vec::new(),
    };
    Ok(Unsteady { runs, cause, guilty, differences: differences(before, after) })
}

fn differences(before: &Outcome, after: &Outcome) -> Differences {
    let text = |outcome: &Outcome| outcome.error.clone().unwrap_or_default();
    if before.error != after.error {
        return vec![(ERROR, vec![Difference::Text { expected: text(before), found: text(after) }])];
    }
    let mut found = vec![
        (DOCUMENTS, compare::lines(&before.documents, &after.documents)),
        (DEAD_LETTERS, compare::lines(&before.dead_letters, &after.dead_letters)),
    ];
    found.retain(|(_, differences)| !differences.is_empty());
    found
}
