//! Two components called in turn with the same columns: CPU time, what crosses the border, and memory.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::batches::{Batches, Call};
use crate::plugin::{CallError, Crossing, Instance, Plugin, PluginError, Usage, cpu_time};
use crate::record::{Rejection, Slices};

const ROUNDS: usize = 15;
/// So long each component is called in a round.
const ROUND: Duration = Duration::from_millis(50);
const CALLS_A_ROUND_MAX: usize = 1 << 20;

/// A component that is measured.
pub(super) struct Subject {
    instance: Instance,
    usage: Arc<Usage>,
}

/// What a component did and cost.
#[derive(Default)]
pub(super) struct Figures {
    /// Nanoseconds of CPU time a record, round by round.
    pub rounds: Vec<f64>,
    pub nanos: Spread,
    /// A record, to the component and from it.
    pub bytes_in: f64,
    pub bytes_out: f64,
    /// The most that the instance had of linear memory.
    pub memory_bytes: u64,
    pub verdicts: Verdicts,
}

/// What became of the records, each once.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Verdicts {
    pub records: u64,
    pub dropped: u64,
    pub rejected: u64,
    /// Of the rejected ones: those on which it broke.
    pub broken: u64,
    pub first: Option<String>,
}

/// The median, and the ends.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(super) struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

/// What a call gave back.
struct Answer {
    states: Slices,
    bytes: usize,
    rejected: Vec<Rejection>,
}

/// Calls both with everything, once to get to know them, and then in turn for some rounds.
pub(super) fn side_by_side(subjects: &mut [Subject; 2], batches: &Batches) -> Result<[Figures; 2], CallError> {
    // What the component made of all records is what its states are like in the midst of a window; the other gives them back.
    let mut states: Vec<Vec<u8>> = vec![Vec::new(); batches.groups];
    subjects[0].get_to_know(batches, &mut states)?;
    let states = states; // They stay as they are: each round does the same.
    let mut all = [Figures::default(), Figures::default()];
    let mut calls_a_round = [0; 2];
    for ((subject, figures), calls) in subjects.iter_mut().zip(&mut all).zip(&mut calls_a_round) {
        let begun = cpu_time();
        figures.take_stock(subject, batches, &states)?;
        let took = cpu_time().saturating_sub(begun).as_nanos() / batches.calls.len().max(1) as u128;
        *calls = (ROUND.as_nanos() / took.max(1)).clamp(1, CALLS_A_ROUND_MAX as u128) as usize;
    }
    let carried: Vec<Slices> = batches.calls.iter().map(|call| states_of(call, &states)).collect();
    let rows: Vec<u32> = batches.calls.iter().map(|call| call.batch.rows).collect();
    for _ in 0..ROUNDS {
        for ((subject, figures), calls) in subjects.iter_mut().zip(&mut all).zip(&calls_a_round) {
            let (begun, mut records) = (cpu_time(), 0u64);
            for place in (0..batches.calls.len()).cycle().take(*calls) {
                subject.call(&batches.calls[place], &carried[place])?;
                records += u64::from(rows[place]);
            }
            figures.rounds.push(cpu_time().saturating_sub(begun).as_nanos() as f64 / records as f64);
        }
    }
    for (subject, figures) in subjects.iter().zip(&mut all) {
        figures.nanos = Spread::of(figures.rounds.clone());
        figures.memory_bytes = subject.usage.read().memory_bytes_most;
    }
    Ok(all)
}

fn states_of(call: &Call, states: &[Vec<u8>]) -> Slices {
    call.members.iter().map(|group| &states[*group as usize]).collect()
}

impl Subject {
    pub fn new(plugin: &Plugin) -> Result<Self, PluginError> {
        Ok(Subject { instance: plugin.instantiate()?, usage: plugin.usage().clone() })
    }

