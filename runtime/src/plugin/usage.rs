//! What a plugin has done and taken since it was configured, all its instances together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::trace::Causes;
use crate::record::{Output, ReasonKind, Rejection, Verdicts};

/// Counted once for each call, never for each record. It is shared by the plugin's clones and instances, and outlives them.
#[derive(Default, Debug)]
pub struct Usage {
    calls: AtomicU64,
    rows: AtomicU64,
    dropped: AtomicU64,
    rejected: AtomicU64,
    broken: AtomicU64,
    nanos: AtomicU64,
    memory_bytes_most: AtomicU64,
    restarts: AtomicU64,
    log_lines_dropped: AtomicU64,
    causes: Arc<Causes>,
}

/// [`Usage`] at some moment; the counts may be some calls apart from each other.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Debug)]
pub struct UsageCounts {
    /// Calls of the component that carry rows or states, those included that broke.
    pub calls: u64,
    /// Records (of `emit`: states) that came to it, each once, however often it was called again.
    pub rows: u64,
    /// Of the rows: those that it dropped.
    pub dropped: u64,
    /// Of the rows: those that it rejected, or that made a state too large.
    pub rejected: u64,
    /// Of the rows: those on which a call broke, whatever `on_trap` made of them.
    pub broken: u64,
    /// Of CPU time, within calls.
    pub nanos: u64,
    /// The most that an instance had of linear memory.
    pub memory_bytes_most: u64,
    /// Instances that took the place of another.
    pub restarts: u64,
    /// Lines that were too many for the log.
    pub log_lines_dropped: u64,
}

impl Usage {
    /// For instances that do not serve. What was logged of calls that broke is not logged again.
    pub(super) fn aside(&self) -> Usage {
        Usage { causes: self.causes.clone(), ..Usage::default() }
    }

    pub fn read(&self) -> UsageCounts {
        UsageCounts {
            calls: self.calls.load(Relaxed),
            rows: self.rows.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            broken: self.broken.load(Relaxed),
            nanos: self.nanos.load(Relaxed),
            memory_bytes_most: self.memory_bytes_most.load(Relaxed),
            restarts: self.restarts.load(Relaxed),
            log_lines_dropped: self.log_lines_dropped.load(Relaxed),
        }
    }

    pub(super) fn causes(&self) -> &Causes {
        &self.causes
    }

    pub(super) fn called(&self, took: Duration, memory_bytes: usize) {
        self.calls.fetch_add(1, Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        self.had(memory_bytes);
    }

    pub(super) fn had(&self, memory_bytes: usize) {
        self.memory_bytes_most.fetch_max(memory_bytes as u64, Relaxed);
    }

    pub(super) fn filtered(&self, rows: u32, verdicts: &Verdicts) {
        let gone = memchr::memchr_iter(0, &verdicts.keep).count();
        self.judged(rows, gone.saturating_sub(verdicts.rejected.len()), &verdicts.rejected);
    }

    pub(super) fn gave(&self, rows: u32, output: &Output) {
        let passed = match &output.rows {
            None => rows as usize - output.rejected.len(),
            Some(from) => from.len() - from.windows(2).filter(|pair| pair[0] == pair[1]).count(),
        };
        self.judged(rows, (rows as usize).saturating_sub(passed + output.rejected.len()), &output.rejected);
    }

    pub(super) fn judged(&self, rows: u32, dropped: usize, rejected: &[Rejection]) {
        let rejected = rejected.iter().filter(|rejection| rejection.reason.kind == ReasonKind::Plugin).count();
        self.rows.fetch_add(u64::from(rows), Relaxed);
        self.dropped.fetch_add(dropped as u64, Relaxed);
        self.rejected.fetch_add(rejected as u64, Relaxed);
    }

    pub(super) fn broke(&self, rows: usize) {
        self.broken.fetch_add(rows as u64, Relaxed);
    }

    pub(super) fn restarted(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    pub(super) fn dropped_line(&self) {
        self.log_lines_dropped.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Reason;

    fn rejection(row: u32, kind: ReasonKind) -> Rejection {
        Rejection { row, reason: Reason::new(kind, "no") }
    }

    #[test]
    fn what_was_dropped_is_told_from_what_was_rejected_and_what_broke() {
        let usage = Usage::default();
        let rejected = vec![rejection(1, ReasonKind::Plugin), rejection(2, ReasonKind::Trap)];
        usage.filtered(5, &Verdicts { keep: vec![1, 0, 0, 0, 1], rejected: rejected.clone() });
        usage.broke(1);
        let counts = usage.read();
        assert_eq!((counts.rows, counts.dropped, counts.rejected, counts.broken), (5, 1, 1, 1));
        usage.gave(5, &Output { rows: Some(vec![0, 0, 4]), columns: Vec::new(), rejected: rejected.clone() });
        usage.gave(5, &Output { rows: None, columns: Vec::new(), rejected });
        let counts = usage.read();
        assert_eq!((counts.rows, counts.dropped, counts.rejected), (15, 2, 3));
    }
}
