//! The sessions of one output in a parts lane: the parts of each group that overlap, and what they merge to. Cheap to clone; states
//! are converted to another schema as those of `merging` are.

use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use rpds::{HashTrieMapSync, RedBlackTreeSetSync};

use crate::plugin::{Aggregate, CallError};
use crate::record::{Accumulated, EventTime, Offset, Slices, StateSchema};
use crate::window::{Schemas, SessionWindows, Window};

use super::rounds;
use super::sources::SourceKey;

/// A part that is not replaced.
#[derive(Clone, Debug)]
struct Held {
    window: Window,
    source: SourceKey,
    last: Offset,
    /// Of the part itself.
    offset: Offset,
    state: Arc<[u8]>,
    /// Which of the schemas that followed each other the state is of.
    turn: u32,
}

/// Parts that are one session, in the order in which they are merged.
#[derive(Clone, Debug)]
struct Component {
    window: Window,
    parts: Vec<Held>,
    /// Whether documents of it were made: its start stays as it is.
    emitted: bool,
    /// Document batches and dead letters of it that are not settled.
    pending: usize,
}

/// A part, as it is kept.
pub(super) struct IncomingSession<'a> {
    pub group: &'a [u8],
    pub source: SourceKey,
    pub window: Window,
    pub last: Offset,
    pub state: &'a [u8],
}

/// A session by its group and start. The start changes until it is emitted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct SessionId {
    pub key: Arc<[u8]>,
    pub start: EventTime,
}

/// What became of a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// What is held of its source there is not older.
    Known,
    /// It is of a session that was not emitted.
    New(SessionId, Window),
    /// It is of a session that was emitted, whose documents are to be made again.
    Update(SessionId, Window),
    /// An emitted session would begin elsewhere, or two of them would be one: nothing has changed.
    Refused,
}

/// What a part takes beside its state: itself, and its node in the tree of offsets.
const HELD_BYTES: usize = size_of::<Held>() + NODE_BYTES;
/// What a session takes beside its parts: itself, its group, and its nodes in two trees.
const COMPONENT_BYTES: usize = size_of::<Component>() + 3 * NODE_BYTES;
/// Of a persistent tree.
const NODE_BYTES: usize = 64;

type Ends = RedBlackTreeSetSync<(EventTime, SessionId)>;

/// The sessions that are not released. Clones share what neither has changed since.
#[derive(Clone, Debug)]
pub(super) struct MergingSessions {
    windows: SessionWindows,
    groups: HashTrieMapSync<Arc<[u8]>, Vec<Component>, DefaultHashBuilder>,
    by_end: Ends,
    /// Those that are not emitted.
    due: Ends,
    offsets: RedBlackTreeSetSync<Offset>,
    /// Of all states end to end.
    states_bytes: usize,
    /// E: sessions that ended by it are final, settled and gone.
    released: EventTime,
    /// Among these groups are all that have a state of the schema before.
    old: Ends,
    schemas: Schemas,
}

impl MergingSessions {
    pub fn new(windows: SessionWindows, released: EventTime) -> Self {
        MergingSessions {
            windows,
            groups: HashTrieMapSync::new_with_hasher_and_ptr_kind(DefaultHashBuilder::default()),
            by_end: Ends::new_sync(),
            due: Ends::new_sync(),
            offsets: RedBlackTreeSetSync::new_sync(),
            states_bytes: 0,
            released,
            old: Ends::new_sync(),
            schemas: Schemas::default(),
        }
    }

    pub fn windows(&self) -> usize {
        self.by_end.size()
    }

    pub fn groups(&self) -> usize {
        self.groups.size()
    }

    /// What they take in memory, about.
    pub fn memory_bytes(&self) -> usize {
        self.states_bytes + self.offsets.size() * HELD_BYTES + self.by_end.size() * COMPONENT_BYTES
    }

    pub fn released(&self) -> EventTime {
        self.released
    }

    /// Where the oldest session ends that has not ended by then.
    pub fn oldest_end(&self, now: EventTime) -> Option<EventTime> {
        self.due.iter().map(|(end, _)| *end).find(|end| *end > now)
    }

    /// Whether a part may be of a session that is gone: it began before such ended, and nothing is here that it goes on with.
    pub fn may_be_gone(&self, group: &[u8], source: SourceKey, window: Window) -> bool {
        let goes_on = |held: &Held| held.source == source && self.windows.are_one(held.window, window);
        let held = self.groups.get(group).into_iter().flatten().flat_map(|component| &component.parts);
        window.start < self.released && !held.into_iter().any(goes_on)
    }

