//! What is found again, and what is passed over on the way.

use expect_test::{Expect, expect};

use super::faulty::Faulty;
use super::objects::Medium;
use super::*;

/// A store with three checkpoints, of which the newest is `slot(2, 1)`.
async fn three() -> (Arc<Faulty>, Store) {
    let faulty = Faulty::new();
    let store = faulty.store(Medium::Network);
    put_three(&store).await;
    (faulty, store)
}

async fn put_three(store: &Store) {
    let mut owner = claim(store, 1).await;
    for _ in 0..2 {
        put_next(store, &mut owner).await.expect("it is put");
    }
    let mut owner = claim(store, 2).await;
    put_next(store, &mut owner).await.expect("it is put");
}

fn name(slot: SlotId) -> String {
    format!("{}/{slot}", place())
}

async fn check(store: &Store, expected: Expect) {
    let shown = match store.to_restore(&place(), &Wanted::default()).await {
        Ok(None) => "none".to_owned(),
        Ok(Some(Found { checkpoint, damaged })) => {
            let damaged: Vec<String> = damaged.iter().map(|one| format!("{}: {}", one.slot, one.what)).collect();
            format!("{} {damaged:?}", checkpoint.header().slot)
        }
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&shown);
}

#[tokio::test]
async fn the_newest_is_found() {
    the_newest_of_three_is_found(Faulty::new().store(Medium::Network)).await;
}

pub(super) async fn the_newest_of_three_is_found(store: Store) {
    check(&store, expect!["none"]).await;
    put_three(&store).await;
    check(&store, expect!["0000000002/0000000001 []"]).await;
    let slots: Vec<SlotId> = store.list(&place()).await.expect("it answers").iter().map(|kept| kept.slot).collect();
    assert_eq!(slots, [slot(2, 1), slot(1, 2), slot(1, 1)]);
    let contents = store.verify(&place(), slot(1, 2)).await;
    assert_eq!(contents, Ok(Contents { outputs: 1, windows: 1, groups: 2 }));
    let missing = store.verify(&place(), slot(9, 9)).await;
    assert!(matches!(missing, Err(CheckpointError::Missing { .. })), "{missing:?}");
}

/// `object` puts the next offset at 1000 and its sequence.
#[tokio::test]
async fn the_position_decides_whether_one_is_wanted() {
    let (faulty, store) = three().await;
    let id = store.id(StoreId(5)).await.expect("it answers");
    let named = |epoch, sequence| Some(CheckpointId { store: id, slot: slot(epoch, sequence) });
    let at = |position| Wanted { position: Some(Offset(position)), ..Wanted::default() };
    let found = async |wanted| match store.to_restore(&place(), &wanted).await {
        Ok(found) => Ok(found.map(|found| found.checkpoint.header().slot)),
        Err(error) => Err(error.to_string()),
    };
    let newest = Ok(Some(slot(2, 1)));
    assert_eq!(found(Wanted::default()).await, newest, "there is no position");
    assert_eq!(found(at(1000)).await, Ok(None), "the position needs none, and does not know of them");
    assert_eq!(found(Wanted { named: named(2, 1), ..at(1001) }).await, newest);
    let committed = Wanted { named: named(1, 2), ..at(2000) };
    assert_eq!(found(committed).await, Ok(Some(slot(1, 2))), "the newer one was not committed");
    assert_eq!(found(Wanted { revision: 3, ..at(0) }).await, Ok(None), "they are of before a rewind");
    let topic = Wanted { topic_id: Some(TopicId([8; 16])), ..at(1001) };
    assert!(found(topic).await.expect_err("another topic").contains("was deleted and made anew"));
    let stranger = CheckpointId { store: StoreId(6), slot: slot(2, 1) };
    let other = Wanted { named: Some(stranger), ..at(1001) };
    assert!(found(other).await.expect_err("another store").contains("this is another store"));
    for gone in [slot(2, 1), slot(1, 2), slot(1, 1)] {
        faulty.plant(&name(gone), Vec::new()).await;
    }
    assert_eq!(found(at(1001)).await, Ok(None), "damaged ones are not needed");
    assert!(found(Wanted { named: named(3, 1), ..at(1001) }).await.expect_err("needed").contains(
        "0000000003/0000000001, which the position was committed with, is not there; 0000000002/0000000001: it is cut short"
    ));
}

#[tokio::test]
async fn one_that_was_imported_is_taken_though_no_position_names_it() {
    let (faulty, store) = three().await;
    let imported = Checkpoint::moved(&object(slot(1, 1)).into(), slot(2, 2)).expect("it is whole");
    faulty.plant(&name(slot(2, 2)), imported).await;
    for (position, expected) in [(1000, Some(slot(2, 2))), (1001, None)] {
        let wanted = Wanted { position: Some(Offset(position)), ..Wanted::default() };
        let found = store.to_restore(&place(), &wanted).await.expect("it answers");
        assert_eq!(found.map(|found| found.checkpoint.header().slot), expected, "the next offset is 1001");
    }
}

#[tokio::test]
async fn where_there_never_was_one_there_is_none() {
    let folder = Folder::new("none");
    for store in [Store::open("memory:///", &[]).expect("it opens"), folder.store()] {
        check(&store, expect!["none"]).await;
        claim(&store, 1).await;
        check(&store, expect!["none"]).await;
    }
}

