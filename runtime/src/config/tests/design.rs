//! The pipeline file with every key that there is.

use std::time::Duration;

use expect_test::expect;

use super::*;
use crate::config::{IndexPart, OnLate, PluginLimits, WindowSettings};

pub(super) const FILE: &str = r#"
name = "clickstream"
plugins = "plugins"

[source.kafka]
brokers = "localhost:9092"
topics = ["streaming-events"]
group = "clickstream"
instance = "${INSTANCE}"
start = "earliest"
on_data_loss = "stop"
librdkafka = { "sasl.password" = "${PASSWORD}", "socket.keepalive.enable" = true, "fetch.wait.max.ms" = 100 }

[source.decode]
format = "json"
event_time = "timestamp"
on_wrong_type = "dead-letter"
defaults = { "user.country" = "unknown", price = 0, rate = 0.5, new = true, since = 2026-01-01T00:00:00Z }
schema_version = "$header.schema-version"
schema_versions = ["", "1"]

[watermark]
out_of_order = "10m"
idle_after = "30s"
max_future = "5m"
on_future = "clamp"

[[transform]]
name = "drop-anonymous"
plugin = "require-fields.wasm"
settings = { fields = ["user_id"], nested = { rate = 0.5, since = 2026-01-01, n = 0x10 } }
on_trap = "stop"
on_breaker = "stall"
limits = { deadline = "500ms", memory = "128MiB", retire_at = "100MiB", output = "8MiB", state = "32KiB", tables = 16, instances = 8, log_lines = 10 }

[[transform]]
plugin = "stamp.wasm"

[sink.elasticsearch]
urls = ["http://localhost:9200"]
auth = { api_key = "${PASSWORD}" }
ca = "ca.pem"
client_certificate = { file = "client.p12", password = "${PASSWORD}" }
[[sink.elasticsearch.policy]]
status = 400
type = "strict_dynamic_mapping_exception"
then = "stall"

[[output]]
name = "counts"
index = "event-counts"
[output.aggregate]
plugin = "count.wasm"
settings = { as = "event_count" }
group_by = ["event_type"]
window = { tumbling = "1m" }
emit = "on_close"
late = "drop"
partitioned_by_group = false

[[output]]
name = "purchases"
index = "purchases-{event_time:%Y.%m}"
id = { field = "order.id", version = "revision" }
[[output.transform]]
plugin = "where.wasm"
settings = { field = "event_type", equals = "purchase" }

[dead_letters]
topic = "clickstream.dead-letters"
archive = "s3://backups/letters"

[checkpoint]
locations = ["file:///var/lib/tidegate", "s3://backups/tidegate"]
every = "1m"
copies = "before-commit"

[audit]
path = "audit.ndjson"
percent = 10
file_bytes_max = "10MiB"
files_max = 3

[reload]
watch = false

[limits]
memory = "256MiB"
stack = "1MiB"
workers = 2
"#;

