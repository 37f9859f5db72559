//! A checkpoint on its way to bytes, group by group: what is in memory beside the states is the compressed object.

use crate::record::{EventTime, Offset, StateSchema};
use crate::window::{GroupState, Hold};

use super::Header;
use super::frame::Frame;
use super::records::{
    self, HoldRecord, OutputRecord, PARTS_WINDOWS, PartOfSource, PartsRecord, RecordWriter, SOURCE_WINDOWS,
    SourceRecord,
};

/// A checkpoint that is being written.
pub struct Encoder {
    frame: Frame,
}

/// The windows of one output of a source lane: a window, then its groups, and so on.
pub struct SourceWindowsEncoder<'s> {
    records: RecordWriter<'s>,
}

/// The windows of one output of a parts lane: a window, then a group of it, then its parts, and so on.
pub struct PartsWindowsEncoder<'s> {
    records: RecordWriter<'s>,
}

impl Encoder {
    pub fn new(header: &Header) -> Self {
        let mut frame = Frame::new();
        frame.section(records::HEADER, true, |section| section.write(&header.encode()));
        Encoder { frame }
    }

    pub fn source_windows(
        &mut self,
        output: &str,
        schema: &StateSchema,
        fill: impl FnOnce(&mut SourceWindowsEncoder<'_>),
    ) {
        self.windows(SOURCE_WINDOWS, output, schema, |records| fill(&mut SourceWindowsEncoder { records }));
    }

    pub fn parts_windows(
        &mut self,
        output: &str,
        schema: &StateSchema,
        fill: impl FnOnce(&mut PartsWindowsEncoder<'_>),
    ) {
        self.windows(PARTS_WINDOWS, output, schema, |records| fill(&mut PartsWindowsEncoder { records }));
    }

    fn windows(&mut self, kind: u16, output: &str, schema: &StateSchema, fill: impl FnOnce(RecordWriter<'_>)) {
        self.frame.section(kind, true, |section| {
            let mut records = RecordWriter::new(section);
            let (schema_name, schema_version) = (schema.name.as_str(), schema.version);
            records.write(&OutputRecord { output, schema_name, schema_version });
            fill(records);
        });
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

impl SourceWindowsEncoder<'_> {
    pub fn window(&mut self, start: EventTime, hold: Option<Hold>) {
        let hold = hold.map(|hold| HoldRecord { offset: hold.offset.0, watermark_micros: hold.watermark.micros() });
        self.records.write(&SourceRecord::Window { start_micros: start.micros(), hold });
    }

    /// A group of the window that was written last.
    pub fn group(&mut self, group: GroupState<'_>) {
        let GroupState { key, state, count, first, last } = group;
        self.records.write(&SourceRecord::Group { key, state, count, first: first.0, last: last.0 });
    }
}

impl PartsWindowsEncoder<'_> {
    /// A window, and the oldest part of it.
    pub fn window(&mut self, start: EventTime, first: Offset) {
        self.records.write(&PartsRecord::Window { start_micros: start.micros(), first: first.0 });
    }

    /// A group of the window that was written last.
    pub fn group(&mut self, key: &[u8]) {
        self.records.write(&PartsRecord::Group { key });
    }

    /// A part of the group that was written last.
    pub fn part(&mut self, part: PartOfSource<'_>) {
        let PartOfSource { topic, partition, revision, last, state } = part;
        self.records.write(&PartsRecord::Part { topic, partition, revision, last: last.0, state });
    }
}
