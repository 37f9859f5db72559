//! A look at the index before the pipeline starts: is it there, does it let us in, is anything about it unwise. Templates that the pipeline
//! file names are installed before.

use tokio::runtime::Runtime;

use super::PipelineError;
use crate::config::PipelineSettings;
use crate::sink::{install_template, probe};

pub(super) fn index(settings: &PipelineSettings, runtime: &Runtime) -> Result<(), PipelineError> {
    for output in &settings.outputs {
        let Some(path) = &output.template else { continue };
        let text = std::fs::read(path).map_err(|error| PipelineError::Template { path: path.clone(), error })?;
        let name = format!("{}-{}", settings.name, output.name);
        runtime.block_on(install_template(&settings.elasticsearch, &name, text))?;
        tracing::info!(name, file = %path.display(), "the index template is installed");
    }
    let mut names: Vec<String> = settings.outputs.iter().map(|output| output.index.wildcard()).collect();
    names.sort();
    names.dedup();
    let report = runtime.block_on(probe(&settings.elasticsearch, &names))?;
    let version = report.version.as_deref().unwrap_or("unknown");
    tracing::info!(product = ?report.product, version, "the index answers");
    for warning in &report.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}
