//! Of several owners the last one counts, whatever becomes of requests and answers.

use std::process::{Command, Stdio};

use expect_test::expect;
use object_store::ObjectStoreExt as _;

use super::faulty::{Faulty, Puts};
use super::objects::Medium;
use super::*;

/// Where a process that a test started finds the store.
const FOLDER: &str = "TIDEGATE_TEST_CLAIMS_IN";
const CLAIMS_OF_A_PROCESS: u32 = 20;

/// All claim at once and put; what each was told.
async fn race(stores: Vec<Store>) -> Vec<(Epoch, Result<SlotId, CheckpointError>)> {
    let owners = (0..).zip(stores).map(|(token, store)| {
        tokio::spawn(async move {
            let mut owner = claim(&store, token).await;
            (owner.epoch(), put_next(&store, &mut owner).await)
        })
    });
    let mut told = Vec::new();
    for owner in owners.collect::<Vec<_>>() {
        told.push(owner.await.expect("it ends"));
    }
    told.sort_by_key(|(epoch, _)| *epoch);
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_claim_at_once_each_has_an_epoch_of_its_own_and_the_last_one_counts() {
    for round in 0..20 {
        let folder = Folder::new(&format!("race-{round}"));
        let memory = vec![Store::open("memory:///", &[]).expect("it opens"); 24];
        let disk = (0..24).map(|_| folder.store()).collect();
        for stores in [memory, disk] {
            each_has_an_epoch_and_the_last_one_counts(stores).await;
        }
    }
}

pub(super) async fn each_has_an_epoch_and_the_last_one_counts(stores: Vec<Store>) {
    let (store, last) = (stores[0].clone(), u32::try_from(stores.len()).expect("few"));
    let mut told = race(stores).await;
    assert!(told.iter().map(|(epoch, _)| epoch.0).eq(1..=last), "{told:?}");
    assert_eq!(told.pop(), Some((Epoch(last), Ok(slot(last, 1)))));
    for (epoch, told) in told {
        let is_owner = told == Ok(SlotId { epoch, sequence: Sequence(1) });
        assert!(is_owner || matches!(told, Err(CheckpointError::Fenced { .. })), "{told:?}");
    }
    let newest = store.to_restore(&place(), &Wanted::default()).await.expect("it answers").expect("there is one");
    assert_eq!(newest.checkpoint.header().slot, slot(last, 1));
}

#[test]
#[ignore = "a process of processes_that_claim_at_once_have_epochs_of_their_own, which starts and so runs it"]
fn claims_of_another_process() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = Store::at(&folder).expect("it opens");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
    for number in 0..CLAIMS_OF_A_PROCESS {
        let token = u128::from(std::process::id()) << 32 | u128::from(number);
        println!("epoch={}", runtime.block_on(claim(&store, token)).epoch().0);
    }
}

#[test]
fn processes_that_claim_at_once_have_epochs_of_their_own() {
    let folder = Folder::new("processes");
    each_process_has_epochs_of_its_own(folder.store().location());
}

pub(super) fn each_process_has_epochs_of_its_own(location: &str) {
    let program = std::env::current_exe().expect("it is known");
    let name = "checkpoint::tests::fence::claims_of_another_process";
    let start = |_| {
        let mut command = Command::new(&program);
        command.args([name, "--exact", "--ignored", "--nocapture"]).env(FOLDER, location);
        command.stdout(Stdio::piped()).spawn().expect("it starts")
    };
    let processes: Vec<_> = (0..3).map(start).collect();
    let mut epochs: Vec<u32> = Vec::new();
    for process in processes {
        let output = process.wait_with_output().expect("it ends");
        let text = String::from_utf8(output.stdout).expect("it is text");
        epochs.extend(text.split("epoch=").skip(1).map(|rest| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse::<u32>().expect("it is a number")
        }));
    }
    epochs.sort_unstable();
    assert!(epochs.iter().copied().eq(1..=3 * CLAIMS_OF_A_PROCESS), "{epochs:?}");
}

