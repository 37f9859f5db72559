//! The way of records to each output: who reads and writes which field, in order.

use super::components::Plugins;
use crate::config::{IndexPart, OutputSettings, PipelineSettings, TransformSettings};
use crate::plugin::{Plugin, PluginKind};
use crate::record::{Field, Kind, Ports};

/// What an actor does with what it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    EventTime,
    Filter,
    Enrich,
    Group,
    Aggregate,
    Index,
    Id,
}

/// One that reads or writes fields.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Actor {
    /// `drop-anonymous`, `counts (group)`.
    pub name: String,
    /// Its key in the pipeline file.
    pub place: String,
    pub role: Role,
    pub ports: Ports,
}

/// All of them from the record to an output, in order.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Way {
    pub actors: Vec<Actor>,
}

/// A way for each output. Plugins that could not be loaded are left out.
pub(super) fn ways(settings: &PipelineSettings, plugins: &Plugins) -> Vec<Way> {
    let reads = |field| Ports { reads: vec![field], writes: Vec::new() };
    let event_time = Actor {
        name: "event time".into(),
        place: "source.decode.event_time".into(),
        role: Role::EventTime,
        ports: reads(read(&settings.decode.event_time, Kind::Timestamp, true)),
    };
    let mut common = vec![event_time];
    common.extend(transforms(&settings.transforms, &plugins.transforms, ""));
    let ways = settings.outputs.iter().zip(&plugins.outputs).enumerate().map(|(number, (output, plugins))| {
        let at = format!("output[{number}]");
        let mut actors = common.clone();
        actors.extend(transforms(&output.transforms, &plugins.transforms, &format!("{at}.")));
        match &output.aggregate {
            Some(_) => actors.extend(windows(output, plugins.aggregate.as_ref(), &at)),
            None => actors.extend(documents(output, &at)),
        }
        Way { actors }
    });
    ways.collect()
}

fn transforms(settings: &[TransformSettings], plugins: &[Option<Plugin>], at: &str) -> Vec<Actor> {
    let all = settings.iter().zip(plugins).enumerate();
    let loaded = all.filter_map(|(number, (transform, plugin))| Some((number, transform, plugin.as_ref()?)));
    let actors = loaded.map(|(number, transform, plugin)| Actor {
        name: transform.name.clone(),
        place: format!("{at}transform[{number}].plugin"),
        role: if plugin.kind() == PluginKind::Filter { Role::Filter } else { Role::Enrich },
        ports: plugin.ports().clone(),
    });
    actors.collect()
}

/// The group as JSON: its values keep their types.
fn windows(output: &OutputSettings, plugin: Option<&Plugin>, at: &str) -> Vec<Actor> {
    let groups = output.aggregate.iter().flat_map(|aggregate| &aggregate.group_by);
    let group = Actor {
        name: format!("{} (group)", output.name),
        place: format!("{at}.aggregate.group_by"),
        role: Role::Group,
        ports: Ports { reads: groups.map(|path| read(path, Kind::Json, false)).collect(), writes: Vec::new() },
    };
    let aggregate = plugin.map(|plugin| Actor {
        name: format!("{} (aggregate)", output.name),
        place: format!("{at}.aggregate.plugin"),
        role: Role::Aggregate,
        ports: plugin.ports().clone(),
    });
    [Some(group), aggregate].into_iter().flatten().collect()
}

fn documents(output: &OutputSettings, at: &str) -> Vec<Actor> {
    let index = output.index.0.iter().filter_map(|part| match part {
        IndexPart::Field(path) => Some(read(path, Kind::Text, true)),
        IndexPart::Literal(_) | IndexPart::EventTime(_) | IndexPart::WindowStart(_) => None,
    });
    let index = Actor {
        name: format!("{} (index)", output.name),
        place: format!("{at}.index"),
        role: Role::Index,
        ports: Ports { reads: index.collect(), writes: Vec::new() },
    };
    let id = output.id.iter().flat_map(|id| {
        let version = id.version.iter().map(|path| read(path, Kind::Integer, true));
        std::iter::once(read(&id.field, Kind::Text, true)).chain(version)
    });
    let id = Actor {
        name: format!("{} (id)", output.name),
        place: format!("{at}.id"),
        role: Role::Id,
        ports: Ports { reads: id.collect(), writes: Vec::new() },
    };
    vec![index, id]
}

fn read(path: &str, kind: Kind, required: bool) -> Field {
    Field { path: path.to_owned(), kind, required }
}

/// Where what an actor reads comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// The value of the record as it came.
    Record,
    /// What the record has besides its value.
    Own,
    /// The actor before that wrote it, or what it lies in.
    Written { by: usize },
    /// The record, with parts of it written by actors before; the last of them.
    Both { by: usize },
}

impl Way {
    /// Where the actor at `reader` gets `path` from.
    pub fn origin(&self, reader: usize, path: &str) -> Origin {
        if path.starts_with('$') {
            return Origin::Own;
        }
        let mut part = None;
        for (by, actor) in self.actors.iter().enumerate().take(reader).rev().filter(|(_, actor)| actor.passes_on()) {
            for write in &actor.ports.writes {
                if lies_within(path, &write.path) {
                    return part.unwrap_or(Origin::Written { by });
                }
                if lies_within(&write.path, path) {
                    part = part.or(Some(Origin::Both { by }));
                }
            }
        }
        part.unwrap_or(Origin::Record)
    }
}

impl Actor {
    /// Whether what it writes is seen by those after it: an aggregate's fields are the document's.
    pub fn passes_on(&self) -> bool {
        self.role == Role::Enrich
    }
}

/// Whether `path` is `outer` or lies within it.
pub(super) fn lies_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether one lies within the other.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    lies_within(one, other) || lies_within(other, one)
}
