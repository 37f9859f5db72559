//! Entries that are right, and entries that must not be loaded.

use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;

use super::super::tests::{self as guests, Guest};
use super::super::{Component as Plugin, Engine, EngineSettings, artefact};
use super::*;
use crate::record::Verdicts;

/// A folder of its own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tidegate-cache-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Folder(folder)
    }

    fn open(&self) -> CodeCache {
        CodeCache::open(&self.0).expect("can be used")
    }

    fn entries(&self) -> Vec<PathBuf> {
        let paths = fs::read_dir(&self.0).expect("is there").map(|entry| entry.expect("is read").path());
        let mut entries: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|extension| extension == ENTRY)).collect();
        entries.sort();
        entries
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn component(name: &str) -> Vec<u8> {
    let mut guest = Guest::new(&[], &[]);
    guest.bytes(name.as_bytes());
    let module = guest.filter("", &Verdicts::default()).build("filter-plugin");
    artefact::encode(&module).expect("encodes").expect("was a module")
}

/// Whether it had to be compiled.
fn compiles(cache: &CodeCache, bytes: &[u8]) -> bool {
    let (engine, compiled) = (guests::engine().wasm(), Cell::new(false));
    let compile = || {
        compiled.set(true);
        Component::from_binary(engine, bytes)
    };
    cache.compiled(engine, bytes, compile).expect("compiles");
    compiled.get()
}

#[test]
fn a_component_is_compiled_once() {
    let folder = Folder::new("once");
    assert!(compiles(&folder.open(), &component("a")));
    assert!(!compiles(&folder.open(), &component("a")));
    assert!(compiles(&folder.open(), &component("b")));
    assert_eq!(folder.entries().len(), 2);
    let mode = |path: &Path| fs::metadata(path).expect("is there").mode() & 0o777;
    assert_eq!((mode(&folder.0), mode(&folder.entries()[0]), mode(&folder.0.join(KEY))), (0o700, 0o600, 0o600));
}

#[test]
fn an_entry_that_is_damaged_foreign_or_under_another_name_is_compiled_anew_and_replaced() {
    let (folder, other) = (Folder::new("damaged"), Folder::new("foreign"));
    let (cache, bytes) = (folder.open(), component("a"));
    assert!(compiles(&cache, &bytes) && compiles(&other.open(), &bytes));
    let entry = folder.entries().remove(0);
    let good = fs::read(&entry).expect("is read");
    let foreign = fs::read(other.entries().remove(0)).expect("is read");
    compiles(&cache, &component("b"));
    let second = folder.entries().into_iter().find(|path| *path != entry).expect("is there");
    let another = fs::read(second).expect("is read");

    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut wrong: Vec<Vec<u8>> = [0, 20, 60, HEAD_BYTES, good.len() / 2, good.len() - 1].map(flipped).into();
    wrong.extend([Vec::new(), good[..40].to_vec(), good[..good.len() - 1].to_vec(), foreign, another]);
    wrong.push([good.as_slice(), b"x"].concat());
    for bytes_there in wrong {
        fs::write(&entry, bytes_there).expect("is written");
        assert!(compiles(&cache, &bytes), "it was loaded");
        assert!(!compiles(&cache, &bytes), "it was not replaced");
    }
}

#[test]
fn a_file_that_others_can_write_or_that_is_a_link_is_not_loaded() {
    let folder = Folder::new("writable");
    let (cache, bytes) = (folder.open(), component("a"));
    compiles(&cache, &bytes);
    let entry = folder.entries().remove(0);
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o666)).expect("is ours");
    assert!(compiles(&cache, &bytes));
    let elsewhere = folder.0.join("elsewhere");
    fs::rename(&entry, &elsewhere).expect("is moved");
    std::os::unix::fs::symlink(&elsewhere, &entry).expect("is linked");
    assert!(compiles(&cache, &bytes));
    assert!(!compiles(&cache, &bytes));
}

#[test]
fn a_folder_that_others_can_read_is_no_cache() {
    let folder = Folder::new("open");
    fs::create_dir(&folder.0).expect("is made");
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).expect("is ours");
    assert!(CodeCache::open(&folder.0).is_none());
    assert!(CodeCache::open(Path::new("/proc/no/such/folder")).is_none());
    let settings = EngineSettings { code_cache: Some(folder.0.clone()), ..EngineSettings::default() };
    let engine = Engine::with(&settings).expect("works without");
    assert!(Plugin::from_bytes(&engine, "test", &component("a")).is_ok());
}

#[test]
fn the_oldest_entries_go_first() {
    let folder = Folder::new("trimmed");
    let cache = folder.open();
    compiles(&cache, &component("a"));
    let oldest = folder.entries().remove(0);
    let old = fs::File::open(&oldest).and_then(|file| Ok((file.metadata()?.modified()?, file)));
    let (modified, file) = old.expect("is read");
    file.set_modified(modified - std::time::Duration::from_secs(60)).expect("is ours");
    compiles(&cache, &component("b"));
    let size = fs::metadata(&oldest).expect("is there").len();
    cache.trim(2 * size + size / 2).expect("is trimmed");
    assert_eq!(folder.entries().len(), 2);
    cache.trim(size + size / 2).expect("is trimmed");
    assert_eq!(folder.entries().len(), 1);
    assert!(!oldest.exists());
}

#[test]
fn what_an_engine_compiled_another_loads() {
    let folder = Folder::new("engines");
    let settings = EngineSettings { code_cache: Some(folder.0.clone()), ..EngineSettings::default() };
    for _ in 0..2 {
        let engine = Engine::with(&settings).expect("an engine");
        let plugin = Plugin::from_bytes(&engine, "test", &component("a")).expect("loads");
        assert_eq!(plugin.identity().name, "test");
        assert_eq!(folder.entries().len(), 1);
    }
    let other = EngineSettings { stack_bytes_max: 256 << 10, ..settings };
    Plugin::from_bytes(&Engine::with(&other).expect("an engine"), "test", &component("a")).expect("loads");
}
