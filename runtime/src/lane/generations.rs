//! Which components a partition's records were given to, and from which record on. It is committed with the position, so that of each
//! document can be told which generations made it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::PluginSettings;
use crate::record::Offset;
use crate::sink::GivenUpBy;

use super::id::Revision;

/// What is kept with a position, at most: the oldest is forgotten.
const BYTES_MAX: usize = 2048;

/// Of a digest as many bytes as `tidegate status` shows, two digits each.
const DIGEST_BYTES: usize = 6;

/// More of a version is not kept.
const VERSION_BYTES_MAX: usize = 24;

/// A component at its place, as it served.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServedBy {
    /// A transform's name, or the output's name and `.aggregate`.
    pub plugin: String,
    /// Whose way it is on: of the hash of the output's name; 0 on the way to all.
    pub output: u16,
    /// What the component says of itself, the first 24 bytes.
    pub version: String,
    /// The first bytes of BLAKE3 of the component's bytes.
    pub digest: [u8; DIGEST_BYTES],
    /// Of its settings. It tells others from these, and is too short to guess from it what they are.
    pub settings: u16,
    /// Counted at its place since the process began that deployed it.
    pub generation: u64,
}

impl ServedBy {
    pub(super) fn new(by: &GivenUpBy, output: Option<&str>, settings: u16) -> Self {
        let GivenUpBy { plugin, version, digest, generation, .. } = by;
        ServedBy {
            plugin: plugin.clone(),
            output: output.map_or(0, output_hash),
            version: version[..version.floor_char_boundary(VERSION_BYTES_MAX)].to_owned(),
            digest: digest_bytes(digest),
            settings,
            generation: *generation,
        }
    }

    /// Whether it does the same with a record. Each process counts generations anew.
    pub fn does_as(&self, other: &ServedBy) -> bool {
        let it = |one: &ServedBy| (one.output, one.digest, one.settings);
        self.plugin == other.plugin && it(self) == it(other)
    }

    /// The first 12 digits.
    pub fn digest(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is on the way to an output.
    pub fn is_on_way_to(&self, output: &str) -> bool {
        self.output == 0 || self.output == output_hash(output)
    }
}

fn short_hash(text: &str) -> u16 {
    u16::from_le_bytes(*blake3::hash(text.as_bytes()).as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

fn output_hash(name: &str) -> u16 {
    short_hash(name).max(1)
}

fn digest_bytes(digits: &str) -> [u8; DIGEST_BYTES] {
    let byte = |place: usize| u8::from_str_radix(digits.get(2 * place..2 * place + 2)?, 16).ok();
    std::array::from_fn(|place| byte(place).unwrap_or_default())
}

/// What stands for a plugin's settings.
pub fn settings_hash(settings: &PluginSettings) -> u16 {
    short_hash(&settings.settings)
}

/// What served from one record on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Served {
    pub revision: Revision,
    /// The first record that was given to it.
    pub from: Offset,
    /// Documents of records before it were made already, and only windows were folded anew.
    pub documents_from: Offset,
    /// A process had ended before it, or given the partition away, and may have read records before this one.
    pub doubt_until: Offset,
    /// In the order of the pipeline file.
    pub by: Arc<[ServedBy]>,
}

/// Where a lane begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    /// Its first record.
    pub from: Offset,
    /// Documents of records before it are settled.
    pub settled: Offset,
    /// Whoever had the partition before may have read records before this one.
    pub read_max: Offset,
}

/// Of a document, what kind it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MadeOf {
    Record,
    Window,
}

/// What may have made something, the most likely first.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Makers<'a> {
    pub served: Vec<&'a Served>,
    /// It was one of these.
    pub is_complete: bool,
    /// A process had ended, and perhaps it was of that one.
    pub is_doubted: bool,
}

/// What has served a partition, in the order of time.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Generations {
    all: Arc<Vec<Served>>,
    /// Whoever had the partition gave it away when all was settled: the position tells how far it had come.
    is_left: bool,
    /// Where the present owner began; `is_left` is said of the one before it.
    owner: Owner,
    /// What is kept of it.
    encoded: Arc<[u8]>,
}

/// Whoever has the partition now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Owner {
    /// Documents of records before it were settled.
    settled: Offset,
    /// Others may have read records before it.
    read_max: Offset,
    /// The last of what has served was added by it.
    has_last: bool,
}

/// Nobody yet.
impl Default for Owner {
    fn default() -> Self {
        Owner { settled: Offset(0), read_max: Offset(0), has_last: false }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// Each one once.
    components: Vec<ServedBy>,
    served: Vec<KeptServed>,
    is_left: bool,
}

#[derive(Serialize, Deserialize)]
struct KeptServed {
    revision: Revision,
    from: i64,
    documents_from: i64,
    doubt_until: i64,
    /// Their places in the list.
    by: Vec<u32>,
}

impl Generations {
    /// A lane begins.
    pub(super) fn begin(&mut self, revision: Revision, beginning: Beginning, by: &Arc<[ServedBy]>) {
        let Beginning { from, settled, read_max } = beginning;
        let last = self.all.last();
        // Of a rewind it is the first to read.
        let is_first = self.is_left || last.is_some_and(|last| last.revision != revision);
        let read_max = if is_first { from } else { read_max.max(from) };
        self.owner = Owner { settled: settled.max(from), read_max, has_last: false };
        let goes_on = |last: &Served| {
            let does_the_same = last.by.len() == by.len() && last.by.iter().zip(&**by).all(|(a, b)| a.does_as(b));
            let begins = last.from <= from && last.documents_from <= self.owner.settled;
            does_the_same && last.revision == revision && begins
        };
        match last.map_or(by.is_empty(), goes_on) {
            true if self.is_left => {
                self.is_left = false;
                self.keep();
            }
            true => {}
            false => self.push(revision, from, by),
        }
    }

