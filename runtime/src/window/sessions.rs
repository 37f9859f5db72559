//! The open sessions of one output of one lane: cheap to clone, and a clone is cheap to change. States of the schema before are
//! found and converted as those of `keyed` are.

use std::sync::Arc;

use crate::record::{Accumulated, EventTime, Offset, Rejection, Slices, StateSchema};

use super::schemas::{CONVERTED_AT_ONCE, Schemas};
use super::{GroupState, Hold, SessionWindows, Window};

mod admission;
mod extents;
mod slots;
mod store;

use admission::Admission;
use extents::{Extent, Place, bases_at, is_untouched, place_of, put};
pub use slots::SessionSlots;
use slots::{Bridge, SlotPlace};
use store::{Session, Store};

/// A record on its way into a session.
#[derive(Clone, Copy, Debug)]
pub struct SessionRow<'a> {
    pub time: EventTime,
    pub group: &'a [u8],
    pub offset: Offset,
    /// The partition's watermark before the record.
    pub watermark: EventTime,
}

/// A session as it leaves the lane, or as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionState {
    pub window: Window,
    pub key: Arc<[u8]>,
    pub state: Arc<[u8]>,
    /// How many records are in it.
    pub count: u64,
    pub first: Offset,
    pub last: Offset,
    pub hold: Hold,
    /// Until when it lasted when it was announced; none where something of it was not.
    pub announced: Option<EventTime>,
}

/// Open sessions by their group.
///
/// A batch is folded in turns: [`Sessions::assign`], [`Sessions::convert_slots`], [`Sessions::bridge`], `accumulate`, and
/// [`Sessions::store`], until no rows are left for a later one. A group's rows go one after the other, so that the states are the
/// same however the records are cut into batches.
#[derive(Clone, Debug)]
pub struct Sessions {
    windows: SessionWindows,
    store: Store,
    admission: Option<Admission>,
    /// Among these groups are all that have a state of the schema before.
    old: rpds::RedBlackTreeSetSync<(EventTime, Arc<[u8]>)>,
    schemas: Schemas,
}

impl Sessions {
    pub fn new(windows: SessionWindows) -> Self {
        let old = rpds::RedBlackTreeSetSync::new_sync();
        Sessions { windows, store: Store::new(), admission: None, old, schemas: Schemas::default() }
    }

    pub fn session_windows(&self) -> SessionWindows {
        self.windows
    }

    /// How many sessions are open.
    pub fn windows(&self) -> usize {
        self.store.sessions
    }

    pub fn groups(&self) -> usize {
        self.store.groups.size()
    }

    /// What they take in memory, about.
    pub fn memory_bytes(&self) -> usize {
        self.store.memory_bytes()
    }

    /// Where the first session ends.
    pub fn oldest_end(&self) -> Option<EventTime> {
        self.store.oldest_end()
    }

    /// The oldest record that an open session needs.
    pub fn hold(&self) -> Option<Hold> {
        self.store.hold()
    }

    /// Whether a record is of one of so many open groups at most: asked for each record, in order, before the turns of its batch.
    pub fn admit(&mut self, row: &SessionRow<'_>, groups_max: u32) -> bool {
        let store = &self.store;
        let admission = self.admission.get_or_insert_with(|| {
            let mut admission = Admission::new();
            let all = store.groups.iter().flat_map(|(key, group)| group.sessions.iter().map(move |one| (key, one)));
            all.for_each(|(key, session)| admission.open(key.clone(), session.window.end));
            admission
        });
        admission.admit(row.group, self.windows.of(row.time).end, row.watermark, groups_max)
    }

