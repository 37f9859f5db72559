//! `tidegate check`: everything that can be known before a pipeline runs.

use clap::Args;

use super::PipelineFile;

#[derive(Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
}

pub fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let settings = args.pipeline.load()?;
    super::print(&format!("pipeline {}: the file is right\n", settings.name));
    Ok(())
}