#[tokio::test]
async fn damage_is_passed_over_and_told() {
    let (faulty, store) = three().await;
    let mut flipped = object(slot(2, 1));
    flipped[100] ^= 1;
    faulty.plant(&name(slot(2, 1)), flipped).await;
    check(
        &store,
        expect![[r#"0000000001/0000000002 ["0000000002/0000000001: its 323 bytes are not those that were written"]"#]],
    )
    .await;
    faulty.plant(&name(slot(2, 1)), object(slot(2, 1))[..50].to_vec()).await;
    check(
        &store,
        expect![[r#"0000000001/0000000002 ["0000000002/0000000001: its 50 bytes are not those that were written"]"#]],
    )
    .await;
    faulty.vanish(&name(slot(1, 2)));
    check(&store, expect![[r#"0000000001/0000000001 ["0000000002/0000000001: its 50 bytes are not those that were written", "0000000001/0000000002: it vanished while it was looked for"]"#]]).await;
    faulty.plant(&name(slot(1, 1)), Vec::new()).await;
    check(&store, expect!["no checkpoint of the partition can be read, partition=`events-3`: 0000000002/0000000001: its 50 bytes are not those that were written; 0000000001/0000000002: it vanished while it was looked for; 0000000001/0000000001: it is cut short, it has 0 bytes; restore the store from a copy, or choose deliberately to begin without"]).await;
}

#[tokio::test]
async fn what_is_whole_and_not_understood_is_not_passed_over() {
    let (faulty, store) = three().await;
    let mut encoder = Encoder::new(&header(slot(2, 1)));
    encoder.other_section(9, true, &[]);
    faulty.plant(&name(slot(2, 1)), encoder.finish()).await;
    check(&store, expect!["the object=`clicks/events/3/0000000002/0000000001` cannot be read: it holds a section of kind=9, which must be understood and is not known here; use the program that wrote it"]).await;
    faulty.plant(&name(slot(2, 1)), object(slot(1, 1))).await;
    check(&store, expect!["the object=`clicks/events/3/0000000002/0000000001` is a checkpoint of something else, found=`clicks/events/3/0000000001/0000000001`; was the store copied or renamed by hand? put it back where it was, or choose another location"]).await;
    let mut other = header(slot(2, 1));
    other.place.pipeline = Arc::from("orders");
    faulty.plant(&name(slot(2, 1)), Encoder::new(&other).finish()).await;
    check(&store, expect!["the object=`clicks/events/3/0000000002/0000000001` is a checkpoint of something else, found=`orders/events/3/0000000002/0000000001`; was the store copied or renamed by hand? put it back where it was, or choose another location"]).await;
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_no_damage() {
    let (faulty, store) = three().await;
    faulty.answer_no_reads();
    check(&store, expect!["the object store does not answer as it should, location=`memory:///` object=`clicks/events/3/0000000002/0000000001`: Generic Faulty error: 503"]).await;
}

#[tokio::test]
async fn old_checkpoints_go_and_claims_stay() {
    let folder = Folder::new("retention");
    let store = folder.store();
    the_old_ones_of_seven_go(&store).await;
    let names = |epoch: u32| {
        let folder = folder.0.join(format!("clicks/events/3/{epoch:010}"));
        let names = std::fs::read_dir(folder).expect("it is there");
        let mut names: Vec<_> = names.map(|entry| entry.expect("it is read").file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(2), ["0000000001", "0000000002", "0000000003", "claim"]);
    assert!(names(1).contains(&"claim".into()));
    assert_eq!(claim(&store, 3).await.epoch(), Epoch(3));
}

pub(super) async fn the_old_ones_of_seven_go(store: &Store) {
    let mut owner = claim(store, 1).await;
    for _ in 0..4 {
        put_next(store, &mut owner).await.expect("it is put");
    }
    let mut owner = claim(store, 2).await;
    for _ in 0..3 {
        put_next(store, &mut owner).await.expect("it is put");
    }
    // The four may have been put at an hour's end, and one of them is then the hour's.
    assert_eq!(store.delete_old(&place(), slot(1, 2)).await, Ok(vec![]), "the rest is newer than the position");
    let old = store.delete_old(&place(), slot(2, 3)).await.expect("they go");
    assert!(old.contains(&slot(1, 1)) && old.len() >= 3, "{old:?}");
    assert_eq!(store.delete_old(&place(), slot(2, 3)).await, Ok(vec![]));
}

/// A process that was killed while it wrote leaves a file that has not got its name yet.
#[tokio::test]
async fn what_was_not_written_to_its_end_is_not_there() {
    let folder = Folder::new("unfinished");
    let store = folder.store();
    let mut owner = claim(&store, 1).await;
    put_next(&store, &mut owner).await.expect("it is put");
    let epochs = folder.0.join("clicks/events/3");
    std::fs::write(epochs.join("0000000001/0000000002#1"), b"half").expect("it is written");
    std::fs::create_dir(epochs.join("0000000002")).expect("it is made");
    std::fs::write(epochs.join("0000000002/claim#1"), b"half").expect("it is written");
    check(&store, expect!["0000000001/0000000001 []"]).await;
    assert_eq!(put_next(&store, &mut owner).await, Ok(slot(1, 2)));
    assert_eq!(claim(&store, 2).await.epoch(), Epoch(2));
}
