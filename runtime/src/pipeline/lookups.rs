//! Documents asked for by their ids, each where its output writes.

use tokio::runtime::{Builder, Runtime};

use super::PipelineError;
use crate::config::PipelineSettings;
use crate::sink::{Found, Looked, Lookup, SinkError, Wanted};

/// A document, and the place of its sink in the pipeline file.
pub(super) type AtSink<'a> = (usize, Wanted<'a>);

/// All indices of a pipeline, and the runtime that asks them.
pub(super) struct Lookups {
    of_sinks: Vec<Lookup>,
    requests: Runtime,
}

impl Lookups {
    pub fn new(settings: &PipelineSettings) -> Result<Lookups, PipelineError> {
        let requests = Builder::new_current_thread().enable_all().build().map_err(PipelineError::Thread)?;
        let of_sinks = settings.sinks.iter().map(Lookup::new).collect::<Result<_, _>>()?;
        Ok(Lookups { of_sinks, requests })
    }

    /// As [`Lookup::get`].
    pub fn get(&self, wanted: &[AtSink<'_>], with_fields: bool) -> Result<Vec<Looked>, SinkError> {
        let mut looked = vec![Looked::NotThere; wanted.len()];
        for (sink, lookup) in self.of_sinks.iter().enumerate() {
            let places: Vec<usize> = (0..wanted.len()).filter(|place| wanted[*place].0 == sink).collect();
            let of_sink: Vec<Wanted<'_>> = places.iter().map(|place| wanted[*place].1).collect();
            let answers = self.requests.block_on(lookup.get(&of_sink, with_fields))?;
            for (place, answer) in places.into_iter().zip(answers) {
                looked[place] = answer;
            }
        }
        Ok(looked)
    }

    /// As [`Lookup::find`], in the indices of one sink.
    pub fn find(&self, sink: usize, indices: &[String], id: &str) -> Result<Found, SinkError> {
        self.requests.block_on(self.of_sinks[sink].find(indices, id))
    }
}
