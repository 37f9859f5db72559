//! The fields to look for in a record, as a tree of object keys; made once for a pipeline.

use super::DecodeError;
use super::path::{Own, Path};
use super::scan;

/// A node of the plan: the place of its span among those of a record. Slots are numbered depth first, so the slots
/// under one follow it: the root object is 0.
pub(super) type Slot = usize;

pub(super) const ROOT: Slot = 0;

/// Every path that somebody reads or writes, and every object on the way.
#[derive(Debug)]
pub(super) struct Plan {
    nodes: Vec<Node>,
}

#[derive(Debug)]
pub(super) struct Node {
    /// The object key; empty for the root.
    pub(super) name: String,
    pub(super) parent: Slot,
    /// Object keys from the root.
    pub(super) depth: usize,
    /// One behind the last slot below.
    pub(super) end: Slot,
    /// A bit for each length that a child's name has, so that most keys need no comparison.
    lengths: u64,
    children: Vec<(Box<[u8]>, Slot)>,
}

/// Where a path is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Field(Slot),
    Own(Own),
}

impl Plan {
    pub(super) fn new(paths: impl IntoIterator<Item: AsRef<str>>) -> Result<Plan, DecodeError> {
        let mut fields = Vec::new();
        for path in paths {
            match Path::parse(path.as_ref())? {
                Path::Field(segments) => fields.push(segments),
                Path::Own(_) => {}
            }
        }
        // In order, a path follows the objects that it lies in, and whatever else lies in one comes without a gap.
        fields.sort();
        fields.dedup();
        let mut plan = Plan { nodes: vec![Node::new("", ROOT, 0)] };
        for segments in &fields {
            let mut slot = ROOT;
            for segment in segments {
                slot = match plan.nodes[slot].child(segment.as_bytes()) {
                    Some(child) => child,
                    None => plan.add(slot, segment),
                };
            }
        }
        for slot in (1..plan.nodes.len()).rev() {
            let (parent, end) = (plan.nodes[slot].parent, plan.nodes[slot].end.max(slot + 1));
            plan.nodes[slot].end = end;
            plan.nodes[parent].end = plan.nodes[parent].end.max(end);
        }
        plan.nodes[ROOT].end = plan.nodes.len();
        Ok(plan)
    }

    fn add(&mut self, parent: Slot, name: &str) -> Slot {
        let slot = self.nodes.len();
        let depth = self.nodes[parent].depth + 1;
        self.nodes.push(Node::new(name, parent, depth));
        let above = &mut self.nodes[parent];
        above.lengths |= length_bit(name.len());
        above.children.push((name.as_bytes().into(), slot));
        slot
    }

    /// The number of slots.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, slot: Slot) -> &Node {
        &self.nodes[slot]
    }

    /// None for a path that the plan was not made with.
    pub(super) fn place(&self, path: &str) -> Result<Place, DecodeError> {
        match Path::parse(path)? {
            Path::Own(own) => Ok(Place::Own(own)),
            Path::Field(segments) => {
                let mut slot = ROOT;
                for segment in segments {
                    slot = self.nodes[slot]
                        .child(segment.as_bytes())
                        .ok_or_else(|| DecodeError::Undeclared { path: path.to_owned() })?;
                }
                Ok(Place::Field(slot))
            }
        }
    }

    /// Whether `inner` lies somewhere in `outer`; not for a slot and itself.
    pub(super) fn is_within(&self, inner: Slot, outer: Slot) -> bool {
        outer < inner && inner < self.nodes[outer].end
    }

    /// The objects that a slot lies in, from the inside out, without the root.
    pub(super) fn ancestors(&self, slot: Slot) -> impl Iterator<Item = Slot> {
        std::iter::successors(Some(self.nodes[slot].parent), |slot| Some(self.nodes[*slot].parent))
            .take_while(|slot| *slot != ROOT)
    }

    /// The path as it is written in settings.
    pub(super) fn path(&self, slot: Slot) -> String {
        let mut names = vec![self.nodes[slot].name.as_str()];
        names.extend(self.ancestors(slot).map(|slot| self.nodes[slot].name.as_str()));
        names.reverse();
        let escaped = names.iter().map(|name| name.replace('\\', "\\\\").replace('.', "\\.").replace('$', "\\$"));
        escaped.collect::<Vec<_>>().join(".")
    }
}

impl Node {
    fn new(name: &str, parent: Slot, depth: usize) -> Self {
        Node { name: name.to_owned(), parent, depth, end: 0, lengths: 0, children: Vec::new() }
    }

    pub(super) fn has_children(&self) -> bool {
        !self.children.is_empty()
    }

    /// The child of this name.
    #[inline(always)]
    pub(super) fn child(&self, name: &[u8]) -> Option<Slot> {
        if self.lengths & length_bit(name.len()) == 0 {
            return None;
        }
        self.children.iter().find(|(child, _)| is_same(child, name)).map(|(_, slot)| *slot)
    }

    /// The child whose name a key with escapes spells.
    #[cold]
    pub(super) fn child_escaped(&self, key: &[u8]) -> Option<Slot> {
        let mut name = Vec::new();
        scan::unescape(key, &mut name).then(|| self.child(&name)).flatten()
    }
}

/// Names are short: up to 16 bytes are compared as two numbers that may overlap, which costs less than a call.
#[inline(always)]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match one.len() {
        0..=3 => one.iter().eq(other),
        4..=8 => one.first_chunk::<4>() == other.first_chunk::<4>() && one.last_chunk::<4>() == other.last_chunk::<4>(),
        9..=16 => {
            one.first_chunk::<8>() == other.first_chunk::<8>() && one.last_chunk::<8>() == other.last_chunk::<8>()
        }
        _ => one == other,
    }
}

#[inline(always)]
fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_an_object_follows_it() {
        let plan = Plan::new(["b.c", "a", "b", "b.d.e", "$key", "a"]).unwrap();
        let slot = |path| match plan.place(path).unwrap() {
            Place::Field(slot) => slot,
            Place::Own(own) => panic!("{own:?}"),
        };
        assert_eq!([slot("a"), slot("b"), slot("b.c"), slot("b.d"), slot("b.d.e")], [1, 2, 3, 4, 5]);
        assert!(plan.is_within(5, 2) && plan.is_within(5, 4) && plan.is_within(1, ROOT));
        assert!(!plan.is_within(2, 2) && !plan.is_within(2, 5) && !plan.is_within(3, 1));
        assert_eq!(plan.ancestors(5).collect::<Vec<_>>(), [4, 2]);
        assert_eq!(plan.path(5), "b.d.e");
        assert!(matches!(plan.place("b.x"), Err(DecodeError::Undeclared { .. })));
        assert_eq!(plan.place("$key").unwrap(), Place::Own(Own::Key));
    }

    #[test]
    fn siblings_whose_names_sort_between_keep_the_order() {
        // `a!` sorts before `a.b` as text, after it by segments.
        let plan = Plan::new(["a.b", "a!", "a", r"a\.b", "a.z.q"]).unwrap();
        for slot in 1..plan.len() {
            for inner in slot + 1..plan.node(slot).end {
                assert!(plan.ancestors(inner).any(|above| above == slot));
            }
        }
        assert_eq!(plan.node(ROOT).end, plan.len());
    }
}
