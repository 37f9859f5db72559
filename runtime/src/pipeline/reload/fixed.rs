//! Which keys of a pipeline file cannot change while the pipeline runs.

use crate::config::{ElasticsearchSettings, OutputSettings, PipelineSettings};

/// The first key that differs and needs a restart, as the file spells it.
pub(in crate::pipeline) fn differs(running: &PipelineSettings, wanted: &PipelineSettings) -> Option<String> {
    let (kafka, decode, watermark) = (&running.kafka, &running.decode, &running.watermark);
    let keys = [
        ("name", running.name == wanted.name),
        ("source.kafka.brokers", kafka.brokers == wanted.kafka.brokers),
        ("source.kafka.topics", kafka.topics == wanted.kafka.topics),
        ("source.kafka.group", kafka.group == wanted.kafka.group),
        ("source.kafka.instance", kafka.instance == wanted.kafka.instance),
        ("source.kafka.start", kafka.start == wanted.kafka.start),
        ("source.kafka.on_data_loss", kafka.on_data_loss == wanted.kafka.on_data_loss),
        ("source.kafka.librdkafka", kafka.librdkafka == wanted.kafka.librdkafka),
        ("source.kafka", kafka == &wanted.kafka),
        ("source.decode.format", decode.format == wanted.decode.format),
        ("source.decode.event_time", decode.event_time == wanted.decode.event_time),
        ("source.decode.timestamp_unit", decode.timestamp_unit == wanted.decode.timestamp_unit),
        ("source.decode.on_wrong_type", decode.on_wrong_type == wanted.decode.on_wrong_type),
        ("source.decode.defaults", decode.defaults == wanted.decode.defaults),
        ("source.decode.schema_version", decode.schema_version == wanted.decode.schema_version),
        ("source.decode.schema_versions", decode.schema_versions == wanted.decode.schema_versions),
        ("source.decode", decode == &wanted.decode),
        ("watermark.out_of_order", watermark.out_of_order == wanted.watermark.out_of_order),
        ("watermark.idle_after", watermark.idle_after == wanted.watermark.idle_after),
        ("watermark.idle_grace", watermark.idle_grace == wanted.watermark.idle_grace),
        ("watermark.max_future", watermark.max_future == wanted.watermark.max_future),
        ("watermark", watermark == &wanted.watermark),
        ("sink", sink_names(running) == sink_names(wanted)),
        ("dead_letters.archive", running.dead_letters.archive == wanted.dead_letters.archive),
        ("dead_letters.topic", running.dead_letters == wanted.dead_letters),
        ("audit", running.audit == wanted.audit),
        ("checkpoint", running.checkpoint == wanted.checkpoint),
        ("limits.memory", running.limits.memory_bytes == wanted.limits.memory_bytes),
        ("limits.stack", running.limits.stack_bytes == wanted.limits.stack_bytes),
        ("limits.workers", running.limits.workers == wanted.limits.workers),
        ("limits", running.limits == wanted.limits),
        ("reload.watch", running.reload == wanted.reload),
        ("output", names(&running.outputs) == names(&wanted.outputs)),
    ];
    let plain = keys.into_iter().find(|(_, same)| !same).map(|(key, _)| key.to_owned());
    let sinks = || running.sinks.iter().zip(&wanted.sinks).find_map(|(running, wanted)| sink(running, wanted));
    plain.or_else(sinks).or_else(|| {
        let mut outputs = running.outputs.iter().zip(&wanted.outputs);
        outputs.find_map(|(running, wanted)| Some(format!("output `{}`, {}", wanted.name, output(running, wanted)?)))
    })
}

fn sink_names(settings: &PipelineSettings) -> Vec<&str> {
    settings.sinks.iter().map(|sink| sink.name.as_str()).collect()
}

fn sink(running: &ElasticsearchSettings, wanted: &ElasticsearchSettings) -> Option<String> {
    let keys =
        [(".urls", running.urls == wanted.urls), (".auth", running.auth == wanted.auth), ("", running == wanted)];
    keys.into_iter().find(|(_, same)| !same).map(|(key, _)| format!("sink.{}{key}", wanted.name))
}

fn names(outputs: &[OutputSettings]) -> Vec<&str> {
    outputs.iter().map(|output| output.name.as_str()).collect()
}

fn output(running: &OutputSettings, wanted: &OutputSettings) -> Option<&'static str> {
    let keys = [
        ("index", running.index == wanted.index),
        ("sink", running.sink == wanted.sink),
        ("operation", running.operation == wanted.operation),
        ("id", running.id == wanted.id),
        ("routing", running.routing == wanted.routing),
        ("pipeline", running.pipeline == wanted.pipeline),
        ("tombstones", running.tombstones == wanted.tombstones),
    ];
    let plain = keys.into_iter().find(|(_, same)| !same).map(|(key, _)| key);
    plain.or_else(|| match (&running.aggregate, &wanted.aggregate) {
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => Some("aggregate"),
        (Some(running), Some(wanted)) => {
            let keys = [
                ("aggregate.group_by", running.group_by == wanted.group_by),
                ("aggregate.window", running.window == wanted.window),
                ("aggregate.groups_max", running.groups_max == wanted.groups_max),
                ("aggregate.emit", running.emit == wanted.emit),
                ("aggregate.late", running.late == wanted.late),
                ("aggregate.partitioned_by_group", running.partitioned_by_group == wanted.partitioned_by_group),
            ];
            keys.into_iter().find(|(_, same)| !same).map(|(key, _)| key)
        }
    })
}
