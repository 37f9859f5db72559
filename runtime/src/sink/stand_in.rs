//! An index that stands in for Elasticsearch in demonstrations and tests: it speaks bulk requests with external
//! versions, counts, searches for all documents or for ids, and documents by id. It keeps everything in memory, and nothing after its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

mod store;
mod bulk;
mod http;

pub use store::StoredDocument;

use http::Accepted;
use store::Store;

/// Listens until it is dropped.
#[derive(Debug)]
pub struct StandInIndex {
    address: SocketAddr,
    store: Arc<Store>,
    accepted: Arc<Accepted>,
    server: JoinHandle<()>,
}

impl StandInIndex {
    /// Port 0 takes any that is free; the address says which. Needs a tokio runtime.
    pub async fn start(address: SocketAddr) -> std::io::Result<Self> {
        let store = Arc::new(Store::default());
        Self::serve(address, http::router(store.clone()), store, Arc::default()).await
    }

    /// Acknowledges every bulk request and keeps nothing: for measurements of what sends.
    pub async fn accept_only(address: SocketAddr) -> std::io::Result<Self> {
        let accepted = Arc::new(Accepted::default());
        Self::serve(address, http::accepting_router(accepted.clone()), Arc::default(), accepted).await
    }

    async fn serve(
        address: SocketAddr,
        router: axum::Router,
        store: Arc<Store>,
        accepted: Arc<Accepted>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!("the stand-in index has ended: {error}");
            }
        });
        Ok(StandInIndex { address, store, accepted, server })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What an index holds, by id; empty where there is none.
    pub fn documents(&self, index: &str) -> Vec<StoredDocument> {
        self.store.documents(index)
    }

    /// The index and the JSON of the few documents that were written last, the newest at the end.
    pub fn newest(&self) -> Vec<(String, Vec<u8>)> {
        self.store.newest()
    }

    /// Lets an index refuse documents in which this field is text, or take them again: a mapping that is wrong, and one that is mended.
    pub fn map_number(&self, index: &str, field: &str, is_number: bool) {
        self.store.map_number(index, field, is_number);
    }

    /// Closes an index, or opens it again.
    pub fn close(&self, index: &str, is_closed: bool) {
        self.store.close(index, is_closed);
    }

    /// Lets an index find documents by their routing alone.
    pub fn require_routing(&self, index: &str) {
        self.store.require_routing(index);
    }

    /// Makes room: forgets what every index with more documents holds.
    pub fn forget_above(&self, documents_max: usize) {
        self.store.forget_above(documents_max);
    }

    pub fn indices(&self) -> Vec<String> {
        self.store.names()
    }

    /// How many documents were acknowledged, of one that only accepts.
    pub fn accepted(&self) -> u64 {
        self.accepted.documents.load(Relaxed)
    }
}

impl Drop for StandInIndex {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[cfg(test)]
mod tests;
