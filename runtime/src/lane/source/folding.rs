//! The windows of one output in a source lane: which rows are late, which are known, and which are folded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hashbrown::HashSet;

use crate::config::OnLate;
use crate::decode::{Rejected, Table};
use crate::lane::migration::migrate;
use crate::lane::plan::{AggregatePlan, Instances};
use crate::lane::{LaneError, group};
use crate::plugin::Aggregate;
use crate::record::{Batch, EventTime, Offset, Reason, ReasonKind, Rejection, Slices, Verdicts};
use crate::window::{ClosedWindow, FoldRow, KeyedWindows, Slots, TimeWindows, Watermark, Window};

use super::BatchWork;

/// What the lane knows of a batch's records.
pub(super) struct BatchTime<'a> {
    /// The watermark before each record.
    pub watermarks: &'a [EventTime],
    /// Records before it were settled by an earlier owner of the position.
    pub settled: Offset,
}

/// Rows that are folded into one of their windows each.
struct Turn<'a> {
    table: &'a Table,
    time: &'a BatchTime<'a>,
    /// Of those rows alone.
    columns: &'a Batch,
    /// None: all of the table.
    rows: Option<&'a [u32]>,
}

impl Turn<'_> {
    /// The row of the table at this place of the columns.
    fn row_at(&self, place: usize) -> usize {
        self.rows.map_or(place, |rows| rows[place] as usize)
    }
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
    /// For each row, where the window starts that it is folded into next.
    starts: Vec<EventTime>,
}

impl Folding {
    /// `emitted` is none for an output that is new: it begins with the first window that starts after what was read.
    pub fn new(time_windows: TimeWindows, emitted: Option<EventTime>, watermark: &Watermark) -> Self {
        let begins = match watermark.largest() {
            EventTime::MIN => EventTime::MIN,
            largest => time_windows.last(largest).end,
        };
        Folding {
            windows: KeyedWindows::new(time_windows),
            emitted: emitted.unwrap_or(begins),
            closed: time_windows.last_ended(watermark.current()),
            slots: Slots::default(),
            columns: Batch::default(),
            group_columns: Batch::default(),
            keys: Slices::default(),
            starts: Vec::new(),
        }
    }

    pub fn emitted(&self) -> EventTime {
        self.emitted
    }

    /// E as it is when what windows that ended by `watermark` gave is safe.
    pub fn emitted_through(&self, watermark: EventTime) -> EventTime {
        self.emitted.max(self.windows.time_windows().last_ended(watermark))
    }

    /// What windows that ended by `watermark` gave is safe.
    pub fn released(&mut self, watermark: EventTime) {
        self.emitted = self.emitted_through(watermark);
    }

