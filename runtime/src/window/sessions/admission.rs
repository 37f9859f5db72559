//! Which groups have an open session, where only so many may: by the records alone, in their order, however these are cut into
//! batches and whenever sessions are closed.

use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use rpds::{HashTrieMapSync, RedBlackTreeSetSync};

use crate::record::EventTime;

/// A group is open until a watermark reaches what its admitted records reach, even where the aggregate rejects them.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    groups: HashTrieMapSync<Arc<[u8]>, EventTime, DefaultHashBuilder>,
    by_end: RedBlackTreeSetSync<(EventTime, Arc<[u8]>)>,
}

impl Admission {
    pub fn new() -> Self {
        let groups = HashTrieMapSync::new_with_hasher_and_ptr_kind(DefaultHashBuilder::default());
        Admission { groups, by_end: RedBlackTreeSetSync::new_sync() }
    }

    pub fn open(&mut self, key: Arc<[u8]>, end: EventTime) {
        let before = self.groups.get(&key).copied();
        if before.is_some_and(|before| before >= end) {
            return;
        }
        if let Some(before) = before {
            self.by_end.remove_mut(&(before, key.clone()));
        }
        self.by_end.insert_mut((end, key.clone()));
        self.groups.insert_mut(key, end);
    }

    /// A record that reaches to `end` and comes when the watermark is that: whether it is of one of so many groups at most.
    pub fn admit(&mut self, key: &[u8], end: EventTime, watermark: EventTime, groups_max: u32) -> bool {
        while let Some(first) = self.by_end.first().filter(|(end, _)| *end <= watermark).cloned() {
            self.by_end.remove_mut(&first);
            self.groups.remove_mut(&*first.1);
        }
        let known = self.groups.get_key_value(key).map(|(key, end)| (key.clone(), *end));
        match known {
            Some((_, known)) if known >= end => return true,
            Some((key, _)) => self.open(key, end),
            None if self.groups.size() < groups_max as usize => self.open(key.into(), end),
            None => return false,
        }
        true
    }
}
