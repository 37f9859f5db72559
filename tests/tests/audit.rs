//! The audit log, on stand-ins: each record that is dropped has a line, by whoever drops it; a disk that takes nothing holds nothing up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tidegate_tests::program::components;
use tidegate_tests::reload::{GROUPS, LIMIT, Numbers, PARTITIONS};
use tidegate_tests::wait_for;

/// Numbers of three minutes, of which all but one in [`GROUPS`] are dropped by a filter.
const NUMBERS: i64 = 180_000;

fn job(test: &str, percent: u8, path: &Path) -> Numbers {
    let job = Numbers::new(&format!("audit-{test}"));
    fs::copy(components().join("where.wasm"), job.plugin("where")).expect("it is built");
    let Numbers { name, topic, brokers, .. } = &job;
    let text = format!(
        r#"
        name = "{name}"
        [source.kafka]
        brokers = "{brokers}"
        topics = ["{topic}"]
        [source.decode]
        event_time = "time"
        [watermark]
        out_of_order = "1s"
        idle_after = "1h"
        max_future = "366d"
        [[transform]]
        plugin = "where.wasm"
        settings = {{ field = "g", equals = "g3" }}
        [sink.elasticsearch]
        urls = ["{url}"]
        bulk_age_max = "10ms"
        [[sink.elasticsearch.policy]]
        status = 400
        then = "drop"
        [[output]]
        name = "all"
        index = "all"
        [[output]]
        name = "tallies"
        index = "tallies"
        [output.aggregate]
        plugin = "tally.wasm"
        group_by = ["g"]
        window = {{ tumbling = "1m" }}
        late = "drop"
        partitioned_by_group = true
        [audit]
        path = "{path}"
        percent = {percent}
        file_bytes_max = "1GiB"
        "#,
        url = job.index.url(),
        path = path.display(),
    );
    job.put(&job.file(), text.as_bytes());
    job
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("it is written");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn origin(n: i64) -> String {
    format!("numbers-{}-{}", n % i64::from(PARTITIONS), n / i64::from(PARTITIONS))
}

fn file(job: &Numbers) -> PathBuf {
    job.folder.join("audit.ndjson")
}

#[test]
fn every_record_that_is_dropped_has_a_line_that_says_by_whom() {
    let job = job("lines", 100, Path::new("audit.ndjson"));
    job.index.map_number("all", "g", true);
    let running = job.start();
    let numbers = NUMBERS / 10;
    job.produce(0..numbers);
    // The first minute is over: these come too late for its windows, one of them past the filter.
    job.pass_time(0);
    job.produce(0..GROUPS);
    let passing = i64::from(PARTITIONS);
    let records = (numbers + passing + GROUPS) as u64;
    wait_for("the records", LIMIT, || (running.handle.snapshot().counts.tally.records == records).then_some(()));
    running.drain();

    let mut by: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines(&file(&job)) {
        by.entry(line["why"].as_str().expect("a word").to_owned()).or_default().push(line);
    }
    let origins = |why: &str| -> BTreeSet<String> {
        by[why].iter().map(|line| line["origin"].as_str().expect("text").to_owned()).collect()
    };
    let is_kept = |n: &i64| n % GROUPS == 3;
    let expected: BTreeSet<String> = (0..numbers).filter(|n| !is_kept(n)).map(origin).collect();
    assert!(origins("filter").is_superset(&expected), "{}", by["filter"].len());
    assert_eq!(by["filter"].len() as i64, expected.len() as i64 + passing + GROUPS - 1);
    let first = &by["filter"][0];
    assert_eq!((&first["plugin"], &first["generation"], &first["output"]), (&"where".into(), &1.into(), &Value::Null));
    assert_eq!(first["digest"].as_str().map(str::len), Some(64), "{first}");

    assert_eq!(by["late"].len(), 1, "{:?}", by["late"]);
    assert_eq!(by["late"][0]["output"], "tallies");
    let kept: BTreeSet<String> = (0..numbers).filter(is_kept).map(origin).collect();
    assert!(origins("policy").is_superset(&kept), "{}", by["policy"].len());
    let refused = &by["policy"][0];
    assert_eq!(
        (&refused["index"], &refused["status"], &refused["output"]),
        (&"all".into(), &400.into(), &"all".into())
    );
    assert_eq!(job.dead_letters(), 0);
    assert_eq!(by.keys().collect::<Vec<_>>(), ["filter", "late", "policy"]);
}

#[test]
fn a_sample_is_the_same_when_records_are_read_again() {
    let sampled = |test: &str| -> BTreeSet<String> {
        let job = job(test, 10, Path::new("audit.ndjson"));
        let running = job.start();
        job.produce(0..NUMBERS / 10);
        let all = (NUMBERS / 10) as u64;
        wait_for("the records", LIMIT, || (running.handle.snapshot().counts.tally.records == all).then_some(()));
        running.drain();
        lines(&file(&job)).iter().map(|line| line["origin"].as_str().expect("text").to_owned()).collect()
    };
    let (once, again) = (sampled("sample"), sampled("sample-again"));
    let dropped = (NUMBERS / 10 * (GROUPS - 1) / GROUPS) as usize;
    assert!((dropped / 12..dropped / 8).contains(&once.len()), "{} of {dropped}", once.len());
    assert_eq!(once, again);
}

/// A pipe that nobody reads is a disk that hangs.
#[test]
fn a_disk_that_hangs_loses_lines_and_holds_nothing_up() {
    let job = job("hangs", 100, Path::new("audit.ndjson"));
    let made = Command::new("mkfifo").arg(file(&job)).status().expect("mkfifo is there");
    assert!(made.success());
    let running = job.start();
    job.produce(0..NUMBERS);
    job.wait_for_documents((NUMBERS / GROUPS) as usize);
    let counts = running.handle.snapshot().audit;
    assert!(counts.lost > 0, "{counts:?}");
    running.drain();
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_at_the_start() {
    let job = job("path", 100, Path::new("missing/audit.ndjson"));
    let error = tidegate_tests::reload::Running::begin(job.file()).ended().expect_err("there is no such folder");
    let said = error.to_string();
    assert!(
        said.starts_with("the audit log cannot be written path=`") && said.ends_with("see `path` in [audit]"),
        "{said}"
    );
}
