//! Where a parts lane is, for those who watch.

use super::{Holding, PartsLane};
use crate::lane::LaneStatus;

impl PartsLane {
    pub fn status(&self) -> LaneStatus {
        let holding = || self.holding.iter().flatten();
        let time = self.sources.now.time();
        LaneStatus {
            watermark: time,
            open_windows: holding().map(Holding::windows).sum(),
            oldest_end: holding().filter_map(|one| one.oldest_end(time)).min(),
            groups: holding().map(Holding::groups).sum(),
            windows_bytes: holding().map(Holding::memory_bytes).sum(),
            next: self.next,
            idle: false,
            sources: self.shown.clone(),
        }
    }

    /// Markers were read.
    pub(super) fn show_sources(&mut self) {
        self.shown = self.sources.now.status(&self.plan.topology.sources);
    }
}
