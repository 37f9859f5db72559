//! The engine that compiles and runs all components of the process, and the thread that makes their deadlines pass.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Config, EngineWeak};

use super::PluginError;
use super::limits::STACK_BYTES_MAX;
use super::pool::Pool;

/// How often the clock of deadlines ticks.
const TICK: Duration = Duration::from_millis(10);

/// One for the process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    wasm: wasmtime::Engine,
    pool: Arc<Pool>,
}

/// What all components of the process share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineLimits {
    /// The stack of a call; at most a quarter of [`super::THREAD_STACK_BYTES`].
    pub stack_bytes_max: usize,
    /// The linear memories of all instances together.
    pub memory_bytes_max: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        EngineLimits { stack_bytes_max: STACK_BYTES_MAX, memory_bytes_max: usize::MAX }
    }
}

impl Engine {
    pub fn new() -> Result<Self, PluginError> {
        Self::with_limits(EngineLimits::default())
    }

    /// Starts the thread that ticks; it ends with the last clone of the engine and the last component made with it.
    pub fn with_limits(limits: EngineLimits) -> Result<Self, PluginError> {
        let mut config = Config::new();
        config
            .concurrency_support(false)
            .epoch_interruption(true)
            .max_wasm_stack(limits.stack_bytes_max)
            // The same input must give the same output on every machine: a replay is compared with what is there.
            .cranelift_nan_canonicalization(true)
            .wasm_relaxed_simd(false);
        let wasm = wasmtime::Engine::new(&config).map_err(|error| PluginError::Engine(format!("{error:#}")))?;
        let weak = wasm.weak();
        std::thread::Builder::new()
            .name("plugin-deadlines".into())
            .stack_size(64 << 10)
            .spawn(move || tick(&weak))
            .map_err(|error| PluginError::Engine(format!("cannot start the thread of deadlines: {error}")))?;
        Ok(Engine { wasm, pool: Arc::new(Pool::new(limits.memory_bytes_max)) })
    }

    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

fn tick(engine: &EngineWeak) {
    loop {
        std::thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}

/// The ticks after which `deadline` has passed for certain: the first one may come at once.
pub(super) fn ticks(deadline: Duration) -> u64 {
    let ticks = deadline.as_nanos().div_ceil(TICK.as_nanos());
    u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_shorter_than_asked_for() {
        assert_eq!(ticks(Duration::from_millis(10)), 2);
        assert_eq!(ticks(Duration::from_millis(11)), 3);
        assert_eq!(ticks(Duration::from_secs(1)), 101);
    }
}
