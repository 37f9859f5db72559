//! A line every few seconds that says how it goes.

use std::time::{Duration, Instant};

use super::{Snapshot, explain_watermark};

/// Often enough to watch, seldom enough to keep.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// What happened between two snapshots.
#[derive(Clone, PartialEq, Debug)]
struct Progress {
    records_per_second: u64,
    documents_per_second: u64,
    batch_mean: Duration,
    batch_max: Duration,
    dead_letters: u64,
}

impl Progress {
    fn between(earlier: &Snapshot, later: &Snapshot, time: Duration, batch_max: Duration) -> Self {
        let rate = |earlier: u64, later: u64| {
            (later.saturating_sub(earlier) as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)).round() as u64
        };
        let (before, now) = (&earlier.counts, &later.counts);
        let batches = now.batch_count().saturating_sub(before.batch_count());
        let batch_time = now.batch_time.saturating_sub(before.batch_time);
        Progress {
            records_per_second: rate(before.tally.records, now.tally.records),
            documents_per_second: rate(before.tally.documents, now.tally.documents),
            batch_mean: batch_time.checked_div(u32::try_from(batches).unwrap_or(u32::MAX)).unwrap_or_default(),
            batch_max,
            dead_letters: now.dead_letters(),
        }
    }
}

/// Windows that are held back for so long are worth a word,
const HELD_BACK_FOR: Duration = Duration::from_secs(60);
/// and again after that.
const HELD_BACK_AGAIN: Duration = Duration::from_secs(600);

/// Writes the line, from what it saw the last time.
pub(crate) struct Reporter {
    last: Snapshot,
    at: Instant,
    /// When to say that windows are held back, if they still are.
    complain_at: Option<Instant>,
}

impl Reporter {
    pub fn new(first: Snapshot, now: Instant) -> Self {
        Reporter { last: first, at: now, complain_at: None }
    }

    pub fn report(&mut self, snapshot: Snapshot, batch_max: Duration, now: Instant) {
        let progress = Progress::between(&self.last, &snapshot, now.duration_since(self.at), batch_max);
        let lag = snapshot.lag().map_or("unknown".to_owned(), |lag| lag.to_string());
        tracing::info!(
            records_per_s = progress.records_per_second,
            lag,
            batch_mean_ms = millis(progress.batch_mean),
            batch_max_ms = millis(progress.batch_max),
            open_windows = snapshot.open_windows(),
            dead_letters = progress.dead_letters,
            documents_per_s = progress.documents_per_second,
            partitions = snapshot.lanes.len(),
            "progress"
        );
        let superseded = snapshot.superseded().saturating_sub(self.last.superseded());
        if superseded > 0 {
            tracing::warn!(
                documents = superseded,
                "the index had these already, in this version or a newer one: a request whose answer was lost was sent again, or records \
                 are read again after a restart, or the topic was deleted and created anew, or another pipeline writes the same ids"
            );
        }
        if snapshot.lanes.is_empty() {
            tracing::warn!(
                "no partition is assigned: the group waits for a member that went without a word, up to session.timeout.ms (45 s), \
                 or has more members than partitions"
            );
        }
        for waiting in &snapshot.waiting {
            tracing::warn!("waiting: {waiting}");
        }
        self.complain(&snapshot, now);
        (self.last, self.at) = (snapshot, now);
    }

    /// Says why windows do not close, where some time has gone by since they could have.
    fn complain(&mut self, snapshot: &Snapshot, now: Instant) {
        let report = explain_watermark(snapshot);
        if !report.held_back {
            self.complain_at = None;
            return;
        }
        if now >= *self.complain_at.get_or_insert(now + HELD_BACK_FOR) {
            tracing::warn!("windows do not close: {}", report.words.join("; "));
            self.complain_at = Some(now + HELD_BACK_AGAIN);
        }
    }
}

/// With two digits behind the point.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 1e2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::Tally;
    use crate::pipeline::Counts;

    #[test]
    fn rates_are_of_the_time_between() {
        let snapshot = |records, batches: u64, millis| Snapshot {
            counts: Counts {
                tally: Tally { records, ..Tally::default() },
                batch_time: Duration::from_millis(millis),
                batches: std::array::from_fn(|bucket| if bucket == 0 { batches } else { 0 }),
                ..Counts::default()
            },
            ..Snapshot::default()
        };
        let progress = Progress::between(
            &snapshot(1_000, 10, 100),
            &snapshot(3_000, 14, 120),
            Duration::from_secs(4),
            Duration::from_millis(9),
        );
        assert_eq!((progress.records_per_second, progress.batch_mean), (500, Duration::from_millis(5)));
    }

    #[test]
    fn nothing_at_all_is_no_division_by_zero() {
        let nothing = Snapshot::default();
        let progress = Progress::between(&nothing, &nothing, Duration::ZERO, Duration::ZERO);
        assert_eq!((progress.records_per_second, progress.batch_mean), (0, Duration::ZERO));
    }
}
