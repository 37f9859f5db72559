//! How the memory of `[limits]` is divided; every queue of the pipeline takes its bound from here.

use super::{PipelineError, Snapshot};
use crate::config::PipelineSettings;
use crate::plugin::EngineSettings;

/// Of `limits.memory`, what each kind of thing in flight may take, and the memories of components. What is left is for the windows of
/// the lanes: an eighth, and what components leave of theirs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryDivision {
    /// What Kafka's client has fetched, and records until neither a worker nor a possible dead letter needs them.
    pub source_bytes: usize,
    /// Documents from the lane until the index has judged them: half as the lanes made them, half as bodies of requests.
    pub documents_bytes: usize,
    /// Parts, markers and dead letters until the broker has acknowledged them.
    pub messages_bytes: usize,
    /// The linear memories of all instances.
    pub components_bytes: usize,
    /// These and the windows.
    pub components_and_windows_bytes: usize,
}

/// An eighth, eight full bulks by default: an output without an aggregate keeps its records until their documents are judged.
/// Reading further ahead than the workers compute buys nothing.
const SOURCE_DIVISOR: usize = 8;
/// A quarter: as many documents as records in flight.
const DOCUMENTS_DIVISOR: usize = 4;
/// An eighth: parts are folded, and dead letters should be few.
const MESSAGES_DIVISOR: usize = 8;

/// Three eighths. An instance has a megabyte or two as a rule, an interpreter a dozen, and each worker has one of each plugin.
const COMPONENTS_EIGHTHS: usize = 3;

/// What the components of a pipeline share.
pub fn engine_settings(settings: &PipelineSettings) -> EngineSettings {
    EngineSettings {
        stack_bytes_max: settings.limits.stack_bytes,
        memory_bytes_max: MemoryDivision::of(settings.limits.memory_bytes).components_bytes,
        code_cache: settings.code_cache.clone(),
    }
}

impl MemoryDivision {
    pub fn of(memory_bytes: usize) -> Self {
        MemoryDivision {
            source_bytes: memory_bytes / SOURCE_DIVISOR,
            documents_bytes: memory_bytes / DOCUMENTS_DIVISOR,
            messages_bytes: memory_bytes / MESSAGES_DIVISOR,
            components_bytes: memory_bytes / 8 * COMPONENTS_EIGHTHS,
            components_and_windows_bytes: memory_bytes / 2,
        }
    }

    /// What windows may have while components have so much.
    fn windows_bytes(&self, components_bytes: usize) -> usize {
        self.components_and_windows_bytes.saturating_sub(components_bytes)
    }

    /// What there is to say when the windows have outgrown what is left for them.
    pub(super) fn crowded(&self, snapshot: &Snapshot) -> Option<PipelineError> {
        let bytes_max = self.windows_bytes(snapshot.components_bytes);
        let (bytes, groups, windows) = (snapshot.windows_bytes(), snapshot.groups(), snapshot.open_windows());
        (bytes > bytes_max).then_some(PipelineError::Windows { bytes, bytes_max, groups, windows })
    }

    /// What is in flight at most when a lane takes a batch: those that are gone may have left much, which nobody answers for long.
    pub fn in_flight_bytes(&self) -> usize {
        self.documents_bytes + self.messages_bytes
    }

    /// What one lane of `lanes` may have in flight. Each has its share for itself, so that a slow one stops only itself;
    /// what a single batch gives may go beyond it.
    pub fn lane_bytes(&self, lanes: usize) -> usize {
        (self.documents_bytes / 2 + self.messages_bytes) / lanes.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::LaneStatus;
    use crate::pipeline::LaneSnapshot;
    use crate::record::Partition;

    #[test]
    fn windows_that_outgrow_what_components_leave_are_named() {
        let division = MemoryDivision::of(64 << 20);
        let lane = |windows_bytes| LaneSnapshot {
            partition: Partition::new("events", 0),
            parts: false,
            lag: None,
            status: LaneStatus { open_windows: 3, groups: 1000, windows_bytes, ..LaneStatus::default() },
        };
        let snapshot = |components_bytes, each| Snapshot {
            components_bytes,
            lanes: vec![lane(each), lane(each)],
            ..Snapshot::default()
        };
        assert!(division.crowded(&snapshot(2 << 20, 15 << 20)).is_none());
        let crowded = division.crowded(&snapshot(3 << 20, 15 << 20)).expect("29 MiB are left for 30");
        assert_eq!(
            crowded.to_string(),
            "the open windows have 30MiB of memory and `limits.memory` leaves 29MiB for them: groups=`2000` windows=`6`; \
             raise `limits.memory`, bound the groups with `groups_max`, or take shorter windows"
        );
    }

    #[test]
    fn an_eighth_is_left_for_windows_at_least() {
        for memory_bytes in [64 << 20, 512 << 20, 4 << 30] {
            let division = MemoryDivision::of(memory_bytes);
            let given = division.source_bytes + division.documents_bytes + division.messages_bytes;
            assert!(given + division.components_and_windows_bytes <= memory_bytes, "{division:?}");
            assert!(division.windows_bytes(division.components_bytes) >= memory_bytes / 8, "{division:?}");
        }
    }
}
