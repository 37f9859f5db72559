//! The frame of a checkpoint object: what it begins with, sections that are compressed and have a checksum each, and a hash over
//! all of it. What the sections hold is nothing to it. `docs/formats.md` describes it.

use std::io::{self, BufReader, Read, Write};

use bytes::Bytes;
use zstd::stream::{read, write};

use super::Unreadable;

/// Every version begins with this and its number, and ends with the hash.
const MAGIC: &[u8; 20] = b"tidegate checkpoint\n";
const VERSION: u32 = 1;
const BEGIN_BYTES: usize = MAGIC.len() + size_of::<u32>();
const HASH_BYTES: usize = blake3::OUT_LEN;

/// States are small numbers that change slowly: more effort takes several times the time and gains little.
const ZSTD_LEVEL: i32 = 1;

/// So much is decompressed at once: records are read in pieces of a few bytes.
const READ_BYTES: usize = 64 << 10;

const MEMORY: &str = "memory takes what is written";

/// What stands before a section, and its checksum after it.
#[derive(Clone, Copy, Debug)]
struct Head {
    kind: u16,
    is_mandatory: bool,
    /// As it lies in the object.
    stored_bytes: u64,
    /// Decompressed.
    bytes: u64,
}

/// A section that is there.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub kind: u16,
    pub is_mandatory: bool,
    stored: Bytes,
    bytes: u64,
}

/// An object that is being written.
pub(super) struct Frame {
    object: Vec<u8>,
}

/// A section that is being written.
pub(super) struct SectionWriter {
    compressor: write::Encoder<'static, Vec<u8>>,
    bytes: u64,
}

/// A section that is being read.
pub(super) struct SectionReader<'a> {
    decompressed: BufReader<read::Decoder<'static, &'a [u8]>>,
    left: u64,
}

impl Frame {
    pub fn new() -> Frame {
        Frame { object: [MAGIC, &VERSION.to_le_bytes()[..]].concat() }
    }

    /// Compresses what `fill` writes onto the end of the object; nothing of it is held beside.
    pub fn section(&mut self, kind: u16, is_mandatory: bool, fill: impl FnOnce(&mut SectionWriter)) {
        let begin = self.object.len();
        let mut object = std::mem::take(&mut self.object);
        object.resize(begin + Head::BYTES + HASH_BYTES, 0);
        let compressor = write::Encoder::new(object, ZSTD_LEVEL).expect("the level is one that there is");
        let mut section = SectionWriter { compressor, bytes: 0 };
        fill(&mut section);
        self.object = section.compressor.finish().expect(MEMORY);
        let (before, stored) = self.object[begin..].split_at_mut(Head::BYTES + HASH_BYTES);
        let (head, checksum) = before.split_at_mut(Head::BYTES);
        head.copy_from_slice(
            &Head { kind, is_mandatory, stored_bytes: stored.len() as u64, bytes: section.bytes }.encode(),
        );
        checksum.copy_from_slice(checksum_of(head, stored).as_bytes());
    }

    /// A section of another object, as it lies there.
    pub fn copy(&mut self, section: &Section) {
        let Section { kind, is_mandatory, stored, bytes } = section;
        let head = Head { kind: *kind, is_mandatory: *is_mandatory, stored_bytes: stored.len() as u64, bytes: *bytes };
        let head = head.encode();
        for bytes in [&head[..], checksum_of(&head, stored).as_bytes(), stored] {
            self.object.extend_from_slice(bytes);
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        let hash = blake3::hash(&self.object);
        self.object.extend_from_slice(hash.as_bytes());
        self.object
    }
}

impl SectionWriter {
    pub fn write(&mut self, bytes: &[u8]) {
        self.compressor.write_all(bytes).expect(MEMORY);
        self.bytes += bytes.len() as u64;
    }
}

/// The sections of a whole object of a known version.
pub(super) fn sections(object: &Bytes) -> Result<Vec<Section>, Unreadable> {
    // First of all the hash, so that damage is never taken for another version or for a section that is not known.
    let (content, hash) = object.split_last_chunk::<HASH_BYTES>().ok_or_else(|| cut_short(object))?;
    if blake3::hash(content) != *hash {
        return Err(damaged(format!("its {} bytes are not those that were written", object.len())));
    }
    let mut rest = after_begin(content)?;
    let mut sections = Vec::new();
    while !rest.is_empty() {
        let (section, others) = split_section(object, rest)?;
        sections.push(section);
        rest = others;
    }
    Ok(sections)
}

/// The first section, of an object of which the end may be missing.
pub(super) fn first_section(start: &Bytes) -> Result<Section, Unreadable> {
    Ok(split_section(start, after_begin(start)?)?.0)
}

fn after_begin(content: &[u8]) -> Result<&[u8], Unreadable> {
    let (begin, rest) = content.split_at_checked(BEGIN_BYTES).ok_or_else(|| cut_short(content))?;
    let version = begin.strip_prefix(MAGIC).and_then(|version| version.try_into().ok()).map(u32::from_le_bytes);
    match version {
        Some(VERSION) => Ok(rest),
        Some(version) if version > VERSION => Err(Unreadable::NewerFormat { version, known: VERSION }),
        Some(_) | None => Err(damaged("it does not begin as a checkpoint does".to_owned())),
    }
}

impl Head {
    const BYTES: usize = 2 + 1 + 8 + 8;

