//! The keys of groups, each with a position that it keeps: found by one look-up, never changed, and shared by clones.

mod index;

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use index::Index;

/// So many keys lie together. What is added to a clone copies as many at most, beside a shard of the index.
const CHUNK_KEYS: usize = 64;

/// Keys by position, and positions by key. A clone shares all of it, but for what is added to either afterwards.
#[derive(Clone, Default, Debug)]
pub(crate) struct Keys {
    len: u32,
    /// Of all keys end to end.
    bytes: usize,
    chunks: Vec<Arc<Chunk>>,
    index: Index,
    hasher: DefaultHashBuilder,
}

/// Keys end to end.
#[derive(Clone, Debug)]
struct Chunk {
    ends: [u32; CHUNK_KEYS],
    bytes: Vec<u8>,
}

impl Keys {
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// What they take in memory, about.
    pub fn memory_bytes(&self) -> usize {
        self.bytes + self.len() * (size_of::<u32>() + index::ENTRY_BYTES)
    }

    /// The key at a position that was given out.
    pub fn get(&self, position: u32) -> &[u8] {
        let (chunk, place) = (&*self.chunks[position as usize / CHUNK_KEYS], position as usize % CHUNK_KEYS);
        let start = if place == 0 { 0 } else { chunk.ends[place - 1] };
        &chunk.bytes[start as usize..chunk.ends[place] as usize]
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        self.index.find(self.hash(key), |position| self.get(position) == key).is_some()
    }

    /// The position of a key, which is the next one where the key is new.
    pub fn position(&mut self, key: &[u8]) -> u32 {
        let hash = self.hash(key);
        if let Some(position) = self.index.find(hash, |position| self.get(position) == key) {
            return position;
        }
        let position = self.len;
        self.append(key);
        self.index.insert(hash, position);
        position
    }

    /// All positions, in the order of their keys.
    pub fn in_order(&self) -> Vec<u32> {
        let mut keys: Vec<(&[u8], u32)> = (0..self.len).map(|position| (self.get(position), position)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, position)| position).collect()
    }

    fn append(&mut self, key: &[u8]) {
        let place = self.len as usize % CHUNK_KEYS;
        if place == 0 {
            self.chunks.push(Arc::new(Chunk { ends: [0; CHUNK_KEYS], bytes: Vec::new() }));
        }
        let chunk = Arc::make_mut(self.chunks.last_mut().expect("one was pushed for the first key of it"));
        chunk.bytes.extend_from_slice(key);
        self.bytes += key.len();
        chunk.ends[place] = u32::try_from(chunk.bytes.len()).expect("a key is no longer than its record");
        if place + 1 == CHUNK_KEYS {
            chunk.bytes.shrink_to_fit();
        }
        self.len = self.len.checked_add(1).expect("memory ends before positions do");
    }

    /// Bits that depend on all of the key.
    fn hash(&self, key: &[u8]) -> u32 {
        (self.hasher.hash_one(key).wrapping_mul(index::SPREAD) >> 32) as u32
    }

    /// How many chunks and shards are not shared with `other`: what the two cost beside each other.
    #[cfg(test)]
    pub fn unshared(&self, other: &Keys) -> usize {
        let chunks = self.chunks.iter().zip(&other.chunks).filter(|(one, other)| !Arc::ptr_eq(one, other)).count();
        chunks + self.chunks.len().abs_diff(other.chunks.len()) + self.index.unshared(&other.index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(keys: &Keys, key: &[u8]) -> Option<u32> {
        keys.index.find(keys.hash(key), |position| keys.get(position) == key)
    }

    #[test]
    fn many_keys_are_found_again_and_a_clone_knows_only_its_own() {
        let name = |number: u32| number.to_string().into_bytes();
        let (mut keys, mut clones) = (Keys::default(), Vec::new());
        for number in 0..20_000 {
            if number % 1777 == 0 {
                clones.push((number, keys.clone()));
            }
            assert_eq!(keys.position(&name(number)), number);
        }
        clones.push((20_000, keys));
        for (len, keys) in &clones {
            assert_eq!(keys.len(), *len as usize);
            for number in (0..20_000).step_by(7) {
                assert_eq!(find(keys, &name(number)), (number < *len).then_some(number), "of {len}");
            }
        }
    }

    #[test]
    fn a_key_that_is_added_to_a_clone_copies_a_chunk_and_a_shard() {
        let mut keys = Keys::default();
        (0..100_000_u32).for_each(|number| _ = keys.position(&number.to_le_bytes()));
        let mut clone = keys.clone();
        clone.position(b"another");
        assert!(clone.unshared(&keys) <= 3, "{} are not shared", clone.unshared(&keys));
    }

    proptest! {
        #[test]
        fn keys_are_in_order(names in prop::collection::vec(prop::collection::vec(0..4_u8, 0..6), 0..300)) {
            let mut keys = Keys::default();
            names.iter().for_each(|name| _ = keys.position(name));
            let found: Vec<&[u8]> = keys.in_order().into_iter().map(|position| keys.get(position)).collect();
            let wanted: std::collections::BTreeSet<&[u8]> = names.iter().map(|name| &name[..]).collect();
            prop_assert_eq!(found, wanted.into_iter().collect::<Vec<_>>());
        }
    }
}
