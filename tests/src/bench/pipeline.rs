//! The examples' pipelines, pointed at the servers of a benchmark.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tidegate::config::PipelineSettings;

use crate::program::components;
use crate::workspace::root;

/// An example, by the name of its folder.
#[derive(Clone, Copy, Debug)]
pub struct Example(pub &'static str);

/// Where it reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Servers<'a> {
    pub brokers: &'a str,
    pub topic: &'a str,
    pub index: &'a str,
}

impl Example {
    /// As it stands, with the components that `scripts/components.sh` has built.
    pub fn settings(self) -> anyhow::Result<PipelineSettings> {
        let file = self.folder().join("pipeline.toml");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let parsed = PipelineSettings::parse(&text, &file, &|_| None, Some(&components()));
        Ok(parsed.map_err(|errors| anyhow::anyhow!("{errors}"))?.0)
    }

    /// A copy in `folder`, with another name, so that group and topics are its own; only addresses are changed otherwise.
    pub fn copy(self, folder: &Path, name: &str, servers: Servers<'_>) -> anyhow::Result<PathBuf> {
        for entry in fs::read_dir(self.folder())? {
            let entry = entry?;
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
        let file = folder.join("pipeline.toml");
        let mut lines: Vec<String> = fs::read_to_string(&file)?.lines().map(str::to_owned).collect();
        let mut set = |key: &str, value: &str| {
            let line = lines.iter_mut().find(|line| line.split_once(" = ").is_some_and(|(name, _)| name == key));
            line.map(|line| *line = format!("{key} = {value}"))
                .with_context(|| format!("no `{key}` in {}", file.display()))
        };
        set("name", &format!("{name:?}"))?;
        set("plugins", &format!("{:?}", components().display().to_string()))?;
        set("brokers", &format!("{:?}", servers.brokers))?;
        set("topics", &format!("[{:?}]", servers.topic))?;
        set("urls", &format!("[{:?}]", servers.index))?;
        set("topic", &format!("\"{name}.dead-letters\""))?;
        lines.retain(|line| !line.starts_with("group = ")); // it is the name
        fs::write(&file, lines.join("\n"))?;
        ensure!(file.exists(), "the pipeline was written");
        Ok(file)
    }

    fn folder(self) -> PathBuf {
        root().join("examples").join(self.0)
    }
}
