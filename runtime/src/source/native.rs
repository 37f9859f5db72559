//! The consumer as the C library has it: messages in batches, lists of partitions, rebalances and commits as plain values.
//! The unsafe code of the room is here (and a line in the stand-in).
//!
//! Rebalances are taken down by the callback and served later by the caller, between two batches: the library waits for
//! `assign` or `unassign` meanwhile, and no message of a partition can come after it was taken away.

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::bindings as c;
use rdkafka::client::Client;
use rdkafka::error::KafkaResult;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaType};
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};

use super::broker::{self, BrokerWord};
use crate::config::Secret;
use crate::record::{Commitment, Offset, Partition};

mod admin;
mod lists;
mod message;

pub(super) use lists::Committed;
pub(super) use message::Received;

/// Messages taken from the client's queue in one call.
pub(super) const TAKE_MAX: usize = 1024;

/// What the group coordinator decided.
#[derive(Debug)]
pub(super) enum Rebalance {
    Assign(Vec<Partition>),
    Revoke { partitions: Vec<Partition>, lost: bool },
}

/// What became of a commit; the code is about all of it, or about the first partition that was refused.
pub(super) type CommitAnswer = Result<(), RDKafkaErrorCode>;

/// The partitions of a topic by number, and the replicas of the first.
#[derive(Clone, Debug)]
pub(super) struct TopicMetadata {
    pub(super) partitions: Vec<i32>,
    pub(super) replication: usize,
}

/// What the callbacks write and the poll thread reads.
#[derive(Default)]
struct Shared {
    rebalances: Mutex<VecDeque<Rebalance>>,
    broker: Mutex<BrokerWord>,
    /// Nobody serves rebalances any more: the callback answers by itself.
    abandoned: Mutex<bool>,
    /// What the library's words are shown without.
    secrets: Arc<[Secret]>,
}

impl ClientContext for Shared {}

/// A member of a consumer group, once it subscribes.
pub(super) struct Consumer {
    client: Client<Shared>,
    queue: *mut c::rd_kafka_queue_t,
    /// Where answers to commits arrive.
    answers: *mut c::rd_kafka_queue_t,
    taken: Vec<*mut c::rd_kafka_message_t>,
}

// SAFETY: the library's handles may be used from any thread; `taken` is empty between calls.
unsafe impl Send for Consumer {}

impl Consumer {
    /// `secrets`: values of the configuration that no word of the library shows.
    pub(super) fn new(config: &ClientConfig, secrets: Arc<[Secret]>) -> KafkaResult<Consumer> {
        let native = config.create_native_config()?;
        // SAFETY: the configuration is alive; the callbacks have the signatures that the library asks for, and get as their
        // opaque the context that `Client::new` keeps alive as long as the client.
        unsafe {
            c::rd_kafka_conf_set_rebalance_cb(native.ptr(), Some(on_rebalance));
            c::rd_kafka_conf_set_error_cb(native.ptr(), Some(on_error));
            c::rd_kafka_conf_set_stats_cb(native.ptr(), Some(on_statistics));
            c::rd_kafka_conf_set_log_cb(native.ptr(), Some(on_log));
        }
        let client =
            Client::new(config, native, RDKafkaType::RD_KAFKA_CONSUMER, Shared { secrets, ..Shared::default() })?;
        // SAFETY: the client is alive; a group is configured, so that it has a consumer queue.
        let (queue, answers) = unsafe {
            c::rd_kafka_poll_set_consumer(client.native_ptr());
            (c::rd_kafka_queue_get_consumer(client.native_ptr()), c::rd_kafka_queue_new(client.native_ptr()))
        };
        assert!(!queue.is_null() && !answers.is_null(), "a consumer with a group has a queue");
        Ok(Consumer { client, queue, answers, taken: Vec::with_capacity(TAKE_MAX) })
    }

