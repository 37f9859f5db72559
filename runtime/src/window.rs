//! Event time: the watermark of a partition, the windows of an event time, and the states of groups in open windows.
//! No clock is read here, and nothing waits: time is what the records say.

mod closed;
mod keyed;
mod keys;
mod lateness;
mod schemas;
mod session_windows;
mod sessions;
mod states;
mod time_windows;
mod watermark;

pub use closed::{ClosedWindow, GroupState};
pub use keyed::{FoldRow, Hold, KeyedWindows, Slots};
pub(crate) use keys::Keys;
pub use lateness::Lateness;
pub(crate) use schemas::{CONVERTED_AT_ONCE, Schemas};
pub use session_windows::SessionWindows;
pub use sessions::{SessionRow, SessionSlots, SessionState, Sessions};
pub use time_windows::{TimeWindows, Window};
pub use watermark::Watermark;
