//! An enricher: when the runtime received a record, and an id made of where the record comes from.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use tidegate_sdk::{Fields, Timestamp, enrich};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The field for the time at which the runtime received the record.
    #[serde(deserialize_with = "name_or_false")]
    processed_time: Option<String>,
    /// The field for `TOPIC-PARTITION-OFFSET`.
    #[serde(deserialize_with = "name_or_false")]
    event_id: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { processed_time: Some("processed_time".to_owned()), event_id: Some("event_id".to_owned()) }
    }
}

/// A field's path; `false` switches it off.
fn name_or_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a field's path is wanted, or false")]
    enum Setting {
        Path(String),
        Switch(bool),
    }
    match Setting::deserialize(deserializer)? {
        Setting::Path(path) => Ok(Some(path)),
        Setting::Switch(false) => Ok(None),
        Setting::Switch(true) => Err(D::Error::custom("a field's path is wanted, or false")),
    }
}

#[derive(Fields)]
struct Origin<'a> {
    #[field(path = settings.processed_time.as_ref().map(|_| "$received"))]
    received: Option<Timestamp>,
    #[field(path = settings.event_id.as_ref().map(|_| "$topic"))]
    topic: Option<&'a str>,
    #[field(path = settings.event_id.as_ref().map(|_| "$partition"))]
    partition: Option<i64>,
    #[field(path = settings.event_id.as_ref().map(|_| "$offset"))]
    offset: Option<i64>,
}

#[derive(Fields)]
struct Stamps {
    #[field(path = settings.processed_time)]
    processed_time: Option<Timestamp>,
    #[field(path = settings.event_id)]
    event_id: Option<String>,
}

#[enrich]
fn stamp(origin: Origin<'_>) -> Stamps {
    let event_id = match (origin.topic, origin.partition, origin.offset) {
        (Some(topic), Some(partition), Some(offset)) => Some(format!("{topic}-{partition}-{offset}")),
        _ => None,
    };
    Stamps { processed_time: origin.received, event_id }
}

#[cfg(test)]
mod tests {
    use tidegate_sdk::test::{Verdict, json, ports, refusal, run};

    use super::*;

    fn record() -> tidegate_sdk::test::Value {
        json!({"$received": "2026-03-01T12:00:00.5Z", "$topic": "clicks", "$partition": 3, "$offset": 17})
    }

    fn stamped(settings: tidegate_sdk::test::Value) -> tidegate_sdk::test::Value {
        let [Verdict::Passed(record)] = &run(plugin, settings, [record()])[..] else { panic!("one record passes") };
        let mut record = record.clone();
        record.as_object_mut().expect("an object").retain(|name, _| !name.starts_with('$'));
        record
    }

    #[test]
    fn both_are_stamped_unless_switched_off() {
        let expected = json!({"processed_time": "2026-03-01T12:00:00.5Z", "event_id": "clicks-3-17"});
        assert_eq!(stamped(json!({})), expected);
        assert_eq!(stamped(json!({"event_id": false})), json!({"processed_time": "2026-03-01T12:00:00.5Z"}));
        assert_eq!(
            stamped(json!({"processed_time": false, "event_id": "meta.id"})),
            json!({"meta": {"id": "clicks-3-17"}})
        );
    }

    #[test]
    fn only_what_is_needed_is_read() {
        let reads = |settings| ports(plugin, settings).reads.into_iter().map(|field| field.path).collect::<Vec<_>>();
        assert_eq!(reads(json!({"event_id": false})), ["$received"]);
        assert_eq!(reads(json!({"processed_time": false})), ["$topic", "$partition", "$offset"]);
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(refusal(plugin, json!({"event_id": true})), "a field's path is wanted, or false");
        assert_eq!(refusal(plugin, json!({"id": "a"})), "unknown field `id`, expected `processed_time` or `event_id`");
    }
}
