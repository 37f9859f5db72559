//! What does not add up, named one by one as far as that helps, and joined where it follows each other.

use std::sync::Arc;

use crate::record::{EventTime, Offset, Partition};

/// So many are remembered one by one; more are only counted. Each takes some 200 bytes.
const REMEMBERED_MAX: usize = 100_000;

/// Why something is a difference.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Why {
    /// The document is not there.
    Missing,
    /// The document is there in this version, which is of an earlier record.
    Older { version: u64 },
    /// The document's index cannot be looked at, and says this of it.
    NotLookedUp { kind: String },
    /// The document should have been deleted, and is there in this version.
    NotDeleted { version: u64 },
    /// The window's document has other fields.
    OtherFields,
    /// The record, or the window's document, is refused with this reason, and there is no dead letter of it.
    NoDeadLetter { reason: String },
}

impl Why {
    fn is_alike(&self, other: &Why) -> bool {
        match (self, other) {
            (Why::NoDeadLetter { reason }, Why::NoDeadLetter { reason: other }) => reason == other,
            (Why::NotLookedUp { kind }, Why::NotLookedUp { kind: other }) => kind == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// Something that does not add up; several where consecutive records have the same in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Difference {
    /// None where a record was refused before the outputs part.
    pub output: Option<Arc<str>>,
    /// None: it is of a window.
    pub partition: Option<Partition>,
    pub why: Why,
    /// Empty where it is no document.
    pub index: String,
    /// The first record and the last one.
    pub origins: (Offset, Offset),
    /// Of the first document.
    pub id: String,
    /// Where the window begins.
    pub window_start: Option<EventTime>,
    pub count: u64,
}

impl Difference {
    pub(super) fn of_record(output: Option<Arc<str>>, partition: Partition, offset: Offset, why: Why) -> Difference {
        Difference {
            output,
            partition: Some(partition),
            why,
            index: String::new(),
            origins: (offset, offset),
            id: String::new(),
            window_start: None,
            count: 1,
        }
    }

    pub(super) fn of_window(output: Arc<str>, id: String, start: Option<EventTime>, why: Why) -> Difference {
        Difference {
            output: Some(output),
            partition: None,
            why,
            index: String::new(),
            origins: (Offset(0), Offset(0)),
            id,
            window_start: start,
            count: 1,
        }
    }

    pub(super) fn at(self, index: &str, id: &str) -> Difference {
        Difference { index: index.to_owned(), id: id.to_owned(), ..self }
    }

    /// Takes over one that follows it.
    fn join(&mut self, next: &Difference) -> bool {
        let follows = self.partition.is_some()
            && (&self.output, &self.partition, &self.index) == (&next.output, &next.partition, &next.index)
            && self.why.is_alike(&next.why)
            && (self.origins.1 == next.origins.0 || self.origins.1.next() == next.origins.0);
        if follows {
            self.origins.1 = next.origins.1;
            self.count += next.count;
        }
        follows
    }
}

#[derive(Default)]
pub(super) struct Differences {
    remembered: Vec<Difference>,
    count: u64,
}

impl Differences {
    pub fn add(&mut self, difference: Difference) {
        self.count += 1;
        if self.remembered.len() < REMEMBERED_MAX {
            self.remembered.push(difference);
        }
    }

    /// One of which nothing more is known.
    pub fn add_unnamed(&mut self) {
        self.count += 1;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Windows come after records.
    pub fn joined(self) -> Vec<Difference> {
        let mut all = self.remembered;
        // Those of one kind stand together, so that what has another kind between them is joined too.
        let kind = |why: &Why| match why {
            Why::Missing => (0, String::new()),
            Why::Older { .. } => (1, String::new()),
            Why::NotDeleted { .. } => (2, String::new()),
            Why::OtherFields => (3, String::new()),
            Why::NoDeadLetter { reason } => (4, reason.clone()),
            Why::NotLookedUp { kind } => (5, kind.clone()),
        };
        all.sort_by_cached_key(|it| {
            let place = (it.output.clone(), it.partition.is_none(), it.partition.clone());
            (place, kind(&it.why), it.index.clone(), it.window_start, it.origins, it.id.clone())
        });
        let mut joined: Vec<Difference> = Vec::new();
        for difference in all {
            if !joined.last_mut().is_some_and(|last| last.join(&difference)) {
                joined.push(difference);
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_each_other_is_one() {
        let missing = |offset, index: &str| {
            Difference::of_record(Some("all".into()), Partition::new("events", 1), Offset(offset), Why::Missing)
                .at(index, &format!("all:events-1-{offset}"))
        };
        let older = Why::Older { version: 3 };
        let mut differences = Differences::default();
        for offset in [9, 8, 5, 4, 3, 7] {
            differences.add(missing(offset, "all"));
        }
        differences.add(missing(6, "other"));
        let older = Difference::of_record(Some("all".into()), Partition::new("events", 1), Offset(6), older);
        differences.add(older.at("all", "x"));
        let window = Difference::of_window("counts".into(), "w".to_owned(), Some(EventTime::MIN), Why::OtherFields);
        differences.add(window);
        assert_eq!(differences.count(), 9);
        let told: Vec<_> = differences.joined().iter().map(|it| (it.origins.0.0, it.origins.1.0, it.count)).collect();
        assert_eq!(told, [(3, 5, 3), (7, 9, 3), (6, 6, 1), (6, 6, 1), (0, 0, 1)]);
    }
}
