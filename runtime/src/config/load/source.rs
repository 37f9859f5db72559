//! `[source.kafka]`, `[source.decode]` and `[watermark]`.

mod schema;

use std::cell::RefCell;
use std::time::Duration;

use jiff::Timestamp;
use toml::de::DeValue;

use crate::config::librdkafka::librdkafka;
use crate::config::reader::{Section, Value};
use crate::config::values::{DAY, DURATION_MAX, duration, field_path, instance, string, topic};
use crate::config::{
    DecodeSettings, Format, KafkaSettings, OnDataLoss, OnFuture, OnWrongType, Start, TimestampUnit, WatermarkSettings,
};

pub(super) fn kafka(mut section: Section<'_>, name: Option<&str>) -> Option<KafkaSettings> {
    let brokers = section.required("brokers", brokers);
    let topics = section.required("topics", topics);
    let group = section.optional("group", string);
    let instance = section.optional("instance", instance);
    let start = section.or("start", Start::Earliest, start);
    let words = [("stop", OnDataLoss::Stop), ("continue", OnDataLoss::Continue)];
    let on_data_loss = section.or("on_data_loss", OnDataLoss::Stop, |value| value.word(&words));
    let librdkafka = section.or("librdkafka", Default::default(), librdkafka);
    section.finish();
    Some(KafkaSettings {
        brokers: brokers?,
        topics: topics?,
        group: group?.or_else(|| name.map(str::to_owned))?,
        instance: instance?,
        start: start?,
        on_data_loss: on_data_loss?,
        librdkafka: librdkafka?,
    })
}

fn brokers(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let valid = |broker: &str| {
        let (host, port) = broker.rsplit_once(':').unwrap_or((broker, "9092"));
        !host.is_empty() && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    if text.split(',').all(|broker| valid(broker.trim())) {
        return Some(text.into_string());
    }
    text.wrong("not a list of brokers", "`host:port`, separated by commas")
}

fn topics(value: &Value<'_>) -> Option<Vec<String>> {
    let seen = RefCell::new(Vec::new());
    let topics = value.list(|item| {
        let topic = topic(item)?;
        if seen.borrow().contains(&topic) {
            return item.text()?.wrong("a topic that is named twice", "");
        }
        seen.borrow_mut().push(topic.clone());
        Some(topic)
    })?;
    if topics.is_empty() {
        value.wrong("`topics` is empty", "a pipeline reads at least one topic")
    } else {
        Some(topics)
    }
}

fn start(value: &Value<'_>) -> Option<Start> {
    const HINT: &str = "earliest, latest, or a time such as 2026-01-31T00:00:00Z";
    let timestamp = |text: &str| {
        let timestamp: Timestamp = text.parse().ok()?;
        Some(Start::Timestamp { millis: timestamp.as_millisecond() })
    };
    if let DeValue::Datetime(datetime) = value.value {
        let text = datetime.to_string();
        return timestamp(&text)
            .or_else(|| value.wrong(format!("not a point in time: start=`{text}`"), "end it with its offset or `Z`"));
    }
    let text = value.text()?;
    match &*text {
        "earliest" => Some(Start::Earliest),
        "latest" => Some(Start::Latest),
        other => timestamp(other).or_else(|| text.wrong("no such start", HINT)),
    }
}

pub(super) fn decode(mut section: Section<'_>) -> Option<DecodeSettings> {
    let format = section.or("format", Format::Json, |value| {
        let text = value.text()?;
        match &*text {
            "json" => Some(Format::Json),
            "avro" | "protobuf" => text.value.value_not_yet("the only format is `json`"),
            _ => text.wrong("no such format", "the only format is `json`"),
        }
    });
    let event_time = section.or("event_time", "$timestamp".to_owned(), event_time);
    let units = [
        ("auto", TimestampUnit::Auto),
        ("seconds", TimestampUnit::Seconds),
        ("milliseconds", TimestampUnit::Milliseconds),
        ("microseconds", TimestampUnit::Microseconds),
        ("nanoseconds", TimestampUnit::Nanoseconds),
    ];
    let timestamp_unit = section.or("timestamp_unit", TimestampUnit::Auto, |value| value.word(&units));
    let words = [("dead-letter", OnWrongType::DeadLetter), ("null", OnWrongType::Null)];
    let on_wrong_type = section.or("on_wrong_type", OnWrongType::DeadLetter, |value| value.word(&words));
    let defaults = section.or("defaults", Default::default(), |value| schema::defaults(value, event_time.as_deref()));
    let schema_version = section.optional("schema_version", schema::version);
    let schema_versions = section.optional("schema_versions", schema::versions);
    match (&schema_version, &schema_versions) {
        (Some(Some(_)), Some(None)) => {
            section.wrong::<()>("`schema_version` has no `schema_versions`", "list those that the components can read");
        }
        (Some(None), Some(Some(_))) => {
            section.wrong::<()>("`schema_versions` has no `schema_version`", "name the field or header that says it");
        }
        _ => {}
    }
    section.finish();
    Some(DecodeSettings {
        format: format?,
        event_time: event_time?,
        timestamp_unit: timestamp_unit?,
        on_wrong_type: on_wrong_type?,
        defaults: defaults?,
        schema_version: schema_version?,
        schema_versions: schema_versions?.unwrap_or_default(),
    })
}

fn event_time(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    match &*text {
        "$received" => text.wrong(
            "not an event time",
            "a replay would put the record into another window; `$timestamp` is Kafka's time of the record",
        ),
        path if path.starts_with('$') && path != "$timestamp" => {
            text.wrong("not an event time", "a field of the value, or `$timestamp`")
        }
        _ => field_path(text),
    }
}

pub(super) fn watermark(mut section: Section<'_>, windows: bool) -> Option<WatermarkSettings> {
    const IDLE_AFTER_MIN: Duration = Duration::from_millis(10);
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let any = || duration(Duration::ZERO..=DURATION_MAX);
    if windows && !section.has("out_of_order") {
        section.wrong::<()>(
            "`out_of_order` is missing in [watermark]",
            "an output has windows: say how far a record may come behind the largest event time, such as \"10m\"",
        );
    }
    let out_of_order = section.or("out_of_order", Duration::ZERO, any());
    let idle_after = section.or("idle_after", Duration::from_secs(30), duration(IDLE_AFTER_MIN..=DAY));
    let idle_grace = section.optional("idle_grace", any());
    let max_future = section.or("max_future", Duration::from_secs(5 * 60), any());
    let words = [("dead-letter", OnFuture::DeadLetter), ("clamp", OnFuture::Clamp)];
    let on_future = section.or("on_future", OnFuture::DeadLetter, |value| value.word(&words));
    section.finish();
    let out_of_order = out_of_order?;
    Some(WatermarkSettings {
        out_of_order,
        idle_after: idle_after?,
        idle_grace: idle_grace?.unwrap_or(out_of_order + HOUR),
        max_future: max_future?,
        on_future: on_future?,
    })
}