    /// Assigns rows to sessions, and changes nothing. A row that connects two sessions of which one was touched before in the turn
    /// waits for the next one, with the rows of its group that follow.
    pub fn assign<'a>(&self, rows: &[u32], row_of: impl Fn(u32) -> SessionRow<'a>, slots: &mut SessionSlots) {
        slots.clear();
        for row in rows {
            let SessionRow { time, group: key, .. } = row_of(*row);
            let group = slots.turn.group(key, |list| self.extents(key, list));
            if slots.turn.waits[group] {
                slots.later.push(*row);
                continue;
            }
            let list = &slots.turn.lists[group];
            let place = place_of(self.windows, list, time);
            let known = match place {
                Place::Joins(place) => list[place].slot,
                Place::New(_) | Place::Connects(_) => None,
            };
            let slot = match known {
                Some(slot) => slot,
                None if is_untouched(list, place) => self.slot(group, place, slots),
                None => {
                    slots.turn.waits[group] = true;
                    slots.later.push(*row);
                    continue;
                }
            };
            put(self.windows, &mut slots.turn.lists[group], place, time, slot);
            slots.rows.push(*row);
            slots.groups.push(slot);
        }
    }

    /// Converts those of the slots' states that are of the schema before.
    pub fn convert_slots<E>(
        &self,
        slots: &mut SessionSlots,
        migrate: impl FnOnce(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<(), E> {
        let Some(before) = self.schemas.before() else { return Ok(()) };
        if slots.old.is_empty() && slots.old_rights.is_empty() {
            return Ok(());
        }
        let lefts = slots.old.iter().map(|slot| slots.states.get(*slot as usize));
        let rights = slots.old_rights.iter().map(|place| slots.rights.get(*place as usize));
        let converted = migrate(before, &lefts.chain(rights).collect())?;
        slots.states = replaced(&slots.states, slots.old.iter().copied().zip(converted.iter()));
        let of_rights = converted.iter().skip(slots.old.len());
        slots.rights = replaced(&slots.rights, slots.old_rights.iter().copied().zip(of_rights));
        Ok(())
    }

    /// Merges the sessions that rows of the turn connect, the earlier one on the left. Rows whose sessions cannot be merged come
    /// back, by their places in the turn: whatever `accumulate` says of them, they are rejected.
    pub fn bridge<E>(
        &self,
        slots: &mut SessionSlots,
        merge: impl FnOnce(&Slices, &Slices) -> Result<Accumulated, E>,
    ) -> Result<Vec<Rejection>, E> {
        if slots.bridges.is_empty() {
            return Ok(Vec::new());
        }
        let lefts: Slices = slots.bridges.iter().map(|bridge| slots.states.get(bridge.slot as usize)).collect();
        let merged = merge(&lefts, &slots.rights)?;
        let new = slots.bridges.iter().map(|bridge| bridge.slot).zip(merged.states.iter());
        slots.states = replaced(&slots.states, new);
        let of_turn = |one: Rejection| {
            let bridge = slots.bridges.get(one.row as usize)?;
            slots.places[bridge.slot as usize].broken = Some(bridge.row);
            Some(Rejection { row: bridge.row, reason: one.reason })
        };
        Ok(merged.rejected.into_iter().filter_map(of_turn).collect())
    }

    /// Puts the states back that `accumulate` returned for the rows of the turn; a rejected row (in `taken`: 0) left no trace.
    /// Groups of which a row would go elsewhere without a rejected one are not stored: their rows go to `later`, but for those that
    /// are rejected for good.
    pub fn store<'a>(
        &mut self,
        row_of: impl Fn(u32) -> SessionRow<'a>,
        taken: &[u8],
        slots: &mut SessionSlots,
        states: &Slices,
    ) {
        slots.gather(self.windows, row_of, taken, |key, list| self.extents(key, list));
        for (place, state) in slots.places.iter().zip(states.iter()) {
            let Some(folded) = place.folded else { continue };
            let session = Session {
                window: folded.window,
                count: folded.count,
                first: folded.hold.offset,
                last: folded.last,
                hold: folded.hold,
                announced: None,
                state: state.into(),
                turn: self.schemas.turn(),
            };
            self.store.put(slots.turn.keys.get(place.group as usize), place.bases, session);
        }
    }

    /// From here on all states are of another schema; those that are there are of `before`, and are converted. All of the schema
    /// before that have been.
    pub fn change_schema(&mut self, before: StateSchema) {
        self.old = self.store.by_end.clone();
        self.schemas.change(before);
    }

    /// Looks at some more of the groups, and converts their states; whether there are more.
    pub fn convert<E>(
        &mut self,
        groups_max: usize,
        migrate: impl FnMut(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<bool, E> {
        if self.is_converted() {
            return Ok(false);
        }
        let some: Vec<_> = self.old.iter().take(groups_max.max(1)).cloned().collect();
        self.convert_groups(some.iter().map(|(_, key)| key), |_| true, migrate)?;
        some.iter().for_each(|one| _ = self.old.remove_mut(one));
        let more = !self.old.is_empty();
        if !more {
            self.schemas.converted();
        }
        Ok(more)
    }

    /// Whether all states are of one schema, that of the plan.
    pub fn is_converted(&self) -> bool {
        self.schemas.before().is_none()
    }

    /// Takes out the sessions that have ended by `watermark`, in the order of their end, group and start.
    pub fn close<E>(
        &mut self,
        watermark: EventTime,
        migrate: impl FnMut(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<Vec<SessionState>, E> {
        let keys = Store::found(&self.store.by_end, watermark);
        self.convert_groups(&keys, |session| session.window.end <= watermark, migrate)?;
        let mut closed = Vec::new();
        for key in &keys {
            let ended = self.store.take_ended(key, watermark);
            closed.extend(ended.into_iter().map(|session| SessionState::new(key, &session)));
        }
        Ok(in_order(closed))
    }

    /// The open sessions that began before `watermark` and of which nothing, or no more than what lasts until then, was announced;
    /// from here on they are announced as they are. Sessions that ended are closed before.
    pub fn announce<E>(
        &mut self,
        watermark: EventTime,
        migrate: impl FnMut(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<Vec<SessionState>, E> {
        let is_due = |session: &Session| session.due() <= watermark;
        let keys = Store::found(&self.store.by_due, watermark);
        self.convert_groups(&keys, is_due, migrate)?;
        let mut due = Vec::new();
        for key in &keys {
            let Some(group) = self.store.groups.get_mut(key) else { continue };
            for session in group.sessions.iter_mut().filter(|session| is_due(session)) {
                session.announced = Some(session.window.end);
                due.push(SessionState::new(key, session));
            }
            self.store.reindex(key);
        }
        Ok(in_order(due))
    }

    /// What the open sessions hold now, in the order in which they leave.
    pub fn snapshot<E>(
        &mut self,
        migrate: impl FnMut(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<Vec<SessionState>, E> {
        let keys = Store::found(&self.store.by_end, EventTime::MAX);
        self.convert_groups(&keys, |_| true, migrate)?;
        Ok(self.content())
    }

    /// The open sessions as they are, in the order in which they leave.
    pub fn content(&self) -> Vec<SessionState> {
        let groups = self.store.groups.iter();
        in_order(groups.flat_map(|(key, group)| group.sessions.iter().map(|one| SessionState::new(key, one))).collect())
    }

    /// Puts a session back: what [`Sessions::content`] gave.
    pub fn put_back(&mut self, session: &SessionState) {
        let SessionState { window, count, first, last, hold, announced, .. } = *session;
        let (state, turn) = (session.state.clone(), self.schemas.turn());
        let kept = Session { window, count, first, last, hold, announced, state, turn };
        self.store.put(&session.key, [None, None], kept);
    }

    fn extents(&self, key: &[u8], list: &mut Vec<Extent>) {
        let extent = |one: &Session| Extent { window: one.window, bases: [Some(one.window.start), None], slot: None };
        list.extend(self.store.sessions_of(key).iter().map(extent));
    }

    /// A slot for the session that a row goes on with there, the first one of the turn.
    fn slot(&self, group: usize, place: Place, slots: &mut SessionSlots) -> u32 {
        let bases = bases_at(&slots.turn.lists[group], place);
        let key = slots.turn.keys.get(group);
        let [left, right] = bases.map(|start| start.and_then(|start| self.store.session(key, start)));
        let (slot, turn) = (slots.places.len() as u32, self.schemas.turn());
        slots.places.push(SlotPlace { group: group as u32, bases, folded: None, broken: None });
        slots.states.push(left.map(|session| &*session.state).unwrap_or_default());
        if left.is_some_and(|session| session.is_old(turn)) {
            slots.old.push(slot);
        }
        if let Some(right) = right {
            if right.is_old(turn) {
                slots.old_rights.push(slots.rights.len() as u32);
            }
            slots.rights.push(&right.state);
            slots.bridges.push(Bridge { slot, row: slots.rows.len() as u32 });
        }
        slot
    }

    /// Converts those of these groups' states that are of the schema before.
    fn convert_groups<'a, E>(
        &mut self,
        keys: impl IntoIterator<Item = &'a Arc<[u8]>>,
        wanted: impl Fn(&Session) -> bool,
        mut migrate: impl FnMut(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<(), E> {
        let Some(before) = self.schemas.before() else { return Ok(()) };
        let turn = self.schemas.turn();
        let mut old = Vec::new();
        for key in keys {
            let sessions = self.store.sessions_of(key).iter().filter(|one| one.is_old(turn) && wanted(one));
            old.extend(sessions.map(|one| (key, one.window.start, one.state.clone())));
        }
        for some in old.chunks(CONVERTED_AT_ONCE) {
            let converted = migrate(before, &some.iter().map(|(_, _, state)| state).collect())?;
            for ((key, start, _), state) in some.iter().zip(converted.iter()) {
                if let Some(session) = self.store.session_mut(key, *start) {
                    (session.state, session.turn) = (state.into(), turn);
                }
            }
        }
        Ok(())
    }
}

impl SessionState {
    fn new(key: &Arc<[u8]>, session: &Session) -> Self {
        let Session { window, count, first, last, hold, announced, .. } = *session;
        SessionState { window, key: key.clone(), state: session.state.clone(), count, first, last, hold, announced }
    }

    pub fn group(&self) -> GroupState<'_> {
        GroupState { key: &self.key, state: &self.state, count: self.count, first: self.first, last: self.last }
    }
}

fn in_order(mut sessions: Vec<SessionState>) -> Vec<SessionState> {
    let order = |one: &SessionState, other: &SessionState| {
        (one.window.end, &one.key, one.window.start).cmp(&(other.window.end, &other.key, other.window.start))
    };
    sessions.sort_unstable_by(order);
    sessions
}

/// The same, with others at some places, which ascend.
fn replaced<'a>(states: &Slices, new: impl Iterator<Item = (u32, &'a [u8])>) -> Slices {
    let mut new = new.peekable();
    (0..)
        .zip(states.iter())
        .map(|(slot, state)| new.next_if(|(of, _)| *of == slot).map_or(state, |one| one.1))
        .collect()
}

#[cfg(test)]
mod tests;
