//! What leaves the windows of an output.

use crate::window::{ClosedWindow, GroupState, Hold, SessionState, Window};

/// What leaves a lane.
pub(in crate::lane::source) struct Leaving {
    /// Windows that have ended, whole, and those that had, as far as they have changed.
    pub ended: Left,
    /// Windows that have not ended, as they are now.
    pub early: Left,
    /// The oldest record of the windows that are taken out: what they gave is not safe yet.
    pub hold: Option<Hold>,
}

/// Windows as they leave, of either kind.
#[derive(Default)]
pub(in crate::lane::source) struct Left {
    pub windows: Vec<ClosedWindow>,
    pub sessions: Vec<SessionState>,
}

impl Left {
    pub fn groups(&self) -> impl Iterator<Item = (Window, GroupState<'_>)> {
        let of_windows = self.windows.iter().flat_map(|one| one.groups().map(|group| (one.window, group)));
        of_windows.chain(self.sessions.iter().map(|session| (session.window, session.group())))
    }
}

impl From<Vec<ClosedWindow>> for Left {
    fn from(windows: Vec<ClosedWindow>) -> Self {
        Left { windows, sessions: Vec::new() }
    }
}

impl From<Vec<SessionState>> for Left {
    fn from(sessions: Vec<SessionState>) -> Self {
        Left { windows: Vec::new(), sessions }
    }
}
