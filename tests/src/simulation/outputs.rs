//! The pipeline file of an instance as a plan: which outputs it has, and one that is not in it from the beginning, or not until the end.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tidegate::lane::{Plan, Topology};

use super::World;
use super::input::{Record, TOPIC};
use super::native::{self, WINDOWED, Windowed};

/// Longer than all event times: what is idle may come back.
pub(super) const IDLE_GRACE: Duration = Duration::from_secs(100_000);

/// By the version of the aggregates' states, from 1.
pub(super) type Plans = Vec<Arc<Plan>>;

/// Which of [`WINDOWED`] a seed has.
pub(super) struct Outputs {
    chosen: [bool; WINDOWED.len()],
    change: Option<OutputChange>,
}

/// An output that the pipeline file gets, or loses, while no instance runs.
struct OutputChange {
    /// Its place.
    output: usize,
    is_removal: bool,
    /// The latest event time of what may have been read before; none as long as nothing has changed.
    after: Option<i64>,
}

impl Outputs {
    /// Half of the seeds have all, and others a few: what one output needs may hide what another one does wrong. At least one is merged, from
    /// the beginning to the end.
    pub fn draw(rng: &mut Rng) -> Self {
        let merged: Vec<usize> = (0..WINDOWED.len()).filter(|output| !WINDOWED[*output].partitioned).collect();
        let lasting = merged[rng.usize(..merged.len())];
        let (are_all, one_in) = (rng.bool(), rng.u8(2..6));
        let chosen = std::array::from_fn(|output| are_all || output == lasting || rng.u8(..one_in) == 0);
        let may_change = |output: &usize| chosen[*output] && *output != lasting && WINDOWED[*output].session.is_none();
        let changing: Vec<usize> = (0..WINDOWED.len()).filter(may_change).collect();
        let (is_changing, is_removal) = (rng.u8(..4) == 0, rng.bool());
        let output = changing.get(rng.usize(..WINDOWED.len()) % changing.len().max(1)).filter(|_| is_changing);
        Outputs { chosen, change: output.map(|output| OutputChange { output: *output, is_removal, after: None }) }
    }

    pub fn has(&self, output: usize) -> bool {
        self.chosen[output]
    }

    /// Whether an output is, or was, not in the pipeline file for a while.
    pub fn changes(&self, output: usize) -> bool {
        self.change.as_ref().is_some_and(|change| change.output == output)
    }
}

impl OutputChange {
    /// Whether the pipeline file is without it.
    fn is_absent(&self) -> bool {
        self.is_removal == self.after.is_some()
    }
}

/// For a topic that has not the last partition yet, and for all.
pub(super) fn plans(partitions: usize, parts_partitions: i32, revision: u16, outputs: &Outputs) -> [Plans; 2] {
    let mut settings = native::settings(IDLE_GRACE);
    let removed = outputs.change.as_ref().filter(|change| change.is_absent()).map(|change| change.output);
    // The last first, so that the places of the others stay as they are.
    let absent: Vec<usize> =
        (0..WINDOWED.len()).rev().filter(|output| !outputs.has(*output) || removed == Some(*output)).collect();
    absent.iter().for_each(|output| drop(settings.outputs.remove(*output)));
    let accept_removed: Vec<String> = removed.iter().map(|output| WINDOWED[*output].name.to_owned()).collect();
    [partitions - 1, partitions].map(|partitions| {
        let sources = vec![(TOPIC.into(), partitions as i32)];
        let accept_removed = accept_removed.clone();
        let topology = Topology { sources, parts_partitions, revision, accept_removed, ..Topology::default() };
        let plan = |states| {
            let mut components = native::components(states);
            absent.iter().for_each(|output| drop(components.outputs.remove(*output)));
            Arc::new(Plan::new(&settings, &components, topology.clone()).expect("the plan is right"))
        };
        (1..=native::STATES_MAX).map(plan).collect()
    })
}

impl World {
    /// All instances are stopped, and started with another pipeline file.
    pub(super) fn change_outputs(&mut self) {
        let produced = self.input.partitions.iter().zip(&self.produced).flat_map(|(records, many)| &records[..*many]);
        let times = produced.filter_map(|record| match record {
            Record::Event { time, .. } => Some(*time),
            Record::Future { .. } | Record::Poison => None,
        });
        let latest = times.max().unwrap_or(i64::MIN);
        let Some(change) = self.outputs.change.as_mut().filter(|change| change.after.is_none()) else { return };
        change.after = Some(latest);
        self.statistics.changes += 1;
        let Windowed { name, .. } = WINDOWED[change.output];
        let what = if change.is_removal { "removed" } else { "added" };
        self.plans = plans(self.produced.len(), self.parts.len() as i32, self.revision, &self.outputs);
        self.say(|| format!("the output {name} is {what}"));
        self.actors.clear();
        self.unowned = self.partitions();
    }

    /// Whether nothing is said of what an output has of a window that starts then.
    pub(super) fn is_partial(&self, output: usize, start: i64) -> bool {
        let changed = self.outputs.change.as_ref().filter(|change| change.output == output);
        changed.is_some_and(|change| change.is_removal || change.after.is_none_or(|after| start <= after))
    }
}
