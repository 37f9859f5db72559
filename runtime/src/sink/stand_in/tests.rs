//! The stand-in index answers what a real one answers to the same requests.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::config::{Auth, ElasticsearchSettings};
use crate::sink::client::Client;
use crate::sink::lookup::{Looked, Lookup, Present, Wanted};
use crate::sink::probe::{IndexState, Product, Written, probe};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn settings(index: &StandInIndex) -> ElasticsearchSettings {
    ElasticsearchSettings {
        name: "elasticsearch".to_owned(),
        urls: vec![index.url()],
        auth: Auth::None,
        ca: None,
        client_certificate: None,
        bulk_bytes_max: 1 << 20,
        bulk_age_max: Duration::from_millis(10),
        in_flight_max: 2,
        gzip: false,
        indices_max: 500,
        timeout: Duration::from_secs(10),
        policy: Vec::new(),
    }
}

async fn get(index: &StandInIndex, path: &str) -> (u16, Value) {
    let reply = Client::new(&settings(index)).unwrap().get(path).await.unwrap();
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}

async fn bulk(index: &StandInIndex, body: &str) -> (u16, Value) {
    let reply = Client::new(&settings(index)).unwrap().bulk(body.to_string().into()).await.unwrap();
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}

#[tokio::test]
async fn external_versions_decide() {
    let index = StandInIndex::start(ANY).await.unwrap();
    let line = |version: u64| {
        format!(
            "{{\"index\":{{\"_index\":\"i\",\"_id\":\"a/b\",\"version\":{version},\"version_type\":\"external\"}}}}\n{{\"v\":{version}}}\n"
        )
    };
    let (status, answer) = bulk(&index, &[line(9), line(9), line(8), line(10)].concat()).await;
    assert_eq!((status, &answer["errors"]), (200, &json!(true)));
    let statuses: Vec<&Value> =
        answer["items"].as_array().unwrap().iter().map(|item| &item["index"]["status"]).collect();
    assert_eq!(statuses, [201, 409, 409, 200]);
    assert_eq!(answer["items"][1]["index"]["error"]["type"], "version_conflict_engine_exception");
    let (status, document) = get(&index, "i/_doc/a%2Fb").await;
    assert_eq!((status, &document["_version"], &document["_source"]), (200, &json!(10), &json!({"v": 10})));
    assert_eq!(get(&index, "i/_doc/c").await.0, 404);
    assert_eq!(
        index.documents("i"),
        [StoredDocument { id: "a/b".into(), version: 10, source: b"{\"v\":10}".to_vec() }]
    );
}

#[tokio::test]
async fn a_deleted_document_keeps_its_version() {
    let index = StandInIndex::start(ANY).await.unwrap();
    let target = |version: u64| {
        format!("{{\"_index\":\"i\",\"_id\":\"a\",\"version\":{version},\"version_type\":\"external\"}}")
    };
    let body = format!(
        "{{\"index\":{}}}\n{{}}\n{{\"delete\":{}}}\n{{\"index\":{}}}\n{{}}\n{{\"delete\":{{\"_index\":\"i\",\"_id\":\"b\"}}}}\n",
        target(1),
        target(5),
        target(4)
    );
    let (_, answer) = bulk(&index, &body).await;
    let status = |at: usize, op: &str| answer["items"][at][op]["status"].as_u64();
    assert_eq!(
        [status(0, "index"), status(1, "delete"), status(2, "index"), status(3, "delete")],
        [Some(201), Some(200), Some(409), Some(404)]
    );
    assert!(index.documents("i").is_empty());
}

#[tokio::test]
async fn bad_documents_are_refused_alone_and_bad_requests_as_a_whole() {
    let index = StandInIndex::start(ANY).await.unwrap();
    let (_, answer) = bulk(
        &index,
        "{\"index\":{\"_index\":\"i\",\"_id\":\"a\"}}\n{\"a\":\n{\"index\":{\"_index\":\"i\",\"_id\":\"b\"}}\n{}\n",
    )
    .await;
    assert_eq!(answer["items"][0]["index"]["error"]["type"], "document_parsing_exception");
    assert_eq!(answer["items"][1]["index"]["status"], 201);
    let long = format!("{{\"index\":{{\"_index\":\"i\",\"_id\":\"{}\"}}}}\n{{}}\n", "x".repeat(513));
    for (body, kind) in [
        (long.as_str(), "action_request_validation_exception"),
        ("\n", "action_request_validation_exception"),
        ("{\"upsert\":{\"_index\":\"i\"}}\n{}\n", "illegal_argument_exception"),
        ("{\"index\":{\"_index\":\"i\"}}\n{}", "illegal_argument_exception"),
    ] {
        let (status, answer) = bulk(&index, body).await;
        assert_eq!((status, &answer["error"]["type"]), (400, &json!(kind)));
    }
}

#[tokio::test]
async fn documents_are_counted_and_found() {
    let index = StandInIndex::start(ANY).await.unwrap();
    let body: String = (0..15)
        .map(|id| format!("{{\"index\":{{\"_index\":\"ev-{}\",\"_id\":\"{id:02}\"}}}}\n{{\"n\":{id}}}\n", id % 2))
        .collect();
    bulk(&index, &body).await;
    assert_eq!(get(&index, "ev-*/_count").await.1["count"], 15);
    assert_eq!(get(&index, "_count").await.1["count"], 15);
    assert_eq!(get(&index, "ev-0/_count").await.1["count"], 8);
    assert_eq!(get(&index, "no/_count").await, (404, get(&index, "no/_search").await.1));
    let (_, found) = get(&index, "ev-0/_search?size=2&from=1").await;
    assert_eq!(found["hits"]["total"]["value"], 8);
    let ids: Vec<&Value> = found["hits"]["hits"].as_array().unwrap().iter().map(|hit| &hit["_id"]).collect();
    assert_eq!(ids, ["02", "04"]);
    assert_eq!(index.indices(), ["ev-0", "ev-1"]);
}

