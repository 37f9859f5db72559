//! A deliberate replay: the positions of a pipeline that does not run are set back, with a new revision.

use std::sync::Arc;

use crate::config::PipelineSettings;
use crate::lane::{Generations, Known, Plan, REVISION_MAX, Rewinding, RewoundSource};
use crate::record::{Commitment, EventTime, Offset, Partition, TopicId};
use crate::source::{Admin, RecordRange, TopicDescription};

use super::PipelineError;
use super::positions::{ask_store, partitions_of};

/// Where a pipeline is rewound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RewindTo {
    /// The first record that there is.
    Earliest,
    /// The first record whose Kafka timestamp is not before then.
    Time { millis: i64 },
    /// Of one partition.
    Offset(Offset),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Rewind {
    pub to: RewindTo,
    /// Only this topic, and only this partition of it; the others stay where they are.
    pub topic: Option<String>,
    pub partition: Option<i32>,
    /// Shows what would be done.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewound {
    pub group: String,
    pub revision: u16,
    /// The outputs with windows.
    pub outputs: Vec<Arc<str>>,
    pub partitions: Vec<RewoundPartition>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RewoundPartition {
    pub partition: Partition,
    /// None where the group had no position.
    pub from: Option<Offset>,
    pub to: Offset,
    /// The first window that each output emits of it, by its start; none: all.
    pub first_windows: Vec<Option<EventTime>>,
    /// It stays where it is, and its open windows with it.
    pub stays: bool,
}

/// A partition on its way.
struct Target {
    partition: Partition,
    topic_id: Option<TopicId>,
    log: (Offset, Offset),
    position: Option<(Offset, String)>,
    chosen: bool,
    to: Offset,
    /// When the record there was written, as far as it is known.
    written: Option<EventTime>,
    /// Records from here to there are looked at for their event times.
    look_from: Offset,
    seen: EventTime,
    before: EventTime,
}

impl Target {
    /// What has served, where the position is of this topic, and not of one of its name that was deleted since.
    fn generations(&self) -> Generations {
        let known = self.position.as_ref().and_then(|(_, metadata)| Known::of(metadata)).unwrap_or_default();
        match (known.topic_id, self.topic_id) {
            (Some(then), Some(now)) if then != now => Generations::default(),
            (Some(_) | None, _) => known.generations,
        }
    }
}

/// Rewinds a pipeline of which no instance runs. Nothing is changed after an error.
pub fn rewind(settings: &PipelineSettings, asked: &Rewind) -> Result<Rewound, PipelineError> {
    let rewinding = Rewinding::new(settings).map_err(PipelineError::Plan)?;
    let mut admin = Admin::new(&settings.kafka)?;
    let topics = settings.kafka.topics.iter().map(|topic| admin.describe(topic)).collect::<Result<Vec<_>, _>>()?;
    admin.require_empty_group()?;
    let parts = match Plan::parts_topic_of(settings) {
        Some(topic) => admin.find(&topic)?,
        None => None,
    };
    let mut targets = targets(&mut admin, &topics)?;
    choose(&mut targets, asked, rewinding.merges())?;
    let parts_partitions = parts.as_ref().map(partitions_of).unwrap_or_default();
    let parts_positions = admin.positions(&parts_partitions)?;
    let texts = targets.iter().filter_map(|target| target.position.as_ref()).chain(parts_positions.iter().flatten());
    let known = texts.filter_map(|(_, metadata)| Known::of(metadata)).map(|known| known.revision).max();
    let revision = known.unwrap_or_default().max(revision_of_checkpoints(settings)?) + 1;
    if revision > REVISION_MAX {
        return Err(PipelineError::Rewind(format!(
            "the pipeline has had all revisions that a document's version has room for, revision=`{REVISION_MAX}`; give it another \
             name and its outputs other indices"
        )));
    }

    aim(settings, &mut admin, &mut targets, asked)?;
    look_back(settings, &mut admin, &rewinding, &mut targets, asked)?;
    let before_any = targets.iter().map(|target| target.before).max().unwrap_or(EventTime::MIN);
    let parts_count = i32::try_from(parts_partitions.len()).unwrap_or(i32::MAX);
    let mut commitments: Vec<(Partition, Commitment)> = Vec::new();
    let mut rewound = Vec::new();
    for target in &targets {
        let stays = target.position.as_ref().filter(|(_, metadata)| !target.chosen && Known::of(metadata).is_some());
        let source = RewoundSource {
            offset: target.to,
            revision,
            topic_id: target.topic_id,
            parts_partitions: parts_count,
            seen: target.seen,
            before: target.before,
            before_any,
            stays: stays.map(|(_, metadata)| metadata.as_str()),
            generations: target.generations(),
        };
        commitments.push((target.partition.clone(), rewinding.source(&source).map_err(PipelineError::Plan)?));
        rewound.push(RewoundPartition {
            partition: target.partition.clone(),
            from: target.position.as_ref().map(|(offset, _)| *offset),
            to: target.to,
            first_windows: rewinding.first_windows(&source),
            stays: stays.is_some(),
        });
    }
    let sources: Vec<(Arc<str>, i32)> = topics.iter().map(|topic| (topic.name.as_str().into(), count(topic))).collect();
    let descriptions = parts.iter().flat_map(|topic| &topic.partitions);
    for ((partition, description), position) in parts_partitions.iter().zip(descriptions).zip(&parts_positions) {
        let known = position.as_ref().and_then(|(_, metadata)| Known::of(metadata)).unwrap_or_default();
        let position = rewinding.parts(description.log_end, revision, &sources, known.generations);
        let position = position.map_err(PipelineError::Plan)?;
        commitments.push((partition.clone(), position));
    }
    if !asked.dry_run {
        admin.commit(&commitments)?;
    }
    let outputs = rewinding.outputs().cloned().collect();
    Ok(Rewound { group: settings.kafka.group.clone(), revision, outputs, partitions: rewound })
}

fn count(topic: &TopicDescription) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}

