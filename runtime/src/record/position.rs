//! Where a lane begins, and how far its group has come.

use super::Offset;

/// Where a lane begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resume {
    /// The group has no position here: the start rule said where.
    Fresh { offset: Offset },
    /// The group's position and what was committed with it.
    Position { offset: Offset, metadata: String },
}

/// A position that may be committed now, with what must be remembered beside it (text, at most 4,096 bytes).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commitment {
    pub offset: Offset,
    pub metadata: String,
}
