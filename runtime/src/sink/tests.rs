//! The sink against a server that fails in every way that servers do: all documents are judged in the end, once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::pace::Ceiling;
use super::*;
use crate::config::{Auth, Credential, PolicyRule, Refusal};
use crate::record::{Operation, RejectedDocument};

mod certificates;
mod faulty;
mod load;
mod names;
mod nodes;
mod secrets;
mod untrusted;

use faulty::{Asked, Faulty, Reaction};

pub(super) fn settings(url: &str) -> ElasticsearchSettings {
    ElasticsearchSettings {
        name: "elasticsearch".to_owned(),
        urls: vec![url.into()],
        auth: Auth::None,
        ca: None,
        client_certificate: None,
        bulk_bytes_max: 8 << 20,
        bulk_age_max: Duration::from_millis(10),
        in_flight_max: 4,
        gzip: false,
        indices_max: 500,
        timeout: Duration::from_secs(30),
        policy: Vec::new(),
    }
}

fn start(settings: &ElasticsearchSettings) -> Sink {
    let quick = Ceiling { first: Duration::from_millis(1), last: Duration::from_millis(4) };
    Sink::start_at_pace(settings, &Handle::current(), 256 << 20, Pace { retry: quick, stall: quick })
        .expect("it starts")
}

fn batch(documents: impl IntoIterator<Item = (String, u64, usize)>) -> DocumentBatch {
    let index: Arc<str> = "i".into();
    let mut batch = DocumentBatch::default();
    for (id, version, bytes) in documents {
        batch.push(&index, &id, version, |body| {
            body.extend_from_slice(format!("{{\"id\":{id:?},\"pad\":\"{}\"}}", "x".repeat(bytes)).as_bytes())
        });
    }
    batch
}

/// `lane-0`, `lane-1`, … with a body of about 100 bytes.
fn lane(name: &str, documents: usize) -> DocumentBatch {
    batch((0..documents).map(|n| (format!("{name}-{n}"), 1, 80)))
}

fn submit(sink: &Sink, documents: DocumentBatch) -> oneshot::Receiver<Vec<RejectedDocument>> {
    let (tell, told) = oneshot::channel();
    sink.submit(documents, Box::new(move |rejected| drop(tell.send(rejected))));
    told
}

/// Waits until every batch is judged; which documents were refused, with status and type.
async fn judged(told: Vec<oneshot::Receiver<Vec<RejectedDocument>>>) -> Vec<(String, Option<u16>, String)> {
    let mut refused = Vec::new();
    for told in told {
        let all =
            tokio::time::timeout(Duration::from_secs(60), told).await.expect("judged in time").expect("told once");
        refused.extend(all.into_iter().map(|document| (document.id, document.status, document.error_type)));
    }
    refused
}

/// Sends 10 batches of 100 documents to a server with that script; nothing may be refused, and all must be there.
async fn survives(script: impl FnMut(&Asked) -> Reaction + Send + 'static) -> (Faulty, Sink) {
    let server = Faulty::start(script).await;
    let mut settings = settings(&server.url);
    settings.timeout = Duration::from_millis(300);
    let sink = start(&settings);
    let told = (0..10).map(|n| submit(&sink, lane(&format!("lane{n}"), 100))).collect();
    assert_eq!(judged(told).await, []);
    assert_eq!(server.seen.lock().unwrap().stored.len(), 1000);
    let counters = sink.counters();
    assert_eq!((counters.settled + counters.superseded, counters.rejected), (1000, 0));
    assert_eq!(counters.unavailable, None);
    assert_eq!(sink.in_flight_bytes(), 0);
    assert_eq!(server.seen.lock().unwrap().twice, None);
    (server, sink)
}

/// Fails a number of times, then all is well.
fn at_first(times: usize, reaction: impl Fn() -> Reaction + Send + 'static) -> impl FnMut(&Asked) -> Reaction + Send {
    move |asked| if asked.number < times { reaction() } else { Reaction::Well }
}

