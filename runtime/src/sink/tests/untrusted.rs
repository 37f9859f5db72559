//! Answers that are not of the node that was asked, or longer than any that is right: nothing counts that they say.

use super::*;

#[tokio::test]
async fn what_another_server_answers_does_not_count() {
    let other = Faulty::start(|_| Reaction::Well).await;
    let there = format!("{}/{}&timeout=1s", other.url, answer::BULK_PATH);
    let server = Faulty::start(move |asked| match asked.number {
        0 => Reaction::Redirect(there.clone()),
        _ => Reaction::Well,
    })
    .await;
    let sink = start(&settings(&server.url));
    assert_eq!(submit(&sink, lane("a", 3)).await.expect("judged"), []);
    let said = sink.counters().last_error.expect("the first answer was none");
    assert!(said.contains(&other.url) && said.contains("redirect"), "{said}");
    assert_eq!(server.seen.lock().unwrap().stored.len(), 3, "they were sent again, to the node");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let server =
        Faulty::start(|asked| if asked.number == 0 { Reaction::Announce(1 << 32) } else { Reaction::Well }).await;
    let sink = start(&settings(&server.url));
    assert_eq!(submit(&sink, lane("a", 3)).await.expect("judged, before the time for an answer is over"), []);
    let said = sink.counters().last_error.expect("the first answer was none");
    assert!(said.contains("4294967296 bytes"), "{said}");
}
