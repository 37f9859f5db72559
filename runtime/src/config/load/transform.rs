//! `[[transform]]`, and what every plugin of a pipeline has: its file, its settings.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::reader::{Section, Text, Value};
use crate::config::settings::settings;
use crate::config::values::{duration, number, show_size, size};
use crate::config::{OnBreaker, OnTrap, PluginLimits, PluginSettings, TAP_PLACES, TransformSettings};

use super::Names;

/// The transforms of the pipeline or of an output, in order.
pub(super) fn transforms(parent: &mut Section<'_>, names: &mut Names) -> Option<Vec<TransformSettings>> {
    let read: Vec<_> = parent.tables("transform").into_iter().map(|section| transform(section, names)).collect();
    read.into_iter().collect()
}

fn transform(mut section: Section<'_>, names: &mut Names) -> Option<TransformSettings> {
    let own_name = section.take("name");
    let file = section.required("plugin", |value| Some((value.clone(), file(value)?)));
    let name = match (own_name, &file) {
        (Some(value), _) => value.text().and_then(|text| claim(names, text, "names are unique in a pipeline")),
        (None, Some((value, file))) => stem(value, file, names),
        (None, None) => None,
    };
    let rest = rest(&mut section);
    section.finish();
    Some(TransformSettings { name: name?, plugin: PluginSettings { file: file?.1, ..rest? } })
}

/// The keys of a plugin that is no transform.
pub(super) fn plugin(section: &mut Section<'_>) -> Option<PluginSettings> {
    let file = section.required("plugin", file);
    let rest = rest(section);
    Some(PluginSettings { file: file?, ..rest? })
}

/// All but the file.
fn rest(section: &mut Section<'_>) -> Option<PluginSettings> {
    let secrets = RefCell::new(Vec::new());
    let settings = section.or("settings", "{}".to_owned(), |value| {
        let before = value.reader.outside.borrow().len();
        let settings = settings(value);
        secrets.borrow_mut().extend_from_slice(&value.reader.outside.borrow()[before..]);
        settings
    });
    let limits = limits(section.table("limits"));
    let on_trap = section.or("on_trap", OnTrap::DeadLetter, |value| {
        value.word(&[("dead-letter", OnTrap::DeadLetter), ("pass", OnTrap::Pass), ("stop", OnTrap::Stop)])
    });
    let on_breaker = section.or("on_breaker", OnBreaker::Stop, |value| {
        value.word(&[("stop", OnBreaker::Stop), ("stall", OnBreaker::Stall)])
    });
    Some(PluginSettings {
        file: PathBuf::new(),
        settings: settings?,
        secrets: secrets.into_inner(),
        limits: limits?,
        on_trap: on_trap?,
        on_breaker: on_breaker?,
    })
}

fn limits(mut section: Section<'_>) -> Option<PluginLimits> {
    const MEMORY: RangeInclusive<usize> = 1 << 20..=4 << 30;
    let default = PluginLimits::default();
    let deadline =
        section.or("deadline", default.deadline, duration(Duration::from_millis(10)..=Duration::from_secs(60)));
    let memory = section.or("memory", default.memory_bytes_max, size(MEMORY));
    let retire_at = section.optional("retire_at", |value| {
        let bytes = size(MEMORY)(value)?;
        match memory {
            Some(memory) if bytes > memory => value
                .wrong("it is more than an instance may have", format!("its `memory` ends at {}", show_size(memory))),
            Some(_) | None => Some(bytes),
        }
    });
    let output = section.or("output", default.output_bytes_max, size(64 << 10..=1 << 30));
    let state = section.or("state", default.state_bytes_max, size(1 << 10..=512 << 10));
    let tables = section.or("tables", default.tables_max, number(1..=10_000));
    let instances = section.or("instances", default.instances_max, number(1..=10_000));
    let log_lines = section.or("log_lines", default.log_lines_max, number(0..=100_000));
    section.finish();
    let memory = memory?;
    Some(PluginLimits {
        deadline: deadline?,
        memory_bytes_max: memory,
        retire_at_bytes: retire_at?.unwrap_or(PluginLimits::retire_at(memory)),
        output_bytes_max: output?,
        state_bytes_max: state?,
        tables_max: tables?,
        instances_max: instances?,
        log_lines_max: log_lines?,
    })
}

fn file(value: &Value<'_>) -> Option<PathBuf> {
    let text = value.text()?;
    // The file's name is in messages, and begins no line of its own there.
    match Path::new(&*text).file_stem() {
        Some(_) if !text.contains(char::is_control) => Some(PathBuf::from(text.into_string())),
        Some(_) | None => text.wrong("not a component's file", "a file's name, looked up in the plugin directory"),
    }
}

fn stem<'a>(value: &Value<'a>, file: &Path, names: &mut Names) -> Option<String> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let mut text = value.text()?;
    text.replace(stem);
    claim(names, text, "a transform is named after its file: give one of them a `name`")
}

/// Where commands and metrics name plugins, aggregates have their output's name with an ending, and `tidegate tap` has places that
/// are no plugin.
fn claim(names: &mut Names, text: Text<'_>, hint: &str) -> Option<String> {
    match &*text {
        place if TAP_PLACES.contains(&place) => {
            text.wrong("a transform has the name of a place of every pipeline", "give it another `name`")
        }
        aggregate if aggregate.ends_with(".aggregate") => {
            text.wrong("a transform has the name of an output's aggregate", "take a `name` that ends otherwise")
        }
        _ => names.claim(text, hint),
    }
}
