//! What can go wrong with a checkpoint or its store, and what it asks of the operator.

use thiserror::Error;

use crate::record::{ErrorKind, HasKind, Partition};

use super::{Epoch, StoreId};

/// Why bytes are not taken for a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Unreadable {
    /// They are not what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// They are whole, and of a later program.
    #[error(
        "it is of format version={version}, this program knows versions up to {known}; use the program that wrote it"
    )]
    NewerFormat { version: u32, known: u32 },
    /// They are whole, and hold something that must be understood.
    #[error(
        "it holds a section of kind={kind}, which must be understood and is not known here; use the program that wrote it"
    )]
    UnknownSection { kind: u16 },
}

/// Why a checkpoint was not kept, not found or not taken.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CheckpointError {
    #[error(
        "not a place for objects, location=`{location}`: {what}; it is `file:///DIRECTORY`, `s3://BUCKET/PREFIX`, \
         `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`"
    )]
    Location { location: String, what: String },

    #[error("the object store does not answer as it should, location=`{location}` object=`{object}`: {what}")]
    Unavailable { location: String, object: String, what: String },

    #[error(
        "the object store does not let us write or read, location=`{location}` object=`{object}`: {what}; give this \
         process the rights to read, write, list and delete there"
    )]
    Forbidden { location: String, object: String, what: String },

    #[error(
        "the bucket or container of the object store is not there, location=`{location}`; create it, or correct the location"
    )]
    NoBucket { location: String },

    #[error("the object store is full, location=`{location}` object=`{object}`: {what}; make room")]
    Full { location: String, object: String, what: String },

    #[error(
        "the store does not keep two processes from writing one object, location=`{location}`: {what}; choose a store \
         that puts an object only where there is none (`If-None-Match: *`) and shows it at once"
    )]
    NoPutIfAbsent { location: String, what: String },

    #[error(
        "another process has claimed the partition, partition=`{partition}` epoch=`{epoch}` later_epoch=`{later}`: what this one \
         has written since does not count"
    )]
    Fenced { partition: Partition, epoch: Epoch, later: Epoch },

    #[error(
        "the slot of a checkpoint holds something else, object=`{object}`: two processes write with one claim; does another \
         program write into the store, or was it copied while in use?"
    )]
    SlotTaken { object: String },

    #[error("the object=`{object}` cannot be read: {why}")]
    Unreadable { object: String, why: Unreadable },

    #[error(
        "the object=`{object}` is a checkpoint of something else, found=`{found}`; was the store copied or renamed by hand? put it back \
         where it was, or choose another location"
    )]
    Foreign { object: String, found: String },

    #[error("the object=`{object}` is not there")]
    Missing { object: String },

    #[error(
        "no checkpoint of the partition can be read, partition=`{partition}`: {damaged}; restore the store from a copy, or choose \
         deliberately to begin without"
    )]
    NoneReadable { partition: Partition, damaged: String },

    #[error(
        "the topic was deleted and made anew since the checkpoint was made, partition=`{partition}`: its offsets mean other records now; \
         move the checkpoints of the partition out of the store and choose another group to begin with the new topic"
    )]
    OtherTopic { partition: Partition },

    #[error(
        "the location holds no copies, location=`{location}`: nothing there says of which store; name the location in the pipeline file, \
         and the next checkpoints are copied to it"
    )]
    NoCopy { location: String },

    #[error(
        "the location has copies of another store, location=`{location}` expected=`{expected}` found=`{found}`; choose another one"
    )]
    CopyOfOther { location: String, expected: StoreId, found: StoreId },

    #[error(
        "the location decides for other pipelines already, location=`{location}` store=`{own}`: it cannot take the place of \
         store=`{original}`, whose copies it has; choose another one, or export what is needed and import it"
    )]
    StoreOfItsOwn { location: String, original: StoreId, own: StoreId },

    #[error(
        "no epoch is left, partition=`{partition}` epoch=`{epoch}`: some object of the store has a name that nobody gave it"
    )]
    NoEpochLeft { partition: Partition, epoch: Epoch },

    #[error(
        "this is another store than the one that the position was committed with, location=`{location}` expected=`{expected}` \
         found=`{found}`; name the former location, or choose deliberately to begin with this one"
    )]
    OtherStore { location: String, expected: StoreId, found: String },
}

impl HasKind for CheckpointError {
    fn kind(&self) -> ErrorKind {
        match self {
            CheckpointError::Location { .. }
            | CheckpointError::NoPutIfAbsent { .. }
            | CheckpointError::NoCopy { .. }
            | CheckpointError::CopyOfOther { .. }
            | CheckpointError::StoreOfItsOwn { .. } => ErrorKind::Config,
            // Who was fenced off has nothing to do but to wait until it is given the partition again.
            CheckpointError::Unavailable { .. }
            | CheckpointError::Forbidden { .. }
            | CheckpointError::NoBucket { .. }
            | CheckpointError::Full { .. }
            | CheckpointError::Fenced { .. } => ErrorKind::Unavailable,
            CheckpointError::SlotTaken { .. }
            | CheckpointError::Unreadable { .. }
            | CheckpointError::Foreign { .. }
            | CheckpointError::Missing { .. }
            | CheckpointError::NoneReadable { .. }
            | CheckpointError::OtherTopic { .. }
            | CheckpointError::NoEpochLeft { .. }
            | CheckpointError::OtherStore { .. } => ErrorKind::Corrupt,
        }
    }
}
