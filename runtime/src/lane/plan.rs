//! The pipeline as lanes need it: what reads what is resolved once, and shared by all.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::config::{
    OutputSettings, PipelineSettings, Tombstones, TransformSettings, WatermarkSettings, WriteOperation,
};
use crate::decode::{Decoder, Reads, Writes};
use crate::plugin::{Aggregate, Instance};
use crate::record::{Field, Kind, Operation, Partition, Ports, StateSchema, WriteOptions};
use crate::sink::{DeadLetters, GivenUpBy};

use super::LaneError;
use super::audit::Sampling;
use super::generations::{Generations, ServedBy};
use super::id::Revision;
use super::index::{IdPlan, IndexNames};
use super::ledger::Ledger;
use super::metadata::{SourceMetadata, hash_of};
use super::tap::Tap;
use super::topology::Topology;

mod aggregate;

pub(super) use aggregate::AggregatePlan;
use aggregate::aggregate_plan;

/// What the configured components of a pipeline say of themselves, in the order of the pipeline file.
#[derive(Clone, Default, Debug)]
pub struct Components {
    pub transforms: Vec<Described>,
    pub outputs: Vec<OutputComponents>,
}

#[derive(Clone, Default, Debug)]
pub struct OutputComponents {
    pub transforms: Vec<Described>,
    pub aggregate: Option<Described>,
}

impl Components {
    /// Whether any of them reads the field.
    pub fn reads(&self, path: &str) -> bool {
        let outputs = self.outputs.iter().flat_map(|output| output.transforms.iter().chain(&output.aggregate));
        self.transforms.iter().chain(outputs).any(|one| one.ports.reads.iter().any(|field| field.path == path))
    }
}

/// Names a configured component: one and the same for all its instances, and never another one's within a process.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PluginId(pub u64);

/// A configured component.
#[derive(Clone, Default, Debug)]
pub struct Described {
    pub id: PluginId,
    pub ports: Ports,
    /// Of an aggregate.
    pub state: Option<StateDescription>,
    /// The hash of its bytes.
    pub digest: String,
    /// What the component says of itself.
    pub version: String,
    /// Counted at its place since the process began.
    pub generation: u64,
    /// See [`settings_hash`](super::settings_hash).
    pub settings_hash: u16,
}

impl Described {
    fn gives_up(&self, plugin: String, is_transform: bool) -> Arc<GivenUpBy> {
        let Described { version, digest, generation, .. } = self;
        let (version, digest) = (version.clone(), digest.clone());
        Arc::new(GivenUpBy { plugin, is_transform, version, digest, generation: *generation })
    }
}

/// What an aggregate says of its states and of the fields that its documents are made with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateDescription {
    pub schema: StateSchema,
    pub emit_reads: Vec<Field>,
}

/// A worker's own instances. A plan says which of them a lane calls, so that lanes of one worker may follow different plans.
#[derive(Default)]
pub struct Instances {
    all: HashMap<PluginId, Instance>,
    /// Watches the next step.
    tap: Option<Box<Tap>>,
    /// Is told what becomes of each record.
    ledger: Option<Ledger>,
    /// What is written down of what is dropped; none: nothing.
    audit: Option<Sampling>,
}

impl Instances {
    pub fn insert(&mut self, id: PluginId, instance: Instance) {
        self.all.insert(id, instance);
    }

    /// Takes all of another set.
    pub fn extend(&mut self, more: Instances) {
        self.all.extend(more.all);
    }

    /// Drops those that no plan names any more.
    pub fn retain(&mut self, needed: impl Fn(PluginId) -> bool) {
        self.all.retain(|id, _| needed(*id));
    }

    /// Each one as another, in the order of their numbers, which is that of the pipeline file: for those who stand in between.
    pub fn map(self, mut wrap: impl FnMut(Instance) -> Instance) -> Instances {
        let mut all: Vec<(PluginId, Instance)> = self.all.into_iter().collect();
        all.sort_by_key(|(id, _)| *id);
        all.into_iter().map(|(id, instance)| (id, wrap(instance))).collect()
    }

