//! The files that a pipeline is made of, and whether each has changed: a change counts when the file has been left alone for a
//! while, or was put in its place whole.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file that is written where it is may be half of it, until it has been left alone for so long.
pub(super) const STABLE_AFTER: Duration = Duration::from_millis(50);

/// What tells one content of a file from another without reading it; none where the file cannot be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let file: Metadata = std::fs::metadata(path).ok()?;
        Some(Stamp {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

#[derive(Debug)]
struct Watched {
    /// The content that was taken.
    taken: Option<Stamp>,
    /// Another one, and since when it is there.
    pending: Option<(Option<Stamp>, Instant)>,
}

#[derive(Debug, Default)]
pub(super) struct Files {
    watched: BTreeMap<PathBuf, Watched>,
}

/// What a look gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Look {
    /// A file has changed since it was taken last, and is whole.
    pub changed: bool,
    /// When to look again, because something is being written.
    pub again: Option<Duration>,
}

impl Files {
    /// These files, each of which may be named more than once; those that were known keep what is known of them. One that was not
    /// has changed at the next look: it was read before, and nobody knows what it was then.
    pub fn watch<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        let mut known = std::mem::take(&mut self.watched);
        for file in files {
            let watched = || known.remove(file).unwrap_or(Watched { taken: None, pending: None });
            self.watched.entry(file.to_owned()).or_insert_with(watched);
        }
    }

    /// `renamed_to`: what was put in its place whole since the last look.
    pub fn look(&mut self, renamed_to: &[PathBuf], now: Instant) -> Look {
        let mut look = Look { changed: false, again: None };
        for (path, watched) in &mut self.watched {
            let stamp = Stamp::of(path);
            if stamp == watched.taken {
                watched.pending = None;
                continue;
            }
            let since = match watched.pending {
                Some((pending, since)) if pending == stamp => since,
                Some(_) | None => now,
            };
            let left = STABLE_AFTER.saturating_sub(now.duration_since(since));
            if left.is_zero() || renamed_to.iter().any(|renamed| put_whole(path, renamed)) {
                (watched.taken, watched.pending) = (stamp, None);
                look.changed = true;
            } else {
                watched.pending = Some((stamp, since));
                look.again = Some(look.again.map_or(left, |again| again.min(left)));
            }
        }
        look
    }
}

/// Whether `renamed`, which something was renamed to, is this file, or a link beside it on the way to it (`..data` of a
/// mounted ConfigMap).
fn put_whole(path: &Path, renamed: &Path) -> bool {
    if renamed.file_name() == path.file_name() && renamed.parent() == path.parent() {
        return true;
    }
    let is_link = renamed.symlink_metadata().is_ok_and(|file| file.is_symlink());
    is_link && renamed.parent() == path.parent() && path.symlink_metadata().is_ok_and(|file| file.is_symlink())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder of its own, with a file in it.
    fn file(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tidegate-files-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder is made");
        let file = folder.join("a.wasm");
        fs::write(&file, "one").expect("it is written");
        file
    }

    fn watching(path: &Path) -> Files {
        let mut files = Files::default();
        files.watch([path, path].into_iter());
        assert_eq!(files.look(&[path.to_owned()], Instant::now()), CHANGED, "nobody knows what was read");
        files
    }

    const UNCHANGED: Look = Look { changed: false, again: None };
    const CHANGED: Look = Look { changed: true, again: None };

    #[test]
    fn a_file_that_is_written_in_place_counts_when_it_is_left_alone() {
        let path = file("in-place");
        let (mut files, start) = (watching(&path), Instant::now());
        assert_eq!(files.look(&[], start), UNCHANGED);
        fs::write(&path, "half").expect("it is written");
        assert_eq!(files.look(&[], start), Look { changed: false, again: Some(STABLE_AFTER) });
        fs::write(&path, "the whole").expect("it is written");
        let later = start + STABLE_AFTER;
        assert_eq!(files.look(&[], later), Look { changed: false, again: Some(STABLE_AFTER) });
        assert_eq!(files.look(&[], later + STABLE_AFTER), CHANGED);
        assert_eq!(files.look(&[], later + STABLE_AFTER), UNCHANGED);
    }

    #[test]
    fn a_file_that_is_renamed_into_its_place_counts_at_once() {
        let path = file("renamed");
        let (mut files, start) = (watching(&path), Instant::now());
        let other = path.with_extension("new");
        fs::write(&other, "two").expect("it is written");
        assert_eq!(files.look(&[], start), UNCHANGED);
        fs::rename(&other, &path).expect("it is renamed");
        assert_eq!(files.look(std::slice::from_ref(&path), start), CHANGED);
    }

    #[test]
    fn a_link_on_the_way_that_is_swapped_counts_at_once() {
        let plain = file("linked");
        let folder = plain.parent().expect("it lies in a folder");
        for (version, text) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(folder.join(version)).expect("a folder is made");
            fs::write(folder.join(version).join("b.wasm"), text).expect("it is written");
        }
        let (data, path) = (folder.join("..data"), folder.join("b.wasm"));
        std::os::unix::fs::symlink("..1", &data).expect("a link is made");
        std::os::unix::fs::symlink("..data/b.wasm", &path).expect("a link is made");
        let mut files = watching(&path);
        let swapped = folder.join("..data_tmp");
        std::os::unix::fs::symlink("..2", &swapped).expect("a link is made");
        fs::rename(&swapped, &data).expect("it is renamed");
        assert_eq!(files.look(&[data], Instant::now()), CHANGED);
    }

    #[test]
    fn a_change_is_not_lost_when_the_list_of_files_is_made_anew() {
        let path = file("again");
        let mut files = watching(&path);
        let other = path.with_extension("new");
        fs::write(&other, "two").expect("it is written");
        fs::rename(&other, &path).expect("it is renamed");
        files.watch([&*path, &*path].into_iter());
        assert_eq!(files.look(&[path], Instant::now()), CHANGED);
    }

    #[test]
    fn a_file_that_goes_away_and_comes_again_has_changed() {
        let path = file("recreated");
        let (mut files, start) = (watching(&path), Instant::now());
        fs::remove_file(&path).expect("it is removed");
        files.look(&[], start);
        assert_eq!(files.look(&[], start + STABLE_AFTER), CHANGED);
        fs::write(&path, "one").expect("it is written");
        let later = start + STABLE_AFTER * 2;
        files.look(&[], later);
        assert_eq!(files.look(&[], later + STABLE_AFTER), CHANGED);
    }
}
