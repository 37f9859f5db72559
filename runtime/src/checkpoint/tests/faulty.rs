//! A store in memory that can do what stores do on a bad day.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::*;

use super::objects::{Medium, Objects};
use super::*;

/// What becomes of puts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Puts {
    Work,
    /// Done, and reported as failed.
    FailWhenDone,
    /// Reported as failed, and done when [`Faulty::deliver`] says so.
    FailAndComeLater,
    /// As an object that is there or not.
    Replace,
    /// Refused with this kind of the operating system's error.
    Refuse(io::ErrorKind),
    /// Refused by a server with this status.
    Answer(u16),
    /// Refused by a server that lets nobody write.
    Deny,
    /// Refused by a server that knows no conditions.
    KnowNoConditions,
}

#[derive(Debug)]
pub(super) struct Faulty {
    pub inner: InMemory,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    puts: Puts,
    late: Vec<(Path, PutPayload, PutOptions)>,
    /// Listed, and not there.
    vanished: Option<Path>,
    /// There, and not listed.
    lists_nothing: bool,
    answers_no_reads: bool,
}

impl Faulty {
    pub fn new() -> Arc<Self> {
        let state =
            State { puts: Puts::Work, late: Vec::new(), vanished: None, lists_nothing: false, answers_no_reads: false };
        Arc::new(Faulty { inner: InMemory::new(), state: Mutex::new(state) })
    }

    pub fn store(self: &Arc<Self>, medium: Medium) -> Store {
        Store::over(Objects::new(self.clone(), Path::default(), "memory:///", medium))
    }

    pub fn puts(&self, puts: Puts) {
        self.state().puts = puts;
    }

    pub fn vanish(&self, name: &str) {
        self.state().vanished = Some(name.into());
    }

    pub fn list_nothing(&self) {
        self.state().lists_nothing = true;
    }

    pub fn answer_no_reads(&self) {
        self.state().answers_no_reads = true;
    }

    /// What was given up comes now; how many of them were done.
    pub async fn deliver(&self) -> usize {
        let late = std::mem::take(&mut self.state().late);
        let mut done = 0;
        for (path, payload, options) in late {
            done += usize::from(self.inner.put_opts(&path, payload, options).await.is_ok());
        }
        done
    }

    /// Puts an object past all rules.
    pub async fn plant(&self, name: &str, object: Vec<u8>) {
        self.inner.put(&name.into(), object.into()).await.expect("memory takes it");
    }

    pub async fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.inner.list(None).map(|meta| meta.expect("memory lists").location.to_string()).collect().await;
        names.sort();
        names
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with it")
    }
}

fn failed(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: "Faulty", source: source.into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let puts = self.state().puts;
        match puts {
            Puts::Work => self.inner.put_opts(path, payload, options).await,
            Puts::FailWhenDone => {
                self.inner.put_opts(path, payload, options).await?;
                Err(failed("the connection was reset"))
            }
            Puts::FailAndComeLater => {
                self.state().late.push((path.clone(), payload, options));
                Err(failed("no answer in time"))
            }
            Puts::Replace => {
                options.mode = PutMode::Overwrite;
                self.inner.put_opts(path, payload, options).await
            }
            Puts::Refuse(kind) => Err(failed(io::Error::from(kind))),
            Puts::Answer(status) => Err(failed(format!("Server returned non-2xx status code: {status} Nothing"))),
            Puts::Deny => Err(Error::PermissionDenied { path: path.to_string(), source: "403".into() }),
            Puts::KnowNoConditions => {
                Err(Error::NotImplemented { operation: "`If-None-Match`".to_owned(), implementer: self.to_string() })
            }
        }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        if self.state().answers_no_reads {
            return Err(failed("503"));
        }
        if self.state().vanished.as_ref() == Some(path) {
            return Err(Error::NotFound { path: path.to_string(), source: "404".into() });
        }
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.state().lists_nothing { stream::empty().boxed() } else { self.inner.list(prefix) }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
