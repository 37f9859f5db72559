//! The nouns that every room shares: records as they came, columns as components see them, documents as they leave.
//! Nothing here knows Kafka, JSON, wasmtime or HTTP.

mod batch;
mod columns;
mod document;
mod error_kind;
mod message;
mod origin;
mod position;
mod reason;
mod time;
mod without;

pub use batch::{BatchBuilder, Budget, Permit, RecordBatch};
pub use columns::{
    Accumulated, Batch, Column, Field, Kind, Output, Ports, Rejection, Slices, StateSchema, Values, Verdicts,
};
pub use document::{Document, DocumentBatch, Operation, RejectedDocument, WriteOptions};
pub use error_kind::{ErrorKind, HasKind};
pub use message::Message;
pub use origin::{Offset, Origin, Partition, TopicId};
pub use position::{Commitment, Resume};
pub use reason::{Reason, ReasonKind};
pub use time::EventTime;
pub use without::without;