    /// The oldest part of a session that is not released.
    pub fn hold(&self) -> Option<Offset> {
        self.offsets.first().copied()
    }

    /// Keeps the part at `offset` in place of those of its source that it overlaps, where it is greater than all of them by
    /// the last source offset that it covers.
    pub fn keep(&mut self, offset: Offset, part: &IncomingSession<'_>) -> Kept {
        let windows = self.windows;
        let components = self.groups.get(part.group).map(Vec::as_slice).unwrap_or_default();
        let is_replaced = |held: &Held| held.source == part.source && windows.are_one(held.window, part.window);
        let mut replaced = components.iter().flat_map(|component| &component.parts).filter(|held| is_replaced(held));
        if replaced.any(|held| held.last >= part.last) {
            return Kept::Known;
        }
        let (touched, mut all): (Vec<Component>, Vec<Component>) =
            components.iter().cloned().partition(|component| windows.are_one(component.window, part.window));
        let IncomingSession { window, source, last, state, .. } = *part;
        let held = Held { window, source, last, offset, state: state.into(), turn: self.schemas.turn() };
        let kept = touched.iter().flat_map(|component| &component.parts).filter(|held| !is_replaced(held)).cloned();
        let mut made = components_of(windows, kept.chain([held]).collect());
        for emitted in touched.iter().filter(|component| component.emitted) {
            let Some(same) = made.iter_mut().find(|component| component.window.start == emitted.window.start) else {
                return Kept::Refused;
            };
            (same.emitted, same.pending) = (true, emitted.pending);
        }
        let key: Arc<[u8]> =
            self.groups.get_key_value(part.group).map_or_else(|| part.group.into(), |(key, _)| key.clone());
        let mut outcome = Kept::Known;
        touched.iter().for_each(|component| self.unlist(&key, component));
        for component in &made {
            self.list(&key, component);
            if component.parts.iter().any(|held| held.offset == offset) {
                let id = SessionId { key: key.clone(), start: component.window.start };
                let kept = if component.emitted { Kept::Update } else { Kept::New };
                outcome = kept(id, component.window);
            }
        }
        all.extend(made);
        all.sort_unstable_by_key(|component| component.window.start);
        self.groups.insert_mut(key, all);
        outcome
    }

    /// The sessions that ended by `through` and are not emitted, in the order of their end, group and start. What is read again of
    /// those that an earlier owner had released is not among them.
    pub fn ended(&self, through: EventTime) -> Vec<SessionId> {
        let ended = self.due.iter().take_while(|(end, _)| *end <= through);
        ended.filter(|(end, _)| *end > self.released).map(|(_, id)| id.clone()).collect()
    }

    pub fn window_of(&self, id: &SessionId) -> Option<Window> {
        self.component(id).map(|component| component.window)
    }

    /// The states of these sessions, merged in the order of their sources and starts; and the sessions of which some cannot be.
    pub fn merge(&self, ids: &[SessionId], aggregate: &mut dyn Aggregate) -> Result<Accumulated, CallError> {
        let states = |id| self.component(id).into_iter().flat_map(|one| &one.parts).map(|held| &*held.state).collect();
        rounds::merge(&ids.iter().map(states).collect::<Vec<_>>(), aggregate)
    }

    /// From here on all states are of another schema; those that are there are of `before`, and are converted. All of the schema
    /// before that have been.
    pub fn change_schema(&mut self, before: StateSchema) {
        self.old = self.by_end.clone();
        self.schemas.change(before);
    }

