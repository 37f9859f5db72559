//! How far event time has come, which partition holds the windows back, and why.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LaneSnapshot, Phase, Snapshot};
use crate::config::show_duration;
use crate::record::{EventTime, Partition};

/// What [`explain_watermark`] finds.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, Debug)]
pub struct WatermarkReport {
    /// Windows are closed that ended by it. None: no time is known of all partitions yet.
    pub closed_through: Option<String>,
    /// Where the oldest open window ends.
    pub oldest_end: Option<String>,
    pub open_windows: usize,
    pub sources: Vec<SourceWatermark>,
    /// All of it in words, a line each.
    pub words: Vec<String>,
    /// Other partitions have come to the end of the oldest window, or all are idle, and it is open.
    pub held_back: bool,
}

/// A partition of a source topic.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub struct SourceWatermark {
    pub partition: String,
    /// None: nothing is known of it yet.
    pub watermark: Option<String>,
    /// Behind the partition that is furthest on, in seconds.
    pub behind_seconds: Option<f64>,
    /// Records that are still to be read; none while the broker has not said, and where another instance reads it.
    pub lag: Option<u64>,
    pub idle: bool,
    /// Whether this process reads it.
    pub here: bool,
    /// Whether windows wait for it.
    pub holds: bool,
}

/// A source, by the markers that a parts lane has of it, and by its lane where that is here.
struct Source<'s> {
    partition: Partition,
    /// What windows close by.
    watermark: Option<EventTime>,
    /// What is known here: a lane is further on than its last marker.
    newest: Option<EventTime>,
    idle: bool,
    lane: Option<&'s LaneSnapshot>,
}

pub fn explain_watermark(snapshot: &Snapshot) -> WatermarkReport {
    let merging = snapshot.lanes.iter().filter(|lane| lane.parts).min_by_key(|lane| lane.status.watermark);
    let sources = sources(snapshot, merging);
    let active = || sources.iter().filter(|source| !source.idle);
    let closed_through = match merging {
        Some(merging) => known(merging.status.watermark),
        None => active().map(|source| source.newest).min().flatten(),
    };
    let slowest = active().map(|source| source.watermark).min();
    let furthest = sources.iter().filter_map(|source| source.newest).max();
    let oldest_end = snapshot.lanes.iter().filter_map(|lane| lane.status.oldest_end).min();
    let passed = oldest_end.is_some_and(|end| furthest.is_some_and(|furthest| furthest >= end));
    let mut report = WatermarkReport {
        closed_through: closed_through.map(|time| time.to_string()),
        oldest_end: oldest_end.map(|end| end.to_string()),
        open_windows: snapshot.open_windows(),
        held_back: oldest_end.is_some() && (passed || slowest.is_none()) && !sources.is_empty(),
        ..WatermarkReport::default()
    };
    report.words.push(opening(snapshot, &sources, closed_through, oldest_end));
    for source in &sources {
        // Without a parts topic each partition closes its own windows.
        let holds = merging.is_some() && !source.idle && Some(source.watermark) == slowest;
        let behind = furthest.zip(source.newest).map(|(furthest, newest)| furthest.micros() - newest.micros());
        if holds && oldest_end.is_some() {
            report.words.push(format!("{} holds them back: {}", source.partition, why(source, snapshot)));
        }
        report.sources.push(SourceWatermark {
            partition: source.partition.to_string(),
            watermark: source.newest.map(|time| time.to_string()),
            behind_seconds: behind.map(|micros| micros as f64 / 1e6),
            lag: source.lane.and_then(|lane| lane.lag),
            idle: source.idle,
            here: source.lane.is_some(),
            holds,
        });
    }
    if merging.is_none() && snapshot.lanes.iter().any(|lane| !lane.parts) && oldest_end.is_some() {
        report.words.push(
            "no partition of a parts topic is here: with `partitioned_by_group` each partition closes its own windows; without, ask \
             the instance that has one"
                .to_owned(),
        );
    }
    report.words.extend(late(snapshot));
    report.words.extend(snapshot.waiting.iter().map(|waiting| format!("waiting: {waiting}")));
    report
}

