//! What the dispatcher does about an answer: settles, sends again, halves, refuses.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::Dispatcher;
use crate::record::{Reason, ReasonKind, RejectedDocument};
use crate::sink::answer::Fault;
use crate::sink::bulk::{Bulk, ItemView};
use crate::sink::counters::add;
use crate::sink::held::{ATTEMPTS_SOON, Refused};
use crate::sink::lines::{Apart, index_of, take_apart};
use crate::sink::pace::Ceiling;
use crate::sink::request::Landing;
use crate::sink::verdict::{Outcome, Request, RequestVerdict, Verdict, judge_request};

/// So many bulks of the size that was learned are taken before a larger one is tried.
const GROW_AFTER: u32 = 100;
/// After so many times a bulk that is answered 429 is sent alone.
const BUSY_MAX: u16 = 3;
/// The smallest size that is remembered as what an index takes.
const BULK_BYTES_MIN: usize = 16 * 1024;

impl Dispatcher {
    pub(super) fn judge(&mut self, index: usize, mut bulk: Bulk, landing: Landing, now: Instant) {
        let outcome = landing.outcome();
        if matches!(outcome, Outcome::Status { status: 429, .. }) {
            bulk.busy = bulk.busy.saturating_add(1);
            bulk.busy_alone = bulk.busy_alone.saturating_add(u16::from(self.alone));
        }
        let request =
            Request { items: bulk.len(), bytes: bulk.bytes(), busy_alone: bulk.busy_alone, resets: bulk.resets };
        if matches!(outcome, Outcome::Reset) {
            bulk.resets = bulk.resets.saturating_add(1);
        }
        match judge_request(outcome, request, &self.policy) {
            RequestVerdict::Items => {
                self.taken(bulk.bytes());
                match landing {
                    Landing::Items(faults) if faults.is_empty() => {
                        self.answered(index, &bulk, Refused::default(), now);
                        self.available();
                        self.all_settled(index, bulk);
                    }
                    Landing::Items(faults) => self.items(index, &bulk, faults, now),
                    Landing::Status { .. } | Landing::Broken { .. } | Landing::Untrusted(_) => {
                        debug_assert!(false, "only an answer with items has items");
                        self.whole_again(index, bulk, &landing, self.pace.retry, now);
                    }
                }
            }
            RequestVerdict::Halve => {
                self.learn(bulk.bytes(), &landing);
                self.slot(index).again_in_halves(bulk);
            }
            RequestVerdict::Isolate => {
                tracing::debug!(items = bulk.len(), "one item spoils a bulk: {}", landing.message());
                self.slot(index).again_in_halves(bulk);
            }
            RequestVerdict::Rejected => self.refuse_whole(index, &bulk, &landing, now),
            RequestVerdict::Dropped => self.drop_whole(index, bulk, &landing, now),
            RequestVerdict::Retry => self.whole_again(index, bulk, &landing, self.pace.retry, now),
            RequestVerdict::Stall => self.whole_again(index, bulk, &landing, self.pace.stall, now),
        }
    }

    fn whole_again(&mut self, index: usize, bulk: Bulk, landing: &Landing, ceiling: Ceiling, now: Instant) {
        add(&self.shared.retried, bulk.len());
        // A document that is alone already is no smaller when nothing is beside it, and would hold up all that waits behind it.
        let solo = bulk.len() > 1 && bulk.busy >= BUSY_MAX && self.solo.is_none();
        let for_long = bulk.busy > ATTEMPTS_SOON;
        self.slot(index).again(bulk, solo, now, |failures| ceiling.wait(failures, fastrand::f64()));
        if solo {
            self.solo = Some(index);
        }
        match landing.outcome() {
            // Busy is not down.
            Outcome::Status { status: 429, .. } if ceiling == self.pace.retry && !for_long => {
                self.shared.error(&landing.message());
            }
            _ => self.unavailable(&landing.message(), now),
        }
    }

    /// A request whose only item is refused: there is no item answer to take the words from.
    fn refuse_whole(&mut self, index: usize, bulk: &Bulk, landing: &Landing, now: Instant) {
        self.answered(index, bulk, Refused::default(), now);
        let (status, error_type) = landing.said();
        let message = match status {
            413 => format!("{}: this document alone is too big bytes=`{}`", landing.message(), bulk.bytes()),
            _ => landing.message(),
        };
        for item in bulk.iter() {
            self.refuse(&item, status, error_type, &message);
        }
        self.available();
    }

    /// A request whose only item is refused, and of which nobody wants a dead letter.
    fn drop_whole(&mut self, index: usize, bulk: Bulk, landing: &Landing, now: Instant) {
        self.answered(index, &bulk, Refused::default(), now);
        self.dropped(bulk.len(), &landing.message(), now);
        let (status, error_type) = landing.said();
        for item in bulk.iter() {
            self.drop_item(&item, status, error_type, &landing.message());
        }
        self.available();
    }

    fn dropped(&mut self, documents: usize, message: &str, now: Instant) {
        add(&self.shared.dropped, documents);
        if self.may_say(now) {
            tracing::warn!(documents, "dropped, as the policy says: {message}");
        }
    }

