//! A window as it leaves the lane: its groups in the order of their keys.

use std::sync::Arc;

use crate::record::Offset;

use super::keyed::OpenWindow;
use super::{Hold, Window};

/// A window that has ended, or one that is still open as it is now, with its groups in a fixed order.
#[derive(Debug)]
pub struct ClosedWindow {
    pub window: Window,
    content: Arc<OpenWindow>,
    order: Vec<u32>,
}

/// A group's state in one window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupState<'a> {
    pub key: &'a [u8],
    pub state: &'a [u8],
    /// How many records are in it.
    pub count: u64,
    pub first: Offset,
    pub last: Offset,
}

impl ClosedWindow {
    /// Of its groups, these. Those whose every record was rejected are left out: what leaves a window depends on nothing else.
    pub(super) fn new(window: Window, content: Arc<OpenWindow>, groups: Vec<u32>) -> Self {
        let groups = groups.into_iter().filter(|position| content.states.group(*position).count > 0);
        let mut keyed: Vec<(&[u8], u32)> = groups.map(|position| (content.keys.get(position), position)).collect();
        keyed.sort_unstable();
        let order = keyed.into_iter().map(|(_, position)| position).collect();
        ClosedWindow { window, content, order }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub fn hold(&self) -> Option<Hold> {
        self.content.hold
    }

    pub fn groups(&self) -> impl Iterator<Item = GroupState<'_>> {
        self.order.iter().map(|position| self.content.content(*position))
    }
}
