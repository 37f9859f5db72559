//! `[checkpoint]`: where what the lanes remember is kept, and how often.

use std::time::Duration;

/// `[checkpoint]`: where open windows are kept, so that a restart does not read their records again. Without it the position stays at
/// the oldest record of an open window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointSettings {
    /// Stores: `file:///DIRECTORY`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`. The first decides who owns
    /// a partition and what a restart reads; the others get copies. Pipelines may share them. How to get in stands in the environment:
    /// `AWS_…`, `GOOGLE_…`, `AZURE_…`.
    /// Value: a list of URLs, at least one. Required.
    pub locations: Vec<String>,
    /// How often a checkpoint of each partition is written.
    /// Value: a duration from 1s to 1h. Default: `10s`.
    pub every: Duration,
    /// When the copies are written. `after` the position is committed: a location that does not answer holds nothing up, and what it has
    /// may be some checkpoints old. `before-commit`: the position waits for all of them.
    /// Value: `after` or `before-commit`. Default: `after`.
    pub copies: Copies,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Copies {
    BeforeCommit,
    After,
}
