//! Where a source lane begins, and what may be committed for it.

use std::sync::Arc;

use crate::checkpoint::{Checkpoint, CheckpointId};
use crate::lane::generations::Beginning;
use crate::lane::id::Revision;
use crate::lane::index::NameCache;
use crate::lane::judging::Judging;
use crate::lane::metadata::{SourceMetadata, emitted_of};
use crate::lane::migration::schema;
use crate::lane::plan::{AggregatePlan, Instances, Plan};
use crate::lane::settle::SettleTracker;
use crate::lane::tickets::Tickets;
use crate::lane::{Effect, LaneError, Tally};
use crate::record::{Commitment, EventTime, Offset, Partition, Resume};
use crate::window::{CONVERTED_AT_ONCE, Hold, Watermark};

use super::SourceLane;
use super::closing::Closings;
use super::folding::Folding;
use super::freezing::Freezing;

impl SourceLane {
    pub fn new(
        plan: Arc<Plan>,
        partition: Partition,
        resume: Resume,
        effects: &mut Vec<Effect>,
    ) -> Result<Self, LaneError> {
        let (next, read_max, metadata) = match resume {
            Resume::Fresh { offset } => (offset, offset, None),
            Resume::Position { offset, metadata, log_end } => {
                (offset, log_end, Some(SourceMetadata::decode(&metadata)?))
            }
        };
        let mut lane = Self::at(plan, partition, (next, read_max), metadata)?;
        lane.write_marker(effects);
        Ok(lane)
    }

    /// A lane that goes on where a checkpoint was made. What is known of earlier owners beyond it is taken from the group's position.
    pub fn restore(
        plan: Arc<Plan>,
        partition: Partition,
        resume: &Resume,
        (checkpoint, id): (&Checkpoint, CheckpointId),
        instances: &mut Instances,
        effects: &mut Vec<Effect>,
    ) -> Result<Self, LaneError> {
        let header = checkpoint.header();
        let position = std::str::from_utf8(&header.position).unwrap_or_default();
        let mut metadata = SourceMetadata::decode(position)?;
        let mut read_max = header.next;
        if let Resume::Position { metadata: committed, log_end, .. } = resume {
            metadata.learn(&SourceMetadata::decode(committed)?);
            read_max = *log_end;
        }
        metadata.checkpoint = Some(id.into());
        let watermark = EventTime::from_micros(metadata.watermark_micros);
        let mut lane = Self::at(plan, partition, (header.next, read_max), Some(metadata))?;
        lane.put_back(checkpoint)?;
        while lane.convert(CONVERTED_AT_ONCE, instances)? {}
        lane.freezing = Freezing::restored(Hold { offset: header.next, watermark }, id);
        lane.close_windows(instances, effects)?;
        lane.write_marker(effects);
        Ok(lane)
    }

    fn at(
        plan: Arc<Plan>,
        partition: Partition,
        (next, read_max): (Offset, Offset),
        metadata: Option<SourceMetadata>,
    ) -> Result<Self, LaneError> {
        metadata.iter().try_for_each(|metadata| metadata.check_topic(&plan, &partition))?;
        let now = plan.topology.parts_partitions;
        if let Some(then) = metadata.as_ref().map(|metadata| metadata.parts_partitions).filter(|then| *then != 0)
            && now != 0
            && now != then
        {
            return Err(LaneError::PartsPartitions { now, then });
        }
        // Where there is a parts topic, what is in it tells, and by name.
        if plan.parts_topic().is_none() && metadata.as_ref().is_some_and(|metadata| plan.lacks(&metadata.emitted)) {
            return Err(LaneError::RemovedOutput);
        }
        let revision = metadata.as_ref().map_or(Revision(plan.topology.revision), |metadata| metadata.revision);
        let settled = metadata.as_ref().map_or(next, |metadata| Offset(metadata.settled)).max(next);
        let mut generations = metadata.as_ref().map(|it| it.generations.clone()).unwrap_or_default();
        generations.begin(revision, Beginning { from: next, settled, read_max }, &plan.served_by);
        let saved = metadata.as_ref().map_or(i64::MIN, |metadata| metadata.watermark_micros);
        let watermark = Watermark::new(EventTime::from_micros(saved), plan.watermark.out_of_order);
        let emitted = |hash| metadata.as_ref().and_then(|metadata| emitted_of(&metadata.emitted, hash));
        let folding: Vec<Option<Folding>> = plan
            .outputs
            .iter()
            .map(|output| {
                let aggregate = output.aggregate.as_ref()?;
                Some(Folding::new(aggregate, emitted(output.hash), &watermark))
            })
            .collect();
        // Of the sessions of a checkpoint that began since E, other lanes may not know yet.
        let from_checkpoint = metadata.as_ref().is_some_and(|metadata| metadata.checkpoint.is_some());
        let told = plan.outputs.iter().zip(&folding).filter_map(|(output, folding)| {
            let aggregate = output.aggregate.as_ref()?;
            let is_told = aggregate.merged && aggregate.sessions.is_some() && from_checkpoint;
            folding.as_ref().filter(|_| is_told).map(Folding::emitted)
        });
        let vouched = told.fold(watermark.current(), EventTime::min);
        Ok(SourceLane {
            closings: Closings::new(plan.parts_topic().is_some(), vouched),
            revision,
            settled,
            generations,
            vouched,
            plan,
            partition,
            next,
            watermark,
            folding,
            tracker: SettleTracker::default(),
            judging: Judging::default(),
            freezing: Freezing::default(),
            in_flight: Tickets::default(),
            names: NameCache::default(),
            tally: Tally::default(),
        })
    }

