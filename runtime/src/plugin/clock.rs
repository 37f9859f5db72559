//! The clock of deadlines: CPU time of the thread that calls, looked at whenever a thread of its own ticks.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use wasmtime::EngineWeak;

/// How exact deadlines are as a rule.
const COARSE: Duration = Duration::from_millis(10);
/// And while there are short ones.
const FINE: Duration = Duration::from_micros(30);
/// Deadlines below it are short.
const SHORT: Duration = Duration::from_millis(20);
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

/// How long a reading serves: so much more than its share a thread may seem to have had, where it was kept from running.
const READING_FOR: Duration = Duration::from_micros(200);
/// Shorter times are not worth asking the system.
const EXACT_FROM: Duration = Duration::from_micros(20);

thread_local! {
    /// CPU time, and when it was read.
    static READING: Cell<Option<(Duration, Instant)>> = const { Cell::new(None) };
}

/// [`cpu_time`], a little more at most. To ask the system costs as much as a short call, so that is done now and then, and
/// in between the time on the wall is added.
pub(super) fn about_cpu_time() -> Duration {
    let now = Instant::now();
    match READING.get().map(|(time, at)| (time, now.saturating_duration_since(at))) {
        Some((time, since)) if since < READING_FOR => time + since,
        Some(_) | None => read(now),
    }
}

/// CPU time since then, by [`about_cpu_time`].
pub(super) fn cpu_time_since(begun: Duration) -> Duration {
    let about = about_cpu_time().saturating_sub(begun);
    if about < EXACT_FROM { about } else { read(Instant::now()).saturating_sub(begun) }
}

fn read(now: Instant) -> Duration {
    let time = cpu_time();
    READING.set(Some((time, now)));
    time
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
        be_punctual();
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

/// The system lets threads sleep 50 µs longer than they want, to wake several at once. Not this one.
fn be_punctual() {
    #[cfg(target_os = "linux")]
    // SAFETY: it takes numbers only. That it may fail is no matter: deadlines are less exact then.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1);
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

    #[test]
    fn what_is_read_now_and_then_is_never_much_more() {
        let (end, clocks_differ_by) = (cpu_time() + Duration::from_millis(2), Duration::from_micros(1));
        while cpu_time() < end {
            let (least, about, most) = (cpu_time(), about_cpu_time(), cpu_time() + READING_FOR);
            assert!(
                least <= about + clocks_differ_by && about <= most + clocks_differ_by,
                "{least:?} {about:?} {most:?}"
            );
        }
    }
}
