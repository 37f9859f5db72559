//! The pipeline file of an instance as a plan; and an output that is not in it from the beginning, or not until the end.

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

/// An output that the pipeline file gets, or loses, while no instance runs.
pub(super) struct OutputChange {
    /// Its place.
    pub output: usize,
    pub is_removal: bool,
    /// The latest event time of what may have been read before; none as long as nothing has changed.
    pub after: Option<i64>,
}

impl OutputChange {
    pub fn draw(rng: &mut Rng) -> Option<Self> {
        let lasting = WINDOWED.iter().take_while(|one| one.session.is_none()).count();
        let change = OutputChange { output: rng.usize(..lasting), is_removal: rng.bool(), after: None };
        (rng.u8(..4) == 0).then_some(change)
    }

    /// Whether the pipeline file is without it.
    fn is_absent(&self) -> bool {
        self.is_removal == self.after.is_some()
    }
}

/// For a topic that has not the last partition yet, and for all.
pub(super) fn plans(
    partitions: usize,
    parts_partitions: i32,
    revision: u16,
    change: Option<&OutputChange>,
) -> [Plans; 2] {
    let mut settings = native::settings(IDLE_GRACE);
    let absent = change.filter(|change| change.is_absent()).map(|change| change.output);
    absent.iter().for_each(|output| drop(settings.outputs.remove(*output)));
    let accept_removed: Vec<String> = absent.iter().map(|output| WINDOWED[*output].name.to_owned()).collect();
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
        let Some(change) = self.change.as_mut().filter(|change| change.after.is_none()) else { return };
        change.after = Some(latest);
        self.statistics.changes += 1;
        let Windowed { name, .. } = WINDOWED[change.output];
        let what = if change.is_removal { "removed" } else { "added" };
        self.plans = plans(self.produced.len(), self.parts.len() as i32, self.revision, self.change.as_ref());
        self.say(|| format!("the output {name} is {what}"));
        self.actors.clear();
        self.unowned = self.partitions();
    }

    /// Whether nothing is said of what an output has of a window that starts then.
    pub(super) fn is_partial(&self, output: usize, start: i64) -> bool {
        let changed = self.change.as_ref().filter(|change| change.output == output);
        changed.is_some_and(|change| change.is_removal || change.after.is_none_or(|after| start <= after))
    }
}
