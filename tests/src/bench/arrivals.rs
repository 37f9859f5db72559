//! An index that acknowledges everything and notes how old each document is when it does, in a process of its own. A document says when it
//! was made: `"sent":MICROS`, by this machine's clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderName;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::process::Server;
use crate::block_on;

/// The role of the process.
pub const ROLE: &str = "arrivals";
const SENT: &[u8] = b"\"sent\":";
const BODY_BYTES_MAX: usize = 64 << 20;

type Product = [(HeaderName, &'static str); 1];
/// By which Elasticsearch names itself.
const PRODUCT: Product = [(HeaderName::from_static("x-elastic-product"), "Elasticsearch")];

type Ages = Arc<Mutex<Vec<u64>>>;

/// How old documents were when they were acknowledged.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Arrived {
    pub documents: usize,
    pub median_micros: u64,
    pub p99_micros: u64,
    pub max_micros: u64,
}

impl Arrived {
    /// Of ages in microseconds.
    pub fn of(mut ages: Vec<u64>) -> Arrived {
        ages.sort_unstable();
        let at = |percent: usize| ages.get(ages.len() * percent / 100).or(ages.last()).copied().unwrap_or_default();
        Arrived { documents: ages.len(), median_micros: at(50), p99_micros: at(99), max_micros: at(100) }
    }
}

/// How old a document is now.
pub fn age_micros(document: &[u8]) -> Option<u64> {
    Some(now_micros().saturating_sub(sent_micros(document)?))
}

pub fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The body of the process: says its URL, then for each line that comes in what has arrived since the last one.
pub fn serve() -> anyhow::Result<()> {
    let ages = Ages::default();
    let router = Router::new()
        .route("/_bulk", post(bulk))
        .route("/_nodes/_local", get(|| async { Json(json!({ "nodes": { "one": { "version": "8.19.0" } } })) }))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(ages.clone());
    let listener = block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    println!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || block_on(async move { axum::serve(listener, router).await }));
    for line in std::io::stdin().lines() {
        line?;
        let ages = std::mem::take(&mut *ages.lock().unwrap_or_else(PoisonError::into_inner));
        let arrived = Arrived::of(ages);
        println!("{}", serde_json::to_string(&arrived)?);
    }
    Ok(())
}

/// The age is taken when the answer is ready.
async fn bulk(State(ages): State<Ages>, body: Bytes) -> (Product, Json<Value>) {
    let documents = body.split(|byte| *byte == b'\n').skip(1).step_by(2);
    let sent: Vec<u64> = documents.filter_map(sent_micros).collect();
    let item = json!({ "index": { "status": 201 } });
    let answer = json!({ "errors": false, "items": vec![item; sent.len()] });
    let now = now_micros();
    let mut ages = ages.lock().unwrap_or_else(PoisonError::into_inner);
    ages.extend(sent.iter().map(|sent| now.saturating_sub(*sent)));
    (PRODUCT, Json(answer))
}

fn sent_micros(document: &[u8]) -> Option<u64> {
    let at = document.windows(SENT.len()).position(|window| window == SENT)? + SENT.len();
    let digits = document[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// The process as the one that measures knows it.
pub struct Arrivals(Server);

impl Arrivals {
    pub fn start() -> anyhow::Result<Self> {
        Server::start(ROLE).map(Arrivals)
    }

    pub fn url(&self) -> &str {
        self.0.url()
    }

    /// Since it was asked last.
    pub fn take(&mut self) -> anyhow::Result<Arrived> {
        Ok(serde_json::from_str(&self.0.ask()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_when_it_was_sent() {
        assert_eq!(sent_micros(br#"{"a":1,"sent":1780000000000123,"b":2}"#), Some(1_780_000_000_000_123));
        assert_eq!(sent_micros(b""), None);
    }
}