    /// Lets lanes keep what is dropped.
    pub fn audit(&mut self, sampling: Sampling) {
        self.audit = Some(sampling);
    }

    pub(super) fn sampling(&self) -> Option<Sampling> {
        self.audit
    }

    /// Lets the next step be watched.
    pub fn watch(&mut self, tap: Tap) {
        self.tap = Some(Box::new(tap));
    }

    /// What watched.
    pub fn take_tap(&mut self) -> Option<Tap> {
        self.tap.take().map(|tap| *tap)
    }

    /// From here on what becomes of each record is written there.
    pub fn keep(&mut self, ledger: Ledger) {
        self.ledger = Some(ledger);
    }

    /// What was written there.
    pub fn take_ledger(&mut self) -> Option<Ledger> {
        self.ledger.take()
    }

    /// The tap, if it is here.
    pub(super) fn tap(&mut self, is_here: impl FnOnce(&Tap) -> bool) -> Option<&mut Tap> {
        self.tap.as_deref_mut().filter(|tap| is_here(tap))
    }

    pub(super) fn get(&mut self, id: PluginId) -> Result<&mut Instance, LaneError> {
        self.all.get_mut(&id).ok_or_else(|| LaneError::Plan(format!("there is no instance of plugin={}", id.0)))
    }

    pub(super) fn aggregate(&mut self, id: PluginId) -> Result<&mut (dyn Aggregate + 'static), LaneError> {
        match self.get(id)? {
            Instance::Aggregate(aggregate) => Ok(aggregate.as_mut()),
            Instance::Filter(_) | Instance::Enrich(_) => {
                Err(LaneError::Plan(format!("plugin={} is called as an aggregate, and is none", id.0)))
            }
        }
    }
}

impl FromIterator<(PluginId, Instance)> for Instances {
    fn from_iter<I: IntoIterator<Item = (PluginId, Instance)>>(instances: I) -> Self {
        Instances { all: instances.into_iter().collect(), tap: None, ledger: None, audit: None }
    }
}

/// The pipeline, resolved.
pub struct Plan {
    pub(super) decoder: Decoder,
    pub(super) watermark: WatermarkSettings,
    pub(super) transforms: Vec<Step>,
    pub(super) outputs: Vec<OutputPlan>,
    pub(super) dead_letters: DeadLetters,
    pub(super) topology: Topology,
    parts_topic: Option<Arc<str>>,
    /// What source lanes call, in the order of the pipeline file.
    pub(super) served_by: Arc<[ServedBy]>,
    /// What lanes of the parts topic call.
    pub(super) merged_by: Arc<[ServedBy]>,
}

/// A transform: its name, and what it reads and writes.
pub(super) struct Step {
    pub name: Arc<str>,
    /// What the dead letters that it causes say of it.
    pub by: Arc<GivenUpBy>,
    pub plugin: PluginId,
    pub reads: Reads,
    pub writes: Writes,
}

pub(super) struct OutputPlan {
    pub name: Arc<str>,
    pub hash: u64,
    pub index: IndexNames,
    pub id: IdPlan,
    /// What is done with documents of records.
    pub operation: Operation,
    pub options: Arc<WriteOptions>,
    /// The field that says on which shard a document is.
    pub routing: Option<Reads>,
    /// A record without a value deletes the document that its key names.
    pub deletes: bool,
    pub transforms: Vec<Step>,
    pub aggregate: Option<AggregatePlan>,
}

