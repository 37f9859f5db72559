//! What there is to know of a component without running a pipeline.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::limits::{Limits, START_DEADLINE};
use super::{Component, Engine, Identity, Import, Plugin, PluginError, PluginKind};
use crate::record::Field;

/// The answer of `tidegate inspect`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Inspection {
    pub kind: PluginKind,
    #[serde(flatten)]
    pub identity: Identity,
    pub size_bytes: usize,
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    pub imports: Vec<Import>,
    /// None when no settings were given and it wants some.
    #[serde(flatten)]
    pub configured: Option<Configured>,
    /// What it says then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wants_settings: Option<String>,
}

/// What settings decide.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Configured {
    pub reads: Vec<FieldDescription>,
    pub writes: Vec<FieldDescription>,
    /// None unless it is an aggregate.
    pub state: Option<State>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct State {
    pub name: String,
    pub version: u32,
    pub emit_reads: Vec<FieldDescription>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FieldDescription {
    pub path: String,
    pub kind: &'static str,
    pub required: bool,
}

/// Loads a component and configures it, with `{}` where no settings are given: then it is no error that it wants some.
pub fn inspect(engine: &Engine, path: &Path, settings: Option<&str>) -> Result<Inspection, PluginError> {
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    inspect_bytes(engine, &name, &Component::read(path)?, settings, START_DEADLINE)
}

/// The same of a file's bytes, whatever they are; each step that the component takes has so much CPU time.
pub fn inspect_bytes(
    engine: &Engine,
    name: &str,
    bytes: &[u8],
    settings: Option<&str>,
    start_deadline: Duration,
) -> Result<Inspection, PluginError> {
    let within = |limits| Limits { start_deadline, ..limits };
    let component = Component::from_bytes_within(engine, name, bytes, &within(Limits::describing()))?;
    let configured = Plugin::new(component.clone(), settings.unwrap_or("{}"), within(Limits::default()));
    let (configured, wants_settings) = match (configured, settings) {
        (Ok(plugin), _) => (
            Some(Configured {
                reads: describe(&plugin.ports().reads),
                writes: describe(&plugin.ports().writes),
                state: plugin.state().map(|state| State {
                    name: state.schema.name.clone(),
                    version: state.schema.version,
                    emit_reads: describe(&state.emit_reads),
                }),
            }),
            None,
        ),
        (Err(PluginError::Settings { words, .. }), None) => (None, Some(words)),
        (Err(error), _) => return Err(error),
    };
    Ok(Inspection {
        kind: component.kind(),
        identity: component.identity().clone(),
        size_bytes: component.size_bytes(),
        digest: component.digest().to_hex().to_string(),
        imports: component.imports().to_vec(),
        configured,
        wants_settings,
    })
}

fn describe(fields: &[Field]) -> Vec<FieldDescription> {
    fields
        .iter()
        .map(|field| FieldDescription { path: field.path.clone(), kind: field.kind.name(), required: field.required })
        .collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::tests::{self as guests, Guest, field};
    use super::*;
    use crate::record::{Kind, Verdicts};

    fn check(settings: Option<&str>, expected: Expect) {
        let guest = Guest::new(&[field("user.id", Kind::Presence)], &[]).filter("", &Verdicts::default());
        let name = format!("tidegate-inspect-{}-{}", std::process::id(), settings.is_some());
        let file = std::env::temp_dir().join(&name).with_extension("wasm");
        std::fs::write(&file, guest.build("filter-plugin")).expect("writes");
        let inspection = inspect(guests::engine(), &file, settings);
        std::fs::remove_file(&file).expect("removes");
        let shown = match inspection {
            Ok(inspection) => {
                assert_eq!(inspection.digest.len(), 64);
                let inspection = Inspection { digest: "…".into(), size_bytes: 0, ..inspection };
                serde_json::to_string_pretty(&inspection).expect("JSON")
            }
            Err(error) => error.to_string().replace(&name, "FILE"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_component_says_what_it_reads() {
        check(
            None,
            expect![[r#"
            {
              "kind": "filter",
              "name": "test",
              "version": "1.0",
              "settings_schema": "",
              "size_bytes": 0,
              "digest": "…",
              "imports": [],
              "reads": [
                {
                  "path": "user.id",
                  "kind": "presence",
                  "required": false
                }
              ],
              "writes": [],
              "state": null
            }"#]],
        );
        check(Some("\"text\""), expect!["the plugin `FILE` does not accept its settings: text is not an object"]);
    }
}
