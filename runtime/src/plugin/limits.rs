//! What an instance may take of the machine: what the pipeline file says of its plugin, and bounds that nobody needs to set.

use std::time::Duration;

use crate::config::{PluginLimits, Secret};

/// A component's file: 128 MiB; interpreters have 20.
pub(super) const COMPONENT_BYTES_MAX: usize = 128 << 20;
/// What a call's stack may be, unless the file says otherwise: 512 KiB.
pub(super) const STACK_BYTES_MAX: usize = 512 << 10;
/// Fields that a component may read, and write.
pub(super) const FIELDS_MAX: usize = 1024;
/// A field's path.
pub(super) const PATH_BYTES_MAX: usize = 1024;
/// The names that a component gives itself, its version and its state; they are in tables, and the last in every part.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// What an instance may take of the host beside its memories, by a bound that is far above what it takes: 512 MiB. QuickJS has
/// less than half of it.
pub(super) const INSTANCE_BYTES_MAX: usize = 512 << 20;
/// Of a function's code: 1 MiB. The compiler takes two hundred times as much.
pub(super) const FUNCTION_BYTES_MAX: usize = 1 << 20;
/// The compiler takes some KiB for each.
pub(super) const FUNCTIONS_MAX: usize = 100_000;
/// Components within each other.
pub(super) const COMPONENT_DEPTH_MAX: usize = 32;
/// What a component says of its settings, as JSON Schema.
pub(super) const SCHEMA_BYTES_MAX: usize = 1 << 20;
/// The longest that an instance may take to start and to be configured: tables are built and interpreters boot then.
pub(super) const START_DEADLINE: Duration = Duration::from_secs(10);

/// A JavaScript engine boots with 67 MiB.
const DESCRIBING_BYTES_MAX: usize = 128 << 20;
/// What a thread that calls components has of stack: four times the most that `[limits] stack` may say, as wasmtime asks for.
pub const THREAD_STACK_BYTES: usize = 8 << 20;

/// The bounds of one instance. Beyond one of them the call fails, and the rest of the process does not notice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    /// CPU time of the longest batch call.
    pub deadline: Duration,
    /// CPU time of a start, and of each call that configures or describes.
    pub start_deadline: Duration,
    /// All linear memories of an instance together. Growing beyond it traps.
    pub memory_bytes_max: usize,
    /// Where an instance makes room for a fresh one.
    pub retire_at_bytes: usize,
    /// What a call may give back, and what the guest may hand over when it calls the host.
    pub output_bytes_max: usize,
    /// The rows that `enrich` and `emit` may give back in a call: a row without values costs no output bytes, but becomes a
    /// document.
    pub output_rows_max: usize,
    /// The states that one call carries; more are split by groups.
    pub states_bytes_max: usize,
    /// One state. A record that makes it larger is rejected.
    pub state_bytes_max: usize,
    /// Core instances in a component.
    pub instances_max: usize,
    /// Tables in a component.
    pub tables_max: usize,
    /// Entries of its tables together.
    pub table_entries_max: usize,
    /// Linear memories in a component.
    pub memories_max: usize,
    /// Lines of the log in a second.
    pub log_lines_max: usize,
    /// Its words are shown without these.
    pub secrets: Vec<Secret>,
}

impl From<&PluginLimits> for Limits {
    fn from(limits: &PluginLimits) -> Self {
        Limits {
            deadline: limits.deadline,
            start_deadline: START_DEADLINE,
            memory_bytes_max: limits.memory_bytes_max,
            retire_at_bytes: limits.retire_at_bytes,
            output_bytes_max: limits.output_bytes_max,
            // 64 for each record of the largest batch.
            output_rows_max: 1 << 18,
            // So that they fit the memory in both directions.
            states_bytes_max: 4 << 20,
            state_bytes_max: limits.state_bytes_max,
            instances_max: limits.instances_max,
            tables_max: limits.tables_max,
            table_entries_max: 1 << 18,
            memories_max: 16,
            log_lines_max: limits.log_lines_max,
            secrets: Vec::new(),
        }
    }
}

impl Limits {
    /// Of the instance that says who a component is, before a pipeline file says anything of it.
    pub fn describing() -> Self {
        Limits { memory_bytes_max: DESCRIBING_BYTES_MAX, ..Limits::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::from(&PluginLimits::default())
    }
}
