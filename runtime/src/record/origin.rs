//! Where a record comes from.

use std::fmt;
use std::sync::Arc;

/// The place of a record in its partition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Offset(pub i64);

impl Offset {
    pub fn next(self) -> Offset {
        Offset(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Kafka's id of a topic: another one under the same name is another topic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TopicId(pub [u8; 16]);

/// In hexadecimal digits.
impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A partition of a topic; every lane belongs to one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Partition {
    pub topic: Arc<str>,
    pub number: i32,
}

impl Partition {
    pub fn new(topic: &str, number: i32) -> Self {
        Partition { topic: topic.into(), number }
    }

    pub fn origin(&self, offset: Offset) -> Origin {
        Origin { partition: self.clone(), offset }
    }
}

/// `topic-partition`.
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.number)
    }
}

/// Partition and offset: what a record is called everywhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Origin {
    pub partition: Partition,
    pub offset: Offset,
}

impl Origin {
    /// Of `topic-partition-offset`; a topic may have hyphens.
    pub fn parse(text: &str) -> Option<Origin> {
        let (rest, offset) = text.rsplit_once('-')?;
        let (topic, number) = rest.rsplit_once('-')?;
        let offset: i64 = offset.parse().ok().filter(|offset| *offset >= 0)?;
        Some(Partition::new(topic, number.parse().ok()?).origin(Offset(offset)))
    }
}

/// `topic-partition-offset`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.offset)
    }
}
