//! What the index answers, and what is made of it.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::*;

/// Answers for each path, in their order; the last one again and again.
type Script = BTreeMap<&'static str, VecDeque<(u16, Value)>>;

/// An index that answers as the script says, and what asks it.
async fn lookup(script: Vec<(&'static str, u16, Value)>) -> Lookup {
    let mut answers = Script::new();
    for (path, status, body) in script {
        answers.entry(path).or_default().push_back((status, body));
    }
    let answers = Arc::new(Mutex::new(answers));
    let answer = async move |uri: Uri| {
        let mut answers = answers.lock().await;
        let query = uri.query().unwrap_or_default();
        let path = format!("{}{}", uri.path(), if query.contains("expand_wildcards") { "?all" } else { "" });
        let of_path = answers.get_mut(path.as_str()).expect("the script has it");
        let (status, body) =
            if of_path.len() > 1 { of_path.pop_front() } else { of_path.front().cloned() }.expect("one");
        (StatusCode::from_u16(status).expect("a status"), axum::Json(body)).into_response()
    };
    let refresh = axum::routing::post(async || "{}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let router = Router::new().route("/{name}/_refresh", refresh).fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Lookup::new(&crate::sink::tests::settings(&url)).expect("the settings are right")
}

fn error(kind: &str) -> Value {
    json!({ "error": { "type": kind, "reason": "why" }, "status": 0 })
}

fn docs(items: &[Value]) -> Value {
    json!({ "docs": items })
}

fn there(version: u64) -> Value {
    json!({ "_index": "i", "_id": "a", "_version": version, "found": true })
}

/// Looks for one document in each of these indices.
async fn told(lookup: &Lookup, indices: &[&str]) -> Vec<String> {
    let wanted: Vec<Wanted<'_>> = indices.iter().map(|index| Wanted { index, id: "a", routing: None }).collect();
    let one = |looked: Looked| match looked {
        Looked::There(present) => present.version.to_string(),
        Looked::NotThere => "-".to_owned(),
        Looked::Unknown(why) => why.to_string(),
    };
    match lookup.get(&wanted, false).await {
        Ok(looked) => looked.into_iter().map(one).collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[tokio::test]
async fn where_all_are_refused_each_index_is_asked_for_alone() {
    let lookup = lookup(vec![
        ("/_mget", 403, error("security_exception")),
        // In the order of their names.
        ("/_mget", 200, docs(&[there(7)])),
        ("/_mget", 403, error("security_exception")),
    ])
    .await;
    assert_eq!(told(&lookup, &["i", "secret"]).await, ["7", "security_exception: why"]);
    assert_eq!(told(&lookup, &["secret"]).await, ["security_exception: why"]);
}

#[tokio::test]
async fn what_lets_nobody_in_is_an_error() {
    let lookup = lookup(vec![("/_mget", 401, error("security_exception"))]).await;
    assert!(told(&lookup, &["i", "j"]).await[0].contains("does not let us in"));
}

#[tokio::test]
async fn a_shard_that_is_away_is_asked_again_and_once_where_it_stays_away() {
    let away = json!({ "_index": "j", "_id": "a", "error": { "type": NO_SHARD, "reason": null } });
    let lookup = lookup(vec![
        ("/_mget", 200, docs(&[there(7), away.clone()])),
        ("/_mget", 200, docs(&[there(8)])),
        ("/_mget", 200, docs(&[away])),
    ])
    .await;
    // What was there is not asked for again.
    assert_eq!(told(&lookup, &["i", "j"]).await, ["7", "8"]);
    assert_eq!(told(&lookup, &["j"]).await, [NO_SHARD]);
    let begun = std::time::Instant::now();
    assert_eq!(told(&lookup, &["j"]).await, [NO_SHARD]);
    assert!(begun.elapsed() < PAUSE, "it has been waited for before");
}

#[tokio::test]
async fn of_a_name_for_several_indices_what_is_found_counts_and_the_rest_is_unknown() {
    let several = json!({ "_index": "alias", "_id": "a", "error": { "type": "illegal_argument_exception" } });
    let other = json!({ "_index": "alias", "_id": "b", "error": { "type": "illegal_argument_exception" } });
    let hits = json!({ "hits": { "hits": [{ "_index": "i-1", "_id": "a", "_version": 7 }] } });
    let lookup = lookup(vec![
        ("/_mget", 200, docs(&[several, other])),
        ("/alias/_search?all", 400, error("index_closed_exception")),
        ("/alias/_search", 200, hits),
    ])
    .await;
    let wanted = ["a", "b"].map(|id| Wanted { index: "alias", id, routing: None });
    let looked = lookup.get(&wanted, false).await.expect("it answers");
    assert!(matches!(&looked[0], Looked::There(present) if present.version == 7), "{looked:?}");
    assert!(matches!(&looked[1], Looked::Unknown(why) if why.kind == "index_closed_exception"), "{looked:?}");
}

#[tokio::test]
async fn a_search_that_some_shards_do_not_answer_is_not_all() {
    let shard = json!({ "reason": { "type": "query_shard_exception", "reason": "why" } });
    let half = |failures: &[Value]| {
        let hits = json!({ "hits": [{ "_index": "i-1", "_id": "a", "_version": 7 }] });
        json!({ "_shards": { "total": 2, "successful": 1, "failures": failures }, "hits": hits })
    };
    let lookup =
        lookup(vec![("/i-*/_search?all", 200, half(&[])), ("/j/_search?all", 200, half(std::slice::from_ref(&shard)))])
            .await;
    let found = lookup.find(&["i-*".to_owned(), "j".to_owned()], "a").await.expect("it answers");
    assert_eq!(found.documents.len(), 1, "it is the same document");
    let unreadable: Vec<String> = found.unreadable.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    assert_eq!(
        unreadable,
        [format!("i-*: {NO_SHARD}: 1 of 2 shards have answered"), "j: query_shard_exception: why".to_owned()]
    );
}

#[tokio::test]
async fn words_about_a_document_do_not_say_what_lets_us_in() {
    let refused = json!({ "_index": "j", "_id": "a", "error": { "type": "t", "reason": "not by Bearer abcdefgh-01" } });
    let shard = json!({ "reason": { "type": "t", "reason": "not by Bearer abcdefgh-01" } });
    let half = json!({ "_shards": { "total": 2, "successful": 1, "failures": [shard] }, "hits": { "hits": [] } });
    let lookup = lookup(vec![
        ("/_mget", 200, docs(&[refused])),
        ("/i/_search?all", 200, half.clone()),
        ("/i/_search", 200, half),
    ])
    .await;
    assert_eq!(told(&lookup, &["j"]).await, ["t: not by Bearer (not shown)"]);
    let found = lookup.find(&["i".to_owned()], "a").await.expect("it answers");
    assert_eq!(found.unreadable[0].1.reason, "not by Bearer (not shown)");
}