    fn encode(&self) -> [u8; Head::BYTES] {
        let mut bytes = [0; Head::BYTES];
        bytes[0..2].copy_from_slice(&self.kind.to_le_bytes());
        bytes[2] = u8::from(self.is_mandatory);
        bytes[3..11].copy_from_slice(&self.stored_bytes.to_le_bytes());
        bytes[11..19].copy_from_slice(&self.bytes.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; Head::BYTES]) -> Option<Head> {
        let (kind, rest) = bytes.split_first_chunk()?;
        let (mandatory, rest) = rest.split_first()?;
        let (stored_bytes, rest) = rest.split_first_chunk()?;
        let is_mandatory = match mandatory {
            0 => false,
            1 => true,
            2..=u8::MAX => return None,
        };
        let (kind, stored_bytes) = (u16::from_le_bytes(*kind), u64::from_le_bytes(*stored_bytes));
        Some(Head { kind, is_mandatory, stored_bytes, bytes: u64::from_le_bytes(rest.try_into().ok()?) })
    }
}

fn checksum_of(head: &[u8], stored: &[u8]) -> blake3::Hash {
    blake3::Hasher::new().update(head).update(stored).finalize()
}

/// The first section of these bytes of an object, and the rest.
fn split_section<'b>(object: &Bytes, bytes: &'b [u8]) -> Result<(Section, &'b [u8]), Unreadable> {
    let cut = || damaged("it ends within a section".to_owned());
    let (head_bytes, rest) = bytes.split_first_chunk::<{ Head::BYTES }>().ok_or_else(cut)?;
    let (checksum, rest) = rest.split_first_chunk::<HASH_BYTES>().ok_or_else(cut)?;
    let head = Head::decode(head_bytes).ok_or_else(|| damaged("a section has no head".to_owned()))?;
    let stored_bytes = usize::try_from(head.stored_bytes).map_err(|_| cut())?;
    let (stored, rest) = rest.split_at_checked(stored_bytes).ok_or_else(cut)?;
    if checksum_of(head_bytes, stored) != *checksum {
        return Err(damaged(format!("the checksum of a section of kind={} is wrong", head.kind)));
    }
    let Head { kind, is_mandatory, bytes, stored_bytes: _ } = head;
    Ok((Section { kind, is_mandatory, stored: object.slice_ref(stored), bytes }, rest))
}

impl Section {
    pub fn read(&self) -> Result<SectionReader<'_>, Unreadable> {
        let decoder = read::Decoder::with_buffer(&self.stored[..]).map_err(not_compressed)?.single_frame();
        Ok(SectionReader { decompressed: BufReader::with_capacity(READ_BYTES, decoder), left: self.bytes })
    }
}

impl SectionReader<'_> {
    pub fn left_bytes(&self) -> u64 {
        self.left
    }

    /// As many bytes as the buffer has, of which there are as many left.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let left = self.left.checked_sub(buffer.len() as u64);
        self.left = left.ok_or_else(|| damaged("a section ends within a record".to_owned()))?;
        self.decompressed.read_exact(buffer).map_err(not_compressed)
    }

    /// All that is left.
    pub fn read_rest(mut self) -> Result<Vec<u8>, Unreadable> {
        let mut rest = Vec::new();
        // Grows with what is there: the number of bytes may be wrong.
        let read = self.decompressed.by_ref().take(self.left).read_to_end(&mut rest).map_err(not_compressed)?;
        if read as u64 != self.left { Err(damaged("a section is too short".to_owned())) } else { Ok(rest) }
    }
}

pub(super) fn damaged(what: String) -> Unreadable {
    Unreadable::Damaged(what)
}

fn cut_short(object: &[u8]) -> Unreadable {
    damaged(format!("it is cut short, it has {} bytes", object.len()))
}

fn not_compressed(error: io::Error) -> Unreadable {
    damaged(format!("a section cannot be decompressed: {error}"))
}
