//! What an instance sees of the host: a log, and bounds on what it takes. No clock, file, socket or offset.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;
use wasmtime::component::{HasSelf, Linker};

use super::Limits;
use super::bindings::tidegate::plugin::log::{self, Level};

/// A message is cut here.
const MESSAGE_BYTES_MAX: usize = 4 << 10;
/// Lines of one instance in a second; the others are counted.
const LINES_MAX: u32 = 100;
const LINES_PERIOD: Duration = Duration::from_secs(1);

/// The data of a store.
pub(super) struct Host {
    name: Arc<str>,
    pub limiter: Limiter,
    gate: Gate,
    last_words: Option<String>,
}

impl Host {
    pub fn new(name: Arc<str>, limits: &Limits) -> Self {
        Host { name, limiter: Limiter::new(limits), gate: Gate::default(), last_words: None }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Forgets what was logged before this call.
    pub fn begin_call(&mut self) {
        self.last_words = None;
    }

    /// The last line that this call logged as an error, or printed: a panic message, when it trapped.
    pub fn last_words(&mut self) -> Option<String> {
        self.last_words.take()
    }

    /// A line on standard output or error, where a toolchain with WASI puts its panics.
    pub fn printed(&mut self, line: &str) {
        self.line(Level::Debug, line);
        self.last_words = Some(super::cut(line, MESSAGE_BYTES_MAX).to_owned());
    }

    fn line(&mut self, level: Level, message: &str) {
        let message = super::cut(message, MESSAGE_BYTES_MAX);
        if level == Level::Error {
            self.last_words = Some(message.to_owned());
        }
        match self.gate.pass(Instant::now()) {
            Pass::Yes => {}
            Pass::After(dropped) => {
                tracing::warn!(target: "tidegate::plugin", plugin = %self.name, dropped, "log lines of the plugin were dropped");
            }
            Pass::No => return,
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
#[derive(Default)]
struct Gate {
    since: Option<Instant>,
    lines: u32,
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
    fn pass(&mut self, now: Instant) -> Pass {
        if self.since.is_none_or(|since| now.duration_since(since) >= LINES_PERIOD) {
            self.since = Some(now);
            self.lines = 0;
        }
        if self.lines == LINES_MAX {
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

/// Bounds the memories of an instance together. (wasmtime's own `StoreLimits` bounds each alone.)
pub(super) struct Limiter {
    memory_bytes: usize,
    memory_bytes_max: usize,
    table_entries_max: usize,
    instances_max: usize,
    tables_max: usize,
    memories_max: usize,
}

impl Limiter {
    fn new(limits: &Limits) -> Self {
        Limiter {
            memory_bytes: 0,
            memory_bytes_max: limits.memory_bytes_max,
            table_entries_max: limits.table_entries_max,
            instances_max: limits.instances_max,
            tables_max: limits.tables_max,
            memories_max: limits.memories_max,
        }
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
        self.memory_bytes = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error.context("memory cannot grow"))
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.table_entries_max {
            wasmtime::bail!("it asked for a table of {desired} entries, its limit is {}", self.table_entries_max);
        }
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
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

    #[test]
    fn lines_beyond_the_rate_are_dropped_and_counted() {
        let start = Instant::now();
        let mut gate = Gate::default();
        for _ in 0..LINES_MAX {
            assert_eq!(gate.pass(start), Pass::Yes);
        }
        assert_eq!(gate.pass(start), Pass::No);
        assert_eq!(gate.pass(start + LINES_PERIOD / 2), Pass::No);
        assert_eq!(gate.pass(start + LINES_PERIOD), Pass::After(2));
        assert_eq!(gate.pass(start + LINES_PERIOD), Pass::Yes);
    }

    #[test]
    fn memories_count_together() {
        let mut limiter = Limiter::new(&Limits { memory_bytes_max: 100, ..Limits::default() });
        assert!(limiter.memory_growing(0, 60, None).is_ok_and(|grown| grown));
        assert!(limiter.memory_growing(0, 30, None).is_ok_and(|grown| grown));
        assert!(limiter.memory_growing(30, 41, None).is_err());
        assert!(limiter.memory_growing(60, 70, None).is_ok_and(|grown| grown));
    }
}
