//! What the demonstration prints: a line a second about the stream, and one for each window that has closed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use serde::Deserialize;

use crate::cli::columns::{dead_letters, grouped};
use crate::config::PipelineSettings;
use crate::pipeline::Snapshot;
use crate::record::EventTime;

/// A document of the demonstration's pipeline.
#[derive(Deserialize)]
struct Count {
    window_start: String,
    event_type: Option<String>,
    event_count: u64,
}

/// A window's counts by type.
type Counts = BTreeMap<String, u64>;

/// What was printed, so that only news is.
pub(super) struct Screen {
    records: u64,
    at: Duration,
    /// The windows as they were seen last.
    seen: BTreeMap<String, Counts>,
    printed: BTreeSet<String>,
}

pub(super) fn introduction(settings: &PipelineSettings, stand_ins: bool, speed: u32) -> String {
    let (kafka, index) = (&settings.kafka.brokers, settings.index_urls());
    let servers = match stand_ins {
        true => format!(
            "Stand-ins inside this process, which keep nothing: Kafka at {kafka}, Elasticsearch at {index}.\n\
             `make demo SERVERS=real` takes real ones."
        ),
        false => format!("Kafka at {kafka}, Elasticsearch at {index}."),
    };
    format!(
        "Pipeline {}: a click stream of yesterday, {speed} times as fast, for a minute or until Ctrl-C.\n{servers}\n\n",
        settings.name
    )
}

impl Screen {
    pub fn new(snapshot: Snapshot) -> Self {
        Screen {
            records: source_records(&snapshot),
            at: Duration::ZERO,
            seen: BTreeMap::new(),
            printed: BTreeSet::new(),
        }
    }

    /// The stream now: its clock, its speed, the windows that fill, and what was not counted.
    pub fn line(&mut self, clock: EventTime, snapshot: Snapshot, elapsed: Duration) -> String {
        let records = source_records(&snapshot);
        let seconds = elapsed.saturating_sub(self.at).as_secs_f64().max(0.001);
        let rate = (records.saturating_sub(self.records)) as f64 / seconds;
        (self.records, self.at) = (records, elapsed);
        let sources = snapshot.lanes.iter().filter(|lane| !lane.parts);
        let filling = sources.map(|lane| lane.status.open_windows).max().unwrap_or(0);
        let letters = dead_letters(&snapshot);
        let waiting: String = snapshot.waiting.iter().map(|word| format!("         waiting: {word}\n")).collect();
        format!(
            "{} | {:>6} events/s | {} {filling} windows fill | dropped {} | dead letters: {letters}\n{waiting}",
            time_of_day(&clock.to_string()),
            grouped(rate as u64),
            "▪".repeat(filling.min(12)),
            grouped(snapshot.counts.tally.dropped),
        )
    }

    /// The windows that are new in the index, once they have not changed for a second.
    pub fn closed(&mut self, documents: &[Vec<u8>]) -> String {
        let mut windows: BTreeMap<String, Counts> = BTreeMap::new();
        for count in documents.iter().filter_map(|document| serde_json::from_slice::<Count>(document).ok()) {
            let event_type = count.event_type.unwrap_or_else(|| "(none)".to_owned());
            windows.entry(count.window_start).or_default().insert(event_type, count.event_count);
        }
        let mut text = String::new();
        for (start, counts) in &windows {
            if self.seen.get(start) == Some(counts) && self.printed.insert(start.clone()) {
                text.push_str(&window(start, counts));
            }
        }
        self.seen = windows;
        text
    }
}

fn window(start: &str, counts: &Counts) -> String {
    let mut line = format!("         closed {}", time_of_day(start));
    let mut by_count: Vec<_> = counts.iter().collect();
    by_count.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (event_type, count) in by_count {
        let _ = write!(line, "  {event_type} {}", grouped(*count));
    }
    line + "\n"
}

/// How it ended, and where every record is.
pub(super) fn summary(snapshot: &Snapshot) -> String {
    let tally = &snapshot.counts.tally;
    let records = source_records(snapshot);
    let out = tally.dropped + tally.tombstones + snapshot.counts.dead_letters();
    format!(
        "\n{} events: {} counted, in {} documents or in windows that are still open; {} dropped; {} dead letters ({}).\n",
        grouped(records),
        grouped(records.saturating_sub(out)),
        grouped(tally.documents),
        grouped(tally.dropped + tally.tombstones),
        grouped(snapshot.counts.dead_letters()),
        dead_letters(snapshot),
    )
}

fn source_records(snapshot: &Snapshot) -> u64 {
    snapshot.counts.tally.records
}

/// 18:35:00 of an RFC 3339 time.
fn time_of_day(time: &str) -> &str {
    time.get(11..19).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_told_once_and_only_when_it_stands() {
        let document = |count: u64| {
            let text = format!(
                r#"{{"window_start":"2025-03-01T12:00:00Z","window_end":"2025-03-01T12:01:00Z","event_type":"a","event_count":{count}}}"#
            );
            vec![text.into_bytes()]
        };
        let mut screen = Screen::new(Snapshot::default());
        assert_eq!(screen.closed(&document(1)), "");
        assert_eq!(screen.closed(&document(1234)), "");
        assert_eq!(screen.closed(&document(1234)), "         closed 12:00:00  a 1,234\n");
        assert_eq!(screen.closed(&document(1234)), "");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