#[tokio::test]
async fn a_former_owner_is_told_that_it_is_none() {
    let folder = Folder::new("zombie");
    for store in [Store::open("memory:///", &[]).expect("it opens"), folder.store()] {
        a_former_owner_is_fenced_off(store).await;
    }
}

pub(super) async fn a_former_owner_is_fenced_off(store: Store) {
    let mut first = claim(&store, 1).await;
    assert_eq!(put_next(&store, &mut first).await, Ok(slot(1, 1)));
    let mut second = claim(&store, 2).await;
    let fenced = put_next(&store, &mut first).await.expect_err("fenced");
    let (partition, epoch, later) = (place().partition, Epoch(1), Epoch(2));
    assert_eq!(fenced, CheckpointError::Fenced { partition, epoch, later });
    assert_eq!(put_next(&store, &mut second).await, Ok(slot(2, 1)));
    // What the former owner left is older than all that the present one puts.
    let found = store.to_restore(&place(), &Wanted::default()).await.expect("it answers").expect("there is one");
    assert_eq!((found.checkpoint.header().slot, found.damaged), (slot(2, 1), vec![]));
}

#[tokio::test]
async fn a_put_that_was_done_and_reported_as_failed_is_done() {
    let faulty = Faulty::new();
    let store = faulty.store(Medium::Network);
    faulty.puts(Puts::FailWhenDone);
    let mut owner = claim(&store, 1).await;
    assert_eq!((owner.epoch(), put_next(&store, &mut owner).await), (Epoch(1), Ok(slot(1, 1))));
    let id = store.id(StoreId(5)).await;
    assert_eq!((id, store.id(StoreId(6)).await), (Ok(StoreId(5)), Ok(StoreId(5))));
    // What was done for another is not ours.
    assert_eq!(claim(&store, 2).await.epoch(), Epoch(2));
    let fenced = put_next(&store, &mut owner).await;
    assert!(matches!(fenced, Err(CheckpointError::Fenced { later: Epoch(2), .. })), "{fenced:?}");
}

#[tokio::test]
async fn on_a_disk_what_failed_is_not_durable_though_it_is_there() {
    let faulty = Faulty::new();
    let store = faulty.store(Medium::Disk);
    let mut owner = claim(&store, 1).await;
    faulty.puts(Puts::FailWhenDone);
    let failed = put_next(&store, &mut owner).await;
    assert!(matches!(failed, Err(CheckpointError::Unavailable { .. })), "{failed:?}");
    faulty.puts(Puts::Work);
    assert_eq!(put_next(&store, &mut owner).await, Ok(slot(1, 2)));
}

#[tokio::test]
async fn a_put_that_comes_long_after_it_was_given_up_is_older_than_what_has_been_put_since() {
    let faulty = Faulty::new();
    let store = faulty.store(Medium::Network);
    let mut owner = claim(&store, 1).await;
    faulty.puts(Puts::FailAndComeLater);
    let failed = put_next(&store, &mut owner).await.expect_err("it is not there").to_string();
    expect!["the object store does not answer as it should, location=`memory:///` object=`clicks/events/3/0000000001/0000000001`: Generic Faulty error: no answer in time"].assert_eq(&failed);
    faulty.puts(Puts::Work);
    assert_eq!(put_next(&store, &mut owner).await, Ok(slot(1, 2)));
    assert_eq!(faulty.deliver().await, 1);
    let newest = async || {
        store.to_restore(&place(), &Wanted::default()).await.expect("it answers").expect("there is one").checkpoint
    };
    assert_eq!(newest().await.header().slot, slot(1, 2));

    // The same with a later owner in between.
    faulty.puts(Puts::FailAndComeLater);
    assert!(put_next(&store, &mut owner).await.is_err());
    faulty.puts(Puts::Work);
    let mut second = claim(&store, 2).await;
    assert_eq!(put_next(&store, &mut second).await, Ok(slot(2, 1)));
    assert_eq!(faulty.deliver().await, 1);
    assert_eq!(newest().await.header().slot, slot(2, 1));
}

