//! The plugin in `cargo test`: records are JSON, and columns are made of them as the runtime makes them.
//!
//! ```
//! # use tidegate_sdk::{Fields, filter};
//! # #[derive(Fields)]
//! # struct Click<'a> { user_id: Option<&'a str> }
//! # #[filter]
//! # fn has_user(click: Click<'_>) -> bool { click.user_id.is_some() }
//! # fn main() {
//! use tidegate_sdk::test::{Verdict, json, run};
//!
//! let verdicts = run(plugin, json!({}), [json!({"user_id": "u1"}), json!({"user_id": null})]);
//! assert_eq!(verdicts, [Verdict::Passed(json!({"user_id": "u1"})), Verdict::Dropped]);
//! # }
//! ```
//!
//! `plugin` is made by the macro, beside the plugin. A record's own fields are given under their names
//! (`json!({"$offset": 7, "user_id": "u1"})`); without that they are `$topic` "test", `$partition` 0, `$offset` the
//! record's number, and for the times 2026-01-01T00:00:00Z.

use std::marker::PhantomData;

use serde::Serialize;

use crate::aggregate::AggregateGlue;
use crate::bindings::data::{Batch, Field};
use crate::configured::Configured;
use crate::enrich::EnrichGlue;
use crate::filter::FilterGlue;

mod columns;
mod folded;
mod record;

pub use folded::Folded;
pub use serde_json::{Value, json};

/// What became of a record.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// It goes on, with what the plugin wrote.
    Passed(Value),
    /// It goes on as several.
    Split(Vec<Value>),
    Dropped,
    /// It goes to the dead letters, with the plugin's reason, or with the runtime's where a field is absent or of another
    /// kind than the plugin asks for.
    Rejected(String),
}

/// What a plugin reads and writes with some settings.
#[derive(Clone, PartialEq, Debug)]
pub struct Ports {
    pub reads: Vec<Field>,
    pub writes: Vec<Field>,
}

/// A plugin under test: what the macros' `plugin()` gives.
pub trait Plugin {
    /// `Vec<Verdict>`, one for each record; [`Folded`] for an aggregate.
    type Report;
    #[doc(hidden)]
    fn ports(self, settings: &str) -> Result<Ports, String>;
    #[doc(hidden)]
    fn run(self, settings: &str, records: &[Value]) -> Result<Self::Report, String>;
    #[doc(hidden)]
    fn migrate(self, _settings: &str, _version: u32, _state: &[u8]) -> Result<Vec<Value>, String>
    where
        Self: Sized,
    {
        Err("only an aggregate has states".to_owned())
    }
}

/// Runs the plugin with these settings over these records, as one batch. Settings that it refuses panic.
///
/// An aggregate folds the records into one group of one window, from 1970-01-01T00:00:00Z until 00:01:00Z, and is tried
/// with every split of them as well: it must give the same documents.
pub fn run<P: Plugin>(
    plugin: impl FnOnce() -> P,
    settings: Value,
    records: impl IntoIterator<Item = Value>,
) -> P::Report {
    let records: Vec<Value> = records.into_iter().collect();
    plugin()
        .run(&settings.to_string(), &records)
        .unwrap_or_else(|refused| panic!("the settings are refused: {refused}"))
}

/// What the plugin says to settings that it refuses.
pub fn refusal<P: Plugin>(plugin: impl FnOnce() -> P, settings: Value) -> String {
    match plugin().ports(&settings.to_string()) {
        Ok(ports) => panic!("the settings are taken: {ports:?}"),
        Err(refused) => refused,
    }
}

/// What the plugin reads and writes with these settings.
pub fn ports<P: Plugin>(plugin: impl FnOnce() -> P, settings: Value) -> Ports {
    plugin().ports(&settings.to_string()).unwrap_or_else(|refused| panic!("the settings are refused: {refused}"))
}

/// The documents of a state that version `version` of an aggregate wrote, read by this version; or why it is refused.
pub fn migrate<P: Plugin>(
    plugin: impl FnOnce() -> P,
    settings: Value,
    version: u32,
    state: &impl Serialize,
) -> Result<Vec<Value>, String> {
    let state = postcard::to_allocvec(state).map_err(|error| error.to_string())?;
    plugin().migrate(&settings.to_string(), version, &state)
}

