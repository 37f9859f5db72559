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
    /// Groups whose every record was rejected are left out: what leaves a window depends on nothing else.
    pub(super) fn new(window: Window, content: Arc<OpenWindow>) -> Self {
        let mut order = content.keys.in_order();
        order.retain(|position| content.states.group(*position).count > 0);
        ClosedWindow { window, content, order }
    }

    pub fn hold(&self) -> Option<Hold> {
        self.content.hold
    }

    pub fn groups(&self) -> impl Iterator<Item = GroupState<'_>> {
        self.order.iter().map(|position| self.content.content(*position))
    }

    /// The groups, at most so many at once.
    pub fn pieces(&self, groups_max: usize) -> impl Iterator<Item = Vec<GroupState<'_>>> {
        self.order
            .chunks(groups_max)
            .map(|piece| piece.iter().map(|position| self.content.content(*position)).collect())
    }
}
