//! A pipeline in virtual time: the real components and lanes on one thread, with a log and an index in memory around them.
//! It has no network, no clock and no waiting, and one order of things: what follows from a batch is done before the next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::PipelineError;
use super::components::{Loader, Plugins};
use crate::config::PipelineSettings;
use crate::lane::{Effect, Event, Instances, Lane, Plan, Tally, Topology};
use crate::record::{BatchBuilder, Commitment, EventTime, Message, Offset, Partition, RecordBatch, Resume};

mod cut;
mod deploy;
mod index;

pub use index::VirtualIndex;

use cut::{Cut, Growing};

/// Partitions of the parts topic: more than one, so that what is split over them shows.
const PARTS_PARTITIONS: i32 = 2;

/// A record of a topic in memory. It is received at the moment of its timestamp.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct VirtualRecord {
    pub timestamp: Option<EventTime>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A pipeline, the topics that it reads and writes, and its index.
pub struct VirtualPipeline {
    plan: Arc<Plan>,
    /// What the pipeline began with, and what can be deployed after it, in order.
    plans: Vec<Arc<Plan>>,
    deployed: usize,
    settings: PipelineSettings,
    topology: Topology,
    instances: Instances,
    /// Source topics and the parts topic.
    topics: BTreeMap<Partition, Vec<VirtualRecord>>,
    committed: BTreeMap<Partition, Commitment>,
    lanes: BTreeMap<Partition, Lane>,
    /// What the lanes are to be told, in order.
    events: VecDeque<(Partition, Event)>,
    cut: Cut,
    /// Records at the end of a partition that its lane was not told of yet: from which offset on.
    gathered: Option<(Partition, usize, Growing)>,
    /// The timestamp of the newest record that a lane was told of.
    now: EventTime,
    index: VirtualIndex,
    dead_letters: Vec<Message>,
    tally: Tally,
}

impl VirtualPipeline {
    /// Loads the components and starts a lane for each partition; every source topic has as many. Up to `batch_records`
    /// records that follow each other in a partition are a batch.
    pub fn start(
        settings: &PipelineSettings,
        partitions: i32,
        batch_records: usize,
        loader: &mut Loader,
    ) -> Result<Self, PipelineError> {
        Self::of(settings, &Plugins::load(settings, loader)?, partitions, batch_records)
    }

    /// As [`VirtualPipeline::start`], of plugins that are loaded.
    pub fn of(
        settings: &PipelineSettings,
        plugins: &Plugins,
        partitions: i32,
        batch_records: usize,
    ) -> Result<Self, PipelineError> {
        let sources = settings.kafka.topics.iter().map(|topic| (topic.as_str().into(), partitions)).collect();
        Self::over(settings, plugins, Topology { sources, ..Topology::default() }, batch_records)
    }

    /// As [`VirtualPipeline::of`], over source topics as they are; the parts topic is another one.
    pub(super) fn over(
        settings: &PipelineSettings,
        plugins: &Plugins,
        mut topology: Topology,
        batch_records: usize,
    ) -> Result<Self, PipelineError> {
        let parts_topic = Plan::parts_topic_of(settings);
        topology.parts_partitions = if parts_topic.is_some() { PARTS_PARTITIONS } else { 0 };
        let mut topics = BTreeMap::new();
        for (topic, partitions) in &topology.sources {
            topics.extend((0..*partitions).map(|number| (Partition::new(topic, number), Vec::new())));
        }
        if let Some(topic) = &parts_topic {
            topics.extend((0..PARTS_PARTITIONS).map(|number| (Partition::new(topic, number), Vec::new())));
        }
        let described = plugins.describe();
        let cut = Cut::new(batch_records, described.reads("$received"));
        let plan = Arc::new(Plan::new(settings, &described, topology.clone()).map_err(PipelineError::Plan)?);
        let mut pipeline = VirtualPipeline {
            plan: plan.clone(),
            plans: vec![plan],
            deployed: 0,
            settings: settings.clone(),
            topology,
            instances: plugins.instantiate()?,
            topics,
            committed: BTreeMap::new(),
            lanes: BTreeMap::new(),
            events: VecDeque::new(),
            cut,
            gathered: None,
            now: EventTime::from_micros(0),
            index: VirtualIndex::default(),
            dead_letters: Vec::new(),
            tally: Tally::default(),
        };
        pipeline.begin()?;
        Ok(pipeline)
    }

