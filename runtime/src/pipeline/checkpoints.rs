//! Checkpoints of the lanes of this process: partitions are claimed and their checkpoints looked for before a lane begins, and made
//! while it runs. What waits for a store waits on the threads for requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::PipelineError;
use super::slot::Slot;
use crate::checkpoint::{
    CheckpointError, CheckpointId, ClaimToken, Found, Owner, Place, Slot as StoreSlot, SlotId, Store, StoreId, Wanted,
};
use crate::config::{CheckpointSettings, Copies};
use crate::lane::Frozen;
use crate::record::{ErrorKind, HasKind, Partition};

/// A store that does not answer when a lane begins is asked again after this, and then after twice as long.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);

/// What a lane begins with.
pub(crate) struct Begun {
    pub owner: Owner,
    /// None where the position is all that is needed.
    pub found: Option<Found>,
}

/// How many checkpoints there were, since the pipeline began.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct CheckpointCounts {
    pub kept: u64,
    pub failed: u64,
    /// Of those that were kept.
    pub bytes: u64,
    pub micros: u64,
}

/// A location with copies.
struct Copy {
    store: Store,
    /// It says whose copies it has.
    marked: OnceCell<()>,
}

/// The stores of a pipeline.
pub(crate) struct Checkpoints {
    pipeline: Arc<str>,
    every: Duration,
    /// It decides.
    store: Store,
    id: StoreId,
    copies: Vec<Copy>,
    when: Copies,
    requests: Handle,
    kept: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    micros: AtomicU64,
}

impl Checkpoints {
    /// Opens the stores, and tries whether the first keeps its promises.
    pub fn start(pipeline: &str, settings: &CheckpointSettings, requests: &Handle) -> Result<Arc<Self>, PipelineError> {
        let open = |location: &String| Store::at(location).map_err(Box::new);
        let mut stores = settings.locations.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let store = stores.remove(0);
        let id = requests.block_on(async {
            store.self_test(ClaimToken::random()).await?;
            store.id(StoreId::random()).await
        });
        let id = id.map_err(Box::new)?;
        tracing::info!(location = store.location(), copies = stores.len(), "checkpoints are kept");
        Ok(Arc::new(Checkpoints {
            pipeline: pipeline.into(),
            every: settings.every,
            store,
            id,
            copies: stores.into_iter().map(|store| Copy { store, marked: OnceCell::new() }).collect(),
            when: settings.copies,
            requests: requests.clone(),
            kept: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            micros: AtomicU64::new(0),
        }))
    }

    pub fn every(&self) -> Duration {
        self.every
    }

    pub fn id(&self) -> StoreId {
        self.id
    }

    pub fn counts(&self) -> CheckpointCounts {
        CheckpointCounts {
            kept: self.kept.load(Relaxed),
            failed: self.failed.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            micros: self.micros.load(Relaxed),
        }
    }

