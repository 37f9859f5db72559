//! The tables of fields: who reads which, from where; who writes which.

use super::rules::tainted;
use super::sample::Sample;
use super::way::{Origin, Role, Way};
use crate::cli::columns::Columns;

/// A line for each field and reader. Those that come on the way to several outputs are shown once.
pub(super) fn read(ways: &[Way], sample: Option<&Sample>) -> String {
    let mut columns = Columns::new(["field", "read by", "as", "required", "from", "there", "of that kind"]);
    let mut seen = Vec::new();
    for way in ways {
        for (number, actor) in way.actors.iter().enumerate() {
            for field in &actor.ports.reads {
                let origin = way.origin(number, &field.path);
                let row = (&actor.place, field);
                if seen.contains(&row) {
                    continue;
                }
                seen.push(row);
                let writer = |by: usize| way.actors.get(by).map_or("", |actor| actor.name.as_str());
                let measured = sample.filter(|_| origin == Origin::Record).and_then(|sample| sample.field(field));
                columns.row(vec![
                    field.path.clone(),
                    actor.name.clone(),
                    if actor.role == Role::Group { "any kind".into() } else { field.kind.name().into() },
                    if field.required { "yes".into() } else { "no".into() },
                    match origin {
                        Origin::Record => "the record".into(),
                        Origin::Own => "the record's own".into(),
                        Origin::Written { by } => writer(by).into(),
                        Origin::Both { by } => format!("the record, {}", writer(by)),
                    },
                    measured.as_ref().map_or(String::new(), |measured| measured.there.clone()),
                    measured.map_or(String::new(), |measured| measured.of_that_kind),
                ]);
            }
        }
    }
    columns.show()
}

/// A line for each field that is written; empty when none is.
pub(super) fn written(ways: &[Way]) -> String {
    let mut columns = Columns::new(["field", "written by", "as", "note"]);
    let mut seen = Vec::new();
    for way in ways {
        for (number, actor) in way.actors.iter().enumerate() {
            let tainted = tainted(way, number + 1);
            for field in &actor.ports.writes {
                let row = (&actor.place, field);
                if seen.contains(&row) {
                    continue;
                }
                seen.push(row);
                let note = tainted.contains(&(field.path.as_str(), actor.name.as_str()));
                columns.row(vec![
                    field.path.clone(),
                    actor.name.clone(),
                    field.kind.name().into(),
                    if note { "may differ in a replay (its plugin reads $received)".into() } else { String::new() },
                ]);
            }
        }
    }
    if columns.is_empty() { String::new() } else { columns.show() }
}
