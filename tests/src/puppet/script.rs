//! What a puppet is told to do.

use super::{IMAGE, Image};

/// The numbers are those that `puppet.wat` knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Deed {
    /// Answers what the script has.
    Answer = 0,
    Trap = 1,
    Spin = 2,
    Recurse = 3,
    /// Takes memory for ever.
    Hoard = 4,
    /// Reads where it has no memory.
    ReadBeyond = 5,
    /// Logs for ever.
    Chatter = 6,
    /// Logs a message of two megabytes, and then answers as usual.
    Shout = 7,
    /// Takes a page of memory that it never gives back, and then answers as usual.
    Leak = 8,
    /// Answers as usual, but what it allocates from now on is so far from where it says.
    LieAboutAllocations = 9,
    /// Logs an error, then traps.
    LastWords = 10,
    /// Calls the log with a level that there is not.
    BadLevel = 11,
    /// Calls the log with a message that is not in its memory.
    BadMessage = 12,
    /// Calls itself some times, then spins at one of [`SITES`] sites.
    SpinAt = 13,
    /// The same, and traps.
    TrapAt = 14,
    /// Turns a loop so often, then answers as usual.
    Toil = 15,
}

/// Where a puppet can spin, or trap.
pub const SITES: u32 = 32;
/// How deep it can call itself before that.
const DEPTHS: u32 = 16;

/// The function that a script is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum When {
    /// The one that gets the record.
    Here = 0,
    /// Those that get the state of the record's group.
    Merge = 1,
    Emit = 2,
    Migrate = 3,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    deed: Deed,
    when: When,
    answer: u32,
    image: Vec<u8>,
}

impl Script {
    pub fn does(deed: Deed) -> Self {
        Script { deed, when: When::Here, answer: 0, image: Vec::new() }
    }

    /// Lies by so much.
    pub fn lies(by: u32) -> Self {
        Script { answer: by, ..Script::does(Deed::LieAboutAllocations) }
    }

    /// Spins, or traps, with another stack for each number below `SITES * 16`.
    pub fn at_site(deed: Deed, number: u32) -> Self {
        let (site, depth) = (number % SITES, number / SITES % DEPTHS);
        Script { answer: site * DEPTHS + depth, ..Script::does(deed) }
    }

    /// Takes so many turns of a loop.
    pub fn toils(turns: u32) -> Self {
        Script { answer: turns, ..Script::does(Deed::Toil) }
    }

    /// Answers what `put` puts into memory; it says where.
    pub fn answers(put: impl FnOnce(&mut Image) -> u32) -> Self {
        let mut image = Image::at(IMAGE + 8);
        let answer = put(&mut image);
        Script { answer, image: image.as_bytes().to_vec(), ..Script::does(Deed::Answer) }
    }

    /// Answers these bytes of memory, the first of which is at the address that is answered.
    pub fn raw(image: &[u8]) -> Self {
        Script { answer: IMAGE + 8, image: image.to_vec(), ..Script::does(Deed::Answer) }
    }

    /// The answer begins so many bytes later.
    pub fn answered_after(self, bytes: u32) -> Self {
        let answer = self.answer.wrapping_add(bytes);
        Script { answer, ..self }
    }

    /// After how many bytes of its memory the answer begins, and that memory.
    pub fn answered(&self) -> (u32, &[u8]) {
        (self.answer - (IMAGE + 8), &self.image)
    }

    /// Words of memory.
    pub fn raw_words(words: &[u32]) -> Self {
        Script::answers(|image| image.words(words))
    }

    /// Answers this address, whatever is there.
    pub fn answering(self, answer: u32) -> Self {
        Script { answer, ..self }
    }

    pub fn at(self, when: When) -> Self {
        Script { when, ..self }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.image.len());
        bytes.extend((self.deed as u16).to_le_bytes());
        bytes.extend((self.when as u16).to_le_bytes());
        bytes.extend(self.answer.to_le_bytes());
        bytes.extend(&self.image);
        bytes
    }
}
