//! What happened so far, by count: atomics that workers add to once a batch.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::lane::{Account, Judged, Tally};
use crate::record::ReasonKind;
use crate::window::Lateness;

/// Upper bounds of the buckets of `tidegate_batch_seconds` and `tidegate_batch_wait_seconds`.
pub const BATCH_SECONDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Default, Debug)]
pub(crate) struct Counters {
    records: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
    tombstones: AtomicU64,
    documents: AtomicU64,
    dead_letters: [AtomicU64; ReasonKind::ALL.len()],
    /// Of one moment: refused records are never more than records.
    judged: Mutex<Judged>,
    lateness: [AtomicU64; Lateness::BUCKETS],
    lateness_micros: AtomicU64,
    batch_nanos: AtomicU64,
    /// The longest since it was taken last.
    batch_nanos_max: AtomicU64,
    /// One more than bounds: the last is for what is longer than all.
    batches: [AtomicU64; BATCH_SECONDS.len() + 1],
    wait_nanos: AtomicU64,
    waits: [AtomicU64; BATCH_SECONDS.len() + 1],
}

impl Counters {
    pub fn add(&self, tally: &Tally) {
        let add = |counter: &AtomicU64, count: u64| {
            if count > 0 {
                counter.fetch_add(count, Relaxed);
            }
        };
        add(&self.records, tally.records);
        add(&self.bytes, tally.bytes);
        add(&self.dropped, tally.dropped);
        add(&self.tombstones, tally.tombstones);
        add(&self.documents, tally.documents);
        for (counter, count) in self.dead_letters.iter().zip(tally.dead_letters) {
            add(counter, count);
        }
        self.judged().add(&tally.judged);
        for (counter, count) in self.lateness.iter().zip(tally.lateness.records) {
            add(counter, count);
        }
        add(&self.lateness_micros, tally.lateness.micros);
    }

    pub fn batch(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.batch_nanos.fetch_add(nanos, Relaxed);
        self.batch_nanos_max.fetch_max(nanos, Relaxed);
        self.batches[bucket(took)].fetch_add(1, Relaxed);
    }

    /// A batch was there, and its lane free, for so long before the worker took it.
    pub fn waited(&self, time: Duration) {
        self.wait_nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        self.waits[bucket(time)].fetch_add(1, Relaxed);
    }

    /// The longest batch since the last call.
    pub fn take_batch_max(&self) -> Duration {
        Duration::from_nanos(self.batch_nanos_max.swap(0, Relaxed))
    }

    fn judged(&self) -> MutexGuard<'_, Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn read(&self) -> Counts {
        Counts {
            tally: Tally {
                records: self.records.load(Relaxed),
                bytes: self.bytes.load(Relaxed),
                dropped: self.dropped.load(Relaxed),
                tombstones: self.tombstones.load(Relaxed),
                documents: self.documents.load(Relaxed),
                dead_letters: std::array::from_fn(|kind| self.dead_letters[kind].load(Relaxed)),
                judged: *self.judged(),
                lateness: Lateness {
                    records: std::array::from_fn(|bucket| self.lateness[bucket].load(Relaxed)),
                    micros: self.lateness_micros.load(Relaxed),
                },
                drops: Vec::new(),
                account: Account::default(),
            },
            batch_time: Duration::from_nanos(self.batch_nanos.load(Relaxed)),
            batches: std::array::from_fn(|bucket| self.batches[bucket].load(Relaxed)),
            wait_time: Duration::from_nanos(self.wait_nanos.load(Relaxed)),
            waits: std::array::from_fn(|bucket| self.waits[bucket].load(Relaxed)),
        }
    }
}

/// The counters at one moment.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Counts {
    pub tally: Tally,
    /// The time that all batches took together.
    pub batch_time: Duration,
    /// Batches by time: a bucket for each of [`BATCH_SECONDS`], and one for what is longer; not cumulative.
    pub batches: [u64; BATCH_SECONDS.len() + 1],
    /// The time that all batches waited for their worker, with their lane free, and batches by it.
    pub wait_time: Duration,
    pub waits: [u64; BATCH_SECONDS.len() + 1],
}

fn bucket(time: Duration) -> usize {
    let seconds = time.as_secs_f64();
    BATCH_SECONDS.partition_point(|bound| *bound < seconds)
}

impl Counts {
    pub fn batch_count(&self) -> u64 {
        self.batches.iter().sum()
    }

    pub fn dead_letters(&self) -> u64 {
        self.tally.dead_letters.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_falls_into_the_first_bucket_that_holds_it() {
        let counters = Counters::default();
        for micros in [1, 500, 501, 6_000_000] {
            counters.batch(Duration::from_micros(micros));
        }
        let counts = counters.read();
        assert_eq!((counts.batches[0], counts.batches[1], counts.batches[13]), (2, 1, 1));
        assert_eq!(counts.batch_count(), 4);
        assert_eq!(counters.take_batch_max(), Duration::from_secs(6));
        assert_eq!(counters.take_batch_max(), Duration::ZERO);
    }

    #[test]
    fn tallies_add_up() {
        let counters = Counters::default();
        let mut tally = Tally { records: 3, documents: 1, ..Tally::default() };
        tally.dead_letters[1] = 2;
        counters.add(&tally);
        counters.add(&tally);
        let counts = counters.read();
        assert_eq!((counts.tally.records, counts.tally.documents, counts.dead_letters()), (6, 2, 4));
    }
}
