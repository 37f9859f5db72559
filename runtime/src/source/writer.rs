//! The writer of parts, markers and dead letters: idempotent, acknowledged by all replicas, tried for ever, in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;

use super::{SourceError, WriteError, client};
use crate::config::KafkaSettings;
use crate::record::Message;

mod deliveries;
mod ticket;

use deliveries::Deliveries;
use ticket::Ticket;

/// The header of a dead letter whose key and value were too large for the topic: how many bytes they had.
pub const OMITTED_HEADER: &str = "tidegate-omitted";

/// How long the thread waits for acknowledgements at a time. The client waits for whole milliseconds and spins through what is left, which
/// is why so little is left.
const POLL: Duration = Duration::from_micros(20_100);
/// The same while messages wait for room in the client.
const POLL_FULL: Duration = Duration::from_millis(2);
/// The pause before a message that Kafka refused is sent again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How often it is mentioned that messages are refused.
const SAY_EVERY: Duration = Duration::from_secs(30);
/// Messages of which none is acknowledged for so long are a trouble to speak of.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// Writes messages. Order is kept within a partition, except for those that Kafka refused once.
pub struct Writer {
    inner: Arc<Inner>,
}

/// What health and metrics show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WriterStatus {
    /// A broker is connected, and acknowledges what it is sent.
    pub takes: bool,
    /// The client's last words about a broker that is not connected, or Kafka's about a message that it does not take.
    pub word: Option<String>,
    /// Messages that are not acknowledged.
    pub waiting: usize,
}

struct Inner {
    producer: BaseProducer<Deliveries>,
    /// For messages that came back as too large: in a request of their own it shows whether they are, or their neighbours.
    alone: OnceLock<BaseProducer<Deliveries>>,
    alone_config: ClientConfig,
    dead_letters: Arc<str>,
    queue: Mutex<Queue>,
    waiting: Arc<AtomicUsize>,
    stop: AtomicBool,
    ended: (Mutex<bool>, Condvar),
}

/// What the client does not have.
#[derive(Default)]
struct Queue {
    /// In order; sent when there is room.
    backlog: VecDeque<Sending>,
    /// Refused once; sent again at their time.
    later: Vec<(Instant, Sending)>,
    /// To be told when the lock is given back: who is told may write again.
    failed: Vec<(Arc<Ticket>, WriteError)>,
    said: Option<Instant>,
    closed: bool,
    /// The last refusal, until something is acknowledged.
    refused: Option<String>,
    progress: Progress,
}

/// Whether messages are acknowledged.
#[derive(Default)]
struct Progress {
    /// So many were not when it was looked last.
    waiting: usize,
    /// Since when these have not become fewer; none while none waits.
    since: Option<Instant>,
}

impl Progress {
    /// Whether some were acknowledged since it was looked last, or none waits.
    fn look(&mut self, waiting: usize, now: Instant) -> bool {
        let moves = waiting < self.waiting || waiting == 0;
        self.waiting = waiting;
        if moves {
            self.since = None;
        }
        if waiting > 0 {
            self.since.get_or_insert(now);
        }
        moves
    }

    fn is_stuck(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.duration_since(since) >= STUCK_AFTER)
    }
}

struct Sending {
    message: Message,
    ticket: Arc<Ticket>,
    alone: bool,
}

impl Writer {
    /// Does not wait for a broker. `queue_bytes` bounds what waits in the client. A message to the topic `dead_letters` that is too
    /// large for it goes there without key and value; its headers say where the original is.
    pub fn new(kafka: &KafkaSettings, queue_bytes: usize, dead_letters: &str) -> Result<Writer, SourceError> {
        let config = client::producer(kafka, queue_bytes, false);
        let producer = config.create_with_context(Deliveries::new(false, client::secrets(kafka)));
        let producer = producer.map_err(|error| client::refused(kafka, error))?;
        let inner = Arc::new(Inner {
            producer,
            alone: OnceLock::new(),
            alone_config: client::producer(kafka, queue_bytes, true),
            dead_letters: dead_letters.into(),
            queue: Mutex::default(),
            waiting: Arc::default(),
            stop: AtomicBool::new(false),
            ended: (Mutex::new(false), Condvar::new()),
        });
        let run = {
            let inner = inner.clone();
            move || inner.run()
        };
        let thread = thread::Builder::new().name("writer".to_owned()).spawn(run);
        thread.map_err(|error| SourceError::Thread { word: error.to_string() })?;
        Ok(Writer { inner })
    }

