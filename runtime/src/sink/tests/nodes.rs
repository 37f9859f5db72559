//! What is away, or refuses one document alone, or everything for a while, holds up nothing else.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;

#[tokio::test]
async fn a_node_that_is_away_is_passed_over() {
    let server = Faulty::start(|_| Reaction::Well).await;
    let urls = vec!["http://127.0.0.1:1".to_owned(), server.url.clone()];
    let sink = start(&ElasticsearchSettings { urls, ..settings(&server.url) });
    let told = (0..10).map(|n| submit(&sink, lane(&format!("lane{n}"), 100))).collect();
    assert_eq!(judged(told).await, []);
    let counters = sink.counters();
    assert_eq!((counters.settled, counters.retried, counters.last_error), (1000, 0, None));
}

#[tokio::test]
async fn a_document_that_is_not_taken_holds_no_others_up_and_is_spoken_of() {
    let taken = Arc::new(AtomicBool::new(false));
    let server = {
        let taken = taken.clone();
        Faulty::start(move |asked| match asked.items.iter().any(|(id, _)| id == "never-0") && !taken.load(Relaxed) {
            true => Reaction::Refuse(429, "es_rejected_execution_exception"),
            false => Reaction::Well,
        })
        .await
    };
    let sink = start(&ElasticsearchSettings { in_flight_max: 1, ..settings(&server.url) });
    let never = submit(&sink, lane("never", 1));
    while sink.counters().unavailable.is_none() {
        tokio::task::yield_now().await;
    }
    let others = (0..10).map(|n| submit(&sink, lane(&format!("lane{n}"), 100))).collect();
    assert_eq!(judged(others).await, []);
    taken.store(true, Relaxed);
    assert_eq!(judged(vec![never]).await, []);
    assert_eq!(sink.counters().unavailable, None);
}

#[tokio::test]
async fn bulks_grow_again_after_an_overload() {
    const BYTES: u64 = 64 << 10;
    let server = Faulty::start(at_first(20, || Reaction::Refuse(429, "es_rejected_execution_exception"))).await;
    let limits = ElasticsearchSettings { in_flight_max: 1, bulk_bytes_max: BYTES as usize, ..settings(&server.url) };
    let sink = start(&limits);
    let some = |name: usize| batch((0..40).map(move |n| (format!("{name}-{n}"), 1, 1_500)));
    assert_eq!(judged(vec![submit(&sink, some(0))]).await, []);
    assert!(sink.counters().bulk_bytes < BYTES);
    let mut name = 1;
    while sink.counters().bulk_bytes < BYTES {
        assert_eq!(judged(vec![submit(&sink, some(name))]).await, []);
        name += 1;
        assert!(name < 2_000, "{:?}", sink.counters());
    }
}

#[tokio::test]
async fn a_document_that_is_refused_at_last_ends_the_stall_and_says_how_often_it_was_sent() {
    let server = Faulty::start(|asked| match asked.number {
        0 | 1 => Reaction::Items(Box::new(|_| Some((429, "es_rejected_execution_exception")))),
        2 => Reaction::Refuse(401, "security_exception"),
        _ => Reaction::Refuse(413, "too_large"),
    })
    .await;
    let sink = start(&settings(&server.url));
    let refused = submit(&sink, lane("a", 1)).await.expect("judged");
    assert_eq!((refused[0].status, refused[0].attempts), (Some(413), 3));
    assert_eq!(sink.counters().unavailable, None);
}
