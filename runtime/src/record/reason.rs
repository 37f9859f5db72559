//! Why a record, a part or a document became a dead letter.

use std::fmt;

/// What went wrong, as a word that programs can match; it is the header `tidegate-reason` and a metric's label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReasonKind {
    /// The value is not JSON.
    Json,
    /// The record is of a version that is not known.
    Schema,
    /// The event time is missing or cannot be read.
    EventTime,
    /// The event time is too far ahead of the record's own timestamp.
    Future,
    /// A field that a component needs is absent or of another type.
    Field,
    /// A component rejected the record.
    Plugin,
    /// A component trapped on the record.
    Trap,
    /// A component did not come back from the record in time.
    Deadline,
    /// What a component gave back for the record breaks the contract of its interface.
    Contract,
    /// Every window of the record had ended.
    Late,
    /// A window of the record has as many groups as it may have, and the record is of another one.
    Groups,
    /// A part came for a window that is final.
    LatePart,
    /// The id, the version or the index name cannot be made from the record.
    Document,
    /// Elasticsearch refused the document.
    Sink,
}

impl ReasonKind {
    pub const ALL: [ReasonKind; 14] = [
        ReasonKind::Json,
        ReasonKind::Schema,
        ReasonKind::EventTime,
        ReasonKind::Future,
        ReasonKind::Field,
        ReasonKind::Plugin,
        ReasonKind::Trap,
        ReasonKind::Deadline,
        ReasonKind::Contract,
        ReasonKind::Late,
        ReasonKind::Groups,
        ReasonKind::LatePart,
        ReasonKind::Document,
        ReasonKind::Sink,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ReasonKind::Json => "json",
            ReasonKind::Schema => "schema",
            ReasonKind::EventTime => "event-time",
            ReasonKind::Future => "future",
            ReasonKind::Field => "field",
            ReasonKind::Plugin => "plugin",
            ReasonKind::Trap => "trap",
            ReasonKind::Deadline => "deadline",
            ReasonKind::Contract => "contract",
            ReasonKind::Late => "late",
            ReasonKind::Groups => "groups",
            ReasonKind::LatePart => "late-part",
            ReasonKind::Document => "document",
            ReasonKind::Sink => "sink",
        }
    }
}

impl fmt::Display for ReasonKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A kind for programs and words for people; the words are cut at 1 KiB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    pub kind: ReasonKind,
    pub message: String,
}

impl Reason {
    pub const MESSAGE_BYTES_MAX: usize = 1024;

    pub fn new(kind: ReasonKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > Self::MESSAGE_BYTES_MAX {
            let cut = message.floor_char_boundary(Self::MESSAGE_BYTES_MAX);
            message.truncate(cut);
        }
        Reason { kind, message }
    }
}
