//! What leaves the windows of an output: those that have ended, again those that late records changed since, and early results.

use crate::lane::LaneError;
use crate::lane::migration::migrate;
use crate::lane::plan::{AggregatePlan, Instances};
use crate::record::{EventTime, Offset};
use crate::window::{ClosedWindow, Hold};

use super::Folding;

/// What leaves a lane.
pub(in crate::lane::source) struct Leaving {
    /// Windows that have ended, whole, and those that had, as far as they have changed.
    pub windows: Vec<ClosedWindow>,
    /// Windows that have not ended, as they are now.
    pub early: Vec<ClosedWindow>,
    /// The oldest record of the windows that are taken out: what they gave is not safe yet.
    pub hold: Option<Hold>,
}

impl Folding {
    /// What leaves the lane now that event time is `watermark`; none where nothing does, and no window could have ended since the
    /// last time.
    pub fn close(
        &mut self,
        plan: &AggregatePlan,
        watermark: EventTime,
        next: Offset,
        instances: &mut Instances,
    ) -> Result<Option<Leaving>, LaneError> {
        let ended = plan.windows.last_ended(watermark);
        let finished = plan.windows.last_ended(plan.finished_by(watermark));
        let ticked = plan.tick(watermark) > self.tick;
        if ended <= self.closed && finished <= self.finished && self.updated.is_empty() && !ticked {
            return Ok(None);
        }
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
        let early = match ticked {
            true => self.windows.between((ended, EventTime::MAX), self.early, &mut migrate)?,
            false => Vec::new(),
        };
        if ticked {
            (self.tick, self.early) = (plan.tick(watermark), next);
        }
        (self.closed, self.finished) = (self.closed.max(ended), self.finished.max(finished));
        Ok(Some(Leaving { windows, early, hold }))
    }

    /// What the windows that have not ended hold now: of all groups, or of those that changed since the last early result.
    pub fn open(
        &mut self,
        plan: &AggregatePlan,
        changed: bool,
        next: Offset,
        instances: &mut Instances,
    ) -> Result<Vec<ClosedWindow>, LaneError> {
        let since = if changed { self.early } else { Offset(0) };
        self.early = next;
        self.windows.between((self.closed, EventTime::MAX), since, |before, states| {
            migrate(plan, before, states, instances.aggregate(plan.plugin)?)
        })
    }
}
