//! Where a lane begins, and how far its group has come.

use super::Offset;

/// Where a lane begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resume {
    /// The group has no position here: the start rule said where.
    Fresh { offset: Offset },
    /// The group's position and what was committed with it; and where the log ended then: nobody has read further.
    Position { offset: Offset, metadata: String, log_end: Offset },
}

impl Resume {
    pub fn offset(&self) -> Offset {
        match self {
            Resume::Fresh { offset } | Resume::Position { offset, .. } => *offset,
        }
    }

    /// A position and what was committed with it. With exactly the text `initial` nothing of it was settled.
    pub fn at(offset: Offset, metadata: String, log_end: Offset, initial: &str) -> Resume {
        match metadata == initial {
            true => Resume::Fresh { offset },
            false => Resume::Position { offset, metadata, log_end },
        }
    }
}

/// A position that may be committed now, with what must be remembered beside it (text, at most 4,096 bytes).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commitment {
    pub offset: Offset,
    pub metadata: String,
}
