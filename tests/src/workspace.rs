//! Where things are in this repository, and the files in it.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository").to_path_buf()
}

/// Cargo's target folder, shared or the repository's own.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// That of the plugins, which are a workspace of their own; crates with the same dependencies build there in no time.
pub fn plugin_target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("plugins/target"), |path| Path::new(&path).join("plugins"))
}

/// A folder for what a test leaves behind; each test names its own.
pub fn scratch(name: &str) -> PathBuf {
    let folder = target().join("test-scratch").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    folder
}

/// A folder outside of the repository, which goes when it is dropped. It is the same at each run, so that cargo, which goes by
/// paths, does not keep what it built for every one of them.
pub struct Outside(PathBuf);

impl Outside {
    pub fn new(name: &str) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(&root(), &mut hasher);
        let checkout = std::hash::Hasher::finish(&hasher);
        let folder = std::env::temp_dir().join(format!("tidegate-{checkout:016x}-{name}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        Outside(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// All files below `folder` whose name ends so, sorted; build results, git's own and downloads are not among them.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, ending, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            if !["target", ".git", "node_modules"].contains(&name.as_str()) {
                collect(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}
