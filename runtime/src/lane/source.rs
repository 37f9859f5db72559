//! A source lane: records in; documents, dead letters, parts and markers out. It folds its partition's records into
//! windows and keeps the position behind whatever is not safe yet.

use std::sync::Arc;

use crate::record::{EventTime, Message, Offset, Partition, Reason, ReasonKind, RecordBatch};
use crate::window::{CONVERTED_AT_ONCE, Hold, Watermark};

use super::account::RowFate;
use super::audit::Drops;
use super::format::{Marker, encode_marker};
use super::generations::Generations;
use super::id::Revision;
use super::index::NameCache;
use super::judging::Judging;
use super::migration::migrate;
use super::plan::{Instances, Plan};
use super::settle::SettleTracker;
use super::tap::Tap;
use super::tickets::Tickets;
use super::transform::{Departed, run};
use super::{Effect, Event, LaneError, LaneStatus, Tally, Ticket};

mod answers;
mod closing;
mod ending;
mod folding;
mod freezing;
mod position;
mod records;
mod time;

use closing::Closings;
use folding::Folding;
use freezing::Freezing;
use records::Sent;

pub use freezing::Frozen;
pub(super) use time::pass;

/// Why a ticket is in flight.
#[derive(Clone, Debug)]
enum InFlight {
    /// Documents of records, to know the record of a refused one.
    Documents {
        output: usize,
        batch: Arc<RecordBatch>,
        /// The batch's, among those that are judged.
        number: u64,
        sent: Vec<Sent>,
    },
    DeadLetters,
    /// Parts of windows that have ended.
    Parts {
        closing: u64,
    },
    /// Parts of windows that are open while the partition is idle.
    Provisional {
        leave: u64,
    },
    /// Documents of windows that have ended.
    WindowDocuments {
        closing: u64,
        output: usize,
    },
    /// Documents of windows that are open. One that is refused is left to those that follow.
    EarlyDocuments {
        closing: u64,
    },
    WindowDeadLetters {
        closing: u64,
    },
    Marker,
    Checkpoint,
}

#[derive(Clone)]
pub(super) struct SourceLane {
    plan: Arc<Plan>,
    partition: Partition,
    revision: Revision,
    next: Offset,
    watermark: Watermark,
    /// The watermark up to which others may be told that they know what they must: all windows that ended by it, and all sessions that
    /// began before it.
    vouched: EventTime,
    /// S: what an earlier owner of the position had settled.
    settled: Offset,
    /// What has served, up to what serves.
    generations: Generations,
    /// For each output of the plan, its windows.
    folding: Vec<Option<Folding>>,
    tracker: SettleTracker,
    judging: Judging,
    closings: Closings,
    freezing: Freezing,
    in_flight: Tickets<InFlight>,
    names: NameCache,
    tally: Tally,
}

impl SourceLane {
    pub fn step(
        &mut self,
        event: Event,
        instances: &mut Instances,
        effects: &mut Vec<Effect>,
    ) -> Result<(), LaneError> {
        match event {
            Event::Batch(batch) => self.take_batch(batch, instances, effects)?,
            Event::Indexed { ticket, rejected } => self.indexed(ticket, &rejected, instances.sampling(), effects),
            Event::Written { ticket } => self.written(ticket),
            Event::Idle => self.go_idle(instances, effects)?,
            Event::Checkpoint => self.freeze(),
            Event::Saved { ticket, kept } => self.saved(ticket, kept),
        }
        self.write_marker(effects);
        if let Some(released) = self.closings.release() {
            for (output, folding) in self.plan.outputs.iter().zip(&mut self.folding) {
                if let (Some(plan), Some(folding)) = (&output.aggregate, folding) {
                    folding.released(plan, released);
                }
            }
        }
        self.save_if_settled(effects);
        Ok(())
    }

    /// See [`super::Lane::deploy`].
    pub fn deploy(&mut self, plan: Arc<Plan>, instances: &mut Instances) -> Result<(), LaneError> {
        while self.convert(CONVERTED_AT_ONCE, instances)? {}
        for ((before, after), folding) in self.plan.outputs.iter().zip(&plan.outputs).zip(&mut self.folding) {
            if let (Some(before), Some(after), Some(folding)) = (&before.aggregate, &after.aggregate, folding)
                && before.schema != after.schema
            {
                folding.change_schema(before.schema.clone());
            }
        }
        self.generations.swap(self.revision, self.next, &plan.served_by);
        self.plan = plan;
        Ok(())
    }

