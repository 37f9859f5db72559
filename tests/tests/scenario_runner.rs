//! `tidegate test` as a person sees it: what it says of a scenario that differs, of a component that keeps state, of a
//! component that depends on batches; what it blesses; what it watches.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tidegate_tests::program::{binary, components};
use tidegate_tests::workspace::{root, scratch};

const LIMIT: Duration = Duration::from_secs(60);

const FILTER: &str = r#"
[[transform]]
name = "judge"
plugin = "PLUGIN"

[[output]]
name = "visits"
index = "visits"
"#;

const AGGREGATE: &str = r#"
[watermark]
out_of_order = "0s"

[[output]]
name = "numbers"
index = "numbers"
[output.aggregate]
plugin = "PLUGIN"
group_by = ["user"]
window = { tumbling = "1m" }
partitioned_by_group = true
"#;

/// A scenario in a folder of its own: users who come, one a minute.
fn scenario(name: &str, stages: &str, plugins: &Path, plugin: &str, users: &[&str]) -> PathBuf {
    let folder = scratch(&format!("scenario-runner-{name}")).join("scenarios");
    fs::create_dir_all(folder.join(name)).expect("a folder");
    let pipeline = format!(
        "name = \"visits\"\nplugins = \"{}\"\n[source.kafka]\nbrokers = \"localhost:9092\"\ntopics = [\"visits\"]\n\
         [source.decode]\nevent_time = \"at\"\n[sink.elasticsearch]\nurls = [\"http://localhost:9200\"]\n{}",
        plugins.display(),
        stages.replace("PLUGIN", plugin)
    );
    fs::write(folder.join(name).join("pipeline.toml"), pipeline).expect("written");
    let lines = users.iter().enumerate().map(|(minute, user)| {
        format!("{{\"timestamp\": \"2026-01-01T12:00:00Z\", \"value\": {{\"at\": \"2026-01-01T12:0{minute}:00Z\", \"user\": \"{user}\"}}}}\n")
    });
    fs::write(folder.join(name).join("input.ndjson"), lines.collect::<String>()).expect("written");
    folder
}

fn guests() -> PathBuf {
    let folder = root().join("target/guests");
    assert!(folder.exists(), "{} is missing; scripts/components.sh builds it", folder.display());
    folder
}

/// What it printed, without times, and its exit code.
fn test(folder: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(binary()).arg("test").arg(folder).args(arguments).output().expect("it can be run");
    let printed = String::from_utf8(output.stdout).expect("text") + &String::from_utf8_lossy(&output.stderr);
    let lines = printed.lines().map(|line| line.split(" (").next().filter(|_| line.ends_with(" ms)")).unwrap_or(line));
    (lines.map(|line| format!("{line}\n")).collect(), output.status.code())
}

/// Blesses what comes out, so that all that is wrong is wrong with the component.
fn judged(name: &str, stages: &str, plugin: &str, users: &[&str]) -> (String, Option<i32>) {
    let folder = scenario(name, stages, &guests(), plugin, users);
    test(&folder, &["--bless"])
}

#[test]
fn a_component_that_keeps_state_is_named() {
    let (said, code) = judged("state", FILTER, "hoarder.wasm", &["ada", "bob", "ada"]);
    assert_eq!(code, Some(6), "{said}");
    let expected = "    transform `judge` (hoarder.wasm) keeps state from one call to the next
      its row 1, (ada)
        - in batches of 1, on fresh instances: kept
        + in batches of 1, on used instances: dropped
";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn an_aggregate_that_keeps_state_is_named() {
    let (said, code) = judged("numbers", AGGREGATE, "numberer.wasm", &["ada", "bob", "ada"]);
    assert_eq!(code, Some(6), "{said}");
    let expected = "    output `numbers`, aggregate (numberer.wasm) keeps state from one call to the next
      what it emits for (1767268800000000, 1767268860000000)
        - in batches of 1, on fresh instances: written as (0)
        + in batches of 1, on used instances: written as (2)
";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_component_that_depends_on_batches_is_named() {
    let (said, code) = judged("cut", FILTER, "firsts.wasm", &["ada", "bob", "cleo"]);
    assert_eq!(code, Some(6), "{said}");
    let expected = "    transform `judge` (firsts.wasm) depends on how its rows are cut into batches
      its row 2, ()
        - in batches of 1, on fresh instances: kept
        + in batches of 7, on fresh instances: dropped
";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn an_aggregate_that_depends_on_how_states_are_cut_is_named() {
    let stages = AGGREGATE.replace("1m", "5m");
    let (said, code) = judged("ranks", &stages, "ranker.wasm", &["ada", "bob", "cleo", "dan", "eve", "fay", "gus"]);
    assert_eq!(code, Some(6), "{said}");
    let expected = "    output `numbers`, aggregate (ranker.wasm) depends on how its rows are cut into batches
      what it emits for ()
        - in batches of 1, on fresh instances: written as (0)
        + in batches of 7, on fresh instances: written as (1)
";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_difference_is_shown_by_its_fields_and_can_be_blessed() {
    let folder = scenario("counted", AGGREGATE, &components(), "count.wasm", &["ada", "ada", "bob", "cleo"]);
    let expected = folder.join("counted/expected.ndjson");
    assert_eq!(test(&folder, &["--bless"]), ("blessed counted\n".to_owned() + SHOWN, Some(0)));
    assert_eq!(test(&folder, &[]), ("ok      counted\n\n1 passed, 0 failed\n".to_owned(), Some(0)));

    let text = fs::read_to_string(&expected).expect("it was blessed");
    fs::write(&expected, text.replacen("\"count\":1", "\"count\":2, \"more\":true", 1)).expect("written");
    let changed = "FAILED  counted
    expected.ndjson: - expected + found
      document numbers/numbers:60000:1767268800000:@visits-0:s3:ada;
        - count: 2
        + count: 1
        - more: true

0 passed, 1 failed
error: 1 of 1 scenarios failed
";
    assert_eq!(test(&folder, &[]), (changed.to_owned(), Some(6)));
    assert_eq!(fs::read_dir(folder.join("counted")).expect("a folder").count(), 3);
}

