//! The states of groups in the open windows of one output of one lane.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::record::{EventTime, Offset, Slices};

use super::{Tumbling, Window};

/// So many states are replaced by one call.
const REPLACED_AT_ONCE: usize = 4096;

/// What a position must not pass: an offset, and the watermark before the record there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    pub offset: Offset,
    pub watermark: EventTime,
}

impl Hold {
    /// The older one of two that may be absent.
    pub fn older(left: Option<Hold>, right: Option<Hold>) -> Option<Hold> {
        match (left, right) {
            (Some(left), Some(right)) => Some(if right.offset < left.offset { right } else { left }),
            (one, None) | (None, one) => one,
        }
    }
}

/// A record on its way into a window.
#[derive(Clone, Copy, Debug)]
pub struct FoldRow<'a> {
    pub time: EventTime,
    pub group: &'a [u8],
    pub offset: Offset,
    /// The partition's watermark before the record.
    pub watermark: EventTime,
}

/// A group's state in one window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupState {
    pub state: Vec<u8>,
    /// How many records are in it.
    pub count: u64,
    pub first: Offset,
    pub last: Offset,
}

/// A window that has ended, or a copy of one that is still open, with its groups in a fixed order.
#[derive(Debug)]
pub struct ClosedWindow {
    pub window: Window,
    pub hold: Option<Hold>,
    pub groups: Vec<(Box<[u8]>, GroupState)>,
}

/// Where the rows of a batch go, and the states that are there now: what `accumulate` is given.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// For each row, its place in `states`.
    pub groups: Vec<u32>,
    pub states: Slices,
    /// Where each state lives: window and group of that window.
    places: Vec<(EventTime, u32)>,
}

#[derive(Clone, Debug, Default)]
struct OpenWindow {
    hold: Option<Hold>,
    index: HashMap<Box<[u8]>, u32>,
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    state: GroupState,
    /// The batch that touched it last, and its place in that batch's slots.
    touched: u64,
    slot: u32,
}

/// Open windows by their start; groups are found by one look-up a record. Clones share a window until one of them changes it.
#[derive(Clone, Debug)]
pub struct KeyedWindows {
    tumbling: Tumbling,
    windows: BTreeMap<EventTime, Arc<OpenWindow>>,
    batches: u64,
}

impl KeyedWindows {
    pub fn new(tumbling: Tumbling) -> Self {
        KeyedWindows { tumbling, windows: BTreeMap::new(), batches: 0 }
    }

    pub fn tumbling(&self) -> Tumbling {
        self.tumbling
    }

    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    pub fn groups(&self) -> usize {
        self.windows.values().map(|window| window.groups.len()).sum()
    }

    /// The oldest record that an open window needs.
    pub fn hold(&self) -> Option<Hold> {
        self.windows.values().fold(None, |oldest, window| Hold::older(oldest, window.hold))
    }

    /// Finds or makes the group of each row.
    pub fn slots<'a>(&mut self, rows: impl Iterator<Item = FoldRow<'a>>, slots: &mut Slots) {
        self.batches += 1;
        slots.groups.clear();
        slots.states.clear();
        slots.places.clear();
        let mut rows = rows.peekable();
        while let Some(row) = rows.peek() {
            let bounds = self.tumbling.window(row.time);
            let window = Arc::make_mut(self.windows.entry(bounds.start).or_default());
            // Neighbours are mostly of one window, so the window is looked up once for a run of them.
            while let Some(row) = rows.next_if(|row| bounds.start <= row.time && row.time < bounds.end) {
                let slot = window.slot(row.group, self.batches, bounds.start, slots);
                slots.groups.push(slot);
            }
        }
    }

    /// Puts the states back that `accumulate` returned; a rejected row (in `taken`: 0) left no trace.
    pub fn store<'a>(&mut self, rows: impl Iterator<Item = FoldRow<'a>>, taken: &[u8], slots: &Slots, states: &Slices) {
        let mut rows =
            rows.zip(&slots.groups).zip(taken).filter(|(_, taken)| **taken != 0).map(|(row, _)| row).peekable();
        while let Some((_, slot)) = rows.peek() {
            let (start, _) = slots.places[**slot as usize];
            let Some(window) = self.windows.get_mut(&start).map(Arc::make_mut) else { break };
            // Neighbours are mostly of one window, so the window is looked up once for a run of them.
            while let Some((row, slot)) = rows.next_if(|(_, slot)| slots.places[**slot as usize].0 == start) {
                window.count(&row, slots.places[*slot as usize].1);
            }
        }
        for (slot, (start, group)) in slots.places.iter().enumerate() {
            if let Some(window) = self.windows.get_mut(start).map(Arc::make_mut) {
                window.set(*group, states.get(slot));
            }
        }
    }

    /// Puts another state in the place of each, some thousand at a time.
    pub fn replace_states<E>(&mut self, mut replace: impl FnMut(&Slices) -> Result<Slices, E>) -> Result<(), E> {
        for window in self.windows.values_mut().map(Arc::make_mut) {
            for groups in window.groups.chunks_mut(REPLACED_AT_ONCE) {
                let states = replace(&groups.iter().map(|group| &group.state.state).collect())?;
                for (group, state) in groups.iter_mut().zip(states.iter()) {
                    group.state.state = state.to_vec();
                }
            }
        }
        Ok(())
    }

    /// Takes out the windows that have ended by `watermark`, oldest first.
    pub fn close(&mut self, watermark: EventTime) -> Vec<ClosedWindow> {
        let mut closed = Vec::new();
        while let Some(entry) = self.windows.first_entry() {
            let window = self.tumbling.starting_at(*entry.key());
            if window.end > watermark {
                break;
            }
            closed.push(Arc::unwrap_or_clone(entry.remove()).into_closed(window));
        }
        closed
    }

    /// What the open windows hold now, oldest first.
    pub fn snapshot(&self) -> Vec<ClosedWindow> {
        self.windows.iter().map(|(start, window)| window.to_closed(self.tumbling.starting_at(*start))).collect()
    }
}

