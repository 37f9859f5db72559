//! The rows of one turn, the sessions that they go into, and the states that are there now. Nothing of it is stored yet.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use crate::record::{Offset, Slices};
use crate::window::{Hold, SessionWindows, Window};

use super::SessionRow;
use super::extents::{Bases, Extent, Place, bases_at, is_untouched, place_of, put};

/// What `accumulate` is given, and which rows wait for another turn.
#[derive(Clone, Debug, Default)]
pub struct SessionSlots {
    /// The rows of the turn.
    pub rows: Vec<u32>,
    /// For each of them, its place in `states`.
    pub groups: Vec<u32>,
    pub states: Slices,
    /// The rows of the next turn, in their order.
    pub later: Vec<u32>,
    pub(super) places: Vec<SlotPlace>,
    /// States that are merged into others of `states` before.
    pub(super) rights: Slices,
    pub(super) bridges: Vec<Bridge>,
    /// Those of `states` and of `rights` that are of the schema before.
    pub(super) old: Vec<u32>,
    pub(super) old_rights: Vec<u32>,
    pub(super) turn: TurnGroups,
}

/// Where a state belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotPlace {
    pub group: u32,
    pub bases: Bases,
    pub folded: Option<Folded>,
    /// The row, by its place in the turn, that connects two sessions which cannot be merged: no other one goes on from what they gave.
    pub broken: Option<u32>,
}

/// Two sessions that the row at this place of the turn connects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bridge {
    pub slot: u32,
    pub row: u32,
}

/// The rows that were folded into one state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folded {
    pub window: Window,
    pub count: u64,
    pub hold: Hold,
    pub last: Offset,
}

/// The groups of a turn by their key, each with its sessions as they would be.
#[derive(Clone, Debug, Default)]
pub(super) struct TurnGroups {
    hasher: DefaultHashBuilder,
    table: HashTable<u32>,
    pub keys: Slices,
    /// At least as many as keys: lists are used again.
    pub lists: Vec<Vec<Extent>>,
    /// Whether rows of the group wait, and with them all that follow.
    pub waits: Vec<bool>,
}

impl SessionSlots {
    /// Whether a row waits for another turn: what was said of it does not count.
    pub fn is_later(&self, row: u32) -> bool {
        self.later.binary_search(&row).is_ok()
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.groups.clear();
        self.states.clear();
        self.later.clear();
        self.places.clear();
        self.rights.clear();
        self.bridges.clear();
        self.old.clear();
        self.old_rights.clear();
        self.turn.clear();
    }

    /// Gathers what was folded into each state, and puts off the groups of which a row went elsewhere without the rejected ones.
    pub(super) fn gather<'a>(
        &mut self,
        windows: SessionWindows,
        row_of: impl Fn(u32) -> SessionRow<'a>,
        taken: &[u8],
        fill: impl FnMut(&[u8], &mut Vec<Extent>),
    ) {
        let sound_rows = match taken.contains(&0) {
            true => self.sound_rows(windows, &row_of, taken, fill),
            false => vec![u32::MAX; self.turn.keys.len()],
        };
        for (at, ((row, slot), taken)) in (0..).zip(self.rows.iter().zip(&self.groups).zip(taken)) {
            let place = &mut self.places[*slot as usize];
            let sound = sound_rows[place.group as usize];
            match (sound == u32::MAX, *taken != 0) {
                (true, true) => Folded::add(&mut place.folded, windows, &row_of(*row)),
                (false, taken) if taken || at >= sound => self.later.push(*row),
                (true | false, _) => {}
            }
        }
        self.later.sort_unstable();
    }

    /// For each group the first row that was put where it does not belong without the rejected ones before it. It is found by
    /// putting the rows of such groups a second time.
    fn sound_rows<'a>(
        &mut self,
        windows: SessionWindows,
        row_of: impl Fn(u32) -> SessionRow<'a>,
        taken: &[u8],
        mut fill: impl FnMut(&[u8], &mut Vec<Extent>),
    ) -> Vec<u32> {
        let turn = &mut self.turn;
        let mut suspect = vec![false; turn.keys.len()];
        let mut used = vec![false; self.places.len()];
        for (slot, _) in self.groups.iter().zip(taken).filter(|(_, taken)| **taken == 0) {
            let group = self.places[*slot as usize].group as usize;
            if !std::mem::replace(&mut suspect[group], true) {
                turn.lists[group].clear();
                fill(turn.keys.get(group), &mut turn.lists[group]);
            }
        }
        let mut sound_rows = vec![u32::MAX; turn.keys.len()];
        for (at, ((row, slot), taken)) in (0..).zip(self.rows.iter().zip(&self.groups).zip(taken)) {
            let SlotPlace { group, bases, broken, .. } = self.places[*slot as usize];
            let group = group as usize;
            if !suspect[group] || sound_rows[group] != u32::MAX {
                continue;
            }
            let (list, time) = (&mut turn.lists[group], row_of(*row).time);
            let place = place_of(windows, list, time);
            let was_there = matches!(place, Place::Joins(place) if list[place].slot == Some(*slot));
            let is_first = is_untouched(list, place) && bases_at(list, place) == bases && !used[*slot as usize];
            let follows_broken = broken.is_some_and(|row| row != at);
            match (was_there || is_first) && !follows_broken {
                false => sound_rows[group] = at,
                true if *taken != 0 => {
                    put(windows, list, place, time, *slot);
                    used[*slot as usize] = true;
                }
                true => {}
            }
        }
        sound_rows
    }
}

impl Folded {
    fn add(folded: &mut Option<Folded>, windows: SessionWindows, row: &SessionRow<'_>) {
        let window = windows.of(row.time);
        let hold = Hold { offset: row.offset, watermark: row.watermark };
        let folded = folded.get_or_insert(Folded { window, count: 0, hold, last: row.offset });
        folded.window = folded.window.with(window);
        folded.count += 1;
        folded.last = row.offset;
    }
}

impl TurnGroups {
    fn clear(&mut self) {
        self.table.clear();
        self.keys.clear();
        self.waits.clear();
    }

    /// Finds a group, or makes it and fills in its sessions.
    pub fn group(&mut self, key: &[u8], fill: impl FnOnce(&mut Vec<Extent>)) -> usize {
        let TurnGroups { hasher, table, keys, lists, waits } = self;
        let hash = hasher.hash_one(key);
        if let Some(group) = table.find(hash, |group| keys.get(*group as usize) == key) {
            return *group as usize;
        }
        let group = keys.len();
        keys.push(key);
        waits.push(false);
        if lists.len() == group {
            lists.push(Vec::new());
        }
        lists[group].clear();
        fill(&mut lists[group]);
        table.insert_unique(hash, group as u32, |group| hasher.hash_one(keys.get(*group as usize)));
        group
    }
}
