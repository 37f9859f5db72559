//! Edits cut into a record's own bytes: what nobody wrote stays as it came.

use std::cell::RefCell;

use super::build::Builder;
use super::plan::{Plan, ROOT, Slot};
use super::scan;
use super::span::{Shape, Span};
use super::text;

/// A field that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Edit {
    pub(super) slot: Slot,
    /// Which of the [`Written`] values it gets.
    pub(super) source: usize,
}

/// The values of a row that were written.
pub(super) trait Written {
    /// Whether the field is set; else it is removed.
    fn is_present(&self, source: usize) -> bool;
    /// Appends the value as JSON.
    fn write(&self, source: usize, body: &mut Vec<u8>);
}

/// A place of the original where something else comes.
#[derive(Clone, Copy)]
struct Patch {
    /// The value's, and for a cut also the start of its key.
    start: usize,
    end: usize,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    /// The value of this edit replaces the bytes.
    Replace { source: usize },
    /// The bytes go, and one comma with them.
    Cut,
    /// New members of this object come before its end.
    Append { object: Slot },
    /// An object with new members replaces a null.
    Fill { object: Slot },
}

/// Appends `value`, where the plan's fields are at `spans`, with the edits made to it. They are in the order of their
/// slots, and none lies in another.
pub(super) fn splice(
    plan: &Plan,
    value: &[u8],
    spans: &[Span],
    edits: &[Edit],
    body: &mut Vec<u8>,
    written: &impl Written,
) {
    thread_local! {
        static PATCHES: RefCell<Vec<Patch>> = const { RefCell::new(Vec::new()) };
    }
    let mut patches = PATCHES.take();
    patches.clear();
    collect(plan, value, spans, edits, written, &mut patches);
    patches.sort_unstable_by_key(|patch| patch.start);
    let root = spans[ROOT];
    body.reserve(root.end() - root.start() + 64);
    // Everything before it was copied or cut.
    let mut done = root.start();
    for patch in &patches {
        match patch.what {
            What::Replace { source } => {
                body.extend_from_slice(&value[done..patch.start]);
                written.write(source, body);
                done = patch.end;
            }
            What::Cut => {
                let before = value[done..patch.start].trim_ascii_end();
                if before.last() == Some(&b',') {
                    body.extend_from_slice(&before[..before.len() - 1]);
                    done = patch.end;
                } else {
                    // All before it in its object was cut as well, or there is nothing: the comma behind it goes.
                    body.extend_from_slice(&value[done..patch.start]);
                    let rest = value[patch.end..].trim_ascii_start();
                    done = match rest.strip_prefix(b",") {
                        Some(rest) => value.len() - rest.trim_ascii_start().len(),
                        None => patch.end,
                    };
                }
            }
            What::Append { object } | What::Fill { object } => {
                body.extend_from_slice(&value[done..patch.start]);
                let fill = matches!(patch.what, What::Fill { .. });
                if fill {
                    body.push(b'{');
                }
                let mut builder = Builder::new(plan, object, body);
                for edit in edits {
                    if target(plan, spans, edit, written) == Some(object) {
                        written.write(edit.source, builder.key(edit.slot));
                    }
                }
                builder.finish();
                if fill {
                    body.push(b'}');
                }
                done = patch.end;
            }
        }
    }
    body.extend_from_slice(&value[done..root.end()]);
    PATCHES.set(patches);
}

/// The innermost object that is there, or the null in its place, for a field that must be made.
fn target(plan: &Plan, spans: &[Span], edit: &Edit, written: &impl Written) -> Option<Slot> {
    if spans[edit.slot].shape() != Shape::Absent || !written.is_present(edit.source) {
        return None;
    }
    let there = plan.ancestors(edit.slot).find(|slot| spans[*slot].shape() != Shape::Absent);
    Some(there.unwrap_or(ROOT))
}

fn collect(
    plan: &Plan,
    value: &[u8],
    spans: &[Span],
    edits: &[Edit],
    written: &impl Written,
    patches: &mut Vec<Patch>,
) {
    for edit in edits {
        let span = spans[edit.slot];
        if let Some(object) = target(plan, spans, edit, written) {
            let there = spans[object];
            let patch = if there.shape() == Shape::Object {
                let end = there.end() - 1;
                Patch { start: end, end, what: What::Append { object } }
            } else {
                // A null: writing refuses rows where anything else is in the way.
                Patch { start: there.start(), end: there.end(), what: What::Fill { object } }
            };
            // Those for the same object make one patch.
            let is_same = |other: &Patch| match other.what {
                What::Append { object: other } | What::Fill { object: other } => other == object,
                What::Replace { .. } | What::Cut => false,
            };
            if !patches.iter().any(is_same) {
                patches.push(patch);
            }
        } else if span.shape() != Shape::Absent {
            let set = written.is_present(edit.source);
            if set {
                let what = What::Replace { source: edit.source };
                patches.push(Patch { start: span.start(), end: span.end(), what });
            }
            if !set || span.is_repeated() {
                cut(plan, value, spans, edit.slot, set, patches);
            }
        }
    }
}

/// Cuts a field's members out: all of them, but for the last where that is set.
fn cut(plan: &Plan, value: &[u8], spans: &[Span], slot: Slot, set: bool, patches: &mut Vec<Patch>) {
    let (span, node) = (spans[slot], plan.node(slot));
    let name = node.name.as_bytes();
    if !span.is_repeated()
        && let Some(start) = key_start(&value[..span.start()], name)
    {
        patches.push(Patch { start, end: span.end(), what: What::Cut });
        return;
    }
    scan::members(value, spans[node.parent].start(), |key, escaped, end| {
        let (start, inside) = (key.start - 1, &value[key]);
        let mut spelled = Vec::new();
        let same = if escaped { text::unescape(inside, &mut spelled) && spelled == name } else { inside == name };
        if same && !(set && end == span.end()) {
            patches.push(Patch { start, end, what: What::Cut });
        }
    });
}

/// Where the quoted key begins before a value; none when it is spelled with escapes.
fn key_start(before: &[u8], name: &[u8]) -> Option<usize> {
    let key = before.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end().strip_suffix(b"\"")?;
    // The key is known to spell the name: when it ends with it behind a quote, that quote is no escaped one.
    Some(key.strip_suffix(name)?.strip_suffix(b"\"")?.len())
}

/// Replaces the line breaks in checked JSON by blanks: they can only lie between values.
pub(super) fn join_lines(json: &mut [u8]) {
    let mut from = 0;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', &json[from..]) {
        json[from + at] = b' ';
        from += at + 1;
    }
}
