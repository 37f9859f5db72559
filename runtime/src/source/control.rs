//! What the handle and the poll thread share: what is asked of the thread, and what it shows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::SourceStatus;

pub(super) struct Control {
    began: Instant,
    drain: AtomicBool,
    close_by: Mutex<Option<Instant>>,
    /// Milliseconds since `began`.
    polled: AtomicU64,
    status: Mutex<SourceStatus>,
}

impl Control {
    pub(super) fn new(now: Instant) -> Self {
        let status = SourceStatus {
            polled: now,
            connected: true,
            word: None,
            draining: false,
            stale_records: 0,
            lost_records: 0,
            partitions: Vec::new(),
        };
        Control {
            began: now,
            drain: AtomicBool::new(false),
            close_by: Mutex::new(None),
            polled: AtomicU64::new(0),
            status: Mutex::new(status),
        }
    }

    pub(super) fn drain(&self) {
        self.drain.store(true, Ordering::Relaxed);
    }

    pub(super) fn must_drain(&self) -> bool {
        self.drain.load(Ordering::Relaxed)
    }

    /// The first deadline holds.
    pub(super) fn close(&self, deadline: Instant) {
        lock(&self.close_by).get_or_insert(deadline);
    }

    pub(super) fn close_by(&self) -> Option<Instant> {
        *lock(&self.close_by)
    }

    pub(super) fn polled(&self, now: Instant) {
        let millis = u64::try_from(now.duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        self.polled.store(millis, Ordering::Relaxed);
    }

    pub(super) fn show(&self, status: SourceStatus) {
        *lock(&self.status) = status;
    }

    pub(super) fn status(&self) -> SourceStatus {
        let polled = self.began + Duration::from_millis(self.polled.load(Ordering::Relaxed));
        SourceStatus { polled, ..lock(&self.status).clone() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
