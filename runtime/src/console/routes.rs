//! What the console answers to which path.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_core::Stream;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::metrics;
use crate::pipeline::{Handle, TapRequest, explain_watermark};

/// A request that changes something has it: a page in somebody's browser cannot send it to another host.
pub const REQUEST_HEADER: &str = "tidegate-request";

pub(super) fn router(pipeline: Arc<Handle>) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/api/status", get(status))
        .route("/api/account", get(account))
        .route("/api/explain/watermark", get(watermark))
        .route("/api/tap", get(tap))
        .route("/api/reload", post(reload))
        .route("/api/rollback/{plugin}", post(rollback))
        .with_state(pipeline)
}

async fn metrics_text(State(pipeline): State<Arc<Handle>>) -> Response {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::render(&pipeline.snapshot())).into_response()
}

async fn health(State(pipeline): State<Arc<Handle>>) -> Response {
    verdict(pipeline.snapshot().alive())
}

async fn readiness(State(pipeline): State<Arc<Handle>>) -> Response {
    verdict(pipeline.snapshot().ready())
}

async fn status(State(pipeline): State<Arc<Handle>>) -> Response {
    Json(pipeline.snapshot().reload).into_response()
}

async fn account(State(pipeline): State<Arc<Handle>>) -> Response {
    Json(pipeline.snapshot().counted()).into_response()
}

async fn watermark(State(pipeline): State<Arc<Handle>>) -> Response {
    Json(explain_watermark(&pipeline.snapshot())).into_response()
}

/// Where a tap is, and what it shows.
#[derive(Deserialize)]
struct TapQuery {
    at: String,
    #[serde(rename = "where")]
    condition: Option<String>,
}

/// A page in somebody's browser could not read the answer, but take the tap from others.
async fn tap(State(pipeline): State<Arc<Handle>>, headers: HeaderMap, Query(query): Query<TapQuery>) -> Response {
    if let Some(refused) = foreign(&headers) {
        return refused;
    }
    match pipeline.tap(&TapRequest { at: query.at, condition: query.condition }) {
        Ok(lines) => {
            ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(Lines(lines))).into_response()
        }
        Err(why) => (StatusCode::CONFLICT, format!("{why}\n")).into_response(),
    }
}

/// A tap's lines; it ends when nobody reads them any more.
struct Lines(mpsc::Receiver<String>);

impl Stream for Lines {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Bytes::from(line))))
    }
}

async fn reload(State(pipeline): State<Arc<Handle>>, headers: HeaderMap) -> Response {
    if let Some(refused) = foreign(&headers) {
        return refused;
    }
    deployed(pipeline.reload().await)
}

async fn rollback(State(pipeline): State<Arc<Handle>>, headers: HeaderMap, Path(plugin): Path<String>) -> Response {
    if let Some(refused) = foreign(&headers) {
        return refused;
    }
    deployed(pipeline.roll_back(plugin).await)
}

fn foreign(headers: &HeaderMap) -> Option<Response> {
    let missing = !headers.contains_key(REQUEST_HEADER);
    missing.then(|| (StatusCode::FORBIDDEN, format!("the header {REQUEST_HEADER} is missing\n")).into_response())
}

fn deployed(outcome: Result<String, String>) -> Response {
    match outcome {
        Ok(words) => (StatusCode::OK, format!("{words}\n")).into_response(),
        Err(why) => (StatusCode::CONFLICT, format!("{why}\n")).into_response(),
    }
}

fn verdict(judged: Result<(), String>) -> Response {
    match judged {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}
