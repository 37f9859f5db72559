//! Runs the transforms of a pipeline or output over the rows that still flow.

use std::sync::Arc;

use crate::decode::{Rejected, Table};
use crate::record::Batch;

use super::LaneError;
use super::plan::{Step, Transform};

/// Rows that left on the way, and who took them out.
#[derive(Debug, Default)]
pub(super) struct Departed {
    pub dropped: u64,
    pub rejected: Vec<(Option<Arc<str>>, Rejected)>,
}

impl Departed {
    pub fn reject(&mut self, by: Option<&Arc<str>>, rejected: Vec<Rejected>) {
        self.rejected.extend(rejected.into_iter().map(|rejected| (by.cloned(), rejected)));
    }
}

/// Each transform sees the rows that the one before it left. `columns` is scratch.
pub(super) fn run(
    steps: &[Step],
    transforms: &mut [Transform],
    table: &mut Table,
    columns: &mut Batch,
    departed: &mut Departed,
) -> Result<(), LaneError> {
    for (step, transform) in steps.iter().zip(transforms) {
        let failed = |error| LaneError::Call { plugin: step.name.to_string(), error };
        let unread = table.columns(&step.reads, columns);
        departed.reject(Some(&step.name), unread);
        if table.is_empty() {
            return Ok(());
        }
        let kept = match transform {
            Transform::Filter(filter) => table.retain(filter.filter(columns).map_err(failed)?),
            Transform::Enrich(enrich) => table.write(&step.writes, enrich.enrich(columns).map_err(failed)?),
        };
        departed.dropped += kept.dropped;
        departed.reject(Some(&step.name), kept.rejected);
    }
    Ok(())
}
