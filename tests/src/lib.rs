//! What the tests of the whole program share: where things are, real servers, Kafka and Elasticsearch clients, a seeded
//! generator and its oracle.

pub mod bench;
pub mod clicks;
pub mod counting;
pub mod dev;
pub mod evil;
pub mod flow;
pub mod fold;
pub mod forgetful;
pub mod fuzz;
pub mod guide;
pub mod hunt;
pub mod index;
pub mod job;
pub mod kafka;
pub mod load;
pub mod program;
pub mod puppet;
pub mod reconcile;
pub mod reload;
pub mod secured;
pub mod servers;
pub mod simulation;
pub mod source_text;
pub mod workspace;

use std::fmt::Display;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Runs an asynchronous call of a client to its end.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().expect("a runtime can be built"));
    runtime.block_on(future)
}

/// Asks again and again until there is an answer; `what` is for the message when there is none in time.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    wait_until(limit, || ask().ok_or(what))
}

/// Asks again and again until there is an answer; what there is instead is for the message when there is none in time.
pub fn wait_until<T, W: Display>(limit: Duration, mut ask: impl FnMut() -> Result<T, W>) -> T {
    let begin = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(what) => assert!(begin.elapsed() < limit, "waited {} s for {what}", limit.as_secs()),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
