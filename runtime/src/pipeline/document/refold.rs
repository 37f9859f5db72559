//! Which records are in a window of which the parts are gone: those that Kafka has of about its time are folded once more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::SpanReport;
use super::parts::WantedParts;
use crate::config::PipelineSettings;
use crate::lane::format::{PartsMessage, decode};
use crate::lane::{Effect, Event, Instances, Lane, LaneError, Plan};
use crate::pipeline::reconcile::Scope;
use crate::pipeline::{PipelineError, Plugins};
use crate::record::{Message, Offset, Partition, RecordBatch, Resume};
use crate::source::{Admin, RecordRange};

/// A lane of its own for each partition, and what it has folded into the window.
struct Refolding<'a> {
    wanted: &'a WantedParts<'a>,
    plan: Arc<Plan>,
    instances: Instances,
    lanes: BTreeMap<Partition, Lane>,
    /// By the partition and the window's start: of a session there may be several.
    found: BTreeMap<(String, i64), SpanReport>,
}

/// What the present components fold into the window, of the records of these spans; nothing where they fold none.
pub(super) fn refold(
    settings: &PipelineSettings,
    scope: &Scope,
    plugins: &Plugins,
    wanted: &WantedParts<'_>,
    spans: &[SpanReport],
) -> Result<Vec<SpanReport>, PipelineError> {
    let mut settings = settings.clone();
    settings.outputs.retain(|output| output.name == wanted.output);
    // Parts tell which records are in them.
    for aggregate in settings.outputs.iter_mut().filter_map(|output| output.aggregate.as_mut()) {
        aggregate.partitioned_by_group = false;
    }
    let plan = Plan::new(&settings, &plugins.describe(), scope.topology.clone()).map_err(PipelineError::Plan)?;
    let mut refolding = Refolding {
        wanted,
        plan: plan.into(),
        instances: plugins.instantiate()?,
        lanes: BTreeMap::new(),
        found: BTreeMap::new(),
    };
    let range = |span: &SpanReport| {
        let partition = scope.partitions.iter().find(|it| it.partition.to_string() == span.source)?.partition.clone();
        Some(RecordRange { partition, start: Offset(span.first_offset), end: Offset(span.last_offset).next() })
    };
    let ranges: Vec<RecordRange> = spans.iter().filter_map(range).collect();
    let mut refused = None;
    Admin::new(&settings.kafka)?.read_while(&ranges, |partition, batch| match refolding.take(partition, batch) {
        Ok(()) => std::ops::ControlFlow::Continue(()),
        Err(error) => {
            refused = Some(PipelineError::Lane { partition: partition.clone(), error });
            std::ops::ControlFlow::Break(())
        }
    })?;
    match refused {
        Some(error) => Err(error),
        None => refolding.finish(),
    }
}

impl Refolding<'_> {
    fn take(&mut self, partition: &Partition, batch: RecordBatch) -> Result<(), LaneError> {
        let mut effects = Vec::new();
        let lane = match self.lanes.entry(partition.clone()) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let resume = Resume::Fresh { offset: batch.offset(0) };
                entry.insert(Lane::new(self.plan.clone(), partition.clone(), resume, &mut effects)?)
            }
        };
        lane.step(Event::Batch(Arc::new(batch)), &mut self.instances, &mut effects)?;
        for effect in effects {
            if let Effect::Write { messages, .. } = &effect {
                look(self.wanted, &mut self.found, messages);
            }
            lane.step(effect.went_well(), &mut self.instances, &mut Vec::new())?;
        }
        Ok(())
    }

    /// Closes what is open.
    fn finish(mut self) -> Result<Vec<SpanReport>, PipelineError> {
        for (partition, lane) in &mut self.lanes {
            let mut effects = Vec::new();
            let finished = lane.finish(&mut self.instances, &mut effects);
            finished.map_err(|error| PipelineError::Lane { partition: partition.clone(), error })?;
            for effect in effects {
                if let Effect::Write { messages, .. } = effect {
                    look(self.wanted, &mut self.found, &messages);
                }
            }
        }
        Ok(self.found.into_values().collect())
    }
}

/// Of several parts of a window the last one covers the others.
fn look(wanted: &WantedParts<'_>, found: &mut BTreeMap<(String, i64), SpanReport>, messages: &[Message]) {
    for message in messages {
        let Some(Ok(PartsMessage::Part(part))) = message.value.as_deref().map(decode) else { continue };
        if wanted.has(None, &part) {
            let source = format!("{}-{}", part.topic, part.partition);
            let (first_offset, last_offset) = (part.first_offset, part.last_offset);
            let report = SpanReport { source: source.clone(), first_offset, last_offset, records: Some(part.count) };
            found.insert((source, part.window_start_micros), report);
        }
    }
}
