//! Lists of partitions, to the C library and back.

use std::ffi::{CStr, c_int};

use rdkafka::TopicPartitionList;
use rdkafka::bindings as c;
use rdkafka::types::RDKafkaErrorCode;

use crate::record::{Commitment, Offset, Partition};

/// A position of the group and the text beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::source) struct Committed {
    pub(in crate::source) offset: Offset,
    /// None when it is not UTF-8: somebody else wrote it.
    pub(in crate::source) metadata: Option<String>,
}

pub(super) fn of(partitions: &[Partition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.number);
    }
    list
}

pub(super) fn with_offsets(starts: &[(Partition, Offset)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(starts.len());
    for (partition, offset) in starts {
        let mut element = list.add_partition(&partition.topic, partition.number);
        element.set_offset(rdkafka::Offset::Offset(offset.0)).expect("a position is not negative");
    }
    list
}

pub(super) fn with_commitments(commitments: &[(Partition, Commitment)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(commitments.len());
    for (partition, commitment) in commitments {
        let mut element = list.add_partition(&partition.topic, partition.number);
        element.set_offset(rdkafka::Offset::Offset(commitment.offset.0)).expect("a position is not negative");
        element.set_metadata(&commitment.metadata);
    }
    list
}

/// Sets every offset to a raw number: a time, or one of the library's special values.
pub(super) fn set_offsets(list: &TopicPartitionList, offset: i64) {
    // SAFETY: the list is alive, has `cnt` elements, and nobody else holds a reference into it.
    unsafe {
        let list = &*list.ptr();
        for index in 0..usize::try_from(list.cnt).unwrap_or(0) {
            (*list.elems.add(index)).offset = offset;
        }
    }
}

/// # Safety
/// `list` is null or alive for as long as the result.
unsafe fn elements<'a>(list: *const c::rd_kafka_topic_partition_list_t) -> &'a [c::rd_kafka_topic_partition_t] {
    // SAFETY: by the contract above; a list with elements has a pointer to them.
    unsafe {
        match list.as_ref() {
            Some(list) if list.cnt > 0 => std::slice::from_raw_parts(list.elems, list.cnt as usize),
            _ => &[],
        }
    }
}

/// # Safety
/// `list` is null or alive.
pub(super) unsafe fn partitions(list: *const c::rd_kafka_topic_partition_list_t) -> Vec<Partition> {
    // SAFETY: by the contract above; topics are text that ends with a zero.
    unsafe {
        let named = elements(list).iter();
        named.map(|it| Partition::new(&CStr::from_ptr(it.topic).to_string_lossy(), it.partition)).collect()
    }
}

/// # Safety
/// `list` is null or alive.
pub(super) unsafe fn first_error(list: *const c::rd_kafka_topic_partition_list_t) -> Result<(), RDKafkaErrorCode> {
    // SAFETY: by the contract above.
    unsafe { elements(list) }.iter().try_for_each(|it| checked(it.err))
}

pub(super) fn offsets(list: &TopicPartitionList) -> Result<Vec<Option<Offset>>, RDKafkaErrorCode> {
    // SAFETY: the list is alive until the end of the function.
    let elements = unsafe { elements(list.ptr()) };
    let offset = |raw: i64| (raw >= 0).then_some(Offset(raw));
    elements.iter().map(|it| checked(it.err).map(|()| offset(it.offset))).collect()
}

/// The partitions of a list that have a position.
///
/// # Safety
/// `list` is null or alive.
pub(super) unsafe fn all_committed(
    list: *const c::rd_kafka_topic_partition_list_t,
) -> Result<Vec<(Partition, Committed)>, RDKafkaErrorCode> {
    // SAFETY: by the contract above.
    let (partitions, positions) = unsafe { (partitions(list), committed_of(elements(list))?) };
    Ok(partitions.into_iter().zip(positions).filter_map(|(partition, it)| Some((partition, it?))).collect())
}

pub(super) fn committed(list: &TopicPartitionList) -> Result<Vec<Option<Committed>>, RDKafkaErrorCode> {
    // SAFETY: the list is alive until the end of the function, and so is the metadata of its elements.
    unsafe { committed_of(elements(list.ptr())) }
}

/// # Safety
/// The metadata of the elements is null, or alive and as long as they say.
unsafe fn committed_of(elements: &[c::rd_kafka_topic_partition_t]) -> Result<Vec<Option<Committed>>, RDKafkaErrorCode> {
    let mut found = Vec::with_capacity(elements.len());
    for element in elements {
        checked(element.err)?;
        let metadata: &[u8] = match (element.metadata.is_null(), element.metadata_size) {
            (true, _) | (_, 0) => &[],
            // SAFETY: as above.
            (false, size) => unsafe { std::slice::from_raw_parts(element.metadata.cast::<u8>(), size) },
        };
        let metadata = std::str::from_utf8(metadata).ok().map(str::to_owned);
        found.push((element.offset >= 0).then_some(Committed { offset: Offset(element.offset), metadata }));
    }
    Ok(found)
}

pub(super) fn checked(error: c::rd_kafka_resp_err_t) -> Result<(), RDKafkaErrorCode> {
    match error {
        c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        error => Err(error.into()),
    }
}

/// Takes an error object of the library, or null for none.
pub(super) fn checked_error(error: *mut c::rd_kafka_error_t) -> Result<(), RDKafkaErrorCode> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the library gave the object to us; it is not used after it is destroyed.
    unsafe {
        let code = c::rd_kafka_error_code(error);
        c::rd_kafka_error_destroy(error);
        Err(code.into())
    }
}

/// A code that came as a bare number.
pub(super) fn code(number: c_int) -> RDKafkaErrorCode {
    c::rd_kafka_resp_err_t::try_from(number).map_or(RDKafkaErrorCode::Unknown, RDKafkaErrorCode::from)
}
