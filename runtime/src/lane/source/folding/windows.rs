//! Windows of one length: which rows are late, which are known, and which are folded into which windows.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hashbrown::HashSet;

use crate::config::{OnLate, show_duration};
use crate::decode::{Rejected, Table};
use crate::lane::LaneError;
use crate::lane::metadata::Emitted;
use crate::lane::migration::migrate;
use crate::lane::plan::{AggregatePlan, Instances};
use crate::plugin::Aggregate;
use crate::record::{Batch, EventTime, Offset, Reason, ReasonKind, Rejection};
use crate::window::{ClosedWindow, FoldRow, Hold, KeyedWindows, Slots, Watermark, Window};

use super::leaving::{Leaving, Left};
use super::{BatchTime, Rows};
use crate::lane::source::BatchWork;

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
pub(in crate::lane::source) struct WindowFolding {
    pub windows: KeyedWindows,
    /// E: windows that ended by it were emitted for the last time, and are not folded again.
    emitted: EventTime,
    /// Where the lane began: E, and for how long after their end the windows until then changed.
    began: (EventTime, Duration),
    /// Windows that ended by it were emitted a first time.
    closed: EventTime,
    /// Windows that ended by it were taken out.
    finished: EventTime,
    /// Of windows that were emitted, the groups that the batch changed.
    updated: BTreeMap<EventTime, BTreeSet<u32>>,
    /// Records at it and after it are in no early result.
    early: Offset,
    /// The multiple of `emit.every` that event time passed last.
    tick: i64,
    slots: Slots,
    rows: Rows,
    /// For each row, where the window starts that it is folded into next.
    starts: Vec<EventTime>,
}

impl WindowFolding {
    /// `emitted` is none for an output that is new: it begins with the first window that starts after what was read.
    pub fn new(plan: &AggregatePlan, emitted: Option<Emitted>, watermark: &Watermark) -> Self {
        let time_windows = plan.windows;
        let began = match (emitted, watermark.largest()) {
            (Some(emitted), _) => (emitted.end(), Duration::from_micros(emitted.update_micros)),
            (None, EventTime::MIN) => (EventTime::MIN, plan.update_within),
            (None, largest) => (time_windows.last(largest).end, plan.update_within),
        };
        let watermark = watermark.current();
        WindowFolding {
            windows: KeyedWindows::new(time_windows),
            emitted: began.0,
            began,
            closed: time_windows.last_ended(watermark),
            finished: time_windows.last_ended(plan.finished_by(watermark)),
            updated: BTreeMap::new(),
            early: Offset(0),
            tick: plan.tick(watermark),
            slots: Slots::default(),
            rows: Rows::default(),
            starts: Vec::new(),
        }
    }

    /// E.
    pub fn emitted(&self) -> EventTime {
        self.emitted
    }

    /// For how long after their end the windows changed that ended by `emitted`: as long as the lane has finished none itself, what it
    /// began with.
    pub fn update_within(&self, plan: &AggregatePlan, emitted: EventTime) -> Duration {
        let (began, update_within) = self.began;
        if emitted == began { update_within } else { plan.update_within }
    }

    /// E as it is when what the lane gave by `watermark` is safe.
    pub fn emitted_through(&self, plan: &AggregatePlan, watermark: EventTime) -> EventTime {
        self.emitted.max(plan.windows.last_ended(plan.finished_by(watermark)))
    }

