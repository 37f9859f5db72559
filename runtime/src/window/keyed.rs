//! The states of groups in the open windows of one output of one lane: cheap to clone, and a clone is cheap to change.
//!
//! A plan whose aggregate has another schema of states finds them as they are. A state is converted when a batch touches it, when
//! its window closes, or in its turn; nobody outside ever sees one that is not.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::record::{EventTime, Offset, Slices, StateSchema};

use super::keys::Keys;
use super::schemas::{CONVERTED_AT_ONCE, Schemas};
use super::states::{Group, States};
use super::{ClosedWindow, GroupState, TimeWindows, Window};

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
    /// Of the window.
    pub start: EventTime,
    pub group: &'a [u8],
    pub offset: Offset,
    /// The partition's watermark before the record.
    pub watermark: EventTime,
}

/// Where the rows of a batch go, and the states that are there now: what `accumulate` is given.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// For each row, its place in `states`.
    pub groups: Vec<u32>,
    pub states: Slices,
    /// Where each state lives: window and group of that window.
    places: Vec<(EventTime, u32)>,
    /// Those of `states` that are of the schema before.
    old: Vec<u32>,
}

/// The records of a batch that were folded into one state.
#[derive(Clone, Copy, Debug)]
struct Folded {
    count: u64,
    first: Option<Hold>,
    last: Offset,
}

#[derive(Clone, Debug, Default)]
pub(super) struct OpenWindow {
    pub hold: Option<Hold>,
    pub keys: Keys,
    pub states: States,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    window: Arc<OpenWindow>,
    /// Among these groups are all whose state is of the schema before.
    old: Range<u32>,
}

/// Open windows by their start; groups are found by one look-up a record. Clones share what neither has changed since.
#[derive(Clone, Debug)]
pub struct KeyedWindows {
    time_windows: TimeWindows,
    windows: BTreeMap<EventTime, Entry>,
    schemas: Schemas,
}

impl Slots {
    /// Where the states live: starts of windows, and groups of these.
    pub fn places(&self) -> &[(EventTime, u32)] {
        &self.places
    }
}

impl KeyedWindows {
    pub fn new(time_windows: TimeWindows) -> Self {
        KeyedWindows { time_windows, windows: BTreeMap::new(), schemas: Schemas::default() }
    }

    pub fn time_windows(&self) -> TimeWindows {
        self.time_windows
    }

    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    pub fn groups(&self) -> usize {
        self.windows.values().map(|entry| entry.window.keys.len()).sum()
    }

    /// What they take in memory, about.
    pub fn memory_bytes(&self) -> usize {
        self.windows.values().map(|entry| entry.window.keys.memory_bytes() + entry.window.states.memory_bytes()).sum()
    }

    /// Where the oldest window ends that has not ended by then.
    pub fn oldest_end(&self, watermark: EventTime) -> Option<EventTime> {
        self.windows.keys().map(|start| self.time_windows.starting_at(*start).end).find(|end| *end > watermark)
    }

    /// The oldest record that an open window needs.
    pub fn hold(&self) -> Option<Hold> {
        self.windows.values().fold(None, |oldest, entry| Hold::older(oldest, entry.window.hold))
    }

    /// Whether a group is in the window that starts then, which has so many at most. One that is new is made, where it may be.
    pub fn admit(&mut self, start: EventTime, group: &[u8], groups_max: u32) -> bool {
        let window = &mut self.windows.entry(start).or_default().window;
        if window.keys.contains(group) {
            return true;
        }
        let has_room = window.keys.len() < groups_max as usize;
        if has_room {
            let _ = Arc::make_mut(window).group(group, self.schemas.turn());
        }
        has_room
    }

