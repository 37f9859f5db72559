//! Sessions: which rows are late, and which are folded into which sessions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::config::OnLate;
use crate::decode::{Rejected, Table};
use crate::lane::LaneError;
use crate::lane::metadata::Emitted;
use crate::lane::migration::migrate;
use crate::lane::plan::{AggregatePlan, Instances};
use crate::lane::source::BatchWork;
use crate::plugin::Aggregate;
use crate::record::{EventTime, Reason, ReasonKind};
use crate::window::{Hold, SessionRow, SessionSlots, SessionWindows, Sessions, Watermark, Window};

use super::leaving::{Leaving, Left};
use super::{BatchTime, Rows};

#[derive(Clone, Debug)]
pub(in crate::lane::source) struct SessionFolding {
    pub windows: Sessions,
    /// E: sessions that ended by it were emitted. Records of them may be read again: what is folded of them is let go.
    emitted: EventTime,
    /// Sessions that ended by it were taken out.
    closed: EventTime,
    /// When it was looked last whether sessions have ended.
    looked: EventTime,
    slots: SessionSlots,
    rows: Rows,
}

impl SessionFolding {
    /// `emitted` is none for an output that is new: sessions of what was read are not emitted.
    pub fn new(
        plan: &AggregatePlan,
        sessions: SessionWindows,
        emitted: Option<Emitted>,
        watermark: &Watermark,
    ) -> Self {
        let emitted = match (emitted, watermark.largest()) {
            (Some(emitted), _) => emitted.end(),
            (None, EventTime::MIN) => EventTime::MIN,
            (None, largest) => sessions.of(largest).end,
        };
        SessionFolding {
            windows: Sessions::new(sessions),
            emitted,
            closed: emitted,
            looked: plan.windows.last_ended(watermark.current().min(emitted)),
            slots: SessionSlots::default(),
            rows: Rows::default(),
        }
    }

    pub fn emitted(&self) -> EventTime {
        self.emitted
    }

    /// It is not looked at each watermark whether sessions have ended, so some that ended by it may still be here.
    pub fn emitted_through(&self, watermark: EventTime) -> EventTime {
        self.emitted.max(watermark.min(self.closed))
    }

    pub fn released(&mut self, watermark: EventTime) {
        self.emitted = self.emitted_through(watermark);
    }

    pub fn ended<'a>(&self, time: &'a BatchTime<'_>) -> impl Fn(u32, EventTime) -> (Window, bool) + use<'a> {
        let sessions = self.windows.session_windows();
        move |record, at| {
            let watermark = time.watermarks.get(record as usize).copied().unwrap_or(EventTime::MIN);
            (sessions.of(at), at < watermark)
        }
    }

