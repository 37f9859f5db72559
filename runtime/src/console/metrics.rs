//! A snapshot in the text format that Prometheus reads. The names are documented in `docs/metrics.md`.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::pipeline::{
    ArchiveCounts, AuditCounts, BATCH_SECONDS, CheckpointCounts, Counts, Generation, LaneSnapshot, Lateness,
    ReloadStatus, SinkSnapshot, Snapshot,
};
use crate::record::{EventTime, ReasonKind};

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of a snapshot.
pub fn render(snapshot: &Snapshot) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Shown(snapshot.clone())));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("writing to a string does not fail");
    text
}

#[derive(Debug)]
struct Shown(Snapshot);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Shown(snapshot) = self;
        let encoder = &mut encoder;
        counts(encoder, &snapshot.counts)?;
        accounts(encoder, snapshot)?;
        source(encoder, snapshot)?;
        sinks(encoder, &snapshot.sinks)?;
        checkpoints(encoder, snapshot)?;
        archive(encoder, snapshot)?;
        audit(encoder, snapshot)?;
        memory(encoder, snapshot)?;
        plugins(encoder, &snapshot.reload)?;
        lanes(encoder, &snapshot.lanes)
    }
}

fn plugins(encoder: &mut DescriptorEncoder, reload: &ReloadStatus) -> fmt::Result {
    counter(encoder, "tidegate_deployed", "Deployments that serve for good", reload.deployed)?;
    counter(encoder, "tidegate_deployments_refused", "Deployments refused before they served", reload.refused)?;
    counter(
        encoder,
        "tidegate_deployments_rolled_back",
        "Deployments rolled back, by itself or by hand",
        reload.rolled_back,
    )?;
    let help = "The generation that serves";
    let mut family = encoder.encode_descriptor("tidegate_plugin_generation", help, None, MetricType::Gauge)?;
    for place in &reload.places {
        let Generation { number, digest, version, .. } = &place.serving;
        let labels = [("plugin", place.name.as_str()), ("version", version), ("digest", digest)];
        ConstGauge::new(i64::try_from(*number).unwrap_or(i64::MAX)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn accounts(encoder: &mut DescriptorEncoder, snapshot: &Snapshot) -> fmt::Result {
    let help = "What became of the rows of each partition";
    let mut family = encoder.encode_descriptor("tidegate_rows", help, None, MetricType::Counter)?;
    for (partition, account) in &snapshot.accounts {
        let number = partition.number.to_string();
        for (output, fate, count) in account.iter() {
            let place = [("topic", &*partition.topic), ("partition", number.as_str())];
            let what = [("output", output.unwrap_or_default()), ("fate", fate.name()), ("by", fate.by())];
            let labels = [place.as_slice(), &what].concat();
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn counts(encoder: &mut DescriptorEncoder, counts: &Counts) -> fmt::Result {
    let tally = &counts.tally;
    counter(encoder, "tidegate_records", "Records read from the source topics", tally.records)?;
    counter(encoder, "tidegate_record_bytes", "Bytes of their keys, values and headers", tally.bytes)?;
    counter(encoder, "tidegate_dropped", "Records that a filter or an enricher dropped", tally.dropped)?;
    counter(encoder, "tidegate_tombstones", "Records without a value", tally.tombstones)?;
    counter(encoder, "tidegate_documents", "Documents made for the index", tally.documents)?;
    let mut family = encoder.encode_descriptor(
        "tidegate_dead_letters",
        "Records, parts and documents that became dead letters",
        None,
        MetricType::Counter,
    )?;
    for (reason, count) in ReasonKind::ALL.iter().zip(tally.dead_letters) {
        ConstCounter::new(count).encode(family.encode_family(&[("reason", reason.name())])?)?;
    }
    let times = BATCH_SECONDS.into_iter().chain([f64::INFINITY]).zip(counts.batches);
    let help = "Time of a worker for one batch, components included";
    histogram(encoder, "tidegate_batch_seconds", help, counts.batch_time, times)?;
    let waits = BATCH_SECONDS.into_iter().chain([f64::INFINITY]).zip(counts.waits);
    let help = "Time that a batch waited for its worker, its lane free";
    histogram(encoder, "tidegate_batch_wait_seconds", help, counts.wait_time, waits)?;
    let lateness = (Duration::from_micros(tally.lateness.micros), Lateness::bounds().zip(tally.lateness.records));
    let help = "How far behind the largest event time of its partition a record came";
    histogram(encoder, "tidegate_lateness_seconds", help, lateness.0, lateness.1)
}

/// `sum` of all, and how many there are up to each bound.
fn histogram(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    sum: Duration,
    buckets: impl Iterator<Item = (f64, u64)>,
) -> fmt::Result {
    let buckets: Vec<(f64, u64)> = buckets.collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    let mut histogram = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    histogram.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, &buckets, None)
}

fn source(encoder: &mut DescriptorEncoder, snapshot: &Snapshot) -> fmt::Result {
    let (stale, lost) = (snapshot.stale_records, snapshot.lost_records);
    counter(encoder, "tidegate_stale_records", "Records below the position, left out", stale)?;
    counter(encoder, "tidegate_lost_records", "Records that were gone from the log before they were read", lost)
}

fn sinks(encoder: &mut DescriptorEncoder, sinks: &[SinkSnapshot]) -> fmt::Result {
    type Count = fn(&SinkSnapshot) -> u64;
    let counters: [(&str, &str, Count); 7] = [
        ("tidegate_index_requests", "Bulk requests sent", |sink| sink.requests),
        ("tidegate_index_settled", "Documents that the index took", |sink| sink.settled),
        ("tidegate_index_retried", "Documents sent again after a refusal that passes", |sink| sink.retried),
        ("tidegate_index_superseded", "Documents of which the index had this version already", |sink| sink.superseded),
        ("tidegate_index_rejected", "Documents that the index refused for good", |sink| sink.rejected),
        ("tidegate_index_dropped", "Documents that the index refused, dropped by the policy", |sink| sink.dropped),
        ("tidegate_index_failure_store", "Documents that went into a failure store", |sink| sink.failure_store),
    ];
    for (name, help, count) in counters {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for sink in sinks {
            ConstCounter::new(count(sink)).encode(family.encode_family(&[("sink", sink.name.as_str())])?)?;
        }
    }
    type Level = fn(&SinkSnapshot) -> f64;
    let limit = "How many may be under way, by what the index has shown to bear";
    let gauges: [(&str, &str, Level); 4] = [
        ("tidegate_index_requests_in_flight", "Bulk requests that are under way", |sink| {
            sink.requests_in_flight as f64
        }),
        ("tidegate_index_requests_limit", limit, |sink| sink.requests_limit as f64),
        ("tidegate_index_bulk_bytes", "The size at which a bulk request is sent", |sink| sink.bulk_bytes as f64),
        ("tidegate_index_unreachable_seconds", "How long the index has not answered; 0 while it does", |sink| {
            sink.unreachable_for.map_or(0.0, |time| time.as_secs_f64())
        }),
    ];
    for (name, help, level) in gauges {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for sink in sinks {
            ConstGauge::new(level(sink)).encode(family.encode_family(&[("sink", sink.name.as_str())])?)?;
        }
    }
    Ok(())
}

fn checkpoints(encoder: &mut DescriptorEncoder, snapshot: &Snapshot) -> fmt::Result {
    let CheckpointCounts { kept, failed, bytes, micros } = snapshot.checkpoints;
    counter(encoder, "tidegate_checkpoints", "Checkpoints that are durable", kept)?;
    counter(encoder, "tidegate_checkpoint_failures", "Checkpoints that were not kept, or not surely", failed)?;
    counter(encoder, "tidegate_checkpoint_bytes", "Bytes of the durable ones", bytes)?;
    let seconds = Duration::from_micros(micros).as_secs_f64();
    let help = "Time that they took from the moment that all before them was settled";
    let descriptor = encoder.encode_descriptor("tidegate_checkpoint_seconds", help, None, MetricType::Counter)?;
    ConstCounter::new(seconds).encode(descriptor)
}

fn archive(encoder: &mut DescriptorEncoder, snapshot: &Snapshot) -> fmt::Result {
    let ArchiveCounts { letters, failures, lag_records } = snapshot.archive;
    counter(encoder, "tidegate_archived_letters", "Dead letters that are in the archive", letters)?;
    counter(encoder, "tidegate_archive_failures", "Objects that the store of the archive did not take", failures)?;
    gauge(encoder, "tidegate_archive_lag_records", "Dead letters that are not archived yet", lag_records as f64)
}

fn audit(encoder: &mut DescriptorEncoder, snapshot: &Snapshot) -> fmt::Result {
    let AuditCounts { lines, lost } = snapshot.audit;
    counter(encoder, "tidegate_audit_lines", "Lines of the audit log that were written", lines)?;
    counter(encoder, "tidegate_audit_lost", "Lines of the audit log that were not written", lost)
}

fn memory(encoder: &mut DescriptorEncoder, snapshot: &Snapshot) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "tidegate_in_flight_bytes",
        "Memory that is held for what is on its way",
        None,
        MetricType::Gauge,
    )?;
    for (what, bytes) in [
        ("records", snapshot.records_bytes),
        ("documents", snapshot.documents_bytes),
        ("messages", snapshot.messages_bytes),
    ] {
        ConstGauge::new(bytes as f64).encode(family.encode_family(&[("what", what)])?)?;
    }
    Ok(())
}

fn lanes(encoder: &mut DescriptorEncoder, lanes: &[LaneSnapshot]) -> fmt::Result {
    let family = encoder.encode_descriptor(
        "tidegate_lag_records",
        "Records between what was read and the end of the partition",
        None,
        MetricType::Gauge,
    )?;
    each(family, lanes, |lane| lane.lag.map(|lag| lag as f64))?;
    let family = encoder.encode_descriptor(
        "tidegate_watermark_seconds",
        "Watermark, in seconds since 1970",
        None,
        MetricType::Gauge,
    )?;
    each(family, lanes, |lane| known(lane.status.watermark))?;
    let family =
        encoder.encode_descriptor("tidegate_open_windows", "Windows that are not final", None, MetricType::Gauge)?;
    each(family, lanes, |lane| Some(lane.status.open_windows as f64))?;
    let family = encoder.encode_descriptor(
        "tidegate_groups",
        "States that are held: a group in a window",
        None,
        MetricType::Gauge,
    )?;
    each(family, lanes, |lane| Some(lane.status.groups as f64))?;
    let family = encoder.encode_descriptor(
        "tidegate_windows_bytes",
        "What open windows take in memory, about",
        None,
        MetricType::Gauge,
    )?;
    each(family, lanes, |lane| Some(lane.status.windows_bytes as f64))?;
    let family = encoder.encode_descriptor(
        "tidegate_idle",
        "1 while the partition holds no window back, since nothing comes",
        None,
        MetricType::Gauge,
    )?;
    each(family, lanes, |lane| Some(f64::from(u8::from(lane.status.idle))))
}

fn known(time: EventTime) -> Option<f64> {
    (time != EventTime::MIN && time != EventTime::MAX).then(|| time.micros() as f64 / 1e6)
}

fn counter(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: u64) -> fmt::Result {
    ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}

fn gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: f64) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// A value for each lane that has one.
fn each(
    mut family: MetricEncoder<'_>,
    lanes: &[LaneSnapshot],
    value: impl Fn(&LaneSnapshot) -> Option<f64>,
) -> fmt::Result {
    for lane in lanes {
        let Some(value) = value(lane) else { continue };
        let labels = [("topic", lane.partition.topic.to_string()), ("partition", lane.partition.number.to_string())];
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::lane::{Account, LaneStatus, RowFate};
    use crate::record::{Offset, Partition};

    fn snapshot() -> Snapshot {
        let lane = LaneSnapshot {
            partition: Partition::new("clicks", 3),
            parts: false,
            lag: Some(4),
            status: LaneStatus {
                watermark: EventTime::from_micros(1_500_000),
                open_windows: 2,
                groups: 7,
                windows_bytes: 700,
                next: Offset(5),
                ..LaneStatus::default()
            },
        };
        let sink = SinkSnapshot { name: "elasticsearch".to_owned(), settled: 8, ..SinkSnapshot::default() };
        let mut account = Account::default();
        account.add(Some(&"all".into()), RowFate::Dropped("has-user".into()), 6);
        let accounts = [(Partition::new("clicks", 3), account)].into();
        let mut snapshot = Snapshot { lanes: vec![lane], sinks: vec![sink], accounts, ..Snapshot::default() };
        snapshot.counts.tally.records = 9;
        snapshot.counts.tally.dead_letters[0] = 1;
        snapshot.counts.batches[0] = 2;
        snapshot.counts.batches[12] = 1;
        snapshot
    }

    #[test]
    fn values_carry_their_labels() {
        let text = render(&snapshot());
        for line in [
            "tidegate_records_total 9",
            "tidegate_index_settled_total{sink=\"elasticsearch\"} 8",
            "tidegate_dead_letters_total{reason=\"json\"} 1",
            "tidegate_rows_total{topic=\"clicks\",partition=\"3\",output=\"all\",fate=\"dropped\",by=\"has-user\"} 6",
            "tidegate_lag_records{topic=\"clicks\",partition=\"3\"} 4.0",
            "tidegate_watermark_seconds{topic=\"clicks\",partition=\"3\"} 1.5",
            "tidegate_batch_seconds_bucket{le=\"0.0005\"} 2",
            "tidegate_batch_seconds_bucket{le=\"+Inf\"} 3",
            "tidegate_batch_seconds_count 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn every_metric_is_documented_and_nothing_else_is() {
        let types: BTreeSet<(String, String)> = render(&snapshot())
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .map(|(name, kind)| (if kind == "counter" { name + "_total" } else { name }, kind))
            .collect();
        let documented: BTreeSet<(String, String)> = include_str!("../../../docs/metrics.md")
            .lines()
            .filter(|line| line.starts_with("| `tidegate_"))
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .map(|(name, rest)| (name.to_owned(), rest.split(" |").next().unwrap_or_default().to_owned()))
            .collect();
        assert_eq!(types, documented);
    }
}
