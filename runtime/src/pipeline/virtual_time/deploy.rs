//! Another pipeline file takes over between two batches, as it does while a pipeline runs; without shadow and probation.

use std::sync::Arc;

use super::VirtualPipeline;
use crate::config::PipelineSettings;
use crate::lane::Plan;
use crate::pipeline::components::{Loader, Plugins};
use crate::pipeline::{PipelineError, reload};
use crate::record::Partition;

/// So many groups are converted by one call.
const CONVERTED_AT_ONCE: usize = 4096;

impl VirtualPipeline {
    /// Loads what is deployed after all that was prepared before.
    pub fn prepare(&mut self, settings: &PipelineSettings, loader: &mut Loader) -> Result<(), PipelineError> {
        if let Some(key) = reload::fixed(&self.settings, settings) {
            return Err(PipelineError::Fixed { key });
        }
        let plugins = Plugins::load(settings, loader)?;
        let described = plugins.describe();
        self.cut.by_timestamp |= described.reads("$received");
        let plan = Plan::new(settings, &described, self.topology.clone()).map_err(PipelineError::Plan)?;
        self.plans.push(Arc::new(plan));
        self.instances.extend(plugins.instantiate()?);
        Ok(())
    }

    /// The lanes follow the next plan from here on: those of the parts topic first, as on a worker.
    pub fn deploy(&mut self) -> Result<(), PipelineError> {
        self.settle()?;
        let Some(plan) = self.plans.get(self.deployed + 1).cloned() else { return Ok(()) };
        self.deployed += 1;
        let mut partitions: Vec<Partition> = self.lanes.keys().cloned().collect();
        partitions.sort_by_key(|partition| plan.parts_topic() != Some(&partition.topic));
        for partition in partitions {
            let Some(lane) = self.lanes.get_mut(&partition) else { continue };
            let mut effects = Vec::new();
            let failed = |error| PipelineError::Lane { partition: partition.clone(), error };
            lane.deploy(plan.clone(), &mut self.instances, &mut effects).map_err(failed)?;
            // At once, as in a rehearsal: what cannot be migrated does not depend on what comes next.
            while lane.convert(CONVERTED_AT_ONCE, &mut self.instances).map_err(failed)? {}
            self.perform(&partition, effects);
        }
        self.plan = plan;
        self.settle()
    }
}
