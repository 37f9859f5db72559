//! Filters and enrichers: a batch is a call, and where that breaks, the rows that break it are found out.

use std::time::Duration;

use super::bindings::exports::tidegate::plugin::{enrich, filter};
use super::caller::Caller;
use super::isolate::isolate;
use super::{CallError, Enrich, Filter, Plugin, PluginError, contract, crossing, split};
use crate::config::OnTrap;
use crate::record::{Batch, Column, Output, Rejection, Values, Verdicts};

pub(super) struct FilterInstance(Caller<filter::Guest>);

impl FilterInstance {
    pub fn new(plugin: Plugin) -> Result<Self, PluginError> {
        Caller::new(plugin).map(FilterInstance)
    }

    fn call(&mut self, batch: &Batch, deadline: Duration) -> Result<Verdicts, CallError> {
        let columns = crossing::columns(batch);
        self.0.call(
            deadline,
            |live, guest| live.call(|store| guest.call_filter(store, crossing::batch(batch, &columns))),
            |answer| contract::verdicts(answer, batch.rows),
        )
    }
}

impl Filter for FilterInstance {
    fn filter(&mut self, batch: &Batch) -> Result<Verdicts, CallError> {
        let error = match self.call(batch, self.0.deadline()) {
            Ok(verdicts) => {
                self.0.served(batch.rows);
                return Ok(verdicts);
            }
            Err(error) => self.0.contain(error)?,
        };
        let passes = self.0.plugin().on_trap() == OnTrap::Pass;
        let limits = self.0.plugin().limits().clone();
        let (mut whole, mut broken) = (Verdicts::default(), 0);
        isolate(
            batch.rows,
            &limits,
            |rows, deadline| self.call(&split::rows(batch, rows), deadline),
            |rows, came| match came {
                Ok(verdicts) => {
                    whole.keep.extend(verdicts.keep);
                    whole.rejected.extend(split::shifted(verdicts.rejected, rows.start));
                }
                Err(reason) => {
                    broken += 1;
                    whole.keep.push(u8::from(passes));
                    if !passes {
                        whole.rejected.push(Rejection { row: rows.start, reason });
                    }
                }
            },
        );
        self.0.judge(batch.rows, broken, &error)?;
        Ok(whole)
    }
}

pub(super) struct EnrichInstance(Caller<enrich::Guest>);

impl EnrichInstance {
    pub fn new(plugin: Plugin) -> Result<Self, PluginError> {
        Caller::new(plugin).map(EnrichInstance)
    }

    fn call(&mut self, batch: &Batch, deadline: Duration) -> Result<Output, CallError> {
        let columns = crossing::columns(batch);
        let plugin = self.0.plugin().clone();
        self.0.call(
            deadline,
            |live, guest| live.call(|store| guest.call_enrich(store, crossing::batch(batch, &columns))),
            |answer| contract::output(answer, batch.rows, &plugin.ports().writes, plugin.limits().output_rows_max),
        )
    }
}

impl Enrich for EnrichInstance {
    fn enrich(&mut self, batch: &Batch) -> Result<Output, CallError> {
        let error = match self.call(batch, self.0.deadline()) {
            Ok(output) => {
                self.0.served(batch.rows);
                return Ok(output);
            }
            Err(error) => self.0.contain(error)?,
        };
        let limits = self.0.plugin().limits().clone();
        let (mut whole, mut broken) = (nothing(self.0.plugin()), 0);
        isolate(
            batch.rows,
            &limits,
            |rows, deadline| self.call(&split::rows(batch, rows), deadline),
            |rows, came| match came {
                Ok(output) => split::extend(&mut whole, output, rows.start, rows.end - rows.start),
                Err(reason) => {
                    broken += 1;
                    whole.rejected.push(Rejection { row: rows.start, reason });
                }
            },
        );
        self.0.judge(batch.rows, broken, &error)?;
        Ok(whole)
    }
}

/// An output of no rows.
pub(super) fn nothing(plugin: &Plugin) -> Output {
    let empty = |kind| Column { values: Values::empty(kind), present: Vec::new() };
    let columns = plugin.ports().writes.iter().map(|field| empty(field.kind)).collect();
    Output { rows: Some(Vec::new()), columns, rejected: Vec::new() }
}

#[cfg(test)]
mod tests;
