//! An aggregate that is given a few states at a time: what it makes of them must not depend on how many there are in a call.

use super::{Aggregate, CallError, split};
use crate::record::{Accumulated, Batch, Output, Slices, StateSchema};

/// Calls `merge` and `emit` in pieces. (How many records `accumulate` gets is the lane's to say.)
pub struct InPieces {
    inner: Box<dyn Aggregate>,
    states_max: usize,
}

impl InPieces {
    pub fn new(inner: Box<dyn Aggregate>, states_max: usize) -> Self {
        InPieces { inner, states_max: states_max.max(1) }
    }

    fn pieces(&self, states: &Slices) -> impl Iterator<Item = std::ops::Range<u32>> + use<> {
        let (count, size) = (states.len(), self.states_max);
        (0..count.div_ceil(size))
            .map(move |piece| (piece * size) as u32..count.min((piece + 1).saturating_mul(size)) as u32)
    }
}

impl Aggregate for InPieces {
    fn accumulate(&mut self, states: &Slices, groups: &[u32], batch: &Batch) -> Result<Accumulated, CallError> {
        self.inner.accumulate(states, groups, batch)
    }

    fn merge(&mut self, left: &Slices, right: &Slices) -> Result<Accumulated, CallError> {
        let mut whole = Accumulated::default();
        for rows in self.pieces(left) {
            let (left, right) = (split::slices(left, rows.clone()), split::slices(right, rows.clone()));
            let merged = self.inner.merge(&left, &right)?;
            split::append(&mut whole.states, &merged.states);
            whole.rejected.extend(split::shifted(merged.rejected, rows.start));
        }
        Ok(whole)
    }

    fn emit(&mut self, states: &Slices, context: &Batch) -> Result<Output, CallError> {
        let mut whole = Output::default();
        for rows in self.pieces(states) {
            let answer = self.inner.emit(&split::slices(states, rows.clone()), &split::rows(context, rows.clone()))?;
            split::extend(&mut whole, answer, rows.start, rows.end - rows.start);
        }
        Ok(whole)
    }

    fn migrate(&mut self, from: &StateSchema, states: &Slices) -> Result<Result<Slices, String>, CallError> {
        self.inner.migrate(from, states)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Column, Values};

    /// Says with each state how many came with it.
    struct Counting;

    impl Aggregate for Counting {
        fn accumulate(&mut self, states: &Slices, _: &[u32], _: &Batch) -> Result<Accumulated, CallError> {
            Ok(Accumulated { states: states.clone(), rejected: Vec::new() })
        }

        fn merge(&mut self, left: &Slices, right: &Slices) -> Result<Accumulated, CallError> {
            let merged = left.iter().zip(right.iter()).map(|(left, right)| [left, right, &[left.len() as u8]].concat());
            Ok(Accumulated { states: merged.collect(), rejected: Vec::new() })
        }

        fn emit(&mut self, states: &Slices, context: &Batch) -> Result<Output, CallError> {
            assert_eq!(context.rows as usize, states.len());
            let column =
                Column { values: Values::Integers(vec![states.len() as i64; states.len()]), present: Vec::new() };
            Ok(Output { rows: None, columns: vec![column], rejected: Vec::new() })
        }

        fn migrate(&mut self, _: &StateSchema, states: &Slices) -> Result<Result<Slices, String>, CallError> {
            Ok(Ok(states.clone()))
        }
    }

    #[test]
    fn each_state_is_served_once_in_order() {
        let states: Slices = ["a", "bb", "", "d", "e"].iter().collect();
        let context = Batch { rows: 5, columns: Vec::new() };
        let emitted = |states_max| {
            let output = InPieces::new(Box::new(Counting), states_max).emit(&states, &context).expect("served");
            assert_eq!(output.rows.map_or(5, |rows| rows.len()), 5);
            output.columns[0].values.clone()
        };
        assert_eq!(emitted(2), Values::Integers(vec![2, 2, 2, 2, 1]));
        assert_eq!(emitted(usize::MAX), Values::Integers(vec![5; 5]));
        let merging = |states_max| InPieces::new(Box::new(Counting), states_max).merge(&states, &states);
        assert_eq!(merging(1), merging(7));
    }
}
