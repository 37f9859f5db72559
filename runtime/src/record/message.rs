//! A message that the pipeline writes to a Kafka topic: a part, a marker or a dead letter.

use std::sync::Arc;

/// Written with the present time; `partition` is ours to choose, or none for a topic where it does not matter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub topic: Arc<str>,
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// What Kafka's client has of memory for a message and for each header, beside their bytes.
const MESSAGE_OVERHEAD: usize = 512;
const HEADER_OVERHEAD: usize = 64;

impl Message {
    /// What it weighs in a queue, where a dead letter's headers weigh more than a small record.
    pub fn weight(&self) -> usize {
        self.bytes() + MESSAGE_OVERHEAD + self.headers.len() * HEADER_OVERHEAD
    }

    /// Of what it says.
    pub fn bytes(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + length(value)).sum();
        length(&self.key) + length(&self.value) + headers
    }
}
