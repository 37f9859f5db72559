//! A checkpoint that was read: verified as a whole when it is opened, and given out group by group.

use bytes::Bytes;

use crate::record::{EventTime, StateSchema};
use crate::window::{GroupState, Hold, SessionState, Window};

use super::frame::{self, Section, damaged};
use super::records::{self, HEADER, HoldRecord, OutputRecord, RecordReader, WindowRecord};
use super::{Encoder, Header, SlotId, Unreadable};

/// A checkpoint whose every byte is one that was written.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    header: Header,
    windows: Vec<Section>,
}

/// The windows of one output.
pub struct Windows<'c> {
    pub output: String,
    pub schema: StateSchema,
    records: RecordReader<'c>,
}

/// Groups belong to the window that came last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item<'r> {
    Window { start: EventTime, hold: Option<Hold> },
    Group(GroupState<'r>),
    Session(SessionState),
}

/// How much is in a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Contents {
    /// Those with windows.
    pub outputs: u64,
    pub windows: u64,
    pub groups: u64,
}

impl Checkpoint {
    /// Takes an object for a checkpoint when all of it is as it was written, and all that is mandatory is known here.
    pub fn open(object: &Bytes) -> Result<Checkpoint, Unreadable> {
        let mut sections = frame::sections(object)?.into_iter();
        let header = Header::of(sections.next())?;
        let mut windows = Vec::new();
        for section in sections {
            match section.kind {
                records::WINDOWS => windows.push(section),
                HEADER => return Err(damaged("it has two headers".to_owned())),
                kind if section.is_mandatory => return Err(Unreadable::UnknownSection { kind }),
                _ => {}
            }
        }
        Ok(Checkpoint { header, windows })
    }

    /// A whole object as one of another slot, put there by hand. Sections that are not known here are taken along.
    pub fn moved(object: &Bytes, slot: SlotId) -> Result<Vec<u8>, Unreadable> {
        let mut sections = frame::sections(object)?.into_iter();
        let header = Header { slot, imported: true, ..Header::of(sections.next())? };
        let mut encoder = Encoder::new(&header);
        sections.for_each(|section| encoder.copy(&section));
        Ok(encoder.finish())
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The outputs that have windows, in the order in which they were written.
    pub fn windows(&self) -> impl Iterator<Item = Result<Windows<'_>, Unreadable>> {
        self.windows.iter().map(|section| {
            let mut records = RecordReader::new(section.read()?);
            let head =
                records.next()?.ok_or_else(|| damaged("a section does not say whose windows it has".to_owned()))?;
            let OutputRecord { output, schema_name, schema_version } = head;
            let (output, schema) =
                (output.to_owned(), StateSchema { name: schema_name.to_owned(), version: schema_version });
            Ok(Windows { output, schema, records })
        })
    }

    /// Reads all of it.
    pub fn contents(&self) -> Result<Contents, Unreadable> {
        let mut contents = Contents::default();
        for windows in self.windows() {
            contents.outputs += 1;
            let mut windows = windows?;
            while let Some(item) = windows.next()? {
                match item {
                    Item::Window { .. } => contents.windows += 1,
                    Item::Group(_) => contents.groups += 1,
                    Item::Session(_) => {
                        contents.windows += 1;
                        contents.groups += 1;
                    }
                }
            }
        }
        Ok(contents)
    }
}

impl Windows<'_> {
    /// The next window or group, which lives until the one after it is read.
    #[expect(clippy::should_implement_trait, reason = "what an iterator gives outlives its next call")]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, Unreadable> {
        Ok(self.records.next()?.map(|record| match record {
            WindowRecord::Window { start_micros, hold } => {
                Item::Window { start: EventTime::from_micros(start_micros), hold: hold.map(HoldRecord::into) }
            }
            WindowRecord::Group(group) => Item::Group(group.into()),
            WindowRecord::Session { start_micros, end_micros, announced_micros, hold, group } => {
                let (start, end) = (EventTime::from_micros(start_micros), EventTime::from_micros(end_micros));
                let GroupState { key, state, count, first, last } = group.into();
                Item::Session(SessionState {
                    window: Window { start, end },
                    key: key.into(),
                    state: state.into(),
                    count,
                    first,
                    last,
                    hold: hold.into(),
                    announced: announced_micros.map(EventTime::from_micros),
                })
            }
        }))
    }
}
