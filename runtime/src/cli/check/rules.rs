//! What is wrong with the way that fields take: paths that cannot be read or written, writers in each other's way, and what a
//! replay would not give again.

use std::collections::BTreeSet;

use super::way::{Actor, Origin, Role, Way, lies_within, overlap};
use crate::config::{ConfigError, Places};
use crate::record::{Field, Kind};

/// The wall clock of this run.
const RECEIVED: &str = "$received";

#[derive(Default)]
pub(super) struct Found {
    pub errors: Vec<ConfigError>,
    /// What works, but hardly as it was meant.
    pub warnings: BTreeSet<String>,
}

pub(super) fn check(ways: &[Way], places: &Places) -> Found {
    let mut found = Found::default();
    for way in ways {
        for (number, actor) in way.actors.iter().enumerate() {
            for message in written_own(actor).chain(taint(way, number)) {
                let error = places.error(&actor.place, message.0, Some(message.1));
                if !found.errors.contains(&error) {
                    found.errors.push(error);
                }
            }
            found.warnings.extend(overwritten(way, number));
            found.warnings.extend(never_of_that_kind(way, number));
        }
    }
    found
}

type Wrong = (String, String);

fn written_own(actor: &Actor) -> impl Iterator<Item = Wrong> {
    let own = actor.ports.writes.iter().filter(|field| field.path.starts_with('$'));
    own.map(|field| {
        let path = &field.path;
        (
            format!("`{}` writes what is the record's own: field=`{path}`", actor.name),
            format!("a field of this name is written `\\{path}`"),
        )
    })
}

/// A field made of `$received` may go into a document, and into nothing that decides: a replay would decide otherwise. An
/// enricher that reads `$received`, or a field made of it, is taken to use it for everything that it writes.
fn taint(way: &Way, number: usize) -> impl Iterator<Item = Wrong> {
    let actor = &way.actors[number];
    let decides = match actor.role {
        Role::EventTime => Some("the event time"),
        Role::Filter => Some("a filter"),
        Role::Group => Some("a group"),
        Role::Index => Some("an index name"),
        Role::Id => Some("an id"),
        Role::Enrich | Role::Aggregate => None,
    };
    let tainted = tainted(way, number);
    let reads = decides.into_iter().flat_map(|what| actor.ports.reads.iter().map(move |field| (what, field)));
    let wrong = reads.filter_map(|(what, field)| {
        let by = tainted.iter().find(|(path, _)| overlap(path, &field.path))?.1;
        let message = format!("`{}` depends on when a record was received: field=`{}`", actor.name, field.path);
        let hint = format!("a replay would give {what} another value");
        if by.is_empty() {
            return Some((message, hint));
        }
        Some((
            format!("{message}, which `{by}` makes of {RECEIVED}"),
            format!(
                "{hint}; where it is another field that is made of {RECEIVED}: all that a plugin writes\n    counts as made \
                 of what it reads, so name the plugin twice, with settings that keep the two apart"
            ),
        ))
    });
    wrong.collect::<Vec<_>>().into_iter()
}

/// The paths that are made of `$received` before the actor at `end`, each with who made it (nobody: it is `$received` itself).
pub(super) fn tainted(way: &Way, end: usize) -> Vec<(&str, &str)> {
    let mut tainted = vec![(RECEIVED, "")];
    for actor in way.actors.iter().take(end).filter(|actor| actor.passes_on()) {
        let reads = actor.ports.reads.iter().any(|field| tainted.iter().any(|(path, _)| overlap(path, &field.path)));
        let writes = || actor.ports.writes.iter().map(|field| field.path.as_str());
        // What is written anew is no longer what it was.
        tainted.retain(|(path, _)| !writes().any(|written| lies_within(path, written)));
        if reads {
            tainted.extend(writes().map(|path| (path, actor.name.as_str())));
        }
    }
    tainted
}

/// Who writes a field of which an earlier one has written a part: that part is lost, unless it was read to write the whole.
fn overwritten(way: &Way, number: usize) -> Vec<String> {
    let actor = &way.actors[number];
    let mut warnings = Vec::new();
    for write in actor.ports.writes.iter().filter(|_| actor.passes_on()) {
        let is_read = actor.ports.reads.iter().any(|read| overlap(&read.path, &write.path));
        for earlier in way.actors.iter().take(number).filter(|earlier| earlier.passes_on() && !is_read) {
            for part in earlier.ports.writes.iter().filter(|part| lies_within(&part.path, &write.path)) {
                warnings.push(format!(
                    "`{}` writes `{}` over what `{}` has written: field=`{}`",
                    actor.name, write.path, earlier.name, part.path
                ));
            }
        }
    }
    warnings
}

/// Readers of a kind in which the writer's values can never be read.
fn never_of_that_kind(way: &Way, number: usize) -> Vec<String> {
    let reader = &way.actors[number];
    let mut warnings = Vec::new();
    for read in &reader.ports.reads {
        let Origin::Written { by } = way.origin(number, &read.path) else { continue };
        let Some(writer) = way.actors.get(by) else { continue };
        let written = writer.ports.writes.iter().find(|write| write.path == read.path);
        if let Some(write) = written.filter(|write| !readable(write, read)) {
            warnings.push(format!(
                "`{}` reads `{}` as {}, but `{}` writes it as {}: it is never of that kind",
                reader.name,
                read.path,
                read.kind.name(),
                writer.name,
                write.kind.name()
            ));
        }
    }
    warnings
}

/// Whether some value that is written as the one kind can be read as the other, without loss.
fn readable(write: &Field, read: &Field) -> bool {
    let also: &[Kind] = match write.kind {
        Kind::Boolean | Kind::Timestamp | Kind::Bytes => &[Kind::Text],
        Kind::Integer => &[Kind::Float, Kind::Timestamp, Kind::Text],
        Kind::Float => &[Kind::Integer, Kind::Timestamp, Kind::Text],
        Kind::Text => &[Kind::Timestamp, Kind::Bytes],
        Kind::Json => return true,
        // Refused elsewhere: it has no value.
        Kind::Presence => return true,
    };
    read.kind == write.kind || matches!(read.kind, Kind::Presence | Kind::Json) || also.contains(&read.kind)
}
