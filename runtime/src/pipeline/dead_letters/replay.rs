//! A replay: dead letters go through the present components and settings again, with the ids and versions that their documents would have
//! had. It writes no dead letter, so it cannot go round in circles.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::reach::Reach;
use super::replay_lanes::ReplayLanes;
use super::replay_position::ReplayPosition;
use super::sending::{self, Fate, Sent};
use super::{DeadLetterTopic, FoundLetter, LetterFilter, Obstacle, Portion};
use crate::config::PipelineSettings;
use crate::pipeline::sinks::Sinks;
use crate::pipeline::{MemoryDivision, PipelineError, probe};
use crate::plugin::THREAD_STACK_BYTES;
use crate::record::{EventTime, Offset, Partition};
use crate::sink::SinkCounters;

/// How often the log says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What is asked for.
#[derive(Clone, Default, Debug)]
pub struct Replay {
    pub filter: LetterFilter,
    /// At most so many letters, the oldest.
    pub letters_max: Option<u64>,
    /// Everything but the index: nothing is sent, and no position is kept.
    pub dry_run: bool,
    /// Does not go on where an earlier replay with the same filter has ended.
    pub from_beginning: bool,
}

/// What was done, or would be.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Replayed {
    /// Letters that were looked at and fit: settled, refused and stuck together.
    pub chosen: u64,
    pub settled: u64,
    pub refused: u64,
    /// Those that cannot be replayed.
    pub stuck: BTreeMap<Obstacle, u64>,
    /// Documents for the index, by its name: written, deleted.
    pub indices: BTreeMap<String, (u64, u64)>,
    /// Documents that the index took.
    pub taken: u64,
    /// Documents of which the index had this version or a newer one.
    pub superseded: u64,
    /// Documents that the index refused and that the policy drops.
    pub dropped_by_policy: u64,
    /// Records that a filter drops now.
    pub dropped: u64,
    /// Settled letters whose records belong to these outputs as well.
    pub beside: u64,
    /// The outputs that are left out: they have windows, or update documents.
    pub left_out: Vec<String>,
    /// Messages of the topic that are no dead letters of this pipeline.
    pub foreign: u64,
    /// Where it began, if an earlier replay had come so far, and how far it has come, in the dead-letter topic.
    pub positions: Vec<(Partition, Option<Offset>, Offset)>,
    /// Letters before those where it began that an earlier replay left: they were refused again, or could not be replayed.
    pub left_before: u64,
    /// Somebody wanted it to stop before it had looked at all.
    pub stopped: bool,
    /// There are more that fit: it was to take no more.
    pub is_cut: bool,
    /// Where the next replay with the same filter begins; partitions that are not named it reads from their beginning.
    pub goes_on: Vec<(Partition, Offset)>,
}

/// Replays letters of a pipeline, whether it runs or not. `tell` is told what became of each; it is called on a thread of its own.
///
/// What does not start is an error before anything is sent. Progress is kept in a consumer group, one for each filter, and the next replay
/// with the same filter goes on there.
pub fn replay(
    settings: &PipelineSettings,
    asked: &Replay,
    stop: &AtomicBool,
    tell: &mut (dyn FnMut(&FoundLetter, &Fate) + Send),
) -> Result<Replayed, PipelineError> {
    let run = || {
        let (replaying, topic) = Replaying::start(settings, asked, stop)?;
        replaying.run(&topic, tell)
    };
    thread::scope(|scope| {
        let replaying = thread::Builder::new().name("replay".to_owned()).stack_size(THREAD_STACK_BYTES);
        let joined = replaying.spawn_scoped(scope, run).map_err(PipelineError::Thread)?.join();
        joined.unwrap_or_else(|_| Err(PipelineError::Panicked { thread: "replay".to_owned() }))
    })
}

struct Replaying<'a> {
    asked: &'a Replay,
    stop: &'a AtomicBool,
    lanes: ReplayLanes,
    reach: Reach,
    /// None in a dry run.
    sinks: Option<Sinks>,
    /// Keeps the sinks alive.
    _requests: tokio::runtime::Runtime,
    position: ReplayPosition,
    done: Replayed,
    said: Instant,
}

