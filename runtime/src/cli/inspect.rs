//! `tidegate inspect`: what a component is, reads, writes and wants, without running a pipeline.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::plugin::{FieldDescription, Inspection, inspect};

#[derive(Args)]
pub struct InspectArgs {
    /// The component's file.
    component: PathBuf,
    /// Its settings, as a pipeline would give them; what it reads and writes may follow from them.
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl InspectArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        run(&self.component, self.settings.as_deref(), self.json)
    }
}

pub fn run(component: &Path, settings: Option<&str>, json: bool) -> anyhow::Result<()> {
    let inspection = inspect(&super::engine()?, component, settings)?;
    let shown = if json { serde_json::to_string_pretty(&inspection)? + "\n" } else { text(&inspection)? };
    super::print(&shown);
    Ok(())
}

fn text(inspection: &Inspection) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let identity = &inspection.identity;
    writeln!(out, "{} {}: {}", identity.name, identity.version, inspection.kind)?;
    writeln!(out, "  size      {} bytes", inspection.size_bytes)?;
    writeln!(out, "  digest    {}", inspection.digest)?;
    let schema = if identity.settings_schema.is_empty() { "not described" } else { &identity.settings_schema };
    writeln!(out, "  settings  {schema}")?;
    let imports = |wasi| inspection.imports.iter().filter(move |import| import.wasi == wasi);
    list(&mut out, "imports", imports(false).map(|import| import.name.clone()))?;
    if imports(true).next().is_some() {
        let shown = imports(true).map(|import| import.name.clone());
        list(&mut out, "WASI", shown.chain(["(answered, and given nothing)".into()]))?;
    }
    if let Some(words) = &inspection.wants_settings {
        writeln!(out, "  fields    follow from its settings; give --settings JSON: {words}")?;
    }
    if let Some(configured) = &inspection.configured {
        list(&mut out, "reads", configured.reads.iter().map(field))?;
        list(&mut out, "writes", configured.writes.iter().map(field))?;
        if let Some(state) = &configured.state {
            writeln!(out, "  state     {} {}", state.name, state.version)?;
            list(&mut out, "emit", state.emit_reads.iter().map(field))?;
        }
    }
    Ok(out)
}

fn list(out: &mut String, title: &str, items: impl Iterator<Item = String>) -> std::fmt::Result {
    let mut title = title;
    for item in items {
        writeln!(out, "  {title:<9} {item}")?;
        title = "";
    }
    if title.is_empty() { Ok(()) } else { writeln!(out, "  {title:<9} nothing") }
}

fn field(field: &FieldDescription) -> String {
    format!("{} ({}{})", field.path, field.kind, if field.required { ", required" } else { "" })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::plugin::{Configured, Identity, Import, PluginKind, State};

    #[test]
    fn a_component_is_shown_on_a_few_lines() {
        let described = |path: &str, kind, required| FieldDescription { path: path.into(), kind, required };
        let import = |name: &str, wasi| Import { name: name.into(), wasi };
        let mut inspection = Inspection {
            kind: PluginKind::Aggregate,
            identity: Identity { name: "stats".into(), version: "1.0".into(), settings_schema: String::new() },
            size_bytes: 14_030,
            digest: "c0ffee".into(),
            imports: vec![import("tidegate:plugin/log@0.1.0", false), import("wasi:cli/stderr@0.2.3", true)],
            configured: Some(Configured {
                reads: vec![described("order.total", "float", true), described("user", "text", false)],
                writes: Vec::new(),
                state: Some(State {
                    name: "stats".into(),
                    version: 2,
                    emit_reads: vec![described("$window_start", "timestamp", true)],
                }),
            }),
            wants_settings: None,
        };
        expect![[r#"
            stats 1.0: aggregate
              size      14030 bytes
              digest    c0ffee
              settings  not described
              imports   tidegate:plugin/log@0.1.0
              WASI      wasi:cli/stderr@0.2.3
                        (answered, and given nothing)
              reads     order.total (float, required)
                        user (text)
              writes    nothing
              state     stats 2
              emit      $window_start (timestamp, required)
        "#]]
        .assert_eq(&text(&inspection).expect("formats"));

        inspection.configured = None;
        inspection.wants_settings = Some("missing field `as`".into());
        inspection.imports.clear();
        expect![[r#"
            stats 1.0: aggregate
              size      14030 bytes
              digest    c0ffee
              settings  not described
              imports   nothing
              fields    follow from its settings; give --settings JSON: missing field `as`
        "#]]
        .assert_eq(&text(&inspection).expect("formats"));
    }
}