    /// The topic as the cluster knows it.
    pub(super) fn topic(&self, topic: &str, timeout: Duration) -> Result<TopicMetadata, RDKafkaErrorCode> {
        let metadata = self.client.fetch_metadata(Some(topic), timeout).map_err(|error| code_of(&error))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let found = found.ok_or(RDKafkaErrorCode::UnknownTopicOrPartition)?;
        if let Some(error) = found.error() {
            return Err(error.into());
        }
        let mut partitions: Vec<i32> = found.partitions().iter().map(|partition| partition.id()).collect();
        partitions.sort_unstable();
        match found.partitions().first() {
            Some(first) => Ok(TopicMetadata { partitions, replication: first.replicas().len() }),
            None => Err(RDKafkaErrorCode::UnknownTopicOrPartition),
        }
    }

    /// Joins the group.
    pub(super) fn subscribe(&self, topics: &[&str]) -> Result<(), RDKafkaErrorCode> {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            list.add_topic_unassigned(topic);
        }
        // SAFETY: client and list are alive during the call.
        lists::checked(unsafe { c::rd_kafka_subscribe(self.client.native_ptr(), list.ptr()) })
    }

    /// Serves callbacks and shows the messages that have come, at most `most` of them; waits for the first one only. How many.
    pub(super) fn take(&mut self, wait: Duration, most: usize, mut show: impl FnMut(&Received)) -> usize {
        let most = most.clamp(1, TAKE_MAX);
        let mut taken = self.fill(Duration::ZERO, most);
        if taken == 0 && !wait.is_zero() {
            // The library waits until as many have come as were asked for: wait for one, then take what is there.
            taken = self.fill(wait, 1);
            if taken == 1 && most > 1 {
                taken += self.fill(Duration::ZERO, most - 1);
            }
        }
        for message in self.taken.drain(..) {
            // SAFETY: the library gave the message to us; `Received` destroys it.
            show(&unsafe { Received::new(message) });
        }
        taken
    }

    fn fill(&mut self, wait: Duration, count: usize) -> usize {
        let free = &mut self.taken.spare_capacity_mut()[..count];
        // SAFETY: the queue is alive, and `free` has room for `count` pointers, of which the first `taken` are written.
        unsafe {
            let taken = c::rd_kafka_consume_batch_queue(self.queue, millis(wait), free.as_mut_ptr().cast(), count);
            let taken = usize::try_from(taken).unwrap_or(0);
            self.taken.set_len(self.taken.len() + taken);
            taken
        }
    }

    /// What the group decided, oldest first. The answer is [`Consumer::assign`] or [`Consumer::unassign`].
    pub(super) fn next_rebalance(&self) -> Option<Rebalance> {
        lock(&self.client.context().rebalances).pop_front()
    }

    pub(super) fn broker(&self) -> MutexGuard<'_, BrokerWord> {
        lock(&self.client.context().broker)
    }

    /// The group's positions, one for each partition.
    pub(super) fn committed(
        &self,
        partitions: &[Partition],
        timeout: Duration,
    ) -> Result<Vec<Option<Committed>>, RDKafkaErrorCode> {
        let list = lists::of(partitions);
        // SAFETY: client and list are alive during the call.
        lists::checked(unsafe { c::rd_kafka_committed(self.client.native_ptr(), list.ptr(), millis(timeout)) })?;
        lists::committed(&list)
    }

    /// The first offset of each partition whose timestamp is not before `millis_since_1970`; none where all are before it.
    pub(super) fn offsets_at(
        &self,
        partitions: &[Partition],
        millis_since_1970: i64,
        timeout: Duration,
    ) -> Result<Vec<Option<Offset>>, RDKafkaErrorCode> {
        let list = lists::of(partitions);
        lists::set_offsets(&list, millis_since_1970);
        // SAFETY: client and list are alive during the call.
        lists::checked(unsafe {
            c::rd_kafka_offsets_for_times(self.client.native_ptr(), list.ptr(), millis(timeout))
        })?;
        lists::offsets(&list)
    }

    /// Start and end of each partition's log, by the broker's word of now.
    pub(super) fn log_bounds(
        &self,
        partitions: &[Partition],
        timeout: Duration,
    ) -> Result<Vec<(Offset, Offset)>, RDKafkaErrorCode> {
        let starts = self.offsets_at(partitions, c::RD_KAFKA_OFFSET_BEGINNING.into(), timeout)?;
        let ends = self.offsets_at(partitions, c::RD_KAFKA_OFFSET_END.into(), timeout)?;
        let bounds = starts.into_iter().zip(ends).map(|bounds| match bounds {
            (Some(start), Some(end)) => Ok((start, end)),
            _ => Err(RDKafkaErrorCode::LeaderNotAvailable),
        });
        bounds.collect()
    }

    /// The end of the partition's log as the last fetch told it.
    pub(super) fn known_end(&self, partition: &Partition) -> Option<Offset> {
        let topic = CString::new(&*partition.topic).ok()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: all pointers are alive during the call.
        let error = unsafe {
            c::rd_kafka_get_watermark_offsets(
                self.client.native_ptr(),
                topic.as_ptr(),
                partition.number,
                &mut low,
                &mut high,
            )
        };
        (lists::checked(error).is_ok() && high >= 0).then_some(Offset(high))
    }

    /// Adds partitions, each to be read from its offset. The answer to [`Rebalance::Assign`].
    pub(super) fn assign(&self, starts: &[(Partition, Offset)]) -> Result<(), RDKafkaErrorCode> {
        let list = lists::with_offsets(starts);
        // SAFETY: client and list are alive during the call.
        lists::checked_error(unsafe { c::rd_kafka_incremental_assign(self.client.native_ptr(), list.ptr()) })
    }

    /// Gives partitions back. The answer to [`Rebalance::Revoke`].
    pub(super) fn unassign(&self, partitions: &[Partition]) -> Result<(), RDKafkaErrorCode> {
        let list = lists::of(partitions);
        // SAFETY: client and list are alive during the call.
        lists::checked_error(unsafe { c::rd_kafka_incremental_unassign(self.client.native_ptr(), list.ptr()) })
    }

    /// Stops fetching these; what was fetched and not taken is thrown away, and fetched again after [`Consumer::resume`].
    pub(super) fn pause(&self, partitions: &[Partition]) {
        let list = lists::of(partitions);
        // SAFETY: client and list are alive during the call. The only error is a partition that is not assigned any more.
        unsafe { c::rd_kafka_pause_partitions(self.client.native_ptr(), list.ptr()) };
    }

    pub(super) fn resume(&self, partitions: &[Partition]) {
        let list = lists::of(partitions);
        // SAFETY: as for `pause`.
        unsafe { c::rd_kafka_resume_partitions(self.client.native_ptr(), list.ptr()) };
    }

    /// Sends positions; the answer comes by [`Consumer::commit_answer`]. One commit at a time.
    pub(super) fn commit(&self, commitments: &[(Partition, Commitment)]) -> Result<(), RDKafkaErrorCode> {
        let list = lists::with_commitments(commitments);
        // SAFETY: client, list and queue are alive during the call; the library copies the list.
        lists::checked(unsafe {
            c::rd_kafka_commit_queue(self.client.native_ptr(), list.ptr(), self.answers, None, ptr::null_mut())
        })
    }

    pub(super) fn commit_answer(&self, wait: Duration) -> Option<CommitAnswer> {
        // SAFETY: the queue is alive; a non-null event is ours until it is destroyed, and so is its list.
        unsafe {
            let event = c::rd_kafka_queue_poll(self.answers, millis(wait));
            if event.is_null() {
                return None;
            }
            let whole = lists::checked(c::rd_kafka_event_error(event));
            let answer = whole.and_then(|()| lists::first_error(c::rd_kafka_event_topic_partition_list(event)));
            c::rd_kafka_event_destroy(event);
            Some(answer)
        }
    }

    /// Begins to leave the group: a last revoke comes, and when it is answered the consumer is closed.
    pub(super) fn begin_close(&self) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: client and queue are alive during the call.
        lists::checked_error(unsafe { c::rd_kafka_consumer_close_queue(self.client.native_ptr(), self.queue) })
    }

    pub(super) fn closed(&self) -> bool {
        // SAFETY: the client is alive during the call.
        unsafe { c::rd_kafka_consumer_closed(self.client.native_ptr()) == 1 }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        *lock(&self.client.context().abandoned) = true;
        // SAFETY: both queues are ours and are not used after this; the client is destroyed after them.
        unsafe {
            c::rd_kafka_queue_destroy(self.answers);
            c::rd_kafka_queue_destroy(self.queue);
        }
    }
}

