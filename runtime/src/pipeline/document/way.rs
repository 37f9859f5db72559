//! The way of one record to one output, step by step, with the present components.

use std::sync::Arc;

use serde_json::Value;

use super::StepReport;
use super::changes::{changes, told};
use crate::config::PipelineSettings;
use crate::lane::{Effect, Event, Instances, Lane, Plan, Sample, Tap, TapPlace, TapVerdict, Topology};
use crate::pipeline::{PipelineError, Plugins};
use crate::record::{DocumentBatch, Operation, Partition, RecordBatch, Resume};
use crate::sink::Letter;

/// A record may be split into so many rows that are looked at.
const ROWS_MAX: usize = 16;

/// What becomes of a record now.
pub(super) struct Way {
    pub steps: Vec<StepReport>,
    pub documents: Vec<DocumentBatch>,
    pub refused: Vec<Letter>,
}

impl Way {
    /// The JSON of the document with this id; none where none is made, or it is deleted.
    pub fn body(&self, id: &str) -> Option<Value> {
        let mut documents = self.documents.iter().flat_map(|batch| batch.iter());
        let document = documents.find(|it| it.id == id && it.operation != Operation::Delete)?;
        serde_json::from_slice(document.body).ok()
    }

    pub fn has(&self, id: &str) -> bool {
        self.documents.iter().flat_map(|batch| batch.iter()).any(|document| document.id == id)
    }
}

/// The way to one output without windows: `settings` have no other.
pub(super) fn way(
    settings: &PipelineSettings,
    topology: &Topology,
    plugins: &Plugins,
    partition: &Partition,
    batch: &Arc<RecordBatch>,
) -> Result<Way, PipelineError> {
    let plan = Arc::new(Plan::new(settings, &plugins.describe(), topology.clone()).map_err(PipelineError::Plan)?);
    let mut instances = plugins.instantiate()?;
    let mut places = vec![("decode".to_owned(), TapPlace::Decode)];
    let of_output = settings.outputs.iter().flat_map(|output| &output.transforms);
    let transforms = settings.transforms.iter().chain(of_output);
    places.extend(transforms.map(|it| (it.name.clone(), TapPlace::Transform(it.name.clone()))));
    let mut way = Way { steps: Vec::new(), documents: Vec::new(), refused: Vec::new() };
    for (place, tap) in places {
        let (samples, effects) = watched(&plan, &mut instances, partition, batch, tap)?;
        way.steps.extend(samples.iter().map(|sample| step(&place, sample)));
        // All runs give the same.
        (way.documents, way.refused) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Index { documents, .. } => way.documents.push(documents),
                Effect::Write { messages, .. } => {
                    way.refused.extend(messages.into_iter().filter_map(Letter::unwritten))
                }
                Effect::Save { .. } => {}
            }
        }
    }
    Ok(way)
}

/// A lane of its own takes the batch, with a tap at one place.
fn watched(
    plan: &Arc<Plan>,
    instances: &mut Instances,
    partition: &Partition,
    batch: &Arc<RecordBatch>,
    place: TapPlace,
) -> Result<(Vec<Sample>, Vec<Effect>), PipelineError> {
    let failed = |error| PipelineError::Lane { partition: partition.clone(), error };
    let resume = Resume::Fresh { offset: batch.offset(0) };
    let mut effects = Vec::new();
    let mut lane = Lane::new(plan.clone(), partition.clone(), resume, &mut effects).map_err(failed)?;
    effects.clear();
    instances.watch(Tap::new(place, None, ROWS_MAX, ROWS_MAX));
    lane.step(Event::Batch(batch.clone()), instances, &mut effects).map_err(failed)?;
    let samples = instances.take_tap().map(|tap| tap.take().0).unwrap_or_default();
    Ok((samples, effects))
}

fn step(place: &str, sample: &Sample) -> StepReport {
    let (verdict, what) = match &sample.verdict {
        TapVerdict::Kept(after) if after.is_empty() => ("kept", String::new()),
        TapVerdict::Kept(after) => {
            let before: Value = serde_json::from_slice(&sample.record).unwrap_or_default();
            let told_of = |after: &Vec<u8>| {
                let after: Value = serde_json::from_slice(after).unwrap_or_default();
                told(&changes(&before, &after))
            };
            let all: Vec<String> = after.iter().map(told_of).collect();
            (if all.len() > 1 { "split" } else { "changed" }, all.join("; "))
        }
        TapVerdict::Dropped => ("dropped", String::new()),
        TapVerdict::Rejected(reason) => ("refused", format!("{}: {}", reason.kind, reason.message)),
        TapVerdict::Tombstone => ("without a value", String::new()),
        TapVerdict::Folded(window) => ("folded", format!("the last window is {} to {}", window.start, window.end)),
        TapVerdict::Ended(window) => ("late", format!("the window {} to {} had ended", window.start, window.end)),
    };
    StepReport { place: place.to_owned(), verdict: verdict.to_owned(), what }
}
