//! The windows of one output in a source lane, of one length or sessions: what both have in common.

use std::time::Duration;

use crate::checkpoint::Item;
use crate::decode::Table;
use crate::lane::metadata::Emitted;
use crate::lane::plan::{AggregatePlan, Instances};
use crate::lane::{LaneError, group};
use crate::plugin::Aggregate;
use crate::record::{Batch, EventTime, Offset, Reason, ReasonKind, Rejection, Slices, StateSchema, Verdicts};
use crate::window::{Hold, KeyedWindows, Sessions, Watermark, Window};

use super::BatchWork;

mod leaving;
mod sessions;
mod windows;

use leaving::Leaving;
pub(super) use leaving::Left;
use sessions::SessionFolding;
use windows::WindowFolding;

/// What the lane knows of a batch's records.
pub(super) struct BatchTime<'a> {
    /// The watermark before each record.
    pub watermarks: &'a [EventTime],
    /// Records before it were settled by an earlier owner of the position.
    pub settled: Offset,
}

/// What of a batch is read for an aggregate.
#[derive(Clone, Default, Debug)]
struct Rows {
    columns: Batch,
    group_columns: Batch,
    keys: Slices,
}

#[derive(Clone, Debug)]
pub(super) enum Folding {
    Windows(Box<WindowFolding>),
    Sessions(Box<SessionFolding>),
}

/// What is open, as it was when it was frozen.
#[derive(Debug)]
pub(super) enum FrozenWindows {
    Windows(KeyedWindows),
    Sessions(Sessions),
}

/// Calls the same of either kind.
macro_rules! either {
    ($folding:expr, $one:ident => $call:expr) => {
        match $folding {
            Folding::Windows($one) => $call,
            Folding::Sessions($one) => $call,
        }
    };
}

impl Folding {
    /// `emitted` is none for an output that is new: it begins with the first window that starts after what was read.
    pub fn new(plan: &AggregatePlan, emitted: Option<Emitted>, watermark: &Watermark) -> Self {
        match plan.sessions {
            None => Folding::Windows(Box::new(WindowFolding::new(plan, emitted, watermark))),
            Some(sessions) => Folding::Sessions(Box::new(SessionFolding::new(plan, sessions, emitted, watermark))),
        }
    }

    /// E: windows that ended by it were emitted for the last time, and are not folded again.
    pub fn emitted(&self) -> EventTime {
        either!(self, one => one.emitted())
    }

    /// E as it is when what the lane gave by `watermark` is safe.
    pub fn emitted_through(&self, plan: &AggregatePlan, watermark: EventTime) -> EventTime {
        match self {
            Folding::Windows(one) => one.emitted_through(plan, watermark),
            Folding::Sessions(one) => one.emitted_through(watermark),
        }
    }

    /// What is committed of it, where E is this.
    pub fn committed(&self, output: u64, plan: &AggregatePlan, emitted: EventTime) -> Emitted {
        let update_within = match self {
            Folding::Windows(one) => one.update_within(plan, emitted),
            Folding::Sessions(_) => Duration::ZERO,
        };
        let update_micros = u64::try_from(update_within.as_micros()).unwrap_or(u64::MAX);
        Emitted { output, end_micros: emitted.micros(), update_micros }
    }

    /// What the lane gave by `watermark` is safe.
    pub fn released(&mut self, plan: &AggregatePlan, watermark: EventTime) {
        match self {
            Folding::Windows(one) => one.released(plan, watermark),
            Folding::Sessions(one) => one.released(watermark),
        }
    }

