//! The files of the audit log: lines are appended to the first, and when that is large the others move up by one. A line is in a file whole,
//! or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::config::AuditSettings;

pub(super) struct Files {
    path: PathBuf,
    bytes_max: u64,
    files_max: usize,
    /// None after something went wrong: it is opened again.
    open: Option<Open>,
}

struct Open {
    file: File,
    bytes: u64,
}

impl Files {
    pub fn open(settings: &AuditSettings) -> io::Result<Files> {
        let open = Some(Open::at(&settings.path)?);
        let bytes_max = settings.file_bytes_max as u64;
        Ok(Files { path: settings.path.clone(), bytes_max, files_max: settings.files_max, open })
    }

    /// Appends lines; after an error they are in no file.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut open = match self.open.take() {
            // Somebody may have moved it away, or deleted it.
            Some(open) if self.path.exists() => open,
            Some(_) | None => Open::at(&self.path)?,
        };
        if open.bytes > 0 && open.bytes + lines.len() as u64 > self.bytes_max {
            self.turn()?;
            open = Open::at(&self.path)?;
        }
        if let Err(error) = open.file.write_all(lines) {
            // A part of a line would spoil the next one. Where this fails too, whoever opens it looks at its end.
            let _ = open.file.set_len(open.bytes);
            return Err(error);
        }
        open.bytes += lines.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    /// Every file moves up by one; the last one goes.
    fn turn(&self) -> io::Result<()> {
        let numbered = |number: usize| match number {
            0 => self.path.clone(),
            number => {
                let mut name = self.path.clone().into_os_string();
                name.push(format!(".{number}"));
                PathBuf::from(name)
            }
        };
        let last = self.files_max - 1;
        absent_or(fs::remove_file(numbered(last)))?;
        (0..last).rev().try_for_each(|number| absent_or(fs::rename(numbered(number), numbered(number + 1))))
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Open> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut bytes = file.metadata()?.len();
        if bytes > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                bytes += 1;
            }
        }
        Ok(Open { file, bytes })
    }
}

fn absent_or(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("tidegate-audit-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).expect("it is made");
            Folder(folder)
        }

        fn settings(&self, file_bytes_max: usize, files_max: usize) -> AuditSettings {
            AuditSettings { path: self.0.join("audit.ndjson"), percent: 100, file_bytes_max, files_max }
        }

        fn text(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.0.join(name)).ok()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_that_is_full_makes_room_and_the_oldest_goes() {
        let folder = Folder::new("turn");
        let mut files = Files::open(&folder.settings(8, 3)).expect("it opens");
        for line in ["one\n", "two\n", "three\n", "four\n", "five, which is longer than a file\n", "six\n"] {
            files.append(line.as_bytes()).expect("it is written");
        }
        assert_eq!(folder.text("audit.ndjson").as_deref(), Some("six\n"));
        assert_eq!(folder.text("audit.ndjson.1").as_deref(), Some("five, which is longer than a file\n"));
        assert_eq!(folder.text("audit.ndjson.2").as_deref(), Some("four\n"));
        assert_eq!(folder.text("audit.ndjson.3"), None);
        // After a restart it goes on, behind a line that was not written to its end.
        fs::write(folder.0.join("audit.ndjson"), "six\nsev").expect("it is written");
        let mut files = Files::open(&folder.settings(100, 3)).expect("it opens");
        files.append(b"eight\n").expect("it is written");
        assert_eq!(folder.text("audit.ndjson").as_deref(), Some("six\nsev\neight\n"));
    }

    #[test]
    fn one_file_alone_begins_anew_and_one_that_is_gone_is_made_again() {
        let folder = Folder::new("one");
        let mut files = Files::open(&folder.settings(8, 1)).expect("it opens");
        for line in ["one\n", "two\n", "three\n"] {
            files.append(line.as_bytes()).expect("it is written");
        }
        assert_eq!(folder.text("audit.ndjson").as_deref(), Some("three\n"));
        fs::remove_dir_all(&folder.0).expect("it is there");
        assert!(files.append(b"four\n").is_err());
        fs::create_dir_all(&folder.0).expect("it is made");
        files.append(b"five\n").expect("it is written again");
        assert_eq!(folder.text("audit.ndjson").as_deref(), Some("five\n"));
    }
}
