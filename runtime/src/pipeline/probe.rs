//! A look at the indices before the pipeline starts: are they there, do they let us in, is anything about them unwise. Templates that the pipeline
//! file names are installed before.

use tokio::runtime::Runtime;

use super::PipelineError;
use crate::config::{OutputSettings, PipelineSettings};
use crate::sink::{install_template, probe};

pub(super) fn indices(settings: &PipelineSettings, runtime: &Runtime) -> Result<(), PipelineError> {
    for output in &settings.outputs {
        let Some(path) = &output.template else { continue };
        let text = std::fs::read(path).map_err(|error| PipelineError::Template { path: path.clone(), error })?;
        let name = format!("{}-{}", settings.name, output.name);
        let sink = &settings.sinks[settings.sink_of(output)];
        runtime.block_on(install_template(sink, &name, text))?;
        tracing::info!(name, file = %path.display(), "the index template is installed");
    }
    for (sink, outputs) in settings.outputs_of_sinks() {
        let report = runtime.block_on(probe(sink, &index_names(&outputs)))?;
        let version = report.version.as_deref().unwrap_or("unknown");
        tracing::info!(sink = sink.name, product = ?report.product, version, "the index answers");
        for warning in &report.warnings {
            tracing::warn!("{warning}");
        }
    }
    Ok(())
}

/// The names that outputs write to, each once.
pub(crate) fn index_names(outputs: &[&OutputSettings]) -> Vec<String> {
    let mut names: Vec<String> = outputs.iter().map(|output| output.index.wildcard()).collect();
    names.sort();
    names.dedup();
    names
}
