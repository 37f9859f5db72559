//! The windows of one output in a parts lane: for each window, group and source the greatest part, and what they merge to.
//! They are cheap to clone, and states are converted to another schema, as those of a source lane are.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::plugin::{Aggregate, CallError};
use crate::record::{Accumulated, EventTime, Offset, Slices, StateSchema};
use crate::window::{Keys, Schemas, TimeWindows};

use super::rounds;
use super::sources::SourceKey;

/// What a state that is shared takes beside its bytes.
const ARC_BYTES: usize = 2 * size_of::<usize>();

/// So many groups lie together. A part that comes to a clone copies the lists of all of these, and no state.
const CHUNK_GROUPS: usize = 16;

/// The greatest part of a source.
#[derive(Clone, Debug)]
struct Held {
    source: SourceKey,
    last: Offset,
    state: Arc<[u8]>,
    /// Which of the schemas that followed each other the state is of.
    turn: u32,
}

/// The parts of a group.
#[derive(Clone, Debug)]
struct Group {
    /// In the order in which they are merged.
    parts: Vec<Held>,
    /// Where the newest of them is in the parts topic.
    newest: Offset,
}

/// The groups of a window by the position of their key.
#[derive(Clone, Default, Debug)]
struct MergingWindow {
    keys: Keys,
    chunks: Vec<Arc<Vec<Group>>>,
    /// Of all states end to end, and how many there are.
    states_bytes: usize,
    states: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    window: Arc<MergingWindow>,
    /// The oldest part of it.
    first: Offset,
    /// Document batches and dead letters of it that are not settled.
    pending: usize,
    /// Among these groups are all that have a state of the schema before.
    old: Range<u32>,
}

/// A part, as it is kept.
pub(super) struct Incoming<'a> {
    pub group: &'a [u8],
    pub source: SourceKey,
    pub last: Offset,
    pub state: &'a [u8],
}

/// The windows that are not released, by their start. Clones share what neither has changed since.
#[derive(Clone, Debug)]
pub(super) struct Merging {
    time_windows: TimeWindows,
    windows: BTreeMap<EventTime, Entry>,
    /// E: windows that ended by it are final, settled and gone.
    released: EventTime,
    /// Parts at it and after it are in no early result.
    early: Offset,
    /// After the newest part that is kept.
    next: Offset,
    schemas: Schemas,
}

impl Merging {
    pub fn new(time_windows: TimeWindows, released: EventTime) -> Self {
        let (early, next) = (Offset(0), Offset(0));
        Merging { time_windows, windows: BTreeMap::new(), released, early, next, schemas: Schemas::default() }
    }

    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    pub fn groups(&self) -> usize {
        self.windows.values().map(|entry| entry.window.keys.len()).sum()
    }

    /// What they take in memory, about.
    pub fn memory_bytes(&self) -> usize {
        self.windows.values().map(|entry| entry.window.memory_bytes()).sum()
    }

    pub fn released(&self) -> EventTime {
        self.released
    }

    /// Where the oldest window ends that has not ended by then.
    pub fn oldest_end(&self, now: EventTime) -> Option<EventTime> {
        self.windows.keys().map(|start| self.time_windows.starting_at(*start).end).find(|end| *end > now)
    }

    /// The oldest part of a window that is not released.
    pub fn hold(&self) -> Option<Offset> {
        self.windows.values().map(|entry| entry.first).min()
    }

    /// Keeps the greatest part by the last source offset that it covers, of equals the first. The group, where the part
    /// at `offset` is it.
    pub fn keep(&mut self, start: EventTime, offset: Offset, part: &Incoming<'_>) -> Option<u32> {
        let empty = || Entry { window: Arc::default(), first: offset, pending: 0, old: 0..0 };
        let entry = self.windows.entry(start).or_insert_with(empty);
        let window = Arc::make_mut(&mut entry.window);
        let position = window.position(part.group);
        let known = window.group(position).parts.binary_search_by_key(&part.source, |held| held.source);
        if let Ok(place) = known {
            let known = &window.group(position).parts[place];
            if known.last >= part.last {
                return None;
            }
        }
        let Incoming { source, last, state, .. } = *part;
        let held = Held { source, last, state: state.into(), turn: self.schemas.turn() };
        window.states_bytes += state.len();
        let group = window.group_mut(position);
        let replaced = match known {
            Ok(place) => Some(std::mem::replace(&mut group.parts[place], held)),
            Err(place) => {
                group.parts.insert(place, held);
                None
            }
        };
        group.newest = offset;
        match replaced {
            Some(before) => window.states_bytes -= before.state.len(),
            None => window.states += 1,
        }
        self.next = offset.next();
        Some(position)
    }

