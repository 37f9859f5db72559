//! Which scenarios there are: folders with a pipeline file and something that says what comes in or out.

use std::fs;
use std::path::{Path, PathBuf};

use super::scenario::{DEAD_LETTERS, DOCUMENTS, ERROR, INPUT, PIPELINE, Scenario, TALLY};
use super::{TestArgs, TestError};

/// Where scenarios are looked for when nobody says where.
const FOLDERS: [&str; 3] = ["scenarios", "tests/scenarios", "."];
/// Folders of what was built or downloaded.
const PASSED_BY: [&str; 2] = ["target", "node_modules"];

/// A scenario and its name, the path of its folder from the folder that was searched.
pub(super) struct Found {
    pub name: String,
    pub scenario: Scenario,
}

/// The folder that is searched.
pub(super) fn folder(args: &TestArgs) -> Result<PathBuf, TestError> {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => FOLDERS.into_iter().map(PathBuf::from).find(|folder| folder.is_dir()).unwrap_or_default(),
    };
    if folder.is_dir() { Ok(folder) } else { Err(TestError::NoFolder(folder)) }
}

/// In the order of their names.
pub(super) fn scenarios(args: &TestArgs) -> Result<Vec<Found>, TestError> {
    let folder = folder(args)?;
    let mut folders = Vec::new();
    search(&folder, &mut folders);
    if folders.is_empty() {
        return Err(TestError::NoScenario(folder));
    }
    let name = |path: &Path| {
        let inside = path.strip_prefix(&folder).ok().filter(|inside| !inside.as_os_str().is_empty());
        inside.or(path.file_name().map(Path::new)).unwrap_or(path).display().to_string()
    };
    let scenario = |path: &PathBuf| Found { name: name(path), scenario: Scenario::new(path, args.plugins.as_deref()) };
    let mut found: Vec<Found> = folders.iter().map(scenario).collect();
    found.retain(|one| args.names.is_empty() || args.names.iter().any(|part| one.name.contains(part)));
    if found.is_empty() {
        return Err(TestError::NoName { folder, names: args.names.clone() });
    }
    Ok(found)
}

/// What is below a scenario's folder belongs to it.
fn search(folder: &Path, found: &mut Vec<PathBuf>) {
    let has = |file: &&str| folder.join(file).is_file();
    if has(&PIPELINE) && [INPUT, DOCUMENTS, DEAD_LETTERS, TALLY, ERROR].iter().any(has) {
        found.push(folder.into());
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut folders: Vec<PathBuf> = entries.flatten().filter(is_folder).map(|entry| entry.path()).collect();
    folders.sort();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') && !PASSED_BY.contains(&&*name) {
            search(&folder, found);
        }
    }
}
