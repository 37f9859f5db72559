//! What a pipeline file leaves out.

use expect_test::expect;

use super::*;

#[test]
fn what_is_left_out_has_its_default() {
    let settings = With::default().right();
    expect![[r#"
        (
            KafkaSettings {
                brokers: "b:9092",
                topics: [
                    "t",
                ],
                group: "p",
                instance: None,
                start: Earliest,
                on_data_loss: Stop,
                librdkafka: {},
            },
            DecodeSettings {
                format: Json,
                event_time: "$timestamp",
                timestamp_unit: Auto,
                on_wrong_type: DeadLetter,
                defaults: {},
                schema_version: None,
                schema_versions: [],
            },
            WatermarkSettings {
                out_of_order: 0ns,
                idle_after: 30s,
                idle_grace: 3600s,
                max_future: 300s,
                on_future: DeadLetter,
            },
            [
                ElasticsearchSettings {
                    name: "elasticsearch",
                    urls: [
                        "http://e:9200",
                    ],
                    auth: None,
                    ca: None,
                    client_certificate: None,
                    bulk_bytes_max: 8388608,
                    bulk_age_max: 1s,
                    in_flight_max: 4,
                    gzip: false,
                    indices_max: 500,
                    timeout: 60s,
                    policy: [],
                },
            ],
        )
    "#]]
    .assert_debug_eq(&(&settings.kafka, &settings.decode, &settings.watermark, &settings.sinks));
    assert_eq!(settings.plugins, Path::new("plugins"));
    assert_eq!(settings.dead_letters.topic, "p.dead-letters");
    assert_eq!(settings.limits.memory_bytes, 512 << 20);
}
