//! A message in the C library's memory: looked at, copied, given back.

use std::ffi::CStr;
use std::{ptr, slice};

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaErrorCode;

use super::lists;
use crate::record::{BatchBuilder, EventTime, Offset};

/// A record, or an error that is about a partition. Given back when dropped.
pub(in crate::source) struct Received(*mut c::rd_kafka_message_t);

impl Received {
    /// # Safety
    /// The message is alive and was given to the caller.
    pub(super) unsafe fn new(message: *mut c::rd_kafka_message_t) -> Self {
        Received(message)
    }

    fn message(&self) -> &c::rd_kafka_message_t {
        // SAFETY: alive until `self` is dropped.
        unsafe { &*self.0 }
    }

    pub(in crate::source) fn error(&self) -> Option<RDKafkaErrorCode> {
        lists::checked(self.message().err).err()
    }

    /// Names the topic within the client, and the partition; cheaper than the topic's text. None for an error that is about
    /// no partition.
    pub(in crate::source) fn place(&self) -> Option<(usize, i32)> {
        let message = self.message();
        (!message.rkt.is_null()).then_some((message.rkt as usize, message.partition))
    }

    pub(in crate::source) fn topic(&self) -> &str {
        let topic = self.message().rkt;
        if topic.is_null() {
            return "";
        }
        // SAFETY: the topic lives at least as long as the message; names are ASCII that ends with a zero.
        unsafe { CStr::from_ptr(c::rd_kafka_topic_name(topic)) }.to_str().unwrap_or_default()
    }

    pub(in crate::source) fn offset(&self) -> Offset {
        Offset(self.message().offset)
    }

    /// Key and value.
    pub(in crate::source) fn bytes(&self) -> usize {
        self.message().key_len + self.message().len
    }

    /// The words of an error.
    pub(in crate::source) fn words(&self) -> String {
        // SAFETY: the message is alive; the text belongs to it.
        unsafe { super::text(c::rd_kafka_message_errstr(self.0)) }
    }

    /// Copies the record to the end of a batch.
    pub(in crate::source) fn copy_to(&self, batch: &mut BatchBuilder) {
        let message = self.message();
        // SAFETY: key and payload belong to the message and are of the lengths that it says; null is no value.
        let (key, value) = unsafe { (bytes(message.key, message.key_len), bytes(message.payload, message.len)) };
        let mut kind = c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive.
        let millis = unsafe { c::rd_kafka_message_timestamp(self.0, &mut kind) };
        let timestamp = (millis >= 0).then(|| EventTime::from_micros(millis.saturating_mul(1000)));
        batch.push(self.offset(), timestamp, key, value);
        self.copy_headers(batch);
    }

    fn copy_headers(&self, batch: &mut BatchBuilder) {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive, and the headers that it has live as long.
        if lists::checked(unsafe { c::rd_kafka_message_headers(self.0, &mut headers) }).is_err() {
            return;
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: an index past the end is answered by an error; name and value belong to the headers.
            unsafe {
                let found = c::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size);
                if lists::checked(found).is_err() {
                    return;
                }
                batch.header(CStr::from_ptr(name).to_bytes(), bytes(value, size));
            }
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        // SAFETY: ours, and not used after this.
        unsafe { c::rd_kafka_message_destroy(self.0) };
    }
}

/// # Safety
/// Null, or that many bytes, alive as long as the result.
unsafe fn bytes<'a>(start: *const std::ffi::c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by the contract above.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast::<u8>(), length) })
}
