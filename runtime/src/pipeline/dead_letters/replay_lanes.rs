//! The lanes that records of dead letters go through again: real ones, with the present components, and only with outputs that have no
//! windows.

use std::sync::Arc;

use hashbrown::HashMap;

use super::FoundLetter;
use super::obstacle::Obstacle;
use super::reach::Reach;
use crate::config::{OnBreaker, OnTrap, OutputSettings, PipelineSettings, WriteOperation, plugins_of};
use crate::lane::{Components, Effect, Event, Instances, Lane, Plan, Tally, Topology};
use crate::pipeline::{Loader, PipelineError, Plugins};
use crate::record::{BatchBuilder, DocumentBatch, EventTime, Message, Offset, Origin, Partition, Resume, WriteOptions};
use crate::sink::dead_letter::{INDEX, TIMESTAMP, VERSION};
use crate::sink::{Letter, Subject};
use crate::source::OMITTED_HEADER;

/// The outputs that records go through: one, by its place, or all.
type Selection = Option<usize>;

/// Makes them.
pub(super) struct ReplayLanes {
    /// All that the pipeline file has.
    outputs: Vec<OutputSettings>,
    /// Without the outputs that are left out.
    settings: PipelineSettings,
    components: Components,
    instances: Instances,
    plans: HashMap<(Selection, u16), Arc<Plan>>,
}

/// Where a letter goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Route {
    /// Through a lane, at this offset.
    Lane { lane: LaneKey, offset: Offset },
    /// To the index as it is, with this version.
    Index { index: String, version: u64, options: WriteOptions },
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct LaneKey {
    pub partition: Partition,
    pub revision: u16,
    pub selection: Selection,
}

/// Records of letters on their way.
pub(super) struct ReplayRun {
    lane: Lane,
    partition: Partition,
    /// Places of the letters.
    pub letters: Vec<usize>,
    /// What the lane has for the index.
    pub effects: Vec<Effect>,
    /// What components or the index refused, as the dead letters that the lane would write.
    pub refused: Vec<Letter>,
    pub tally: Tally,
}

impl ReplayLanes {
    /// Loads the components; those of outputs with windows are not needed.
    pub fn load(settings: &PipelineSettings) -> Result<ReplayLanes, PipelineError> {
        let mut settings = settings.clone();
        let outputs = settings.outputs.clone();
        settings.outputs.retain(|output| !is_left_out(output));
        // What breaks a component again is refused again, and the others are replayed.
        for plugin in plugins_of(&mut settings) {
            plugin.on_breaker = OnBreaker::GoOn;
            if plugin.on_trap == OnTrap::Stop {
                plugin.on_trap = OnTrap::DeadLetter;
            }
        }
        let plugins = Plugins::load(&settings, &mut Loader::default())?;
        let mut lanes = ReplayLanes {
            outputs,
            components: plugins.describe(),
            instances: plugins.instantiate()?,
            settings,
            plans: HashMap::new(),
        };
        lanes.plan(None, 0)?;
        Ok(lanes)
    }

