//! What lets us in is in nothing that is said of an answer, whatever the server repeats.

use super::*;
use crate::config::Secret;

const KEY: &str = "hunter2-hunter2";

fn with_key(url: &str) -> ElasticsearchSettings {
    let auth = Auth::ApiKey(Credential::Fixed(Secret::new(KEY)));
    ElasticsearchSettings { auth, ..settings(url) }
}

#[tokio::test]
async fn a_refused_document_does_not_say_what_let_us_in() {
    let server = Faulty::start(|_| Reaction::Telling(400)).await;
    let sink = start(&with_key(&server.url));
    let refused = submit(&sink, lane("a", 2)).await.expect("judged");
    let hidden = "the index answered 400 (not shown): no (not shown) here, ApiKey (not shown)";
    for document in &refused {
        assert_eq!((document.reason.message.as_str(), document.error_type.as_str()), (hidden, "(not shown)"));
    }
    assert_eq!((refused.len(), sink.counters().last_error.as_deref()), (2, Some(hidden)));
}

#[tokio::test]
async fn a_stall_does_not_say_what_let_us_in() {
    let server = Faulty::start(|asked| if asked.number < 3 { Reaction::Telling(403) } else { Reaction::Well }).await;
    let sink = start(&with_key(&server.url));
    let told = submit(&sink, lane("a", 2));
    let why = loop {
        match sink.counters().unavailable {
            Some((_, why)) => break why,
            None => tokio::task::yield_now().await,
        }
    };
    assert!(why.contains("403") && !why.contains(KEY), "{why}");
    assert_eq!(judged(vec![told]).await, []);
}
