//! `tidegate reconcile` and `tidegate explain document` on stand-ins: what was read adds up, and what somebody changes is named.

use std::process::Command;

use serde_json::{Value, json};
use tidegate_tests::program::binary;
use tidegate_tests::reconcile::{DIFFERENCES, assert_adds_up, bulk, explain, explained, reconcile};
use tidegate_tests::reload::{GROUPS, LIMIT, Numbers, PARTITIONS, Plugins};
use tidegate_tests::wait_for;

const NUMBERS: i64 = 3000;
/// Of the numbers this one, and every one after as many more, is rejected.
const REJECTED_EACH: i64 = 100;
const REJECT: &str = r#"settings = { mark = "one", reject = 100 }"#;

/// A pipeline that has read its numbers, and was drained.
fn drained(test: &str) -> Numbers {
    let job = Numbers::new(test);
    job.write(Plugins { mark: REJECT, ..Plugins::default() });
    let running = job.start();
    job.produce(0..NUMBERS);
    job.pass_time(0);
    wait_for("the windows", LIMIT, || (job.tallies().len() == GROUPS as usize).then_some(()));
    // What lets time pass is a number of each partition; one of them is rejected.
    let rejected = (NUMBERS / REJECTED_EACH + 1) as usize;
    let documents = NUMBERS as usize + PARTITIONS as usize - rejected;
    job.wait_for_documents(documents);
    wait_for("the dead letters", LIMIT, || (job.dead_letters() == rejected).then_some(()));
    running.drain();
    job
}

/// The output, the place and the reason of each difference.
fn told(found: &Value) -> Vec<(String, String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let differences = found["differences"].as_array().expect("a list");
    let one =
        |it: &Value| (text(&it["output"]), text(&it["where"]), text(&it["why"]), it["count"].as_u64().unwrap_or(0));
    differences.iter().map(one).collect()
}