    /// The outputs that nothing is given to: they have windows, or update documents.
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().filter(|output| is_left_out(output)).map(|output| output.name.as_str())
    }

    /// Where a letter goes, or what is in the way.
    pub fn route(&self, letter: &Letter, reach: &Reach) -> Result<Route, Obstacle> {
        let output_of = |name: &str| {
            let output = self.outputs.iter().find(|it| it.name == name);
            output.ok_or_else(|| Obstacle::UnknownOutput(name.to_owned()))
        };
        let is_omitted = letter.text(OMITTED_HEADER).is_some();
        match letter.subject() {
            Subject::Unknown => Err(Obstacle::Unknown),
            Subject::Part { output } => Err(output_of(output).err().unwrap_or(Obstacle::LatePart)),
            Subject::Document { output, .. } => {
                let output = output_of(output)?;
                if letter.reason() != "sink" {
                    return Err(Obstacle::NotMade);
                }
                if is_omitted || letter.value.is_none() {
                    return Err(Obstacle::Omitted);
                }
                let version = letter.number(VERSION).ok_or(Obstacle::NoVersion)?;
                reach.check_version(version)?;
                let index = letter.text(INDEX).ok_or(Obstacle::Unknown)?.to_owned();
                let options = WriteOptions {
                    sink: self.settings.sink_of(output),
                    pipeline: output.pipeline.clone(),
                    script: None,
                };
                Ok(Route::Index { index, version, options })
            }
            Subject::Record { origin, output, .. } => {
                let selection = match output {
                    Some(name) => {
                        let output = output_of(name)?;
                        self.settings.outputs.iter().position(|it| it.name == name).ok_or(obstacle_of(output))?.into()
                    }
                    None if self.settings.outputs.is_empty() => {
                        let has_windows = self.outputs.iter().any(|output| output.aggregate.is_some());
                        return Err(if has_windows { Obstacle::Windows } else { Obstacle::Updates });
                    }
                    None => None,
                };
                // Without its value it would be a deletion.
                if is_omitted {
                    return Err(Obstacle::Omitted);
                }
                let revision = reach.revision_of(letter)?;
                reach.check_origin(&origin)?;
                let Origin { partition, offset } = origin;
                Ok(Route::Lane { lane: LaneKey { partition, revision, selection }, offset })
            }
        }
    }

    /// Gives a lane the records of these letters, whose offsets ascend; two of one record are one.
    pub fn run(
        &mut self,
        key: LaneKey,
        letters: &[FoundLetter],
        places: Vec<(Offset, usize)>,
        now: EventTime,
    ) -> Result<ReplayRun, PipelineError> {
        let plan = self.plan(key.selection, key.revision)?;
        let mut batch = BatchBuilder::new(now);
        let mut last = None;
        for (offset, place) in &places {
            if last.replace(*offset) != Some(*offset) {
                push(&mut batch, *offset, &letters[*place].letter);
            }
        }
        let partition = key.partition;
        let failed = |error| PipelineError::Lane { partition: partition.clone(), error };
        let mut effects = Vec::new();
        let resume = Resume::Fresh { offset: places.first().map_or(Offset(0), |(offset, _)| *offset) };
        let mut lane = Lane::new(plan, partition.clone(), resume, &mut effects).map_err(failed)?;
        let batch = Event::Batch(Arc::new(batch.finish()));
        lane.step(batch, &mut self.instances, &mut effects).map_err(failed)?;
        let mut run = ReplayRun {
            tally: lane.take_tally(),
            lane,
            partition,
            letters: places.into_iter().map(|(_, place)| place).collect(),
            effects,
            refused: Vec::new(),
        };
        run.keep_refused();
        Ok(run)
    }

    /// Tells a lane what became of its documents.
    pub fn answer(&mut self, run: &mut ReplayRun, event: Event) -> Result<(), PipelineError> {
        let failed = |error| PipelineError::Lane { partition: run.partition.clone(), error };
        run.lane.step(event, &mut self.instances, &mut run.effects).map_err(failed)?;
        run.keep_refused();
        Ok(())
    }

    fn plan(&mut self, selection: Selection, revision: u16) -> Result<Arc<Plan>, PipelineError> {
        if let Some(plan) = self.plans.get(&(selection, revision)) {
            return Ok(plan.clone());
        }
        let (mut settings, mut components) = (self.settings.clone(), self.components.clone());
        if let Some(place) = selection {
            settings.outputs = vec![settings.outputs.swap_remove(place)];
            components.outputs = vec![components.outputs.swap_remove(place)];
        }
        let topology = Topology { revision, ..Topology::default() };
        let plan = Arc::new(Plan::new(&settings, &components, topology).map_err(PipelineError::Plan)?);
        self.plans.insert((selection, revision), plan.clone());
        Ok(plan)
    }
}

/// Windows that have closed would have to be written anew, and an older record would be written over newer ones.
fn is_left_out(output: &OutputSettings) -> bool {
    output.aggregate.is_some() || matches!(output.operation, WriteOperation::Update | WriteOperation::Script(_))
}

/// Why an output is left out.
fn obstacle_of(output: &OutputSettings) -> Obstacle {
    if output.aggregate.is_some() { Obstacle::Windows } else { Obstacle::Updates }
}

impl ReplayRun {
    /// Nothing is written: what is refused stays where it is.
    fn keep_refused(&mut self) {
        let is_message = |effect: &mut Effect| matches!(effect, Effect::Write { .. });
        let messages = self.effects.extract_if(.., is_message).flat_map(|effect| match effect {
            Effect::Write { messages, .. } => messages,
            Effect::Index { .. } | Effect::Save { .. } => Vec::<Message>::new(),
        });
        self.refused.extend(messages.filter_map(Letter::unwritten));
    }
}

/// The record as it was.
fn push(batch: &mut BatchBuilder, offset: Offset, letter: &Letter) {
    let millis: Option<i64> = letter.number(TIMESTAMP);
    let timestamp = millis.map(|millis| EventTime::from_micros(millis.saturating_mul(1000)));
    batch.push(offset, timestamp, letter.key.as_deref(), letter.value.as_deref());
    for (name, value) in letter.own() {
        batch.header(name.as_bytes(), value.as_deref());
    }
}

/// A window's document as it was.
pub(super) fn push_document(documents: &mut DocumentBatch, letter: &Letter, index: &str, version: u64) {
    let (Subject::Document { id, .. }, Some(body)) = (letter.subject(), &letter.value) else { return };
    documents.push(&index.into(), id, version, |bytes| bytes.extend_from_slice(body));
}
