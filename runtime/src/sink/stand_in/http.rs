//! The stand-in index over HTTP: the paths that a sink, a console and a curious person need, in the real shapes.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router, middleware};
use serde::Deserialize;
use serde_json::{Value, json};

use super::bulk::{Refused, answer};
use super::store::{Store, StoredDocument};

/// As the real one's `http.max_content_length`.
const BODY_BYTES_MAX: usize = 100 * 1024 * 1024;
/// The version whose answers it imitates.
const VERSION: &str = "8.19.0";

type Params = Query<HashMap<String, String>>;
type Shared = State<Arc<Store>>;

pub(super) fn router(store: Arc<Store>) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/_nodes/_local", get(node))
        .route("/_cluster/health", get(|| async { Json(json!({ "cluster_name": "stand-in", "status": "green" })) }))
        .route("/_bulk", post(bulk_anywhere).put(bulk_anywhere))
        .route("/{index}/_bulk", post(bulk_into).put(bulk_into))
        .route("/_count", get(count_all).post(count_all))
        .route("/{index}/_count", get(count).post(count))
        .route("/_search", get(search_all).post(search_all))
        .route("/{index}/_search", get(search).post(search))
        .route("/{index}/_doc/{id}", get(document))
        .route("/_mget", post(many))
        .route("/_refresh", post(refresh).get(refresh))
        .route("/{index}/_refresh", post(refresh).get(refresh))
        .route("/{index}/_settings", get(settings))
        .route(
            "/{index}/_settings/{names}",
            get(|state, Path((index, _)): Path<(String, String)>| settings(state, Path(index))),
        )
        .route("/_index_template/{name}", put(put_template).get(get_template))
        .route("/_index_template/_simulate_index/{name}", post(simulate))
        .route("/{index}", put(create).get(settings).delete(remove))
        .layer(middleware::map_response(name_product))
        .with_state(store)
}

/// Clients look for this before they trust an answer.
async fn name_product(mut response: Response) -> Response {
    let name = HeaderName::from_static("x-elastic-product");
    response.headers_mut().insert(name, HeaderValue::from_static("Elasticsearch"));
    response
}

async fn root() -> Json<Value> {
    Json(json!({
        "name": "stand-in", "cluster_name": "stand-in", "tagline": "a stand-in: it keeps nothing",
        "version": { "number": VERSION, "build_flavor": "stand-in" },
    }))
}

async fn node() -> Json<Value> {
    Json(json!({ "nodes": { "stand-in": { "name": "stand-in", "version": VERSION } } }))
}

fn failed(status: StatusCode, kind: &str, reason: &str) -> Response {
    let error = json!({ "type": kind, "reason": reason });
    let body = json!({ "error": { "root_cause": [error], "type": kind, "reason": reason }, "status": status.as_u16() });
    (status, Json(body)).into_response()
}

fn no_such_index(index: &str) -> Response {
    failed(StatusCode::NOT_FOUND, "index_not_found_exception", &format!("no such index [{index}]"))
}

async fn bulk_anywhere(State(store): Shared, Query(params): Params, body: Body) -> Response {
    bulk(&store, None, &params, body).await
}

async fn bulk_into(State(store): Shared, Path(index): Path<String>, Query(params): Params, body: Body) -> Response {
    bulk(&store, Some(&index), &params, body).await
}

async fn bulk(store: &Store, index: Option<&str>, params: &HashMap<String, String>, body: Body) -> Response {
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match answer(store, index, &body, params.contains_key("filter_path")) {
        Ok(answer) => Json(answer).into_response(),
        Err(Refused { kind, reason }) => failed(StatusCode::BAD_REQUEST, kind, &reason),
    }
}

/// The indices that a name, a list or a pattern means; none where a plain name is unknown.
fn matching(store: &Store, names: &str) -> Option<Vec<String>> {
    let known = store.names();
    let mut found = Vec::new();
    for name in names.split(',') {
        let before = found.len();
        found.extend(known.iter().filter(|known| name == "_all" || glob(name, known)).cloned());
        if found.len() == before && name != "_all" && !name.contains('*') {
            return None;
        }
    }
    found.sort();
    found.dedup();
    Some(found)
}

/// `*` stands for any text.
fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name
            .strip_prefix(head)
            .is_some_and(|tail| (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| glob(rest, tail)))),
    }
}