    /// Appends a record to a source topic. Its lane is told when its batch is full, or when something else happens.
    pub fn record(&mut self, partition: &Partition, record: VirtualRecord) -> Result<(), PipelineError> {
        let joins = match &mut self.gathered {
            Some((gathered, _, batch)) => gathered == partition && self.cut.add(batch, &record),
            None => false,
        };
        if !joins {
            self.settle()?;
            let (end, mut batch) = (self.topics.get(partition).map_or(0, Vec::len), Growing::default());
            self.cut.add(&mut batch, &record);
            self.gathered = Some((partition.clone(), end, batch));
        }
        self.topics.entry(partition.clone()).or_default().push(record);
        Ok(())
    }

    /// Hands a batch over as it is, with its offsets: no log has it, so a restart does not read it again.
    pub(crate) fn batch(&mut self, partition: &Partition, batch: Arc<RecordBatch>) -> Result<(), PipelineError> {
        self.events.push_back((partition.clone(), Event::Batch(batch)));
        self.settle()
    }

    /// Closes all windows, as if their time had come.
    pub(crate) fn finish(&mut self) -> Result<(), PipelineError> {
        let partitions: Vec<Partition> = self.lanes.keys().cloned().collect();
        for partition in partitions {
            let Some(lane) = self.lanes.get_mut(&partition) else { continue };
            let mut effects = Vec::new();
            lane.finish(&mut self.instances, &mut effects)
                .map_err(|error| PipelineError::Lane { partition: partition.clone(), error })?;
            self.perform(&partition, effects);
        }
        self.settle()
    }

    /// The partition is at its end, and nothing came for `idle_after`.
    pub fn idle(&mut self, partition: &Partition) -> Result<(), PipelineError> {
        self.settle()?;
        self.events.push_back((partition.clone(), Event::Idle));
        self.settle()
    }

    /// Nothing was read or written yet, but the instances have done all this before.
    pub fn begin_again(&mut self) -> Result<(), PipelineError> {
        self.topics.values_mut().for_each(Vec::clear);
        self.committed.clear();
        self.gathered = None;
        self.now = EventTime::from_micros(0);
        self.index = VirtualIndex::default();
        self.dead_letters.clear();
        self.tally = Tally::default();
        self.deployed = 0;
        self.plan = self.plans.first().expect("it began with one").clone();
        self.begin()
    }

    /// The process dies once it has done what there was to do, and another one begins at the committed positions.
    pub fn restart(&mut self) -> Result<(), PipelineError> {
        self.settle()?;
        self.begin()
    }

    fn begin(&mut self) -> Result<(), PipelineError> {
        self.lanes.clear();
        self.events.clear();
        let partitions: Vec<Partition> = self.topics.keys().cloned().collect();
        for partition in partitions {
            let resume = match self.committed.get(&partition) {
                Some(Commitment { offset, metadata }) => {
                    Resume::Position { offset: *offset, metadata: metadata.clone(), log_end: *offset }
                }
                None => Resume::Fresh { offset: Offset(0) },
            };
            let (Resume::Fresh { offset: from } | Resume::Position { offset: from, .. }) = resume;
            let end = self.topics[&partition].len();
            let mut effects = Vec::new();
            let lane = Lane::new(self.plan.clone(), partition.clone(), resume, &mut effects)
                .map_err(|error| PipelineError::Lane { partition: partition.clone(), error })?;
            self.lanes.insert(partition.clone(), lane);
            let mut next = usize::try_from(from.0).unwrap_or(0);
            while next < end {
                let batch = self.read(&partition, next, next + self.cut.first(&self.topics[&partition][next..]));
                next += batch.len();
                self.events.push_back((partition.clone(), Event::Batch(Arc::new(batch))));
            }
            self.perform(&partition, effects);
        }
        self.settle()
    }

    /// The components at work, for those who want to stand between them and the lanes.
    pub fn instances(&mut self) -> &mut Instances {
        &mut self.instances
    }

