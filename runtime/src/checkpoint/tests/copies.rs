//! Copies, and what is seen of a store from outside.

use expect_test::expect;

use super::faulty::{Faulty, Puts};
use super::objects::Medium;
use super::*;

async fn memory() -> Store {
    Store::open("memory:///", &[]).expect("it opens")
}

#[tokio::test]
async fn a_copy_is_put_once_and_takes_the_place_of_the_lost_store() {
    let folder = Folder::new("copies");
    for copy in [memory().await, folder.store()] {
        a_copy_takes_the_place_of_the_lost_store(copy).await;
    }
}

pub(super) async fn a_copy_takes_the_place_of_the_lost_store(copy: Store) {
    let store = memory().await;
    let id = store.id(StoreId(7)).await.expect("it has one");
    let mut owner = claim(&store, 1).await;
    put_next(&store, &mut owner).await.expect("it is put");
    let original = copy.promote().await;
    assert!(matches!(original, Err(CheckpointError::NoCopy { .. })), "{original:?}");
    let object = store.object(&place(), slot(1, 1)).await.expect("it is there");
    for _ in 0..2 {
        copy.mark_copy_of(id).await.expect("it is the first");
        copy.copy_in(&place(), slot(1, 1), object.clone()).await.expect("it is copied");
    }
    let other = copy.mark_copy_of(StoreId(8)).await;
    assert!(matches!(other, Err(CheckpointError::CopyOfOther { found: StoreId(7), .. })), "{other:?}");
    let other = copy.copy_in(&place(), slot(1, 1), Bytes::from_static(b"x")).await;
    assert!(matches!(other, Err(CheckpointError::SlotTaken { .. })), "{other:?}");

    assert_eq!((copy.promote().await, copy.promote().await), (Ok(id), Ok(id)));
    assert_eq!(copy.require(id).await, Ok(()));
    let mut owner = copy.claim_far(place(), ClaimToken(2)).await.expect("it is claimed");
    assert_eq!(put_next(&copy, &mut owner).await, Ok(slot(1002, 1)));
    // Owners that only the lost store knew are fenced off, and those to come are above.
    assert_eq!(claim(&copy, 3).await.epoch(), Epoch(1003));
}

#[tokio::test]
async fn a_store_of_its_own_is_not_promoted() {
    let refused = what_decides_for_others_is_not_promoted(memory().await).await.to_string();
    expect!["the location decides for other pipelines already, location=`memory:///` store=`00000000000000000000000000000001`: it cannot take the place of store=`00000000000000000000000000000007`, whose copies it has; choose another one, or export what is needed and import it"].assert_eq(&refused);
}

pub(super) async fn what_decides_for_others_is_not_promoted(copy: Store) -> CheckpointError {
    copy.id(StoreId(1)).await.expect("it has one");
    copy.mark_copy_of(StoreId(7)).await.expect("it is the first");
    let refused = copy.promote().await.expect_err("it is another");
    assert!(matches!(refused, CheckpointError::StoreOfItsOwn { .. }), "{refused}");
    refused
}

#[tokio::test]
async fn a_copy_that_got_no_answer_and_is_there_is_done() {
    let faulty = Faulty::new();
    let copy = faulty.store(Medium::Network);
    faulty.puts(Puts::FailWhenDone);
    assert_eq!(copy.copy_in(&place(), slot(1, 1), object(slot(1, 1)).into()).await, Ok(()));
}

#[tokio::test]
async fn partitions_and_their_checkpoints_are_listed() {
    let faulty = Faulty::new();
    let store = faulty.store(Medium::Network);
    store.id(StoreId(7)).await.expect("it has one");
    let mut owner = claim(&store, 1).await;
    for _ in 0..2 {
        put_next(&store, &mut owner).await.expect("it is put");
    }
    let elsewhere =
        |pipeline: &str, number| Place { pipeline: pipeline.into(), partition: Partition::new("events", number) };
    for other in [elsewhere("clicks", 10), elsewhere("clicks2", 0)] {
        store.claim(other, ClaimToken(9)).await.expect("it is claimed");
    }
    for strange in
        ["clicks/events/03/0000000001/claim", "clicks/events/x/0000000001/claim", "clicks/events/3/1/1", "clicks/notes"]
    {
        faulty.plant(strange, Vec::new()).await;
    }
    let listed = store.partitions(&place().pipeline).await.expect("it answers");
    let shown = listed.iter().map(|(place, kept)| {
        let slots: Vec<String> = kept.iter().map(|kept| format!("{} {}", kept.slot, kept.bytes)).collect();
        format!("{place} {slots:?}\n")
    });
    expect![[r#"
        clicks/events/3 ["0000000001/0000000002 323", "0000000001/0000000001 323"]
        clicks/events/10 []
    "#]]
    .assert_eq(&shown.collect::<String>());
}

#[tokio::test]
async fn a_header_is_read_without_the_rest() {
    let faulty = Faulty::new();
    let store = faulty.store(Medium::Network);
    let read = async |object: Vec<u8>| {
        let kept = Kept { slot: slot(1, 1), bytes: object.len() as u64, modified: jiff::Timestamp::UNIX_EPOCH };
        faulty.plant(&format!("{}/{}", place(), slot(1, 1)), object).await;
        store.header(&place(), &kept).await
    };
    let small = object(slot(1, 1));
    assert_eq!(read(small.clone()).await, Ok(header(slot(1, 1))));
    // What comes after it may be damaged; it may not.
    let mut flipped = small.clone();
    *flipped.last_mut().expect("it has bytes") ^= 1;
    assert_eq!(read(flipped.clone()).await, Ok(header(slot(1, 1))));
    flipped[100] ^= 1;
    for damaged in [flipped, small[..60].to_vec(), Vec::new()] {
        let damaged = read(damaged).await;
        assert!(matches!(damaged, Err(CheckpointError::Unreadable { .. })), "{damaged:?}");
    }
    let foreign = read(object(slot(1, 2))).await;
    assert!(matches!(foreign, Err(CheckpointError::Foreign { .. })), "{foreign:?}");
    let rng = &mut fastrand::Rng::with_seed(1);
    let long = Header { position: (0..40_000).map(|_| rng.u8(..)).collect(), ..header(slot(1, 1)) };
    let object = Encoder::new(&long).finish();
    assert!(object.len() > 40_000);
    assert_eq!(read(object).await, Ok(long));
}

#[test]
fn a_checkpoint_is_moved_with_all_that_it_holds() {
    let mut encoder = Encoder::new(&header(slot(1, 1)));
    encoder.windows("counts", &schema(), |windows| windows.window(EventTime::from_micros(60), None));
    encoder.other_section(77, false, b"of a later program");
    let object = Bytes::from(encoder.finish());
    let moved = Bytes::from(Checkpoint::moved(&object, slot(1001, 1)).expect("it is whole"));
    let imported = Header { imported: true, ..header(slot(1001, 1)) };
    assert_eq!(Checkpoint::open(&moved).expect("it is whole").header(), &imported);
    assert_eq!(
        Checkpoint::moved(&Bytes::from(Checkpoint::moved(&moved, slot(1, 1)).expect("it is whole")), slot(1001, 1)),
        Ok(moved.to_vec())
    );
    assert!(matches!(Checkpoint::moved(&object.slice(1..), slot(1, 1)), Err(Unreadable::Damaged(_))));
}
