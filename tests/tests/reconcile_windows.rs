//! `tidegate reconcile` on windows of every kind: sessions, sliding windows, early results, updates by late records, groups
//! of one partition; while the pipeline goes on, after a restart, from a time in the middle.

use serde_json::{Value, json};
use tidegate_tests::kafka::Record;
use tidegate_tests::program::Program;
use tidegate_tests::reconcile::{DIFFERENCES, assert_adds_up, bulk, explained, reconcile};
use tidegate_tests::reload::{GROUPS, LIMIT, Numbers, PARTITIONS, Plugins};
use tidegate_tests::servers::Servers;
use tidegate_tests::wait_for;

const RECORDS: u64 = 4000;
const FIRST_MILLIS: i64 = 1_740_830_400_000; // 2025-03-01T12:00:00Z
/// So much later is the next record, on the whole.
const STEP_MILLIS: i64 = 50;
/// As `out_of_order` allows.
const OUT_OF_ORDER_MILLIS: i64 = 1000;
/// One of a hundred comes so late that its windows have closed, or are updated.
const LATE_MILLIS: i64 = 90_000;
const OUTPUTS: [(&str, &str); 7] = [
    ("sessions", r#"window = { session_gap = "2s", max_session = "1m" }"#),
    ("own_sessions", "window = { session_gap = \"3s\", max_session = \"1h\" }\npartitioned_by_group = true"),
    ("sliding", r#"window = { sliding = "1m", every = "20s" }"#),
    ("own_sliding", "window = { sliding = \"30s\", every = \"10s\" }\npartitioned_by_group = true\nlate = \"drop\""),
    ("early", "window = { tumbling = \"30s\" }\nemit = { every = \"10s\" }"),
    ("updated", "window = { tumbling = \"30s\" }\nlate = { update_within = \"2m\" }"),
    ("quiet", "window = { tumbling = \"1m\" }\nemit = { when_quiet = true }\nlate = \"drop\""),
];

fn outputs() -> String {
    let one = |(name, aggregate): &(&str, &str)| {
        let group = if name.starts_with("own") { "own" } else { "g" };
        format!(
            "[[output]]\nname = \"{name}\"\nindex = \"{name}\"\n[output.aggregate]\nplugin = \"tally.wasm\"\n\
             group_by = [\"{group}\"]\n{aggregate}\n"
        )
    };
    OUTPUTS.iter().map(one).collect()
}

fn record(n: u64, random: &mut fastrand::Rng) -> Record {
    let partition = random.i32(0..PARTITIONS);
    let late = if random.u8(0..100) == 0 { random.i64(0..LATE_MILLIS) } else { 0 };
    let millis = FIRST_MILLIS + n as i64 * STEP_MILLIS - random.i64(0..OUT_OF_ORDER_MILLIS) - late;
    // Each comes every two seconds or so, some twice as often.
    let group = random.u8(0..40).min(random.u8(0..160));
    let value = json!({ "n": n, "time": millis, "g": format!("g{group}"), "own": format!("{partition}-{group}") });
    Record {
        partition,
        timestamp_millis: millis.max(FIRST_MILLIS),
        value: Some(value.to_string().into_bytes()),
        ..Record::default()
    }
}

/// A record of each partition that is so late in time that all windows before it are closed.
fn end_of_time() -> Vec<Record> {
    let millis = FIRST_MILLIS + RECORDS as i64 * STEP_MILLIS + 10 * 60_000;
    let one = |partition| {
        let value = json!({ "n": -1, "time": millis, "g": "end", "own": format!("{partition}-end") });
        Record { partition, timestamp_millis: millis, value: Some(value.to_string().into_bytes()), ..Record::default() }
    };
    (0..PARTITIONS).map(one).collect()
}

#[test]
fn windows_of_every_kind_add_up() {
    add_up(&Numbers::new("reconcile-windows"));
}

/// Where a time is in a log only a real broker tells.
#[test]
#[ignore = "needs a real Kafka: scripts/server-tests.sh starts it and runs it, by make test"]
fn windows_of_every_kind_add_up_from_a_time_in_the_middle() {
    let job = Numbers::on(&Servers::get().kafka, "reconcile-windows");
    add_up(&job);
    let (whole, from) =
        (assert_adds_up(&job.file(), &[]), assert_adds_up(&job.file(), &["--from", "2025-03-01T12:01:30Z"]));
    for name in ["own_sessions", "own_sliding"] {
        let documents = job.index.documents(name);
        for one in documents.iter().step_by(documents.len() / 5) {
            let source: Value = serde_json::from_slice(&one.source).expect("a document is JSON");
            let found = explained(&job.file(), &one.id);
            let spans = found["window"]["spans"].as_array().expect("a list");
            let records: u64 = spans.iter().filter_map(|span| span["records"].as_u64()).sum();
            assert_eq!(source["records"], records, "{found:#}");
        }
    }
    let windows = |found: &Value, what: &str| -> Vec<u64> {
        let outputs = found["outputs"].as_array().expect("a list").iter();
        outputs.map(|output| output["windows"][what].as_u64().unwrap_or_default()).collect()
    };
    // What begins before the first records of each partition end may lack some.
    let (equal, not_judged, all) = (windows(&from, "equal"), windows(&from, "not_judged"), windows(&whole, "equal"));
    assert!(equal.iter().zip(&all).all(|(equal, all)| equal < all), "{from:#}");
    assert!(not_judged.iter().all(|count| *count > 0), "{from:#}");
}

/// Where a time is in a log only a real broker tells.
#[test]
#[ignore = "needs a real Kafka: scripts/server-tests.sh starts it and runs it, by make test"]
fn a_window_without_parts_is_explained_by_what_is_folded_into_it() {
    let job = Numbers::on(&Servers::get().kafka, "explain-partitioned");
    job.write(Plugins { tally: "partitioned_by_group = true", ..Plugins::default() });
    let running = job.start();
    job.produce(0..3000);
    job.pass_time(0);
    let windows = PARTITIONS as usize * GROUPS as usize;
    wait_for("the windows", LIMIT, || (job.index.documents("tallies").len() == windows).then_some(()));
    running.drain();
    let window = job.index.documents("tallies").remove(5);
    let source: Value = serde_json::from_slice(&window.source).expect("a document is JSON");
    let found = explained(&job.file(), &window.id);
    let spans = found["window"]["spans"].as_array().expect("a list");
    assert_eq!((spans.len(), &spans[0]["records"]), (1, &source["records"]), "{found:#}");
    // The offset of its version is that of its last record.
    assert_eq!(spans[0]["last_offset"], found["found"][0]["offset"], "{found:#}");
    assert_eq!(spans[0]["source"], found["window"]["partition"], "{found:#}");
    // It is not there any more.
    bulk(&job.index, &[json!({ "delete": { "_index": "tallies", "_id": window.id } })]);
    let found = explained(&job.file(), &window.id);
    assert_eq!((&found["found"], &found["window"]["spans"][0]["records"]), (&json!([]), &source["records"]));
}

/// The windows that the outputs here have as they should be.
fn equal(found: &Value) -> Vec<u64> {
    let outputs = found["outputs"].as_array().expect("a list").iter();
    let windows = outputs.filter(|output| OUTPUTS.iter().any(|(name, _)| output["output"] == *name));
    windows.map(|output| output["windows"]["equal"].as_u64().unwrap_or_default()).collect()
}

fn add_up(job: &Numbers) {
    job.write(Plugins { documents: false, more: &outputs(), ..Plugins::default() });
    let mut random = fastrand::Rng::with_seed(7);
    let records: Vec<Record> = (0..RECORDS).map(|n| record(n, &mut random)).collect();
    let log = job.folder.join("run.log");
    let (before, after) = records.split_at(records.len() / 2);

    let program = Program::run(&job.file(), &log);
    job.kafka.produce(&job.topic, before);
    wait_for("sessions", LIMIT, || (job.documents("sessions").len() > 50).then_some(()));
    assert_adds_up(&job.file(), &[]);
    assert!(program.terminate().success());
    let found = assert_adds_up(&job.file(), &[]);
    assert!(equal(&found).iter().all(|count| *count > 0), "{found:#}");

    let program = Program::run(&job.file(), &log);
    job.kafka.produce(&job.topic, after);
    job.kafka.produce(&job.topic, &end_of_time());
    // What is open still are the windows of the last records.
    wait_for("all other windows", LIMIT, || {
        let positions = job.kafka.positions(job.group(), &job.topic, PARTITIONS);
        (positions.iter().map(|(_, _, offset, _)| *offset).sum::<i64>() == RECORDS as i64).then_some(())
    });
    assert!(program.terminate().success());
    let found = assert_adds_up(&job.file(), &[]);
    assert!(equal(&found).iter().all(|count| *count > 100), "{found:#}");

    // What somebody changes is named, until it is as it was.
    let names = ["own_sliding", "sessions", "sliding"];
    let found = names.map(|output| {
        let document = job.index.documents(output).remove(5);
        let body: Value = serde_json::from_slice(&document.source).expect("a document is JSON");
        [json!({ "index": { "_index": output, "_id": document.id } }), body]
    });
    let mut altered = found.clone();
    altered.iter_mut().for_each(|[_, body]| body["records"] = json!(0));
    bulk(&job.index, altered.as_flattened());
    let (told, code) = reconcile(&job.file(), &[]);
    let outputs: Vec<&Value> = told["differences"].as_array().expect("a list").iter().map(|it| &it["output"]).collect();
    assert!(code == DIFFERENCES && outputs == names, "{told:#}");
    bulk(&job.index, found.as_flattened());
}
