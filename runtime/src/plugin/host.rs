//! What an instance sees of the host: a log, and bounds on what it takes. No clock, file, socket or offset.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;
use wasmtime::component::{HasSelf, Linker};

use super::Usage;
use super::bindings::tidegate::plugin::log::{self, Level};
use super::limits::Limits;
use super::pool::Pool;
use crate::config::Secret;

/// A message is cut here.
const MESSAGE_BYTES_MAX: usize = 4 << 10;
const LINES_PERIOD: Duration = Duration::from_secs(1);

/// The data of a store.
pub(super) struct Host {
    name: Arc<str>,
    usage: Arc<Usage>,
    pub limiter: Limiter,
    /// The CPU time of its thread at which the call ends.
    pub until: Duration,
    gate: Gate,
    secrets: Vec<Secret>,
    last_error: Option<String>,
    /// What was printed since the last end of a line.
    printed: Vec<u8>,
    last_printed: String,
}

impl Host {
    pub fn new(name: Arc<str>, limits: &Limits, pool: Arc<Pool>, usage: Arc<Usage>) -> Self {
        Host {
            name,
            usage,
            limiter: Limiter::new(limits, pool),
            until: Duration::MAX,
            gate: Gate::new(limits.log_lines_max),
            secrets: limits.secrets.clone(),
            last_error: None,
            printed: Vec::new(),
            last_printed: String::new(),
        }
    }

    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Forgets what was logged before this call.
    pub fn begin_call(&mut self) {
        self.last_error = None;
        self.printed.clear();
        self.last_printed.clear();
    }

    /// The last line that this call logged as an error, or else printed: a panic message, when it trapped.
    pub fn last_words(&mut self) -> Option<String> {
        self.print(b"\n");
        self.last_error.take().or_else(|| Some(std::mem::take(&mut self.last_printed)).filter(|line| !line.is_empty()))
    }

    /// Text for standard output or error, in pieces of any size. It is logged line by line; a line that the call does
    /// not end is lost with it.
    pub fn print(&mut self, text: &[u8]) {
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            self.printed.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.printed.len() > MESSAGE_BYTES_MAX {
                let line = std::mem::take(&mut self.printed);
                let line = String::from_utf8_lossy(&line);
                if !line.trim_end().is_empty() {
                    self.line(Level::Debug, line.trim_end());
                    self.last_printed = super::words(line.trim_end(), MESSAGE_BYTES_MAX, &self.secrets);
                }
            }
        }
    }

    fn line(&mut self, level: Level, message: &str) {
        let message = &*super::words(message, MESSAGE_BYTES_MAX, &self.secrets);
        if level == Level::Error {
            self.last_error = Some(message.to_owned());
        }
        match self.gate.pass(Instant::now()) {
            Pass::Yes => {}
            Pass::After(dropped) => {
                tracing::warn!(target: "tidegate::plugin", plugin = %self.name, dropped, "log lines of the plugin were dropped");
            }
            Pass::No => {
                self.usage.dropped_line();
                return;
            }
        }
        match level {
            Level::Debug => tracing::debug!(target: "tidegate::plugin", plugin = %self.name, "{message}"),
            Level::Info => tracing::info!(target: "tidegate::plugin", plugin = %self.name, "{message}"),
            Level::Warn => tracing::warn!(target: "tidegate::plugin", plugin = %self.name, "{message}"),
            Level::Error => tracing::error!(target: "tidegate::plugin", plugin = %self.name, "{message}"),
        }
    }
}

impl log::Host for Host {
    fn write(&mut self, level: Level, message: String) {
        self.line(level, &message);
    }
}

pub(super) fn add_log(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    log::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)
}

/// Lets some lines of each period through.
struct Gate {
    lines_max: usize,
    since: Option<Instant>,
    lines: usize,
    dropped: u64,
}

#[derive(PartialEq, Eq, Debug)]
enum Pass {
    Yes,
    /// So many were dropped before.
    After(u64),
    No,
}

impl Gate {
    fn new(lines_max: usize) -> Self {
        Gate { lines_max, since: None, lines: 0, dropped: 0 }
    }

    fn pass(&mut self, now: Instant) -> Pass {
        if self.since.is_none_or(|since| now.duration_since(since) >= LINES_PERIOD) {
            self.since = Some(now);
            self.lines = 0;
        }
        if self.lines == self.lines_max {
            self.dropped += 1;
            return Pass::No;
        }
        self.lines += 1;
        match std::mem::take(&mut self.dropped) {
            0 => Pass::Yes,
            dropped => Pass::After(dropped),
        }
    }
}

