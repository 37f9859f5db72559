//! Objects below one location: what a store can be asked for, and what its answers mean.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode};

use super::CheckpointError;
use crate::record::without;

/// What lies between us and the objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Medium {
    /// An error is an error: what is there after one may be gone after a loss of power.
    Disk,
    /// The answer may be lost while what was asked for is done, also later.
    Network,
}

/// An object that is there.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Below the prefix that was asked for.
    pub segments: Vec<String>,
    pub bytes: u64,
    pub modified: Timestamp,
}

/// What became of a put.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Put {
    Done,
    /// Something else is there.
    Taken(Bytes),
}

#[derive(Clone, Debug)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    root: Path,
    location: Arc<str>,
    medium: Medium,
    /// What no message shows.
    secrets: Arc<[String]>,
}

impl Objects {
    pub fn new(store: Arc<dyn ObjectStore>, root: Path, location: &str, medium: Medium) -> Self {
        Objects { store, root, location: location.into(), medium, secrets: Arc::default() }
    }

    /// Stores say what they were sent, for example a token that has expired.
    pub fn hiding(self, secrets: Vec<String>) -> Self {
        Objects { secrets: secrets.into(), ..self }
    }

    pub fn location(&self) -> &str {
        &self.location
    }

    /// Puts an object where there is none. Whether an answer that says nothing, or that something is there, is of an attempt of
    /// ours is found out by reading; so no two callers may put the same bytes under one name.
    pub async fn put_new(&self, name: &str, object: &Bytes) -> Result<Put, CheckpointError> {
        let put = self.store.put_opts(&self.path(name), object.clone().into(), PutMode::Create.into()).await;
        let error = match put {
            Ok(_) => return Ok(Put::Done),
            // An object that is to be made is missed by nobody.
            Err(Error::NotFound { .. }) if self.medium == Medium::Network => {
                return Err(CheckpointError::NoBucket { location: self.location.to_string() });
            }
            Err(error) if self.medium == Medium::Disk && !is_taken(&error) => return Err(self.failed(name, &error)),
            Err(error) => error,
        };
        match self.get(name).await? {
            Some(there) if there == *object => Ok(Put::Done),
            Some(there) => Ok(Put::Taken(there)),
            None => Err(self.failed(name, &error)),
        }
    }

    /// An object, if it is there.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, CheckpointError> {
        let path = self.path(name);
        let object = async { self.store.get(&path).await?.bytes().await };
        match object.await {
            Ok(object) => Ok(Some(object)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// The first bytes of an object that has at least as many, if it is there.
    pub async fn get_start(&self, name: &str, bytes: u64) -> Result<Option<Bytes>, CheckpointError> {
        if bytes == 0 {
            return Ok(Some(Bytes::new()));
        }
        match self.store.get_range(&self.path(name), 0..bytes).await {
            Ok(start) => Ok(Some(start)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// Whether it was there or not.
    pub async fn delete(&self, name: &str) -> Result<(), CheckpointError> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// All objects below a name, in no order.
    pub async fn list(&self, name: &str) -> Result<Vec<Listed>, CheckpointError> {
        let prefix = self.path(name);
        let listed = self.store.list(Some(&prefix)).try_filter_map(async |meta| Ok(listed(&prefix, meta)));
        listed.try_collect().await.map_err(|error| self.failed(name, &error))
    }

    /// Some object below `name` that sorts after `after` and is one that is looked for.
    pub async fn find_after<T>(
        &self,
        name: &str,
        after: &str,
        is: impl Fn(&Listed) -> Option<T>,
    ) -> Result<Option<T>, CheckpointError> {
        let prefix = self.path(name);
        let mut objects = self.store.list_with_offset(Some(&prefix), &self.path(after));
        while let Some(meta) = objects.try_next().await.map_err(|error| self.failed(name, &error))? {
            if let Some(found) = listed(&prefix, meta).and_then(|listed| is(&listed)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn path(&self, name: &str) -> Path {
        self.root.parts().chain(name.split('/').map(Into::into)).collect()
    }

    fn failed(&self, name: &str, error: &Error) -> CheckpointError {
        let what = without(&in_one_line(error), self.secrets.iter().map(String::as_str)).into_owned();
        let (location, object) = (self.location.to_string(), name.to_owned());
        // How a server refuses is known by its words only.
        let is_status = |status: &str| what.contains(&format!("status code: {status}"));
        let is_unknown = matches!(error, Error::NotImplemented { .. } | Error::NotSupported { .. });
        let is_denied = matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. });
        match io_kind(error) {
            _ if is_unknown || is_status("501") => CheckpointError::NoPutIfAbsent { location, what },
            _ if is_denied => CheckpointError::Forbidden { location, object, what },
            Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
                CheckpointError::Forbidden { location, object, what }
            }
            _ if is_status("507") => CheckpointError::Full { location, object, what },
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                CheckpointError::Full { location, object, what }
            }
            Some(_) | None => CheckpointError::Unavailable { location, object, what },
        }
    }
}

fn is_taken(error: &Error) -> bool {
    matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. })
}

fn listed(prefix: &Path, meta: ObjectMeta) -> Option<Listed> {
    let segments = meta.location.prefix_match(prefix)?.map(|part| part.as_ref().to_owned()).collect();
    let modified = Timestamp::from_millisecond(meta.last_modified.timestamp_millis()).unwrap_or_default();
    Some(Listed { segments, bytes: meta.size, modified })
}

fn causes(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// What the operating system said, where it did.
fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// With those of its causes that it does not name itself. Stores answer with pages of XML.
fn in_one_line(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