#[tokio::test]
async fn documents_of_many_lanes_share_requests() {
    let (server, sink) = survives(|_| Reaction::Well).await;
    let counters = sink.counters();
    assert_eq!((counters.settled, counters.retried), (1000, 0));
    assert!(server.seen.lock().unwrap().requests <= 40, "{counters:?}");
}

#[tokio::test]
async fn an_empty_batch_is_judged_at_once() {
    let server = Faulty::start(|_| Reaction::Well).await;
    let sink = start(&settings(&server.url));
    assert_eq!(judged(vec![submit(&sink, DocumentBatch::default())]).await, []);
}

#[tokio::test]
async fn whole_requests_that_come_to_nothing_are_sent_again() {
    let (_, sink) = survives(at_first(6, || Reaction::Refuse(429, "es_rejected_execution_exception"))).await;
    assert!(sink.counters().last_error.unwrap().contains("429 es_rejected_execution_exception: as told"));
    survives(at_first(6, || Reaction::Refuse(503, ""))).await;
    survives(at_first(6, || Reaction::Reset)).await;
}

#[tokio::test]
async fn what_stalls_is_neither_lost_nor_refused() {
    for (status, kind) in [(401, "security_exception"), (403, "cluster_block_exception"), (406, ""), (400, "")] {
        survives(at_first(8, move || Reaction::Refuse(status, kind))).await;
    }
    survives(at_first(8, || Reaction::Items(Box::new(|_| Some((429, "cluster_block_exception")))))).await;
}

#[tokio::test]
async fn an_unknown_outcome_is_sent_again_and_shows_nothing_twice() {
    for reaction in [|| Reaction::Cut, || Reaction::Miscount, || Reaction::Silence] {
        let (_, sink) = survives(at_first(3, reaction)).await;
        assert!(sink.counters().superseded > 0);
    }
}

#[tokio::test]
async fn busy_items_are_sent_again_alone() {
    let (_, sink) = survives(at_first(8, || {
        let busy = |id: &str| id.ends_with('7').then_some((429, "es_rejected_execution_exception"));
        Reaction::Items(Box::new(busy))
    }))
    .await;
    let counters = sink.counters();
    assert_eq!((counters.settled, counters.superseded), (1000, 0));
    assert!(counters.retried >= 100 && counters.retried < 400, "{counters:?}");
}

#[tokio::test]
async fn busy_items_hold_no_others_back() {
    let open = Arc::new(Mutex::new(false));
    let gate = open.clone();
    let server = Faulty::start(move |_| {
        let open = *gate.lock().unwrap();
        Reaction::Items(Box::new(move |id| {
            (!open && id.starts_with("busy")).then_some((503, "unavailable_shards_exception"))
        }))
    })
    .await;
    let sink = start(&settings(&server.url));
    let busy = submit(&sink, lane("busy", 50));
    assert_eq!(judged((0..5).map(|n| submit(&sink, lane(&format!("free{n}"), 50))).collect()).await, []);
    assert!(sink.in_flight_bytes() > 0);
    // Tried often enough, it is said that they wait, and what becomes of others does not take it back.
    while sink.counters().unavailable.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(judged(vec![submit(&sink, lane("more", 50))]).await, []);
    let (_, word) = sink.counters().unavailable.expect("still");
    assert!(word.contains("unavailable_shards_exception"), "{word}");
    *open.lock().unwrap() = true;
    assert_eq!(judged(vec![busy]).await, []);
    assert_eq!((sink.in_flight_bytes(), sink.counters().unavailable), (0, None));
}