    /// The last window of a record of the batch that happened then, and whether it is not folded any more.
    pub fn ended<'a>(
        &self,
        plan: &'a AggregatePlan,
        time: &'a BatchTime<'_>,
    ) -> impl Fn(u32, EventTime) -> (Window, bool) + use<'a> {
        let emitted = self.emitted;
        move |record, at| {
            let window = plan.windows.last(at);
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
        let columns = std::mem::take(&mut self.columns);
        let mut rejected = BTreeMap::new();
        let crowded =
            plan.groups_max.map(|most| self.crowded_out(&table, time, most, &mut rejected)).unwrap_or_default();
        self.starts_of_last(&table);
        let mut rows = (!crowded.is_empty()).then(|| (0..table.len() as u32).collect::<Vec<_>>());
        loop {
            if let Some(rows) = &mut rows {
                rows.retain(|row| !crowded.contains(&(*row, self.starts[*row as usize])));
            }
            let taken = rows.as_ref().map_or(Cow::Borrowed(&columns), |rows| Cow::Owned(columns.take(rows)));
            let turn = Turn { table: &table, time, columns: &taken, rows: rows.as_deref() };
            self.fold_turn(plan, &turn, aggregate, &mut rejected)?;
            rows = self.rows_before(&table, time);
            if rows.is_none() {
                break;
            }
        }
        self.columns = columns;
        for (row, reason) in rejected {
            let (record, ordinal) = (table.record(row), table.ordinal(row));
            let by = (reason.kind != ReasonKind::Groups).then(|| plan.by.clone());
            work.departed.rejected.push((by, Rejected { record, ordinal, reason }));
        }
        Ok(())
    }

    /// Rows with the starts of windows in which their groups find no room, in the order of the records: so it does not depend on how
    /// these are cut into batches.
    fn crowded_out(
        &mut self,
        table: &Table,
        time: &BatchTime<'_>,
        groups_max: u32,
        rejected: &mut BTreeMap<usize, Reason>,
    ) -> HashSet<(u32, EventTime)> {
        let windows = self.windows.time_windows();
        let mut crowded = HashSet::new();
        for row in 0..table.len() {
            let over = time.watermarks[table.record(row) as usize].max(self.emitted);
            for window in windows.all(table.event_time(row)).take_while(|window| window.end > over) {
                if !self.windows.admit(window.start, self.keys.get(row), groups_max) {
                    crowded.insert((row as u32, window.start));
                    rejected.entry(row).or_insert_with(|| {
                        let start = window.start;
                        let message =
                            format!("the window that starts at {start} has groups_max={groups_max} groups already");
                        Reason::new(ReasonKind::Groups, message)
                    });
                }
            }
        }
        crowded
    }

    /// Every row goes into the last window that it is in first: it has not ended.
    fn starts_of_last(&mut self, table: &Table) {
        let windows = self.windows.time_windows();
        let mut window = windows.last(EventTime::MIN);
        let start = |row| {
            window = windows.last_by(window, table.event_time(row));
            window.start
        };
        self.starts.clear();
        self.starts.extend((0..table.len()).map(start));
    }

    /// Goes on to the window before, of all rows; those that are in it, where it is neither ended nor emitted. None: there are
    /// no more.
    fn rows_before(&mut self, table: &Table, time: &BatchTime<'_>) -> Option<Vec<u32>> {
        let windows = self.windows.time_windows();
        if !windows.overlap() {
            return None;
        }
        let mut rows = Vec::new();
        for (row, start) in self.starts.iter_mut().enumerate() {
            let window = windows.before(*start);
            *start = window.start;
            let watermark = time.watermarks[table.record(row) as usize];
            if window.end > table.event_time(row).max(watermark).max(self.emitted) {
                rows.push(row as u32);
            }
        }
        (!rows.is_empty()).then_some(rows)
    }

    /// Folds rows into the windows of [`Folding::starts`].
    fn fold_turn(
        &mut self,
        plan: &AggregatePlan,
        turn: &Turn<'_>,
        aggregate: &mut dyn Aggregate,
        rejected: &mut BTreeMap<usize, Reason>,
    ) -> Result<(), LaneError> {
        let Turn { table, time, columns, .. } = *turn;
        if columns.rows == 0 {
            return Ok(());
        }
        let (keys, batch, starts) = (&self.keys, table.batch(), &self.starts);
        let row = |place: usize| {
            let row = turn.row_at(place);
            let record = table.record(row) as usize;
            FoldRow {
                start: starts[row],
                group: keys.get(row),
                offset: batch.offset(record),
                watermark: time.watermarks[record],
            }
        };
        let places = || 0..columns.rows as usize;
        self.windows.slots(places().map(row), &mut self.slots);
        self.windows.convert_slots(&mut self.slots, |before, states| migrate(plan, before, states, aggregate))?;
        let accumulated = aggregate
            .accumulate(&self.slots.states, &self.slots.groups, columns)
            .map_err(|error| LaneError::Call { plugin: plan.by.plugin.clone(), error })?;
        let mut taken = vec![1; columns.rows as usize];
        for Rejection { row, reason } in accumulated.rejected {
            taken[row as usize] = 0;
            // One dead letter for a record, whichever of its windows it was for.
            rejected.entry(turn.row_at(row as usize)).or_insert(reason);
        }
        self.windows.store(places().map(row), &taken, &self.slots, &accumulated.states);
        Ok(())
    }

    /// Takes out the rows whose last window has ended by their own partition's watermark, and those whose window was emitted
    /// before the position was committed.
    fn judge_time(&self, plan: &AggregatePlan, table: &mut Table, time: &BatchTime<'_>, work: &mut BatchWork) {
        let mut gone: Vec<u32> = Vec::new();
        let mut window = plan.windows.last(EventTime::MIN);
        for row in 0..table.len() {
            let record = table.record(row);
            let watermark = time.watermarks[record as usize];
            window = plan.windows.last_by(window, table.event_time(row));
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
        let ended = self.windows.time_windows().last_ended(watermark);
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
