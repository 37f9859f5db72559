//! Runs the transforms of a pipeline or output over the rows that still flow.

use std::sync::Arc;

use crate::decode::{Rejected, Table};
use crate::plugin::Instance;
use crate::record::{Batch, Partition};
use crate::sink::GivenUpBy;

use super::LaneError;
use super::account::RowFate;
use super::audit::{Drop, Drops, WhyDropped, dropped_by_enricher, dropped_by_filter};
use super::ledger::Ledger;
use super::plan::{Instances, Step};

/// Rows that left on the way, and who took them out.
#[derive(Debug, Default)]
pub(super) struct Departed {
    pub dropped: u64,
    /// Of these: rows that came too late.
    pub late: u64,
    /// What became of rows, but for those that are rejected or late.
    pub fates: Vec<(RowFate, u64)>,
    /// Which ones; none where nobody asks.
    pub drops: Option<Drops>,
    pub rejected: Vec<(Option<Arc<GivenUpBy>>, Rejected)>,
    /// Where somebody asks what became of each record.
    pub ledger: Option<Ledger>,
}

impl Departed {
    /// A row that came too late.
    pub fn drop_late(&mut self, record: u32, ordinal: u32) {
        self.dropped += 1;
        self.late += 1;
        if let Some(drops) = &mut self.drops {
            drops.push(Drop { record, ordinal, why: WhyDropped::Late, by: None });
        }
    }

    /// How many rows left so far.
    pub fn gone(&self) -> usize {
        self.dropped as usize + self.rejected.len()
    }

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
        let (rows, gone) = (table.len(), departed.gone());
        let dropped = run_one(step, instances, table, columns, departed)?;
        let more = table.len() + departed.gone() - gone - rows;
        departed.fates.push((RowFate::Dropped(step.name.clone()), dropped));
        departed.fates.push((RowFate::Split(step.name.clone()), more as u64));
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
) -> Result<u64, LaneError> {
    let failed = |error| LaneError::Call { plugin: step.name.to_string(), error };
    let unread = table.columns(&step.reads, columns);
    departed.reject(Some(&step.by), unread);
    if table.is_empty() {
        return Ok(0);
    }
    let kept = match instances.get(step.plugin)? {
        Instance::Filter(filter) => {
            let verdicts = filter.filter(columns).map_err(failed)?;
            if let Some(drops) = &mut departed.drops {
                let place = |row| (table.record(row), table.ordinal(row));
                drops.rows(step, WhyDropped::Filter, dropped_by_filter(&verdicts).map(place));
            }
            table.retain(verdicts)
        }
        Instance::Enrich(enrich) => {
            let output = enrich.enrich(columns).map_err(failed)?;
            if let Some(drops) = &mut departed.drops {
                let place = |row| (table.record(row), table.ordinal(row));
                drops.rows(step, WhyDropped::Enrich, dropped_by_enricher(&output, table.len()).map(place));
            }
            table.write(&step.writes, output)
        }
        Instance::Aggregate(_) => {
            return Err(LaneError::Plan(format!("the plugin of transform=`{}` is an aggregate", step.name)));
        }
    };
    departed.dropped += kept.dropped;
    departed.reject(Some(&step.by), kept.rejected);
    Ok(kept.dropped)
}