#[tokio::test]
async fn what_is_too_big_goes_in_halves_and_the_size_is_remembered() {
    let limit = 40_000;
    let server = Faulty::start(move |asked| match asked.bytes > limit {
        true => Reaction::Refuse(413, ""),
        false => Reaction::Well,
    })
    .await;
    let mut settings = settings(&server.url);
    settings.in_flight_max = 1;
    let sink = start(&settings);
    let mut documents: Vec<_> = (0..2000).map(|n| (format!("small-{n}"), 1, 80)).collect();
    documents.push(("giant".into(), 1, limit));
    let refused = judged(vec![submit(&sink, batch(documents))]).await;
    assert_eq!(refused, [("giant".into(), Some(413), String::new())]);
    assert_eq!(server.seen.lock().unwrap().stored.len(), 2000);
    assert!(sink.counters().bulk_bytes <= limit as u64);

    let before = server.seen.lock().unwrap().requests;
    assert_eq!(judged(vec![submit(&sink, lane("later", 400))]).await, []);
    let requests = server.seen.lock().unwrap().requests - before;
    assert!(requests <= 8, "{requests} requests for 80 kB");
}

#[tokio::test]
async fn a_bulk_that_the_index_can_never_take_is_found_out() {
    let server = Faulty::start(|asked| match asked.bytes > 50_000 {
        true => Reaction::Refuse(429, "es_rejected_execution_exception"),
        false => Reaction::Well,
    })
    .await;
    let sink = start(&settings(&server.url));
    assert_eq!(judged(vec![submit(&sink, lane("a", 3000))]).await, []);
    assert_eq!(server.seen.lock().unwrap().stored.len(), 3000);
}

#[tokio::test]
async fn a_big_body_whose_connection_breaks_goes_in_halves() {
    let server = Faulty::start(|asked| match asked.bytes > 1_500_000 {
        true => Reaction::Reset,
        false => Reaction::Well,
    })
    .await;
    let mut settings = settings(&server.url);
    settings.in_flight_max = 1;
    let sink = start(&settings);
    assert_eq!(judged(vec![submit(&sink, batch((0..50).map(|n| (format!("{n}"), 1, 100_000))))]).await, []);
    assert!(server.seen.lock().unwrap().largest_taken <= 1_500_000);
}

#[tokio::test]
async fn the_item_that_spoils_a_request_is_found_and_refused() {
    let server = Faulty::start(|asked| match asked.items.iter().any(|(id, _)| id.ends_with("-37")) {
        true => Reaction::Refuse(400, "action_request_validation_exception"),
        false => Reaction::Well,
    })
    .await;
    let sink = start(&settings(&server.url));
    let mut refused = judged((0..3).map(|n| submit(&sink, lane(&format!("l{n}"), 100))).collect()).await;
    refused.sort();
    let kind = "action_request_validation_exception".to_string();
    assert_eq!(refused, [0, 1, 2].map(|n| (format!("l{n}-37"), Some(400), kind.clone())));
    assert_eq!(server.seen.lock().unwrap().stored.len(), 297);
}

