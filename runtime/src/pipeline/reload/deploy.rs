//! The way of a candidate into the lanes: rehearsed on copies of them, swapped in on probation, and judged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, unbounded};

use crate::lane::{Instances, Lane, LaneError, Plan, PluginId};
use crate::pipeline::components::Plugins;
use crate::pipeline::shared::Shared;
use crate::pipeline::worker::{Change, LaneKind, Shown, Trial, TrialWord};
use crate::pipeline::{Counts, PipelineError};
use crate::record::Partition;
use crate::window::CONVERTED_AT_ONCE;

/// After so many records a plan on probation is judged.
const RECORDS: u64 = 1000;
/// A plan that looks bad by too few records to tell is looked at for longer.
const TIME_IN_DOUBT: Duration = Duration::from_secs(10);
/// Fewer records than these prove nothing.
const GIVEN_UP_MIN: u64 = 5;

/// What became of a plan.
pub(super) enum Verdict {
    Accepted,
    /// The plan before serves, as if nothing had been.
    RolledBack(String),
    /// The pipeline ends.
    Stopped,
}

/// The lanes of all workers, to whom deploys.
pub(super) struct Lanes {
    shared: Arc<Shared>,
    workers: Vec<Sender<Change>>,
    /// The counts when the plan that serves was accepted.
    since: Counts,
    /// Where fewer records come than prove something, a plan is judged after this time: what it does waits as long.
    probation: Duration,
}

impl Lanes {
    pub fn new(shared: Arc<Shared>, workers: Vec<Sender<Change>>, probation: Duration) -> Self {
        Lanes { shared, workers, since: Counts::default(), probation }
    }

    /// The last batches, and copies of all lanes where those are wanted: while they are held, what lanes change is copied.
    pub fn show(&self, lanes: bool) -> Shown {
        let mut all = Shown { lanes: Vec::new(), recent: Vec::new() };
        for Shown { lanes, recent } in self.ask_all(|answer| Change::Show { lanes, answer }) {
            all.lanes.extend(lanes);
            all.recent.extend(recent);
        }
        all
    }

    /// Swaps the plan in: parts lanes first, so that they understand what the source lanes will write.
    pub fn try_out(
        &self,
        plan: &Arc<Plan>,
        plugins: &Plugins,
        fresh: impl Fn(PluginId) -> bool,
        stop: &Receiver<()>,
    ) -> Result<Verdict, PipelineError> {
        let (words, heard) = unbounded();
        let trial = Arc::new(Trial::new(RECORDS, words));
        let mut instances: Vec<Instances> =
            self.workers.iter().map(|_| plugins.instantiate_some(&fresh)).collect::<Result<_, _>>()?;
        for kind in [LaneKind::Parts, LaneKind::Source] {
            if let Err(error) = self.swap(kind, plan, std::mem::take(&mut instances), &trial) {
                self.conclude(false);
                return Ok(Verdict::RolledBack(format!("the lanes cannot follow it: {error}")));
            }
        }
        let begun = Instant::now();
        self.convert(stop);
        let verdict = self.judge(&trial, begun, &heard, stop);
        match &verdict {
            Verdict::Accepted => self.conclude(true),
            Verdict::RolledBack(_) => self.conclude(false),
            Verdict::Stopped => {}
        }
        Ok(verdict)
    }

    /// From here on counts are those of the plan that serves, and lanes that stalled try it.
    pub fn accepted(&mut self) {
        self.since = self.shared.counters.read();
        self.wake();
    }

    /// Lanes that stalled begin again; how many.
    pub fn wake(&self) -> usize {
        self.shared.wake_lanes()
    }

    fn swap(
        &self,
        kind: LaneKind,
        plan: &Arc<Plan>,
        instances: Vec<Instances>,
        trial: &Arc<Trial>,
    ) -> Result<(), LaneError> {
        let mut instances = instances.into_iter();
        // All are waited for, so that nobody is still swapping when the others roll back.
        let answers = self.ask_all(|answer| {
            let instances = instances.next().unwrap_or_default();
            Change::Swap { kind, plan: plan.clone(), instances, trial: trial.clone(), answer }
        });
        answers.into_iter().collect()
    }

    /// Tells all workers, and waits for their answers.
    fn ask_all<T>(&self, mut change: impl FnMut(Sender<T>) -> Change) -> Vec<T> {
        let (answer, answers) = bounded(self.workers.len());
        for worker in &self.workers {
            // One that is gone does not answer.
            let _ = worker.send(change(answer.clone()));
        }
        drop(answer);
        answers.iter().collect()
    }