    /// See [`super::Lane::convert`].
    pub fn convert(&mut self, groups_max: usize, instances: &mut Instances) -> Result<bool, LaneError> {
        let mut more = false;
        for (output, folding) in self.plan.outputs.iter().zip(&mut self.folding) {
            if let (Some(plan), Some(folding)) = (&output.aggregate, folding) {
                more |= folding.convert(groups_max, |before, states| {
                    migrate(plan, before, states, instances.aggregate(plan.plugin)?)
                })?;
            }
        }
        Ok(more)
    }

    /// See [`super::Lane::finish`].
    pub fn finish(&mut self, instances: &mut Instances, effects: &mut Vec<Effect>) -> Result<(), LaneError> {
        self.watermark = Watermark::new(EventTime::MAX, self.plan.watermark.out_of_order);
        self.close_windows(instances, effects)?;
        self.write_marker(effects);
        Ok(())
    }

    /// See [`super::Lane::leave`].
    pub fn leave(&mut self) {
        self.generations.leave();
    }

    pub fn is_settled(&self) -> bool {
        self.tracker.is_settled() && self.closings.is_settled() && self.freezing.is_settled()
    }

    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    pub fn status(&self) -> LaneStatus {
        let (folding, watermark) = (|| self.folding.iter().flatten(), self.watermark.current());
        LaneStatus {
            watermark,
            open_windows: folding().map(Folding::windows).sum(),
            oldest_end: folding().filter_map(|one| one.oldest_end(watermark)).min(),
            groups: folding().map(Folding::groups).sum(),
            windows_bytes: folding().map(Folding::memory_bytes).sum(),
            next: self.next,
            idle: self.closings.is_idle(),
            sources: Arc::default(),
        }
    }

    fn take_batch(
        &mut self,
        batch: Arc<RecordBatch>,
        instances: &mut Instances,
        effects: &mut Vec<Effect>,
    ) -> Result<(), LaneError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.closings.wake();
        let begin = Hold { offset: batch.offset(0), watermark: self.watermark.current() };
        self.next = batch.offset(batch.len() - 1).next();
        self.tally.records += batch.len() as u64;
        self.tally.bytes += batch.bytes() as u64;
        self.tally.account.add(None, RowFate::Read, batch.len() as u64);
        let number = self.judging.begin(batch.len());

        let plan = self.plan.clone();
        let mut work = BatchWork::default();
        work.departed.ledger = instances.take_ledger();
        work.departed.drops = instances.sampling().map(Drops::new);
        let mut decoded = plan.decoder.decode(&self.partition, batch.clone());
        work.departed.reject(None, std::mem::take(&mut decoded.rejected));
        let tombstones = std::mem::take(&mut decoded.tombstones);
        self.tally.tombstones += tombstones.len() as u64;
        if let Some(ledger) = &mut work.departed.ledger {
            ledger.begin(batch.offsets(), &tombstones);
        }
        let (departed, lateness) = (&mut work.departed, &mut self.tally.lateness);
        let watermarks = time::pass(&plan.watermark, &mut self.watermark, &mut decoded, departed, lateness);
        let mut table = decoded.table;
        if let Some(tap) = instances.tap(Tap::is_at_decode) {
            tap.decoded(&self.partition, &batch, &table, &work.departed);
        }
        let mut columns = Default::default();
        run(&plan.transforms, instances, &self.partition, &mut table, &mut columns, &mut work.departed)?;
        self.write_off(None, &batch, &mut work);

