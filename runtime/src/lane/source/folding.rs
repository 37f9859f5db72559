//! The windows of one output in a source lane: which rows are late, which are known, and which are folded.

use crate::config::OnLate;
use crate::decode::{Rejected, Table};
use crate::lane::migration::migrate;
use crate::lane::plan::{AggregatePlan, Instances};
use crate::lane::{LaneError, group};
use crate::plugin::Aggregate;
use crate::record::{Batch, EventTime, Offset, Reason, ReasonKind, Rejection, Slices, Verdicts};
use crate::window::{ClosedWindow, FoldRow, KeyedWindows, Slots, Tumbling, Watermark, Window};

use super::BatchWork;

/// What the lane knows of a batch's records.
pub(super) struct BatchTime<'a> {
    /// The watermark before each record.
    pub watermarks: &'a [EventTime],
    /// Records before it were settled by an earlier owner of the position.
    pub settled: Offset,
}

#[derive(Clone, Debug)]
pub(super) struct Folding {
    pub windows: KeyedWindows,
    /// E: windows that ended by it were emitted, and are not folded again.
    emitted: EventTime,
    /// Windows that ended by it were taken out.
    closed: EventTime,
    slots: Slots,
    columns: Batch,
    group_columns: Batch,
    keys: Slices,
}

impl Folding {
    /// `emitted` is none for an output that is new: it begins with the first window that starts after what was read.
    pub fn new(tumbling: Tumbling, emitted: Option<EventTime>, watermark: &Watermark) -> Self {
        let begins = match watermark.largest() {
            EventTime::MIN => EventTime::MIN,
            largest => tumbling.window(largest).end,
        };
        Folding {
            windows: KeyedWindows::new(tumbling),
            emitted: emitted.unwrap_or(begins),
            closed: tumbling.last_ended(watermark.current()),
            slots: Slots::default(),
            columns: Batch::default(),
            group_columns: Batch::default(),
            keys: Slices::default(),
        }
    }

    pub fn emitted(&self) -> EventTime {
        self.emitted
    }

    /// What windows that ended by `watermark` gave is safe.
    pub fn released(&mut self, watermark: EventTime) {
        self.emitted = self.emitted.max(self.windows.tumbling().last_ended(watermark));
    }

    /// The window of a record of the batch that happened then, and whether it is not folded any more.
    pub fn ended<'a>(
        &self,
        plan: &'a AggregatePlan,
        time: &'a BatchTime<'_>,
    ) -> impl Fn(u32, EventTime) -> (Window, bool) + use<'a> {
        let emitted = self.emitted;
        move |record, at| {
            let window = plan.tumbling.window(at);
            let watermark = time.watermarks.get(record as usize).copied().unwrap_or(EventTime::MIN);
            (window, window.end <= watermark || window.end <= emitted)
        }
    }

    /// Folds the rows of a batch, all that are neither late nor known.
    pub fn fold(
        &mut self,
        plan: &AggregatePlan,
        mut table: Table,
        time: &BatchTime<'_>,
        aggregate: &mut dyn Aggregate,
        work: &mut BatchWork,
    ) -> Result<(), LaneError> {
        self.judge_time(plan, &mut table, time, work);
        self.read(plan, &mut table, work);
        if table.is_empty() {
            return Ok(());
        }
        let (keys, batch) = (&self.keys, table.batch());
        let row = |row: usize| {
            let record = table.record(row) as usize;
            FoldRow {
                time: table.event_time(row),
                group: keys.get(row),
                offset: batch.offset(record),
                watermark: time.watermarks[record],
            }
        };
        self.windows.slots((0..table.len()).map(row), &mut self.slots);
        self.windows.convert_slots(&mut self.slots, |before, states| migrate(plan, before, states, aggregate))?;
        let accumulated = aggregate
            .accumulate(&self.slots.states, &self.slots.groups, &self.columns)
            .map_err(|error| LaneError::Call { plugin: plan.by.plugin.clone(), error })?;
        let mut taken = vec![1; table.len()];
        for Rejection { row, reason } in accumulated.rejected {
            taken[row as usize] = 0;
            let (record, ordinal) = (table.record(row as usize), table.ordinal(row as usize));
            let rejected = Rejected { record, ordinal, reason };
            work.departed.rejected.push((Some(plan.by.clone()), rejected));
        }
        self.windows.store((0..table.len()).map(row), &taken, &self.slots, &accumulated.states);
        Ok(())
    }

    /// Takes out the rows whose window has ended by their own partition's watermark, and those whose window was emitted
    /// before the position was committed.
    fn judge_time(&self, plan: &AggregatePlan, table: &mut Table, time: &BatchTime<'_>, work: &mut BatchWork) {
        let mut gone: Vec<u32> = Vec::new();
        for row in 0..table.len() {
            let record = table.record(row);
            let watermark = time.watermarks[record as usize];
            let window = plan.tumbling.window(table.event_time(row));
            let late = window.end <= watermark;
            if !late && window.end > self.emitted {
                continue;
            }
            if gone.last() != Some(&record) {
                gone.push(record);
            }
            let again = table.batch().offset(record as usize) < time.settled;
            if late && !again {
                match plan.late {
                    OnLate::Drop => work.departed.dropped += 1,
                    OnLate::DeadLetter => work.late(
                        record,
                        table.ordinal(row),
                        format!("the window that ends at {} had ended by the watermark={watermark}", window.end),
                    ),
                }
            }
        }
        if !gone.is_empty() {
            table.remove_records(&gone);
        }
    }

    /// Reads the aggregate's columns and the groups' keys; rows that lack something leave the table.
    fn read(&mut self, plan: &AggregatePlan, table: &mut Table, work: &mut BatchWork) {
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

    /// Takes out the windows that have ended by `watermark`; none where no window could have ended since the last time.
    pub fn close(
        &mut self,
        plan: &AggregatePlan,
        watermark: EventTime,
        instances: &mut Instances,
    ) -> Result<Option<Vec<ClosedWindow>>, LaneError> {
        let ended = self.windows.tumbling().last_ended(watermark);
        if ended <= self.closed {
            return Ok(None);
        }
        self.closed = ended;
        let migrate = |before: &_, states: &_| migrate(plan, before, states, instances.aggregate(plan.plugin)?);
        self.windows.close(watermark, migrate).map(Some)
    }

    /// What the open windows hold now.
    pub fn snapshot(
        &mut self,
        plan: &AggregatePlan,
        instances: &mut Instances,
    ) -> Result<Vec<ClosedWindow>, LaneError> {
        self.windows.snapshot(|before, states| migrate(plan, before, states, instances.aggregate(plan.plugin)?))
    }
}
