//! A look at the indices before the pipeline starts: are they there, do they let us in, is anything about them unwise. Templates that the pipeline
//! file names are installed before.

use std::collections::BTreeMap;

use tokio::runtime::Runtime;

use super::PipelineError;
use crate::config::{OutputSettings, PipelineSettings, WriteOperation};
use crate::sink::{Written, install_template, probe};

pub(super) fn indices(settings: &PipelineSettings, runtime: &Runtime) -> Result<(), PipelineError> {
    for output in &settings.outputs {
        let Some(path) = &output.template else { continue };
        let text = std::fs::read(path).map_err(|error| PipelineError::Template { path: path.clone(), error })?;
        let name = template_name(settings, output);
        let sink = &settings.sinks[settings.sink_of(output)];
        runtime.block_on(install_template(sink, &name, text))?;
        tracing::info!(name, file = %path.display(), "the index template is installed");
    }
    for (sink, outputs) in settings.outputs_of_sinks() {
        let report = runtime.block_on(probe(sink, &written(&outputs), &[]))?;
        let version = report.version.as_deref().unwrap_or("unknown");
        tracing::info!(sink = sink.name, product = ?report.product, version, "the index answers");
        for warning in &report.warnings {
            tracing::warn!("{warning}");
        }
    }
    Ok(())
}

/// Lower case, and no `_` first, as the index wants it.
fn template_name(settings: &PipelineSettings, output: &OutputSettings) -> String {
    let name = format!("{}-{}", settings.name, output.name).to_lowercase();
    if name.starts_with('_') { format!("tidegate{name}") } else { name }
}

/// The names that outputs write to, and what is written.
pub(crate) fn written(outputs: &[&OutputSettings]) -> BTreeMap<String, Written> {
    let mut names = BTreeMap::new();
    for output in outputs {
        let created = output.operation == WriteOperation::Create;
        names.entry(output.index.wildcard()).or_insert(Written { created }).created &= created;
    }
    names
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FILE: &str = r#"
        name = "_Clicks"
        [source.kafka]
        brokers = "localhost:9092"
        topics = ["events"]
        [sink.elasticsearch]
        urls = ["http://localhost:9200"]
        [[output]]
        name = "All"
        index = "all-{country}"
        operation = "create"
        [[output]]
        name = "again"
        index = "all-{city}"
        [[output]]
        name = "created"
        index = "created"
        operation = "create"
    "#;

    fn settings() -> PipelineSettings {
        let parsed = PipelineSettings::parse(FILE, Path::new("p.toml"), &|_| None, None);
        parsed.unwrap_or_else(|errors| panic!("{errors}")).0
    }

    #[test]
    fn a_template_has_a_name_that_the_index_takes() {
        let settings = settings();
        assert_eq!(template_name(&settings, &settings.outputs[0]), "tidegate_clicks-all");
        let settings = PipelineSettings { name: "clicks".to_owned(), ..settings };
        assert_eq!(template_name(&settings, &settings.outputs[0]), "clicks-all");
    }

    #[test]
    fn outputs_of_one_name_are_asked_about_at_once() {
        let settings = settings();
        let [all, created] = [false, true].map(|created| Written { created });
        let expected: BTreeMap<String, Written> = [("all-*".to_owned(), all), ("created".to_owned(), created)].into();
        assert_eq!(written(&settings.outputs.iter().collect::<Vec<_>>()), expected);
    }
}