    /// Claims a partition, and looks for what its lane goes on with. A store that does not answer is asked again for as long as the
    /// slot is not gone.
    pub fn begin(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        wanted: Wanted,
        done: impl FnOnce(Result<Begun, CheckpointError>) + Send + 'static,
    ) {
        let (checkpoints, slot) = (self.clone(), slot.clone());
        self.requests.spawn(async move {
            let mut pause = AGAIN_AFTER;
            while !slot.is_gone() {
                match checkpoints.claim(&slot.partition, &wanted).await {
                    Err(error) if error.kind() == ErrorKind::Unavailable => {
                        tracing::warn!(partition = %slot.partition, "the partition waits for its checkpoint: {error}");
                        slot.wait_for(error.to_string());
                    }
                    begun => return done(begun),
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(AGAIN_AFTER_MAX);
            }
        });
    }

    async fn claim(&self, partition: &Partition, wanted: &Wanted) -> Result<Begun, CheckpointError> {
        let place = self.place(partition);
        let owner = self.store.claim(place.clone(), ClaimToken::random()).await?;
        let found = self.store.to_restore(&place, wanted).await?;
        for damaged in found.iter().flat_map(|found| &found.damaged) {
            tracing::warn!(%partition, slot = %damaged.slot, "a checkpoint is damaged and passed over: {}", damaged.what);
        }
        Ok(Begun { owner, found })
    }

    /// Keeps a checkpoint of the lane of `slot`; `done` is told whether it is durable and the partition still ours.
    pub fn save(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        to: StoreSlot,
        frozen: Arc<Frozen>,
        done: impl FnOnce(Result<CheckpointId, CheckpointError>) + Send + 'static,
    ) {
        let (checkpoints, slot) = (self.clone(), slot.clone());
        self.requests.spawn(async move {
            let begun = Instant::now();
            let place = checkpoints.place(frozen.partition());
            let saved = checkpoints.put(&place, to, frozen).await;
            match &saved {
                Ok((_, object)) => {
                    checkpoints.kept.fetch_add(1, Relaxed);
                    checkpoints.bytes.fetch_add(object.len() as u64, Relaxed);
                    checkpoints.micros.fetch_add(begun.elapsed().as_micros() as u64, Relaxed);
                }
                Err(_) => drop(checkpoints.failed.fetch_add(1, Relaxed)),
            }
            let kept = saved.as_ref().map(|(slot, _)| CheckpointId { store: checkpoints.id, slot: *slot });
            done(kept.map_err(Clone::clone));
            if let Ok((kept, object)) = saved {
                // Of a position that names none, nothing before this one is needed.
                let committed = slot.committed_checkpoint().unwrap_or(kept);
                checkpoints.after(&place, kept, &object, committed).await;
            }
        });
    }

    async fn put(
        &self,
        place: &Place,
        slot: StoreSlot,
        frozen: Arc<Frozen>,
    ) -> Result<(SlotId, Bytes), CheckpointError> {
        let (pipeline, id) = (self.pipeline.clone(), slot.id());
        let encoded = spawn_blocking(move || Bytes::from(frozen.encode(&pipeline, id))).await;
        let object = encoded.map_err(|error| CheckpointError::Unavailable {
            location: self.store.location().to_owned(),
            object: format!("{place}/{id}"),
            what: format!("it was not encoded: {error}"),
        })?;
        let slot = self.store.put(slot, object.clone()).await?;
        if self.when == Copies::BeforeCommit {
            for copy in &self.copies {
                self.copy(copy, place, slot, &object).await?;
            }
        }
        Ok((slot, object))
    }

    /// What need not be done before the position may be committed. What fails here is done by the next checkpoint.
    async fn after(&self, place: &Place, slot: SlotId, object: &Bytes, committed: SlotId) {
        let partition = &place.partition;
        for copy in &self.copies {
            let copied = match self.when {
                Copies::BeforeCommit => Ok(()),
                Copies::After => self.copy(copy, place, slot, object).await,
            };
            if let Err(error) = copied {
                tracing::warn!(%partition, %slot, "a checkpoint was not copied: {error}");
            } else if let Err(error) = copy.store.delete_old(place, committed).await {
                tracing::warn!(%partition, "old copies of checkpoints were not deleted: {error}");
            }
        }
        if let Err(error) = self.store.delete_old(place, committed).await {
            tracing::warn!(%partition, "old checkpoints were not deleted: {error}");
        }
    }

    async fn copy(&self, copy: &Copy, place: &Place, slot: SlotId, object: &Bytes) -> Result<(), CheckpointError> {
        copy.marked.get_or_try_init(|| copy.store.mark_copy_of(self.id)).await?;
        copy.store.copy_in(place, slot, object.clone()).await
    }

    fn place(&self, partition: &Partition) -> Place {
        Place { pipeline: self.pipeline.clone(), partition: partition.clone() }
    }
}
