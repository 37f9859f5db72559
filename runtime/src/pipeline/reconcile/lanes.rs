//! The lanes of outputs without windows: what they ask for is handed on, and answered as if all had gone well.

use std::sync::Arc;

use hashbrown::HashMap;

use super::scope::Scope;
use crate::config::PipelineSettings;
use crate::lane::{BatchLedger, Effect, Event, Instances, Lane, Ledger, Plan};
use crate::pipeline::{Loader, PipelineError, Plugins};
use crate::record::{DocumentBatch, Offset, Partition, RecordBatch, Resume};
use crate::sink::Letter;

pub(super) struct RecordLanes {
    plan: Arc<Plan>,
    instances: Instances,
    lanes: HashMap<Partition, Lane>,
}

/// What a batch gives.
pub(super) struct Given {
    pub ledger: BatchLedger,
    /// For each output.
    pub documents: Vec<DocumentBatch>,
    /// The dead letters.
    pub refused: Vec<Letter>,
}

impl RecordLanes {
    pub fn load(settings: &PipelineSettings, scope: &Scope, loader: &mut Loader) -> Result<RecordLanes, PipelineError> {
        let plugins = Plugins::load(settings, loader)?;
        let plan = Plan::new(settings, &plugins.describe(), scope.topology.clone()).map_err(PipelineError::Plan)?;
        Ok(RecordLanes { plan: Arc::new(plan), instances: plugins.instantiate()?, lanes: HashMap::new() })
    }

    pub fn step(&mut self, partition: &Partition, batch: &Arc<RecordBatch>) -> Result<Given, PipelineError> {
        let failed = |error| PipelineError::Lane { partition: partition.clone(), error };
        let mut effects = Vec::new();
        if !self.lanes.contains_key(partition) {
            let resume = Resume::Fresh { offset: batch.offsets().first().copied().map_or(Offset(0), Offset) };
            let lane = Lane::new(self.plan.clone(), partition.clone(), resume, &mut effects).map_err(failed)?;
            self.lanes.insert(partition.clone(), lane);
        }
        let lane = self.lanes.get_mut(partition).expect("it was put there");
        self.instances.keep(Ledger::default());
        lane.step(Event::Batch(batch.clone()), &mut self.instances, &mut effects).map_err(failed)?;
        let Ledger(ledgers) = self.instances.take_ledger().unwrap_or_default();
        let mut given = Given {
            ledger: ledgers.into_iter().next().unwrap_or_default(),
            documents: Vec::new(),
            refused: Vec::new(),
        };
        let mut batches = Vec::new();
        for effect in effects {
            let answer = effect.went_well();
            match effect {
                Effect::Index { documents, .. } => batches.push(documents),
                Effect::Write { messages, .. } => {
                    given.refused.extend(messages.into_iter().filter_map(Letter::unwritten));
                }
                Effect::Save { .. } => {}
            }
            lane.step(answer, &mut self.instances, &mut Vec::new()).map_err(failed)?;
        }
        // An output without documents asks for nothing.
        let mut batches = batches.into_iter();
        for output in &given.ledger.outputs {
            let documents = if output.documents.is_empty() { None } else { batches.next() };
            given.documents.push(documents.unwrap_or_default());
        }
        Ok(given)
    }
}
