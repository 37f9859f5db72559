//! Where a parts lane is, for those who watch.

use super::PartsLane;
use crate::lane::LaneStatus;

impl PartsLane {
    pub fn status(&self) -> LaneStatus {
        let merging = || self.merging.iter().flatten();
        let time = self.sources.now.time();
        LaneStatus {
            watermark: time,
            open_windows: merging().map(|(one, _)| one.windows()).sum(),
            oldest_end: merging().filter_map(|(one, _)| one.oldest_end(time)).min(),
            groups: merging().map(|(one, _)| one.groups()).sum(),
            windows_bytes: merging().map(|(one, _)| one.memory_bytes()).sum(),
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
