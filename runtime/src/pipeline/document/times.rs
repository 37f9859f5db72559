//! Which records may be in a window of which the parts are gone: those that Kafka has of its time.

use std::time::Duration;

use super::SpanReport;
use crate::config::{PipelineSettings, WindowSettings};
use crate::pipeline::PipelineError;
use crate::pipeline::reconcile::Scope;
use crate::record::{EventTime, Offset, Partition};
use crate::source::Admin;

/// A window with more records than these behind its first one is not looked at as a whole.
const RECORDS_MAX: i64 = 1_000_000;

/// Of each source partition, or of one alone, the records with Kafka's timestamps from the start on and before the end.
pub(super) fn spans(
    settings: &PipelineSettings,
    scope: &Scope,
    of: Option<&Partition>,
    start: EventTime,
    end: EventTime,
) -> Result<Vec<SpanReport>, PipelineError> {
    let mut admin = Admin::new(&settings.kafka)?;
    let mut spans = Vec::new();
    for it in scope.partitions.iter().filter(|it| of.is_none_or(|of| *of == it.partition)) {
        let times = [start, end].map(|time| (it.partition.clone(), time.micros().div_euclid(1000)));
        let offsets = admin.offsets_at(&times)?;
        let at = |place: usize| offsets.get(place).copied().flatten().unwrap_or(it.log.1);
        spans.extend(span(&it.partition, at(0), at(1)));
    }
    Ok(spans)
}

/// The records of a partition up to this one, at most so many.
pub(super) fn up_to(scope: &Scope, of: &Partition, last: Offset) -> Vec<SpanReport> {
    let source = scope.partitions.iter().find(|it| it.partition == *of);
    source.and_then(|it| span(of, it.log.0.max(Offset(last.0 - RECORDS_MAX)), last.next())).into_iter().collect()
}

/// How long the windows of an output are; none of sessions.
pub(super) fn length(settings: &PipelineSettings, name: &str) -> Option<Duration> {
    let output = settings.outputs.iter().find(|output| output.name == name)?;
    match output.aggregate.as_ref()?.window {
        WindowSettings::Tumbling { length } | WindowSettings::Sliding { length, .. } => Some(length),
        WindowSettings::Session { .. } => None,
    }
}

/// None where there are none.
fn span(partition: &Partition, first: Offset, behind: Offset) -> Option<SpanReport> {
    let last_offset = behind.0 - 1;
    (first.0 <= last_offset).then(|| SpanReport {
        source: partition.to_string(),
        first_offset: first.0,
        last_offset,
        records: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_before_the_first_record_behind_it() {
        let span = |first, behind| span(&Partition::new("events", 1), Offset(first), Offset(behind));
        let told = span(3, 9).map(|span| (span.source, span.first_offset, span.last_offset));
        assert_eq!(told, Some(("events-1".to_owned(), 3, 8)));
        assert_eq!(span(3, 4).map(|span| span.last_offset), Some(3));
        assert!(span(3, 3).is_none());
    }
}
