//! What the sink tells about itself, counted where it happens and read at any time.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How the sink stands; counts since it was started.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct SinkCounters {
    /// Documents that the index took.
    pub settled: u64,
    /// Documents of which the index had this version or a newer one.
    pub superseded: u64,
    /// Documents that the index refuses for good.
    pub rejected: u64,
    /// Documents that it refuses, and of which the policy wants no dead letter.
    pub dropped: u64,
    /// Of the settled: those that went into a failure store.
    pub failure_store: u64,
    /// Documents that were sent again, each time.
    pub retried: u64,
    pub requests: u64,
    /// Bytes of bodies sent.
    pub bytes: u64,
    /// Time that requests took, added up.
    pub request_time: Duration,
    pub requests_in_flight: u64,
    /// How many may be, by what the index has shown to bear.
    pub requests_limit: u64,
    /// The size at which bulks are sent now: the setting, or what the index has shown to take.
    pub bulk_bytes: u64,
    pub last_error: Option<String>,
    /// Since when the index takes nothing, or not all, and its last word about that.
    pub unavailable: Option<(SystemTime, String)>,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub settled: AtomicU64,
    pub superseded: AtomicU64,
    pub rejected: AtomicU64,
    pub dropped: AtomicU64,
    pub failure_store: AtomicU64,
    pub retried: AtomicU64,
    pub requests: AtomicU64,
    pub bytes: AtomicU64,
    pub request_micros: AtomicU64,
    pub requests_in_flight: AtomicU64,
    pub requests_limit: AtomicU64,
    pub bulk_bytes: AtomicU64,
    /// Bytes of documents that were submitted and are not judged.
    pub in_flight_bytes: AtomicUsize,
    trouble: Mutex<Trouble>,
}

#[derive(Clone, Debug, Default)]
struct Trouble {
    last_error: Option<String>,
    unavailable: Option<(SystemTime, String)>,
}

impl Shared {
    /// Takes note of an error that keeps the index from taking something.
    pub fn unavailable(&self, error: &str, now: SystemTime) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.last_error = Some(cut(error));
        let since = trouble.unavailable.take().map_or(now, |(since, _)| since);
        trouble.unavailable = Some((since, cut(error)));
    }

    pub fn error(&self, error: &str) {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).last_error = Some(cut(error));
    }

    /// Since when it was unavailable, if it was.
    pub fn available(&self) -> Option<SystemTime> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).unavailable.take().map(|(since, _)| since)
    }

    pub fn snapshot(&self) -> SinkCounters {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        SinkCounters {
            settled: self.settled.load(Relaxed),
            superseded: self.superseded.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            failure_store: self.failure_store.load(Relaxed),
            retried: self.retried.load(Relaxed),
            requests: self.requests.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            request_time: Duration::from_micros(self.request_micros.load(Relaxed)),
            requests_in_flight: self.requests_in_flight.load(Relaxed),
            requests_limit: self.requests_limit.load(Relaxed),
            bulk_bytes: self.bulk_bytes.load(Relaxed),
            last_error: trouble.last_error,
            unavailable: trouble.unavailable,
        }
    }
}

/// A line for people; some servers say a lot.
fn cut(error: &str) -> String {
    const BYTES_MAX: usize = 300;
    match error.len() > BYTES_MAX {
        true => format!("{}…", &error[..error.floor_char_boundary(BYTES_MAX)]),
        false => error.into(),
    }
}

pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Relaxed);
}