fn code_of(error: &rdkafka::error::KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)
}

fn millis(wait: Duration) -> c_int {
    c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// `opaque` is the context of the client that calls, or null before it has one.
unsafe fn shared<'a>(opaque: *mut c_void) -> Option<&'a Shared> {
    // SAFETY: by the contract above.
    unsafe { opaque.cast::<Shared>().as_ref() }
}

unsafe extern "C" fn on_rebalance(
    client: *mut c::rd_kafka_t,
    what: c::rd_kafka_resp_err_t,
    list: *mut c::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: the library calls with its own live pointers and with our context.
    unsafe {
        let Some(shared) = shared(opaque) else { return };
        if *lock(&shared.abandoned) {
            c::rd_kafka_assign(client, ptr::null());
            return;
        }
        let partitions = lists::partitions(list);
        let rebalance = if what == c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            Rebalance::Assign(partitions)
        } else {
            Rebalance::Revoke { partitions, lost: c::rd_kafka_assignment_lost(client) == 1 }
        };
        lock(&shared.rebalances).push_back(rebalance);
    }
}

unsafe extern "C" fn on_error(client: *mut c::rd_kafka_t, code: c_int, reason: *const c_char, opaque: *mut c_void) {
    // SAFETY: the library calls with its own live pointers and with our context.
    unsafe {
        let Some(shared) = shared(opaque) else { return };
        let mut reason = text(reason);
        let mut code = lists::code(code);
        if code == RDKafkaErrorCode::Fatal {
            let mut buffer = [0 as c_char; 512];
            let cause = c::rd_kafka_fatal_error(client, buffer.as_mut_ptr(), buffer.len());
            reason = format!("{}: {}", RDKafkaErrorCode::from(cause), text(buffer.as_ptr()));
            code = RDKafkaErrorCode::Fatal;
        }
        let reason = broker::hidden(&reason, &shared.secrets).into_owned();
        tracing::debug!(%code, reason, "kafka's client reports");
        lock(&shared.broker).error(code, &reason, Instant::now());
    }
}

unsafe extern "C" fn on_statistics(
    _client: *mut c::rd_kafka_t,
    json: *mut c_char,
    length: usize,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: the library calls with its own live pointers and with our context; 0 leaves the text to the library.
    unsafe {
        if let Some(shared) = shared(opaque) {
            let json = std::slice::from_raw_parts(json.cast::<u8>(), length);
            lock(&shared.broker).statistics(json, Instant::now());
        }
    }
    0
}

unsafe extern "C" fn on_log(client: *const c::rd_kafka_t, level: c_int, facility: *const c_char, line: *const c_char) {
    // SAFETY: the library calls with its own live pointers, with our context, and with text of its own.
    let (facility, line, shared) = unsafe { (text(facility), text(line), shared(c::rd_kafka_opaque(client))) };
    broker::log(level, &facility, &line, shared.map_or(&[], |shared| &shared.secrets));
}

/// # Safety
/// Null, or text that ends with a zero.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by the contract above.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