    /// The last window of a record of the batch that happened then, and whether it is not folded any more.
    pub fn ended<'a>(
        &self,
        plan: &'a AggregatePlan,
        time: &'a BatchTime<'_>,
    ) -> Box<dyn Fn(u32, EventTime) -> (Window, bool) + 'a> {
        match self {
            Folding::Windows(one) => Box::new(one.ended(plan, time)),
            Folding::Sessions(one) => Box::new(one.ended(time)),
        }
    }

    /// Folds the rows of a batch, all that are neither late nor known.
    pub fn fold(
        &mut self,
        plan: &AggregatePlan,
        table: Table,
        time: &BatchTime<'_>,
        aggregate: &mut dyn Aggregate,
        work: &mut BatchWork,
    ) -> Result<(), LaneError> {
        either!(self, one => one.fold(plan, table, time, aggregate, work))
    }

    /// Whether something leaves now that event time is `watermark`.
    pub fn is_due(&self, plan: &AggregatePlan, watermark: EventTime) -> bool {
        either!(self, one => one.is_due(plan, watermark))
    }

    /// What leaves the lane now that event time is `watermark`, and the next record is `next`.
    pub fn close(
        &mut self,
        plan: &AggregatePlan,
        watermark: EventTime,
        next: Offset,
        instances: &mut Instances,
    ) -> Result<Leaving, LaneError> {
        match self {
            Folding::Windows(one) => one.close(plan, watermark, next, instances),
            Folding::Sessions(one) => one.close(plan, watermark, instances),
        }
    }

    /// What the windows that have not ended hold now: of all groups, or of those that changed since the last early result.
    pub fn open(
        &mut self,
        plan: &AggregatePlan,
        changed: bool,
        next: Offset,
        instances: &mut Instances,
    ) -> Result<Left, LaneError> {
        match self {
            Folding::Windows(one) => one.open(plan, changed, next, instances),
            Folding::Sessions(one) => one.open(plan, instances),
        }
    }

    /// The oldest record that an open window needs.
    pub fn hold(&self) -> Option<Hold> {
        either!(self, one => one.windows.hold())
    }

    /// How many windows are open.
    pub fn windows(&self) -> usize {
        either!(self, one => one.windows.windows())
    }

    pub fn groups(&self) -> usize {
        either!(self, one => one.windows.groups())
    }

    pub fn memory_bytes(&self) -> usize {
        either!(self, one => one.windows.memory_bytes())
    }

    /// Where the oldest window ends that has not ended by then.
    pub fn oldest_end(&self, watermark: EventTime) -> Option<EventTime> {
        match self {
            Folding::Windows(one) => one.windows.oldest_end(watermark),
            Folding::Sessions(one) => one.windows.oldest_end(),
        }
    }

    /// From here on all states are of another schema; those that are there are of `before`.
    pub fn change_schema(&mut self, before: StateSchema) {
        either!(self, one => one.windows.change_schema(before));
    }

    /// Converts the states of some more groups; whether there are more.
    pub fn convert<E>(
        &mut self,
        groups_max: usize,
        migrate: impl FnMut(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<bool, E> {
        either!(self, one => one.windows.convert(groups_max, migrate))
    }

    pub fn is_converted(&self) -> bool {
        either!(self, one => one.windows.is_converted())
    }

    pub fn freeze(&self) -> FrozenWindows {
        match self {
            Folding::Windows(one) => FrozenWindows::Windows(one.windows.clone()),
            Folding::Sessions(one) => FrozenWindows::Sessions(one.windows.clone()),
        }
    }

    /// What a checkpoint has, in its order, but for windows that were emitted since. False: it has windows of the other kind.
    pub fn put_back(
        &mut self,
        plan: &AggregatePlan,
        window: &mut Option<(EventTime, Option<Hold>)>,
        item: Item<'_>,
    ) -> bool {
        match (self, item) {
            (Folding::Windows(one), Item::Window { start, hold }) => {
                let is_open = plan.windows.starting_at(start).end > one.emitted();
                *window = is_open.then_some((start, hold));
            }
            (Folding::Windows(one), Item::Group(group)) => {
                if let Some((start, hold)) = *window {
                    one.windows.put_back(start, hold, &group);
                }
            }
            // Also one that seems to have been emitted since: a record that is read again may make it last longer.
            (Folding::Sessions(one), Item::Session(session)) => one.windows.put_back(&session),
            (Folding::Windows(_), Item::Session(_)) | (Folding::Sessions(_), Item::Window { .. } | Item::Group(_)) => {
                return false;
            }
        }
        true
    }
}

impl FrozenWindows {
    pub fn is_empty(&self) -> bool {
        match self {
            FrozenWindows::Windows(windows) => windows.windows() == 0,
            FrozenWindows::Sessions(sessions) => sessions.windows() == 0,
        }
    }
}

impl Rows {
    /// Reads the aggregate's columns and the groups' keys; rows that lack something leave the table.
    pub fn read(&mut self, plan: &AggregatePlan, table: &mut Table, work: &mut BatchWork) {
        loop {
            let rejected = table.columns(&plan.reads, &mut self.columns);
            work.departed.reject(Some(&plan.by), rejected);
            let rejected = table.columns(&plan.group_by, &mut self.group_columns);
            debug_assert!(rejected.is_empty(), "any value can be read as JSON");
            let mut unusable = Verdicts::default();
            self.keys.clear();
            for row in 0..table.len() {
                let mut outcome = Ok(());
                self.keys.push_with(|key| outcome = group::append_key(&self.group_columns.columns, row, key));
                if let Err((place, what)) = outcome {
                    let reason = Reason::new(ReasonKind::Field, format!("{what}: field=`{}`", plan.groups[place]));
                    unusable.rejected.push(Rejection { row: row as u32, reason });
                }
            }
            if unusable.rejected.is_empty() {
                return;
            }
            unusable.keep = vec![1; table.len()];
            let kept = table.retain(unusable);
            work.departed.reject(Some(&plan.by), kept.rejected);
        }
    }
}
