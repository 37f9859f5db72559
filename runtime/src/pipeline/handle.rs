//! The pipeline from outside: stop it, look at it, wait until it runs.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

use tokio::sync::{mpsc, oneshot};

use super::reload::Request;
use super::shared::Shared;
use super::tap::TapRequest;
use super::{Phase, Snapshot};

const NOT_RUNNING: &str = "the pipeline does not run";

/// One pipeline, as its caller, its console and its tests hold it. Made before the pipeline runs; clones are the same one.
#[derive(Clone)]
pub struct Handle(Arc<Outside>);

struct Outside {
    stop: Sender<()>,
    stopped: Receiver<()>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    phase: Phase,
    shared: Option<Arc<Shared>>,
}

impl Default for Handle {
    fn default() -> Self {
        let (stop, stopped) = bounded(1);
        Handle(Arc::new(Outside { stop, stopped, state: Mutex::default(), changed: Condvar::new() }))
    }
}

impl Handle {
    pub fn new() -> Self {
        Handle::default()
    }

    /// Drains the pipeline: nothing more is read, what is in flight is brought home. Once is enough.
    pub fn stop(&self) {
        let _ = self.0.stop.try_send(());
    }

    /// After it has stopped: another pipeline is to be run with this handle.
    pub fn begin_again(&self) {
        let _ = self.0.stopped.try_recv();
        *self.lock() = State::default();
    }

    /// The pipeline now. Before it runs and after it, all counts but the phase are as they were last.
    pub fn snapshot(&self) -> Snapshot {
        let (phase, shared) = {
            let state = self.lock();
            (state.phase, state.shared.clone())
        };
        match shared {
            Some(shared) => shared.snapshot(phase),
            None => Snapshot { phase, ..Snapshot::default() },
        }
    }

    /// Deploys what the files say now, even what was refused before; what became of it, in words.
    pub async fn reload(&self) -> Result<String, String> {
        self.ask(|answer| Request::Reload { answer }).await
    }

    /// Lets the generation before serve at this place.
    pub async fn roll_back(&self, name: String) -> Result<String, String> {
        self.ask(|answer| Request::RollBack { name, answer }).await
    }

    /// Lines of JSON about what passes a place, as long as they are received; why there are none, in words.
    pub fn tap(&self, request: &TapRequest) -> Result<mpsc::Receiver<String>, String> {
        let shared = self.lock().shared.clone().ok_or(NOT_RUNNING)?;
        let reload = self.snapshot().reload;
        let names: Vec<String> = reload.places.into_iter().map(|place| place.name).collect();
        shared.taps.open(request, &names)
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<String, String>>) -> Request,
    ) -> Result<String, String> {
        let shared = self.lock().shared.clone();
        let (answer, answered) = oneshot::channel();
        match shared.is_some_and(|shared| shared.ask_reload(request(answer))) {
            true => answered.await.unwrap_or_else(|_| Err(NOT_RUNNING.to_owned())),
            false => Err(NOT_RUNNING.to_owned()),
        }
    }

    /// Waits until the pipeline runs (`true`), or has stopped or not begun to by the deadline.
    pub fn wait_running(&self, deadline: Instant) -> bool {
        let mut state = self.lock();
        loop {
            match state.phase {
                Phase::Running => return true,
                Phase::Draining | Phase::Stopped => return false,
                Phase::Starting => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn stopped(&self) -> &Receiver<()> {
        &self.0.stopped
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
        self.0.changed.notify_all();
    }

    pub(crate) fn show(&self, shared: Arc<Shared>) {
        self.lock().shared = Some(shared);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
