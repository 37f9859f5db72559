//! `[[output]]` and `[output.aggregate]`.

use std::cell::RefCell;
use std::time::Duration;

use toml::de::DeValue;

use crate::config::index::index;
use crate::config::reader::{Section, Text, Value};
use crate::config::values::{DURATION_MAX, duration, field_path, number, string};
use crate::config::{
    AggregateSettings, EmitSettings, IdSettings, IndexPart, OnLate, OutputSettings, Tombstones, WindowSettings,
    WriteOperation,
};

use super::Names;
use super::transform::{plugin, transforms};

const WINDOW_MIN: Duration = Duration::from_millis(1);
/// A record is folded into so many windows at most.
const WINDOWS_OF_RECORD_MAX: u32 = 1000;

/// The outputs, before they are read.
pub(super) struct Outputs<'a>(Vec<Section<'a>>);

impl<'a> Outputs<'a> {
    pub fn new(sections: Vec<Section<'a>>) -> Self {
        Outputs(sections)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn have_windows(&self) -> bool {
        self.0.iter().any(|section| section.has("aggregate"))
    }

    /// `sinks`: the names of the clusters.
    pub fn read(self, transform_names: &mut Names, sinks: &[String]) -> Option<Vec<OutputSettings>> {
        let mut names = Names::new("an output");
        let read: Vec<_> =
            self.0.into_iter().map(|section| output(section, &mut names, transform_names, sinks)).collect();
        read.into_iter().collect()
    }
}

fn output(
    mut section: Section<'_>,
    names: &mut Names,
    transform_names: &mut Names,
    sinks: &[String],
) -> Option<OutputSettings> {
    let windows = section.has("aggregate");
    let name = section.required("name", |value| names.claim(value.text()?, "outputs are told apart by their names"));
    let index = section.required("index", |value| index(&value.text()?, windows));
    let sink = sink(&mut section, sinks);
    let operation = section.or("operation", WriteOperation::Index, |value| operation(value, windows));
    let id = section.optional("id", |value| match windows {
        true => value.not_yet("a window's id is made of the output, the window and the group; remove it"),
        false => id(value, operation.as_ref()),
    });
    if matches!(operation, Some(WriteOperation::Update | WriteOperation::Script(_))) && matches!(id, Some(None)) {
        section.wrong::<()>(
            "nothing says which document is updated",
            "name it by `id`, such as `id = \"$key\"` or `id = \"order.id\"`; records of one id must be in one partition",
        );
    }
    let routing = section.optional("routing", |value| match windows {
        true => value.not_yet("a window's document is on the shard that its id says; remove it"),
        false => input_path(value.text()?),
    });
    let template = section.optional("template", |value| Some(value.reader.folder.join(string(value)?)));
    let pipeline = section.optional("pipeline", |value| match operation {
        Some(WriteOperation::Update | WriteOperation::Script(_)) => value.wrong(
            "an update goes through no ingest pipeline",
            "the index would leave it out without a word: remove it, or take `operation = \"index\"`",
        ),
        Some(WriteOperation::Index | WriteOperation::Create) | None => string(value),
    });
    let by_key = matches!(&id, Some(Some(IdSettings { field, version: None })) if field == "$key");
    let is_fixed = index.as_ref().is_some_and(|index| matches!(index.0.as_slice(), [IndexPart::Literal(_)]));
    let tombstones = section.or("tombstones", Tombstones::Skip, |value| {
        let tombstones = value.word(&[("skip", Tombstones::Skip), ("delete", Tombstones::Delete)])?;
        match tombstones {
            Tombstones::Delete if operation == Some(WriteOperation::Create) => value.wrong(
                "what was created is not deleted",
                "a data stream takes no deletes, and a record that is read again would create it again: take `index`",
            ),
            Tombstones::Delete if matches!(routing, Some(Some(_))) => value.wrong(
                "nothing says on which shard the document is",
                "a record without a value has no field to read `routing` from: leave out one of the two",
            ),
            // What is wrong with `id` and `index` is reported there.
            Tombstones::Delete if id.is_some() && index.is_some() && (windows || !by_key || !is_fixed) => value.wrong(
                "nothing says which document a record without a value deletes",
                "it has a key alone: take `id = \"$key\"`, an index without `{…}` in its name, and no aggregate",
            ),
            Tombstones::Delete | Tombstones::Skip => Some(tombstones),
        }
    });
    let transforms = transforms(&mut section, transform_names);
    let aggregate = section.optional_table("aggregate").map(aggregate);
    section.finish();
    Some(OutputSettings {
        name: name?,
        index: index?,
        sink: sink?,
        operation: operation?,
        id: id?,
        routing: routing?,
        template: template?,
        pipeline: pipeline?,
        tombstones: tombstones?,
        transforms: transforms?,
        aggregate: match aggregate {
            Some(aggregate) => Some(aggregate?),
            None => None,
        },
    })
}

fn sink(section: &mut Section<'_>, sinks: &[String]) -> Option<String> {
    let known = || format!("there is {}", sinks.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "));
    let named = section.optional("sink", |value| {
        let text = value.text()?;
        match sinks.iter().find(|name| **name == *text) {
            Some(name) => Some(name.clone()),
            None => text.wrong("no table under `sink` has this name", known()),
        }
    })?;
    match (named, sinks) {
        (Some(name), _) => Some(name),
        (None, [only]) => Some(only.clone()),
        (None, _) => section.wrong("`sink` is missing: there are several clusters", known()),
    }
}

/// A field of the input: what was received when is none.
fn input_path(text: Text<'_>) -> Option<String> {
    if &*text == "$received" {
        return text.wrong("not a function of the input", "a replay would receive the record at another time");
    }
    field_path(text)
}

fn operation(value: &Value<'_>, windows: bool) -> Option<WriteOperation> {
    let operation = match value.value {
        DeValue::Table(_) => {
            let mut section = value.section();
            let script = section.required("script", string);
            section.finish();
            WriteOperation::Script(script?)
        }
        _ => value.word(&[
            ("index", WriteOperation::Index),
            ("create", WriteOperation::Create),
            ("update", WriteOperation::Update),
        ])?,
    };
    match windows && operation != WriteOperation::Index {
        true => value.wrong("windows are indexed", "a later result replaces an earlier one, by its version: remove it"),
        false => Some(operation),
    }
}

fn id(value: &Value<'_>, operation: Option<&WriteOperation>) -> Option<IdSettings> {
    let id = match value.value {
        DeValue::Table(_) => {
            let mut section = value.section();
            let field = section.required("field", |value| input_path(value.text()?));
            let version = section.optional("version", |value| input_path(value.text()?));
            section.finish();
            IdSettings { field: field?, version: version? }
        }
        _ => IdSettings { field: input_path(value.text()?)?, version: None },
    };
    if id.version.is_some() && operation.is_some_and(|operation| *operation != WriteOperation::Index) {
        return value.wrong(
            "versions are for documents that are indexed",
            "what is created or updated has none: leave out `version`, or `operation`",
        );
    }
    if id.version.is_none() && id.field != "$key" && operation == Some(&WriteOperation::Index) {
        return value.wrong(
            "`id` has no version",
            "offsets order the versions of one key only: take `id = \"$key\"`, or `{ field = …, version = … }`",
        );
    }
    Some(id)
}

fn aggregate(mut section: Section<'_>) -> Option<AggregateSettings> {
    let plugin = plugin(&mut section);
    let group_by = section.or("group_by", Vec::new(), group_by);
    let window = section.required("window", window);
    let groups_max = section.optional("groups_max", |value| u32::try_from(number(1..=u32::MAX as usize)(value)?).ok());
    let emit = section.or("emit", EmitSettings::default(), emit);
    let late = section.or("late", OnLate::DeadLetter, late);
    let partitioned_by_group = section.or("partitioned_by_group", false, Value::boolean);
    let is_session = matches!(window, Some(WindowSettings::Session { .. }));
    if is_session && emit.is_some_and(|emit| emit != EmitSettings::default()) {
        section.wrong::<()>(
            "sessions have no early results",
            "the start of an open session may still move: leave out `emit`",
        );
    }
    if is_session && matches!(late, Some(OnLate::UpdateWithin(_))) {
        section.wrong::<()>(
            "sessions are not updated when they have ended",
            "a record behind the watermark is late: take `dead-letter` or `drop`, and a larger out_of_order waits longer",
        );
    }
    section.finish();
    Some(AggregateSettings {
        plugin: plugin?,
        group_by: group_by?,
        window: window?,
        groups_max: groups_max?,
        emit: emit?,
        late: late?,
        partitioned_by_group: partitioned_by_group?,
    })
}

/// Fields of a window's document, so they must not be in each other's way.
fn group_by(value: &Value<'_>) -> Option<Vec<String>> {
    let seen: RefCell<Vec<String>> = RefCell::default();
    value.list(|item| {
        let text = item.text()?;
        match &*text {
            "window_start" | "window_end" => {
                text.wrong("a field that the host writes", "rename it with a transform (`shape.wasm`) first")
            }
            path if path.starts_with('$') => text.wrong(
                "a group's fields become fields of the document",
                "put it into a field of the value with a transform first",
            ),
            path if seen.borrow().iter().any(|other| overlap(path, other)) => {
                text.wrong("a field that is grouped by already, or lies within one that is, or around it", "")
            }
            _ => {
                let path = field_path(text)?;
                seen.borrow_mut().push(path.clone());
                Some(path)
            }
        }
    })
}

/// Whether one path is the other or lies within it.
fn overlap(one: &str, other: &str) -> bool {
    let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
    one == other || within(one, other) || within(other, one)
}

fn window(value: &Value<'_>) -> Option<WindowSettings> {
    let mut section = value.section();
    if section.has("session_gap") {
        let gap = section.required("session_gap", duration(WINDOW_MIN..=DURATION_MAX));
        let max = section.required("max_session", |value| max_session(value, gap?));
        section.finish();
        return Some(WindowSettings::Session { gap: gap?, max: max? });
    }
    if section.has("sliding") {
        let length = section.required("sliding", duration(WINDOW_MIN..=DURATION_MAX));
        let every = section.required("every", |value| every(value, length?));
        section.finish();
        return Some(WindowSettings::Sliding { length: length?, every: every? });
    }
    let length = section.required("tumbling", duration(WINDOW_MIN..=DURATION_MAX));
    section.finish();
    Some(WindowSettings::Tumbling { length: length? })
}

/// Where sessions with this gap are cut.
fn max_session(value: &Value<'_>, gap: Duration) -> Option<Duration> {
    let max = duration(WINDOW_MIN..=DURATION_MAX)(value)?;
    if max < gap {
        return value.text()?.wrong("shorter than the gap", "a session is cut at its multiples, counted from 1970 UTC");
    }
    Some(max)
}

/// How often a window begins, of windows of this length.
fn every(value: &Value<'_>, length: Duration) -> Option<Duration> {
    let every = duration(WINDOW_MIN..=DURATION_MAX)(value)?;
    if every > length {
        return value.text()?.wrong("longer than the windows", "a record between two of them would be in none");
    }
    if every.saturating_mul(WINDOWS_OF_RECORD_MAX) < length {
        let hint = format!("a record is folded into each window that it is in, at most {WINDOWS_OF_RECORD_MAX}");
        return value.text()?.wrong("too short for windows of that length", hint);
    }
    Some(every)
}

fn emit(value: &Value<'_>) -> Option<EmitSettings> {
    let DeValue::Table(_) = value.value else { return value.word(&[("on_close", EmitSettings::default())]) };
    let mut section = value.section();
    if section.is_empty() {
        return section.wrong("`emit` says nothing", "`{ every = \"10s\" }`, `{ when_quiet = true }`, or `on_close`");
    }
    let every = section.optional("every", duration(WINDOW_MIN..=DURATION_MAX));
    let when_quiet = section.or("when_quiet", false, Value::boolean);
    section.finish();
    Some(EmitSettings { every: every?, when_quiet: when_quiet? })
}

fn late(value: &Value<'_>) -> Option<OnLate> {
    let DeValue::Table(_) = value.value else {
        return value.word(&[("dead-letter", OnLate::DeadLetter), ("drop", OnLate::Drop)]);
    };
    let mut section = value.section();
    let within = section.required("update_within", duration(WINDOW_MIN..=DURATION_MAX));
    section.finish();
    within.map(OnLate::UpdateWithin)
}