    fn items(&mut self, index: usize, bulk: &Bulk, faults: Vec<Fault>, now: Instant) {
        let count = |verdict| faults.iter().filter(|fault| fault.verdict == verdict).count();
        let in_failure_store = count(Verdict::SettledInFailureStore);
        add(&self.shared.settled, bulk.len() - faults.len() + in_failure_store);
        add(&self.shared.superseded, count(Verdict::Superseded));
        add(&self.shared.failure_store, in_failure_store);
        if in_failure_store > 0 && self.may_say(now) {
            tracing::warn!(documents = in_failure_store, "the index put documents into its failure store");
        }
        let words = |verdict| faults.iter().find(|fault| fault.verdict == verdict).map(Fault::message);
        if let Some(message) = words(Verdict::Rejected) {
            self.shared.error(&message);
        }
        if let Some(message) = words(Verdict::Dropped) {
            self.dropped(count(Verdict::Dropped), &message, now);
        }
        let trouble = words(Verdict::Stall);
        let busy = words(Verdict::Retry);

        let taking = taking_indices(bulk, &faults);
        let mut faults = faults.into_iter().peekable();
        let mut refused = Refused::default();
        let mut settled = Vec::new();
        let mut judged_bytes = 0;
        for (number, item) in (0..).zip(bulk.iter()) {
            let fault = faults.next_if(|fault| fault.item == number);
            let verdict = fault.as_ref().map_or(Verdict::Settled, |fault| fault.verdict);
            match verdict {
                Verdict::Settled | Verdict::SettledInFailureStore | Verdict::Superseded => {
                    judged_bytes += item.bytes.len();
                    settled.push(item.batch);
                }
                Verdict::Retry => refused.busy(number, &item),
                Verdict::Stall if taking.contains(index_of(item.bytes)) => refused.stalled(number, &item),
                Verdict::Stall => refused.index_stalled(number, &item),
                Verdict::Dropped => {
                    if let Some(fault) = fault {
                        self.drop_item(&item, fault.status, &fault.error_type, &fault.message());
                    }
                }
                Verdict::Rejected => {
                    if let Some(fault) = fault {
                        self.refuse(&item, fault.status, &fault.error_type, &fault.message());
                    }
                }
            }
        }
        add(&self.shared.retried, refused.len());
        let trouble = trouble.or(busy.filter(|_| refused.waits()));
        self.answered(index, bulk, refused, now);
        match trouble {
            Some(message) => self.unavailable(&message, now),
            None => self.available(),
        }
        // Whoever is told finds the counters as they are then.
        self.shared.in_flight_bytes.fetch_sub(judged_bytes, Relaxed);
        for run in settled.chunk_by(|left, right| left == right) {
            self.batches.settled(run[0], run.len() as u32);
        }
    }

    fn answered(&mut self, index: usize, bulk: &Bulk, refused: Refused, now: Instant) {
        let moment = self.moment(now);
        self.slot(index).answered(bulk, refused, &moment);
    }

    fn refuse(&mut self, item: &ItemView<'_>, status: u16, error_type: &str, message: &str) {
        add(&self.shared.rejected, 1);
        self.judged(item, status, error_type, message, false);
    }

    fn drop_item(&mut self, item: &ItemView<'_>, status: u16, error_type: &str, message: &str) {
        self.judged(item, status, error_type, message, true);
    }

    fn judged(&mut self, item: &ItemView<'_>, status: u16, error_type: &str, message: &str, is_dropped: bool) {
        let Apart { index, id, version, body } = take_apart(item.bytes).unwrap_or_default();
        let body = if is_dropped { Vec::new() } else { body };
        tracing::debug!(index, id, "refused for good: {message}");
        self.shared.in_flight_bytes.fetch_sub(item.bytes.len(), Relaxed);
        let rejected = RejectedDocument {
            row: item.row,
            reason: Reason::new(ReasonKind::Sink, message),
            status: Some(status),
            attempts: item.attempt.saturating_add(1),
            error_type: error_type.into(),
            index,
            id,
            version,
            body,
            is_dropped,
        };
        self.batches.rejected(item.batch, rejected);
    }

    /// Remembers a size that the index may take, after one that it does not.
    fn learn(&mut self, too_big: usize, landing: &Landing) {
        let bytes = (too_big / 2).max(BULK_BYTES_MIN);
        if bytes < self.fill.bytes_max {
            self.fill.bytes_max = bytes;
            self.shared.bulk_bytes.store(bytes as u64, Relaxed);
            tracing::info!(too_big, bytes, "smaller bulks from now on: {}", landing.message());
        }
        self.taken = 0;
        if landing.said().0 == 413 {
            self.bytes_limit = self.fill.bytes_max;
        }
    }

    /// A bulk was taken. Who had too much to do for a while takes larger ones again afterwards, up to what a 413 has shown.
    fn taken(&mut self, bytes: usize) {
        let max = self.fill.bytes_max;
        if max == self.bytes_limit || bytes < max / 2 {
            return;
        }
        self.taken += 1;
        if self.taken == GROW_AFTER {
            self.taken = 0;
            self.fill.bytes_max = (max + max / 4).min(self.bytes_limit);
            self.shared.bulk_bytes.store(self.fill.bytes_max as u64, Relaxed);
        }
    }
}

/// The indices that have judged one of their documents, where others of them stall: those do take documents, if not all.
fn taking_indices<'a>(bulk: &'a Bulk, faults: &[Fault]) -> BTreeSet<&'a [u8]> {
    if !faults.iter().any(|fault| fault.verdict == Verdict::Stall) {
        return BTreeSet::new();
    }
    let mut refused = faults.iter().filter(|fault| matches!(fault.verdict, Verdict::Stall | Verdict::Retry)).peekable();
    let items = (0..).zip(bulk.iter()).filter(|(number, _)| refused.next_if(|fault| fault.item == *number).is_none());
    items.map(|(_, item)| index_of(item.bytes)).collect()
}
