//! `[[transform]]`, and what every plugin of a pipeline has: its file, its settings.

use std::path::{Path, PathBuf};

use crate::config::reader::{Section, Value};
use crate::config::settings::settings;
use crate::config::{OnTrap, PluginSettings, TransformSettings};

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
        (Some(value), _) => value.text().and_then(|text| names.claim(text, "names are unique in a pipeline")),
        (None, Some((value, file))) => stem(value, file, names),
        (None, None) => None,
    };
    let settings = section.or("settings", "{}".to_owned(), settings);
    let on_trap = section.or("on_trap", OnTrap::DeadLetter, on_trap);
    not_yet(&mut section);
    section.finish();
    let plugin = PluginSettings { file: file?.1, settings: settings?, on_trap: on_trap? };
    Some(TransformSettings { name: name?, plugin })
}

/// The keys of a plugin that is no transform.
pub(super) fn plugin(section: &mut Section<'_>) -> Option<PluginSettings> {
    let file = section.required("plugin", file);
    let settings = section.or("settings", "{}".to_owned(), settings);
    let on_trap = section.or("on_trap", OnTrap::DeadLetter, on_trap);
    not_yet(section);
    Some(PluginSettings { file: file?, settings: settings?, on_trap: on_trap? })
}

fn file(value: &Value<'_>) -> Option<PathBuf> {
    let text = value.text()?;
    match Path::new(&*text).file_stem() {
        Some(_) => Some(PathBuf::from(text.into_string())),
        None => text.wrong("not a component's file", "a file's name, looked up in the plugin directory"),
    }
}

fn stem<'a>(value: &Value<'a>, file: &Path, names: &mut Names) -> Option<String> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let mut text = value.text()?;
    text.replace(stem);
    names.claim(text, "a transform is named after its file: give one of them a `name`")
}

/// Keys that come with limits and reload.
fn not_yet(section: &mut Section<'_>) {
    let mut limits = section.table("limits");
    for key in ["deadline", "memory", "output", "state"] {
        limits.not_yet(key, "every plugin has the same limits for now; remove it");
    }
    limits.finish();
}

fn on_trap(value: &Value<'_>) -> Option<OnTrap> {
    let text = value.text()?;
    match &*text {
        "dead-letter" => Some(OnTrap::DeadLetter),
        "pass" => Some(OnTrap::Pass),
        "stop" => Some(OnTrap::Stop),
        _ => text.wrong("no such choice", "`dead-letter`, `pass` or `stop`"),
    }
}
