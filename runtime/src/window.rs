//! Event time: the watermark of a partition, the windows of an event time, and the states of groups in open windows.
//! No clock is read here, and nothing waits: time is what the records say.

mod keyed;
mod tumbling;
mod watermark;

pub use keyed::{ClosedWindow, FoldRow, GroupState, Hold, KeyedWindows, Slots};
pub use tumbling::{Tumbling, Window};
pub use watermark::Watermark;
