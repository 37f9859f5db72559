//! The console: metrics and health over HTTP, on a thread of its own. It reads snapshots and never touches the hot path.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use thiserror::Error;
use tokio::sync::oneshot;

use crate::pipeline::Handle;
use crate::record::{ErrorKind, HasKind};

mod metrics;
mod routes;

pub use metrics::render;
pub use routes::REQUEST_HEADER;

/// A console that answers until it is dropped.
#[derive(Debug)]
pub struct Console {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Console {
    /// Begins before the pipeline does, so that `/readyz` says "starting" while it starts. Port 0 takes a free one.
    pub fn start(address: SocketAddr, pipeline: Handle) -> Result<Self, ConsoleError> {
        let failed = |cause| ConsoleError::Listen { address, cause };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        served = serve(listener, pipeline) => {
                            if let Err(error) = served {
                                tracing::error!(%error, "the console stopped");
                            }
                        }
                        _ = stopped => {}
                    }
                });
            })
            .map_err(failed)?;
        Ok(Console { address, stop: Some(stop), thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: TcpListener, pipeline: Handle) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, routes::router(Arc::new(pipeline))).await
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Debug, Error)]
pub enum ConsoleError {
    #[error("the console cannot listen: address=`{address}`: {cause}; choose another with --console HOST:PORT")]
    Listen { address: SocketAddr, cause: io::Error },
}

impl HasKind for ConsoleError {
    fn kind(&self) -> ErrorKind {
        match self {
            ConsoleError::Listen { .. } => ErrorKind::Config,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    #[test]
    fn a_pipeline_that_starts_is_alive_but_not_ready() {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let console = Console::start(local, Handle::new()).expect("a free port is there");
        let ready = get(console.address(), "/readyz");
        assert!(ready.starts_with("HTTP/1.1 503") && ready.ends_with("\r\n\r\nstarting\n"), "{ready}");
        assert!(get(console.address(), "/healthz").starts_with("HTTP/1.1 200"));
        assert!(get(console.address(), "/metrics").contains("\ntidegate_records_total 0\n"));
        let account = get(console.address(), "/api/account");
        assert!(account.ends_with("\r\n\r\n{\"pipeline\":null,\"balances\":[]}"), "{account}");
        assert!(get(console.address(), "/nothing").starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn an_address_in_use_is_said() {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = Console::start(local, Handle::new()).expect("a free port is there");
        let Err(error) = Console::start(first.address(), Handle::new()) else { panic!("the port is taken") };
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}
