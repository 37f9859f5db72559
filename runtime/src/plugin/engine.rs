//! The engine that compiles and runs all components of the process, and the thread that makes their deadlines pass.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::{Config, WasmBacktraceDetails};

use super::PluginError;
use super::cache::CodeCache;
use super::clock::Clock;
use super::functions::Functions;
use super::limits::STACK_BYTES_MAX;
use super::pool::Pool;

/// One for the process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    wasm: wasmtime::Engine,
    cache: Option<Arc<CodeCache>>,
    clock: Clock,
    pool: Arc<Pool>,
}

/// What all components of the process share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EngineSettings {
    /// The stack of a call; at most a quarter of [`super::THREAD_STACK_BYTES`].
    pub stack_bytes_max: usize,
    /// The linear memories of all instances together.
    pub memory_bytes_max: usize,
    /// The folder in which compiled code is kept; none: it is compiled each time.
    pub code_cache: Option<PathBuf>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        EngineSettings { stack_bytes_max: STACK_BYTES_MAX, memory_bytes_max: usize::MAX, code_cache: None }
    }
}

/// The memories of all instances.
#[derive(Clone, Default, Debug)]
pub struct ComponentsMemory(Arc<Pool>);

impl ComponentsMemory {
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes()
    }
}

impl Engine {
    pub fn new() -> Result<Self, PluginError> {
        Self::with(&EngineSettings::default())
    }

    /// Starts the thread that ticks; it ends with the last clone of the engine and the last component made with it.
    pub fn with(settings: &EngineSettings) -> Result<Self, PluginError> {
        let mut config = Config::new();
        config
            .concurrency_support(false)
            .epoch_interruption(true)
            .max_wasm_stack(settings.stack_bytes_max)
            .wasm_backtrace_details(WasmBacktraceDetails::Enable)
            // The same input must give the same output on every machine: a replay is compared with what is there.
            .cranelift_nan_canonicalization(true)
            .wasm_relaxed_simd(false);
        let failed = |error: wasmtime::Error| PluginError::Engine(format!("{error:#}"));
        config.enable_incremental_compilation(Arc::new(Functions::new())).map_err(failed)?;
        let wasm = wasmtime::Engine::new(&config).map_err(failed)?;
        let clock = Clock::start(wasm.weak())
            .map_err(|error| PluginError::Engine(format!("cannot start the thread of deadlines: {error}")))?;
        let cache = settings.code_cache.as_deref().and_then(CodeCache::open).map(Arc::new);
        Ok(Engine { wasm, cache, clock, pool: Arc::new(Pool::new(settings.memory_bytes_max)) })
    }

    /// What the memories of its instances have together, for those who watch.
    pub fn memory(&self) -> ComponentsMemory {
        ComponentsMemory(self.pool.clone())
    }

    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// Compiles a component, or takes the code that was kept.
    pub(super) fn compile(&self, bytes: &[u8]) -> wasmtime::Result<Component> {
        let compile = || Component::from_binary(&self.wasm, bytes);
        match &self.cache {
            Some(cache) => cache.compiled(&self.wasm, bytes, compile),
            None => compile(),
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}
