//! Checkpoints: what a source lane must remember, as one object, and the store in which such objects outlive the process; archives of
//! lines are kept in such stores as well. This room alone knows their format, `object_store` and zstd; it sees neither components nor
//! HTTP, and calls no lane. What a lane of the parts topic needs is committed with its position.
//!
//! A partition's owner claims an **epoch**, and with it the right to put objects into the **slots** below it. Claims and slots
//! are put only where there is none, so of two that want one epoch one gets it; who looks for a later epoch after each put, as
//! [`Store::put`] does, notices that it is the owner no longer.

mod error;
mod place;
mod header;
mod frame;
mod records;
mod encode;
mod decode;
mod location;
mod objects;
mod retention;
mod store;

pub use crate::record::TopicId;
pub use decode::{Checkpoint, Contents, Item, Windows};
pub use encode::{Encoder, WindowsEncoder};
pub use error::{CheckpointError, Unreadable};
pub use header::{Component, Fingerprint, Header};
pub use place::{Epoch, Place, Sequence, SlotId};
pub use store::{CheckpointId, ClaimToken, Damaged, Found, Kept, Owner, PutLines, Slot, Store, StoreId, Wanted};

#[cfg(test)]
mod tests;
