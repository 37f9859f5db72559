//! The one task that packs documents into bulks, sends them and judges what comes back. All state of the sink is here;
//! it waits for submissions, answers and the clock, and for nothing else.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use hashbrown::DefaultHashBuilder;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep_until;

use super::answer::Sent;
use super::batches::{Batches, Done};
use super::bulk::{Bulk, Place};
use super::client::Client;
use super::concurrency::Concurrency;
use super::counters::{Shared, add};
use super::held::Moment;
use super::names::LiveNames;
use super::pace::Pace;
use super::request::{self, Landing};
use super::slot::{Fill, Slot};
use crate::config::PolicyRule;
use crate::record::{Document, DocumentBatch, Operation, RejectedDocument};

mod judge;

/// A longer id is refused by the index, together with every other document of its request.
const ID_BYTES_MAX: usize = 512;
/// While the index is unavailable, the log says so this often.
const SAY_EVERY: Duration = Duration::from_secs(30);

#[expect(clippy::large_enum_variant, reason = "nearly all are batches of documents")]
pub(crate) enum Command {
    Submit { documents: DocumentBatch, done: Done },
    Flush,
}

pub(crate) struct Dispatcher {
    client: Client,
    shared: Arc<Shared>,
    policy: Arc<[PolicyRule]>,
    names: LiveNames,
    pace: Pace,
    fill: Fill,
    concurrency: Concurrency,
    hasher: DefaultHashBuilder,
    slots: Vec<Slot>,
    batches: Batches,
    requests: JoinSet<(Landing, Duration)>,
    /// Which slot a request in flight belongs to, and when it was sent.
    in_flight: Vec<(Id, usize, Instant)>,
    /// The slot that is asked first for what to send: when not all may, each has its turn.
    turn: usize,
    /// Nothing else has been in flight since the newest request was sent.
    alone: bool,
    /// A slot whose next request goes alone, to see whether the index is busy or the bulk too big for it.
    solo: Option<usize>,
    said: Option<Instant>,
    /// The log says that the index is unavailable.
    announced: bool,
    /// Bulks are no larger than this, whatever the index takes.
    bytes_limit: usize,
    /// So many bulks of about the size that is sent were taken, since it was changed.
    taken: u32,
}

impl Dispatcher {
    pub fn new(
        client: Client,
        shared: Arc<Shared>,
        pace: Pace,
        fill: Fill,
        slots: usize,
        policy: Arc<[PolicyRule]>,
        names: LiveNames,
    ) -> Self {
        let concurrency = Concurrency::new(slots);
        shared.bulk_bytes.store(fill.bytes_max as u64, Relaxed);
        shared.requests_limit.store(concurrency.limit() as u64, Relaxed);
        Dispatcher {
            client,
            shared,
            policy,
            names,
            pace,
            fill,
            concurrency,
            hasher: DefaultHashBuilder::default(),
            slots: (0..slots.max(1)).map(|_| Slot::default()).collect(),
            batches: Batches::default(),
            requests: JoinSet::new(),
            in_flight: Vec::new(),
            turn: 0,
            alone: false,
            solo: None,
            said: None,
            announced: false,
            bytes_limit: fill.bytes_max,
            taken: 0,
        }
    }

    /// Until every handle is gone; what is not judged then stays unsettled.
    pub async fn run(mut self, mut commands: UnboundedReceiver<Command>) {
        loop {
            let now = Instant::now();
            let wake = match self.launch(now) {
                true => self.slots.iter().filter_map(|slot| slot.wake(now, self.fill)).min(),
                false => None,
            };
            tokio::select! {
                biased;
                Some(landed) = self.requests.join_next_with_id() => self.landed(landed),
                command = commands.recv() => match command {
                    Some(Command::Submit { documents, done }) => self.pack(&documents, done, Instant::now()),
                    Some(Command::Flush) => self.slots.iter_mut().for_each(Slot::flush),
                    None => return,
                },
                () = sleep_until(wake.unwrap_or(now).into()), if wake.is_some() => {}
            }
        }
    }

    fn pack(&mut self, documents: &DocumentBatch, done: Done, now: Instant) {
        let key = self.batches.add(documents.len() as u32, done);
        let mut packed_bytes = 0;
        for (row, document) in documents.iter().enumerate() {
            let row = row as u32;
            if let Some(why) = unfit(&document).or_else(|| self.names.refuse(document.index, now)) {
                add(&self.shared.rejected, 1);
                self.batches.rejected(key, refused_unsent(row, &document, why));
                continue;
            }
            let hash = self.hasher.hash_one(document.id.as_bytes());
            let index = (hash % self.slots.len() as u64) as usize;
            let place = self.place(&document);
            packed_bytes += self.slots[index].push((key, row), &document, place, now, self.fill);
        }
        // Before the batch's own bytes go, so that the sum is never too small.
        self.shared.in_flight_bytes.fetch_add(packed_bytes, Relaxed);
        self.shared.in_flight_bytes.fetch_sub(documents.bytes(), Relaxed);
    }

    fn place(&self, document: &Document<'_>) -> Place {
        match document.is_ordered() {
            true => (self.hasher.hash_one((document.index, document.id)) as Place).max(1),
            false => 0,
        }
    }

