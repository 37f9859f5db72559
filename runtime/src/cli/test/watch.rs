//! `--watch`: runs the scenarios again whenever a file of theirs, or a component, has changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use notify::{Event, RecursiveMode, Watcher};

use super::find::{self, Found};
use super::scenario::PIPELINE;
use super::{TestArgs, TestError, run_all};

/// So long nothing more must change: what is being written comes in pieces.
const QUIET: Duration = Duration::from_millis(50);

/// What counts as a change. Paths are absolute and without links.
#[derive(Default)]
struct Watched {
    /// Everything below them.
    scenarios: BTreeSet<PathBuf>,
    /// Components in them.
    plugins: BTreeSet<PathBuf>,
    /// Folders in which a new folder counts: a scenario, or a plugin directory that is not there yet. Files in them do not: what
    /// is printed may go to one.
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
}

/// Ends with the program.
pub(super) fn run(args: &TestArgs) -> anyhow::Result<()> {
    let mut found = find::scenarios(args);
    loop {
        let (send, changes) = channel();
        let mut watcher = notify::recommended_watcher(send).map_err(TestError::Watch)?;
        let watched = watch(args, found.as_deref().unwrap_or_default(), &mut watcher)?;
        match &found {
            Ok(found) => drop(run_all(args, found)),
            Err(error) => super::super::print(&format!("{error}\n")),
        }
        super::super::print("waiting for changes\n");
        let changed = wait(&watched, &changes)?;
        super::super::print(&format!("\nchanged: {}\n", changed.display()));
        found = find::scenarios(args);
    }
}

/// Watches before the files are read, so that no change falls between.
fn watch(args: &TestArgs, found: &[Found], watcher: &mut impl Watcher) -> Result<Watched, TestError> {
    let mut watched = Watched::default();
    let folder = find::folder(args)?;
    watched.folders.extend(there(&folder));
    for Found { scenario, .. } in found {
        watched.scenarios.extend(there(scenario.folder()));
        watched.files.extend(there(&scenario.folder().join(PIPELINE)));
        let Ok(settings) = scenario.settings() else { continue };
        match there(&settings.plugins) {
            Some(plugins) => drop(watched.plugins.insert(plugins)),
            None => watched.folders.extend(settings.plugins.ancestors().find_map(there)),
        }
    }
    for folder in &watched.scenarios {
        watcher.watch(folder, RecursiveMode::Recursive)?;
    }
    let parents = watched.files.iter().filter_map(|file| file.parent().map(Path::to_owned));
    let shallow: BTreeSet<PathBuf> = watched.plugins.iter().chain(&watched.folders).cloned().chain(parents).collect();
    for folder in shallow.iter().filter(|folder| !watched.scenarios.contains(*folder)) {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watched)
}

/// A path without links, if there is something.
fn there(path: &Path) -> Option<PathBuf> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    fs::canonicalize(path).ok()
}

/// The first file that changed, once it has been quiet.
fn wait(watched: &Watched, changes: &Receiver<notify::Result<Event>>) -> Result<PathBuf, TestError> {
    let gone = |_| TestError::Watch(notify::Error::generic("the watcher has ended"));
    let first = loop {
        let event = changes.recv().map_err(gone)??;
        if let Some(path) = watched.counts(&event) {
            break path;
        }
    };
    while changes.recv_timeout(QUIET).is_ok() {}
    Ok(first)
}

impl Watched {
    fn counts(&self, event: &Event) -> Option<PathBuf> {
        let is_read = event.kind.is_access();
        event.paths.iter().find(|path| !is_read && self.is_ours(path, path.is_dir())).cloned()
    }

    fn is_ours(&self, path: &Path, is_folder: bool) -> bool {
        let is_in = |folders: &BTreeSet<PathBuf>| path.parent().is_some_and(|parent| folders.contains(parent));
        let is_component = path.extension().is_some_and(|extension| extension == "wasm");
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let in_scenario = self.scenarios.iter().any(|folder| path.starts_with(folder));
        self.files.contains(path)
            || (!is_hidden && (in_scenario || (is_folder && is_in(&self.folders))))
            || (!is_hidden && is_component && is_in(&self.plugins))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_and_files_of_scenarios_count_and_halves_of_files_do_not() {
        let folders = |folder: &str| BTreeSet::from([PathBuf::from(folder)]);
        let watched = Watched {
            scenarios: folders("/a/scenarios/first"),
            plugins: folders("/a/plugins"),
            folders: folders("/a/scenarios"),
            files: folders("/a/pipeline.toml"),
        };
        let counts = |path: &str| watched.is_ours(Path::new(path), false);
        assert!(counts("/a/scenarios/first/data/countries.csv"));
        assert!(watched.is_ours(Path::new("/a/scenarios/second"), true) && !counts("/a/scenarios/log"));
        assert!(counts("/a/plugins/count.wasm") && counts("/a/pipeline.toml"));
        assert!(!counts("/a/plugins/.count.wasm.17") && !counts("/a/plugins/README.md") && !counts("/a/Cargo.toml"));
        assert!(!counts("/a/scenarios/first/.input.ndjson.swp"));
    }
}
