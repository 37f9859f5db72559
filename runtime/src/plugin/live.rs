//! A live instance: a store of its own, the functions that it exports, and the bounds of each call.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};

use super::bindings::exports::tidegate::plugin::{aggregate, enrich, filter, plugin};
use super::clock::{Clock, about_cpu_time, cpu_time};
use super::host::Host;
use super::limits::Limits;
use super::pace::Place;
use super::pool::Crowded;
use super::trace::Trace;
use super::{CallError, Engine, Usage};

/// What a guest's last words are cut to, within a reason.
const LAST_WORDS_BYTES_MAX: usize = 512;

/// Of a guest that was interrupted: more would tell apart how deep the same loop was reached.
const INTERRUPTED_FRAMES: usize = 4;

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
    clock: Clock,
    /// Where the guest was when a call broke.
    place: Place,
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
        store.data_mut().until = cpu_time().saturating_add(deadline);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            Ok(match cpu_time() < context.data().until {
                true => UpdateDeadline::Continue(1),
                false => UpdateDeadline::Interrupt,
            })
        });
        let started = pre.instantiate(&mut store).and_then(|instance| {
            let plugin = plugin::GuestIndices::new(pre)?.load(&mut store, &instance)?;
            Ok((instance, plugin))
        });
        let memory_bytes_first = store.data().limiter.memory_bytes;
        usage.had(memory_bytes_first);
        match started {
            Ok((instance, plugin)) => {
                let (pre, clock) = (pre.clone(), engine.clock().clone());
                let place = Place::default();
                Ok(Live { store, pre, instance, plugin, deadline, clock, place, calls: 0, memory_bytes_first })
            }
            Err(error) => Err(failure(&error, place(&error), store.data_mut(), deadline, false)),
        }
    }

    /// A call for rows comes, which has so much time.
    pub fn give(&mut self, deadline: Duration) {
        self.deadline = deadline;
        self.calls = self.calls.saturating_add(1);
    }

    /// Whether no call has been made for rows yet.
    pub fn is_fresh(&self) -> bool {
        self.calls == 0
    }

    /// Where the guest was when a call broke.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Whether it has more memory than when it had started.
    pub fn has_grown(&self) -> bool {
        self.memory_bytes() > self.memory_bytes_first
    }

    /// Of all its linear memories together.
    pub fn memory_bytes(&self) -> usize {
        self.store.data().limiter.memory_bytes
    }

    /// Whether a fresh one should take its place: its memory has grown so far, or others wait for memory. One that gets there in
    /// few calls needs that much, and so would the next.
    pub fn is_due(&self, retire_at_bytes: usize) -> bool {
        let limiter = &self.store.data().limiter;
        let has_grown_to = self.has_grown() && limiter.memory_bytes >= retire_at_bytes;
        has_grown_to && self.calls >= RETIRE_CALLS_MIN || limiter.is_wanted(self.memory_bytes_first)
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
        self.clock.expect(self.deadline);
        self.store.set_epoch_deadline(1);
        let host = self.store.data_mut();
        host.until = about_cpu_time().saturating_add(self.deadline);
        host.begin_call();
        call(&mut self.store).map_err(|error| {
            self.place = place(&error);
            failure(&error, self.place, self.store.data_mut(), self.deadline, true)
        })
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

/// By the instructions of its frames. (A guest is interrupted where a function or a turn of a loop begins.)
fn place(error: &wasmtime::Error) -> Place {
    let trap = error.downcast_ref::<Trap>();
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
    let most = if trap == Some(&Trap::Interrupt) { INTERRUPTED_FRAMES } else { usize::MAX };
    let mut hasher = DefaultHasher::new();
    trap.map(|trap| *trap as u8).hash(&mut hasher);
    for frame in frames.iter().take(most) {
        (frame.func_index(), frame.module_offset()).hash(&mut hasher);
    }
    Place(hasher.finish())
}

/// Why a call did not come back; `deadline` is the one that it had. `called`: the guest had started.
fn failure(error: &wasmtime::Error, place: Place, host: &mut Host, deadline: Duration, called: bool) -> CallError {
    if let Some(Crowded { bytes, bytes_max }) = error.downcast_ref::<Crowded>() {
        return CallError::Crowded { bytes: *bytes, bytes_max: *bytes_max };
    }
    let cause = match (error.downcast_ref::<Trap>(), error.downcast_ref::<WasmBacktrace>()) {
        (Some(Trap::Interrupt), _) => {
            let trace = tell(host, "did not come back in time", place, error);
            return CallError::Deadline { time: deadline, trace: trace.short() };
        }
        (Some(trap), _) => trap.to_string(),
        (None, Some(_)) => error.root_cause().to_string(),
        (None, None) => format!("{error:#}"),
    };
    let is_malformed =
        called && error.downcast_ref::<Trap>().is_none() && error.downcast_ref::<WasmBacktrace>().is_none();
    // wasmtime has no public type for it; a test holds its words.
    if cause.contains("fuel allocated for hostcalls has been exhausted") {
        return CallError::Contract("it hands over more bytes in one call than its output limit".into());
    }
    // Nothing of the guest ran: what it answered, or where it says that there is room, is to blame.
    if is_malformed {
        return CallError::Contract(format!("its values cannot be read or written: {cause}"));
    }
    let cause = cause.strip_prefix("wasm trap: ").unwrap_or(&cause);
    match host.last_words() {
        Some(words) => {
            let cause = format!("{cause}; its last words: {}", super::cut(&words, LAST_WORDS_BYTES_MAX));
            let trace = tell(host, &cause, place, error);
            CallError::Trap(cause + &trace.short_after_words())
        }
        None => {
            let trace = tell(host, cause, place, error);
            CallError::Trap(cause.to_owned() + &trace.short())
        }
    }
}

/// In the log, once for each place and now and then.
fn tell(host: &Host, cause: &str, place: Place, error: &wasmtime::Error) -> Arc<Trace> {
    let (trace, times) = host.usage().causes().count(place, || Trace::of(error));
    if let Some(times) = times {
        tracing::warn!(target: "tidegate::plugin", plugin = host.name(), times, "the plugin broke a call: {cause}{trace}");
    }
    trace
}
