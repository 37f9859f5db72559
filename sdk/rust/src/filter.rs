//! Filters: a verdict for each row.

use serde::de::DeserializeOwned;

use crate::Reject;
use crate::bindings::data::{Batch, Rejection};
use crate::configured::{Configured, Slots, parse};
use crate::fields::{Columns, Reads};

/// What `#[filter]` implements.
pub trait FilterGlue: Sized + 'static {
    type Settings: DeserializeOwned;
    type Row<'a>: Reads<'a>;
    /// The plugin and what it reads.
    fn configure(settings: Self::Settings) -> Result<(Self, Slots), String>;
    fn filter<'a>(&'a self, row: Self::Row<'a>) -> Result<bool, Reject>;
}

/// What a filter's function may give back.
#[diagnostic::on_unimplemented(message = "a filter gives back `bool` or `Result<bool, Reject>`, not `{Self}`")]
pub trait Verdict {
    fn verdict(self) -> Result<bool, Reject>;
}

impl Verdict for bool {
    #[inline]
    fn verdict(self) -> Result<bool, Reject> {
        Ok(self)
    }
}

impl<E: Into<Reject>> Verdict for Result<bool, E> {
    #[inline]
    fn verdict(self) -> Result<bool, Reject> {
        self.map_err(Into::into)
    }
}

impl<P: FilterGlue> Configured<P> {
    pub(crate) fn filter_plugin(settings: &str) -> Result<Self, String> {
        let (plugin, reads) = P::configure(parse(settings)?)?;
        Configured::new(plugin, reads, Slots::default())
    }

    pub(crate) fn filter(&self, batch: &Batch) -> (Vec<u8>, Vec<Rejection>) {
        let views = P::Row::views(&Columns { slots: &self.reads, columns: &batch.columns });
        let mut rejected = Vec::new();
        let mut keep = Vec::with_capacity(batch.rows as usize);
        for row in 0..batch.rows {
            let verdict = match P::Row::read(&views, row as usize) {
                Ok(values) => self.plugin.filter(values),
                Err(misfit) => Err(self.reads.explain(misfit)),
            };
            keep.push(match verdict {
                Ok(keep) => u8::from(keep),
                Err(reject) => {
                    rejected.push(Rejection { row, reason: reject.into_reason() });
                    0
                }
            });
        }
        (keep, rejected)
    }
}