    /// Finds or makes the group of each row. [`KeyedWindows::convert_slots`] follows.
    pub fn slots<'a>(&mut self, rows: impl Iterator<Item = FoldRow<'a>>, slots: &mut Slots) {
        slots.groups.clear();
        slots.states.clear();
        slots.places.clear();
        slots.old.clear();
        let mut rows = rows.peekable();
        while let Some(row) = rows.peek() {
            let start = row.start;
            let window = Arc::make_mut(&mut self.windows.entry(start).or_default().window);
            // Neighbours are mostly of one window, so the window is looked up once for a run of them.
            while let Some(row) = rows.next_if(|row| row.start == start) {
                let slot = window.slot(row.group, start, self.schemas.turn(), slots);
                slots.groups.push(slot);
            }
        }
    }

    /// Converts those of the slots' states that are of the schema before.
    pub fn convert_slots<E>(
        &self,
        slots: &mut Slots,
        migrate: impl FnOnce(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<(), E> {
        let (Some(before), false) = (self.schemas.before(), slots.old.is_empty()) else { return Ok(()) };
        let old: Slices = slots.old.iter().map(|slot| slots.states.get(*slot as usize)).collect();
        let converted = migrate(before, &old)?;
        let mut converted = slots.old.iter().zip(converted.iter()).peekable();
        let states = (0..)
            .zip(slots.states.iter())
            .map(|(slot, state)| converted.next_if(|(of, _)| **of == slot).map_or(state, |(_, converted)| converted));
        slots.states = states.collect();
        Ok(())
    }

    /// Puts the states back that `accumulate` returned; a rejected row (in `taken`: 0) left no trace.
    pub fn store<'a>(&mut self, rows: impl Iterator<Item = FoldRow<'a>>, taken: &[u8], slots: &Slots, states: &Slices) {
        let mut folded = vec![Folded::NONE; slots.places.len()];
        for ((row, slot), _) in rows.zip(&slots.groups).zip(taken).filter(|(_, taken)| **taken != 0) {
            folded[*slot as usize].add(&row);
        }
        let mut places = (0..).zip(&slots.places).zip(&folded).peekable();
        while let Some(((_, (start, _)), _)) = places.peek() {
            let start = *start;
            let Some(entry) = self.windows.get_mut(&start) else { break };
            let window = Arc::make_mut(&mut entry.window);
            while let Some(((slot, (_, group)), folded)) = places.next_if(|((_, (of, _)), _)| *of == start) {
                window.hold = Hold::older(window.hold, folded.first);
                folded.count_in(window.states.set(*group, self.schemas.turn(), states.get(slot)));
            }
        }
    }

    /// From here on all states are of another schema; those that are there are of `before`, and are converted. All of the schema
    /// before that have been.
    pub fn change_schema(&mut self, before: StateSchema) {
        for entry in self.windows.values_mut() {
            entry.old = 0..entry.window.states.len();
        }
        self.schemas.change(before);
    }

    /// Looks at some more of the groups, and converts their states; whether there are more.
    pub fn convert<E>(
        &mut self,
        groups_max: usize,
        migrate: impl FnOnce(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<bool, E> {
        let Some(before) = self.schemas.before() else { return Ok(false) };
        if let Some(entry) = self.windows.values_mut().find(|entry| !entry.old.is_empty()) {
            entry.convert(groups_max, self.schemas.turn(), |states| migrate(before, states))?;
        }
        let more = self.windows.values().any(|entry| !entry.old.is_empty());
        if !more {
            self.schemas.converted();
        }
        Ok(more)
    }

    /// Takes out the windows that have ended by `watermark`, oldest first.
    pub fn close<E>(
        &mut self,
        watermark: EventTime,
        migrate: impl FnMut(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<Vec<ClosedWindow>, E> {
        self.convert_ended(watermark, migrate)?;
        let mut closed = Vec::new();
        while let Some(entry) = self.windows.first_entry() {
            let window = self.time_windows.starting_at(*entry.key());
            if window.end > watermark {
                break;
            }
            let content = entry.remove().window;
            let groups = (0..content.states.len()).collect();
            closed.push(ClosedWindow::new(window, content, groups));
        }
        Ok(closed)
    }

    /// What the windows that end after `from`, and at `through` at the latest, hold now, oldest first: of groups with a record at
    /// `since` or after it.
    pub fn between<E>(
        &mut self,
        (from, through): (EventTime, EventTime),
        since: Offset,
        migrate: impl FnMut(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<Vec<ClosedWindow>, E> {
        self.convert_ended(through, migrate)?;
        let window = |start: &EventTime| self.time_windows.starting_at(*start);
        let entries = self.windows.iter().map(|(start, entry)| (window(start), entry));
        let wanted = entries.filter(|(window, _)| from < window.end && window.end <= through);
        let copy = |(window, entry): (Window, &Entry)| {
            let changed = |group: &u32| entry.window.states.group(*group).last >= since;
            let groups = (0..entry.window.states.len()).filter(changed).collect();
            ClosedWindow::new(window, entry.window.clone(), groups)
        };
        Ok(wanted.map(copy).filter(|window| !window.is_empty()).collect())
    }

    /// These groups of a window, as they are now: ones that a batch has just changed.
    pub fn pick(&self, start: EventTime, groups: Vec<u32>) -> Option<ClosedWindow> {
        let content = self.windows.get(&start)?.window.clone();
        Some(ClosedWindow::new(self.time_windows.starting_at(start), content, groups)).filter(|one| !one.is_empty())
    }

    /// Whether all states are of one schema, that of the plan.
    pub fn is_converted(&self) -> bool {
        self.schemas.before().is_none()
    }

    /// The open windows as they are, oldest first, each with its groups in the order in which they came.
    pub fn content(&self) -> impl Iterator<Item = (EventTime, Option<Hold>, impl Iterator<Item = GroupState<'_>>)> {
        self.windows.iter().map(|(start, entry)| {
            let window = &*entry.window;
            (*start, window.hold, (0..window.states.len()).map(|position| window.content(position)))
        })
    }

    /// Puts a group back, and with it its window: what [`KeyedWindows::content`] gave.
    pub fn put_back(&mut self, start: EventTime, hold: Option<Hold>, group: &GroupState<'_>) {
        let turn = self.schemas.turn();
        let window = Arc::make_mut(&mut self.windows.entry(start).or_default().window);
        window.hold = hold;
        let position = window.group(group.key, turn);
        let of_group = window.states.set(position, turn, group.state);
        (of_group.count, of_group.first, of_group.last) = (group.count, group.first, group.last);
    }

    fn convert_ended<E>(
        &mut self,
        watermark: EventTime,
        mut migrate: impl FnMut(&StateSchema, &Slices) -> Result<Slices, E>,
    ) -> Result<(), E> {
        let Some(before) = self.schemas.before() else { return Ok(()) };
        for (start, entry) in &mut self.windows {
            while !entry.old.is_empty() && self.time_windows.starting_at(*start).end <= watermark {
                entry.convert(CONVERTED_AT_ONCE, self.schemas.turn(), |states| migrate(before, states))?;
            }
        }
        Ok(())
    }
}

impl Folded {
    const NONE: Folded = Folded { count: 0, first: None, last: Offset(0) };

    fn add(&mut self, row: &FoldRow<'_>) {
        self.first.get_or_insert(Hold { offset: row.offset, watermark: row.watermark });
        self.count += 1;
        self.last = row.offset;
    }

    fn count_in(&self, group: &mut Group) {
        let Some(first) = self.first else { return };
        // Of one batch, the records of a window come in several turns where windows overlap.
        let (oldest, newest) = if group.count == 0 { (first.offset, self.last) } else { (group.first, group.last) };
        group.count += self.count;
        group.first = oldest.min(first.offset);
        group.last = newest.max(self.last);
    }
}

impl Entry {
    /// Looks at the next groups of which some states may be old.
    fn convert<E>(
        &mut self,
        groups_max: usize,
        turn: u32,
        migrate: impl FnOnce(&Slices) -> Result<Slices, E>,
    ) -> Result<(), E> {
        let groups_max = u32::try_from(groups_max).unwrap_or(u32::MAX);
        let end = self.old.end.min(self.old.start.saturating_add(groups_max));
        let states = &self.window.states;
        let old: Vec<u32> = (self.old.start..end).filter(|group| states.is_old(*group, turn)).collect();
        if !old.is_empty() {
            let converted = migrate(&old.iter().map(|group| states.get(*group)).collect())?;
            let window = Arc::make_mut(&mut self.window);
            for (group, state) in old.iter().zip(converted.iter()) {
                window.states.set(*group, turn, state);
            }
        }
        self.old.start = end;
        Ok(())
    }
}

impl OpenWindow {
    fn group(&mut self, key: &[u8], turn: u32) -> u32 {
        let group = self.keys.position(key);
        if group == self.states.len() {
            self.states.push(turn);
        }
        group
    }

    pub fn content(&self, position: u32) -> GroupState<'_> {
        let group = self.states.group(position);
        let (key, state) = (self.keys.get(position), self.states.get(position));
        GroupState { key, state, count: group.count, first: group.first, last: group.last }
    }

    fn slot(&mut self, key: &[u8], start: EventTime, turn: u32, slots: &mut Slots) -> u32 {
        let group = self.group(key, turn);
        let slot = self.states.group(group).slot;
        // A number that another batch left, or a clone, does not lead back here.
        if slots.places.get(slot as usize) == Some(&(start, group)) {
            return slot;
        }
        let slot = slots.places.len() as u32;
        slots.places.push((start, group));
        slots.states.push(self.states.get(group));
        if self.states.is_old(group, turn) {
            slots.old.push(slot);
        }
        self.states.group_mut(group).slot = slot;
        slot
    }
}

#[cfg(test)]
mod tests;
