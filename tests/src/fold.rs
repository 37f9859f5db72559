//! The oracle of the click-stream job: a plain fold of the input, record by record, written from the job's definition and
//! sharing no code with the program.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::kafka::Record;

const MINUTE: i64 = 60_000;
const OUT_OF_ORDER: i64 = 10 * MINUTE;
const MAX_FUTURE: i64 = 5 * MINUTE;

/// A document's fields but the count: start and end of the window, milliseconds since 1970, and the type.
pub type Window = (i64, i64, Option<String>);

/// What should be there in the end.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Expected {
    /// `event_count` of each document.
    pub documents: BTreeMap<Window, u64>,
    /// The reason of each dead letter, by `topic-partition-offset`.
    pub dead_letters: BTreeMap<String, &'static str>,
    /// Records without a user, and tombstones.
    pub dropped: u64,
    /// Records in windows that have not ended.
    pub open: u64,
}

impl Expected {
    /// Every record is somewhere.
    pub fn records(&self) -> u64 {
        self.documents.values().sum::<u64>() + self.dead_letters.len() as u64 + self.dropped + self.open
    }
}

#[derive(Clone, Copy, Default)]
struct Partition {
    records: u64,
    /// The largest event time so far.
    newest: Option<i64>,
}

impl Partition {
    fn watermark(&self) -> i64 {
        self.newest.map_or(i64::MIN, |newest| newest - OUT_OF_ORDER)
    }
}

/// Folds a fresh topic's records, in the order in which they were produced.
pub fn fold(topic: &str, partitions: i32, records: &[Record]) -> Expected {
    let mut lanes = vec![Partition::default(); usize::try_from(partitions).expect("a count")];
    let mut expected = Expected::default();
    for record in records {
        let lane = &mut lanes[usize::try_from(record.partition).expect("a partition's number")];
        let origin = format!("{topic}-{}-{}", record.partition, lane.records);
        lane.records += 1;
        match judge(record, lane) {
            Fate::Counted(window) => *expected.documents.entry(window).or_default() += 1,
            Fate::Dropped => expected.dropped += 1,
            Fate::Dead(reason) => drop(expected.dead_letters.insert(origin, reason)),
        }
    }
    let watermark = lanes.iter().map(Partition::watermark).min().unwrap_or(i64::MIN);
    let open: Vec<Window> = expected.documents.keys().filter(|(_, end, _)| *end > watermark).cloned().collect();
    expected.open = open.iter().filter_map(|window| expected.documents.remove(window)).sum();
    expected
}

enum Fate {
    Counted(Window),
    Dropped,
    Dead(&'static str),
}

fn judge(record: &Record, lane: &mut Partition) -> Fate {
    let Some(bytes) = &record.value else { return Fate::Dropped };
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return Fate::Dead("json") };
    let Some(time) = event_time(&value["timestamp"]) else { return Fate::Dead("event-time") };
    if time > record.timestamp_millis + MAX_FUTURE {
        return Fate::Dead("future");
    }
    let watermark = lane.watermark();
    lane.newest = lane.newest.max(Some(time));
    if value["user_id"].is_null() {
        return Fate::Dropped;
    }
    let start = time.div_euclid(MINUTE) * MINUTE;
    let end = start + MINUTE;
    if end <= watermark {
        return Fate::Dead("late");
    }
    Fate::Counted((start, end, value["event_type"].as_str().map(str::to_owned)))
}

/// Text in RFC 3339, or milliseconds: what the generator writes.
fn event_time(value: &Value) -> Option<i64> {
    match value {
        // A time like others, but beyond the calendar that is used here.
        Value::String(text) if text == "9999-12-31T23:59:59Z" => Some(253_402_300_799_000),
        Value::String(text) => Some(text.parse::<Timestamp>().ok()?.as_millisecond()),
        value => value.as_i64(),
    }
}

/// A document of the index as the oracle names it; anything else in it, or of another kind, is an error.
pub fn window_of(document: &Value) -> Result<(Window, u64), String> {
    let read = || {
        let fields = document.as_object().filter(|fields| fields.len() == 4)?;
        let time = |name: &str| {
            let text = fields.get(name)?.as_str().filter(|text| text.ends_with('Z'))?;
            Some(text.parse::<Timestamp>().ok()?.as_millisecond())
        };
        let event_type = match fields.get("event_type")? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            _ => return None,
        };
        let count = fields.get("event_count")?.as_u64()?;
        Some(((time("window_start")?, time("window_end")?, event_type), count))
    };
    read().ok_or_else(|| format!("not a document of this job: {document}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clicks::Clicks;

    #[test]
    fn every_record_has_one_fate_and_all_windows_end() {
        let clicks = Clicks {
            seed: 1,
            partitions: 4,
            records_per_partition: 5_000,
            start_millis: 1_740_830_400_000,
            span_millis: 7_200_000,
        };
        let expected = fold("t", 4, &clicks.generate());
        assert_eq!((expected.records(), expected.open), (20_000, 0));
        for reason in ["json", "event-time", "future", "late"] {
            assert!(expected.dead_letters.values().filter(|r| **r == reason).count() > 10, "few are {reason}");
        }
        assert!(expected.documents.len() > 500 && expected.dropped > 500);
    }

    #[test]
    fn a_record_is_late_when_its_window_ended_at_its_partitions_watermark() {
        let record = |minute: i64| {
            let timestamp_millis = minute * MINUTE;
            let value = format!(r#"{{"timestamp":{timestamp_millis},"user_id":1,"event_type":"a"}}"#);
            Record { timestamp_millis, value: Some(value.into_bytes()), ..Record::default() }
        };
        let expected = fold("t", 1, &[record(111), record(100), record(101)]);
        let dead: Vec<_> = expected.dead_letters.keys().map(String::as_str).collect();
        assert_eq!((dead, expected.open), (vec!["t-0-1"], 2));
    }
}
