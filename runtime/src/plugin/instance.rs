//! Filters and enrichers: a batch is a call, and where that breaks, the rows that break it are found out.

use std::time::Duration;

use super::bindings::exports::tidegate::plugin::{enrich, filter};
use super::caller::Caller;
use super::crossing::Piece;
use super::isolate::Served;
use super::{CallError, Enrich, Filter, Plugin, PluginError, contract, split};
use crate::config::OnTrap;
use crate::record::{Batch, Column, Output, Rejection, Values, Verdicts};

pub(super) struct FilterInstance(Caller<filter::Guest>);

impl FilterInstance {
    pub fn new(plugin: Plugin) -> Result<Self, PluginError> {
        Caller::new(plugin).map(FilterInstance)
    }
}

impl Filter for FilterInstance {
    fn filter(&mut self, batch: &Batch) -> Result<Verdicts, CallError> {
        let passes = self.0.plugin().on_trap() == OnTrap::Pass;
        let mut verdicts = self.0.serve(
            batch.rows,
            |caller, rows, deadline| filter_call(caller, &Piece::new(batch, rows), deadline),
            |served| verdicts(served, passes),
        )?;
        self.0.plugin().hide(&mut verdicts.rejected);
        self.0.plugin().usage().filtered(batch.rows, &verdicts);
        Ok(verdicts)
    }
}

fn filter_call(
    caller: &mut Caller<filter::Guest>,
    piece: &Piece<'_>,
    deadline: Duration,
) -> Result<Verdicts, CallError> {
    let columns = piece.columns();
    caller.call(
        deadline,
        |live, guest| live.call(|store| guest.call_filter(store, piece.batch(&columns))),
        |answer| contract::verdicts(answer, piece.rows()),
    )
}

/// `passes`: a row that breaks a call goes on.
fn verdicts(served: Vec<Served<Verdicts>>, passes: bool) -> Verdicts {
    let mut whole = Verdicts::default();
    for (rows, came) in served {
        match came {
            Ok(verdicts) => {
                whole.keep.extend(verdicts.keep);
                whole.rejected.extend(split::shifted(verdicts.rejected, rows.start));
            }
            Err(_) if passes => whole.keep.push(1),
            Err(reason) => {
                whole.keep.push(0);
                whole.rejected.push(Rejection { row: rows.start, reason });
            }
        }
    }
    whole
}

pub(super) struct EnrichInstance(Caller<enrich::Guest>);

impl EnrichInstance {
    pub fn new(plugin: Plugin) -> Result<Self, PluginError> {
        Caller::new(plugin).map(EnrichInstance)
    }
}

impl Enrich for EnrichInstance {
    fn enrich(&mut self, batch: &Batch) -> Result<Output, CallError> {
        let plugin = self.0.plugin().clone();
        let mut output = self.0.serve(
            batch.rows,
            |caller, rows, deadline| enrich_call(caller, &Piece::new(batch, rows), deadline),
            |served| output(served, &plugin),
        )?;
        plugin.hide(&mut output.rejected);
        plugin.usage().gave(batch.rows, &output);
        Ok(output)
    }
}

fn enrich_call(caller: &mut Caller<enrich::Guest>, piece: &Piece<'_>, deadline: Duration) -> Result<Output, CallError> {
    let columns = piece.columns();
    let plugin = caller.plugin().clone();
    caller.call(
        deadline,
        |live, guest| live.call(|store| guest.call_enrich(store, piece.batch(&columns))),
        |answer| contract::output(answer, piece.rows(), &plugin.ports().writes, plugin.limits().output_rows_max),
    )
}

/// The outputs of pieces as one.
pub(super) fn output(served: Vec<Served<Output>>, plugin: &Plugin) -> Output {
    let empty = |kind| Column { values: Values::empty(kind), present: Vec::new() };
    let columns = plugin.ports().writes.iter().map(|field| empty(field.kind)).collect();
    let mut whole = Output { rows: Some(Vec::new()), columns, rejected: Vec::new() };
    for (rows, came) in served {
        match came {
            Ok(output) => split::extend(&mut whole, output, rows.start, rows.end - rows.start),
            Err(reason) => whole.rejected.push(Rejection { row: rows.start, reason }),
        }
    }
    whole
}

#[cfg(test)]
mod tests;
