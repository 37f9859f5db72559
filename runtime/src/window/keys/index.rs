//! Positions by the hash of their key, in shards that split when they are full: neither a clone nor an insertion ever copies
//! or moves more than one of them.

use std::sync::Arc;

use hashbrown::HashTable;

/// A shard splits at so many entries: as many as a table of 512 buckets takes before it grows.
const SHARD_ENTRIES_MAX: usize = 448;

/// Keys of one hash cannot be split: the directory grows only while its shards are at least so full in the mean.
const SHARD_ENTRIES_MEAN: usize = SHARD_ENTRIES_MAX / 8;

/// What an entry takes, with the places that are free: a table is half full at the least.
pub(super) const ENTRY_BYTES: usize = 2 * (size_of::<Entry>() + 1);

/// An odd number whose bits look like chance: multiplied by it, all bits of a hash reach the upper ones.
pub(super) const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    position: u32,
}

#[derive(Clone, Default, Debug)]
struct Shard {
    /// Its entries have so many first bits of their hash in common.
    bits: u32,
    table: HashTable<Entry>,
}

/// Extendible hashing: the first bits of a hash are a place in the directory, which names the shard. A shard with fewer bits than
/// the directory is named by several places, which follow each other.
#[derive(Clone, Debug)]
pub(super) struct Index {
    bits: u32,
    directory: Vec<u32>,
    shards: Vec<Arc<Shard>>,
    entries: usize,
}

impl Default for Index {
    fn default() -> Self {
        Index { bits: 0, directory: vec![0], shards: vec![Arc::default()], entries: 0 }
    }
}

impl Index {
    #[inline]
    pub fn find(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let table = &self.shards[self.shard_of(hash)].table;
        table.find(in_table(hash), |entry| entry.hash == hash && is(entry.position)).map(|entry| entry.position)
    }

    /// Adds a position that is not there.
    pub fn insert(&mut self, hash: u32, position: u32) {
        if self.shards[self.shard_of(hash)].table.len() >= SHARD_ENTRIES_MAX {
            self.split(self.shard_of(hash), hash);
        }
        let shard = self.shard_of(hash);
        Arc::make_mut(&mut self.shards[shard]).add(Entry { hash, position });
        self.entries += 1;
    }

    fn shard_of(&self, hash: u32) -> usize {
        self.directory[first_bits(hash, self.bits)] as usize
    }

    /// Moves the upper half of a shard's hashes, of which this is one or a neighbour, to a shard of their own.
    fn split(&mut self, shard: usize, hash: u32) {
        let bits = self.shards[shard].bits + 1;
        if bits > self.bits {
            if self.entries < self.directory.len() * SHARD_ENTRIES_MEAN {
                return;
            }
            self.directory = self.directory.iter().flat_map(|shard| [*shard, *shard]).collect();
            self.bits = bits;
        }
        let (mut lower, mut upper) = (Shard { bits, ..Shard::default() }, Shard { bits, ..Shard::default() });
        for entry in &self.shards[shard].table {
            if first_bits(entry.hash, bits).is_multiple_of(2) { &mut lower } else { &mut upper }.add(*entry);
        }
        let half = 1 << (self.bits - bits);
        let upper_begins = (first_bits(hash, bits) | 1) * half;
        let new = u32::try_from(self.shards.len()).expect("there are fewer shards than positions");
        self.directory[upper_begins..upper_begins + half].fill(new);
        self.shards[shard] = Arc::new(lower);
        self.shards.push(Arc::new(upper));
    }

    #[cfg(test)]
    pub fn unshared(&self, other: &Index) -> usize {
        let shards = self.shards.iter().zip(&other.shards).filter(|(one, other)| !Arc::ptr_eq(one, other)).count();
        shards + self.shards.len().abs_diff(other.shards.len())
    }
}

impl Shard {
    fn add(&mut self, entry: Entry) {
        self.table.insert_unique(in_table(entry.hash), entry, |entry| in_table(entry.hash));
    }
}

fn first_bits(hash: u32, bits: u32) -> usize {
    // A shift by all bits of the hash is none in 64 of them.
    (u64::from(hash) >> (u32::BITS - bits)) as usize
}

/// The table takes the last bits for a place and the first ones to tell its neighbours apart; those of a shard are the same.
fn in_table(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(SPREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_hash_do_not_make_the_directory_grow() {
        let mut index = Index::default();
        (0..5000).for_each(|position| index.insert(7, position));
        assert!((0..5000).all(|wanted| index.find(7, |position| position == wanted).is_some()));
        assert!(index.directory.len() <= 2 * 5000 / SHARD_ENTRIES_MEAN, "{}", index.directory.len());
    }

    #[test]
    fn no_shard_of_many_hashes_is_large() {
        let mut index = Index::default();
        let hash = |position: u32| (u64::from(position + 1).wrapping_mul(SPREAD) >> 32) as u32;
        (0..100_000).for_each(|position| index.insert(hash(position), position));
        assert!((0..100_000).all(|wanted| index.find(hash(wanted), |position| position == wanted).is_some()));
        assert!(index.shards.iter().all(|shard| shard.table.len() <= SHARD_ENTRIES_MAX));
    }
}