impl Plan {
    pub fn new(settings: &PipelineSettings, components: &Components, topology: Topology) -> Result<Plan, LaneError> {
        let paths = paths(settings, components);
        let decoder = Decoder::new(&settings.decode, paths.iter().map(String::as_str)).map_err(plan_error)?;
        let step = |name: &str, described: &Described| -> Result<Step, LaneError> {
            Ok(Step {
                name: name.into(),
                by: described.gives_up(name.to_owned(), true),
                plugin: described.id,
                reads: decoder.reads(&described.ports.reads).map_err(plan_error)?,
                writes: decoder.writes(&described.ports.writes).map_err(plan_error)?,
            })
        };
        let steps = |settings: &[TransformSettings], described: &[Described]| -> Result<Vec<Step>, LaneError> {
            settings.iter().zip(described).map(|(settings, described)| step(&settings.name, described)).collect()
        };
        let mut outputs = Vec::new();
        for (output, described) in settings.outputs.iter().zip(&components.outputs) {
            let aggregate = match (&output.aggregate, &described.aggregate) {
                (Some(aggregate), Some(described)) => {
                    Some(aggregate_plan(&decoder, &output.name, aggregate, described)?)
                }
                (None, _) | (_, None) => None,
            };
            outputs.push(OutputPlan {
                name: output.name.as_str().into(),
                hash: hash_of(&output.name),
                index: IndexNames::new(&decoder, &output.index)?,
                id: IdPlan::new(&decoder, output.id.as_ref())?,
                operation: match output.operation {
                    WriteOperation::Index => Operation::Index,
                    WriteOperation::Create => Operation::Create,
                    WriteOperation::Update | WriteOperation::Script(_) => Operation::Update,
                },
                options: Arc::new(WriteOptions {
                    sink: settings.sink_of(output),
                    pipeline: output.pipeline.clone(),
                    script: match &output.operation {
                        WriteOperation::Script(script) => Some(script.clone()),
                        WriteOperation::Index | WriteOperation::Create | WriteOperation::Update => None,
                    },
                }),
                routing: output.routing.as_deref().map(|path| routing(&decoder, path)).transpose()?,
                deletes: output.tombstones == Tombstones::Delete,
                transforms: steps(&output.transforms, &described.transforms)?,
                aggregate,
            });
        }
        let transforms = steps(&settings.transforms, &components.transforms)?;
        let (served_by, merged_by) = served_by(&transforms, &outputs, components);
        Ok(Plan {
            transforms,
            served_by,
            merged_by,
            watermark: settings.watermark,
            dead_letters: DeadLetters::new(&settings.name, &settings.dead_letters.topic),
            parts_topic: Self::parts_topic_of(settings).map(Into::into),
            decoder,
            outputs,
            topology,
        })
    }

    /// The parts topic of a pipeline, where an aggregate merges over partitions.
    pub fn parts_topic_of(settings: &PipelineSettings) -> Option<String> {
        let merges = |output: &OutputSettings| output.aggregate.as_ref().is_some_and(|one| !one.partitioned_by_group);
        settings.outputs.iter().any(merges).then(|| format!("{}.parts", settings.name))
    }

    pub fn pipeline(&self) -> &Arc<str> {
        self.dead_letters.pipeline()
    }

    pub fn parts_topic(&self) -> Option<&Arc<str>> {
        self.parts_topic.as_ref()
    }

    /// What is committed with a first position, before any record was read.
    pub fn initial_metadata(&self) -> String {
        SourceMetadata {
            revision: Revision(self.topology.revision),
            watermark_micros: i64::MIN,
            settled: 0,
            topic_id: None,
            parts_partitions: self.topology.parts_partitions,
            emitted: self.outputs.iter().filter_map(OutputPlan::not_emitted).collect(),
            checkpoint: None,
            generations: Generations::default(),
        }
        .encode()
    }