    pub fn fold(
        &mut self,
        plan: &AggregatePlan,
        mut table: Table,
        time: &BatchTime<'_>,
        aggregate: &mut dyn Aggregate,
        work: &mut BatchWork,
    ) -> Result<(), LaneError> {
        judge_time(plan, &mut table, time, work);
        self.rows.read(plan, &mut table, work);
        if table.is_empty() {
            return Ok(());
        }
        let (keys, batch) = (&self.rows.keys, table.batch());
        let row_of = |row: u32| {
            let row = row as usize;
            let record = table.record(row) as usize;
            SessionRow {
                time: table.event_time(row),
                group: keys.get(row),
                offset: batch.offset(record),
                watermark: time.watermarks[record],
            }
        };
        let mut rejected: BTreeMap<u32, Reason> = BTreeMap::new();
        let mut left: Vec<u32> = (0..table.len() as u32).collect();
        if let Some(most) = plan.groups_max {
            let refused = left.extract_if(.., |row| !self.windows.admit(&row_of(*row), most));
            let message = || format!("groups_max={most} groups have open sessions already");
            rejected.extend(refused.map(|row| (row, Reason::new(ReasonKind::Groups, message()))));
        }
        let (windows, slots) = (&mut self.windows, &mut self.slots);
        while !left.is_empty() {
            windows.assign(&left, row_of, slots);
            windows.convert_slots(slots, |before, states| migrate(plan, before, states, aggregate))?;
            let failed = |error| LaneError::Call { plugin: plan.by.plugin.clone(), error };
            let broken = windows.bridge(slots, |left, right| aggregate.merge(left, right)).map_err(failed)?;
            // Mostly all rows are done in one turn.
            let columns = match slots.rows.len() == table.len() {
                true => Cow::Borrowed(&self.rows.columns),
                false => Cow::Owned(self.rows.columns.take(&slots.rows)),
            };
            let accumulated = aggregate.accumulate(&slots.states, &slots.groups, &columns).map_err(failed)?;
            let mut taken = vec![1; slots.rows.len()];
            let refused: Vec<_> = broken.into_iter().chain(accumulated.rejected).collect();
            refused.iter().for_each(|one| taken[one.row as usize] = 0);
            windows.store(row_of, &taken, slots, &accumulated.states);
            for one in refused {
                let row = slots.rows[one.row as usize];
                if !slots.is_later(row) {
                    rejected.entry(row).or_insert(one.reason);
                }
            }
            left.clone_from(&slots.later);
        }
        for (row, reason) in rejected {
            let (record, ordinal) = (table.record(row as usize), table.ordinal(row as usize));
            let by = (reason.kind != ReasonKind::Groups).then(|| plan.by.clone());
            work.departed.rejected.push((by, Rejected { record, ordinal, reason }));
        }
        Ok(())
    }

    pub fn is_due(&self, plan: &AggregatePlan, watermark: EventTime) -> bool {
        plan.windows.last_ended(watermark) > self.looked
    }

    pub fn close(
        &mut self,
        plan: &AggregatePlan,
        watermark: EventTime,
        instances: &mut Instances,
    ) -> Result<Leaving, LaneError> {
        let mut migrate = |before: &_, states: &_| migrate(plan, before, states, instances.aggregate(plan.plugin)?);
        let mut ended = self.windows.close(watermark, &mut migrate)?;
        ended.retain(|session| session.window.end > self.emitted);
        let hold = ended.iter().fold(None, |oldest, session| Hold::older(oldest, Some(session.hold)));
        let early = match plan.merged {
            true => self.windows.announce(watermark, &mut migrate)?,
            false => Vec::new(),
        };
        self.closed = self.closed.max(watermark);
        self.looked = self.looked.max(plan.windows.last_ended(watermark));
        Ok(Leaving { ended: ended.into(), early: early.into(), hold })
    }

    pub fn open(&mut self, plan: &AggregatePlan, instances: &mut Instances) -> Result<Left, LaneError> {
        let open =
            self.windows.snapshot(|before, states| migrate(plan, before, states, instances.aggregate(plan.plugin)?));
        open.map(Left::from)
    }
}

/// Takes out the rows that are behind their own partition's watermark.
fn judge_time(plan: &AggregatePlan, table: &mut Table, time: &BatchTime<'_>, work: &mut BatchWork) {
    let mut gone: Vec<u32> = Vec::new();
    for row in 0..table.len() {
        let record = table.record(row);
        let watermark = time.watermarks[record as usize];
        if table.event_time(row) >= watermark {
            continue;
        }
        if gone.last() != Some(&record) {
            gone.push(record);
        }
        if table.batch().offset(record as usize) < time.settled {
            continue;
        }
        match plan.late {
            OnLate::Drop => work.departed.drop_late(record, table.ordinal(row)),
            OnLate::DeadLetter | OnLate::UpdateWithin(_) => {
                let message = format!(
                    "the event time={} is behind the watermark={watermark}, and its session may have ended",
                    table.event_time(row)
                );
                work.late(record, table.ordinal(row), message);
            }
        }
    }
    if !gone.is_empty() {
        table.remove_records(&gone);
    }
}
