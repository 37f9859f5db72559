//! The poll thread: takes what comes, hands batches over, commits, and answers the group. It never waits for anybody but
//! Kafka, except when partitions are taken away.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hashbrown::HashMap;
use rdkafka::types::RDKafkaErrorCode;

use super::assigned::{Answered, Assigned, BATCH_BYTES_MAX, Pushed};
use super::commit::Ledger;
use super::control::Control;
use super::flow::{Change, Flow, Load};
use super::native::{Consumer, Rebalance, Received, TAKE_MAX};
use super::{PartitionStatus, Receiver, SourceConfig, SourceError, SourceStatus};
use crate::record::{EventTime, Partition};

mod leave;
mod rebalance;

/// The longest wait for a message: so late is a request of the handle noticed.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// The wait while a batch waits for its lane, or a paused partition for its bytes.
const WAIT_PENDING: Duration = Duration::from_millis(2);
/// The wait while the whole is full and nothing is taken.
const WAIT_FULL: Duration = Duration::from_millis(5);
/// How often idleness, bytes and the group are looked after while records come without a break.
const TICK: Duration = Duration::from_millis(20);
/// How many messages are taken at first, when nothing is known of their size.
const TAKE_FIRST: usize = 16;
const COMMIT_EVERY: Duration = Duration::from_secs(1);
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// How long the broker may take to tell the ends of logs.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Poller {
    consumer: Consumer,
    receiver: Box<dyn Receiver>,
    config: SourceConfig,
    control: Arc<Control>,
    assigned: Vec<Assigned>,
    /// Where in `assigned` a topic and partition of the client are; none where they are not.
    places: HashMap<(usize, i32), Option<usize>>,
    /// The rebalance that is served; kept while Kafka does not answer what it needs.
    rebalance: Option<(Rebalance, Instant)>,
    /// How many messages are taken at once: as many as make about a batch's bytes.
    take: usize,
    retry_at: Instant,
    ledger: Ledger,
    /// Why the last commit was not taken.
    refused: Option<RDKafkaErrorCode>,
    flow: Flow,
    draining: bool,
    stale_records: u64,
    lost_records: u64,
    next_tick: Instant,
    next_commit: Instant,
    next_show: Instant,
}

impl Poller {
    /// `batch_bytes` bounds the batches that are alive.
    pub(super) fn new(
        consumer: Consumer,
        receiver: Box<dyn Receiver>,
        config: SourceConfig,
        batch_bytes: usize,
        control: Arc<Control>,
    ) -> Self {
        let now = Instant::now();
        Poller {
            consumer,
            receiver,
            config,
            control,
            assigned: Vec::new(),
            places: HashMap::new(),
            rebalance: None,
            take: TAKE_FIRST,
            retry_at: now,
            ledger: Ledger::default(),
            refused: None,
            flow: Flow::new(batch_bytes),
            draining: false,
            stale_records: 0,
            lost_records: 0,
            next_tick: now,
            next_commit: now + COMMIT_EVERY,
            next_show: now,
        }
    }

    /// Polls until the handle asks to close.
    pub(super) fn run(mut self) {
        loop {
            if let Some(deadline) = self.control.close_by() {
                self.leave(deadline);
                return;
            }
            if self.control.must_drain() {
                self.drain();
            }
            if let Err(error) = self.step() {
                tracing::error!(%error, "the source stops");
                self.drain();
                self.show(Instant::now());
                self.receiver.failed(error);
            }
        }
    }

