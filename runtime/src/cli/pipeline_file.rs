//! The arguments that name a pipeline file.

use std::path::PathBuf;

use clap::Args;

use crate::config::{ConfigErrors, PipelineSettings};

/// A pipeline file, and where its components are.
#[derive(Args, Clone, Debug)]
pub struct PipelineFile {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The plugin directory, in place of the one that the file names
    #[arg(long, value_name = "DIR")]
    pub plugins: Option<PathBuf>,
}

impl PipelineFile {
    /// The settings, with `${NAME}` taken from the environment.
    pub fn load(&self) -> Result<PipelineSettings, ConfigErrors> {
        PipelineSettings::load(&self.file, &|name| std::env::var(name).ok(), self.plugins.as_deref())
    }
}
