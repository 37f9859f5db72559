//! Which sources the components of a pipeline are built from: crates of their names, near the pipeline; or what a command says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cli::build::{Crate, ready};
use crate::config::PipelineSettings;

/// Names of folders in which no source is.
const PASSED_BY: [&str; 3] = ["target", "scenarios", "node_modules"];

/// What is watched, and how it is built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sources {
    /// Crates of a folder: its own, or those of its workspace.
    Crates { folder: PathBuf, crates: Vec<Crate> },
    /// A command that is run in the folder.
    Command { folder: PathBuf, command: String },
}

impl Sources {
    /// Crates whose names are those of the pipeline's components: in the folders that are given, or else here, beside the pipeline
    /// file, beside the plugin directory, and in the folders in these.
    pub fn find(
        settings: &PipelineSettings,
        file: &Path,
        given: &[PathBuf],
        command: Option<&str>,
    ) -> anyhow::Result<Vec<Sources>> {
        let wanted = components(settings);
        let folders = if given.is_empty() { near(settings, file) } else { given.to_vec() };
        let (mut found, mut known) = (Vec::new(), BTreeSet::new());
        for folder in folders {
            let mut crates = match Crate::find(&folder) {
                Ok(crates) => crates,
                Err(error) if !given.is_empty() => return Err(error.into()),
                Err(_) => continue,
            };
            crates.retain(|one| wanted.contains(&one.name) && known.insert(one.id.clone()));
            if !crates.is_empty() {
                ready(&folder)?;
                found.push(Sources::Crates { folder: folder.canonicalize()?, crates });
            }
        }
        if let Some(command) = command {
            found.push(Sources::Command { folder: Path::new(".").canonicalize()?, command: command.to_owned() });
        }
        Ok(found)
    }

    pub fn folder(&self) -> &Path {
        match self {
            Sources::Crates { folder, .. } | Sources::Command { folder, .. } => folder,
        }
    }

    /// What is built, in words.
    pub fn names(&self) -> String {
        match self {
            Sources::Crates { crates, .. } => crates.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", "),
            Sources::Command { command, .. } => format!("`{command}`"),
        }
    }

    /// The folders to be watched, and whether what is below them counts as well. What is built lies in between, and changes often.
    pub fn watched(&self, plugins: &Path) -> Vec<(PathBuf, bool)> {
        let mut folders = vec![(self.folder().to_owned(), false)];
        let entries = std::fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
        folders.extend(below.filter(|path| self.is_source(path, plugins)).map(|path| (path, true)));
        folders
    }

    /// Whether something that changed at the path is a source.
    pub fn is_source(&self, path: &Path, plugins: &Path) -> bool {
        let Ok(inside) = path.strip_prefix(self.folder()) else { return false };
        let passed_by = inside.iter().any(|part| {
            let part = part.to_string_lossy();
            part.starts_with('.') || part.ends_with('~') || PASSED_BY.contains(&&*part)
        });
        // Cargo and compilers write these.
        let is_written = inside.ends_with("Cargo.lock") || inside.extension().is_some_and(|ending| ending == "wasm");
        !passed_by && !is_written && !path.starts_with(plugins)
    }
}

/// The stems of the components in the plugin directory.
fn components(settings: &PipelineSettings) -> BTreeSet<String> {
    let of_outputs = settings.outputs.iter().flat_map(|output| {
        let aggregate = output.aggregate.iter().map(|aggregate| &aggregate.plugin);
        output.transforms.iter().map(|transform| &transform.plugin).chain(aggregate)
    });
    let plugins = settings.transforms.iter().map(|transform| &transform.plugin).chain(of_outputs);
    let files = plugins.map(|plugin| &plugin.file).filter(|file| file.parent() == Some(&settings.plugins));
    files.filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned())).collect()
}

fn near(settings: &PipelineSettings, file: &Path) -> Vec<PathBuf> {
    let beside = |path: &Path| path.canonicalize().ok().and_then(|path| Some(path.parent()?.to_owned()));
    let tops = [Path::new(".").canonicalize().ok(), beside(file), beside(&settings.plugins)];
    let mut near = Vec::new();
    for top in tops.into_iter().flatten() {
        let entries = std::fs::read_dir(&top).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut below: Vec<PathBuf> = entries.filter(|path| path.join("Cargo.toml").is_file()).collect();
        below.sort();
        near.extend([top].into_iter().chain(below));
    }
    let mut known = BTreeSet::new();
    near.retain(|folder| folder.join("Cargo.toml").is_file() && known.insert(folder.clone()));
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_no_source() {
        let sources = Sources::Command { folder: "/a/first".into(), command: "make".into() };
        let is_source = |path: &str| sources.is_source(Path::new(path), Path::new("/a/first/plugins"));
        assert!(
            is_source("/a/first/src/lib.rs") && is_source("/a/first/Cargo.toml") && is_source("/a/first/words.txt")
        );
        for path in ["target/x/y.rs", "plugins/first.wasm", "Cargo.lock", "src/.lib.rs.swp", "src/lib.rs~", ".git/HEAD"]
        {
            assert!(!is_source(&format!("/a/first/{path}")), "{path}");
        }
        assert!(!is_source("/a/second/src/lib.rs") && !is_source("/a/first/scenarios/first/input.ndjson"));
    }
}