    /// Sends what is due; false while nothing more may be sent before an answer comes.
    fn launch(&mut self, now: Instant) -> bool {
        if let Some(solo) = self.solo {
            let due = self.slots[solo].wake(now, self.fill).is_some_and(|due| due <= now);
            if due && self.in_flight.is_empty() {
                self.launch_slot(solo, now);
            }
            if due || self.slot(solo).is_in_flight() {
                return false;
            }
        }
        for index in (self.turn..self.slots.len()).chain(0..self.turn) {
            if self.in_flight.len() >= self.concurrency.limit() {
                return false;
            }
            self.launch_slot(index, now);
        }
        self.in_flight.len() < self.concurrency.limit()
    }

    fn launch_slot(&mut self, index: usize, now: Instant) {
        let Some(bulk) = self.slots[index].next(now, self.fill) else { return };
        self.alone = self.in_flight.is_empty();
        add(&self.shared.requests, 1);
        add(&self.shared.bytes, bulk.bytes());
        let (operations, body) = (bulk.operations(), bulk.body().clone());
        let sent = Sent { items: bulk.len(), operations, policy: self.policy.clone(), body };
        let request = request::send(self.client.clone(), sent);
        self.in_flight.push((self.requests.spawn(request).id(), index, now));
        self.turn = (index + 1) % self.slots.len();
        self.concurrency.sent(self.in_flight.len(), now);
        self.shared.requests_in_flight.store(self.in_flight.len() as u64, Relaxed);
    }

    fn landed(&mut self, landed: Result<(Id, (Landing, Duration)), JoinError>) {
        let (id, landing) = match landed {
            Ok((id, (landing, took))) => {
                add(&self.shared.request_micros, took.as_micros() as usize);
                (id, landing)
            }
            Err(error) => (error.id(), Landing::Untrusted(error.to_string())),
        };
        let Some(place) = self.in_flight.iter().position(|(other, ..)| *other == id) else { return };
        let (_, index, sent) = self.in_flight.swap_remove(place);
        let now = Instant::now();
        self.concurrency.landed(landing.load(), sent, now);
        self.shared.requests_limit.store(self.concurrency.limit() as u64, Relaxed);
        self.shared.requests_in_flight.store(self.in_flight.len() as u64, Relaxed);
        self.solo = self.solo.filter(|solo| *solo != index);
        if let Some(bulk) = self.slot(index).landed() {
            self.judge(index, bulk, landing, now);
        }
    }

    fn moment(&self, now: Instant) -> Moment {
        Moment { now, pace: self.pace, dice: fastrand::f64(), bytes_max: self.fill.bytes_max }
    }

    /// By an index that a request was sent with.
    fn slot(&mut self, index: usize) -> &mut Slot {
        &mut self.slots[index]
    }

    /// Takes note that the index takes nothing, or not all, and says so now and then.
    fn unavailable(&mut self, message: &str, now: Instant) {
        self.shared.unavailable(message, SystemTime::now());
        if self.may_say(now) {
            self.announced = true;
            tracing::warn!("the index does not take what it is sent, trying again: {message}");
        }
    }

    fn may_say(&mut self, now: Instant) -> bool {
        let may = self.said.is_none_or(|said| now.duration_since(said) >= SAY_EVERY);
        if may {
            self.said = Some(now);
        }
        may
    }

    /// Takes note that the index answers, once it has taken something of every slot that waited for it.
    fn available(&mut self) {
        if self.slots.iter().any(Slot::is_waiting) {
            return;
        }
        if let Some(since) = self.shared.available()
            && std::mem::take(&mut self.announced)
        {
            let seconds = since.elapsed().unwrap_or_default().as_secs();
            tracing::info!("the index takes documents again after {seconds} s");
        }
    }

    /// All documents of a bulk are settled.
    fn all_settled(&mut self, index: usize, bulk: Bulk) {
        // Whoever is told finds the counters as they are then.
        add(&self.shared.settled, bulk.len());
        self.shared.in_flight_bytes.fetch_sub(bulk.bytes(), Relaxed);
        for run in bulk.runs() {
            self.batches.settled(run.batch, run.items);
        }
        self.slot(index).recycle(bulk);
    }
}

/// Why a document must not be sent.
fn unfit(document: &Document<'_>) -> Option<String> {
    match document.id.len() {
        0 => Some("the id is empty".into()),
        length if length > ID_BYTES_MAX => {
            Some(format!("the id is too long bytes=`{length}`: an index takes at most {ID_BYTES_MAX}"))
        }
        _ if document.version.is_some_and(|version| i64::try_from(version).is_err()) => {
            Some("the version does not fit 63 bits".into())
        }
        _ if document.operation != Operation::Delete && document.body.is_empty() => {
            Some("the document is empty".into())
        }
        _ if document.index.is_empty() => Some("the index name is empty".into()),
        // The whole request would be refused.
        _ if document.routing.is_some_and(str::is_empty) => Some("the routing is empty".into()),
        _ => None,
    }
}

fn refused_unsent(row: u32, document: &Document<'_>, why: String) -> RejectedDocument {
    use crate::record::{Reason, ReasonKind};
    RejectedDocument {
        row,
        reason: Reason::new(ReasonKind::Sink, why),
        status: None,
        attempts: 0,
        error_type: String::new(),
        index: document.index.into(),
        id: document.id.into(),
        version: document.version,
        body: document.body.to_vec(),
        is_dropped: false,
    }
}
