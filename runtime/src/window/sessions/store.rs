//! Open sessions by their group, found by when they end, by when they are to be announced, and by the record that they need. Clones
//! share what neither has changed since.

use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::record::{EventTime, Offset};
use crate::window::{Hold, Window};

use super::extents::Bases;

/// An open session, without its group.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub window: Window,
    pub count: u64,
    pub first: Offset,
    pub last: Offset,
    pub hold: Hold,
    /// Until when it lasted when it was announced; none where something of it was not.
    pub announced: Option<EventTime>,
    pub state: Arc<[u8]>,
    /// Which of the schemas that followed each other the state is of.
    pub turn: u32,
}

/// A group's sessions in the order of their starts, and where the indexes have it: none of its sessions is to be found earlier.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub sessions: Vec<Session>,
    end: EventTime,
    due: EventTime,
}

type Times = RedBlackTreeSetSync<(EventTime, Arc<[u8]>)>;

#[derive(Clone, Debug)]
pub(super) struct Store {
    pub groups: HashTrieMapSync<Arc<[u8]>, Group, DefaultHashBuilder>,
    pub by_end: Times,
    pub by_due: Times,
    holds: RedBlackTreeMapSync<Offset, (EventTime, u32)>,
    pub sessions: usize,
    /// Of states and keys, about: those that a schema makes longer are not counted anew.
    bytes: usize,
}

/// What a session takes beside its key and its state: its place among its group's, and its nodes in the indexes.
const SESSION_BYTES: usize = size_of::<Session>() + size_of::<Group>() + 4 * NODE_BYTES;
/// Of a persistent tree.
const NODE_BYTES: usize = 64;

impl Store {
    pub fn new() -> Self {
        Store {
            groups: HashTrieMapSync::new_with_hasher_and_ptr_kind(DefaultHashBuilder::default()),
            by_end: Times::new_sync(),
            by_due: Times::new_sync(),
            holds: RedBlackTreeMapSync::new_sync(),
            sessions: 0,
            bytes: 0,
        }
    }

    /// What they take in memory, about.
    pub fn memory_bytes(&self) -> usize {
        self.bytes + self.sessions * SESSION_BYTES
    }

    pub fn hold(&self) -> Option<Hold> {
        self.holds.first().map(|(offset, (watermark, _))| Hold { offset: *offset, watermark: *watermark })
    }

    pub fn sessions_of(&self, key: &[u8]) -> &[Session] {
        self.groups.get(key).map(|group| &*group.sessions).unwrap_or_default()
    }

    pub fn session(&self, key: &[u8], start: EventTime) -> Option<&Session> {
        let sessions = self.sessions_of(key);
        sessions.binary_search_by_key(&start, |session| session.window.start).ok().map(|place| &sessions[place])
    }

    pub fn session_mut(&mut self, key: &[u8], start: EventTime) -> Option<&mut Session> {
        let sessions = &mut self.groups.get_mut(key)?.sessions;
        let place = sessions.binary_search_by_key(&start, |session| session.window.start).ok()?;
        Some(&mut sessions[place])
    }

    /// The groups that an index has by then, each once.
    pub fn found(times: &Times, through: EventTime) -> Vec<Arc<[u8]>> {
        times.iter().take_while(|(time, _)| *time <= through).map(|(_, key)| key.clone()).collect()
    }

    /// Where the oldest session ends. The index says no more than where it does not end yet.
    pub fn oldest_end(&self) -> Option<EventTime> {
        let mut oldest: Option<EventTime> = None;
        for (bound, key) in self.by_end.iter() {
            if oldest.is_some_and(|oldest| oldest <= *bound) {
                break;
            }
            let ends = self.sessions_of(key).iter().map(|session| session.window.end);
            oldest = oldest.into_iter().chain(ends).min();
        }
        oldest
    }