/// All source partitions, where they are.
fn targets(admin: &mut Admin, topics: &[TopicDescription]) -> Result<Vec<Target>, PipelineError> {
    let mut targets = Vec::new();
    for topic in topics {
        let partitions = partitions_of(topic);
        let positions = admin.positions(&partitions)?;
        for ((partition, position), it) in partitions.into_iter().zip(positions).zip(&topic.partitions) {
            let to = position.as_ref().map_or(it.log_start, |(offset, _)| *offset);
            targets.push(Target {
                partition,
                topic_id: topic.id,
                log: (it.log_start, it.log_end),
                position,
                chosen: false,
                to,
                written: None,
                look_from: to,
                seen: EventTime::MIN,
                before: EventTime::MIN,
            });
        }
    }
    Ok(targets)
}

/// Chooses the partitions that are asked for: all, where windows are merged over them.
fn choose(targets: &mut [Target], asked: &Rewind, merges: bool) -> Result<(), PipelineError> {
    let is_topic = |target: &Target| asked.topic.as_ref().is_none_or(|topic| **topic == *target.partition.topic);
    let is_number = |target: &Target| asked.partition.is_none_or(|number| number == target.partition.number);
    for target in targets.iter_mut() {
        target.chosen = is_topic(target) && is_number(target);
    }
    let chosen = targets.iter().filter(|target| target.chosen).count();
    let why = if chosen == 0 {
        let known: Vec<String> = targets.iter().map(|target| target.partition.to_string()).collect();
        format!("the pipeline reads no such partition; there are: {}", known.join(", "))
    } else if matches!(asked.to, RewindTo::Offset(_)) && chosen > 1 {
        "an offset is of one partition: name it with --partition, and with --topic where there are several".to_owned()
    } else if merges && chosen < targets.len() {
        "windows are merged over all partitions, and one that goes back alone would leave them without the records of the others; \
         leave --topic and --partition out"
            .to_owned()
    } else {
        return Ok(());
    };
    Err(PipelineError::Rewind(why))
}

