//! A store that cannot hold what checkpoints need is found out before one rests on it.

use std::io::ErrorKind;

use expect_test::{Expect, expect};

use super::faulty::{Faulty, Puts};
use super::objects::Medium;
use super::*;

#[tokio::test]
async fn a_good_store_passes_and_nothing_stays() {
    let folder = Folder::new("self-test");
    let store = folder.store();
    assert_eq!(store.self_test(ClaimToken(1)).await, Ok(()));
    assert_eq!(store.self_test(ClaimToken(1)).await, Ok(()));
    let faulty = Faulty::new();
    assert_eq!(faulty.store(Medium::Network).self_test(ClaimToken(1)).await, Ok(()));
    assert_eq!(faulty.names().await, Vec::<String>::new());
}

async fn check(puts: Puts, expected: Expect) {
    let faulty = Faulty::new();
    faulty.puts(puts);
    let network = faulty.store(Medium::Network).self_test(ClaimToken(1)).await.expect_err("it is found out");
    expected.assert_eq(&network.to_string());
    assert_eq!(faulty.store(Medium::Disk).self_test(ClaimToken(1)).await, Err(network));
    assert_eq!(faulty.names().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_replaces_what_is_there_is_found_out() {
    check(Puts::Replace, expect!["the store does not keep two processes from writing one object, location=`memory:///`: it puts an object where there is one; choose a store that puts an object only where there is none (`If-None-Match: *`) and shows it at once"]).await;
    check(Puts::Answer(501), expect!["the store does not keep two processes from writing one object, location=`memory:///`: Generic Faulty error: Server returned non-2xx status code: 501 Nothing; choose a store that puts an object only where there is none (`If-None-Match: *`) and shows it at once"]).await;
    check(Puts::KnowNoConditions, expect!["the store does not keep two processes from writing one object, location=`memory:///`: Operation `If-None-Match` not yet implemented by Faulty.; choose a store that puts an object only where there is none (`If-None-Match: *`) and shows it at once"]).await;
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_found_out() {
    check(Puts::Refuse(ErrorKind::ReadOnlyFilesystem), expect!["the object store does not let us write or read, location=`memory:///` object=`@self-test/00000000000000000000000000000001`: Generic Faulty error: read-only filesystem or storage medium; give this process the rights to read, write, list and delete there"]).await;
    check(Puts::Deny, expect!["the object store does not let us write or read, location=`memory:///` object=`@self-test/00000000000000000000000000000001`: The operation lacked the necessary privileges to complete for path @self-test/00000000000000000000000000000001: 403; give this process the rights to read, write, list and delete there"]).await;
    check(Puts::Refuse(ErrorKind::StorageFull), expect!["the object store is full, location=`memory:///` object=`@self-test/00000000000000000000000000000001`: Generic Faulty error: no storage space; make room"]).await;
    check(Puts::Refuse(ErrorKind::QuotaExceeded), expect!["the object store is full, location=`memory:///` object=`@self-test/00000000000000000000000000000001`: Generic Faulty error: quota exceeded; make room"]).await;
    check(Puts::Answer(507), expect!["the object store is full, location=`memory:///` object=`@self-test/00000000000000000000000000000001`: Generic Faulty error: Server returned non-2xx status code: 507 Nothing; make room"]).await;
    check(Puts::Answer(500), expect!["the object store does not answer as it should, location=`memory:///` object=`@self-test/00000000000000000000000000000001`: Generic Faulty error: Server returned non-2xx status code: 500 Nothing"]).await;
    check(Puts::FailAndComeLater, expect!["the object store does not answer as it should, location=`memory:///` object=`@self-test/00000000000000000000000000000001`: Generic Faulty error: no answer in time"]).await;
}

#[tokio::test]
async fn a_store_that_does_not_show_what_was_put_is_found_out() {
    let faulty = Faulty::new();
    faulty.list_nothing();
    let error = faulty.store(Medium::Network).self_test(ClaimToken(1)).await.expect_err("it is found out");
    expect!["the store does not keep two processes from writing one object, location=`memory:///`: it does not list an object that it has put; choose a store that puts an object only where there is none (`If-None-Match: *`) and shows it at once"].assert_eq(&error.to_string());
}

/// Where a folder should be there is a file.
#[tokio::test]
async fn a_folder_that_is_none_is_found_out() {
    let folder = Folder::new("file");
    std::fs::write(&folder.0, b"").expect("it is written");
    let error = folder.store().self_test(ClaimToken(1)).await.expect_err("it is found out");
    assert!(matches!(error, CheckpointError::Unavailable { .. }), "{error}");
    std::fs::remove_file(&folder.0).expect("it is there");
}