    /// Folds all records, of an aggregate, into its states.
    fn get_to_know(&mut self, batches: &Batches, states: &mut [Vec<u8>]) -> Result<(), CallError> {
        for call in &batches.calls {
            let after = self.call(call, &states_of(call, states))?.states;
            for (group, state) in call.members.iter().zip(after.iter()) {
                state.clone_into(&mut states[*group as usize]);
            }
        }
        Ok(())
    }

    fn call(&mut self, call: &Call, states: &Slices) -> Result<Answer, CallError> {
        Ok(match &mut self.instance {
            Instance::Filter(filter) => {
                let verdicts = filter.filter(&call.batch)?;
                Answer { states: Slices::default(), bytes: verdicts.bytes(), rejected: verdicts.rejected }
            }
            Instance::Enrich(enrich) => {
                let output = enrich.enrich(&call.batch)?;
                Answer { states: Slices::default(), bytes: output.bytes(), rejected: output.rejected }
            }
            Instance::Aggregate(aggregate) => {
                let folded = aggregate.accumulate(states, &call.groups, &call.batch)?;
                Answer { bytes: folded.bytes(), states: folded.states, rejected: folded.rejected }
            }
        })
    }

    fn is_aggregate(&self) -> bool {
        matches!(self.instance, Instance::Aggregate(_))
    }
}

impl Figures {
    /// Calls it with everything once, and counts what crosses and what it decides.
    fn take_stock(&mut self, subject: &mut Subject, batches: &Batches, states: &[Vec<u8>]) -> Result<(), CallError> {
        let (before, mut bytes_in, mut bytes_out) = (subject.usage.read(), 0, 0);
        for call in &batches.calls {
            let states = states_of(call, states);
            let answer = subject.call(call, &states)?;
            bytes_in += call.batch.bytes();
            if subject.is_aggregate() {
                bytes_in += states.bytes() + size_of_val(call.groups.as_slice());
            }
            bytes_out += answer.bytes;
            self.verdicts.records += u64::from(call.batch.rows);
            self.verdicts.rejected += answer.rejected.len() as u64;
            if let Some(rejection) = answer.rejected.first() {
                self.verdicts.first.get_or_insert_with(|| rejection.reason.message.clone());
            }
        }
        let records = self.verdicts.records as f64;
        (self.bytes_in, self.bytes_out) = (bytes_in as f64 / records, bytes_out as f64 / records);
        let after = subject.usage.read();
        self.verdicts.dropped = after.dropped - before.dropped;
        self.verdicts.broken = after.broken - before.broken;
        Ok(())
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdicts { records, dropped, rejected, broken, first } = self;
        let passed = records.saturating_sub(dropped + rejected);
        write!(f, "of {records}: {passed} passed, {dropped} dropped, {rejected} rejected")?;
        if let Some(first) = first {
            write!(f, ", the first: {}", first.replace('\n', " "))?;
        }
        if *broken > 0 {
            write!(
                f,
                "\n  it breaks on {broken} of them, and the figures are those of finding them, not of its work: leave them out of the file"
            )?;
        }
        Ok(())
    }
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        Spread { low: at(0), median: at(values.len() / 2), high: at(values.len().saturating_sub(1)) }
    }

    /// Of two that were measured round by round.
    pub fn ratio(ours: &[f64], other: &[f64]) -> Spread {
        Spread::of(ours.iter().zip(other).map(|(ours, other)| ours / other).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let spread = Spread::ratio(&[10.0, 40.0, 30.0], &[10.0, 10.0, 15.0]);
        assert_eq!(spread, Spread { low: 1.0, median: 2.0, high: 4.0 });
    }

    #[test]
    fn what_became_of_the_records_is_said_in_a_line() {
        let verdicts = Verdicts { records: 10, dropped: 2, rejected: 1, broken: 0, first: Some("no".into()) };
        assert_eq!(verdicts.to_string(), "of 10: 7 passed, 2 dropped, 1 rejected, the first: no");
        let broken = Verdicts { broken: 1, first: Some("a panic:\nno".into()), ..verdicts }.to_string();
        assert!(broken.contains("the first: a panic: no\n  it breaks on 1 of them, and the figures"), "{broken}");
    }
}