#[test]
fn what_was_read_adds_up_and_each_thing_that_is_changed_is_named() {
    let job = drained("reconcile");
    let file = job.file();
    let found = assert_adds_up(&file, &[]);
    let rejected = NUMBERS / REJECTED_EACH + 1;
    let records = NUMBERS + i64::from(PARTITIONS);
    let (all, tallies) = (&found["outputs"][0]["all"], &found["outputs"][1]);
    assert_eq!((&all["records"], &all["documents"]), (&json!(records), &json!(records - rejected)), "{found:#}");
    assert_eq!(all["dead_letters"], rejected, "{found:#}");
    assert_eq!(found["outputs"][0]["dead_letters_by"], json!({ "plugin": rejected }));
    assert_eq!(tallies["windows"]["equal"], GROUPS, "{found:#}");
    assert_eq!(tallies["all"]["closed_windows"], NUMBERS - NUMBERS / REJECTED_EACH, "{found:#}");
    assert_eq!(tallies["all"]["open_windows"], 2, "{found:#}");

    // Three documents that follow each other and one apart are deleted, and a window is altered.
    let deleted = [("1", 5), ("1", 6), ("1", 7), ("2", 9)];
    let mut lines: Vec<Value> = deleted
        .iter()
        .map(|(partition, offset)| {
            json!({ "delete": { "_index": "all", "_id": format!("all:numbers-{partition}-{offset}") } })
        })
        .collect();
    let window = job.index.documents("tallies").remove(3);
    let mut body: Value = serde_json::from_slice(&window.source).expect("a document is JSON");
    body["records"] = json!(1);
    lines.extend([json!({ "index": { "_index": "tallies", "_id": window.id } }), body.clone()]);
    bulk(&job.index, &lines);
    // Nobody refuses any more what was refused, and there is something new to refuse.
    job.write(Plugins { mark: r#"settings = { mark = "one", reject = 150 }"#, ..Plugins::default() });
    let (found, code) = reconcile(&file, &[]);
    assert_eq!(code, DIFFERENCES, "{found:#}");
    let told_all = told(&found);
    let has = |output: &str, place: &str, why: &str, count: u64| {
        told_all.contains(&(output.to_owned(), place.to_owned(), why.to_owned(), count))
    };
    assert!(has("all", "numbers-1-5..7", "missing", 3) && has("all", "numbers-2-9", "missing", 1), "{told_all:?}");
    let start = body["window_start"].as_str().expect("text");
    assert!(has("tallies", &format!("window of {start}"), "other fields", 1), "{told_all:?}");
    // 150 is of partition 0: it has a document, and no dead letter.
    assert!(has("", "numbers-0-50", "no dead letter (plugin)", 1), "{told_all:?}");
    assert!(found["dead_letters"]["not_refused_now"].as_u64() > Some(10), "{found:#}");

    // One output alone, and fewer lines.
    job.write(Plugins { mark: REJECT, ..Plugins::default() });
    let (found, code) = reconcile(&file, &["--output", "all", "--max", "1"]);
    assert_eq!((code, &found["different"], told(&found).len()), (DIFFERENCES, &json!(4), 1), "{found:#}");

    // The table says the same.
    let output = Command::new(binary()).arg("reconcile").arg(&file).output().expect("it can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("numbers-1-5..7") && text.contains("dead letters: plugin 31"), "{text}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("differences=`5`"));

    let words =
        Command::new(binary()).args(["reconcile", "--output", "none"]).arg(&file).output().expect("it can be run");
    assert_eq!(words.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&words.stderr).contains("there are: all, tallies"));
}

#[test]
fn a_document_is_explained_by_its_record_or_its_parts() {
    let job = drained("explain");
    let step = |place: &str, verdict: &str, what: &str| json!({ "place": place, "verdict": verdict, "what": what });
    let found = explained(&job.file(), "all/all:numbers-1-5");
    assert_eq!((&found["found"][0]["version"], &found["found"][0]["revision"]), (&json!(5), &json!(0)), "{found:#}");
    let record = &found["records"][0];
    assert_eq!((&record["origin"], &record["state"]), (&json!("numbers-1-5"), &json!("settled")), "{found:#}");
    let steps = json!([step("decode", "kept", ""), step("mark", "changed", r#"mark="one""#)]);
    assert_eq!(record["steps"], steps, "{found:#}");
    assert_eq!(record["now"], "the same as the document in the index", "{found:#}");
    assert_eq!(found["dead_letters"], json!([]));

    // The first number is rejected.
    let found = explained(&job.file(), "all:numbers-0-0");
    assert_eq!((&found["found"], &found["dead_letters"][0]["reason"]), (&json!([]), &json!("plugin")), "{found:#}");
    let steps = found["records"][0]["steps"].as_array().expect("a list");
    assert_eq!(steps[1], step("mark", "refused", "plugin: it does not like it"), "{found:#}");
    assert!(found["words"][0].as_str().expect("text").contains("no document has this id in all, tallies"));

    let window = job.index.documents("tallies").remove(3);
    let found = explained(&job.file(), &window.id);
    let parts = found["window"]["parts"].as_array().expect("a list");
    assert_eq!(parts.len(), PARTITIONS as usize, "{found:#}");
    let records: u64 = parts.iter().filter_map(|part| part["records"].as_u64()).sum();
    assert_eq!(found["found"][0]["source"]["records"], records, "{found:#}");
    let components = found["components"].as_array().expect("a list");
    let aggregate = components.iter().find(|it| it["name"] == "tallies.aggregate").expect("it is named");
    assert!(parts.iter().all(|part| part["component"] == aggregate["digest"]), "{found:#}");

    job.write(Plugins { mark: r#"settings = { mark = "two" }"#, ..Plugins::default() });
    let found = explained(&job.file(), "all:numbers-1-5");
    let now = found["records"][0]["now"].as_str().expect("text");
    assert!(now.contains(r#"mark="two" (was "one")"#), "{found:#}");
    let found = explained(&job.file(), "all:numbers-1-999999");
    let state = found["records"][0]["state"].as_str().expect("text");
    assert!(state.contains("not written yet"), "{found:#}");
    let found = explained(&job.file(), "k1");
    assert!(found["words"].as_array().expect("a list").len() == 2, "{found:#}");

    let told = explain(&job.file(), &window.id, &[]);
    assert!(told.contains("merged of 3 parts") && told.contains("tallies.aggregate"), "{told}");
}
