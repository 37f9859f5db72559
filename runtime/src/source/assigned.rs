//! One assigned partition: the batch that is being collected, where it is, and whether it is at its end. No clock and no
//! client here: times and the broker's words come in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::native::Received;
use crate::record::{BatchBuilder, Budget, EventTime, Offset, Partition, RecordBatch};

/// A batch has no more records than this: what a component is called with stays in the processor's caches.
pub(super) const BATCH_RECORDS_MAX: usize = 4_096;
/// A batch is full when it has this many bytes; a larger record is a batch of its own.
pub(super) const BATCH_BYTES_MAX: usize = 1 << 20;
/// What a record costs beside its bytes.
const RECORD_BYTES: usize = 48;
/// A partition from which nothing came for this long is asked about: the client may have lost track of it.
const SILENT_AFTER: Duration = Duration::from_secs(60);
/// The pause between two questions about a partition's end.
const ASK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Assigned {
    pub(super) partition: Partition,
    batch: BatchBuilder,
    /// The offset after the last record.
    pub(super) next: Offset,
    budget: Arc<Budget>,
    pub(super) paused: bool,
    /// Its lane takes nothing until it begins anew.
    pub(super) stalled: bool,
    /// The end of the log, when the broker said that it was reached, and nothing came since.
    at_end: Option<Offset>,
    /// The end that the client told last, and no record since.
    told_end: Option<Offset>,
    /// Records are left out until the partition is read anew.
    passed_over: bool,
    quiet_since: Instant,
    asked: Option<Instant>,
    /// When it was last said that the partition is idle; none since its last record.
    idle: Option<Instant>,
    /// How large the last batch was: the next one begins with as much room.
    room: (usize, usize),
}

impl Assigned {
    pub(super) fn new(partition: Partition, next: Offset, now: Instant) -> Self {
        Assigned {
            partition,
            batch: BatchBuilder::new(EventTime::MIN),
            next,
            budget: Arc::default(),
            paused: false,
            stalled: false,
            at_end: None,
            told_end: None,
            passed_over: false,
            quiet_since: now,
            asked: None,
            idle: None,
            room: (0, 0),
        }
    }

    /// Copies a record into the batch.
    pub(super) fn push(&mut self, record: &Received, received: EventTime, now: Instant) -> Pushed {
        if record.offset() < self.next {
            return Pushed::Stale;
        }
        self.passed_over |= self.is_behind_told_end(record.offset());
        if self.passed_over {
            return Pushed::PassedOver;
        }
        self.told_end = None;
        if self.batch.is_empty() {
            self.batch = BatchBuilder::new(received);
            self.batch.reserve(self.room.0, self.room.1);
        }
        self.quiet_since = now;
        self.at_end = None;
        self.idle = None;
        self.next = record.offset().next();
        record.copy_to(&mut self.batch);
        Pushed::Taken
    }

    /// The client counts the end that it tells as if it were a record there (librdkafka 2.2 to 2.12, its issue 4844). When it
    /// pauses then, by our word or by its own while the group rebalances, it goes on one record too far.
    fn is_behind_told_end(&self, offset: Offset) -> bool {
        self.told_end.is_some_and(|end| offset == end.next())
    }

    /// Whether the client may have passed over a record: the partition is to be read anew.
    pub(super) fn passed_over(&self) -> bool {
        self.passed_over
    }

    pub(super) fn has_batch(&self) -> bool {
        !self.batch.is_empty()
    }

    pub(super) fn full(&self) -> bool {
        self.batch.len() >= BATCH_RECORDS_MAX || self.batch.bytes() >= BATCH_BYTES_MAX
    }

    /// What was collected, with its bytes taken from the partition's budget.
    pub(super) fn take_batch(&mut self) -> RecordBatch {
        let builder = std::mem::replace(&mut self.batch, BatchBuilder::new(EventTime::MIN));
        self.room = (builder.len(), builder.bytes().min(BATCH_BYTES_MAX));
        let bytes = weight(&builder);
        let mut batch = builder.finish();
        batch.hold(self.budget.take(bytes));
        batch
    }

    /// The bytes of batches that are alive, and of the one that is being collected.
    pub(super) fn in_flight_bytes(&self) -> usize {
        self.budget.used_bytes() + weight(&self.batch)
    }

    /// The broker says that `end` is the end of the log, and everything before it was given out.
    pub(super) fn reached_end(&mut self, end: Offset) {
        self.passed_over |= self.is_behind_told_end(end);
        if end >= self.next && !self.passed_over {
            self.at_end = Some(end);
            self.told_end = Some(end);
        }
    }

    /// Fetching stops or begins anew: the client will say again when the end is reached.
    pub(super) fn set_paused(&mut self, paused: bool, now: Instant) {
        self.paused = paused;
        self.at_end = None;
        self.quiet_since = now;
    }

    /// What was collected is read again when the lane begins anew.
    pub(super) fn stall(&mut self, now: Instant) {
        self.batch = BatchBuilder::new(EventTime::MIN);
        self.stalled = true;
        self.set_paused(true, now);
    }

    /// Its lane has begun anew at an offset.
    pub(super) fn begin_again(&mut self, offset: Offset, now: Instant) {
        (self.next, self.stalled, self.idle) = (offset, false, None);
        self.batch = BatchBuilder::new(EventTime::MIN);
        self.set_paused(false, now);
    }