    /// Others take over in a lane whose next record is `from`.
    pub(super) fn swap(&mut self, revision: Revision, from: Offset, by: &Arc<[ServedBy]>) {
        let Some(last) = self.all.last() else { return self.push(revision, from, by) };
        if last.by == *by {
            return;
        }
        // No record was given to the last ones.
        if self.owner.has_last && last.from == from {
            Arc::make_mut(&mut self.all).pop();
        }
        self.push(revision, from, by);
    }

    fn push(&mut self, revision: Revision, from: Offset, by: &Arc<[ServedBy]>) {
        self.owner.has_last = true;
        self.is_left = false;
        let (documents_from, doubt_until) = (self.owner.settled.max(from), self.owner.read_max.max(from));
        let served = Served { revision, from, documents_from, doubt_until, by: by.clone() };
        Arc::make_mut(&mut self.all).push(served);
        self.keep();
    }
    /// All is settled, and another one reads on.
    pub(super) fn leave(&mut self) {
        if !self.is_empty() {
            self.is_left = true;
            self.keep();
        }
    }

    fn keep(&mut self) {
        let mut bytes = encoded(&self.all, self.is_left);
        while bytes.len() > BYTES_MAX {
            Arc::make_mut(&mut self.all).remove(0);
            bytes = encoded(&self.all, self.is_left);
        }
        self.encoded = bytes.into();
    }

    /// The newest of it, for which there is room.
    pub(super) fn encoded(&self, room: usize) -> Cow<'_, [u8]> {
        if self.encoded.len() <= room {
            return Cow::Borrowed(&self.encoded);
        }
        let newest = (1..=self.all.len()).map(|first| encoded(&self.all[first..], self.is_left));
        Cow::Owned(newest.into_iter().find(|bytes| bytes.len() <= room).unwrap_or_default())
    }

    /// Of a position that tells nothing, and of one that a later version tells otherwise, nothing is known.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let Kept { components, served, is_left } = match postcard::take_from_bytes(bytes) {
            Ok((kept, _)) => kept,
            Err(_) => Kept::default(),
        };
        let at = |place: &u32| components.get(*place as usize).cloned();
        let served = served.into_iter().map(|KeptServed { revision, from, documents_from, doubt_until, by }| Served {
            revision,
            from: Offset(from),
            documents_from: Offset(documents_from),
            doubt_until: Offset(doubt_until),
            by: by.iter().filter_map(at).collect(),
        });
        let all: Vec<Served> = served.collect();
        Generations { encoded: encoded(&all, is_left).into(), all: Arc::new(all), is_left, owner: Owner::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What made something of the record at `offset`; without a revision, in any.
    pub fn makers(&self, revision: Option<Revision>, offset: Offset, of: MadeOf) -> Makers<'_> {
        let mut makers = Makers { is_complete: true, ..Makers::default() };
        let begins = |served: &Served| match of {
            MadeOf::Record => served.documents_from,
            MadeOf::Window => served.from,
        };
        let mut revisions: Vec<Revision> = self.all.iter().map(|served| served.revision).collect();
        revisions.dedup();
        for revision in revisions.into_iter().rev().filter(|it| revision.is_none_or(|wanted| *it == wanted)) {
            let mut is_known = false;
            for served in self.all.iter().rev().filter(|it| it.revision == revision && begins(it) <= offset) {
                if makers.served.iter().all(|known| known.by != served.by) {
                    makers.is_doubted |= !makers.served.is_empty();
                    makers.served.push(served);
                }
                is_known = served.doubt_until <= offset;
                if is_known {
                    break;
                }
            }
            makers.is_complete &= is_known;
        }
        makers.is_complete &= !makers.served.is_empty();
        makers
    }

    /// What may have made something of the records from `first` to `last`, in the order of time.
    pub fn makers_between(&self, revision: Option<Revision>, first: Offset, last: Offset) -> Makers<'_> {
        let mut makers = self.makers(revision, first, MadeOf::Window);
        let later = |one: &&Served| {
            revision.is_none_or(|wanted| one.revision == wanted) && first < one.from && one.from <= last
        };
        makers.is_doubted |= self.all.iter().filter(later).any(|one| one.doubt_until > one.from);
        let is_one = |one: &&Served| later(one) || makers.served.contains(one);
        makers.served = self.all.iter().filter(is_one).collect();
        makers
    }

    /// The first record that a component was given which serves on in `served`.
    pub fn since(&self, served: &Served, by: &ServedBy) -> Offset {
        let before = self.all.iter().rev().skip_while(|one| *one != served);
        let same = before.take_while(|one| one.revision == served.revision && one.by.contains(by));
        same.map(|one| one.from).min().unwrap_or(served.from)
    }
}

fn encoded(all: &[Served], is_left: bool) -> Vec<u8> {
    if all.is_empty() {
        return Vec::new();
    }
    let mut components: Vec<ServedBy> = Vec::new();
    let served = all.iter().map(|served| {
        let place = |one: &ServedBy| {
            let place = components.iter().position(|known| known == one).unwrap_or_else(|| {
                components.push(one.clone());
                components.len() - 1
            });
            u32::try_from(place).expect("a pipeline has fewer components")
        };
        KeptServed {
            revision: served.revision,
            from: served.from.0,
            documents_from: served.documents_from.0,
            doubt_until: served.doubt_until.0,
            by: served.by.iter().map(place).collect(),
        }
    });
    let served = served.collect();
    postcard::to_allocvec(&Kept { components, served, is_left }).expect("plain values are written into memory")
}

#[cfg(test)]
mod tests;
