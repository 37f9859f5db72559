//! How many indices are written to.

use super::*;

#[tokio::test]
async fn a_document_for_one_index_too_many_is_refused_and_the_others_are_taken() {
    let server = Faulty::start(|_| Reaction::Well).await;
    let sink = start(&ElasticsearchSettings { indices_max: 2, ..settings(&server.url) });
    let mut documents = DocumentBatch::default();
    for (number, index) in ["a", "b", "c", "a", "d", "b"].into_iter().enumerate() {
        documents.push(&index.into(), &format!("id-{number}"), 1, |body| body.extend_from_slice(b"{}"));
    }
    let refused = |id: &str| (id.to_owned(), None, String::new());
    assert_eq!(
        judged(vec![submit(&sink, documents)]).await,
        [refused("id-2"), refused("id-4")],
        "before they are sent"
    );
    assert_eq!(server.seen.lock().unwrap().stored.len(), 4);
}
