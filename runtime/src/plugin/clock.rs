//! The clock of deadlines: CPU time of the thread that calls, looked at whenever a thread of its own ticks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use wasmtime::EngineWeak;

/// How exact deadlines are as a rule.
const COARSE: Duration = Duration::from_millis(10);
/// And while there are short ones.
const FINE: Duration = Duration::from_micros(50);
/// Deadlines below it are short.
const SHORT: Duration = Duration::from_millis(100);
/// For so long the clock goes on to tick finely.
const FINE_FOR: Duration = Duration::from_millis(50);

/// What the calling thread has had of its core. A thread that others keep from running is not blamed for it, and one that waits
/// stands still.
pub fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that lives through the call, which only writes it.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    debug_assert_eq!(code, 0, "every thread has this clock");
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

#[derive(Clone, Debug)]
pub(super) struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begun: Instant,
    /// Until then, in nanoseconds since the beginning, it ticks finely.
    fine_until: AtomicU64,
    is_coarse: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Clock {
    /// The thread ends with the engine.
    pub fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let clock = Clock(Arc::new(Inner {
            begun: Instant::now(),
            fine_until: AtomicU64::new(0),
            is_coarse: AtomicBool::new(false),
            thread: OnceLock::new(),
        }));
        let thread = thread::Builder::new().name("plugin-deadlines".into()).stack_size(64 << 10);
        let ticking = clock.clone();
        let handle = thread.spawn(move || ticking.0.tick(&engine))?;
        let _ = clock.0.thread.set(handle.thread().clone());
        Ok(clock)
    }

    /// A call begins that has so much time.
    pub fn expect(&self, deadline: Duration) {
        if deadline >= SHORT {
            return;
        }
        self.0.fine_until.store(self.0.now().saturating_add(nanos(FINE_FOR)), SeqCst);
        if self.0.is_coarse.swap(false, SeqCst) {
            self.0.thread.get().into_iter().for_each(Thread::unpark);
        }
    }
}

impl Inner {
    fn tick(&self, engine: &EngineWeak) {
        loop {
            // Said before it is looked at, so that who makes it fine in between wakes this thread.
            self.is_coarse.store(true, SeqCst);
            let is_coarse = self.now() >= self.fine_until.load(SeqCst);
            self.is_coarse.store(is_coarse, SeqCst);
            thread::park_timeout(if is_coarse { COARSE } else { FINE });
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    }

    fn now(&self) -> u64 {
        nanos(self.begun.elapsed())
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_passes_while_a_thread_computes_and_stands_while_it_waits() {
        let begun = cpu_time();
        while cpu_time() < begun + Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        let (wall, cpu) = (Instant::now(), cpu_time());
        thread::park_timeout(Duration::from_millis(30));
        assert!(cpu_time() - cpu < wall.elapsed());
    }
}