    /// What the lane gave by `watermark` is safe.
    pub fn released(&mut self, plan: &AggregatePlan, watermark: EventTime) {
        self.emitted = self.emitted_through(plan, watermark);
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
            (window, window.end <= plan.finished_by(watermark).max(emitted))
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
        self.rows.read(plan, &mut table, work);
        if table.is_empty() {
            return Ok(());
        }
        let columns = std::mem::take(&mut self.rows.columns);
        let mut rejected = BTreeMap::new();
        let crowded =
            plan.groups_max.map(|most| self.crowded_out(plan, &table, time, most, &mut rejected)).unwrap_or_default();
        self.starts_of_last(&table);
        let mut rows = (!crowded.is_empty()).then(|| (0..table.len() as u32).collect::<Vec<_>>());
        loop {
            if let Some(rows) = &mut rows {
                rows.retain(|row| !crowded.contains(&(*row, self.starts[*row as usize])));
            }
            let taken = rows.as_ref().map_or(Cow::Borrowed(&columns), |rows| Cow::Owned(columns.take(rows)));
            let turn = Turn { table: &table, time, columns: &taken, rows: rows.as_deref() };
            self.fold_turn(plan, &turn, aggregate, &mut rejected)?;
            rows = self.rows_before(plan, &table, time);
            if rows.is_none() {
                break;
            }
        }
        self.rows.columns = columns;
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
        plan: &AggregatePlan,
        table: &Table,
        time: &BatchTime<'_>,
        groups_max: u32,
        rejected: &mut BTreeMap<usize, Reason>,
    ) -> HashSet<(u32, EventTime)> {
        let windows = self.windows.time_windows();
        let mut crowded = HashSet::new();
        for row in 0..table.len() {
            let over = plan.finished_by(time.watermarks[table.record(row) as usize]).max(self.emitted);
            for window in windows.all(table.event_time(row)).take_while(|window| window.end > over) {
                if !self.windows.admit(window.start, self.rows.keys.get(row), groups_max) {
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

    /// Every row goes into the last window that it is in first: that can still change.
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

    /// Goes on to the window before, of all rows; those that are in it, where it can still change. None: there are
    /// no more.
    fn rows_before(&mut self, plan: &AggregatePlan, table: &Table, time: &BatchTime<'_>) -> Option<Vec<u32>> {
        let windows = self.windows.time_windows();
        if !windows.overlap() {
            return None;
        }
        let mut rows = Vec::new();
        for (row, start) in self.starts.iter_mut().enumerate() {
            let window = windows.before(*start);
            *start = window.start;
            let over = plan.finished_by(time.watermarks[table.record(row) as usize]).max(self.emitted);
            if window.end > table.event_time(row).max(over) {
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
        let (keys, batch, starts) = (&self.rows.keys, table.batch(), &self.starts);
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
        self.note_updated(plan);
        Ok(())
    }

    /// Remembers which groups of windows that were emitted already the turn has changed.
    fn note_updated(&mut self, plan: &AggregatePlan) {
        if plan.update_within.is_zero() {
            return;
        }
        let windows = self.windows.time_windows();
        for (start, group) in self.slots.places() {
            if windows.starting_at(*start).end <= self.closed {
                self.updated.entry(*start).or_default().insert(*group);
            }
        }
    }

    /// The watermark at which a window that ends then changes no more.
    fn changes_until(&self, plan: &AggregatePlan, end: EventTime) -> EventTime {
        let (before, update_within) = self.began;
        end.plus(if end <= before { update_within } else { plan.update_within })
    }

    /// Takes out the rows whose last window changes no more by their own partition's watermark, and those whose window was emitted
    /// for the last time before the position was committed.
    fn judge_time(&self, plan: &AggregatePlan, table: &mut Table, time: &BatchTime<'_>, work: &mut BatchWork) {
        let mut gone: Vec<u32> = Vec::new();
        let mut window = plan.windows.last(EventTime::MIN);
        for row in 0..table.len() {
            let record = table.record(row);
            let watermark = time.watermarks[record as usize];
            window = plan.windows.last_by(window, table.event_time(row));
            let late = self.changes_until(plan, window.end) <= watermark;
            if !late && window.end > self.emitted {
                continue;
            }
            if gone.last() != Some(&record) {
                gone.push(record);
            }
            let again = table.batch().offset(record as usize) < time.settled;
            if late && !again {
                match plan.late {
                    OnLate::Drop => work.departed.drop_late(record, table.ordinal(row)),
                    OnLate::DeadLetter => {
                        let message =
                            format!("the window that ends at {} had ended by the watermark={watermark}", window.end);
                        work.late(record, table.ordinal(row), message);
                    }
                    OnLate::UpdateWithin(span) => {
                        let message = format!(
                            "the window that ends at {} had ended by the watermark={watermark} for longer than \
                             update_within={}",
                            window.end,
                            show_duration(span)
                        );
                        work.late(record, table.ordinal(row), message);
                    }
                }
            }
        }
        if !gone.is_empty() {
            table.remove_records(&gone);
        }
    }

    pub fn is_due(&self, plan: &AggregatePlan, watermark: EventTime) -> bool {
        plan.windows.last_ended(watermark) > self.closed
            || plan.windows.last_ended(plan.finished_by(watermark)) > self.finished
            || plan.tick(watermark) > self.tick
            || !self.updated.is_empty()
    }

    pub fn close(
        &mut self,
        plan: &AggregatePlan,
        watermark: EventTime,
        next: Offset,
        instances: &mut Instances,
    ) -> Result<Leaving, LaneError> {
        let ended = plan.windows.last_ended(watermark);
        let finished = plan.windows.last_ended(plan.finished_by(watermark));
        let mut migrate = |before: &_, states: &_| migrate(plan, before, states, instances.aggregate(plan.plugin)?);
        let updated = std::mem::take(&mut self.updated).into_iter();
        let mut windows: Vec<ClosedWindow> =
            updated.filter_map(|(start, groups)| self.windows.pick(start, groups.into_iter().collect())).collect();
        if finished < ended {
            windows.extend(self.windows.between((self.closed.max(finished), ended), Offset(0), &mut migrate)?);
        }
        let gone = self.windows.close(finished, &mut migrate)?;
        let hold = gone.iter().fold(None, |oldest, window| Hold::older(oldest, window.hold()));
        windows.extend(gone.into_iter().filter(|gone| gone.window.end > self.closed));
        let early = match plan.tick(watermark) > self.tick {
            true => {
                let since = std::mem::replace(&mut self.early, next);
                self.windows.between((ended, EventTime::MAX), since, &mut migrate)?
            }
            false => Vec::new(),
        };
        self.tick = plan.tick(watermark);
        (self.closed, self.finished) = (self.closed.max(ended), self.finished.max(finished));
        Ok(Leaving { ended: windows.into(), early: early.into(), hold })
    }

    pub fn open(
        &mut self,
        plan: &AggregatePlan,
        changed: bool,
        next: Offset,
        instances: &mut Instances,
    ) -> Result<Left, LaneError> {
        let since = if changed { self.early } else { Offset(0) };
        self.early = next;
        let open = self.windows.between((self.closed, EventTime::MAX), since, |before, states| {
            migrate(plan, before, states, instances.aggregate(plan.plugin)?)
        });
        open.map(Left::from)
    }
}
