//! A look at the index before the pipeline starts: is it there, does it let us in, is anything about it unwise.

use tokio::runtime::Runtime;

use super::PipelineError;
use crate::config::PipelineSettings;
use crate::sink::probe;

pub(super) fn index(settings: &PipelineSettings, runtime: &Runtime) -> Result<(), PipelineError> {
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