/// Bounds the memories of an instance together, and its tables. (wasmtime's own `StoreLimits` bounds each alone.)
pub(super) struct Limiter {
    pub memory_bytes: usize,
    pool: Arc<Pool>,
    memory_bytes_max: usize,
    table_entries: usize,
    table_entries_max: usize,
    instances_max: usize,
    tables_max: usize,
    memories_max: usize,
}

impl Limiter {
    fn new(limits: &Limits, pool: Arc<Pool>) -> Self {
        Limiter {
            memory_bytes: 0,
            pool,
            memory_bytes_max: limits.memory_bytes_max,
            table_entries: 0,
            table_entries_max: limits.table_entries_max,
            instances_max: limits.instances_max,
            tables_max: limits.tables_max,
            memories_max: limits.memories_max,
        }
    }
}

impl Limiter {
    /// Whether others need what it has beyond `first_bytes`.
    pub fn is_wanted(&self, first_bytes: usize) -> bool {
        self.pool.wants_back(self.memory_bytes.saturating_sub(first_bytes))
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.pool.give_back(self.memory_bytes);
    }
}

impl ResourceLimiter for Limiter {
    /// An allocator that gets -1 aborts without a word, so a refusal is a trap that says why.
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if total > self.memory_bytes_max {
            wasmtime::bail!("it asked for {total} bytes of memory, its limit is {}", self.memory_bytes_max);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.pool.take(total - self.memory_bytes)?;
        self.memory_bytes = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error.context("memory cannot grow"))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_entries.saturating_add(desired.saturating_sub(current));
        if total > self.table_entries_max {
            wasmtime::bail!("it asked for {total} entries of tables, its limit is {}", self.table_entries_max);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.table_entries = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances_max
    }

    fn tables(&self) -> usize {
        self.tables_max
    }

    fn memories(&self) -> usize {
        self.memories_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Arc<Pool> {
        Arc::new(Pool::new(1 << 20))
    }

    #[test]
    fn lines_beyond_the_rate_are_dropped_and_counted() {
        let start = Instant::now();
        let mut gate = Gate::new(3);
        for _ in 0..3 {
            assert_eq!(gate.pass(start), Pass::Yes);
        }
        assert_eq!(gate.pass(start), Pass::No);
        assert_eq!(gate.pass(start + LINES_PERIOD / 2), Pass::No);
        assert_eq!(gate.pass(start + LINES_PERIOD), Pass::After(2));
        assert_eq!(gate.pass(start + LINES_PERIOD), Pass::Yes);
    }

    #[test]
    fn the_last_words_are_an_error_or_a_line_that_was_printed() {
        let mut host = Host::new("test".into(), &Limits::default(), pool(), Arc::default());
        assert_eq!(host.last_words(), None);
        for piece in ["thread panicked", " at 3:4:\nindex ", "7 is out", " of range\n", "\n"] {
            host.print(piece.as_bytes());
        }
        assert_eq!(host.last_words().as_deref(), Some("index 7 is out of range"));
        host.line(Level::Error, "from the log");
        host.print(b"not ended");
        assert_eq!(host.last_words().as_deref(), Some("from the log"));
        host.begin_call();
        host.print(b"not ended either");
        assert_eq!(host.last_words().as_deref(), Some("not ended either"));
        host.print(&[b'x'; 3 * MESSAGE_BYTES_MAX]);
        host.begin_call();
        assert_eq!(host.last_words(), None);
    }

    #[test]
    fn memories_count_together() {
        let mut limiter = Limiter::new(&Limits { memory_bytes_max: 100, ..Limits::default() }, pool());
        assert!(limiter.memory_growing(0, 60, None).is_ok_and(|grown| grown));
        assert!(limiter.memory_growing(0, 30, None).is_ok_and(|grown| grown));
        assert!(limiter.memory_growing(30, 41, None).is_err());
        assert!(limiter.memory_growing(60, 70, None).is_ok_and(|grown| grown));
    }

    #[test]
    fn tables_count_together() {
        let mut limiter = Limiter::new(&Limits { table_entries_max: 100, ..Limits::default() }, pool());
        assert!(limiter.table_growing(0, 60, None).is_ok_and(|grown| grown));
        assert!(limiter.table_growing(0, 50, Some(40)).is_err(), "110 of 100");
        assert!(limiter.table_growing(0, 40, Some(30)).is_ok_and(|grown| !grown));
        assert!(limiter.table_growing(60, 100, None).is_ok_and(|grown| grown));
        assert!(limiter.table_growing(0, 1, None).is_err());
    }
}