    /// Converts those of these sessions' states that are of the schema before: what is to be merged.
    pub fn convert_sessions<E>(
        &mut self,
        ids: &[SessionId],
        migrate: impl FnOnce(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<(), E> {
        self.convert_keys(ids.iter().map(|id| &id.key), migrate)
    }

    /// Looks at some more of the groups, and converts their states; whether there are more.
    pub fn convert<E>(
        &mut self,
        groups_max: usize,
        migrate: impl FnOnce(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<bool, E> {
        if self.schemas.before().is_none() {
            return Ok(false);
        }
        let some: Vec<_> = self.old.iter().take(groups_max.max(1)).cloned().collect();
        self.convert_keys(some.iter().map(|(_, id)| &id.key), migrate)?;
        some.iter().for_each(|one| _ = self.old.remove_mut(one));
        let more = !self.old.is_empty();
        if !more {
            self.schemas.converted();
        }
        Ok(more)
    }

    /// Documents or dead letters of a session were asked for: it is emitted, and stays until that is settled.
    pub fn wait(&mut self, id: &SessionId) {
        let Some(component) = self.component_mut(id) else { return };
        component.emitted = true;
        component.pending += 1;
        let end = component.window.end;
        self.due.remove_mut(&(end, id.clone()));
    }

    pub fn settled(&mut self, id: &SessionId) {
        if let Some(component) = self.component_mut(id) {
            component.pending -= 1;
        }
    }

    /// Lets go of the sessions that no part can change any more and of which all is settled, in order.
    pub fn release(&mut self, finished: EventTime) {
        while let Some((end, id)) = self.by_end.first().cloned() {
            let pending = self.component(&id).map_or(0, |component| component.pending);
            if end > finished || pending > 0 {
                break;
            }
            let mut left = self.groups.get(&id.key).cloned().unwrap_or_default();
            let gone: Vec<Component> = left.extract_if(.., |component| component.window.start == id.start).collect();
            gone.iter().for_each(|component| self.unlist(&id.key, component));
            match left.is_empty() {
                true => _ = self.groups.remove_mut(&*id.key),
                false => self.groups.insert_mut(id.key, left),
            }
        }
        let before = |end: EventTime| EventTime::from_micros(end.micros().saturating_sub(1));
        let bound = self.by_end.first().map_or(EventTime::MAX, |(end, _)| before(*end));
        self.released = self.released.max(finished.min(bound));
    }

    fn component(&self, id: &SessionId) -> Option<&Component> {
        self.groups.get(&id.key)?.iter().find(|component| component.window.start == id.start)
    }

    fn component_mut(&mut self, id: &SessionId) -> Option<&mut Component> {
        self.groups.get_mut(&id.key)?.iter_mut().find(|component| component.window.start == id.start)
    }

    fn list(&mut self, key: &Arc<[u8]>, component: &Component) {
        let id = SessionId { key: key.clone(), start: component.window.start };
        if !component.emitted {
            self.due.insert_mut((component.window.end, id.clone()));
        }
        self.by_end.insert_mut((component.window.end, id));
        for held in &component.parts {
            self.offsets.insert_mut(held.offset);
            self.states_bytes += held.state.len();
        }
    }

    fn unlist(&mut self, key: &Arc<[u8]>, component: &Component) {
        let entry = (component.window.end, SessionId { key: key.clone(), start: component.window.start });
        self.due.remove_mut(&entry);
        self.by_end.remove_mut(&entry);
        for held in &component.parts {
            self.offsets.remove_mut(&held.offset);
            self.states_bytes = self.states_bytes.saturating_sub(held.state.len());
        }
    }

    fn convert_keys<'a, E>(
        &mut self,
        keys: impl Iterator<Item = &'a Arc<[u8]>>,
        migrate: impl FnOnce(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<(), E> {
        let Some(before) = self.schemas.before() else { return Ok(()) };
        let turn = self.schemas.turn();
        // A group may be named by several of its sessions.
        let mut keys: Vec<&Arc<[u8]>> = keys.collect();
        keys.sort_unstable();
        keys.dedup();
        let is_old = |held: &&Held| held.turn != turn && !held.state.is_empty();
        let parts = |key: &Arc<[u8]>| self.groups.get(key).into_iter().flatten().flat_map(|one| &one.parts);
        keys.retain(|key| parts(key).any(|held| is_old(&held)));
        if keys.is_empty() {
            return Ok(());
        }
        let old: Slices = keys.iter().flat_map(|key| parts(key)).filter(is_old).map(|held| &held.state).collect();
        let converted = migrate(before, &old)?;
        let mut converted = converted.iter();
        for key in keys {
            let Some(components) = self.groups.get_mut(key) else { continue };
            let held = components.iter_mut().flat_map(|component| &mut component.parts);
            for (held, state) in held.filter(|held| is_old(&&**held)).zip(&mut converted) {
                (held.state, held.turn) = (state.into(), turn);
            }
        }
        Ok(())
    }
}

/// What of these parts is one, by their starts.
fn components_of(windows: SessionWindows, mut parts: Vec<Held>) -> Vec<Component> {
    parts.sort_unstable_by_key(|held| (held.window.start, held.source));
    let mut components: Vec<Component> = Vec::new();
    for held in parts {
        match components.last_mut().filter(|last| windows.are_one(last.window, held.window)) {
            Some(last) => {
                last.window.end = last.window.end.max(held.window.end);
                last.parts.push(held);
            }
            None => {
                components.push(Component { window: held.window, parts: vec![held], emitted: false, pending: 0 });
            }
        }
    }
    for component in &mut components {
        component.parts.sort_unstable_by_key(|held| (held.source, held.window.start));
    }
    components
}

#[cfg(test)]
mod tests;