#[tokio::test]
async fn a_claim_that_comes_late_takes_nothing_from_who_has_it() {
    let faulty = Faulty::new();
    let store = faulty.store(Medium::Network);
    faulty.puts(Puts::FailAndComeLater);
    assert!(store.claim(place(), ClaimToken(1)).await.is_err());
    faulty.puts(Puts::Work);
    let mut owner = claim(&store, 2).await;
    assert_eq!((faulty.deliver().await, owner.epoch()), (0, Epoch(1)));
    assert_eq!(put_next(&store, &mut owner).await, Ok(slot(1, 1)));
}

#[tokio::test]
async fn a_slot_that_holds_something_else_is_no_success() {
    let faulty = Faulty::new();
    let store = faulty.store(Medium::Network);
    let mut owner = claim(&store, 1).await;
    faulty.plant("clicks/events/3/0000000001/0000000001", object(slot(1, 9))).await;
    let taken = put_next(&store, &mut owner).await.expect_err("it is taken").to_string();
    expect!["the slot of a checkpoint holds something else, object=`clicks/events/3/0000000001/0000000001`: two processes write with one claim; does another program write into the store, or was it copied while in use?"].assert_eq(&taken);
}

#[tokio::test]
async fn an_epoch_whose_claim_somebody_deleted_is_not_given_again() {
    let faulty = Faulty::new();
    let store = faulty.store(Medium::Network);
    let (mut first, mut second) = (claim(&store, 1).await, claim(&store, 2).await);
    assert_eq!(put_next(&store, &mut second).await, Ok(slot(2, 1)));
    faulty.inner.delete(&"clicks/events/3/0000000002/claim".into()).await.expect("it is there");
    let fenced = put_next(&store, &mut first).await;
    assert!(matches!(fenced, Err(CheckpointError::Fenced { later: Epoch(2), .. })), "{fenced:?}");
    assert_eq!(claim(&store, 3).await.epoch(), Epoch(3));
}

#[tokio::test]
async fn names_that_nobody_here_gives_are_passed_over() {
    let faulty = Faulty::new();
    let store = faulty.store(Medium::Network);
    let mut owner = claim(&store, 1).await;
    for name in ["notes.txt", "0000000009/notes.txt", "zzz/0000000001", "0000000009/0000000001/more"] {
        faulty.plant(&format!("clicks/events/3/{name}"), Vec::new()).await;
    }
    faulty.plant("clicks/events/33/0000000005/claim", Vec::new()).await;
    assert_eq!(put_next(&store, &mut owner).await, Ok(slot(1, 1)));
    assert_eq!(store.list(&place()).await.expect("it answers").len(), 1);
    assert_eq!(claim(&store, 2).await.epoch(), Epoch(2));
    faulty.plant("clicks/events/3/4294967295/claim", Vec::new()).await;
    let none = store.claim(place(), ClaimToken(3)).await;
    assert!(matches!(none, Err(CheckpointError::NoEpochLeft { epoch: Epoch(u32::MAX), .. })), "{none:?}");
}

#[tokio::test]
async fn a_store_is_told_from_another() {
    let faulty = Faulty::new();
    let store = faulty.store(Medium::Network);
    let none = store.require(StoreId(1)).await.expect_err("it has no id").to_string();
    expect!["this is another store than the one that the position was committed with, location=`memory:///` expected=`00000000000000000000000000000001` found=`none`; name the former location, or choose deliberately to begin with this one"].assert_eq(&none);
    let first = store.id(StoreId(1)).await;
    assert_eq!((first, store.id(StoreId(2)).await), (Ok(StoreId(1)), Ok(StoreId(1))));
    assert_eq!(store.require(StoreId(1)).await, Ok(()));
    assert!(matches!(store.require(StoreId(2)).await, Err(CheckpointError::OtherStore { .. })));
    faulty.plant("@store", b"1\n".to_vec()).await;
    let damaged = store.id(StoreId(1)).await.expect_err("it is no id").to_string();
    expect!["the object=`@store` cannot be read: it is damaged: an id is 32 hexadecimal digits and a line's end, here are 2 bytes"].assert_eq(&damaged);
}
