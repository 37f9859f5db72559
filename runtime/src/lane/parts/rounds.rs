//! States that are merged, group by group: all first two of them in one call, then what that gave with all third ones, and so on.

use crate::plugin::{Aggregate, CallError};
use crate::record::{Accumulated, Rejection, Slices};

/// What the states of each group merge to, in their order; and the groups of which some cannot be.
pub(super) fn merge(groups: &[Vec<&[u8]>], aggregate: &mut dyn Aggregate) -> Result<Accumulated, CallError> {
    let mut states: Vec<Vec<u8>> =
        groups.iter().map(|parts| parts.first().map(|state| state.to_vec()).unwrap_or_default()).collect();
    let mut rejected: Vec<Rejection> = Vec::new();
    let most = groups.iter().map(Vec::len).max().unwrap_or_default();
    for round in 1..most {
        let whole = |row: &usize| !rejected.iter().any(|rejection| rejection.row as usize == *row);
        let rows: Vec<usize> = (0..groups.len()).filter(|row| groups[*row].len() > round).filter(whole).collect();
        let left: Slices = rows.iter().map(|row| &states[*row]).collect();
        let right: Slices = rows.iter().map(|row| groups[*row][round]).collect();
        let merged = aggregate.merge(&left, &right)?;
        for (row, state) in rows.iter().zip(merged.states.iter()) {
            states[*row] = state.to_vec();
        }
        let of_group =
            |one: Rejection| Some(Rejection { row: *rows.get(one.row as usize)? as u32, reason: one.reason });
        rejected.extend(merged.rejected.into_iter().filter_map(of_group));
    }
    Ok(Accumulated { states: states.iter().collect(), rejected })
}

#[cfg(test)]
pub(super) mod tests {
    use crate::plugin::{Aggregate, CallError};
    use crate::record::{Accumulated, Batch, Output, Slices, StateSchema};

    /// Merges by putting one behind the other.
    pub struct Concat;

    impl Aggregate for Concat {
        fn accumulate(&mut self, _: &Slices, _: &[u32], _: &Batch) -> Result<Accumulated, CallError> {
            unreachable!("parts are merged")
        }

        fn merge(&mut self, left: &Slices, right: &Slices) -> Result<Accumulated, CallError> {
            let states = left.iter().zip(right.iter()).map(|(left, right)| [left, right].concat()).collect();
            Ok(Accumulated { states, rejected: Vec::new() })
        }

        fn emit(&mut self, _: &Slices, _: &Batch) -> Result<Output, CallError> {
            unreachable!("parts are merged")
        }

        fn migrate(&mut self, _: &StateSchema, _: &Slices) -> Result<Result<Slices, String>, CallError> {
            unreachable!("by whoever owns them")
        }
    }

    #[test]
    fn states_are_merged_in_their_order_however_many_a_group_has() {
        let groups: [Vec<&[u8]>; 4] = [vec![b"a", b"b", b"c"], vec![], vec![b"d"], vec![b"e", b"f"]];
        let merged = super::merge(&groups, &mut Concat).expect("it merges");
        assert_eq!(merged.states.iter().collect::<Vec<_>>(), [&b"abc"[..], b"", b"d", b"ef"]);
    }
}
