//! A value that must not be seen.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// A file that is named may be this large: it is a secret, not a table.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Text that no log, error or page shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// For the wire only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A secret that is as the pipeline file has it, or in a file of its own, which may change while the pipeline runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    Fixed(Secret),
    File(PathBuf),
}

impl Credential {
    /// As it is now; an error names the file.
    pub fn read(&self) -> io::Result<Secret> {
        match self {
            Credential::Fixed(secret) => Ok(secret.clone()),
            Credential::File(path) => match text_of(path) {
                // As it is for a moment while somebody writes it.
                Ok(text) if text.is_empty() => Err(io::Error::other(format!("file=`{}`: it is empty", path.display()))),
                Ok(text) => Ok(Secret(text)),
                Err(error) => Err(io::Error::new(error.kind(), format!("file=`{}`: {error}", path.display()))),
            },
        }
    }
}

/// The text of a file without its last line break.
pub(super) fn text_of(path: &Path) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it has {length} bytes, at most {FILE_BYTES_MAX} are taken")));
    }
    let mut text = fs::read_to_string(path)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