    fn conclude(&self, accepted: bool) {
        // Lanes of before: they are dropped here.
        drop(self.ask_all(|answer| Change::Conclude { accepted, answer }));
    }

    /// Has the states of all lanes converted, piece by piece between their batches. A plan is judged after that: one that cannot
    /// convert a state is rolled back, and none can be left over.
    fn convert(&self, stop: &Receiver<()>) {
        let mut more = true;
        while more && stop.try_recv() == Err(TryRecvError::Empty) {
            more = self.ask_all(|answer| Change::Convert { answer }).contains(&true);
        }
    }

    fn judge(&self, trial: &Trial, begun: Instant, words: &Receiver<TrialWord>, stop: &Receiver<()>) -> Verdict {
        let mut until = begun + self.probation;
        loop {
            let enough = match heard(words, stop, until) {
                Heard::Stop => return Verdict::Stopped,
                Heard::Word(TrialWord::Failed(error)) => return Verdict::RolledBack(error),
                // One that cannot go on may have been heard behind it.
                Heard::Word(TrialWord::Enough) => match words.try_recv() {
                    Ok(TrialWord::Failed(error)) => return Verdict::RolledBack(error),
                    Ok(TrialWord::Enough) | Err(_) => true,
                },
                Heard::TimeIsOver => false,
            };
            let (records, given_up) = trial.counts();
            let before = self.before();
            match bad(before, (records, given_up)) {
                Some(why) if given_up >= GIVEN_UP_MIN => return Verdict::RolledBack(why),
                Some(_) if !enough && begun.elapsed() < TIME_IN_DOUBT => until = begun + TIME_IN_DOUBT,
                Some(_) | None => return Verdict::Accepted,
            }
        }
    }

    /// Records, and those that were given up, under the plan before.
    fn before(&self) -> (u64, u64) {
        let (now, then) = (self.shared.counters.read().tally, &self.since.tally);
        (now.records.saturating_sub(then.records), now.given_up().saturating_sub(then.given_up()))
    }
}

enum Heard {
    Word(TrialWord),
    TimeIsOver,
    Stop,
}

fn heard(words: &Receiver<TrialWord>, stop: &Receiver<()>, until: Instant) -> Heard {
    let mut select = crossbeam_channel::Select::new_biased();
    let stopped = select.recv(stop);
    select.recv(words);
    match select.select_deadline(until) {
        Ok(ready) if ready.index() == stopped => {
            let _ = ready.recv(stop);
            Heard::Stop
        }
        Ok(ready) => ready.recv(words).map_or(Heard::Stop, Heard::Word),
        Err(_) => Heard::TimeIsOver,
    }
}

/// Why a plan is to be rolled back that gave up so many of its records, of (records, given up) before and now.
fn bad(before: (u64, u64), now: (u64, u64)) -> Option<String> {
    let rate = |(records, given_up): (u64, u64)| if records == 0 { 0.0 } else { given_up as f64 / records as f64 };
    let (old, new) = (rate(before), rate(now));
    (new > 2.0 * old + 0.05).then(|| {
        format!(
            "on probation it gave up {} of {} records ({:.1} %), the generation before {:.1} %",
            now.1,
            now.0,
            new * 100.0,
            old * 100.0
        )
    })
}

/// Copies of the lanes take the plan over, with instances that nobody else calls: what they ask for is thrown away.
pub(super) fn rehearse(
    lanes: Vec<(Partition, Lane)>,
    plan: &Arc<Plan>,
    plugins: &Plugins,
) -> Result<(), PipelineError> {
    let mut instances = plugins.instantiate()?;
    for (partition, mut lane) in lanes {
        let failed = |error| PipelineError::Lane { partition: partition.clone(), error };
        lane.deploy(plan.clone(), &mut instances, &mut Vec::new()).map_err(failed)?;
        while lane.convert(CONVERTED_AT_ONCE, &mut instances).map_err(failed)? {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_gives_up_far_more_than_the_one_before_is_bad() {
        assert_eq!(bad((0, 0), (0, 0)), None);
        assert_eq!(bad((1_000_000, 0), (1000, 50)), None, "5 % may be the data");
        assert!(bad((1_000_000, 0), (1000, 51)).is_some());
        assert_eq!(bad((1000, 300), (1000, 600)), None, "the data is bad");
        assert!(bad((1000, 300), (1000, 660)).is_some());
    }
}
