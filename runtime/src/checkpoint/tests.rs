//! Checkpoints as objects, and in stores that do what stores do.

use std::sync::Arc;

use bytes::Bytes;

use crate::record::{EventTime, Offset, Partition, StateSchema};
use crate::window::{GroupState, Hold, SessionState, Window};

use super::*;

mod faulty;
mod format;
mod damage;
mod copies;
mod fence;
mod restore;
mod self_test;
mod s3;

fn place() -> Place {
    Place { pipeline: Arc::from("clicks"), partition: Partition::new("events", 3) }
}

fn slot(epoch: u32, sequence: u32) -> SlotId {
    SlotId { epoch: Epoch(epoch), sequence: Sequence(sequence) }
}

fn header(slot: SlotId) -> Header {
    Header {
        place: place(),
        topic_id: Some(TopicId([7; 16])),
        imported: false,
        slot,
        next: Offset(1000 + i64::from(slot.sequence.0)),
        revision: 2,
        position: b"tidegate1:AAAA".to_vec(),
        components: vec![Component { name: "counts.aggregate".to_owned(), digest: "ab".repeat(32) }],
        fingerprints: vec![Fingerprint { output: "counts".to_owned(), fingerprint: u64::MAX }],
    }
}

fn schema() -> StateSchema {
    StateSchema { name: "count".to_owned(), version: 3 }
}

/// A small checkpoint with one window of two groups.
fn object(slot: SlotId) -> Vec<u8> {
    let mut encoder = Encoder::new(&header(slot));
    encoder.windows("counts", &schema(), |windows| {
        let hold = Hold { offset: Offset(17), watermark: EventTime::MIN };
        windows.window(EventTime::from_micros(60), Some(hold));
        for key in [&b"a"[..], b"b"] {
            windows.group(GroupState { key, state: &[1, 2, 3], count: 4, first: Offset(17), last: Offset(90) });
        }
    });
    encoder.finish()
}

fn opened(object: &[u8]) -> Result<Checkpoint, Unreadable> {
    Checkpoint::open(&Bytes::copy_from_slice(object))
}

/// A folder of its own for a test, gone when it has passed.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("tidegate-checkpoint-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Folder(folder)
    }

    fn store(&self) -> Store {
        let url = url::Url::from_directory_path(&self.0).expect("it is absolute");
        Store::open(url.as_str(), &[]).expect("it opens")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

async fn claim(store: &Store, token: u128) -> Owner {
    store.claim(place(), ClaimToken(token)).await.expect("it is claimed")
}

async fn put_next(store: &Store, owner: &mut Owner) -> Result<SlotId, CheckpointError> {
    let slot = owner.next_slot();
    let object = object(slot.id());
    store.put(slot, object).await
}
