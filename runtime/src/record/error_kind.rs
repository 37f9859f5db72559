//! What an error asks of the operator.

/// Each room's error maps to one of these; the exit code follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// The pipeline file, a setting or the way it was called: fix it.
    Config,
    /// A component does not load, refuses its settings or broke its contract: ask its author.
    Plugin,
    /// A component breaks on most records: they wait for a better one.
    Failing,
    /// A server does not answer or does not let us in. While running we wait and try again.
    Unavailable,
    /// Records that cannot be processed: they become dead letters.
    Data,
    /// Going on could lose or repeat something: stop and choose.
    Corrupt,
    /// A bug of ours: report it.
    Internal,
}

/// An error that says what it asks of the operator.
pub trait HasKind {
    fn kind(&self) -> ErrorKind;
}