fn known(time: EventTime) -> Option<EventTime> {
    (time != EventTime::MIN).then_some(time)
}

fn sources<'s>(snapshot: &'s Snapshot, merging: Option<&LaneSnapshot>) -> Vec<Source<'s>> {
    let lanes = || snapshot.lanes.iter().filter(|lane| !lane.parts);
    let of_lane = |lane: &'s LaneSnapshot| Source {
        partition: lane.partition.clone(),
        watermark: known(lane.status.watermark),
        newest: known(lane.status.watermark),
        idle: lane.status.idle,
        lane: Some(lane),
    };
    let Some(merging) = merging else { return lanes().map(of_lane).collect() };
    let of_marker = |said: &crate::lane::SourceStatus| {
        let lane = lanes().find(|lane| lane.partition == said.partition);
        let watermark = said.watermark.and_then(known);
        Source {
            partition: said.partition.clone(),
            watermark,
            newest: watermark.max(lane.and_then(|lane| known(lane.status.watermark))),
            idle: said.idle,
            lane,
        }
    };
    merging.status.sources.iter().map(of_marker).collect()
}

fn opening(
    snapshot: &Snapshot,
    sources: &[Source<'_>],
    closed_through: Option<EventTime>,
    oldest_end: Option<EventTime>,
) -> String {
    let closed =
        closed_through.map_or("no window has closed yet".to_owned(), |time| format!("windows are closed up to {time}"));
    if snapshot.phase == Phase::Starting || sources.is_empty() {
        return "nothing is known yet: no partition is assigned".to_owned();
    }
    let Some(end) = oldest_end else { return format!("{closed}; none is open") };
    let windows = match snapshot.open_windows() {
        1 => "the open window".to_owned(),
        several => format!("the oldest of {several} open windows"),
    };
    let (wanted, out_of_order) = (end.plus(snapshot.out_of_order), show_duration(snapshot.out_of_order));
    let how = format!(
        "{closed}; {windows} ends at {end}, and closes when a record of {wanted} or later (out_of_order={out_of_order}) was read"
    );
    match sources.iter().all(|source| source.idle) {
        true => format!(
            "{how}: all partitions are idle, so time stands still until one comes; nothing is lost, and `emit = {{ when_quiet = true }}` shows \
                     what the windows hold"
        ),
        false => format!("{how} in every partition that is not idle"),
    }
}

/// What `out_of_order` would have to be.
fn late(snapshot: &Snapshot) -> Option<String> {
    let lateness = &snapshot.counts.tally.lateness;
    let records = lateness.total();
    let out_of_order = show_duration(snapshot.out_of_order);
    let told = match lateness.bound_of(999) {
        _ if records == 0 => return None,
        Some(Duration::ZERO) => format!("99.9 % of records={records} came in order"),
        Some(bound) => {
            let bound = show_duration(bound);
            format!("99.9 % of records={records} came at most {bound} behind the largest event time of their partition")
        }
        None => format!(
            "more than 0.1 % of records={records} came more than a day behind their partition's largest event time"
        ),
    };
    Some(format!("{told} (out_of_order={out_of_order})"))
}

/// Why the source is not further on.
fn why(source: &Source<'_>, snapshot: &Snapshot) -> String {
    let idle_after = show_duration(snapshot.idle_after);
    let newest = source.newest.map(|watermark| watermark.plus(snapshot.out_of_order));
    match (source.lane, newest) {
        (None, None) => "no instance has said anything of it yet: is it read by one?".to_owned(),
        (None, Some(newest)) => {
            format!("another instance reads it; at its last word its newest event time was {newest}")
        }
        (Some(lane), newest) => {
            let newest = newest.map_or("it has no record with an event time yet".to_owned(), |newest| {
                format!("its newest event time is {newest}")
            });
            match lane.lag {
                None => format!("{newest}; the broker has not said where it ends"),
                Some(0) => format!(
                    "{newest}, and there is no other record in it; after idle_after={idle_after} without one it is passed over"
                ),
                Some(lag) => format!("{newest}, and records={lag} of it are still to be read"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
