//! How the memory of `[limits]` is divided; every queue of the pipeline takes its bound from here.

use crate::config::PipelineSettings;
use crate::plugin::EngineSettings;

/// Of `limits.memory`, what each kind of thing in flight may take, and the memories of components. The rest, an eighth of it, is
/// for the states of windows, which the lanes keep, and for what the allocator holds on to; so is what components leave of theirs.
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
        }
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

    #[test]
    fn an_eighth_is_left_for_windows_at_least() {
        for memory_bytes in [64 << 20, 512 << 20, 4 << 30] {
            let division = MemoryDivision::of(memory_bytes);
            let given = division.source_bytes + division.documents_bytes + division.messages_bytes;
            assert!(given + division.components_bytes <= memory_bytes / 8 * 7, "{division:?}");
        }
    }
}
