//! The states of the groups of a window by position, in chunks: a clone shares them, and copies only those that it changes.

use std::sync::Arc;

use crate::record::Offset;

/// So many states lie together. A batch that changes one state of a clone copies all of these.
const CHUNK_STATES: usize = 16;

/// A larger state lies by itself, so that a chunk is never large.
const NEAR_BYTES_MAX: usize = 256;

/// So many bytes of a chunk may be of no use before it is packed, or half of what is of use.
const WASTE_BYTES_MIN: usize = 256;

/// The states by position. They are added one after the other.
#[derive(Clone, Default, Debug)]
pub(super) struct States {
    chunks: Vec<Arc<Chunk>>,
    len: u32,
    /// Of all states end to end.
    bytes: usize,
}

#[derive(Default, Debug)]
struct Chunk {
    groups: Vec<Group>,
    bytes: Vec<u8>,
    /// Of the bytes, those of a state.
    used: usize,
}

/// What is kept of a group beside its key.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// How many records are in it.
    pub count: u64,
    pub first: Offset,
    pub last: Offset,
    state: State,
    /// The place in a batch's slots that it had last; whether that is this batch, the slots tell.
    pub slot: u32,
    /// Which of the schemas that followed each other the state is of.
    pub turn: u32,
}

#[derive(Clone, Debug)]
enum State {
    Near { start: u32, len: u32 },
    Far(Arc<[u8]>),
}

impl States {
    pub fn len(&self) -> u32 {
        self.len
    }

    /// What they take in memory, about.
    pub fn memory_bytes(&self) -> usize {
        self.bytes + self.len as usize * size_of::<Group>()
    }

    /// Adds the state of a new group, which has none.
    pub fn push(&mut self, turn: u32) {
        if place_of(self.len) == 0 {
            self.chunks.push(Arc::default());
        }
        let chunk = Arc::make_mut(self.chunks.last_mut().expect("one was pushed for the first state of it"));
        let state = State::Near { start: 0, len: 0 };
        chunk.groups.push(Group { count: 0, first: Offset(0), last: Offset(0), state, slot: u32::MAX, turn });
        self.len += 1;
    }

    #[inline]
    pub fn group(&self, position: u32) -> &Group {
        &self.chunks[chunk_of(position)].groups[place_of(position)]
    }

    pub fn group_mut(&mut self, position: u32) -> &mut Group {
        &mut self.chunk_mut(position).groups[place_of(position)]
    }

    pub fn get(&self, position: u32) -> &[u8] {
        self.chunks[chunk_of(position)].get(place_of(position))
    }

    /// Another state in the place of one; its group.
    pub fn set(&mut self, position: u32, turn: u32, state: &[u8]) -> &mut Group {
        self.bytes = self.bytes + state.len() - self.get(position).len();
        let chunk = self.chunk_mut(position);
        chunk.set(place_of(position), state);
        let group = &mut chunk.groups[place_of(position)];
        group.turn = turn;
        group
    }

    /// Whether there is a state that is of an earlier turn: none is the same in every schema.
    #[inline]
    pub fn is_old(&self, position: u32, turn: u32) -> bool {
        self.group(position).turn != turn && !self.get(position).is_empty()
    }

    fn chunk_mut(&mut self, position: u32) -> &mut Chunk {
        Arc::make_mut(&mut self.chunks[chunk_of(position)])
    }

    /// How many chunks are not shared with `other`.
    #[cfg(test)]
    pub fn unshared(&self, other: &States) -> usize {
        let chunks = self.chunks.iter().zip(&other.chunks).filter(|(one, other)| !Arc::ptr_eq(one, other)).count();
        chunks + self.chunks.len().abs_diff(other.chunks.len())
    }
}

fn chunk_of(position: u32) -> usize {
    position as usize / CHUNK_STATES
}

fn place_of(position: u32) -> usize {
    position as usize % CHUNK_STATES
}

impl Chunk {
    fn get(&self, place: usize) -> &[u8] {
        match &self.groups[place].state {
            State::Near { start, len } => &self.bytes[*start as usize..][..*len as usize],
            State::Far(state) => state,
        }
    }

    fn set(&mut self, place: usize, bytes: &[u8]) {
        match &mut self.groups[place].state {
            State::Near { start, len } if bytes.len() <= *len as usize => {
                self.bytes[*start as usize..][..bytes.len()].copy_from_slice(bytes);
                self.used -= *len as usize - bytes.len();
                *len = bytes.len() as u32;
                return;
            }
            State::Near { len, .. } => {
                self.used -= *len as usize;
                *len = 0;
            }
            State::Far(state) => match Arc::get_mut(state) {
                Some(state) if state.len() == bytes.len() => return state.copy_from_slice(bytes),
                Some(_) | None => {}
            },
        }
        if bytes.len() > NEAR_BYTES_MAX {
            self.groups[place].state = State::Far(bytes.into());
            return;
        }
        let waste = self.bytes.len() - self.used;
        if waste > WASTE_BYTES_MIN.max(self.used / 2) {
            *self = self.clone();
        }
        // A chunk's states are few and small, so their bytes are.
        self.groups[place].state = State::Near { start: self.bytes.len() as u32, len: bytes.len() as u32 };
        self.bytes.extend_from_slice(bytes);
        self.used += bytes.len();
    }
}

impl Clone for Chunk {
    /// Without the bytes that are of no use.
    fn clone(&self) -> Self {
        let (mut groups, mut bytes) = (self.groups.clone(), Vec::with_capacity(self.used));
        for group in &mut groups {
            if let State::Near { start, len } = &mut group.state {
                let begins = bytes.len() as u32;
                bytes.extend_from_slice(&self.bytes[*start as usize..][..*len as usize]);
                *start = begins;
            }
        }
        Chunk { groups, bytes, used: self.used }
    }
}