    pub fn index(&self) -> &VirtualIndex {
        &self.index
    }

    /// In the order in which they were written; one may be there twice.
    pub fn dead_letters(&self) -> &[Message] {
        &self.dead_letters
    }

    /// Those that were written since the last call.
    pub(super) fn take_dead_letters(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.dead_letters)
    }

    /// What windows close by: of those that are merged over partitions, or of those of a partition alone.
    pub(super) fn closed_through(&self, partition: Option<&Partition>) -> EventTime {
        let is_wanted = |known: &Partition| match partition {
            Some(partition) => known == partition,
            None => self.plan.parts_topic() == Some(&known.topic),
        };
        let wanted = self.lanes.iter().filter(|(known, _)| is_wanted(known));
        wanted.map(|(_, lane)| lane.status().watermark).min().unwrap_or(EventTime::MIN)
    }

    /// What all lanes have counted, those before a restart included.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Tells the lanes all that there is to tell, and commits what they allow.
    pub fn settle(&mut self) -> Result<(), PipelineError> {
        if let Some((partition, from, _)) = self.gathered.take() {
            let end = self.topics[&partition].len();
            self.now = self.topics[&partition][from..].iter().rev().find_map(|one| one.timestamp).unwrap_or(self.now);
            let batch = self.read(&partition, from, end);
            self.events.push_back((partition, Event::Batch(Arc::new(batch))));
        }
        while let Some((partition, event)) = self.events.pop_front() {
            let Some(lane) = self.lanes.get_mut(&partition) else { continue };
            let mut effects = Vec::new();
            lane.step(event, &mut self.instances, &mut effects)
                .map_err(|error| PipelineError::Lane { partition: partition.clone(), error })?;
            if let Some(error) = lane.blocked().cloned() {
                return Err(PipelineError::Lane { partition, error });
            }
            self.tally.add(&lane.take_tally());
            self.perform(&partition, effects);
        }
        for (partition, lane) in &self.lanes {
            let commitment =
                lane.commitment().map_err(|error| PipelineError::Lane { partition: partition.clone(), error })?;
            self.committed.insert(partition.clone(), commitment);
        }
        Ok(())
    }

    fn perform(&mut self, partition: &Partition, effects: Vec<Effect>) {
        for effect in effects {
            let answer = effect.went_well();
            match effect {
                Effect::Index { documents, .. } => self.index.apply(&documents),
                Effect::Write { messages, .. } => messages.into_iter().for_each(|message| self.write(message)),
                Effect::Save { .. } => {}
            }
            self.events.push_back((partition.clone(), answer));
        }
    }

    /// What is not for the parts topic is a dead letter.
    fn write(&mut self, message: Message) {
        let Some(number) = message.partition.filter(|_| self.plan.parts_topic() == Some(&message.topic)) else {
            return self.dead_letters.push(message);
        };
        let Message { topic, key, value, headers, .. } = message;
        let record = VirtualRecord { timestamp: Some(self.now), key, value, headers };
        self.append(&Partition { topic, number }, record);
    }

    /// A message of the parts topic, which is a batch of its own.
    fn append(&mut self, partition: &Partition, record: VirtualRecord) {
        let log = self.topics.entry(partition.clone()).or_default();
        log.push(record);
        let end = log.len();
        // A lane that is not there yet reads it when it begins.
        if self.lanes.contains_key(partition) {
            let batch = self.read(partition, end - 1, end);
            self.events.push_back((partition.clone(), Event::Batch(Arc::new(batch))));
        }
    }

    fn read(&self, partition: &Partition, from: usize, to: usize) -> RecordBatch {
        let records = &self.topics[partition][from..to];
        let received = records.iter().find_map(|record| record.timestamp).unwrap_or(self.now);
        let mut builder = BatchBuilder::new(received);
        for (offset, record) in (from..).zip(records) {
            let offset = Offset(i64::try_from(offset).expect("a log in memory is not that long"));
            builder.push(offset, record.timestamp, record.key.as_deref(), record.value.as_deref());
            for (name, value) in &record.headers {
                builder.header(name.as_bytes(), value.as_deref());
            }
        }
        builder.finish()
    }
}
