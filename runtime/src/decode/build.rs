//! Objects built from paths: members are added in the order of their slots, nested objects open and close by themselves.

use super::plan::{Plan, Slot};
use super::text;

/// Adds members to an object at the end of `body` that is still open.
pub(super) struct Builder<'a> {
    plan: &'a Plan,
    body: &'a mut Vec<u8>,
    /// The object that members are added to at last, and the innermost one that is open now.
    base: Slot,
    open: Slot,
}

impl<'a> Builder<'a> {
    pub(super) fn new(plan: &'a Plan, base: Slot, body: &'a mut Vec<u8>) -> Self {
        Builder { plan, body, base, open: base }
    }

    /// Adds the key of a slot that lies in the base and behind those that were added before; the caller appends the value
    /// to what it gets.
    pub(super) fn key(&mut self, slot: Slot) -> &mut Vec<u8> {
        while !self.plan.is_within(slot, self.open) {
            self.body.push(b'}');
            self.open = self.plan.node(self.open).parent;
        }
        self.open_to(self.plan.node(slot).parent);
        self.name(slot);
        self.body
    }

    /// Closes all objects that it opened.
    pub(super) fn finish(mut self) {
        while self.open != self.base {
            self.body.push(b'}');
            self.open = self.plan.node(self.open).parent;
        }
    }

    /// As deep as a path of the plan.
    fn open_to(&mut self, slot: Slot) {
        if slot != self.open {
            self.open_to(self.plan.node(slot).parent);
            self.name(slot);
            self.body.push(b'{');
            self.open = slot;
        }
    }

    fn name(&mut self, slot: Slot) {
        if self.body.trim_ascii_end().last() != Some(&b'{') {
            self.body.push(b',');
        }
        text::quote(self.plan.node(slot).name.as_bytes(), self.body);
        self.body.push(b':');
    }
}
