//! What a component may take of the machine. Constants for now: settings for them hang on this struct later.

use std::time::Duration;

/// The bounds of one instance. Beyond one of them the call fails, and the rest of the process does not notice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// A component's file. Default: 128 MiB; interpreters have 20.
    pub component_bytes_max: usize,
    /// The longest that a batch call may take. Measured in ticks of 10 ms, rounded up. Default: 1 s, a thousand times
    /// what a batch takes.
    pub deadline: Duration,
    /// The longest that an instance may take to start and to be configured: tables are built and interpreters boot
    /// then. Default: 10 s.
    pub start_deadline: Duration,
    /// All linear memories of an instance together. Growing beyond it traps. Default: 64 MiB, enough for an
    /// interpreter and a batch.
    pub memory_bytes_max: usize,
    /// The stack of the guest. Fixed when the engine is made. Default: 512 KiB, a quarter of a thread's.
    pub stack_bytes_max: usize,
    /// What a call may give back, and what the guest may hand over when it calls the host. Default: 16 MiB, sixteen
    /// times the largest batch.
    pub output_bytes_max: usize,
    /// The rows that `enrich` and `emit` may give back in a call. Default: 262,144, 64 for each record of the largest
    /// batch: a row without values costs no output bytes, but becomes a document.
    pub output_rows_max: usize,
    /// Fields that a component may read, and write. Default: 1,024.
    pub fields_max: usize,
    /// The states that one call carries; more are split by groups. Default: 4 MiB, so that they fit the memory in both
    /// directions.
    pub states_bytes_max: usize,
    /// One state. A record that makes it larger is rejected. Default: 64 KiB, far below what a record of the parts
    /// topic holds.
    pub state_bytes_max: usize,
    /// Core instances in a component. Default: 512; a Python component has some dozens.
    pub instances_max: usize,
    /// Tables in a component. Default: 128.
    pub tables_max: usize,
    /// Entries of one table. Default: 262,144.
    pub table_entries_max: usize,
    /// Linear memories in a component. Default: 16.
    pub memories_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            component_bytes_max: 128 << 20,
            deadline: Duration::from_secs(1),
            start_deadline: Duration::from_secs(10),
            memory_bytes_max: 64 << 20,
            stack_bytes_max: 512 << 10,
            output_bytes_max: 16 << 20,
            output_rows_max: 1 << 18,
            fields_max: 1024,
            states_bytes_max: 4 << 20,
            state_bytes_max: 64 << 10,
            instances_max: 512,
            tables_max: 128,
            table_entries_max: 1 << 18,
            memories_max: 16,
        }
    }
}
