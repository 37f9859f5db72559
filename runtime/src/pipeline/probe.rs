//! A look at the index before the pipeline starts: is it there, does it let us in, is anything about it unwise.

use tokio::runtime::Runtime;

use super::PipelineError;
use crate::config::PipelineSettings;
use crate::sink::{IndexState, probe};

pub(super) fn index(settings: &PipelineSettings, runtime: &Runtime) -> Result<(), PipelineError> {
    let mut names: Vec<String> = settings.outputs.iter().map(|output| output.index.wildcard()).collect();
    names.sort();
    names.dedup();
    let report = runtime.block_on(probe(&settings.elasticsearch, &names))?;
    let version = report.version.as_deref().unwrap_or("unknown");
    tracing::info!(product = ?report.product, version, "the index answers");
    for index in report.indices.iter().filter(|index| index.state == IndexState::Missing) {
        tracing::warn!(
            index = index.name,
            "neither the index nor a template for it is there: the first document creates it with guessed mappings, \
             or is refused"
        );
    }
    for warning in &report.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}