    fn step(&mut self) -> Result<(), SourceError> {
        let mut now = Instant::now();
        let loads = self.loads();
        if !self.draining && self.flow.hold(&loads, now) {
            std::thread::sleep(WAIT_FULL);
        } else {
            self.regulate(&loads, now);
            let wait = self.wait();
            self.take(wait, now)?;
            now = Instant::now();
            self.control.polled(now);
        }
        self.hand_over();
        self.serve_rebalance(now)?;
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick(now)?;
        }
        Ok(())
    }

    fn wait(&self) -> Duration {
        let pending = self.assigned.iter().any(|it| (it.paused && !it.stalled) || it.has_batch());
        if pending && !self.draining { WAIT_PENDING } else { WAIT_MAX }
    }

    /// Nothing is handed over any more; what was collected is read again after a restart. The membership stays.
    fn drain(&mut self) {
        if self.draining {
            return;
        }
        self.draining = true;
        self.consumer.pause(&self.partitions());
    }

    fn partitions(&self) -> Vec<Partition> {
        self.assigned.iter().map(|it| it.partition.clone()).collect()
    }

    fn take(&mut self, wait: Duration, now: Instant) -> Result<(), SourceError> {
        let received = wall_clock();
        let Poller { consumer, receiver, assigned, places, stale_records, draining, take, .. } = self;
        let (mut errors, mut bytes) = (Vec::new(), 0);
        let taken = consumer.take(wait, *take, |message| {
            bytes += message.bytes();
            if let Some(code) = message.error() {
                errors.push(Trouble::of(message, code));
                return;
            }
            let Some(place) = message.place().filter(|_| !*draining) else { return };
            let found = *places.entry(place).or_insert_with(|| position(assigned, message));
            let it = found.and_then(|index| assigned.get_mut(index));
            let Some(it) = it.filter(|it| !it.stalled) else { return };
            match it.push(message, received, now) {
                Pushed::Taken if it.full() => {
                    let batch = it.take_batch();
                    receiver.batch(&it.partition, batch);
                }
                Pushed::Taken | Pushed::PassedOver => {}
                Pushed::Stale => *stale_records += 1,
            }
        });
        if bytes > BATCH_BYTES_MAX {
            *take = (taken * BATCH_BYTES_MAX / bytes).max(1);
        } else if taken == *take {
            *take = (*take * 2).min(TAKE_MAX);
        }
        errors.into_iter().try_for_each(|trouble| self.trouble(trouble, now))?;
        self.read_passed_over(now)
    }

    /// Reads anew where the client may have passed over a record; one that is not there does not come then either.
    fn read_passed_over(&mut self, now: Instant) -> Result<(), SourceError> {
        if self.draining {
            return Ok(());
        }
        while let Some(index) = self.assigned.iter().position(Assigned::passed_over) {
            let it = &self.assigned[index];
            tracing::debug!(partition = %it.partition, next = %it.next, "the client may have passed over a record, reading anew");
            self.restart(index, now)?;
        }
        Ok(())
    }

    /// Batches whose lanes wait for them.
    fn hand_over(&mut self) {
        if self.draining {
            return;
        }
        for it in &mut self.assigned {
            if it.has_batch() && self.receiver.ready(&it.partition) {
                let batch = it.take_batch();
                self.receiver.batch(&it.partition, batch);
            }
        }
    }

    /// An error that came in the place of a message.
    fn trouble(&mut self, trouble: Trouble, now: Instant) -> Result<(), SourceError> {
        let Trouble { code, words, partition, offset } = trouble;
        match code {
            RDKafkaErrorCode::PartitionEOF => {
                if let Some(it) = self.assigned.iter_mut().find(|it| Some(&it.partition) == partition.as_ref()) {
                    it.reached_end(offset);
                }
                self.consumer.broker().up();
                Ok(())
            }
            RDKafkaErrorCode::AutoOffsetReset => match partition {
                Some(partition) => self.position_gone(&partition, now),
                None => Ok(()),
            },
            RDKafkaErrorCode::Fatal => {
                let word = self.consumer.broker().fatal().unwrap_or(&words).to_owned();
                Err(self.fatal(word))
            }
            code => {
                self.consumer.broker().error(code, &words, now);
                let partition = partition.map(|it| it.to_string());
                tracing::warn!(%code, partition, words, "kafka reports a problem, going on");
                Ok(())
            }
        }
    }

    /// What made the client give up, it says in words only.
    fn fatal(&self, word: String) -> SourceError {
        match &self.config.kafka.instance {
            Some(instance) if word.contains("fenced by other consumer with same group.instance.id") => {
                SourceError::SameInstance { instance: instance.clone() }
            }
            Some(_) | None => SourceError::Fatal { word },
        }
    }

    fn loads(&self) -> Vec<Load> {
        self.assigned.iter().map(|it| Load { bytes: it.in_flight_bytes(), paused: it.paused }).collect()
    }

    fn tick(&mut self, now: Instant) -> Result<(), SourceError> {
        let fatal = self.consumer.broker().fatal().map(str::to_owned);
        if let Some(word) = fatal.filter(|_| !self.draining) {
            return Err(self.fatal(word));
        }
        self.consumer.broker().say(now);
        if !self.draining {
            self.steer(now)?;
            self.ask_about_ends(now)?;
        }
        self.hear_commit();
        if now >= self.next_commit {
            self.next_commit = now + COMMIT_EVERY;
            self.commit();
        }
        if now >= self.next_show {
            self.next_show = now + SHOW_EVERY;
            self.show(now);
        }
        Ok(())
    }

    fn regulate(&mut self, loads: &[Load], now: Instant) {
        if self.draining {
            return;
        }
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (index, change) in self.flow.changes(loads, now) {
            let Some(it) = self.assigned.get_mut(index).filter(|it| !it.stalled) else { continue };
            it.set_paused(change == Change::Pause, now);
            match change {
                Change::Pause => pause.push(it.partition.clone()),
                Change::Resume => resume.push(it.partition.clone()),
            }
        }
        if !pause.is_empty() {
            tracing::debug!(partitions = pause.len(), "paused: too many bytes in flight");
            self.consumer.pause(&pause);
        }
        if !resume.is_empty() {
            self.consumer.resume(&resume);
        }
    }

    /// Asks the broker for the ends of partitions that may be idle, or from which nothing comes.
    fn ask_about_ends(&mut self, now: Instant) -> Result<(), SourceError> {
        let idle_after = self.config.idle_after;
        let ask: Vec<usize> =
            (0..self.assigned.len()).filter(|index| self.assigned[*index].must_ask(idle_after, now)).collect();
        if ask.is_empty() || !self.consumer.broker().connected() {
            return Ok(());
        }
        let partitions: Vec<Partition> = ask.iter().map(|index| self.assigned[*index].partition.clone()).collect();
        let Ok(bounds) = self.consumer.log_bounds(&partitions, ASK_TIMEOUT) else {
            ask.iter().for_each(|index| self.assigned[*index].unanswered(now));
            return Ok(());
        };
        for (index, (_, end)) in ask.into_iter().zip(bounds) {
            let it = &mut self.assigned[index];
            match it.answered(end, idle_after, now) {
                Answered::Nothing => {}
                Answered::Idle => self.receiver.idle(&it.partition),
                Answered::Silent => {
                    let (partition, next) = (it.partition.clone(), it.next);
                    tracing::warn!(%partition, %next, %end, "nothing comes although there are records, reading anew");
                    self.restart(index, now)?;
                }
            }
        }
        Ok(())
    }

    fn show(&self, now: Instant) {
        let broker = self.consumer.broker();
        let of = |it: &Assigned| PartitionStatus {
            partition: it.partition.clone(),
            next: it.next,
            end: self.consumer.known_end(&it.partition),
            committed: self.ledger.committed(&it.partition).map(|held| held.offset),
            in_flight_bytes: it.in_flight_bytes(),
            paused: it.paused,
            idle: it.is_idle(),
        };
        self.control.show(SourceStatus {
            polled: now,
            connected: broker.connected(),
            word: broker.word().map(str::to_owned),
            draining: self.draining,
            stale_records: self.stale_records,
            lost_records: self.lost_records,
            partitions: self.assigned.iter().map(of).collect(),
        });
    }
}

/// An error, taken out of the message that carried it.
struct Trouble {
    code: RDKafkaErrorCode,
    words: String,
    partition: Option<Partition>,
    offset: crate::record::Offset,
}

impl Trouble {
    fn of(message: &Received, code: RDKafkaErrorCode) -> Self {
        let partition = message.place().map(|(_, number)| Partition::new(message.topic(), number));
        Trouble { code, words: message.words(), partition, offset: message.offset() }
    }
}

fn position(assigned: &[Assigned], message: &Received) -> Option<usize> {
    let (_, number) = message.place()?;
    let topic = message.topic();
    assigned.iter().position(|it| it.partition.number == number && *it.partition.topic == *topic)
}

fn wall_clock() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A batch that fills up in one call must not wait for the next one to be full.
const _: () = assert!(TAKE_MAX <= super::assigned::BATCH_RECORDS_MAX);
