//! The sinks of a pipeline: documents go to the one that their output names.

use std::time::SystemTime;

use tokio::runtime::Handle;

use super::SinkSnapshot;
use crate::config::{ElasticsearchSettings, PipelineSettings};
use crate::record::DocumentBatch;
use crate::sink::{Done, Sink, SinkCounters, SinkError};

/// In the order of the pipeline file.
pub(crate) struct Sinks(Vec<(String, Sink)>);

impl Sinks {
    /// Starts each on `runtime`; the memory is shared out evenly.
    pub fn start(settings: &PipelineSettings, runtime: &Handle, memory_bytes_max: usize) -> Result<Self, SinkError> {
        let share = memory_bytes_max / settings.sinks.len().max(1);
        let start = |one: &ElasticsearchSettings| Ok((one.name.clone(), Sink::start(one, runtime, share)?));
        settings.sinks.iter().map(start).collect::<Result<_, _>>().map(Sinks)
    }

    /// As [`Sink::submit`].
    pub fn submit(&self, documents: DocumentBatch, done: Done) {
        let (_, sink) = &self.0[documents.sink()];
        sink.submit(documents, done);
    }

    pub fn flush(&self) {
        self.0.iter().for_each(|(_, sink)| sink.flush());
    }

    pub fn in_flight_bytes(&self) -> usize {
        self.0.iter().map(|(_, sink)| sink.in_flight_bytes()).sum()
    }

    pub fn counters(&self) -> impl Iterator<Item = SinkCounters> {
        self.0.iter().map(|(_, sink)| sink.counters())
    }

    /// How each stands, and the words of those that do not take all documents.
    pub fn status(&self) -> (Vec<SinkSnapshot>, Vec<String>) {
        let (mut snapshots, mut waiting) = (Vec::new(), Vec::new());
        for (name, sink) in &self.0 {
            let counters = sink.counters();
            let unreachable = counters.unavailable.as_ref().map(|(since, word)| {
                let time = SystemTime::now().duration_since(*since).unwrap_or_default();
                let whose = if self.0.len() > 1 { format!(" of sink.{name}") } else { String::new() };
                let seconds = time.as_secs();
                waiting.push(format!("the index{whose} does not take all documents, since {seconds} s: {word}"));
                time
            });
            snapshots.push(SinkSnapshot {
                name: name.clone(),
                requests: counters.requests,
                settled: counters.settled,
                retried: counters.retried,
                superseded: counters.superseded,
                rejected: counters.rejected,
                dropped: counters.dropped,
                failure_store: counters.failure_store,
                requests_in_flight: counters.requests_in_flight,
                requests_limit: counters.requests_limit,
                bulk_bytes: counters.bulk_bytes,
                unreachable_for: unreachable,
            });
        }
        (snapshots, waiting)
    }
}