    /// The windows that ended after `from` and by `through`, by their start, oldest first.
    pub fn ended(&self, from: EventTime, through: EventTime) -> Vec<EventTime> {
        let end = |start: &EventTime| self.time_windows.starting_at(*start).end;
        self.windows.keys().copied().filter(|start| from < end(start) && end(start) <= through).collect()
    }

    /// The windows that have not ended by then, by their start, each with the groups that have changed since this was asked last,
    /// in a fixed order.
    pub fn changed(&mut self, now: EventTime) -> Vec<(EventTime, Vec<u32>)> {
        let since = std::mem::replace(&mut self.early, self.next);
        if since >= self.next {
            return Vec::new();
        }
        let open = self.windows.iter().filter(|(start, _)| self.time_windows.starting_at(**start).end > now);
        let changed = open.map(|(start, entry)| {
            let mut groups = entry.window.keys.in_order();
            groups.retain(|group| entry.window.group(*group).newest >= since);
            (*start, groups)
        });
        changed.filter(|(_, groups)| !groups.is_empty()).collect()
    }

    /// The groups of a window, in a fixed order.
    pub fn groups_of(&self, start: EventTime) -> Vec<u32> {
        self.windows.get(&start).map(|entry| entry.window.keys.in_order()).unwrap_or_default()
    }

    /// The keys of these groups of a window.
    pub fn keys_of(&self, start: EventTime, groups: &[u32]) -> Vec<&[u8]> {
        let window = self.windows.get(&start).map(|entry| &entry.window);
        window.map(|window| groups.iter().map(|group| window.keys.get(*group)).collect()).unwrap_or_default()
    }

    /// The states of these groups of a window, merged in the order of their sources; and the groups of which some cannot be.
    pub fn merge(
        &self,
        start: EventTime,
        groups: &[u32],
        aggregate: &mut dyn Aggregate,
    ) -> Result<Accumulated, CallError> {
        let Some(entry) = self.windows.get(&start) else { return Ok(Accumulated::default()) };
        let states = |group: &u32| entry.window.group(*group).parts.iter().map(|held| &*held.state).collect();
        rounds::merge(&groups.iter().map(states).collect::<Vec<_>>(), aggregate)
    }

    /// From here on all states are of another schema; those that are there are of `before`, and are converted. All of the schema
    /// before that have been.
    pub fn change_schema(&mut self, before: StateSchema) {
        for entry in self.windows.values_mut() {
            entry.old = 0..entry.window.keys.len() as u32;
        }
        self.schemas.change(before);
    }

