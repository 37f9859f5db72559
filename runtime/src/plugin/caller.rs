//! Calls of an instance, a fresh one after a call that broke, and the breaker.

use std::time::Duration;

use super::live::{Interface, Live};
use super::{CallError, Plugin, PluginError};
use crate::config::OnTrap;

/// How many records the breaker looks at before it judges.
const BREAKER_ROWS: u64 = 1000;

/// Calls the functions `G` of an instance of its plugin, and replaces the instance when a call broke.
pub(super) struct Caller<G> {
    plugin: Plugin,
    /// None after a call that broke.
    live: Option<(Live, G)>,
    /// Since the breaker judged last: rows that were served or given up, and those that were given up.
    rows: u64,
    broken: u64,
}

impl<G: Interface> Caller<G> {
    pub fn new(plugin: Plugin) -> Result<Self, PluginError> {
        let live = Some(start(&plugin)?);
        Ok(Caller { plugin, live, rows: 0, broken: 0 })
    }

    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// What a batch has of time.
    pub fn deadline(&self) -> Duration {
        self.plugin.limits().deadline
    }

    /// Runs `call`, which has so much time, then `check` on its answer, whose error is what the guest broke of its contract.
    pub fn call<A, T>(
        &mut self,
        deadline: Duration,
        call: impl FnOnce(&mut Live, &G) -> Result<A, CallError>,
        check: impl FnOnce(A) -> Result<T, String>,
    ) -> Result<T, CallError> {
        let (mut live, guest) = match self.live.take() {
            Some(live) => live,
            None => {
                start(&self.plugin).map_err(|error| CallError::Trap(format!("it cannot be started again: {error}")))?
            }
        };
        live.give(deadline);
        let answer = call(&mut live, &guest)?;
        let checked = check(answer).map_err(CallError::Contract)?;
        self.live = Some((live, guest));
        Ok(checked)
    }

    /// Whether a call that broke is the end of it, or its rows are served one by one.
    pub fn contain(&self, error: CallError) -> Result<CallError, CallError> {
        match self.plugin.on_trap() {
            OnTrap::DeadLetter | OnTrap::Pass => Ok(error),
            OnTrap::Stop => Err(error),
        }
    }

    /// The breaker: an error where the plugin breaks on more than half of the records, as of which `last` is one. Rows are
    /// counted when they are settled, so that none is given up after it.
    pub fn judge(&mut self, rows: u32, broken: usize, last: &CallError) -> Result<(), CallError> {
        self.rows += u64::from(rows);
        self.broken += broken as u64;
        if self.rows < BREAKER_ROWS {
            return Ok(());
        }
        let (rows, broken) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.broken));
        if broken * 2 > rows {
            return Err(CallError::Failing { broken, rows, last: last.to_string() });
        }
        Ok(())
    }

    /// Counts rows that were served whole.
    pub fn served(&mut self, rows: u32) {
        self.rows += u64::from(rows);
        if self.rows >= BREAKER_ROWS {
            (self.rows, self.broken) = (0, 0);
        }
    }
}

fn start<G: Interface>(plugin: &Plugin) -> Result<(Live, G), PluginError> {
    let mut live = plugin.start()?;
    let guest = live.find().map_err(|why| plugin.component().refused(why))?;
    Ok((live, guest))
}
