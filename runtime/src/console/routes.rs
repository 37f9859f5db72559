//! What the console answers to which path.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::metrics;
use crate::pipeline::Handle;

pub(super) fn router(pipeline: Arc<Handle>) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
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

fn verdict(judged: Result<(), String>) -> Response {
    match judged {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}
