//! The arguments that name a pipeline file.

use std::path::PathBuf;

use clap::Args;

use crate::config::{ConfigErrors, PipelineSettings, Places};

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
        self.load_with_places().map(|(settings, _)| settings)
    }

    /// As [`PipelineFile::load`], with the place of each key.
    pub fn load_with_places(&self) -> Result<(PipelineSettings, Places), ConfigErrors> {
        let environment = |name: &str| std::env::var(name).ok();
        PipelineSettings::load_with_places(&self.file, &environment, self.plugins.as_deref())
    }
}