async fn count_all(state: Shared) -> Response {
    count(state, Path("_all".into())).await
}

async fn count(State(store): Shared, Path(index): Path<String>) -> Response {
    let Some(indices) = matching(&store, &index) else { return no_such_index(&index) };
    let count: usize = indices.iter().map(|index| store.documents(index).len()).sum();
    Json(json!({ "count": count, "_shards": { "total": 1, "successful": 1, "skipped": 0, "failed": 0 } }))
        .into_response()
}

async fn search_all(state: Shared, params: Params, body: Bytes) -> Response {
    search(state, Path("_all".into()), params, body).await
}

/// The documents that are asked for, in order.
async fn many(State(store): Shared, body: Bytes) -> Response {
    #[derive(Deserialize)]
    struct Many {
        docs: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(rename = "_index")]
        index: String,
        #[serde(rename = "_id")]
        id: String,
        #[serde(rename = "_source")]
        source: Option<bool>,
        routing: Option<String>,
    }
    let Many { docs } = match serde_json::from_slice(&body) {
        Ok(many) => many,
        Err(error) => return failed(StatusCode::BAD_REQUEST, "parsing_exception", &error.to_string()),
    };
    let refused = |index: &str, id: &str, kind: &str, reason: String| json!({ "_index": index, "_id": id, "error": { "type": kind, "reason": reason } });
    let answer = |One { index, id, source, routing }: &One| match store.get(index, id) {
        _ if store.is_closed(index) => refused(index, id, "index_closed_exception", "closed".to_owned()),
        _ if routing.is_none() && store.requires_routing(index) => {
            let reason = format!("routing is required for [{index}]/[{id}]");
            refused(index, id, "routing_missing_exception", reason)
        }
        Some(document) => {
            let mut shown = shown(index, &document, json!({ "found": true }));
            if let (Some(false), Some(shown)) = (source, shown.as_object_mut()) {
                shown.remove("_source");
            }
            shown
        }
        None if store.names().contains(index) => json!({ "_index": index, "_id": id, "found": false }),
        None => refused(index, id, "index_not_found_exception", format!("no such index [{index}]")),
    };
    Json(json!({ "docs": docs.iter().map(answer).collect::<Vec<_>>() })).into_response()
}

/// All documents by id, or those with the ids that the query names; a page of them.
async fn search(State(store): Shared, Path(index): Path<String>, Query(params): Params, body: Bytes) -> Response {
    #[derive(Default, Deserialize)]
    struct Page {
        size: Option<usize>,
        from: Option<usize>,
        #[serde(default)]
        query: Value,
    }
    let page: Page = serde_json::from_slice(&body).unwrap_or_default();
    let names = match params.contains_key("ignore_unavailable") {
        true => index.split(',').filter(|name| matching(&store, name).is_some()).collect::<Vec<_>>().join(","),
        false => index.clone(),
    };
    let mut indices = match matching(&store, &names) {
        Some(indices) => indices,
        None if names.is_empty() => Vec::new(),
        None => return no_such_index(&index),
    };
    if !params.contains_key("ignore_unavailable") && indices.iter().any(|index| store.is_closed(index)) {
        return failed(StatusCode::BAD_REQUEST, "index_closed_exception", "closed");
    }
    indices.retain(|index| !store.is_closed(index));
    let ids = page.query["ids"]["values"].as_array();
    let is_wanted = |id: &str| ids.is_none_or(|ids| ids.iter().any(|wanted| wanted == id));
    let number = |name: &str| params.get(name).and_then(|text| text.parse().ok());
    let size = page.size.or_else(|| number("size")).unwrap_or(10);
    let from = page.from.or_else(|| number("from")).unwrap_or(0);
    let (mut total, mut hits) = (0, Vec::new());
    for index in &indices {
        for document in store.documents(index).into_iter().filter(|document| is_wanted(&document.id)) {
            if (from..from.saturating_add(size)).contains(&total) {
                hits.push(shown(index, &document, json!({ "_score": 1.0 })));
            }
            total += 1;
        }
    }
    let hits = json!({ "total": { "value": total, "relation": "eq" }, "max_score": 1.0, "hits": hits });
    Json(json!({ "took": 0, "timed_out": false, "hits": hits })).into_response()
}