    /// Sends the messages; `done` is called once, on the writer's thread or on this one: when all are acknowledged, or when one
    /// can never be. Does not wait: what the client has no room for is kept, and the caller bounds how much that is.
    pub fn write(&self, messages: Vec<Message>, done: impl FnOnce(Result<(), WriteError>) + Send + 'static) {
        let ticket = Ticket::new(messages.len(), self.inner.waiting.clone(), Box::new(done));
        let mut queue = self.inner.queue();
        if queue.closed {
            queue.failed.extend(messages.iter().map(|_| (ticket.clone(), WriteError::Closed)));
        } else {
            let sending = messages.into_iter().map(|message| Sending { message, ticket: ticket.clone(), alone: false });
            queue.backlog.extend(sending);
            self.inner.send_backlog(&mut queue);
        }
        tell(queue);
    }

    pub fn status(&self) -> WriterStatus {
        let broker = self.inner.producer.context().broker();
        let queue = self.inner.queue();
        WriterStatus {
            takes: broker.connected() && !queue.progress.is_stuck(Instant::now()),
            word: broker.word().map(str::to_owned).or_else(|| queue.refused.clone()),
            waiting: self.inner.waiting.load(Ordering::Relaxed),
        }
    }

    /// Waits until all is acknowledged or the deadline is reached, then stops; what is not acknowledged by then is told
    /// [`WriteError::Closed`]. True when all was.
    pub fn close(&self, deadline: Instant) -> bool {
        while self.inner.waiting.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            thread::sleep(POLL_FULL);
        }
        self.inner.queue().closed = true;
        self.inner.stop.store(true, Ordering::Relaxed);
        let (ended, signal) = &self.inner.ended;
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = deadline.saturating_duration_since(Instant::now());
        let (ended, _) =
            signal.wait_timeout_while(ended, patience, |ended| !*ended).unwrap_or_else(PoisonError::into_inner);
        *ended && self.inner.waiting.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::Relaxed);
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer's thread.
    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let wait = if self.queue().backlog.is_empty() { POLL } else { POLL_FULL };
            self.producer.poll(wait);
            if let Some(alone) = self.alone.get() {
                alone.poll(Duration::ZERO);
            }
            self.serve(Instant::now());
        }
        let mut queue = self.queue();
        queue.closed = true;
        let Queue { backlog, later, failed, .. } = &mut *queue;
        let kept = backlog.drain(..).chain(later.drain(..).map(|(_, sending)| sending));
        failed.extend(kept.map(|sending| (sending.ticket, WriteError::Closed)));
        tell(queue);
        self.purge();
        *self.ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.1.notify_all();
    }

    /// Takes back what the client has: each message is reported as purged.
    fn purge(&self) {
        for producer in [Some(&self.producer), self.alone.get()].into_iter().flatten() {
            producer.purge(PurgeConfig::default().queue().inflight());
            while producer.in_flight_count() > 0 {
                producer.poll(POLL_FULL);
            }
        }
        self.serve(Instant::now());
    }

    /// What was refused is judged; what was kept is sent.
    fn serve(&self, now: Instant) {
        let mut queue = self.queue();
        let failed =
            [Some(&self.producer), self.alone.get()].into_iter().flatten().flat_map(|it| it.context().take_failed());
        for (code, sending) in failed.collect::<Vec<_>>() {
            self.refused(&mut queue, code, sending, now);
        }
        if queue.progress.look(self.waiting.load(Ordering::Relaxed), now) {
            queue.refused = None;
        }
        let due = queue.later.extract_if(.., |(at, _)| *at <= now).map(|(_, sending)| sending).collect::<Vec<_>>();
        queue.backlog.extend(due);
        self.send_backlog(&mut queue);
        tell(queue);
        self.producer.context().broker().say(now);
    }

    fn send_backlog(&self, queue: &mut Queue) {
        while let Some(sending) = queue.backlog.pop_front() {
            let Err((code, sending)) = self.send(sending) else { continue };
            if code == RDKafkaErrorCode::QueueFull {
                queue.backlog.push_front(sending);
                return;
            }
            self.refused(queue, code, sending, Instant::now());
        }
    }

    /// Hands a message to the client, which copies it.
    fn send(&self, sending: Sending) -> Result<(), (RDKafkaErrorCode, Sending)> {
        let producer = match sending.alone {
            false => &self.producer,
            true => match self.alone() {
                Ok(alone) => alone,
                Err(error) => return Err((code_of(&error), sending)),
            },
        };
        let message = &sending.message;
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&message.topic, sending.ticket.clone());
        record.partition = message.partition;
        record.key = message.key.as_deref();
        record.payload = message.value.as_deref();
        record.headers = headers(message);
        match producer.send(record) {
            Ok(()) => Ok(()),
            Err((error, _)) => Err((code_of(&error), sending)),
        }
    }

    fn alone(&self) -> Result<&BaseProducer<Deliveries>, KafkaError> {
        if let Some(alone) = self.alone.get() {
            return Ok(alone);
        }
        let made = self.alone_config.create_with_context(Deliveries::new(true, self.producer.context().secrets()))?;
        Ok(self.alone.get_or_init(|| made))
    }

    /// Kafka, or its client, did not take a message.
    fn refused(&self, queue: &mut Queue, code: RDKafkaErrorCode, mut sending: Sending, now: Instant) {
        let bytes = sending.message.bytes();
        match code {
            RDKafkaErrorCode::MessageSizeTooLarge if !sending.alone => {
                sending.alone = true;
                queue.backlog.push_back(sending);
            }
            RDKafkaErrorCode::MessageSizeTooLarge if self.can_omit(&sending.message) => {
                omit(&mut sending.message);
                queue.backlog.push_back(sending);
            }
            RDKafkaErrorCode::MessageSizeTooLarge => {
                let error = WriteError::TooLarge { topic: sending.message.topic.to_string(), bytes };
                queue.failed.push((sending.ticket, error));
            }
            RDKafkaErrorCode::Fatal => {
                let word = self.producer.context().broker().fatal().unwrap_or("fatal").to_owned();
                queue.failed.push((sending.ticket, WriteError::Fatal { word }));
            }
            RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight => {
                queue.failed.push((sending.ticket, WriteError::Closed));
            }
            code if queue.closed => {
                tracing::debug!(%code, "a message was refused while the writer closed");
                queue.failed.push((sending.ticket, WriteError::Closed));
            }
            code => {
                queue.refused = Some(format!("{code}, topic=`{}`", sending.message.topic));
                if queue.said.is_none_or(|said| now.duration_since(said) >= SAY_EVERY) {
                    queue.said = Some(now);
                    let topic = &*sending.message.topic;
                    tracing::warn!(%code, topic, "kafka does not take messages, trying again until it does");
                }
                queue.later.push((now + RETRY_PAUSE, sending));
            }
        }
    }

    fn can_omit(&self, message: &Message) -> bool {
        message.topic == self.dead_letters && (message.key.is_some() || message.value.is_some())
    }
}

/// Gives the lock back, and tells of failures.
fn tell(mut queue: MutexGuard<'_, Queue>) {
    let failed = std::mem::take(&mut queue.failed);
    drop(queue);
    failed.into_iter().for_each(|(ticket, error)| ticket.fail(error));
}

/// Leaves key and value out, and says how large they were.
fn omit(message: &mut Message) {
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let bytes = length(&message.key) + length(&message.value);
    message.key = None;
    message.value = None;
    message.headers.push((OMITTED_HEADER.to_owned(), Some(bytes.to_string().into_bytes())));
}

fn headers(message: &Message) -> Option<OwnedHeaders> {
    let headers = OwnedHeaders::new_with_capacity(message.headers.len());
    let add = |headers: OwnedHeaders, (key, value): &(String, Option<Vec<u8>>)| {
        headers.insert(Header { key, value: value.as_deref() })
    };
    (!message.headers.is_empty()).then(|| message.headers.iter().fold(headers, add))
}

fn code_of(error: &KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)
}

#[cfg(test)]
mod tests;
