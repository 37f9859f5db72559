//! What the macros' output names; no part of the promise that this crate makes.

pub use crate::aggregate::{Added, AggregateGlue};
pub use crate::cells::Writer;
pub use crate::configured::{IntoPlugin, Slots};
pub use crate::enrich::{EnrichGlue, OutputRow, Outputs};
pub use crate::field::{Path, allows};
pub use crate::field_type::{FieldType, Misfit};
pub use crate::fields::{And, Both, Columns, Fields, NoSettings, Provides, Reads, Uses, With, Writes, slots_of};
pub use crate::filter::{FilterGlue, Verdict};
