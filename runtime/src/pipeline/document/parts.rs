//! The parts that a window's document was merged from, as the parts topic still has them.

use std::collections::BTreeMap;

use super::PartReport;
use super::name::IdOf;
use crate::config::PipelineSettings;
use crate::lane::format::{Part, PartsMessage, decode};
use crate::lane::{Plan, group_id};
use crate::pipeline::PipelineError;
use crate::record::{EventTime, Offset, Partition};
use crate::source::{Admin, RecordRange};

/// What the parts topic says of a window.
#[derive(Default)]
pub(super) struct Parts {
    /// Of each source partition the one that counts.
    pub parts: Vec<PartReport>,
    /// The topic has lost its oldest messages.
    pub is_cut: bool,
}

/// Of which window parts are wanted.
pub(super) struct WantedParts<'a> {
    pub output: &'a str,
    start: EventTime,
    /// As far as the window's document says.
    end: Option<EventTime>,
    /// As the id has it.
    group: &'a str,
    is_of_sessions: bool,
}

impl<'a> WantedParts<'a> {
    /// None where the id is not of a window.
    pub fn new(settings: &PipelineSettings, id: &'a IdOf, end: Option<EventTime>) -> Option<Self> {
        let IdOf::Window { output, start, group, .. } = id else { return None };
        Some(WantedParts { output, start: *start, end, group, is_of_sessions: is_of_sessions(settings, output) })
    }

    /// Whether a part is of the window; `key` is what its message has, if it has any: the id of the window's document.
    pub fn has(&self, key: Option<(&[u8], &str)>, part: &Part<'_>) -> bool {
        if key.is_some_and(|(key, first)| key == first.as_bytes()) {
            return true;
        }
        let begins = EventTime::from_micros(part.window_start_micros);
        let ends = EventTime::from_micros(part.window_start_micros.saturating_add(part.window_length_micros));
        let is_its_time = match self.is_of_sessions {
            // A session's parts may begin and end elsewhere than the whole.
            true => self.end.is_some_and(|end| begins < end && ends > self.start),
            false => key.is_none() && begins == self.start,
        };
        is_its_time && part.output == self.output && group_id(part.group) == self.group
    }
}

/// Reads the parts topic.
pub(super) fn of_window(
    settings: &PipelineSettings,
    id: &IdOf,
    wanted: &WantedParts<'_>,
) -> Result<Option<Parts>, PipelineError> {
    let IdOf::Window { of: None, first, .. } = id else { return Ok(None) };
    let Some(topic) = Plan::parts_topic_of(settings) else { return Ok(None) };
    let Some(found) = Admin::new(&settings.kafka)?.find(&topic)? else { return Ok(None) };
    let range = |it: &crate::source::PartitionDescription| RecordRange {
        partition: Partition::new(&topic, it.number),
        start: it.log_start,
        end: it.log_end,
    };
    let ranges: Vec<RecordRange> = found.partitions.iter().map(range).collect();
    let is_cut = ranges.iter().any(|range| range.start > Offset(0));
    let mut newest: BTreeMap<(String, i64), PartReport> = BTreeMap::new();
    Admin::new(&settings.kafka)?.read(&ranges, |partition, batch| {
        for row in 0..batch.len() {
            let Some(Ok(PartsMessage::Part(part))) = batch.value(row).map(decode) else { continue };
            if wanted.has(Some((batch.key(row).unwrap_or_default(), first)), &part) {
                let report = report(&part, partition, batch.offset(row));
                let source = (format!("{}-{}", part.topic, part.partition), part.window_start_micros);
                let known = newest.get(&source).is_some_and(|known| is_newer(known, &report));
                if !known {
                    newest.insert(source, report);
                }
            }
        }
    })?;
    Ok(Some(Parts { parts: newest.into_values().collect(), is_cut }))
}

fn is_of_sessions(settings: &PipelineSettings, name: &str) -> bool {
    use crate::config::WindowSettings::{Session, Sliding, Tumbling};
    let output = settings.outputs.iter().find(|output| output.name == *name);
    output.and_then(|output| output.aggregate.as_ref()).is_some_and(|aggregate| match aggregate.window {
        Session { .. } => true,
        Tumbling { .. } | Sliding { .. } => false,
    })
}

/// Of equal ones the first counts.
fn is_newer(known: &PartReport, other: &PartReport) -> bool {
    (known.revision, known.last_offset) >= (other.revision, other.last_offset)
}

fn report(part: &Part<'_>, partition: &Partition, offset: Offset) -> PartReport {
    PartReport {
        source: format!("{}-{}", part.topic, part.partition),
        first_offset: part.first_offset,
        last_offset: part.last_offset,
        records: part.count,
        component: part.component.to_owned(),
        revision: part.revision.0,
        position: partition.origin(offset).to_string(),
    }
}