impl<'a> Replaying<'a> {
    fn start(
        settings: &PipelineSettings,
        asked: &'a Replay,
        stop: &'a AtomicBool,
    ) -> Result<(Self, DeadLetterTopic), PipelineError> {
        asked.filter.check()?;
        let lanes = ReplayLanes::load(settings)?;
        let requests = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("requests")
            .enable_all()
            .build()
            .map_err(PipelineError::Thread)?;
        // A secret that cannot be read is told of in a dry run too.
        let documents_bytes = MemoryDivision::of(settings.limits.memory_bytes).documents_bytes;
        let sinks = Sinks::start(settings, requests.handle(), documents_bytes)?;
        if !asked.dry_run {
            probe::indices(settings, &requests)?;
        }
        let topic = DeadLetterTopic::open_for(settings, &asked.filter)?;
        let reach = Reach::of(settings)?;
        let position = ReplayPosition::of(settings, asked, &topic.ranges)?;
        let done = Replayed {
            left_out: lanes.left_out().map(str::to_owned).collect(),
            foreign: topic.foreign(),
            positions: position.offsets().into_iter().map(|(it, at)| (it, Some(at), at)).collect(),
            left_before: position.left(),
            ..Replayed::default()
        };
        let sinks = Some(sinks).filter(|_| !asked.dry_run);
        let said = Instant::now();
        Ok((Replaying { asked, stop, lanes, reach, sinks, _requests: requests, position, done, said }, topic))
    }

    fn run(
        mut self,
        topic: &DeadLetterTopic,
        tell: &mut (dyn FnMut(&FoundLetter, &Fate) + Send),
    ) -> Result<Replayed, PipelineError> {
        let begun = self.position.offsets();
        let mut failed = None;
        topic.portions(&self.asked.filter, &begun, |portion| match self.portion(portion, tell) {
            Ok(flow) => flow,
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if !self.done.stopped && !self.done.is_cut {
            self.position.end()?;
        }
        self.done.goes_on = self.position.offsets();
        Ok(self.done)
    }

    fn portion(
        &mut self,
        mut portion: Portion,
        tell: &mut (dyn FnMut(&FoundLetter, &Fate) + Send),
    ) -> Result<ControlFlow<()>, PipelineError> {
        if self.stop.load(Relaxed) {
            self.done.stopped = true;
            return Ok(ControlFlow::Break(()));
        }
        let left = self.asked.letters_max.map(|most| usize::try_from(most - self.done.chosen).unwrap_or(usize::MAX));
        if let Some(first_left) = left.and_then(|left| portion.letters.get(left)) {
            portion.next = first_left.letter.position.offset;
            portion.letters.truncate(left.unwrap_or_default());
            self.done.is_cut = true;
        }
        let Portion { partition, letters, next } = portion;
        let sent = sending::send(&mut self.lanes, &self.reach, self.sinks.as_ref(), &letters, now(), self.stop)?;
        self.count_index();
        let settled = self.done.settled;
        if !self.count(&letters, sent, tell) {
            self.done.stopped = true;
            return Ok(ControlFlow::Break(()));
        }
        let left = letters.len() as u64 - (self.done.settled - settled);
        self.position.keep(&partition, next, left)?;
        self.reached(partition, next);
        self.say();
        Ok(if self.done.is_cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// False where the letters were not judged.
    fn count(
        &mut self,
        letters: &[FoundLetter],
        sent: Sent,
        tell: &mut (dyn FnMut(&FoundLetter, &Fate) + Send),
    ) -> bool {
        let Some(fates) = sent.fates else { return false };
        let done = &mut self.done;
        for (index, (written, deleted)) in sent.indices {
            let counts = done.indices.entry(index).or_default();
            *counts = (counts.0 + written, counts.1 + deleted);
        }
        done.dropped += sent.dropped;
        for (found, fate) in letters.iter().zip(&fates) {
            done.chosen += 1;
            match fate {
                Fate::Settled => {
                    done.settled += 1;
                    let is_of_all = found.letter.output().is_none();
                    done.beside += u64::from(is_of_all && !done.left_out.is_empty());
                }
                Fate::Refused { .. } => done.refused += 1,
                Fate::Stuck(obstacle) => *done.stuck.entry(obstacle.clone()).or_default() += 1,
            }
            tell(found, fate);
        }
        true
    }

    fn count_index(&mut self) {
        let Some(sinks) = &self.sinks else { return };
        let sum = |count: fn(&SinkCounters) -> u64| sinks.counters().map(|counters| count(&counters)).sum();
        self.done.taken = sum(|counters| counters.settled);
        self.done.superseded = sum(|counters| counters.superseded);
        self.done.dropped_by_policy = sum(|counters| counters.dropped);
    }

    fn reached(&mut self, partition: Partition, next: Offset) {
        match self.done.positions.iter_mut().find(|(known, ..)| *known == partition) {
            Some((_, _, reached)) => *reached = next,
            None => self.done.positions.push((partition, None, next)),
        }
    }

    fn say(&mut self) {
        if self.said.elapsed() < SAY_EVERY {
            return;
        }
        self.said = Instant::now();
        let Replayed { chosen, settled, refused, .. } = self.done;
        tracing::info!(chosen, settled, refused, "replaying");
    }
}

fn now() -> EventTime {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime::from_micros(i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
}
