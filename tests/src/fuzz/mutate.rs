//! Inputs made of other inputs, by a seed.

use fastrand::Rng;

use crate::puppet::{IMAGE, ZEROS};

/// Numbers at which something ends.
const BORDERS: [u32; 10] = [0, 1, 2, 7, 0x7f, 0x80, 0xffff, 0x7fff_ffff, 0xffff_fff8, u32::MAX];

pub struct Mutator {
    rng: Rng,
    seeds: Vec<Vec<u8>>,
}

impl Mutator {
    pub fn new(seed: u64, seeds: Vec<Vec<u8>>) -> Self {
        Mutator { rng: Rng::with_seed(seed), seeds }
    }

    /// One of the seeds, damaged in a few places.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut bytes = self.seed().to_vec();
        for _ in 0..=self.rng.usize(0..4) {
            self.damage(&mut bytes);
        }
        bytes
    }

    fn seed(&mut self) -> &[u8] {
        let at = self.rng.usize(0..self.seeds.len());
        &self.seeds[at]
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return bytes.push(self.rng.u8(..));
        }
        let at = self.rng.usize(0..bytes.len());
        match self.rng.u8(0..8) {
            0 => bytes[at] ^= 1 << self.rng.u8(0..8),
            1 => bytes[at] = self.rng.u8(..),
            2 => bytes.truncate(at),
            3 => {
                let end = bytes.len().min(at + self.rng.usize(1..16));
                bytes.drain(at..end);
            }
            4 => {
                let more: Vec<u8> = (0..self.rng.usize(1..16)).map(|_| self.rng.u8(..)).collect();
                bytes.splice(at..at, more);
            }
            5 => {
                let other = self.seed().to_vec();
                let from = self.rng.usize(0..other.len().max(1)).min(other.len());
                let end = other.len().min(from + self.rng.usize(1..64));
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            // Words of 32 bits, where an answer has them: three bytes come before.
            _ => {
                let at = (at & !3) + 3;
                let word = self.word();
                if let Some(place) = bytes.get_mut(at..at + 4) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
            }
        }
    }

    /// A number that may be a length, or an address.
    fn word(&mut self) -> u32 {
        match self.rng.u8(0..4) {
            0 => self.rng.u32(0..16),
            1 => IMAGE + 8 + self.rng.u32(0..512),
            2 => ZEROS + self.rng.u32(0..16),
            _ => BORDERS[self.rng.usize(0..BORDERS.len())],
        }
    }
}
