//! A seeded click stream with everything that a real one has: records out of order and late, without a user, broken in
//! many ways. What should become of it is for the fold to say; nothing here knows.

use fastrand::Rng;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::json;

use crate::kafka::Record;

const MINUTE: i64 = 60_000;
const EVENT_TYPES: [&str; 7] = ["page_view", "click", "search", "login", "purchase", "größe", "a \"b\"/c"];

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct Clicks {
    pub seed: u64,
    pub partitions: i32,
    pub records_per_partition: usize,
    /// The event time of the first records, milliseconds since 1970.
    pub start_millis: i64,
    /// The event time that the records span.
    pub span_millis: i64,
}

impl Clicks {
    /// The records in the order in which they are produced. The last of each partition lies so far ahead that all windows
    /// before it end; it has no user, so it is counted nowhere.
    pub fn generate(&self) -> Vec<Record> {
        let mut rng = Rng::with_seed(self.seed);
        let mut records = Vec::new();
        let events = self.records_per_partition - 1;
        for place in 0..events {
            for partition in 0..self.partitions {
                let clock = self.clock(partition, place as i64 * self.span_millis / events as i64);
                records.push(record(&mut rng, partition, clock));
            }
        }
        let end = self.clock(0, self.span_millis) + 15 * MINUTE;
        for partition in 0..self.partitions {
            let value = json!({"timestamp": end, "user_id": null, "event_type": "closing"});
            records.push(text(partition, end, value.to_string()));
        }
        records
    }

    /// Each partition is a little behind the one before.
    fn clock(&self, partition: i32, elapsed: i64) -> i64 {
        self.start_millis + elapsed - i64::from(partition) * 2 * MINUTE
    }
}

fn text(partition: i32, timestamp_millis: i64, value: String) -> Record {
    Record { partition, timestamp_millis, value: Some(value.into_bytes()), ..Record::default() }
}

fn record(rng: &mut Rng, partition: i32, clock: i64) -> Record {
    let roll = rng.u32(0..1000);
    let behind = match roll {
        0..20 => rng.i64(9 * MINUTE..40 * MINUTE),
        20..300 => rng.i64(0..11 * MINUTE),
        _ => rng.i64(0..20_000),
    };
    let time = clock - behind;
    if roll >= 990 {
        return poison(rng, partition, clock, time);
    }
    let user = format!("u{}", rng.u32(0..10_000));
    let mut value = json!({
        "timestamp": written(rng, time),
        "user_id": user,
        "event_type": rng.choice(EVENT_TYPES),
        "properties": {"page": format!("/p/{}", rng.u32(0..500)), "ms": rng.u32(1..3000), "tags": ["a", null, {"b": 1.5}]},
    });
    let fields = value.as_object_mut().expect("it is an object");
    match roll {
        900..925 => drop(fields.insert("user_id".into(), json!(null))),
        925..950 => drop(fields.remove("user_id")),
        950 => drop(fields.insert("event_type".into(), json!(null))),
        951 => drop(fields.remove("event_type")),
        952 => drop(fields.insert("user_id".into(), json!({"nested": [1, 2]}))),
        _ => {}
    }
    let mut record = text(partition, clock, value.to_string());
    record.key = rng.bool().then(|| user.into_bytes());
    if roll == 953 {
        record.headers.push(("trace".into(), vec![0xff, 0x00]));
    }
    record
}

/// A time in one of the ways in which it may be written.
fn written(rng: &mut Rng, millis: i64) -> serde_json::Value {
    let time = Timestamp::from_millisecond(millis).expect("a time of this century");
    match rng.u32(0..10) {
        0 => json!(millis),
        1 => {
            let zone = TimeZone::fixed(Offset::constant(2));
            json!(time.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string())
        }
        _ => json!(time.to_string()),
    }
}

fn poison(rng: &mut Rng, partition: i32, clock: i64, time: i64) -> Record {
    let good = json!({"timestamp": time, "user_id": "u1", "event_type": "click"}).to_string();
    let with_time = |time: &str| format!(r#"{{"timestamp":{time},"user_id":"u1","event_type":"click"}}"#);
    let value = match rng.u32(0..12) {
        0 => return Record { partition, timestamp_millis: clock, key: Some(b"gone".to_vec()), ..Record::default() },
        1 => good[..good.len() / 2].into(),
        2 => "not json at all".into(),
        3 => String::new(),
        4 => r#"{"user_id":"u1","event_type":"click"}"#.into(),
        5 => with_time("\"yesterday\""),
        6 => with_time("null"),
        7 => with_time("\"9999-12-31T23:59:59Z\""),
        8 => with_time("\"0001-01-01T00:00:00Z\""),
        9 => with_time(&(clock + 48 * 60 * MINUTE).to_string()),
        10 => with_time("NaN"),
        _ => {
            let mut bytes = good.into_bytes();
            let at = bytes.iter().rposition(|byte| *byte == b'k').expect("it says click");
            bytes[at] = 0xff;
            return Record { partition, timestamp_millis: clock, value: Some(bytes), ..Record::default() };
        }
    };
    text(partition, clock, value)
}