/// Resolves what is asked for to offsets.
fn aim(
    settings: &PipelineSettings,
    admin: &mut Admin,
    targets: &mut [Target],
    asked: &Rewind,
) -> Result<(), PipelineError> {
    for target in targets.iter_mut().filter(|target| target.chosen) {
        let (log_start, log_end) = target.log;
        match asked.to {
            RewindTo::Earliest => target.to = log_start,
            RewindTo::Time { millis } => {
                let found = admin.offsets_at(&[(target.partition.clone(), millis)])?;
                target.to = found.into_iter().next().flatten().unwrap_or(log_end);
                target.written = Some(EventTime::from_micros(millis.saturating_mul(1000)));
            }
            RewindTo::Offset(offset) => {
                if offset < log_start || offset > log_end {
                    let partition = &target.partition;
                    return Err(PipelineError::Rewind(format!(
                        "the offset is not in the log, partition=`{partition}` offset=`{offset}` log_start=`{log_start}` log_end=`{log_end}`"
                    )));
                }
                target.to = offset;
                target.written = written_at(settings, target)?;
            }
        }
    }
    Ok(())
}

/// When the record at the offset was written; at the end of the log, the one before.
fn written_at(settings: &PipelineSettings, target: &Target) -> Result<Option<EventTime>, PipelineError> {
    let (log_start, log_end) = target.log;
    let start = if target.to == log_end { Offset((log_end.0 - 1).max(log_start.0)) } else { target.to };
    let range = RecordRange { partition: target.partition.clone(), start, end: Offset(start.0 + 1).min(log_end) };
    let mut written = None;
    Admin::new(&settings.kafka)?.read(&[range], |_, batch| written = batch.timestamp(0))?;
    Ok(written)
}

/// Finds the largest event time before each offset: of the records that may share a window with one behind it, by reading them; of those
/// that were written before, by their Kafka timestamps.
fn look_back(
    settings: &PipelineSettings,
    admin: &mut Admin,
    rewinding: &Rewinding,
    targets: &mut [Target],
    asked: &Rewind,
) -> Result<(), PipelineError> {
    if asked.to == RewindTo::Earliest {
        return Ok(());
    }
    for target in targets.iter_mut().filter(|target| target.chosen) {
        let (log_start, _) = target.log;
        let from = match target.written {
            Some(written) => {
                let millis = written.minus(rewinding.look_back()).micros().div_euclid(1000);
                let found = admin.offsets_at(&[(target.partition.clone(), millis)])?;
                found.into_iter().next().flatten().unwrap_or(target.to).min(target.to)
            }
            None => log_start,
        };
        target.look_from = from;
        target.before = match target.written {
            // Nothing was there before.
            _ if from == Offset(0) => EventTime::MIN,
            Some(written) if from > log_start => rewinding.at_most(written),
            // What was there is gone.
            Some(written) => rewinding.at_most_ahead(written),
            None => EventTime::MIN,
        };
    }
    let ranges: Vec<RecordRange> = targets
        .iter()
        .filter(|target| target.chosen)
        .map(|it| RecordRange { partition: it.partition.clone(), start: it.look_from, end: it.to })
        .collect();
    Admin::new(&settings.kafka)?.read(&ranges, |partition, batch| {
        let largest = rewinding.largest(partition, batch);
        if let Some(target) = targets.iter_mut().find(|target| target.partition == *partition) {
            target.seen = target.seen.max(largest);
        }
    })?;
    for target in targets.iter_mut() {
        target.before = target.before.max(target.seen);
    }
    Ok(())
}

/// The latest revision of a checkpoint: positions may be gone.
fn revision_of_checkpoints(settings: &PipelineSettings) -> Result<u16, PipelineError> {
    let pipeline: Arc<str> = settings.name.as_str().into();
    let latest = ask_store(settings, async |store| {
        let mut latest = 0;
        for (place, kept) in store.partitions(&pipeline).await? {
            // One that is damaged is passed over by a restart as well.
            if let Some(newest) = kept.first()
                && let Ok(header) = store.header(&place, newest).await
            {
                latest = latest.max(header.revision);
            }
        }
        Ok(latest)
    })?;
    Ok(latest.unwrap_or_default())
}
