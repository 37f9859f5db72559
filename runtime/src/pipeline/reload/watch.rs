//! Tells when to look at files again: at once where the system tells of changes, and every half second where it does not
//! (network file systems, some containers).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use notify::event::{EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

/// How often files are looked at without a word from the system.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The folders in which files are watched.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    words: Receiver<Word>,
}

/// Something has changed in a folder. `renamed_to`: the path that something was renamed to, whole.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Word {
    pub renamed_to: Option<PathBuf>,
}

impl Watch {
    pub fn new() -> Self {
        let (tell, words) = unbounded();
        let watcher = notify::recommended_watcher(move |event| heard(event, &tell));
        let watcher = watcher.inspect_err(|error| tracing::debug!(%error, "the system tells of no changes")).ok();
        Watch { watcher, folders: BTreeSet::new(), words }
    }

    /// Nothing is watched: files are looked at when somebody asks.
    pub fn nothing() -> Self {
        Watch { watcher: None, folders: BTreeSet::new(), words: crossbeam_channel::never() }
    }

    pub fn words(&self) -> &Receiver<Word> {
        &self.words
    }

    /// Watches the folders of these files, and no others.
    pub fn files<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else { return };
        let folder = |file: &Path| match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        let wanted: BTreeSet<PathBuf> = files.map(folder).collect();
        for gone in self.folders.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        // A folder that was removed and made again is another one to the system: watching it once more does no harm.
        for folder in &wanted {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(%error, folder = %folder.display(), "the system does not tell of changes here");
            }
        }
        self.folders = wanted;
    }
}

fn heard(event: notify::Result<Event>, tell: &Sender<Word>) {
    let word = match event {
        Ok(Event { kind: EventKind::Access(_), .. }) => return,
        Ok(Event {
            kind: EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)), mut paths, ..
        }) => Word { renamed_to: paths.pop() },
        Ok(_) | Err(_) => Word::default(),
    };
    let _ = tell.send(word);
}