fn shown(index: &str, document: &StoredDocument, mut with: Value) -> Value {
    let source: Value = serde_json::from_slice(&document.source).unwrap_or_default();
    if let Some(with) = with.as_object_mut() {
        with.insert("_index".into(), index.into());
        with.insert("_id".into(), document.id.as_str().into());
        with.insert("_version".into(), document.version.into());
        with.insert("_source".into(), source);
    }
    with
}

async fn document(State(store): Shared, Path((index, id)): Path<(String, String)>) -> Response {
    match store.get(&index, &id) {
        Some(document) => Json(shown(&index, &document, json!({ "found": true }))).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({ "_index": index, "_id": id, "found": false }))).into_response(),
    }
}

async fn refresh() -> Json<Value> {
    Json(json!({ "_shards": { "total": 1, "successful": 1, "failed": 0 } }))
}

async fn settings(State(store): Shared, Path(index): Path<String>) -> Response {
    let Some(indices) = matching(&store, &index) else { return no_such_index(&index) };
    let found: serde_json::Map<String, Value> =
        indices.into_iter().map(|index| (index, json!({ "settings": { "index.refresh_interval": "30s" } }))).collect();
    Json(Value::Object(found)).into_response()
}

async fn create(State(store): Shared, Path(index): Path<String>) -> Response {
    match store.create(&index) {
        true => Json(json!({ "acknowledged": true, "shards_acknowledged": true, "index": index })).into_response(),
        false => failed(
            StatusCode::BAD_REQUEST,
            "resource_already_exists_exception",
            &format!("index [{index}] already exists"),
        ),
    }
}

async fn remove(State(store): Shared, Path(index): Path<String>) -> Response {
    match store.delete(&index) {
        true => Json(json!({ "acknowledged": true })).into_response(),
        false => no_such_index(&index),
    }
}

async fn put_template(State(store): Shared, Path(name): Path<String>, Json(template): Json<Value>) -> Json<Value> {
    store.templates.lock().unwrap_or_else(PoisonError::into_inner).insert(name, template);
    Json(json!({ "acknowledged": true }))
}

async fn get_template(State(store): Shared, Path(name): Path<String>) -> Response {
    let templates = store.templates.lock().unwrap_or_else(PoisonError::into_inner);
    let found: Vec<Value> = templates
        .iter()
        .filter(|(known, _)| glob(&name, known))
        .map(|(name, template)| json!({ "name": name, "index_template": template }))
        .collect();
    match found.is_empty() && !name.contains('*') {
        true => failed(
            StatusCode::NOT_FOUND,
            "resource_not_found_exception",
            &format!("index template matching [{name}] not found"),
        ),
        false => Json(json!({ "index_templates": found })).into_response(),
    }
}

/// What the template that matches a name says.
async fn simulate(State(store): Shared, Path(name): Path<String>) -> Json<Value> {
    let templates = store.templates.lock().unwrap_or_else(PoisonError::into_inner);
    let matches = |template: &&Value| {
        let patterns = template.get("index_patterns").and_then(Value::as_array);
        patterns.into_iter().flatten().filter_map(Value::as_str).any(|pattern| glob(pattern, &name))
    };
    match templates.values().find(matches) {
        Some(template) => {
            Json(json!({ "template": template.get("template").cloned().unwrap_or_default(), "overlapping": [] }))
        }
        None => Json(json!({})),
    }
}

/// What an index that only accepts has taken.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    pub documents: AtomicU64,
}

pub(super) fn accepting_router(accepted: Arc<Accepted>) -> Router {
    Router::new().route("/_bulk", post(accept)).route("/_nodes/_local", get(node)).with_state(accepted)
}

/// Counts the lines as they come, and answers for every second one.
async fn accept(State(accepted): State<Arc<Accepted>>, mut body: Body) -> Response {
    const ITEM: &[u8] = br#"{"index":{"status":201}},"#;
    let mut lines = 0;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => lines += memchr::memchr_iter(b'\n', &data).count(),
            Ok(Err(_trailers)) => {}
            Err(_) => return StatusCode::BAD_REQUEST.into_response(),
        }
    }
    let documents = lines / 2;
    accepted.documents.fetch_add(documents as u64, Relaxed);
    let mut answer = br#"{"errors":false,"took":0,"items":["#.to_vec();
    answer.reserve(documents * ITEM.len() + 2);
    (0..documents).for_each(|_| answer.extend_from_slice(ITEM));
    if documents > 0 {
        answer.pop();
    }
    answer.extend_from_slice(b"]}");
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}
