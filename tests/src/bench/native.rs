//! The reference components of the click-stream job once more, linked into the host: what is left of a measurement with
//! them is what the host takes by itself.

use std::io::Write;

use tidegate::lane::{Instances, PluginId};
use tidegate::plugin::{Aggregate, CallError, Enrich, Filter, Instance};
use tidegate::record::{Accumulated, Batch, Column, Output, Slices, StateSchema, Values, Verdicts};

/// Those of `examples/clickstream`, numbered as in its file.
pub fn clickstream() -> Instances {
    let instances = [
        Instance::Filter(Box::new(RequireFields)),
        Instance::Enrich(Box::new(Stamp)),
        Instance::Aggregate(Box::new(Count)),
    ];
    (1..).map(PluginId).zip(instances).collect()
}

/// `require-fields`: keeps a row of which all columns are present.
pub struct RequireFields;

impl Filter for RequireFields {
    fn filter(&mut self, batch: &Batch) -> Result<Verdicts, CallError> {
        let all = |row: usize| u8::from(batch.columns.iter().all(|column| column.is_present(row)));
        Ok(Verdicts { keep: (0..batch.rows as usize).map(all).collect(), rejected: Vec::new() })
    }
}

/// `stamp`: reads `$received` and, where an event id is asked for, `$topic`, `$partition` and `$offset`.
struct Stamp;

impl Enrich for Stamp {
    fn enrich(&mut self, batch: &Batch) -> Result<Output, CallError> {
        let mut columns = Vec::new();
        let mut reads = batch.columns.iter();
        if let Some(received) = reads.next() {
            columns.push(received.clone());
        }
        if let [topic, partition, offset] = reads.as_slice()
            && let (Values::Slices(topic), Values::Integers(partition), Values::Integers(offset)) =
                (&topic.values, &partition.values, &offset.values)
        {
            let mut ids = Slices::default();
            for row in 0..batch.rows as usize {
                ids.push_with(|id| {
                    id.extend_from_slice(topic.get(row));
                    write!(id, "-{}-{}", partition[row], offset[row]).expect("into memory");
                });
            }
            columns.push(Column { values: Values::Slices(ids), present: Vec::new() });
        }
        Ok(Output { rows: None, columns, rejected: Vec::new() })
    }
}

/// `count`.
struct Count;

fn read(state: &[u8]) -> u64 {
    state.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn states(counts: impl Iterator<Item = u64>) -> Slices {
    counts.map(u64::to_le_bytes).collect()
}

impl Aggregate for Count {
    fn accumulate(&mut self, old: &Slices, groups: &[u32], _batch: &Batch) -> Result<Accumulated, CallError> {
        let mut counts: Vec<u64> = old.iter().map(read).collect();
        for group in groups {
            counts[*group as usize] += 1;
        }
        Ok(Accumulated { states: states(counts.into_iter()), rejected: Vec::new() })
    }

    fn merge(&mut self, left: &Slices, right: &Slices) -> Result<Accumulated, CallError> {
        let merged = left.iter().zip(right.iter()).map(|(left, right)| read(left) + read(right));
        Ok(Accumulated { states: states(merged), rejected: Vec::new() })
    }

    fn emit(&mut self, old: &Slices, _context: &Batch) -> Result<Output, CallError> {
        let counts = old.iter().map(|state| read(state) as i64).collect();
        let columns = vec![Column { values: Values::Integers(counts), present: Vec::new() }];
        Ok(Output { rows: None, columns, rejected: Vec::new() })
    }

    fn migrate(&mut self, _from: &StateSchema, states: &Slices) -> Result<Result<Slices, String>, CallError> {
        Ok(Ok(states.clone()))
    }
}