#[test]
fn every_key_is_read() {
    let settings = parse_in(Path::new("/etc/tidegate"), FILE).unwrap_or_else(|errors| panic!("{errors}"));
    expect![[r#"
        PipelineSettings {
            name: "clickstream",
            plugins: "/etc/tidegate/plugins",
            folder: "/etc/tidegate",
            code_cache: None,
            kafka: KafkaSettings {
                brokers: "localhost:9092",
                topics: [
                    "streaming-events",
                ],
                group: "clickstream",
                instance: Some(
                    "host-1",
                ),
                start: Earliest,
                on_data_loss: Stop,
                librdkafka: {
                    "fetch.wait.max.ms": (secret),
                    "sasl.password": (secret),
                    "socket.keepalive.enable": (secret),
                },
            },
            decode: DecodeSettings {
                format: Json,
                event_time: "timestamp",
                timestamp_unit: Auto,
                on_wrong_type: DeadLetter,
                defaults: {
                    "new": "true",
                    "price": "0",
                    "rate": "0.5",
                    "since": "\"2026-01-01T00:00:00Z\"",
                    "user.country": "\"unknown\"",
                },
                schema_version: Some(
                    "$header.schema-version",
                ),
                schema_versions: [
                    "",
                    "1",
                ],
            },
            watermark: WatermarkSettings {
                out_of_order: 600s,
                idle_after: 30s,
                idle_grace: 4200s,
                max_future: 300s,
                on_future: Clamp,
            },
            transforms: [
                TransformSettings {
                    name: "drop-anonymous",
                    plugin: PluginSettings {
                        file: "/etc/tidegate/plugins/require-fields.wasm",
                        ..
                    },
                },
                TransformSettings {
                    name: "stamp",
                    plugin: PluginSettings {
                        file: "/etc/tidegate/plugins/stamp.wasm",
                        ..
                    },
                },
            ],
            sinks: [
                ElasticsearchSettings {
                    name: "elasticsearch",
                    urls: [
                        "http://localhost:9200",
                    ],
                    auth: ApiKey(
                        Fixed(
                            (secret),
                        ),
                    ),
                    ca: Some(
                        "/etc/tidegate/ca.pem",
                    ),
                    client_certificate: Some(
                        ClientCertificateSettings {
                            file: "/etc/tidegate/client.p12",
                            password: Some(
                                Fixed(
                                    (secret),
                                ),
                            ),
                        },
                    ),
                    bulk_bytes_max: 8388608,
                    bulk_age_max: 1s,
                    in_flight_max: 4,
                    gzip: false,
                    indices_max: 500,
                    timeout: 60s,
                    policy: [
                        PolicyRule {
                            status: Some(
                                400,
                            ),
                            error_type: Some(
                                "strict_dynamic_mapping_exception",
                            ),
                            then: Stall,
                        },
                    ],
                },
            ],
            outputs: [
                OutputSettings {
                    name: "counts",
                    index: IndexPattern(
                        [
                            Literal(
                                "event-counts",
                            ),
                        ],
                    ),
                    sink: "elasticsearch",
                    operation: Index,
                    id: None,
                    routing: None,
                    template: None,
                    pipeline: None,
                    tombstones: Skip,
                    transforms: [],
                    aggregate: Some(
                        AggregateSettings {
                            plugin: PluginSettings {
                                file: "/etc/tidegate/plugins/count.wasm",
                                ..
                            },
                            group_by: [
                                "event_type",
                            ],
                            window: Tumbling {
                                length: 60s,
                            },
                            groups_max: None,
                            emit: EmitSettings {
                                every: None,
                                when_quiet: false,
                            },
                            late: Drop,
                            partitioned_by_group: false,
                        },
                    ),
                },
                OutputSettings {
                    name: "purchases",
                    index: IndexPattern(
                        [
                            Literal(
                                "purchases-",
                            ),
                            EventTime(
                                "%Y.%m",
                            ),
                        ],
                    ),
                    sink: "elasticsearch",
                    operation: Index,
                    id: Some(
                        IdSettings {
                            field: "order.id",
                            version: Some(
                                "revision",
                            ),
                        },
                    ),
                    routing: None,
                    template: None,
                    pipeline: None,
                    tombstones: Skip,
                    transforms: [
                        TransformSettings {
                            name: "where",
                            plugin: PluginSettings {
                                file: "/etc/tidegate/plugins/where.wasm",
                                ..
                            },
                        },
                    ],
                    aggregate: None,
                },
            ],
            dead_letters: DeadLetterSettings {
                topic: "clickstream.dead-letters",
                percent_max: None,
                run_max: None,
                archive: Some(
                    "s3://backups/letters",
                ),
            },
            checkpoint: Some(
                CheckpointSettings {
                    locations: [
                        "file:///var/lib/tidegate",
                        "s3://backups/tidegate",
                    ],
                    every: 60s,
                    copies: BeforeCommit,
                },
            ),
            audit: Some(
                AuditSettings {
                    path: "/etc/tidegate/audit.ndjson",
                    percent: 10,
                    file_bytes_max: 10485760,
                    files_max: 3,
                },
            ),
            limits: LimitSettings {
                memory_bytes: 268435456,
                stack_bytes: 1048576,
                workers: 2,
            },
            reload: ReloadSettings {
                watch: false,
            },
            included: [],
        }
    "#]]
    .assert_debug_eq(&settings);
    let aggregate = settings.outputs[0].aggregate.as_ref().unwrap();
    assert_eq!(aggregate.window, WindowSettings::Tumbling { length: Duration::from_secs(60) });
    assert_eq!(aggregate.late, OnLate::Drop);
    assert_eq!(
        settings.outputs[1].index.0,
        [IndexPart::Literal("purchases-".into()), IndexPart::EventTime("%Y.%m".into())]
    );
    expect![[r#"{"fields":["user_id"],"nested":{"n":16,"rate":0.5,"since":"2026-01-01"}}"#]]
        .assert_eq(&settings.transforms[0].plugin.settings);
    let plugin = &settings.transforms[0].plugin;
    expect![[r#"
        (
            Stop,
            Stall,
            PluginLimits {
                deadline: 500ms,
                memory_bytes_max: 134217728,
                retire_at_bytes: 104857600,
                output_bytes_max: 8388608,
                state_bytes_max: 32768,
                tables_max: 16,
                instances_max: 8,
                log_lines_max: 10,
            },
        )
    "#]]
    .assert_debug_eq(&(plugin.on_trap, plugin.on_breaker, &plugin.limits));
    assert_eq!(settings.transforms[1].plugin.limits, PluginLimits::default());
    assert_eq!(settings.sinks[0].ca, Some("/etc/tidegate/ca.pem".into()));
}