impl OpenWindow {
    /// A record of a group was folded.
    fn count(&mut self, row: &FoldRow<'_>, group: u32) {
        if self.hold.is_none() {
            self.hold = Some(Hold { offset: row.offset, watermark: row.watermark });
        }
        let state = &mut self.groups[group as usize].state;
        if state.count == 0 {
            state.first = row.offset;
        }
        state.count += 1;
        state.last = row.offset;
    }

    fn set(&mut self, group: u32, bytes: &[u8]) {
        let state = &mut self.groups[group as usize].state.state;
        state.clear();
        state.extend_from_slice(bytes);
    }

    fn slot(&mut self, key: &[u8], batch: u64, start: EventTime, slots: &mut Slots) -> u32 {
        let group = match self.index.get(key) {
            Some(group) => *group,
            None => {
                let group = self.groups.len() as u32;
                self.index.insert(key.into(), group);
                let state = GroupState { state: Vec::new(), count: 0, first: Offset(0), last: Offset(0) };
                self.groups.push(Group { state, touched: 0, slot: 0 });
                group
            }
        };
        let entry = &mut self.groups[group as usize];
        if entry.touched != batch {
            entry.touched = batch;
            entry.slot = slots.places.len() as u32;
            slots.places.push((start, group));
            slots.states.push(&entry.state.state);
        }
        entry.slot
    }

    fn into_closed(mut self, window: Window) -> ClosedWindow {
        let groups = std::mem::take(&mut self.groups);
        let mut states: Vec<Option<GroupState>> = groups.into_iter().map(|group| Some(group.state)).collect();
        let index = std::mem::take(&mut self.index);
        let taken = index.into_iter().filter_map(|(key, place)| Some((key, states.get_mut(place as usize)?.take()?)));
        ClosedWindow { window, hold: self.hold, groups: in_order(taken) }
    }

    fn to_closed(&self, window: Window) -> ClosedWindow {
        let copied = self.index.iter().map(|(key, place)| (key.clone(), self.groups[*place as usize].state.clone()));
        ClosedWindow { window, hold: self.hold, groups: in_order(copied) }
    }
}

/// Groups by key, without those whose every record was rejected: what leaves a window depends on nothing else.
fn in_order(groups: impl Iterator<Item = (Box<[u8]>, GroupState)>) -> Vec<(Box<[u8]>, GroupState)> {
    let mut groups: Vec<_> = groups.filter(|(_, state)| state.count > 0).collect();
    groups.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    groups
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(micros: i64, group: &'static str, offset: i64) -> FoldRow<'static> {
        FoldRow {
            time: EventTime::from_micros(micros),
            group: group.as_bytes(),
            offset: Offset(offset),
            watermark: EventTime::from_micros(offset),
        }
    }

    /// Folds by appending the row's place in the batch to the state.
    fn fold(windows: &mut KeyedWindows, rows: &[FoldRow<'static>], taken: &[u8]) {
        let mut slots = Slots::default();
        windows.slots(rows.iter().copied(), &mut slots);
        let mut states: Vec<Vec<u8>> = slots.states.iter().map(<[u8]>::to_vec).collect();
        for (row, group) in slots.groups.iter().enumerate().filter(|(row, _)| taken[*row] == 1) {
            states[*group as usize].push(row as u8);
        }
        windows.store(rows.iter().copied(), taken, &slots, &states.iter().collect());
    }

    #[test]
    fn rows_reach_their_window_and_group() {
        let mut windows = KeyedWindows::new(Tumbling::new(Duration::from_micros(10)));
        fold(&mut windows, &[row(1, "a", 5), row(12, "a", 6), row(2, "b", 7), row(3, "a", 8)], &[1, 1, 1, 1]);
        fold(&mut windows, &[row(4, "a", 9)], &[1]);
        assert_eq!((windows.windows(), windows.groups()), (2, 3));
        let closed = windows.close(EventTime::from_micros(10));
        assert_eq!(closed.len(), 1);
        assert_eq!(closed[0].hold, Some(Hold { offset: Offset(5), watermark: EventTime::from_micros(5) }));
        let (key, state) = &closed[0].groups[0];
        assert_eq!((&**key, &state.state[..], state.count), (&b"a"[..], &[0, 3, 0][..], 3));
        assert_eq!((state.first, state.last), (Offset(5), Offset(9)));
        assert_eq!(windows.hold().map(|hold| hold.offset), Some(Offset(6)));
    }

    #[test]
    fn a_rejected_row_leaves_no_trace() {
        let mut windows = KeyedWindows::new(Tumbling::new(Duration::from_micros(10)));
        fold(&mut windows, &[row(1, "a", 5), row(2, "b", 6)], &[0, 1]);
        assert_eq!(windows.hold().map(|hold| hold.offset), Some(Offset(6)));
        let closed = windows.close(EventTime::MAX);
        assert_eq!(closed[0].groups.len(), 1);
    }
}
