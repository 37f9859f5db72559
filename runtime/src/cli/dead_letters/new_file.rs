//! A file that is there whole or not at all, and in no other one's place.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::DeadLetterCommandError;

/// Written under another name beside it; what is not finished is removed.
pub(super) struct NewFile {
    path: PathBuf,
    unfinished: PathBuf,
    file: File,
}

impl NewFile {
    /// An error where there is a file with this name.
    pub fn create(path: &Path) -> anyhow::Result<NewFile> {
        if is_there(path) {
            return Err(DeadLetterCommandError::Exists { file: path.to_owned() }.into());
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.unfinished", std::process::id()));
        let unfinished = path.with_file_name(name);
        let file = File::create_new(&unfinished).with_context(|| cannot(path))?;
        Ok(NewFile { path: path.to_owned(), unfinished, file })
    }

    pub fn writer(&mut self) -> impl Write {
        &mut self.file
    }

    /// From now on SIGTERM and SIGINT end the process at once, with the file removed.
    pub fn remove_on_signals(&self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut terminate, mut interrupt) = {
            let _inside = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let unfinished = self.unfinished.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let kind = runtime.block_on(async {
                tokio::select! {
                    _ = terminate.recv() => SignalKind::terminate(),
                    _ = interrupt.recv() => SignalKind::interrupt(),
                }
            });
            let _ = fs::remove_file(&unfinished);
            // The conventional exit code of a process that ended by a signal.
            std::process::exit(128 + kind.as_raw_value());
        })?;
        Ok(())
    }

    /// Gives it its name.
    pub fn finish(self) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| cannot(&self.path))?;
        // Unlike a renaming, a link takes no other file's place.
        match fs::hard_link(&self.unfinished, &self.path) {
            Ok(()) => Ok(()),
            Err(_) if is_there(&self.path) => Err(DeadLetterCommandError::Exists { file: self.path.clone() }.into()),
            // There are file systems without links.
            Err(_) => fs::rename(&self.unfinished, &self.path).with_context(|| cannot(&self.path)),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.unfinished);
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn cannot(path: &Path) -> String {
    format!("cannot write file=`{}`", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed in the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("tidegate-new-file-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder can be made");
            Folder(folder)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).expect("it is there");
            entries.map(|entry| entry.expect("it is there").file_name().to_string_lossy().into_owned()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let folder = Folder::new("whole");
        let path = folder.0.join("letters.ndjson");
        let mut file = NewFile::create(&path).expect("nothing is in the way");
        file.writer().write_all(b"whole").expect("a disk takes it");
        assert!(!path.exists());
        file.finish().expect("nothing is in the way");
        assert_eq!(
            (fs::read(&path).expect("it is there"), folder.names()),
            (b"whole".to_vec(), vec!["letters.ndjson".to_owned()])
        );
    }

    #[test]
    fn what_is_not_finished_is_removed() {
        let folder = Folder::new("unfinished");
        let mut file = NewFile::create(&folder.0.join("letters.ndjson")).expect("nothing is in the way");
        file.writer().write_all(b"half").expect("a disk takes it");
        assert_eq!(folder.names().len(), 1);
        drop(file);
        assert_eq!(folder.names(), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_is_there_stays_as_it_is_whenever_it_came() {
        let folder = Folder::new("there");
        let path = folder.0.join("letters.ndjson");
        let mut file = NewFile::create(&path).expect("nothing is in the way");
        file.writer().write_all(b"ours").expect("a disk takes it");
        fs::write(&path, "another one's").expect("a disk takes it");
        for refused in [file.finish(), NewFile::create(&path).map(drop)] {
            let error = refused.expect_err("it is there");
            assert!(error.to_string().contains("not overwritten"), "{error}");
        }
        assert_eq!((fs::read(&path).expect("it is there"), folder.names().len()), (b"another one's".to_vec(), 1));
    }
}
