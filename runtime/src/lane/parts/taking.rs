//! A part that was read: known, a replay, late, or kept; and whether documents are to be made again.

use crate::lane::LaneError;
use crate::lane::format::Part;
use crate::lane::metadata::{emitted_of, hash_of};
use crate::lane::plan::{AggregatePlan, Instances, Plan};
use crate::record::{EventTime, Message, Offset};
use crate::window::Window;

use super::holding::Holding;
use super::merging::{Incoming, Merging};
use super::sessions::{IncomingSession, Kept, MergingSessions};
use super::sources::{SourceKey, Sources};
use super::{Emissions, PartsLane, late, schema};

/// A part, and what the lane knows that decides about it.
struct Taking<'a> {
    plan: &'a Plan,
    aggregate: &'a AggregatePlan,
    sources: &'a Sources,
    part: &'a Part<'a>,
    offset: Offset,
    /// An earlier owner of the position had read it.
    seen: bool,
}

impl PartsLane {
    pub(super) fn take_part(
        &mut self,
        offset: Offset,
        part: &Part<'_>,
        instances: &mut Instances,
        emissions: &mut [Emissions],
        late: &mut Vec<Message>,
    ) -> Result<(), LaneError> {
        if part.revision != self.sources.now.revision() {
            return Ok(());
        }
        let plan = self.plan.clone();
        let found = plan.outputs.iter().position(|output| *output.name == *part.output);
        let Some(place) = found.filter(|place| self.holding[*place].is_some()) else {
            return self.take_part_of_removed(offset, part);
        };
        let (Some(aggregate), Some(holding)) = (&plan.outputs[place].aggregate, &mut self.holding[place]) else {
            return Ok(());
        };
        let (sources, seen) = (&self.sources.now, offset < self.read);
        let taking = Taking { plan: &plan, aggregate, sources, part, offset, seen };
        match holding {
            Holding::Windows { merging, known_through } => {
                taking.into_window(merging, *known_through, instances, &mut emissions[place], late)
            }
            Holding::Sessions(sessions) => taking.into_session(sessions, instances, &mut emissions[place], late),
        }
    }

    /// A part of an output that is not in the pipeline file is dropped where its window had been emitted, or by consent.
    fn take_part_of_removed(&mut self, offset: Offset, part: &Part<'_>) -> Result<(), LaneError> {
        let known = emitted_of(&self.gone, hash_of(part.output)).map_or(EventTime::MIN, |one| one.end());
        let end = part.window_start_micros.saturating_add(part.window_length_micros);
        if offset < self.read && end <= known.micros() {
            return Ok(());
        }
        if self.plan.topology.accept_removed.iter().any(|name| name == part.output) {
            self.tally.dropped += part.count;
            return Ok(());
        }
        Err(LaneError::UnknownOutput { output: part.output.to_owned() })
    }
}

impl Taking<'_> {
    fn into_window(
        self,
        merging: &mut Merging,
        known_through: EventTime,
        instances: &mut Instances,
        emissions: &mut Emissions,
        late: &mut Vec<Message>,
    ) -> Result<(), LaneError> {
        let Taking { aggregate, sources, part, offset, .. } = self;
        let window = aggregate.windows.starting_at(EventTime::from_micros(part.window_start_micros));
        if self.seen && window.end <= known_through {
            return Ok(());
        }
        self.check_fingerprint()?;
        let emitted = window.end <= sources.time();
        if emitted && window.end <= aggregate.finished_by(sources.watermark(self.source())) {
            return Ok(()); // a replay
        }
        let finished = aggregate.finished_by(sources.finished(self.plan.idle_grace()));
        if emitted && window.end <= finished.max(merging.released()) {
            self.refuse(late);
            return Ok(());
        }
        let state = schema::state(aggregate, part, instances)?;
        let incoming =
            Incoming { group: part.group, source: self.source(), last: Offset(part.last_offset), state: &state };
        if let Some(group) = merging.keep(window.start, offset, &incoming).filter(|_| emitted) {
            emissions.updated.entry(window.start).or_default().insert(group, offset);
        }
        Ok(())
    }

    /// Where a session ends tells nothing while others may make it longer: what was read before is kept again, and let go with the
    /// others when it has ended.
    fn into_session(
        self,
        sessions: &mut MergingSessions,
        instances: &mut Instances,
        emissions: &mut Emissions,
        late: &mut Vec<Message>,
    ) -> Result<(), LaneError> {
        let Taking { aggregate, sources, part, offset, .. } = self;
        let start = EventTime::from_micros(part.window_start_micros);
        let end = EventTime::from_micros(part.window_start_micros.saturating_add(part.window_length_micros));
        let window = Window { start, end };
        self.check_fingerprint()?;
        // Its source had told of all that ended by then before.
        if window.end <= sources.watermark(self.source()) {
            return Ok(());
        }
        if !self.seen && sessions.may_be_gone(part.group, self.source(), window) {
            self.refuse(late);
            return Ok(());
        }
        let state = schema::state(aggregate, part, instances)?;
        let incoming = IncomingSession {
            group: part.group,
            source: self.source(),
            window,
            last: Offset(part.last_offset),
            state: &state,
        };
        match sessions.keep(offset, &incoming) {
            Kept::Known => {}
            Kept::New(id, window) if window.end <= sources.time() && window.end > sessions.released() => {
                emissions.updated_sessions.insert(id, offset);
            }
            Kept::New(_, _) => {}
            Kept::Update(id, _) => drop(emissions.updated_sessions.insert(id, offset)),
            Kept::Refused => self.refuse(late),
        }
        Ok(())
    }

    fn source(&self) -> SourceKey {
        SourceKey::new(self.part.topic, self.part.partition)
    }

    fn check_fingerprint(&self) -> Result<(), LaneError> {
        match self.part.fingerprint == self.aggregate.fingerprint {
            true => Ok(()),
            false => Err(LaneError::Fingerprint { output: self.part.output.to_owned() }),
        }
    }

    /// A dead letter, unless an earlier owner of the position has written it.
    fn refuse(&self, late: &mut Vec<Message>) {
        if !self.seen {
            late.push(late::dead_letter(self.plan, self.part, self.offset));
        }
    }
}