    /// Puts in a session that goes on from `bases`, which it takes in.
    pub fn put(&mut self, key: &[u8], bases: Bases, mut session: Session) {
        self.bytes += key.len() + session.state.len();
        let Some(group) = self.groups.get_mut(key) else {
            let key: Arc<[u8]> = key.into();
            let (end, due) = (session.window.end, session.due());
            self.by_end.insert_mut((end, key.clone()));
            self.by_due.insert_mut((due, key.clone()));
            self.note(None, Some(session.hold));
            self.groups.insert_mut(key, Group { sessions: vec![session], end, due });
            self.sessions += 1;
            return;
        };
        let mut taken_in: Vec<Hold> = Vec::new();
        let mut announced: Option<Option<EventTime>> = None;
        for start in bases.into_iter().flatten() {
            if let Ok(place) = group.sessions.binary_search_by_key(&start, |session| session.window.start) {
                let base = group.sessions.remove(place);
                self.bytes = self.bytes.saturating_sub(key.len() + base.state.len());
                session.take_in(&base);
                announced = Some(announced.map_or(base.announced, |announced| announced.min(base.announced)));
                taken_in.push(base.hold);
            }
        }
        session.announced = announced.unwrap_or(session.announced);
        let (hold, end, due) = (session.hold, session.window.end, session.due());
        let place = group.sessions.partition_point(|other| other.window.start < session.window.start);
        group.sessions.insert(place, session);
        let (sooner_end, sooner_due) = (end < group.end, due < group.due);
        self.sessions = self.sessions + 1 - taken_in.len();
        let kept = taken_in.iter().position(|base| base.offset == hold.offset).map(|place| taken_in.swap_remove(place));
        if kept.is_none() {
            self.note(None, Some(hold));
        }
        taken_in.into_iter().for_each(|base| self.note(Some(base), None));
        if sooner_end || sooner_due {
            self.reindex(key);
        }
    }

    /// Takes out the sessions that ended by then.
    pub fn take_ended(&mut self, key: &[u8], watermark: EventTime) -> Vec<Session> {
        let Some(group) = self.groups.get_mut(key) else { return Vec::new() };
        let ended: Vec<Session> = group.sessions.extract_if(.., |one| one.window.end <= watermark).collect();
        self.sessions -= ended.len();
        let bytes: usize = ended.iter().map(|session| key.len() + session.state.len()).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        ended.iter().for_each(|session| self.note(Some(session.hold), None));
        self.reindex(key);
        ended
    }

    /// Has the indexes find a group exactly where it is now; one without sessions is gone.
    pub fn reindex(&mut self, key: &[u8]) {
        let Some(key) = self.groups.get_key_value(key).map(|(key, _)| key.clone()) else { return };
        let Some(group) = self.groups.get_mut(&*key) else { return };
        let before = (group.end, group.due);
        let end = group.sessions.iter().map(|session| session.window.end).min();
        let due = group.sessions.iter().map(Session::due).min();
        let (Some(end), Some(due)) = (end, due) else {
            self.by_end.remove_mut(&(before.0, key.clone()));
            self.by_due.remove_mut(&(before.1, key.clone()));
            self.groups.remove_mut(&*key);
            return;
        };
        (group.end, group.due) = (end, due);
        for (times, before, now) in [(&mut self.by_end, before.0, end), (&mut self.by_due, before.1, due)] {
            if before != now {
                times.remove_mut(&(before, key.clone()));
                times.insert_mut((now, key.clone()));
            }
        }
    }

    /// One session less that needs this record, or one more that needs that one.
    fn note(&mut self, less: Option<Hold>, more: Option<Hold>) {
        if let Some(hold) = less {
            match self.holds.get(&hold.offset).copied() {
                Some((watermark, count)) if count > 1 => self.holds.insert_mut(hold.offset, (watermark, count - 1)),
                Some(_) | None => _ = self.holds.remove_mut(&hold.offset),
            }
        }
        if let Some(hold) = more {
            let count = self.holds.get(&hold.offset).map_or(0, |(_, count)| *count);
            self.holds.insert_mut(hold.offset, (hold.watermark, count + 1));
        }
    }
}

impl Session {
    /// By which watermark it is to be announced: one that has passed its start, or reached what was announced.
    pub fn due(&self) -> EventTime {
        let after_start = EventTime::from_micros(self.window.start.micros().saturating_add(1));
        self.announced.unwrap_or(after_start)
    }

    /// Whether the state is of an earlier turn: none is the same in every schema.
    pub fn is_old(&self, turn: u32) -> bool {
        self.turn != turn && !self.state.is_empty()
    }

    fn take_in(&mut self, base: &Session) {
        self.window = self.window.with(base.window);
        self.count += base.count;
        self.first = self.first.min(base.first);
        self.last = self.last.max(base.last);
        if base.hold.offset <= self.hold.offset {
            self.hold = base.hold;
        }
    }
}
