//! The sink: documents out, one verdict each; dead letters. It alone knows HTTP to the index, bulk bodies and status
//! codes, and sees neither source nor plugin.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use thiserror::Error;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::config::ElasticsearchSettings;
use crate::record::{DocumentBatch, ErrorKind, HasKind};

mod verdict;
mod answer;
mod lines;
mod bulk;
mod held;
mod slot;
mod pace;
mod concurrency;
mod nodes;
mod ways_in;
mod connection;
mod client;
mod request;
mod batches;
mod counters;
mod dispatch;
mod probe;
mod documents;
mod lookup;
mod merged;
mod names;
pub mod dead_letter;
pub mod stand_in;

pub use batches::Done;
pub use client::check_settings;
pub use counters::SinkCounters;
pub use dead_letter::{DeadLetters, GivenUpBy, LatePart, Letter, Subject};
pub use documents::documents;
pub use lookup::{Found, Looked, Lookup, Present, Unreadable, Wanted};
pub use merged::merged;
pub use probe::{IndexReport, IndexState, ProbeReport, Product, Written, install_template, probe};

use client::Client;
use counters::Shared;
use dispatch::{Command, Dispatcher};
use names::LiveNames;
use pace::Pace;
use slot::Fill;

/// Writes documents to the index, for as long as it takes.
///
/// Every document gets one verdict for good: it is settled, superseded by a version that the index has already, or
/// rejected. What is none of these is sent again without limit; meanwhile its bytes count as in flight. Dropping the
/// last handle ends the work at once and leaves the rest unsettled.
#[derive(Clone, Debug)]
pub struct Sink {
    commands: UnboundedSender<Command>,
    shared: Arc<Shared>,
}

impl Sink {
    /// Starts the work on `runtime`; nothing is sent before the first document. `memory_bytes_max` is what the caller
    /// lets be in flight: bulks are so small that the ones sent and the ones collected take half of it at most.
    pub fn start(
        settings: &ElasticsearchSettings,
        runtime: &tokio::runtime::Handle,
        memory_bytes_max: usize,
    ) -> Result<Sink, SinkError> {
        Self::start_at_pace(settings, runtime, memory_bytes_max, Pace::default())
    }

    fn start_at_pace(
        settings: &ElasticsearchSettings,
        runtime: &tokio::runtime::Handle,
        memory_bytes_max: usize,
        pace: Pace,
    ) -> Result<Sink, SinkError> {
        let client = Client::new(settings)?;
        let shared = Arc::new(Shared::default());
        // Each slot has a bulk in flight and one that is collected.
        let share = memory_bytes_max / 4 / settings.in_flight_max.max(1);
        let bytes_max = settings.bulk_bytes_max.min(share).clamp(1, BULK_BYTES_LIMIT);
        let fill = Fill { bytes_max, age_max: settings.bulk_age_max };
        let policy = settings.policy.as_slice().into();
        let names = LiveNames::new(settings.indices_max);
        let dispatcher = Dispatcher::new(client, shared.clone(), pace, fill, settings.in_flight_max, policy, names);
        let (commands, inbox) = unbounded_channel();
        runtime.spawn(dispatcher.run(inbox));
        Ok(Sink { commands, shared })
    }

    /// Takes documents of one lane; `done` is called once, on a task of the sink, when every one is judged for good: it
    /// must not block. Never blocks; the caller bounds what it submits by [`Sink::in_flight_bytes`].
    pub fn submit(&self, documents: DocumentBatch, done: Done) {
        let bytes = documents.bytes();
        self.shared.in_flight_bytes.fetch_add(bytes, Relaxed);
        // When the runtime has gone away nobody waits for a verdict any more.
        if self.commands.send(Command::Submit { documents, done }).is_err() {
            self.shared.in_flight_bytes.fetch_sub(bytes, Relaxed);
        }
    }

    /// Sends what is collected now, whatever its age; for the end of a run.
    pub fn flush(&self) {
        let _ = self.commands.send(Command::Flush);
    }

    /// Bytes of the documents that were submitted and are not judged yet.
    pub fn in_flight_bytes(&self) -> usize {
        self.shared.in_flight_bytes.load(Relaxed)
    }

    pub fn counters(&self) -> SinkCounters {
        self.shared.snapshot()
    }
}

/// Places in a body are 32 bits; no index takes such a body anyway.
const BULK_BYTES_LIMIT: usize = 1 << 30;

/// Why the sink cannot start, or what a look at the index has shown.
#[derive(Debug, Error)]
pub enum SinkError {
    #[error("no address of an index: give at least one under urls")]
    NoUrl,
    #[error("not an address of an index url=`{url}`: {error}")]
    Url { url: String, error: String },
    #[error("the certificate authorities cannot be used path=`{}`: {error}", path.display())]
    Ca { path: PathBuf, error: String },
    #[error("the client certificate cannot be used path=`{}`: {error}; is it PKCS#12, and the password its own?", path.display())]
    ClientCertificate { path: PathBuf, error: String },
    #[error("the credential {name} is empty or has characters that no header takes: look for a line break in it")]
    Credential { name: &'static str },
    #[error("the secret for the index cannot be read: {0}")]
    Secret(String),
    #[error("the client of the index does not start: {0}")]
    Client(String),
    #[error(
        "the index cannot be reached urls=`{urls}`: {error}; does it run there, by http or by https, and is `ca` named where \
         its certificate is not one of a public authority?"
    )]
    Unreachable { urls: String, error: String },
    #[error(
        "the index is Elasticsearch version=`{version}`, which takes no bulk requests as they are now: Elasticsearch 7 to 9 and \
         OpenSearch 1 to 3 do"
    )]
    TooOld { version: String },
    #[error("the index does not take the template name=`{name}`: {error}")]
    Template { name: String, error: String },
    #[error("the index does not let us in status=`{status}`: {error}; look at auth")]
    Unauthorised { status: u16, error: String },
    #[error(
        "the index gave an answer that is not understood status=`{status}`: {error}; is it Elasticsearch or OpenSearch?"
    )]
    Answer { status: u16, error: String },
}

impl HasKind for SinkError {
    fn kind(&self) -> ErrorKind {
        match self {
            SinkError::NoUrl
            | SinkError::Url { .. }
            | SinkError::Ca { .. }
            | SinkError::ClientCertificate { .. }
            | SinkError::Credential { .. }
            | SinkError::Secret(_)
            | SinkError::Client(_)
            | SinkError::TooOld { .. }
            | SinkError::Template { .. }
            | SinkError::Answer { .. } => ErrorKind::Config,
            SinkError::Unreachable { .. } | SinkError::Unauthorised { .. } => ErrorKind::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests;
