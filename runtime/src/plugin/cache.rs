//! Compiled code, kept from one start to the next in a folder that only this program writes.
//!
//! Machine code that somebody else wrote could do anything, so an entry is believed only when it carries a checksum that is made
//! with the folder's own key, over its name and its bytes. The name follows from the component, from wasmtime's version and
//! settings, and from this machine's features. Whatever is damaged, foreign or too old is compiled anew and replaced; a
//! folder that cannot be used is no cache, and no error.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wasmtime::component::Component;

const MAGIC: &[u8; 16] = b"tidegate code 1\n";
const HASH_BYTES: usize = blake3::OUT_LEN;
const HEAD_BYTES: usize = MAGIC.len() + 2 * HASH_BYTES;
/// All entries together; the oldest go first.
const BYTES_MAX: u64 = 256 << 20;
const KEY: &str = "key";
const ENTRY: &str = "code";
const UNFINISHED: &str = "new";

/// A folder of entries, and the key of their checksums.
#[derive(Debug)]
pub(super) struct CodeCache {
    folder: PathBuf,
    key: [u8; HASH_BYTES],
}

impl CodeCache {
    /// None where the folder cannot be used.
    pub fn open(folder: &Path) -> Option<Self> {
        match prepare(folder) {
            Ok(key) => Some(CodeCache { folder: folder.to_owned(), key }),
            Err(error) => {
                let folder = folder.display();
                tracing::debug!(target: "tidegate::plugin", %folder, "compiled code is not kept: {error}");
                None
            }
        }
    }

    /// The code of a component, from here or compiled and put here.
    pub fn compiled(
        &self,
        engine: &wasmtime::Engine,
        bytes: &[u8],
        compile: impl FnOnce() -> wasmtime::Result<Component>,
    ) -> wasmtime::Result<Component> {
        let name = name(engine, bytes);
        if let Some(component) = self.load(engine, &name) {
            return Ok(component);
        }
        let component = compile()?;
        if let Err(error) = component.serialize().map_err(io::Error::other).and_then(|code| self.store(&name, &code)) {
            tracing::debug!(target: "tidegate::plugin", "compiled code is not kept: {error}");
        }
        Ok(component)
    }

    fn load(&self, engine: &wasmtime::Engine, name: &blake3::Hash) -> Option<Component> {
        let entry = read_own(&self.path(name)).ok()?;
        let code = self.verified(name, &entry)?;
        deserialize(engine, code).ok()
    }

    /// The code of an entry, where all of it is what this program once wrote under this name.
    fn verified<'e>(&self, name: &blake3::Hash, entry: &'e [u8]) -> Option<&'e [u8]> {
        let (head, code) = entry.split_at_checked(HEAD_BYTES)?;
        let (magic, rest) = head.split_at_checked(MAGIC.len())?;
        let (named, checksum) = rest.split_at_checked(HASH_BYTES)?;
        let is_ours = magic == MAGIC && named == name.as_bytes() && self.checksum(name, code) == *checksum;
        is_ours.then_some(code)
    }

    /// Compared in constant time.
    fn checksum(&self, name: &blake3::Hash, code: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.key).update(name.as_bytes()).update(code).finalize()
    }

    fn store(&self, name: &blake3::Hash, code: &[u8]) -> io::Result<()> {
        let bytes = (HEAD_BYTES + code.len()) as u64;
        if bytes > BYTES_MAX {
            return Err(io::Error::other(format!("{bytes} bytes are more than the cache may have")));
        }
        let unfinished = self.folder.join(unfinished());
        let written = write_new(&unfinished, |file| {
            file.write_all(MAGIC)?;
            file.write_all(name.as_bytes())?;
            file.write_all(self.checksum(name, code).as_bytes())?;
            file.write_all(code)
        });
        let kept = written.and_then(|()| fs::rename(&unfinished, self.path(name)));
        if kept.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        kept?;
        self.trim(BYTES_MAX)
    }

    /// Lets the oldest entries go, and what was never finished with them.
    fn trim(&self, bytes_max: u64) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if extension.is_some_and(|extension| [ENTRY, UNFINISHED].contains(&extension))
                && let Ok(metadata) = fs::symlink_metadata(&path)
            {
                entries.push((metadata.modified()?, metadata.len(), path));
            }
        }
        entries.sort_unstable();
        let mut bytes: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in entries {
            if bytes <= bytes_max {
                break;
            }
            // Another process may have done it.
            let _ = fs::remove_file(path);
            bytes -= size;
        }
        Ok(())
    }

    fn path(&self, name: &blake3::Hash) -> PathBuf {
        self.folder.join(name.to_hex().as_str()).with_extension(ENTRY)
    }
}

/// What the code is made of: the component, and all of wasmtime that decides how it is compiled.
fn name(engine: &wasmtime::Engine, bytes: &[u8]) -> blake3::Hash {
    let mut hasher = Hashing(blake3::Hasher::new());
    hasher.write(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.write(blake3::hash(bytes).as_bytes());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize()
}

/// blake3 where the standard library's traits want a hasher.
struct Hashing(blake3::Hasher);

impl Hasher for Hashing {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks: the whole hash is taken.
    fn finish(&self) -> u64 {
        0
    }
}

fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: these bytes are what `Component::serialize` gave, unchanged: `verified` has found them under a checksum made
    // with a key that only this user's processes can read, and only `store` makes such checksums. That they are of this
    // version and these settings follows from their name, and wasmtime looks again.
    unsafe { Component::deserialize(engine, code) }
}

/// Makes the folder, or finds it to be ours alone, and reads its key.
fn prepare(folder: &Path) -> io::Result<[u8; HASH_BYTES]> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let metadata = fs::symlink_metadata(folder)?;
    if !metadata.is_dir() || metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other("it is no folder with mode 0700"));
    }
    let key = folder.join(KEY);
    if !key.exists() {
        // Two processes may do so at once: who links second takes the first one's.
        let mut random = [0; HASH_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let unfinished = folder.join(unfinished());
        write_new(&unfinished, |file| file.write_all(&random))?;
        let linked = fs::hard_link(&unfinished, &key);
        fs::remove_file(&unfinished)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    if fs::symlink_metadata(&key)?.uid() != metadata.uid() {
        return Err(io::Error::other("it is somebody else's"));
    }
    read_own(&key)?.try_into().map_err(|_| io::Error::other("its key is damaged"))
}

fn unfinished() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}.{UNFINISHED}", std::process::id(), NUMBER.fetch_add(1, Relaxed))
}

fn write_new(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    write(&mut file)
}

/// A file that nobody else can have written.
fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let is_own = |metadata: &Metadata| metadata.is_file() && metadata.mode() & 0o022 == 0;
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    let metadata = file.metadata()?;
    if !is_own(&metadata) || metadata.len() > BYTES_MAX {
        return Err(io::Error::other("it is not a file of this program"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
