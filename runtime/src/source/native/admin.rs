//! Requests about topics and groups that the C library has and its Rust crate has not: ids of topics, all positions of a group, its
//! members. The other half of the room's unsafe code.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaErrorCode;

use super::{Committed, Consumer, code_of, lists, millis};
use crate::record::{Partition, TopicId};

/// An event of the library, destroyed when dropped.
struct Event(*mut c::rd_kafka_event_t);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the library gave the event to us, and null is taken too.
        unsafe { c::rd_kafka_event_destroy(self.0) }
    }
}

impl Consumer {
    /// The ids of these topics; none where the cluster gives none (before Kafka 2.8), or does not tell.
    pub(in crate::source) fn topic_ids(
        &self,
        topics: &[&str],
        timeout: Duration,
    ) -> Result<Vec<Option<TopicId>>, RDKafkaErrorCode> {
        let names: Vec<CString> = topics.iter().filter_map(|topic| CString::new(*topic).ok()).collect();
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        // Any broker knows; the library would ask the controller, which a stand-in has not.
        let metadata = self.client.fetch_metadata(topics.first().copied(), timeout).map_err(|error| code_of(&error))?;
        let broker = metadata.brokers().first().map(|broker| broker.id());
        let op = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        // SAFETY: names and pointers live until the request is answered; the library copies the collection.
        let answer = self.ask(op, broker, timeout, |client, options, queue| unsafe {
            let collection = c::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            c::rd_kafka_DescribeTopics(client, collection, options, queue);
            c::rd_kafka_TopicCollection_destroy(collection);
        });
        let event = match answer {
            Err(RDKafkaErrorCode::UnsupportedFeature) => return Ok(vec![None; topics.len()]),
            answer => answer?,
        };
        let mut found: Vec<(String, Option<TopicId>)> = Vec::new();
        // SAFETY: the event is alive until the end of the function, and so is all that belongs to it.
        unsafe {
            let mut count = 0;
            let result = c::rd_kafka_event_DescribeTopics_result(event.0);
            let described = c::rd_kafka_DescribeTopics_result_topics(result, &mut count);
            for place in 0..count {
                let topic = *described.add(place);
                lists::checked(c::rd_kafka_error_code(c::rd_kafka_TopicDescription_error(topic)))?;
                let name = CStr::from_ptr(c::rd_kafka_TopicDescription_name(topic)).to_string_lossy().into_owned();
                let id = c::rd_kafka_TopicDescription_topic_id(topic);
                let high = c::rd_kafka_Uuid_most_significant_bits(id) as u64;
                let low = c::rd_kafka_Uuid_least_significant_bits(id) as u64;
                let bits = (u128::from(high) << 64) | u128::from(low);
                found.push((name, (bits != 0).then_some(TopicId(bits.to_be_bytes()))));
            }
        }
        let id = |topic: &&str| found.iter().find(|(name, _)| name == topic).and_then(|(_, id)| *id);
        Ok(topics.iter().map(id).collect())
    }

    /// All positions of a group, whether their partitions are there or not.
    pub(in crate::source) fn all_committed(
        &self,
        group: &str,
        timeout: Duration,
    ) -> Result<Vec<(Partition, Committed)>, RDKafkaErrorCode> {
        let group = CString::new(group).map_err(|_| RDKafkaErrorCode::InvalidGroupId)?;
        let op = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS;
        // SAFETY: the name lives until the request is answered; no list means all partitions.
        let event = self.ask(op, None, timeout, |client, options, queue| unsafe {
            let mut wanted = c::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), ptr::null());
            c::rd_kafka_ListConsumerGroupOffsets(client, &mut wanted, 1, options, queue);
            c::rd_kafka_ListConsumerGroupOffsets_destroy(wanted);
        })?;
        // SAFETY: the event is alive until the end of the function, and so is all that belongs to it.
        unsafe {
            let mut count = 0;
            let result = c::rd_kafka_event_ListConsumerGroupOffsets_result(event.0);
            let groups = c::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &mut count);
            if count == 0 {
                return Ok(Vec::new());
            }
            let error = c::rd_kafka_group_result_error(*groups);
            if !error.is_null() {
                lists::checked(c::rd_kafka_error_code(error))?;
            }
            lists::all_committed(c::rd_kafka_group_result_partitions(*groups))
        }
    }

    /// The members of a group, each by its id and host; none where the broker does not tell.
    pub(in crate::source) fn members(&self, group: &str, timeout: Duration) -> Option<Vec<String>> {
        let list = self.client.fetch_group_list(Some(group), timeout).ok()?;
        let members = list.groups().iter().filter(|it| it.name() == group).flat_map(|it| it.members());
        Some(members.map(|it| format!("{} at {}", it.id(), it.client_host())).collect())
    }

    /// Sends a request with a queue of its own, and waits for the answer.
    fn ask(
        &self,
        op: c::rd_kafka_admin_op_t,
        broker: Option<i32>,
        timeout: Duration,
        send: impl FnOnce(*mut c::rd_kafka_t, *const c::rd_kafka_AdminOptions_t, *mut c::rd_kafka_queue_t),
    ) -> Result<Event, RDKafkaErrorCode> {
        let client = self.client.native_ptr();
        // SAFETY: the client is alive; queue and options are destroyed here, after the last use. An answer that comes later goes with
        // the queue.
        let event = unsafe {
            let options = c::rd_kafka_AdminOptions_new(client, op);
            let mut words = [0 as c_char; 128];
            c::rd_kafka_AdminOptions_set_request_timeout(options, millis(timeout), words.as_mut_ptr(), words.len());
            if let Some(broker) = broker {
                c::rd_kafka_AdminOptions_set_broker(options, broker, words.as_mut_ptr(), words.len());
            }
            let queue = c::rd_kafka_queue_new(client);
            send(client, options, queue);
            let event = Event(c::rd_kafka_queue_poll(queue, millis(timeout)));
            c::rd_kafka_AdminOptions_destroy(options);
            c::rd_kafka_queue_destroy(queue);
            event
        };
        if event.0.is_null() {
            return Err(RDKafkaErrorCode::RequestTimedOut);
        }
        // SAFETY: the event is alive.
        lists::checked(unsafe { c::rd_kafka_event_error(event.0) })?;
        Ok(event)
    }
}
