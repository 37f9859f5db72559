//! The records within a section: each has its length before it, so that one at a time is in memory. They are plain values in
//! postcard; the structs here are what is written, and do not change within a format version.

use serde::{Deserialize, Serialize, Serializer};

use crate::record::{EventTime, Offset};
use crate::window::{GroupState, Hold};

use super::Unreadable;
use super::frame::{SectionReader, SectionWriter, damaged};

/// The kinds of sections.
pub(super) const HEADER: u16 = 1;
pub(super) const WINDOWS: u16 = 2;

/// The first record of a section of windows.
#[derive(Serialize, Deserialize)]
pub(super) struct OutputRecord<'a> {
    pub output: &'a str,
    pub schema_name: &'a str,
    pub schema_version: u32,
}

/// Those that follow. Groups belong to the window before them.
#[derive(Serialize, Deserialize)]
pub(super) enum WindowRecord<'a> {
    Window {
        start_micros: i64,
        hold: Option<HoldRecord>,
    },
    Group(#[serde(borrow)] GroupRecord<'a>),
    /// A window of one group by itself.
    Session {
        start_micros: i64,
        end_micros: i64,
        /// Until when it lasted when other lanes were told of it.
        announced_micros: Option<i64>,
        hold: HoldRecord,
        #[serde(borrow)]
        group: GroupRecord<'a>,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct GroupRecord<'a> {
    #[serde(borrow, serialize_with = "as_bytes")]
    pub key: &'a [u8],
    #[serde(borrow, serialize_with = "as_bytes")]
    pub state: &'a [u8],
    pub count: u64,
    pub first: i64,
    pub last: i64,
}

impl<'a> From<GroupState<'a>> for GroupRecord<'a> {
    fn from(GroupState { key, state, count, first, last }: GroupState<'a>) -> Self {
        GroupRecord { key, state, count, first: first.0, last: last.0 }
    }
}

impl<'a> From<GroupRecord<'a>> for GroupState<'a> {
    fn from(GroupRecord { key, state, count, first, last }: GroupRecord<'a>) -> Self {
        GroupState { key, state, count, first: Offset(first), last: Offset(last) }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct HoldRecord {
    pub offset: i64,
    pub watermark_micros: i64,
}

impl From<Hold> for HoldRecord {
    fn from(Hold { offset, watermark }: Hold) -> Self {
        HoldRecord { offset: offset.0, watermark_micros: watermark.micros() }
    }
}

impl From<HoldRecord> for Hold {
    fn from(HoldRecord { offset, watermark_micros }: HoldRecord) -> Self {
        Hold { offset: Offset(offset), watermark: EventTime::from_micros(watermark_micros) }
    }
}

/// A slice is a sequence of numbers unless it is told that these are bytes.
fn as_bytes<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

pub(super) struct RecordWriter<'s> {
    section: &'s mut SectionWriter,
    scratch: Vec<u8>,
}

impl<'s> RecordWriter<'s> {
    pub fn new(section: &'s mut SectionWriter) -> Self {
        RecordWriter { section, scratch: Vec::new() }
    }

    pub fn write(&mut self, record: &impl Serialize) {
        self.scratch.clear();
        let scratch = std::mem::take(&mut self.scratch);
        self.scratch = postcard::to_extend(record, scratch).expect("plain values are written into memory");
        let length = u32::try_from(self.scratch.len()).expect("a state is smaller than a component's memory");
        self.section.write(&length.to_le_bytes());
        self.section.write(&self.scratch);
    }
}

pub(super) struct RecordReader<'a> {
    section: SectionReader<'a>,
    record: Vec<u8>,
}

impl<'a> RecordReader<'a> {
    pub fn new(section: SectionReader<'a>) -> Self {
        RecordReader { section, record: Vec::new() }
    }

    /// The next record, which lives until the one after it is read.
    pub fn next<'r, T: Deserialize<'r>>(&'r mut self) -> Result<Option<T>, Unreadable> {
        if self.section.left_bytes() == 0 {
            return Ok(None);
        }
        let mut length = [0; size_of::<u32>()];
        self.section.read(&mut length)?;
        let length = u32::from_le_bytes(length);
        if u64::from(length) > self.section.left_bytes() {
            return Err(damaged("a record is longer than its section".to_owned()));
        }
        self.record.resize(length as usize, 0);
        self.section.read(&mut self.record)?;
        match postcard::take_from_bytes(&self.record) {
            Ok((record, [])) => Ok(Some(record)),
            Ok((_, rest)) => Err(damaged(format!("a record has {} bytes too many", rest.len()))),
            Err(error) => Err(damaged(format!("a record: {error}"))),
        }
    }
}