#[tokio::test]
async fn a_look_at_it_finds_indices_and_templates() {
    let index = StandInIndex::start(ANY).await.unwrap();
    index.store.create("there");
    let template =
        json!({ "index_patterns": ["by-*"], "template": { "settings": { "index": { "refresh_interval": "1s" } } } });
    index.store.templates.lock().unwrap().insert("t".into(), template);
    let written = Written { created: false };
    let names = ["there", "by-*", "nowhere"].map(|name| (name.to_owned(), written)).into();
    let report = probe(&settings(&index), &names, &[]).await.unwrap();
    assert_eq!((report.product, report.version.as_deref()), (Product::Elasticsearch, Some("8.19.0")));
    let states: Vec<IndexState> = report.indices.iter().map(|index| index.state).collect();
    // In the order of their names.
    assert_eq!(states, [IndexState::Template, IndexState::Missing, IndexState::Present]);
    assert_eq!(report.warnings.len(), 3, "{:?}", report.warnings);
}

#[tokio::test]
async fn one_that_only_accepts_answers_for_every_document() {
    let index = StandInIndex::accept_only(ANY).await.unwrap();
    let (_, answer) = bulk(&index, "{\"index\":{}}\n{}\n{\"index\":{}}\n{}\n").await;
    assert_eq!(answer["items"].as_array().unwrap().len(), 2);
    assert_eq!(index.accepted(), 2);
}

/// Versions, `-` where there is no document, and why nobody knows.
fn told(looked: &[Looked]) -> Vec<String> {
    let one = |looked: &Looked| match looked {
        Looked::There(present) => present.version.to_string(),
        Looked::NotThere => "-".to_owned(),
        Looked::Unknown(why) => why.to_string(),
    };
    looked.iter().map(one).collect()
}

#[tokio::test]
async fn an_index_that_is_closed_takes_down_no_other() {
    let index = StandInIndex::start(ANY).await.unwrap();
    let line = |index: &str| format!("{{\"index\":{{\"_index\":\"{index}\",\"_id\":\"a\"}}}}\n{{}}\n");
    bulk(&index, &[line("i-1"), line("i-2")].concat()).await;
    index.close("i-2", true);
    let (_, answer) = bulk(&index, &line("i-2")).await;
    assert_eq!(answer["items"][0]["index"]["error"]["type"], "index_closed_exception");
    let lookup = Lookup::new(&settings(&index)).unwrap();
    let all = ["i-1", "i-2", "none"].map(|index| Wanted { index, id: "a", routing: None });
    let closed = "index_closed_exception: closed";
    assert_eq!(told(&lookup.get(&all, false).await.unwrap()), ["1", closed, "-"]);
    let found = lookup.find(&["i-1".into(), "i-*".into(), "none".into()], "a").await.unwrap();
    assert_eq!(found.documents.iter().map(|it| it.index.as_str()).collect::<Vec<_>>(), ["i-1"]);
    let unreadable: Vec<_> = found.unreadable.iter().map(|(name, why)| format!("{name} {why}")).collect();
    assert_eq!(unreadable, [format!("i-* {closed}")]);
    index.close("i-2", false);
    assert_eq!(told(&lookup.get(&all, false).await.unwrap()), ["1", "1", "-"]);
}

#[tokio::test]
async fn documents_are_looked_up_by_their_ids() {
    let index = StandInIndex::start(ANY).await.unwrap();
    let line = |index: &str, id: &str, version: u64| {
        format!(
            "{{\"index\":{{\"_index\":\"{index}\",\"_id\":\"{id}\",\"version\":{version},\"version_type\":\"external\"}}}}\n{{\"v\":{version}}}\n"
        )
    };
    bulk(&index, &[line("i-1", "a", 7), line("i-2", "a", 8), line("i-2", "b/c", 9)].concat()).await;
    let lookup = Lookup::new(&settings(&index)).unwrap();
    let wanted = |index, id| Wanted { index, id, routing: None };
    let all = [wanted("i-1", "a"), wanted("i-1", "b/c"), wanted("i-2", "b/c"), wanted("none", "a")];
    let found = lookup.get(&all, false).await.unwrap();
    assert!(found.iter().all(|it| !matches!(it, Looked::There(present) if present.source.is_some())));
    assert_eq!(told(&found), ["7", "-", "9", "-"]);
    let found = lookup.get(&all[..1], true).await.unwrap();
    let expected = Present { index: "i-1".into(), version: 7, source: Some(json!({ "v": 7 })) };
    assert_eq!(found, [Looked::There(expected)]);
    let found = lookup.find(&["i-*".into(), "none".into()], "a").await.unwrap();
    assert_eq!(found.documents.iter().map(|it| it.version).collect::<Vec<_>>(), [7, 8]);
    // More than one request takes.
    let ids: Vec<String> = (0..2500).map(|number| number.to_string()).collect();
    let many: Vec<Wanted<'_>> = ids.iter().map(|id| wanted("i-1", id)).collect();
    assert_eq!(lookup.get(&many, false).await.unwrap().len(), 2500);
}
