//! A live instance: a store of its own, the functions that it exports, and the bounds of each call.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap, WasmBacktrace};

use super::bindings::exports::tidegate::plugin::{aggregate, enrich, filter, plugin};
use super::engine::ticks;
use super::host::Host;
use super::limits::Limits;
use super::pool::Crowded;
use super::{CallError, Engine, Usage};

/// What a guest's last words are cut to, within a reason.
const LAST_WORDS_BYTES_MAX: usize = 512;

/// The calls that an instance serves before its memory can make it due, so that fresh ones cost little beside them.
const RETIRE_CALLS_MIN: u32 = 32;

/// After a call that failed its store is unusable: drop it.
pub(super) struct Live {
    store: Store<Host>,
    pre: InstancePre<Host>,
    instance: Instance,
    plugin: plugin::Guest,
    /// Of the next call.
    deadline: Duration,
    calls: u32,
    /// When it had started.
    memory_bytes_first: usize,
}

/// An exported interface, found in an instance.
pub(super) trait Interface: Sized {
    fn find(pre: &InstancePre<Host>, store: &mut Store<Host>, instance: &Instance) -> wasmtime::Result<Self>;
}

impl Live {
    /// Runs the guest's start function. Calls have the deadline of a start until [`Live::give`].
    pub fn start(
        engine: &Engine,
        pre: &InstancePre<Host>,
        name: &Arc<str>,
        limits: &Limits,
        usage: &Arc<Usage>,
    ) -> Result<Self, CallError> {
        let mut store = Store::new(pre.engine(), Host::new(name.clone(), limits, engine.pool().clone(), usage.clone()));
        store.limiter(|host| &mut host.limiter);
        store.set_hostcall_fuel(limits.output_bytes_max);
        let deadline = limits.start_deadline;
        store.set_epoch_deadline(ticks(deadline));
        let started = pre.instantiate(&mut store).and_then(|instance| {
            let plugin = plugin::GuestIndices::new(pre)?.load(&mut store, &instance)?;
            Ok((instance, plugin))
        });
        let memory_bytes_first = store.data().limiter.memory_bytes;
        usage.had(memory_bytes_first);
        match started {
            Ok((instance, plugin)) => {
                Ok(Live { store, pre: pre.clone(), instance, plugin, deadline, calls: 0, memory_bytes_first })
            }
            Err(error) => Err(failure(&error, store.data_mut(), deadline)),
        }
    }

    /// What each call from now on has of time.
    pub fn give(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Of all its linear memories together.
    pub fn memory_bytes(&self) -> usize {
        self.store.data().limiter.memory_bytes
    }

    /// Whether a fresh one should take its place: its memory has grown so far, or others wait for memory. One that gets there in
    /// few calls needs that much, and so would the next.
    pub fn is_due(&self, retire_at_bytes: usize) -> bool {
        let limiter = &self.store.data().limiter;
        limiter.memory_bytes > self.memory_bytes_first
            && (limiter.memory_bytes >= retire_at_bytes && self.calls >= RETIRE_CALLS_MIN || limiter.is_tight())
    }

    /// Fails where the interface is not of the types that the bindings have; nothing of the guest runs.
    pub fn find<I: Interface>(&mut self) -> Result<I, String> {
        I::find(&self.pre, &mut self.store, &self.instance).map_err(|error| format!("{error:#}"))
    }

    pub fn describe(&mut self) -> Result<plugin::Identity, CallError> {
        let plugin = self.plugin.clone();
        self.call(|store| plugin.call_describe(store))
    }

    pub fn configure(&mut self, settings: &str) -> Result<Result<plugin::Ports, String>, CallError> {
        let plugin = self.plugin.clone();
        self.call(|store| plugin.call_configure(store, settings))
    }

    pub fn call<T>(&mut self, call: impl FnOnce(&mut Store<Host>) -> wasmtime::Result<T>) -> Result<T, CallError> {
        self.store.set_epoch_deadline(ticks(self.deadline));
        self.store.data_mut().begin_call();
        self.calls = self.calls.saturating_add(1);
        call(&mut self.store).map_err(|error| failure(&error, self.store.data_mut(), self.deadline))
    }
}

impl Interface for filter::Guest {
    fn find(pre: &InstancePre<Host>, store: &mut Store<Host>, instance: &Instance) -> wasmtime::Result<Self> {
        filter::GuestIndices::new(pre)?.load(store, instance)
    }
}

impl Interface for enrich::Guest {
    fn find(pre: &InstancePre<Host>, store: &mut Store<Host>, instance: &Instance) -> wasmtime::Result<Self> {
        enrich::GuestIndices::new(pre)?.load(store, instance)
    }
}

impl Interface for aggregate::Guest {
    fn find(pre: &InstancePre<Host>, store: &mut Store<Host>, instance: &Instance) -> wasmtime::Result<Self> {
        aggregate::GuestIndices::new(pre)?.load(store, instance)
    }
}

/// Why a call did not come back; `deadline` is the one that it had.
fn failure(error: &wasmtime::Error, host: &mut Host, deadline: Duration) -> CallError {
    if let Some(Crowded { bytes, bytes_max }) = error.downcast_ref::<Crowded>() {
        return CallError::Crowded { bytes: *bytes, bytes_max: *bytes_max };
    }
    let cause = match (error.downcast_ref::<Trap>(), error.downcast_ref::<WasmBacktrace>()) {
        (Some(Trap::Interrupt), _) => {
            return CallError::Deadline { millis: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX) };
        }
        (Some(trap), _) => trap.to_string(),
        (None, Some(_)) => error.root_cause().to_string(),
        (None, None) => format!("{error:#}"),
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        tracing::debug!(target: "tidegate::plugin", plugin = host.name(), "the plugin trapped: {cause}\n{backtrace}");
    }
    // wasmtime has no public type for it; a test holds its words.
    if cause.contains("fuel allocated for hostcalls has been exhausted") {
        return CallError::Contract("it hands over more bytes in one call than its output limit".into());
    }
    let cause = cause.strip_prefix("wasm trap: ").unwrap_or(&cause);
    CallError::Trap(match host.last_words() {
        Some(words) => format!("{cause}; its last words: {}", super::cut(&words, LAST_WORDS_BYTES_MAX)),
        None => cause.to_owned(),
    })
}
