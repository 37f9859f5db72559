//! `[audit]`: where it is written down who dropped which record, and how much of that.

use std::path::PathBuf;

/// `[audit]`: a line of JSON for each record that a filter, an enricher, a rule of `policy` or `late = "drop"` dropped. Without it they are
/// only counted. [audit.md](audit.md) says what is in a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditSettings {
    /// The file, starting at the folder of the pipeline file. Each process needs one of its own: `"audit-${HOSTNAME}.ndjson"`.
    /// Value: a path. Required.
    pub path: PathBuf,
    /// Of a hundred records that are dropped, so many are written down. Which ones is decided by their origin: a record that is read again is
    /// written down again, or again is not.
    /// Value: a number from 1 to 100. Default: 100.
    pub percent: u8,
    /// A file that has grown to this makes room for a new one: `audit.ndjson` becomes `audit.ndjson.1`, that one `audit.ndjson.2`, and so on.
    /// Value: a size from 64KiB to 1TiB. Default: `100MiB`.
    pub file_bytes_max: usize,
    /// How many files there are, the one that is written to among them. The oldest one goes.
    /// Value: a number from 1 to 1000. Default: 5.
    pub files_max: usize,
}