#[tokio::test]
async fn refused_items_come_back_with_their_document_and_the_words_of_the_index() {
    let server = Faulty::start(|_| {
        Reaction::Items(Box::new(|id| id.ends_with("-2").then_some((400, "document_parsing_exception"))))
    })
    .await;
    let sink = start(&settings(&server.url));
    let mut documents = lane("a", 3);
    documents.push(&"i".into(), &"x".repeat(513), 1, |body| body.extend_from_slice(b"{}"));
    documents.push(&"i".into(), "empty", 1, |_| {});
    let refused = submit(&sink, documents).await.unwrap();
    let shown: Vec<_> = refused.iter().map(|it| (it.row, it.status, it.reason.message.as_str())).collect();
    assert_eq!(
        shown,
        [
            (2, Some(400), "the index answered 400 document_parsing_exception: as told"),
            (3, None, "the id is too long bytes=`513`: an index takes at most 512"),
            (4, None, "the document is empty"),
        ]
    );
    assert_eq!((refused[0].index.as_str(), refused[0].id.as_str()), ("i", "a-2"));
    assert!(refused[0].body.starts_with(b"{\"id\":\"a-2\"") && refused[0].body.ends_with(b"}"));
    assert_eq!(sink.in_flight_bytes(), 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sink = start(&settings(&format!("http://{address}")));
    let told = submit(&sink, lane("a", 10));
    while sink.counters().unavailable.is_none() {
        tokio::task::yield_now().await;
    }
    assert!(sink.counters().last_error.unwrap().contains("onnection refused"));
    let server = Faulty::start_on(TcpListener::bind(address).await.unwrap(), |_| Reaction::Well);
    assert_eq!(judged(vec![told]).await, []);
    assert_eq!(sink.counters().unavailable, None);
    assert_eq!(server.seen.lock().unwrap().stored.len(), 10);
}

#[tokio::test]
async fn what_is_collected_goes_out_when_it_is_flushed() {
    let server = Faulty::start(|_| Reaction::Well).await;
    let mut settings = settings(&server.url);
    settings.bulk_age_max = Duration::from_secs(3600);
    let sink = start(&settings);
    let told = submit(&sink, lane("a", 10));
    sink.flush();
    assert_eq!(judged(vec![told]).await, []);
}

#[tokio::test]
async fn a_dropped_sink_judges_nothing_more() {
    let server = Faulty::start(|_| Reaction::Silence).await;
    let sink = start(&settings(&server.url));
    let told = submit(&sink, lane("a", 10));
    drop(sink);
    assert!(told.await.is_err());
}

#[tokio::test]
async fn a_rule_of_the_policy_takes_the_place_of_the_table() {
    let mut tried = 0;
    let server = Faulty::start(move |asked| {
        tried += u32::from(asked.items.iter().any(|(id, _)| id == "a-2"));
        // Somebody mends the mapping after that.
        let is_strict = tried <= 3;
        Reaction::Items(Box::new(move |id| match id {
            "a-2" if is_strict => Some((400, "strict_dynamic_mapping_exception")),
            "a-3" => Some((400, "index_closed_exception")),
            "a-4" => Some((400, "document_parsing_exception")),
            _ => None,
        }))
    })
    .await;
    let rule = |error_type: &str, then| PolicyRule { status: None, error_type: Some(error_type.into()), then };
    let mut settings = settings(&server.url);
    settings.policy =
        vec![rule("strict_dynamic_mapping_exception", Refusal::Stall), rule("index_closed_exception", Refusal::Drop)];
    let sink = start(&settings);
    let refused = judged(vec![submit(&sink, lane("a", 10))]).await;
    // What a rule drops is told too, for those who write it down.
    let told = |id: &str, error_type: &str| (id.to_owned(), Some(400), error_type.to_owned());
    assert_eq!(refused, [told("a-3", "index_closed_exception"), told("a-4", "document_parsing_exception")]);
    let counters = sink.counters();
    assert_eq!((counters.settled, counters.dropped, counters.rejected), (8, 1, 1));
    assert_eq!((sink.in_flight_bytes(), counters.unavailable), (0, None));
    assert!(server.seen.lock().unwrap().stored.contains_key("a-2"));
}

#[tokio::test]
async fn a_secret_that_is_rotated_is_taken_while_it_runs() {
    let folder = std::env::temp_dir().join(format!("tidegate-rotated-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("key");
    std::fs::write(&file, "old\n").unwrap();
    let server = Faulty::start(|asked| match asked.authorization.as_str() {
        "ApiKey bmV3" => Reaction::Well,
        _ => Reaction::Refuse(401, "security_exception"),
    })
    .await;
    let mut settings = settings(&server.url);
    settings.auth = Auth::ApiKey(Credential::File(file.clone()));
    let sink = start(&settings);
    let told = submit(&sink, lane("a", 10));
    while sink.counters().unavailable.is_none() {
        tokio::task::yield_now().await;
    }
    std::fs::write(&file, "bmV3").unwrap();
    assert_eq!(judged(vec![told]).await, []);
    assert_eq!(sink.counters().unavailable, None);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn requests_are_compressed_where_that_is_wanted() {
    let server = Faulty::start(|asked| {
        assert!(asked.is_gzip);
        Reaction::Well
    })
    .await;
    let mut settings = settings(&server.url);
    settings.gzip = true;
    let sink = start(&settings);
    assert_eq!(judged(vec![submit(&sink, lane("a", 100))]).await, []);
    assert_eq!(server.seen.lock().unwrap().stored.len(), 100);
}
