//! The windows of one output in a parts lane: for each window, group and source the greatest part, and what they merge to.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::lane::id::Revision;
use crate::plugin::{Aggregate, CallError};
use crate::record::{Accumulated, EventTime, Offset, Rejection, Slices};
use crate::window::Tumbling;

use super::sources::SourceKey;

/// The greatest part of a source.
#[derive(Clone, Debug)]
struct Held {
    revision: Revision,
    last: Offset,
    state: Vec<u8>,
}

/// The parts of a group, in the order in which they are merged.
type Group = BTreeMap<SourceKey, Held>;

#[derive(Clone, Debug)]
struct MergingWindow {
    /// The oldest part of it.
    first: Offset,
    groups: HashMap<Box<[u8]>, Group>,
    /// Document batches and dead letters of it that are not settled.
    pending: usize,
}

/// A part, as it is kept.
pub(super) struct Incoming<'a> {
    pub group: &'a [u8],
    pub source: SourceKey,
    pub revision: Revision,
    pub last: Offset,
    pub state: &'a [u8],
}

/// The windows that are not released, by their start. Clones share a window until one of them changes it.
#[derive(Clone, Debug)]
pub(super) struct Merging {
    tumbling: Tumbling,
    windows: BTreeMap<EventTime, Arc<MergingWindow>>,
    /// E: windows that ended by it are final, settled and gone.
    released: EventTime,
}

impl Merging {
    pub fn new(tumbling: Tumbling, released: EventTime) -> Self {
        Merging { tumbling, windows: BTreeMap::new(), released }
    }

    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    pub fn groups(&self) -> usize {
        self.windows.values().map(|window| window.groups.len()).sum()
    }

    pub fn released(&self) -> EventTime {
        self.released
    }

    /// The oldest part of a window that is not released.
    pub fn hold(&self) -> Option<Offset> {
        self.windows.values().map(|window| window.first).min()
    }

    /// Keeps the greatest part by (revision, last source offset that it covers), of equals the first. Whether the part at
    /// `offset` is it.
    pub fn keep(&mut self, start: EventTime, offset: Offset, part: &Incoming<'_>) -> bool {
        let empty = || Arc::new(MergingWindow { first: offset, groups: HashMap::new(), pending: 0 });
        let window = Arc::make_mut(self.windows.entry(start).or_insert_with(empty));
        if !window.groups.contains_key(part.group) {
            window.groups.insert(part.group.into(), Group::new());
        }
        let Some(group) = window.groups.get_mut(part.group) else { return false };
        let known = group.get(&part.source);
        if known.is_some_and(|known| (known.revision, known.last) >= (part.revision, part.last)) {
            return false;
        }
        group.insert(part.source, Held { revision: part.revision, last: part.last, state: part.state.to_vec() });
        true
    }

    /// The windows that ended after `from` and by `through`, by their start, oldest first.
    pub fn ended(&self, from: EventTime, through: EventTime) -> Vec<EventTime> {
        let end = |start: &EventTime| self.tumbling.starting_at(*start).end;
        self.windows.keys().copied().filter(|start| from < end(start) && end(start) <= through).collect()
    }

    /// The groups of a window, in a fixed order.
    pub fn groups_of(&self, start: EventTime) -> Vec<Box<[u8]>> {
        let mut groups: Vec<_> =
            self.windows.get(&start).into_iter().flat_map(|one| one.groups.keys().cloned()).collect();
        groups.sort_unstable();
        groups
    }

    /// The states of these groups of a window, merged in the order of their sources; and the groups of which some cannot be.
    pub fn merge(
        &self,
        start: EventTime,
        groups: &[Box<[u8]>],
        aggregate: &mut dyn Aggregate,
    ) -> Result<Accumulated, CallError> {
        let held = |key: &[u8]| self.windows.get(&start).and_then(|window| window.groups.get(key));
        let parts: Vec<Vec<&Held>> =
            groups.iter().map(|key| held(key).map(|group| group.values().collect()).unwrap_or_default()).collect();
        let mut states: Vec<Vec<u8>> =
            parts.iter().map(|parts| parts.first().map(|held| held.state.clone()).unwrap_or_default()).collect();
        let mut rejected: Vec<Rejection> = Vec::new();
        let most = parts.iter().map(Vec::len).max().unwrap_or_default();
        for round in 1..most {
            let whole = |row: &usize| !rejected.iter().any(|rejection| rejection.row as usize == *row);
            let rows: Vec<usize> = (0..groups.len()).filter(|row| parts[*row].len() > round).filter(whole).collect();
            let left: Slices = rows.iter().map(|row| &states[*row]).collect();
            let right: Slices = rows.iter().map(|row| &parts[*row][round].state).collect();
            let merged = aggregate.merge(&left, &right)?;
            for (place, row) in rows.iter().enumerate() {
                states[*row] = merged.states.get(place).to_vec();
            }
            let of_group =
                |one: Rejection| Some(Rejection { row: *rows.get(one.row as usize)? as u32, reason: one.reason });
            rejected.extend(merged.rejected.into_iter().filter_map(of_group));
        }
        Ok(Accumulated { states: states.iter().collect(), rejected })
    }

    /// Puts another state in the place of each, a window at a time.
    pub fn replace_states<E>(&mut self, mut replace: impl FnMut(&Slices) -> Result<Slices, E>) -> Result<(), E> {
        for window in self.windows.values_mut().map(Arc::make_mut) {
            let mut held: Vec<&mut Held> = window.groups.values_mut().flat_map(|group| group.values_mut()).collect();
            let states = replace(&held.iter().map(|held| &held.state).collect())?;
            for (held, state) in held.iter_mut().zip(states.iter()) {
                held.state = state.to_vec();
            }
        }
        Ok(())
    }

    /// Something of a window was asked for, and it stays until that is settled.
    pub fn wait(&mut self, start: EventTime) {
        if let Some(window) = self.windows.get_mut(&start).map(Arc::make_mut) {
            window.pending += 1;
        }
    }

    pub fn settled(&mut self, start: EventTime) {
        if let Some(window) = self.windows.get_mut(&start).map(Arc::make_mut) {
            window.pending -= 1;
        }
    }

    /// Lets go of the windows that no part can change any more and of which all is settled, in order.
    pub fn release(&mut self, finished: EventTime) {
        while let Some(entry) = self.windows.first_entry() {
            let end = self.tumbling.starting_at(*entry.key()).end;
            if end > finished || entry.get().pending > 0 {
                break;
            }
            entry.remove();
        }
        let bound = self.windows.keys().next().copied().unwrap_or(EventTime::MAX);
        self.released = self.released.max(self.tumbling.last_ended(finished).min(bound));
    }
}
