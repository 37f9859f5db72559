//! Calls of an instance, a fresh one after a call that broke, and the breaker.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::isolate::{Served, isolate};
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
    /// How a call broke last.
    last: String,
}

impl<G: Interface> Caller<G> {
    pub fn new(plugin: Plugin) -> Result<Self, PluginError> {
        let live = Some(start(&plugin)?);
        Ok(Caller { plugin, live, rows: 0, broken: 0, last: String::new() })
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
                self.plugin.usage().restarted();
                start(&self.plugin).map_err(|error| CallError::Start(error.to_string()))?
            }
        };
        live.give(deadline);
        let begun = Instant::now();
        let answer = call(&mut live, &guest);
        self.plugin.usage().called(begun.elapsed(), live.memory_bytes());
        let answer = answer?;
        let checked = check(answer).map_err(CallError::Contract)?;
        if !live.is_due(self.plugin.limits().retire_at_bytes) {
            self.live = Some((live, guest));
        }
        Ok(checked)
    }

    /// Runs `call` on rows `0..rows`; where that breaks, on pieces of them, of which `join` makes one answer. `call` gets the
    /// rows and the time that they have.
    pub fn serve<T>(
        &mut self,
        rows: u32,
        mut call: impl FnMut(&mut Self, Range<u32>, Duration) -> Result<T, CallError>,
        join: impl FnOnce(Vec<Served<T>>) -> T,
    ) -> Result<T, CallError> {
        let deadline = self.deadline();
        let error = match call(self, 0..rows, deadline) {
            Ok(answer) => {
                self.judge(rows, 0)?;
                return Ok(answer);
            }
            Err(error) if self.plugin.on_trap() == OnTrap::Stop => return Err(error),
            Err(error) => error,
        };
        let served = isolate(rows, deadline, |rows, time| call(self, rows, time))?;
        self.last = error.to_string();
        let broken = served.iter().filter(|(_, came)| came.is_err()).count();
        self.plugin.usage().broke(broken);
        self.judge(rows, broken)?;
        Ok(join(served))
    }

    /// The breaker: an error where the plugin broke on more than half of the records since it judged last.
    fn judge(&mut self, rows: u32, broken: usize) -> Result<(), CallError> {
        self.rows += u64::from(rows);
        self.broken += broken as u64;
        if self.rows < BREAKER_ROWS {
            return Ok(());
        }
        let (rows, broken) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.broken));
        if broken * 2 > rows {
            let (last, on_breaker) = (std::mem::take(&mut self.last), self.plugin.on_breaker());
            return Err(CallError::Failing { broken, rows, last, on_breaker });
        }
        Ok(())
    }
}

fn start<G: Interface>(plugin: &Plugin) -> Result<(Live, G), PluginError> {
    let mut live = plugin.start()?;
    let guest = live.find().map_err(|why| plugin.component().refused(why))?;
    Ok((live, guest))
}