    /// Converts those of these groups' states that are of the schema before: what is to be merged.
    pub fn convert_groups<E>(
        &mut self,
        start: EventTime,
        groups: &[u32],
        migrate: impl FnOnce(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<(), E> {
        let (Some(before), Some(entry)) = (self.schemas.before(), self.windows.get_mut(&start)) else { return Ok(()) };
        let turn = self.schemas.turn();
        let old: Vec<(u32, usize)> = groups.iter().flat_map(|group| entry.window.old_of(*group, turn)).collect();
        entry.convert(&old, turn, |states| migrate(before, states))
    }

    /// Looks at some more of the groups, and converts their states; whether there are more.
    pub fn convert<E>(
        &mut self,
        groups_max: usize,
        migrate: impl FnOnce(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<bool, E> {
        let Some(before) = self.schemas.before() else { return Ok(false) };
        if let Some(entry) = self.windows.values_mut().find(|entry| !entry.old.is_empty()) {
            let mut old = Vec::new();
            let mut left = groups_max.max(1);
            while left > 0
                && let Some(group) = entry.old.next()
            {
                old.extend(entry.window.old_of(group, self.schemas.turn()));
                // A group has as many states as sources.
                left = left.saturating_sub(entry.window.group(group).parts.len().max(1));
            }
            entry.convert(&old, self.schemas.turn(), |states| migrate(before, states))?;
        }
        let more = self.windows.values().any(|entry| !entry.old.is_empty());
        if !more {
            self.schemas.converted();
        }
        Ok(more)
    }

    /// Something of a window was asked for, and it stays until that is settled.
    pub fn wait(&mut self, start: EventTime) {
        if let Some(entry) = self.windows.get_mut(&start) {
            entry.pending += 1;
        }
    }

    pub fn settled(&mut self, start: EventTime) {
        if let Some(entry) = self.windows.get_mut(&start) {
            entry.pending -= 1;
        }
    }

    /// Lets go of the windows that no part can change any more and of which all is settled, in order.
    pub fn release(&mut self, finished: EventTime) {
        while let Some(entry) = self.windows.first_entry() {
            let end = self.time_windows.starting_at(*entry.key()).end;
            if end > finished || entry.get().pending > 0 {
                break;
            }
            entry.remove();
        }
        let first = self.windows.keys().next();
        let bound = first.map_or(EventTime::MAX, |start| self.time_windows.before(*start).end);
        self.released = self.released.max(self.time_windows.last_ended(finished).min(bound));
    }
}

impl Entry {
    /// These states, each by its group and its place there.
    fn convert<E>(
        &mut self,
        old: &[(u32, usize)],
        turn: u32,
        migrate: impl FnOnce(&Slices) -> Result<Slices, E>,
    ) -> Result<(), E> {
        if old.is_empty() {
            return Ok(());
        }
        let states = old.iter().map(|(group, place)| &self.window.group(*group).parts[*place].state).collect();
        let converted = migrate(&states)?;
        let window = Arc::make_mut(&mut self.window);
        for ((group, place), state) in old.iter().zip(converted.iter()) {
            let before = window.group(*group).parts[*place].state.len();
            window.states_bytes = window.states_bytes + state.len() - before;
            let held = &mut window.group_mut(*group).parts[*place];
            (held.state, held.turn) = (state.into(), turn);
        }
        Ok(())
    }
}

impl MergingWindow {
    fn memory_bytes(&self) -> usize {
        let groups = self.keys.memory_bytes() + self.keys.len() * size_of::<Group>();
        groups + self.states * (size_of::<Held>() + ARC_BYTES) + self.states_bytes
    }

    fn position(&mut self, key: &[u8]) -> u32 {
        let known = self.keys.len();
        let position = self.keys.position(key);
        if position as usize == known {
            if known.is_multiple_of(CHUNK_GROUPS) {
                self.chunks.push(Arc::default());
            }
            let chunk = Arc::make_mut(self.chunks.last_mut().expect("one was pushed for the first group of it"));
            chunk.push(Group { parts: Vec::new(), newest: Offset(0) });
        }
        position
    }

    fn group(&self, position: u32) -> &Group {
        &self.chunks[position as usize / CHUNK_GROUPS][position as usize % CHUNK_GROUPS]
    }

    fn group_mut(&mut self, position: u32) -> &mut Group {
        &mut Arc::make_mut(&mut self.chunks[position as usize / CHUNK_GROUPS])[position as usize % CHUNK_GROUPS]
    }

    /// A group's states that are of an earlier turn: none is the same in every schema.
    fn old_of(&self, group: u32, turn: u32) -> impl Iterator<Item = (u32, usize)> {
        let old = move |held: &Held| held.turn != turn && !held.state.is_empty();
        self.group(group)
            .parts
            .iter()
            .enumerate()
            .filter(move |(_, held)| old(held))
            .map(move |(place, _)| (group, place))
    }
}

#[cfg(test)]
mod tests;
