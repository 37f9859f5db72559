//! Runs the transforms of a pipeline or output over the rows that still flow.

use std::sync::Arc;

use crate::decode::{Rejected, Table};
use crate::plugin::Instance;
use crate::record::{Batch, Partition};
use crate::sink::GivenUpBy;

use super::LaneError;
use super::ledger::Ledger;
use super::plan::{Instances, Step};

/// Rows that left on the way, and who took them out.
#[derive(Debug, Default)]
pub(super) struct Departed {
    pub dropped: u64,
    pub rejected: Vec<(Option<Arc<GivenUpBy>>, Rejected)>,
    /// Where somebody asks what became of each record.
    pub ledger: Option<Ledger>,
}

impl Departed {
    pub fn reject(&mut self, by: Option<&Arc<GivenUpBy>>, rejected: Vec<Rejected>) {
        self.rejected.extend(rejected.into_iter().map(|rejected| (by.cloned(), rejected)));
    }
}

/// Each transform sees the rows that the one before it left. `columns` is scratch.
pub(super) fn run(
    steps: &[Step],
    instances: &mut Instances,
    partition: &Partition,
    table: &mut Table,
    columns: &mut Batch,
    departed: &mut Departed,
) -> Result<(), LaneError> {
    for step in steps {
        let watched = instances.tap(|tap| tap.is_at_transform(&step.name)).map(|tap| tap.before(table, departed));
        let records = departed.before(table);
        run_one(step, instances, table, columns, departed)?;
        departed.after(&step.name, records, table);
        if let (Some(before), Some(tap)) = (watched, instances.tap(|_| true)) {
            tap.after(&step.name, before, partition, table, departed);
        }
        if table.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

fn run_one(
    step: &Step,
    instances: &mut Instances,
    table: &mut Table,
    columns: &mut Batch,
    departed: &mut Departed,
) -> Result<(), LaneError> {
    let failed = |error| LaneError::Call { plugin: step.name.to_string(), error };
    let unread = table.columns(&step.reads, columns);
    departed.reject(Some(&step.by), unread);
    if table.is_empty() {
        return Ok(());
    }
    let kept = match instances.get(step.plugin)? {
        Instance::Filter(filter) => table.retain(filter.filter(columns).map_err(failed)?),
        Instance::Enrich(enrich) => table.write(&step.writes, enrich.enrich(columns).map_err(failed)?),
        Instance::Aggregate(_) => {
            return Err(LaneError::Plan(format!("the plugin of transform=`{}` is an aggregate", step.name)));
        }
    };
    departed.dropped += kept.dropped;
    departed.reject(Some(&step.by), kept.rejected);
    Ok(())
}
