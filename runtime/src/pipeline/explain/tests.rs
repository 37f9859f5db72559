//! What is said in which case.

use std::time::Duration;

use expect_test::{Expect, expect};

use super::*;
use crate::lane::{LaneStatus, SourceStatus};
use crate::record::Offset;

const MINUTE: i64 = 60_000_000;

fn minutes(minutes: i64) -> EventTime {
    EventTime::from_micros(minutes * MINUTE)
}

fn source(number: i32, watermark: Option<i64>, lag: u64, idle: bool) -> LaneSnapshot {
    LaneSnapshot {
        partition: Partition::new("events", number),
        parts: false,
        lag: Some(lag),
        status: LaneStatus {
            watermark: watermark.map_or(EventTime::MIN, minutes),
            next: Offset(7),
            idle,
            ..LaneStatus::default()
        },
    }
}

/// A partition of the parts topic that knows as much of each source, and holds a window that ends then.
fn parts(time: Option<i64>, end: Option<i64>, sources: &[(i32, Option<i64>, bool)]) -> LaneSnapshot {
    let sources = sources.iter().map(|(number, watermark, idle)| SourceStatus {
        partition: Partition::new("events", *number),
        watermark: watermark.map(minutes),
        idle: *idle,
    });
    LaneSnapshot {
        partition: Partition::new("job.parts", 0),
        parts: true,
        lag: Some(0),
        status: LaneStatus {
            watermark: time.map_or(EventTime::MIN, minutes),
            open_windows: usize::from(end.is_some()),
            oldest_end: end.map(minutes),
            sources: sources.collect(),
            ..LaneStatus::default()
        },
    }
}

fn report(lanes: Vec<LaneSnapshot>) -> WatermarkReport {
    let settings = (Duration::from_secs(120), Duration::from_secs(30));
    let (out_of_order, idle_after) = settings;
    explain_watermark(&Snapshot { phase: Phase::Running, lanes, out_of_order, idle_after, ..Snapshot::default() })
}

fn check(lanes: Vec<LaneSnapshot>, held_back: bool, words: Expect) {
    let report = report(lanes);
    words.assert_eq(&report.words.join("\n"));
    assert_eq!(report.held_back, held_back, "{report:?}");
}

#[test]
fn a_partition_that_is_at_its_end_holds_windows_back_until_it_is_idle() {
    let lanes = |idle| {
        vec![
            parts(Some(5), Some(10), &[(0, Some(20), false), (1, Some(5), idle)]),
            source(0, Some(21), 3, false),
            source(1, Some(6), 0, idle),
        ]
    };
    check(
        lanes(false),
        true,
        expect![[r#"
        windows are closed up to 1970-01-01T00:05:00Z; the open window ends at 1970-01-01T00:10:00Z, and closes when a record of 1970-01-01T00:12:00Z or later (out_of_order=2m) was read in every partition that is not idle
        events-1 holds them back: its newest event time is 1970-01-01T00:08:00Z, and there is no other record in it; after idle_after=30s without one it is passed over"#]],
    );
    let report = report(lanes(false));
    assert_eq!(report.sources.iter().map(|source| source.holds).collect::<Vec<_>>(), [false, true]);
    assert_eq!(report.sources[1].behind_seconds, Some(15.0 * 60.0));
}

#[test]
fn records_that_are_still_to_be_read_are_told() {
    let said = [(0, Some(20), false), (1, Some(5), false)];
    check(
        vec![parts(Some(5), Some(10), &said), source(0, Some(20), 0, false), source(1, Some(5), 1234, false)],
        true,
        expect![[r#"
            windows are closed up to 1970-01-01T00:05:00Z; the open window ends at 1970-01-01T00:10:00Z, and closes when a record of 1970-01-01T00:12:00Z or later (out_of_order=2m) was read in every partition that is not idle
            events-1 holds them back: its newest event time is 1970-01-01T00:07:00Z, and records=1234 of it are still to be read"#]],
    );
}

#[test]
fn a_partition_of_which_nobody_says_anything_holds_windows_back() {
    let said = [(0, Some(20), false), (1, None, false), (2, Some(3), false)];
    check(
        vec![parts(None, Some(10), &said), source(0, Some(20), 0, false)],
        true,
        expect![[r#"
        no window has closed yet; the open window ends at 1970-01-01T00:10:00Z, and closes when a record of 1970-01-01T00:12:00Z or later (out_of_order=2m) was read in every partition that is not idle
        events-1 holds them back: no instance has said anything of it yet: is it read by one?"#]],
    );
}

#[test]
fn where_all_are_idle_time_stands_still() {
    let said = [(0, Some(5), true), (1, Some(3), true)];
    let lanes = vec![parts(Some(5), Some(10), &said), source(0, Some(5), 0, true), source(1, Some(3), 0, true)];
    check(
        lanes,
        true,
        expect![
            "windows are closed up to 1970-01-01T00:05:00Z; the open window ends at 1970-01-01T00:10:00Z, and closes when a record of 1970-01-01T00:12:00Z or later (out_of_order=2m) was read: all partitions are idle, so time stands still until one comes; nothing is lost, and `emit = { when_quiet = true }` shows what the windows hold"
        ],
    );
}

#[test]
fn a_window_that_cannot_have_closed_yet_is_no_reason_to_complain() {
    let said = [(0, Some(5), false), (1, Some(4), false)];
    let lanes = vec![parts(Some(4), Some(10), &said), source(0, Some(9), 0, false), source(1, Some(8), 0, false)];
    check(
        lanes,
        false,
        expect![[r#"
        windows are closed up to 1970-01-01T00:04:00Z; the open window ends at 1970-01-01T00:10:00Z, and closes when a record of 1970-01-01T00:12:00Z or later (out_of_order=2m) was read in every partition that is not idle
        events-1 holds them back: its newest event time is 1970-01-01T00:10:00Z, and there is no other record in it; after idle_after=30s without one it is passed over"#]],
    );
    check(
        vec![parts(Some(4), None, &said), source(0, Some(9), 0, false)],
        false,
        expect!["windows are closed up to 1970-01-01T00:04:00Z; none is open"],
    );
    check(vec![], false, expect!["nothing is known yet: no partition is assigned"]);
}

#[test]
fn without_parts_each_partition_closes_its_own() {
    let mut open = source(1, Some(4), 0, false);
    (open.status.open_windows, open.status.oldest_end) = (2, Some(minutes(10)));
    check(
        vec![source(0, Some(9), 0, false), open],
        false,
        expect![[r#"
        windows are closed up to 1970-01-01T00:04:00Z; the oldest of 2 open windows ends at 1970-01-01T00:10:00Z, and closes when a record of 1970-01-01T00:12:00Z or later (out_of_order=2m) was read in every partition that is not idle
        no partition of a parts topic is here: with `partitioned_by_group` each partition closes its own windows; without, ask the instance that has one"#]],
    );
}