    /// It is read anew from `next`.
    pub(super) fn restarted(&mut self, now: Instant) {
        self.at_end = None;
        (self.told_end, self.passed_over) = (None, false);
        self.quiet_since = now;
    }

    /// Must the broker be asked for the end of the log? Either the partition may be idle, or it is silent for too long.
    pub(super) fn must_ask(&self, idle_after: Duration, now: Instant) -> bool {
        if self.paused || self.has_batch() || self.asked.is_some_and(|asked| now < asked + ASK_EVERY) {
            return false;
        }
        let quiet = now.duration_since(self.quiet_since);
        let since_asked = self.asked.map_or(quiet, |asked| quiet.min(now.duration_since(asked)));
        self.may_be_idle(quiet, idle_after, now) || since_asked >= SILENT_AFTER
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle.is_some()
    }

    /// Idleness is said again as long as it lasts, each time that `idle_after` has passed.
    fn may_be_idle(&self, quiet: Duration, idle_after: Duration, now: Instant) -> bool {
        let never_had_a_record = self.at_end == Some(Offset(0));
        let due = self.idle.is_none_or(|said| now >= said + idle_after);
        due && self.at_end.is_some() && (quiet >= idle_after || never_had_a_record)
    }

    /// The broker's answer.
    pub(super) fn answered(&mut self, end: Offset, idle_after: Duration, now: Instant) -> Answered {
        self.asked = Some(now);
        let quiet = now.duration_since(self.quiet_since);
        let known = self.at_end.unwrap_or(self.next).max(self.next);
        if end <= known {
            if self.may_be_idle(quiet, idle_after, now) {
                self.idle = Some(now);
                return Answered::Idle;
            }
            return Answered::Nothing;
        }
        if quiet >= SILENT_AFTER { Answered::Silent } else { Answered::Nothing }
    }

    /// The broker did not answer.
    pub(super) fn unanswered(&mut self, now: Instant) {
        self.asked = Some(now);
    }
}

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pushed {
    Taken,
    /// It lies below the position: the client fetched it twice.
    Stale,
    /// See [`Assigned::passed_over`].
    PassedOver,
}

/// What the end of the log means for a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    Nothing,
    Idle,
    /// There are records, and they do not come.
    Silent,
}

fn weight(batch: &BatchBuilder) -> usize {
    batch.bytes() + batch.len() * RECORD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE_AFTER: Duration = Duration::from_secs(30);

    fn assigned(next: i64) -> (Assigned, Instant) {
        let now = Instant::now();
        (Assigned::new(Partition::new("t", 0), Offset(next), now), now)
    }

    #[test]
    fn a_partition_is_idle_only_by_the_brokers_word_and_after_a_while() {
        let (mut it, start) = assigned(7);
        assert!(!it.must_ask(IDLE_AFTER, start + IDLE_AFTER), "nothing is known of the end");
        it.reached_end(Offset(7));
        assert!(!it.must_ask(IDLE_AFTER, start + IDLE_AFTER / 2));
        let now = start + IDLE_AFTER;
        assert!(it.must_ask(IDLE_AFTER, now));
        assert_eq!(it.answered(Offset(9), IDLE_AFTER, now), Answered::Nothing, "records are on their way");
        assert!(!it.must_ask(IDLE_AFTER, now), "not asked again at once");
        let now = now + ASK_EVERY;
        assert!(it.must_ask(IDLE_AFTER, now));
        assert_eq!(it.answered(Offset(7), IDLE_AFTER, now), Answered::Idle);
        assert!(!it.must_ask(IDLE_AFTER, now + IDLE_AFTER / 2), "said already");
        assert!(it.must_ask(IDLE_AFTER, now + IDLE_AFTER), "it lasts");
    }

    #[test]
    fn a_partition_that_never_had_a_record_is_idle_at_once() {
        let (mut it, start) = assigned(0);
        it.reached_end(Offset(0));
        assert!(it.must_ask(IDLE_AFTER, start));
        assert_eq!(it.answered(Offset(0), IDLE_AFTER, start), Answered::Idle);
    }

    #[test]
    fn a_paused_partition_is_never_idle() {
        let (mut it, start) = assigned(7);
        it.reached_end(Offset(7));
        it.set_paused(true, start);
        assert!(!it.must_ask(IDLE_AFTER, start + IDLE_AFTER * 10));
        it.set_paused(false, start + IDLE_AFTER);
        assert!(!it.must_ask(IDLE_AFTER, start + IDLE_AFTER * 2 - ASK_EVERY), "the end must be reached again");
    }

    #[test]
    fn a_silent_partition_is_found() {
        let (mut it, start) = assigned(7);
        let now = start + SILENT_AFTER;
        assert!(it.must_ask(IDLE_AFTER, now));
        assert_eq!(it.answered(Offset(8), IDLE_AFTER, now), Answered::Silent);
        it.restarted(now);
        assert!(!it.must_ask(IDLE_AFTER, now + SILENT_AFTER / 2));
    }

    #[test]
    fn control_records_at_the_end_are_not_silence() {
        let (mut it, start) = assigned(7);
        it.reached_end(Offset(9));
        let now = start + SILENT_AFTER;
        assert_eq!(it.answered(Offset(9), IDLE_AFTER, now), Answered::Idle);
    }
}