        for (place, output) in plan.outputs.iter().enumerate() {
            let mut table = table.clone();
            if let Some(ledger) = &mut work.departed.ledger {
                ledger.part();
            }
            run(&output.transforms, instances, &self.partition, &mut table, &mut columns, &mut work.departed)?;
            match (&output.aggregate, &mut self.folding[place]) {
                (Some(aggregate), Some(folding)) => {
                    let rows = folding::BatchTime { watermarks: &watermarks, settled: self.settled };
                    let tap = instances.tap(|tap| tap.is_at_windows_of(&output.name));
                    let watched = tap.map(|tap| tap.before(&table, &work.departed));
                    let ended = folding.ended(aggregate, &rows);
                    if let Some(ledger) = &mut work.departed.ledger {
                        ledger.came_to_windows(&output.name, &table, &ended);
                    }
                    let (came, gone) = (table.len(), work.departed.gone());
                    folding.fold(aggregate, table, &rows, instances.aggregate(aggregate.plugin)?, &mut work)?;
                    let folded = came.saturating_sub(work.departed.gone() - gone);
                    work.departed.fates.push((RowFate::Window, folded as u64));
                    if let (Some(before), Some(tap)) = (watched, instances.tap(|_| true)) {
                        tap.folded(&output.name, before, &self.partition, &batch, &work.departed, ended);
                    }
                }
                (None, _) | (_, None) => self.index_records(place, table, &tombstones, &mut work, effects),
            }
            if !output.deletes {
                work.departed.fates.push((RowFate::Tombstone, tombstones.len() as u64));
            }
            self.write_off(Some(&output.name), &batch, &mut work);
        }
        if let Some(ledger) = work.departed.ledger.take() {
            instances.keep(ledger);
        }
        if !work.dead_letters.is_empty() {
            let ticket = self.in_flight.open(InFlight::DeadLetters);
            work.tickets.push(ticket);
            effects.push(Effect::Write { ticket, messages: work.dead_letters });
        }
        self.tracker.open(begin, &work.tickets);
        self.judging.answered(number, [], &mut self.tally.judged);
        self.close_windows(instances, effects)
    }

    /// Turns rows that left into counts and dead letters; of records that an earlier owner had settled, into nothing.
    fn write_off(&mut self, output: Option<&Arc<str>>, batch: &RecordBatch, work: &mut BatchWork) {
        self.tally.dropped += std::mem::take(&mut work.departed.dropped);
        let account = &mut self.tally.account;
        work.departed.fates.drain(..).for_each(|(fate, count)| account.add(output, fate, count));
        if let Some(output) = output {
            account.add(Some(output), RowFate::Dropped(output.clone()), std::mem::take(&mut work.departed.late));
        }
        if let Some(drops) = &mut work.departed.drops {
            drops.take(&self.partition, batch, output, self.settled, &mut self.tally.drops);
        }
        for (by, rejected) in work.departed.rejected.drain(..) {
            if batch.offset(rejected.record as usize) < self.settled {
                account.add(output, RowFate::Before, 1);
                continue;
            }
            account.add(output, RowFate::Refused(rejected.reason.kind), 1);
            self.tally.dead_letters[rejected.reason.kind as usize] += 1;
            self.judging.refused(rejected.record, rejected.reason.kind);
            if let Some(ledger) = &mut work.departed.ledger {
                ledger.refused(rejected.record, rejected.reason.kind);
            }
            work.dead_letters.push(self.plan.dead_letters.record(
                &self.partition,
                batch,
                rejected.record,
                output.map(|name| &**name),
                rejected.ordinal,
                self.revision.0,
                by.as_deref(),
                &rejected.reason,
            ));
        }
    }

    /// Writes the marker that is due, if one is, to every partition of the parts topic.
    fn write_marker(&mut self, effects: &mut Vec<Effect>) {
        let Some(topic) = self.plan.parts_topic().cloned() else { return };
        let Some(word) = self.closings.next_marker(self.vouched) else { return };
        let value = encode_marker(&Marker {
            topic: &self.partition.topic,
            partition: self.partition.number,
            partitions: self.plan.partitions_of(&self.partition),
            parts_partitions: self.plan.topology.parts_partitions,
            watermark_micros: word.watermark.micros(),
            idle: word.idle,
            revision: self.revision,
        });
        let message = |partition| Message {
            topic: topic.clone(),
            partition: Some(partition),
            key: None,
            value: Some(value.clone()),
            headers: Vec::new(),
        };
        let messages = (0..self.plan.topology.parts_partitions).map(message).collect();
        effects.push(Effect::Write { ticket: self.in_flight.open(InFlight::Marker), messages });
    }
}

/// What a batch gives on its way.
#[derive(Default)]
struct BatchWork {
    departed: Departed,
    dead_letters: Vec<Message>,
    tickets: Vec<Ticket>,
}

impl BatchWork {
    fn late(&mut self, record: u32, ordinal: u32, message: String) {
        let reason = Reason::new(ReasonKind::Late, message);
        self.departed.rejected.push((None, crate::decode::Rejected { record, ordinal, reason }));
    }
}
