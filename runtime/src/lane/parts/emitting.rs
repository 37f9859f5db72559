//! The documents of a parts lane: of windows that have ended, again of those that changed since, and early ones of windows that are
//! open. A document's version is the offset of the part or marker that is the reason, so a replay makes the same.

use crate::lane::LaneError;
use crate::lane::id::{self, Revision};
use crate::lane::migration::migrate;
use crate::lane::plan::Instances;
use crate::lane::window_documents::{Due, STATES_MAX, emit};
use crate::record::{Accumulated, EventTime, Offset};
use crate::window::Window;

use super::holding::Holding;
use super::sessions::SessionId;
use super::{Emission, Emissions, PartsLane};

/// Groups of a window whose documents are made, each with the offset of the part or marker that is the reason.
struct Wanted<'a> {
    start: EventTime,
    groups: &'a [u32],
    reasons: &'a [Offset],
}

impl PartsLane {
    /// Time went on from `before` by the marker at `offset`: windows that ended since are merged and emitted.
    pub(super) fn emit_ended(
        &mut self,
        offset: Offset,
        before: EventTime,
        instances: &mut Instances,
        emissions: &mut [Emissions],
    ) -> Result<(), LaneError> {
        let now = self.sources.now.time();
        if now == before {
            return Ok(());
        }
        for (place, emissions) in emissions.iter_mut().enumerate() {
            match &self.holding[place] {
                None => {}
                Some(Holding::Windows { merging, .. }) => {
                    let ended = merging.ended(before, now);
                    let ended: Vec<_> = ended.into_iter().map(|start| (start, merging.groups_of(start))).collect();
                    for (start, groups) in ended {
                        self.emit_all(place, start, &groups, offset, instances, &mut emissions.ended)?;
                    }
                }
                Some(Holding::Sessions(sessions)) => {
                    for ids in sessions.ended(now).chunks(STATES_MAX) {
                        self.emit_sessions(place, ids, &vec![offset; ids.len()], instances, &mut emissions.ended)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Open windows are shown where event time has passed a multiple of `emit.every` since `before`, or where nothing more comes: groups
    /// that have changed since the last time.
    pub(super) fn emit_early(
        &mut self,
        offset: Offset,
        before: EventTime,
        instances: &mut Instances,
        emissions: &mut [Emissions],
    ) -> Result<(), LaneError> {
        let plan = self.plan.clone();
        let (now, quiet) = (self.sources.now.time(), self.sources.now.all_idle());
        for (place, emissions) in emissions.iter_mut().enumerate() {
            // Sessions have no early results.
            let (Some(aggregate), Some(Holding::Windows { merging, .. })) =
                (&plan.outputs[place].aggregate, &mut self.holding[place])
            else {
                continue;
            };
            if aggregate.tick(now) > aggregate.tick(before) || quiet && aggregate.emit.when_quiet {
                for (start, groups) in merging.changed(now) {
                    self.emit_all(place, start, &groups, offset, instances, &mut emissions.early)?;
                }
            }
        }
        Ok(())
    }

    /// Windows that had been emitted are emitted again, as far as the batch has changed them.
    pub(super) fn emit_updated(
        &mut self,
        place: usize,
        emissions: &mut Emissions,
        instances: &mut Instances,
    ) -> Result<(), LaneError> {
        for (start, updated) in std::mem::take(&mut emissions.updated) {
            let (groups, reasons): (Vec<u32>, Vec<Offset>) = updated.into_iter().unzip();
            for (groups, reasons) in groups.chunks(STATES_MAX).zip(reasons.chunks(STATES_MAX)) {
                self.emit(place, &Wanted { start, groups, reasons }, instances, &mut emissions.ended)?;
            }
        }
        let (ids, reasons): (Vec<SessionId>, Vec<Offset>) =
            std::mem::take(&mut emissions.updated_sessions).into_iter().unzip();
        for (ids, reasons) in ids.chunks(STATES_MAX).zip(reasons.chunks(STATES_MAX)) {
            self.emit_sessions(place, ids, reasons, instances, &mut emissions.ended)?;
        }
        Ok(())
    }

    fn emit_all(
        &mut self,
        place: usize,
        start: EventTime,
        groups: &[u32],
        offset: Offset,
        instances: &mut Instances,
        emission: &mut Emission,
    ) -> Result<(), LaneError> {
        for groups in groups.chunks(STATES_MAX) {
            let reasons = &vec![offset; groups.len()];
            self.emit(place, &Wanted { start, groups, reasons }, instances, emission)?;
        }
        Ok(())
    }

    fn emit(
        &mut self,
        place: usize,
        wanted: &Wanted<'_>,
        instances: &mut Instances,
        emission: &mut Emission,
    ) -> Result<(), LaneError> {
        let Wanted { start, groups, reasons } = *wanted;
        let output = &self.plan.outputs[place];
        let (Some(plan), Some(Holding::Windows { merging, .. })) = (&output.aggregate, &mut self.holding[place]) else {
            return Ok(());
        };
        let aggregate = instances.aggregate(plan.plugin)?;
        merging.convert_groups(start, groups, |before, states| migrate(plan, before, states, aggregate))?;
        let failed = |error| LaneError::Call { plugin: plan.by.plugin.clone(), error };
        let merged = merging.merge(start, groups, aggregate).map_err(failed)?;
        let windows = vec![plan.windows.starting_at(start); groups.len()];
        let keys = merging.keys_of(start, groups);
        let due = due(windows, keys, merged, self.sources.now.revision(), reasons);
        emission.refused.extend(emit(output, plan, &due, aggregate, &mut self.names, &mut emission.documents)?);
        if !emission.waiting.windows.contains(&start) {
            emission.waiting.windows.push(start);
            merging.wait(start);
        }
        Ok(())
    }

    fn emit_sessions(
        &mut self,
        place: usize,
        ids: &[SessionId],
        reasons: &[Offset],
        instances: &mut Instances,
        emission: &mut Emission,
    ) -> Result<(), LaneError> {
        let output = &self.plan.outputs[place];
        let (Some(plan), Some(Holding::Sessions(sessions))) = (&output.aggregate, &mut self.holding[place]) else {
            return Ok(());
        };
        let aggregate = instances.aggregate(plan.plugin)?;
        sessions.convert_sessions(ids, |before, states| migrate(plan, before, states, aggregate))?;
        let failed = |error| LaneError::Call { plugin: plan.by.plugin.clone(), error };
        let merged = sessions.merge(ids, aggregate).map_err(failed)?;
        let window = |id: &SessionId| sessions.window_of(id).unwrap_or(Window { start: id.start, end: id.start });
        let windows = ids.iter().map(window).collect();
        let keys = ids.iter().map(|id| &*id.key).collect();
        let due = due(windows, keys, merged, self.sources.now.revision(), reasons);
        emission.refused.extend(emit(output, plan, &due, aggregate, &mut self.names, &mut emission.documents)?);
        for id in ids {
            sessions.wait(id);
            emission.waiting.sessions.push(id.clone());
        }
        Ok(())
    }
}

fn due<'a>(
    windows: Vec<Window>,
    keys: Vec<&'a [u8]>,
    merged: Accumulated,
    revision: Revision,
    reasons: &[Offset],
) -> Due<'a> {
    let versions = reasons.iter().map(|offset| id::version(revision, *offset)).collect();
    Due { windows, of: None, keys, states: merged.states, broken: merged.rejected, versions }
}
