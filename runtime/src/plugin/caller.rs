//! Calls of an instance, a fresh one after a call that broke, and the breaker.

use std::ops::Range;
use std::time::Duration;

use super::clock::{about_cpu_time, cpu_time_since};
use super::isolate::{Attempt, Served, isolate};
use super::live::{Interface, Live};
use super::pace::{Pace, Place};
use super::{CallError, Plugin, PluginError};
use crate::config::{OnBreaker, OnTrap};

/// How many records the breaker looks at before it judges.
const BREAKER_ROWS: u64 = 1000;

/// Calls the functions `G` of an instance of its plugin, and replaces the instance when a call broke.
pub(super) struct Caller<G> {
    plugin: Plugin,
    /// None after a call that broke.
    live: Option<(Live, G)>,
    pace: Pace,
    note: Note,
    /// Since the breaker judged last: rows that were served or given up, and those that were given up.
    rows: u64,
    broken: u64,
    /// How a call broke last.
    last: String,
}

/// Of the calls that an attempt makes; one, as a rule.
#[derive(Default)]
struct Note {
    took: Duration,
    /// An instance was called for the first time.
    first: bool,
    place: Place,
    /// The instance has more memory than when it started.
    grown: bool,
}

impl<G: Interface> Caller<G> {
    pub fn new(plugin: Plugin) -> Result<Self, PluginError> {
        let live = Some(start(&plugin)?);
        let pace = Pace::new(plugin.limits().deadline);
        Ok(Caller { plugin, live, pace, note: Note::default(), rows: 0, broken: 0, last: String::new() })
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
                start(&self.plugin).map_err(|error| match error {
                    PluginError::Call { error: crowded @ CallError::Crowded { .. }, .. } => crowded,
                    error => CallError::Start(error.to_string()),
                })?
            }
        };
        self.note.first |= live.is_fresh();
        let begun = about_cpu_time();
        live.give(deadline);
        let answer = call(&mut live, &guest);
        let took = cpu_time_since(begun);
        self.note.took += took;
        (self.note.place, self.note.grown) = (live.place(), live.has_grown());
        self.plugin.usage().called(took, live.memory_bytes());
        let checked = check(answer?).map_err(CallError::Contract)?;
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
        let mut pace = std::mem::replace(&mut self.pace, Pace::new(Duration::ZERO));
        let came = self.serve_paced(rows, &mut pace, |this, rows, time| {
            this.note = Note::default();
            let came = call(this, rows, time);
            let Note { took, first, place, grown } = std::mem::take(&mut this.note);
            Attempt { came, took, first, place, grown }
        });
        self.pace = pace;
        let mut served = came?;
        let broken = served.iter().filter(|(_, came)| came.is_err()).count();
        self.judge(rows, broken)?;
        match served.pop() {
            // Whole, it is the answer.
            Some((piece, Ok(answer))) if piece == (0..rows) => return Ok(answer),
            last => served.extend(last),
        }
        Ok(join(served))
    }

    fn serve_paced<T>(
        &mut self,
        rows: u32,
        pace: &mut Pace,
        mut attempt: impl FnMut(&mut Self, Range<u32>, Duration) -> Attempt<T>,
    ) -> Result<Vec<Served<T>>, CallError> {
        if let Some(time) = pace.batch(rows) {
            let Attempt { came, took, first, .. } = attempt(self, 0..rows, time);
            match came {
                Ok(answer) => {
                    pace.took(rows, took, first);
                    pace.served(rows, 0);
                    return Ok(vec![(0..rows, Ok(answer))]);
                }
                Err(error) if self.plugin.on_trap() == OnTrap::Stop => return Err(error),
                Err(error) => {
                    pace.broke();
                    if let CallError::Deadline { .. } = error {
                        pace.suspect();
                    }
                }
            }
        }
        let (total, before, on_breaker) = (self.rows + u64::from(rows), self.broken, self.plugin.on_breaker());
        let hopeless = |broken: usize, last: &CallError| {
            let broken = before + broken as u64;
            let certain = total >= BREAKER_ROWS && broken * 2 > total && on_breaker != OnBreaker::GoOn;
            certain.then(|| CallError::Failing { broken, rows: total, last: last.to_string(), on_breaker })
        };
        let served = isolate(rows, pace, |rows, time| attempt(self, rows, time), hopeless)?;
        let broken = served.iter().filter(|(_, came)| came.is_err()).count();
        pace.served(rows, broken);
        self.plugin.usage().broke(broken);
        if let Some(Err(reason)) = served.iter().rev().map(|(_, came)| came).find(|came| came.is_err()) {
            self.last = reason.message.clone();
        }
        Ok(served)
    }

    /// The breaker: an error where the plugin broke on more than half of the records since it judged last.
    fn judge(&mut self, rows: u32, broken: usize) -> Result<(), CallError> {
        self.rows += u64::from(rows);
        self.broken += broken as u64;
        if self.rows < BREAKER_ROWS {
            return Ok(());
        }
        let (rows, broken) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.broken));
        if broken * 2 > rows && self.plugin.on_breaker() != OnBreaker::GoOn {
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