    /// Windows as a checkpoint has them, but those that were emitted since.
    fn put_back(&mut self, checkpoint: &Checkpoint) -> Result<(), LaneError> {
        let unreadable = |why| LaneError::Checkpoint { why };
        for windows in checkpoint.windows() {
            let mut windows = windows.map_err(unreadable)?;
            let name = windows.output.clone();
            let mut window = None;
            let plan = self.plan.clone();
            let place = plan.outputs.iter().position(|output| *output.name == *name);
            let known = place.and_then(|place| {
                let (aggregate, folding) = (plan.outputs[place].aggregate.as_ref()?, self.folding[place].as_mut()?);
                Some((aggregate, folding))
            });
            let Some((aggregate, folding)) = known else {
                if plan.topology.accept_removed.contains(&name) {
                    continue;
                }
                return Err(LaneError::CheckpointOutput { output: name });
            };
            let fingerprint = checkpoint.header().fingerprints.iter().find(|one| one.output == name);
            if fingerprint.is_some_and(|one| one.fingerprint != aggregate.fingerprint) {
                return Err(LaneError::CheckpointFingerprint { output: name });
            }
            let found = windows.schema.clone();
            if found.name == aggregate.schema.name && found.version > aggregate.schema.version {
                return Err(LaneError::StateSchema {
                    output: name,
                    found: schema(&found),
                    known: schema(&aggregate.schema),
                    why: "; deploy the newer version of the component here too".to_owned(),
                });
            }
            while let Some(item) = windows.next().map_err(unreadable)? {
                if !folding.put_back(aggregate, &mut window, item) {
                    return Err(LaneError::CheckpointFingerprint { output: name });
                }
            }
            if found != aggregate.schema {
                folding.change_schema(found);
            }
        }
        Ok(())
    }

    /// What may be committed: the oldest record that something still needs, or where a checkpoint has what is needed of those before.
    pub fn commitment(&self) -> Commitment {
        let windows = self.folding.iter().flatten().fold(None, |oldest, one| Hold::older(oldest, one.hold()));
        let needed = Hold::older(Hold::older(self.tracker.hold(), self.closings.hold()), windows);
        let here = Hold { offset: self.next, watermark: self.watermark.current() };
        let needed = needed.unwrap_or(here);
        let kept = self.freezing.kept().filter(|(kept, _)| kept.offset > needed.offset);
        let position = kept.map_or(needed, |(kept, _)| kept);
        let settled = self.tracker.hold().map_or(self.next, |hold| hold.offset);
        let checkpoint = kept.map(|(_, id)| id);
        let emitted = |_: &AggregatePlan, folding: &Folding| folding.emitted();
        let metadata = self.metadata(position.watermark, settled, checkpoint, emitted);
        Commitment { offset: position.offset, metadata: metadata.encode() }
    }

    pub(super) fn metadata(
        &self,
        watermark: EventTime,
        settled: Offset,
        checkpoint: Option<CheckpointId>,
        emitted: impl Fn(&AggregatePlan, &Folding) -> EventTime,
    ) -> SourceMetadata {
        let emitted = self.plan.outputs.iter().zip(&self.folding).filter_map(|(output, folding)| {
            let (plan, folding) = (output.aggregate.as_ref()?, folding.as_ref()?);
            Some(folding.committed(output.hash, plan, emitted(plan, folding)))
        });
        SourceMetadata {
            revision: self.revision,
            watermark_micros: watermark.micros(),
            settled: settled.max(self.settled).0,
            topic_id: self.plan.topology.topic_id(&self.partition.topic).map(|id| id.0),
            parts_partitions: self.plan.topology.parts_partitions,
            emitted: emitted.collect(),
            checkpoint: checkpoint.map(Into::into),
            generations: self.generations.clone(),
        }
    }
}