    /// The instances that its lanes call.
    pub fn plugins(&self) -> impl Iterator<Item = PluginId> {
        let of_output = |output: &'_ OutputPlan| {
            let transforms = output.transforms.iter().map(|step| step.plugin);
            transforms.chain(output.aggregate.iter().map(|aggregate| aggregate.plugin)).collect::<Vec<_>>()
        };
        self.transforms.iter().map(|step| step.plugin).chain(self.outputs.iter().flat_map(of_output))
    }

    pub(super) fn partitions_of(&self, partition: &Partition) -> i32 {
        let known =
            self.topology.sources.iter().find(|(topic, _)| *topic == partition.topic).map_or(0, |(_, count)| *count);
        known.max(partition.number + 1)
    }

    /// Whether a position knows windows of an output that has none any more, and that nobody has given up.
    pub(super) fn lacks(&self, emitted: &[super::metadata::Emitted]) -> bool {
        let has = |hash| self.outputs.iter().any(|output| output.hash == hash && output.aggregate.is_some());
        let given_up = |hash| self.topology.accept_removed.iter().any(|name| hash_of(name) == hash);
        emitted.iter().any(|emitted| !has(emitted.output) && !given_up(emitted.output))
    }

    pub fn watermark(&self) -> &WatermarkSettings {
        &self.watermark
    }

    pub(super) fn idle_grace(&self) -> Duration {
        self.watermark.idle_grace
    }
}

impl OutputPlan {
    fn not_emitted(&self) -> Option<super::metadata::Emitted> {
        self.aggregate.as_ref().map(|_| super::metadata::Emitted::nothing(self.hash))
    }
}

/// What source lanes call, and what lanes of the parts topic do.
fn served_by(
    transforms: &[Step],
    outputs: &[OutputPlan],
    components: &Components,
) -> (Arc<[ServedBy]>, Arc<[ServedBy]>) {
    let of_steps = |steps: &[Step], described: &[Described], output: Option<&str>| -> Vec<ServedBy> {
        let of_step = |(step, described): (&Step, &Described)| ServedBy::new(&step.by, output, described.settings_hash);
        steps.iter().zip(described).map(of_step).collect()
    };
    let (mut served, mut merged) = (of_steps(transforms, &components.transforms, None), Vec::new());
    for (output, described) in outputs.iter().zip(&components.outputs) {
        let name = Some(&*output.name);
        served.extend(of_steps(&output.transforms, &described.transforms, name));
        if let (Some(plan), Some(described)) = (&output.aggregate, &described.aggregate) {
            let by = ServedBy::new(&plan.by, name, described.settings_hash);
            merged.extend(plan.merged.then(|| by.clone()));
            served.push(by);
        }
    }
    (served.into(), merged.into())
}

fn plan_error(error: impl std::fmt::Display) -> LaneError {
    LaneError::Plan(error.to_string())
}

fn routing(decoder: &Decoder, path: &str) -> Result<Reads, LaneError> {
    let field = Field { path: path.to_owned(), kind: Kind::Text, required: true };
    decoder.reads(&[field]).map_err(plan_error)
}

/// Every path that anybody reads or writes, so that the decoder looks for them and nothing else.
fn paths(settings: &PipelineSettings, components: &Components) -> Vec<String> {
    fn add(paths: &mut Vec<String>, described: &Described) {
        paths.extend(described.ports.reads.iter().chain(&described.ports.writes).map(|field| field.path.clone()));
    }
    let mut paths = vec![settings.decode.event_time.clone()];
    components.transforms.iter().for_each(|described| add(&mut paths, described));
    for output in &components.outputs {
        output.transforms.iter().for_each(|described| add(&mut paths, described));
        if let Some(described) = &output.aggregate {
            paths.extend(described.ports.reads.iter().map(|field| field.path.clone()));
        }
    }
    for output in &settings.outputs {
        paths.extend(output.aggregate.iter().flat_map(|aggregate| aggregate.group_by.iter().cloned()));
        paths.extend(IndexNames::paths(&output.index));
        paths.extend(output.routing.clone());
        paths.extend(output.id.iter().flat_map(|id| std::iter::once(&id.field).chain(&id.version)).cloned());
    }
    paths
}
