//! A checkpoint on its way to bytes, group by group: what is in memory beside the states is the compressed object.

use crate::record::{EventTime, StateSchema};
use crate::window::{GroupState, Hold, SessionState};

use super::Header;
use super::frame::{Frame, Section};
use super::records::{self, OutputRecord, RecordWriter, WindowRecord};

/// A checkpoint that is being written.
pub struct Encoder {
    frame: Frame,
}

/// The windows of one output: a window, then its groups, and so on.
pub struct WindowsEncoder<'s> {
    records: RecordWriter<'s>,
}

impl Encoder {
    pub fn new(header: &Header) -> Self {
        let mut frame = Frame::new();
        frame.section(records::HEADER, true, |section| section.write(&header.encode()));
        Encoder { frame }
    }

    pub fn windows(&mut self, output: &str, schema: &StateSchema, fill: impl FnOnce(&mut WindowsEncoder<'_>)) {
        self.frame.section(records::WINDOWS, true, |section| {
            let mut records = RecordWriter::new(section);
            let (schema_name, schema_version) = (schema.name.as_str(), schema.version);
            records.write(&OutputRecord { output, schema_name, schema_version });
            fill(&mut WindowsEncoder { records });
        });
    }

    pub(super) fn copy(&mut self, section: &Section) {
        self.frame.copy(section);
    }

    /// A section that this program does not know.
    #[cfg(test)]
    pub(super) fn other_section(&mut self, kind: u16, is_mandatory: bool, bytes: &[u8]) {
        self.frame.section(kind, is_mandatory, |section| section.write(bytes));
    }

    /// The object.
    pub fn finish(self) -> Vec<u8> {
        self.frame.finish()
    }
}

impl WindowsEncoder<'_> {
    pub fn window(&mut self, start: EventTime, hold: Option<Hold>) {
        self.records.write(&WindowRecord::Window { start_micros: start.micros(), hold: hold.map(Hold::into) });
    }

    /// A group of the window that was written last.
    pub fn group(&mut self, group: GroupState<'_>) {
        self.records.write(&WindowRecord::Group(group.into()));
    }

    pub fn session(&mut self, session: &SessionState) {
        self.records.write(&WindowRecord::Session {
            start_micros: session.window.start.micros(),
            end_micros: session.window.end.micros(),
            announced_micros: session.announced.map(EventTime::micros),
            hold: session.hold.into(),
            group: session.group().into(),
        });
    }
}