#[doc(hidden)]
pub fn filter<P: FilterGlue>() -> impl Plugin<Report = Vec<Verdict>> {
    FilterTest::<P>(PhantomData)
}

#[doc(hidden)]
pub fn enrich<P: EnrichGlue>() -> impl Plugin<Report = Vec<Verdict>> {
    EnrichTest::<P>(PhantomData)
}

#[doc(hidden)]
pub fn aggregate<P: AggregateGlue>() -> impl Plugin<Report = Folded> {
    folded::AggregateTest::<P>::new()
}

impl Ports {
    fn of<P>(configured: &Configured<P>) -> Self {
        Ports { reads: configured.reads.fields().to_vec(), writes: configured.writes.fields().to_vec() }
    }
}

/// The batch of the records that can be read, and which they are; the others have their verdict.
fn readable(reads: &[Field], records: &[Value]) -> (Batch, Vec<usize>, Vec<Verdict>) {
    let mut verdicts = vec![Verdict::Dropped; records.len()];
    let mut rows = Vec::new();
    for (index, record) in records.iter().enumerate() {
        match columns::judge(reads, record, index) {
            Ok(()) => rows.push(index),
            Err(reason) => verdicts[index] = Verdict::Rejected(reason),
        }
    }
    (columns::batch(reads, records, &rows), rows, verdicts)
}

struct FilterTest<P>(PhantomData<P>);

impl<P: FilterGlue> Plugin for FilterTest<P> {
    type Report = Vec<Verdict>;

    fn ports(self, settings: &str) -> Result<Ports, String> {
        Configured::<P>::filter_plugin(settings).map(|configured| Ports::of(&configured))
    }

    fn run(self, settings: &str, records: &[Value]) -> Result<Vec<Verdict>, String> {
        let configured = Configured::<P>::filter_plugin(settings)?;
        let (batch, rows, mut verdicts) = readable(configured.reads.fields(), records);
        let (keep, rejected) = configured.filter(&batch);
        for (row, &index) in rows.iter().enumerate() {
            if keep[row] != 0 {
                verdicts[index] = Verdict::Passed(records[index].clone());
            }
        }
        for rejection in rejected {
            verdicts[rows[rejection.row as usize]] = Verdict::Rejected(rejection.reason);
        }
        Ok(verdicts)
    }
}

struct EnrichTest<P>(PhantomData<P>);

impl<P: EnrichGlue> Plugin for EnrichTest<P> {
    type Report = Vec<Verdict>;

    fn ports(self, settings: &str) -> Result<Ports, String> {
        Configured::<P>::enrich_plugin(settings).map(|configured| Ports::of(&configured))
    }

    fn run(self, settings: &str, records: &[Value]) -> Result<Vec<Verdict>, String> {
        let configured = Configured::<P>::enrich_plugin(settings)?;
        let (batch, rows, mut verdicts) = readable(configured.reads.fields(), records);
        let output = configured.enrich(&batch);
        let sources: Vec<u32> = output.rows.clone().unwrap_or_else(|| (0..batch.rows).collect());
        for (position, &row) in sources.iter().enumerate() {
            let index = rows[row as usize];
            let written = record::write(&records[index], configured.writes.fields(), &output.columns, position);
            let before = std::mem::replace(&mut verdicts[index], Verdict::Dropped);
            verdicts[index] = match (before, written) {
                (Verdict::Rejected(reason), _) | (_, Err(reason)) => Verdict::Rejected(reason),
                (Verdict::Dropped, Ok(record)) => Verdict::Passed(record),
                (Verdict::Passed(first), Ok(record)) => Verdict::Split(vec![first, record]),
                (Verdict::Split(mut records), Ok(record)) => {
                    records.push(record);
                    Verdict::Split(records)
                }
            };
        }
        for rejection in output.rejected {
            verdicts[rows[rejection.row as usize]] = Verdict::Rejected(rejection.reason);
        }
        Ok(verdicts)
    }
}
