//! The same on a real S3-compatible store: its answers, its listings, and many that ask at once.

use super::*;

/// A bucket, as `scripts/server-tests.sh` names it; how to get in is in the environment too.
const BUCKET: &str = "TIDEGATE_TEST_S3";

/// A part of the bucket that no other run uses.
fn location(name: &str) -> String {
    let bucket = std::env::var(BUCKET).expect("scripts/server-tests.sh starts a store and names its bucket");
    format!("{bucket}/{name}-{}-{}", std::process::id(), ClaimToken::random().0)
}

fn store(name: &str) -> Store {
    Store::at(&location(name)).expect("it opens")
}

#[tokio::test]
#[ignore = "needs an S3-compatible store: scripts/server-tests.sh starts one and runs it, by make test"]
async fn s3_keeps_what_checkpoints_rest_on() {
    let store = store("self-test");
    assert_eq!(store.self_test(ClaimToken::random()).await, Ok(()));
    assert_eq!((store.id(StoreId(7)).await, store.id(StoreId(8)).await), (Ok(StoreId(7)), Ok(StoreId(7))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs an S3-compatible store: scripts/server-tests.sh starts one and runs it, by make test"]
async fn s3_gives_each_of_many_that_claim_at_once_an_epoch_of_its_own() {
    for round in 0..3 {
        let location = location(&format!("race-{round}"));
        // Each with connections of its own, as processes have them.
        let stores = (0..12).map(|_| Store::at(&location).expect("it opens")).collect();
        fence::each_has_an_epoch_and_the_last_one_counts(stores).await;
    }
}

#[test]
#[ignore = "needs an S3-compatible store: scripts/server-tests.sh starts one and runs it, by make test"]
fn s3_gives_processes_that_claim_at_once_epochs_of_their_own() {
    fence::each_process_has_epochs_of_its_own(&location("processes"));
}

#[tokio::test]
#[ignore = "needs an S3-compatible store: scripts/server-tests.sh starts one and runs it, by make test"]
async fn s3_fences_a_former_owner_off() {
    fence::a_former_owner_is_fenced_off(store("zombie")).await;
}

#[tokio::test]
#[ignore = "needs an S3-compatible store: scripts/server-tests.sh starts one and runs it, by make test"]
async fn s3_finds_the_newest_and_lets_the_old_ones_go() {
    restore::the_newest_of_three_is_found(store("newest")).await;
    let store = store("retention");
    restore::the_old_ones_of_seven_go(&store).await;
    assert_eq!(claim(&store, 3).await.epoch(), Epoch(3));
    let kept = store.list(&place()).await.expect("it answers");
    assert_eq!(store.header(&place(), &kept[0]).await, Ok(header(slot(2, 3))));
}

#[tokio::test]
#[ignore = "needs an S3-compatible store: scripts/server-tests.sh starts one and runs it, by make test"]
async fn s3_takes_copies_and_the_place_of_a_lost_store() {
    copies::a_copy_takes_the_place_of_the_lost_store(store("copies")).await;
    copies::what_decides_for_others_is_not_promoted(store("own")).await;
}

#[tokio::test]
#[ignore = "needs an S3-compatible store: scripts/server-tests.sh starts one and runs it, by make test"]
async fn s3_gives_a_large_object_back_as_it_was() {
    let store = store("large");
    let mut owner = claim(&store, 1).await;
    let slot = owner.next_slot();
    let (id, rng) = (slot.id(), &mut fastrand::Rng::with_seed(1));
    let object = Bytes::from_iter(std::iter::repeat_with(|| rng.u8(..)).take(32 << 20));
    assert_eq!(store.put(slot, object.clone()).await, Ok(id));
    assert_eq!(store.object(&place(), id).await, Ok(object));
}

#[tokio::test]
#[ignore = "needs an S3-compatible store: scripts/server-tests.sh starts one and runs it, by make test"]
async fn s3_keeps_lines_that_are_there_and_tells_what_they_lack() {
    let store = store("lines");
    for (lines, put) in [("7\n8\n", PutLines::All), ("7\n8\n", PutLines::All), ("7\n8\n9\n", PutLines::Some(4))] {
        assert_eq!(store.put_lines("shop/dead-0/7", lines.as_bytes()).await, Ok(put));
    }
}