#[test]
fn what_is_blessed_leaves_right_lines_alone_and_a_misspelt_key_is_named() {
    let folder = scenario("spelt", FILTER, &guests(), "noop.wasm", &["ada", "bob"]);
    let expected = folder.join("spelt/expected.ndjson");
    let right = "{ \"_source\": {\"user\": \"bob\", \"at\": \"2026-01-01T12:01:00Z\"} }\n";
    fs::write(&expected, format!("{right}{{\"_id\": \"visits:visits-0-0\", \"_index\": \"other\"}}\n"))
        .expect("written");
    assert_eq!(test(&folder, &["--bless"]).1, Some(0));
    let blessed = fs::read_to_string(&expected).expect("it is there");
    assert!(blessed.starts_with(right) && blessed.lines().count() == 2, "{blessed}");
    fs::write(&expected, "{\"_indx\": \"visits\"}\n").expect("written");
    let (said, code) = test(&folder, &[]);
    assert_eq!(code, Some(6), "{said}");
    let why = "expected.ndjson:1: {\"_indx\": \"visits\"}: unknown key `_indx`, expected one of _index, _id, _source, _text\n";
    assert!(said.contains(why), "{said}");
}

/// It is run six times, and what breaks is tried again: the dead letters say it once.
#[test]
fn a_panic_is_told_by_its_dead_letter_alone() {
    let folder = scenario("panics", FILTER, &guests(), "moody.wasm", &[]);
    let record = "{\"timestamp\": \"2026-01-01T12:00:00Z\", \"value\": {\"at\": \"2026-01-01T12:00:00Z\", \"mood\": \"panic\"}}\n";
    fs::write(folder.join("panics/input.ndjson"), record).expect("written");
    let (said, _) = test(&folder, &[]);
    assert!(said.contains("last words: panicked at "), "{said}");
    assert!(!said.contains("ERROR") && !said.contains("WARN"), "{said}");
}

/// The first time nothing is expected.
const SHOWN: &str = r#"    expected.ndjson: - expected + found
      + {"_id":"numbers:60000:1767268800000:@visits-0:s3:ada;","_index":"numbers","_source":{"count":1,"user":"ada","window_end":"2026-01-01T12:01:00Z","window_start":"2026-01-01T12:00:00Z"}}
      + {"_id":"numbers:60000:1767268860000:@visits-0:s3:ada;","_index":"numbers","_source":{"count":1,"user":"ada","window_end":"2026-01-01T12:02:00Z","window_start":"2026-01-01T12:01:00Z"}}
      + {"_id":"numbers:60000:1767268920000:@visits-0:s3:bob;","_index":"numbers","_source":{"count":1,"user":"bob","window_end":"2026-01-01T12:03:00Z","window_start":"2026-01-01T12:02:00Z"}}

1 passed, 0 failed
"#;

#[test]
fn what_is_no_scenario_is_a_wrong_command_line() {
    let folder = scratch("scenario-runner-none");
    let (said, code) = test(&folder, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("there is no scenario in the folder"), "{said}");
    let folder = scenario("one", FILTER, &components(), "require-fields.wasm", &[]);
    assert_eq!(test(&folder, &["two"]).1, Some(2));
    // What is wrong with a scenario itself is its failure.
    fs::write(folder.join("one/input.ndjson"), "{\"partition\": 1, \"value\": 1}\n").expect("written");
    fs::write(folder.join("one/error.txt"), "").expect("written");
    let (said, code) = test(&folder, &[]);
    assert_eq!(code, Some(6), "{said}");
}

/// A program that is ended with the test.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_until(lines: &Receiver<String>, what: &str) {
    while !lines.recv_timeout(LIMIT).expect(what).starts_with(what) {}
}

#[test]
fn a_changed_file_and_a_changed_component_run_it_again() {
    let plugins = scratch("scenario-runner-plugins");
    let replace = |from: &str| {
        fs::copy(components().join(from), plugins.join(".new")).expect("copied");
        fs::rename(plugins.join(".new"), plugins.join("judge.wasm")).expect("renamed");
    };
    replace("stamp.wasm");
    let folder = scenario("watched", FILTER, &plugins, "judge.wasm", &["ada"]);
    let mut command = Command::new(binary());
    command.arg("test").arg(&folder).arg("--watch").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut watching = Watching(command.spawn().expect("it can be run"));
    let (send, lines) = channel();
    let out = BufReader::new(watching.0.stdout.take().expect("a pipe"));
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));

    read_until(&lines, "FAILED  watched");
    read_until(&lines, "waiting for changes");
    fs::write(folder.join("watched/input.ndjson"), "").expect("written");
    read_until(&lines, "changed: ");
    read_until(&lines, "ok      watched");
    read_until(&lines, "waiting for changes");
    replace("count.wasm");
    read_until(&lines, "changed: ");
    read_until(&lines, "FAILED  watched");
    read_until(&lines, "    error.txt: ");
}
