//! Dead letters as a tool, on stand-ins: looked at, taken out, and sent again when what was wrong is mended. `servers.rs` does it on a real
//! Kafka and a real Elasticsearch.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tidegate::config::PipelineSettings;
use tidegate::pipeline::{Replay, replay};
use tidegate::record::{ErrorKind, HasKind};
use tidegate_tests::program::binary;
use tidegate_tests::reload::{GROUPS, LIMIT, Numbers, PARTITIONS, Plugins};
use tidegate_tests::wait_for;

const NUMBERS: i64 = 3000;
/// What lets time pass is a number of each partition too.
const RECORDS: usize = NUMBERS as usize + PARTITIONS as usize;
/// Some of the dead letters are left.
const LEFT: i32 = 8;

/// A pipeline that has read its numbers and was drained.
struct Job(Numbers);

impl Job {
    /// `letters`: how many dead letters there must be.
    fn new(test: &str, mark: &str, letters: usize, wrong: &[(&str, &str)]) -> Job {
        let job = Job(Numbers::new(&format!("letters-{test}")));
        job.0.write(Plugins { mark, ..Plugins::default() });
        wrong.iter().for_each(|(index, field)| job.0.index.map_number(index, field, true));
        let running = job.0.start();
        job.0.produce(0..NUMBERS);
        job.0.pass_time(0);
        wait_for(&format!("{letters} dead letters"), LIMIT, || (job.0.dead_letters() >= letters).then_some(()));
        running.drain();
        assert_eq!(job.0.dead_letters(), letters);
        job
    }

    fn settings(&self) -> PipelineSettings {
        PipelineSettings::load(&self.0.file(), &|_| None, None).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// What a command says on stdout, and its exit code.
    fn ask(&self, command: &str, more: &[&str]) -> (String, i32) {
        let file = self.0.file();
        let output = Command::new(binary()).args(["dead-letters", command]).arg(file).args(more).output();
        let output = output.expect("it can be run");
        let code = output.status.code().expect("it ends by itself");
        assert!(code == 0 || code == LEFT, "{command}: {}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8(output.stdout).expect("it says text"), code)
    }

    /// The lines of JSON of a command that ends well.
    fn lines(&self, command: &str, more: &[&str]) -> Vec<Value> {
        let (text, code) = self.ask(command, more);
        assert_eq!(code, 0, "{text}");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// The last line of a replay, and its exit code.
    fn replay(&self, more: &[&str]) -> (Value, i32) {
        let (text, code) = self.ask("replay", &[&["--json"], more].concat());
        let last = text.lines().last().expect("it says how it went");
        (serde_json::from_str::<Value>(last).expect("it is JSON")["summary"].take(), code)
    }

    fn refusal(&self, command: &str, more: &[&str]) -> String {
        let file = self.0.file();
        let output = Command::new(binary()).args(["dead-letters", command]).arg(file).args(more).output();
        let output = output.expect("it can be run");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words}");
        words
    }

    /// The mark of each number, whose document has the id and the version of its record.
    fn check_documents(&self, mark: impl Fn(i64) -> Option<&'static str>) {
        let documents = self.0.index.documents("all");
        let mut found = BTreeMap::new();
        for document in &documents {
            let value: Value = serde_json::from_slice(&document.source).expect("a document is JSON");
            let (n, mark) = (value["n"].as_i64().expect("a number"), value["mark"].as_str().expect("text").to_owned());
            // Those that let time pass come after all others.
            if n < NUMBERS {
                let (partition, offset) = (n % i64::from(PARTITIONS), n / i64::from(PARTITIONS));
                assert_eq!(document.id, format!("all:numbers-{partition}-{offset}"));
                assert_eq!(document.version, offset as u64);
            }
            found.insert(n, mark);
        }
        let expected = (0..NUMBERS).filter_map(|n| Some((n, mark(n)?.to_owned())));
        found.retain(|n, _| *n < NUMBERS);
        assert_eq!(found, expected.collect());
    }
}

#[test]
fn a_mapping_is_mended_and_the_index_is_as_if_nothing_had_been() {
    let windows = GROUPS as usize;
    let mark = Plugins::default().mark;
    let job = Job::new("mapping", mark, RECORDS + windows, &[("all", "mark"), ("tallies", "g")]);

    let listed = job.lines("list", &["--json", "--max", "100000"]);
    assert_eq!(listed.len(), RECORDS + windows);
    assert!(listed.iter().all(|one| one["reason"] == "sink" && one["error_type"] == "document_parsing_exception"));
    let (table, _) = job.ask("list", &["--max", "3", "--output", "all"]);
    assert!(table.lines().count() == 4 && table.contains("failed to parse field [mark]"), "{table}");
    assert_eq!(job.lines("list", &["--json", "--origin", "numbers-1-5"]).len(), 1);
    let (stats, _) = job.ask("stats", &[]);
    assert!(stats.contains("3,003") && stats.ends_with("3,019 in all\n"), "{stats}");
    let identity = "numbers-1-5/all/0";
    let (shown, _) = job.ask("show", &[identity]);
    assert!(shown.contains("\"n\": 16") && shown.contains("--reason sink"), "{shown}");

    // Nothing is mended: all are refused again, and no dead letter is written.
    let (before, code) = job.replay(&["--max", "10"]);
    assert_eq!((before["chosen"].as_u64(), before["refused"].as_u64(), code), (Some(10), Some(10), LEFT), "{before}");
    assert_eq!(job.0.dead_letters(), RECORDS + windows);

    let (dry, code) = job.replay(&["--dry-run", "--from-beginning"]);
    assert_eq!((dry["settled"].as_u64(), code), (Some((RECORDS + windows) as u64), 0), "{dry}");
    assert_eq!(dry["indices"]["all"]["documents"], RECORDS, "{dry}");
    assert_eq!(job.0.index.documents("all").len() + job.0.index.documents("tallies").len(), 0);

    for (index, field) in [("all", "mark"), ("tallies", "g")] {
        job.0.index.map_number(index, field, false);
    }
    // What came before the position was refused again; it is there once more with a filter.
    let (rest, code) = job.replay(&[]);
    assert_eq!((rest["chosen"].as_u64(), code), (Some((RECORDS + windows - 10) as u64), 0), "{rest}");
    let (all, code) = job.replay(&["--reason", "sink"]);
    assert_eq!((all["settled"].as_u64(), code), (Some((RECORDS + windows) as u64), 0), "{all}");
    assert_eq!((all["taken"].as_u64(), all["superseded"].as_u64()), (Some(10), Some((RECORDS + windows - 10) as u64)));
    job.check_documents(|_| Some("one"));
    let tallies = job.0.tallies();
    let expected = |g: i64| (0..NUMBERS).filter(|n| n % GROUPS == g).count() as i64;
    assert_eq!(tallies.len(), windows, "{tallies:?}");
    for g in 0..GROUPS {
        assert!(
            tallies.iter().any(|((_, group), count)| *group == format!("g{g}") && *count == expected(g)),
            "{tallies:?}"
        );
    }

    let before = (job.0.index.documents("all"), job.0.index.documents("tallies"));
    let (again, code) = job.replay(&["--from-beginning"]);
    assert_eq!((again["taken"].as_u64(), code), (Some(0), 0), "{again}");
    assert_eq!(again["superseded"].as_u64(), Some((RECORDS + windows) as u64), "{again}");
    let (nothing, code) = job.replay(&[]);
    assert_eq!((nothing["chosen"].as_u64(), code), (Some(0), 0), "{nothing}");
    assert_eq!((job.0.index.documents("all"), job.0.index.documents("tallies")), before);
    assert_eq!(job.0.dead_letters(), RECORDS + windows);
}

#[test]
fn a_plugin_is_mended_and_what_it_rejected_is_indexed() {
    const EACH: i64 = 7;
    let rejected = (0..NUMBERS).filter(|n| n % EACH == 0).count();
    // What lets time pass: 180,000 to 180,002.
    let late = (180_000..180_003).filter(|n| n % EACH == 0).count();
    let job = Job::new("plugin", r#"settings = { mark = "one", reject = 7 }"#, rejected + late, &[]);
    job.check_documents(|n| (n % EACH != 0).then_some("one"));
    let (stats, _) = job.ask("stats", &["--json"]);
    let stats: Value = serde_json::from_str(&stats).expect("it is JSON");
    assert_eq!(
        (&stats[0]["refused_by"], &stats[0]["reason"]),
        (&Value::from("mark"), &Value::from("plugin")),
        "{stats}"
    );
    assert_eq!(stats[0]["letters"], rejected + late);

    let (still, code) = job.replay(&["--plugin", "mark"]);
    assert_eq!((still["refused"].as_u64(), code), (Some((rejected + late) as u64), LEFT), "{still}");
    let (dry, code) = job.replay(&["--plugin", "mark", "--dry-run", "--max", "3"]);
    assert_eq!((dry["refused"].as_u64(), &dry["more"], code), (Some(3), &Value::from(true), 0), "{dry}");
    job.0.write(Plugins { mark: r#"settings = { mark = "two" }"#, ..Plugins::default() });
    let tallies = job.0.tallies();
    let (mended, code) = job.replay(&["--plugin", "mark"]);
    assert_eq!((mended["taken"].as_u64(), code), (Some((rejected + late) as u64), 0), "{mended}");
    assert_eq!(mended["beside"], rejected + late, "they are told of");
    job.check_documents(|n| Some(if n % EACH == 0 { "two" } else { "one" }));
    assert_eq!(job.0.tallies(), tallies, "closed windows stay as they are");

    // Somebody wants it to stop before it has begun.
    let stopped = replay(&job.settings(), &Replay::default(), &AtomicBool::new(true), &mut |_, _| ());
    let stopped = stopped.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((stopped.stopped, stopped.chosen), (true, 0));

    // A component that does not start is an error before anything is sent.
    job.0.write(Plugins { mark: "settings = { mork = 1 }", ..Plugins::default() });
    let error = replay(&job.settings(), &Replay::default(), &AtomicBool::new(false), &mut |_, _| ());
    let error = error.expect_err("it refuses its settings");
    assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");

    // Without the output that has no windows there is nothing that could be done.
    job.0.write(Plugins { documents: false, ..Plugins::default() });
    let (stuck, code) = job.replay(&["--from-beginning"]);
    assert_eq!(
        (stuck["cannot_be_replayed"]["windows"].as_u64(), code),
        (Some((rejected + late) as u64), LEFT),
        "{stuck}"
    );
}

#[test]
fn a_replay_that_is_stopped_in_the_middle_is_gone_on_with() {
    let letters = RECORDS + GROUPS as usize;
    let job = Job::new("stopped", Plugins::default().mark, letters, &[("all", "mark"), ("tallies", "g")]);
    for (index, field) in [("all", "mark"), ("tallies", "g")] {
        job.0.index.map_number(index, field, false);
    }
    let stop = AtomicBool::new(false);
    let stopped = replay(&job.settings(), &Replay::default(), &stop, &mut |_, _| stop.store(true, Ordering::Relaxed));
    let stopped = stopped.unwrap_or_else(|error| panic!("{error}"));
    let settled = stopped.settled;
    assert!(stopped.stopped && settled == stopped.chosen && settled > 0 && settled < letters as u64, "{stopped:?}");
    let documents = job.0.index.documents("all").len() + job.0.index.documents("tallies").len();
    assert_eq!(documents as u64, settled);

    let (rest, code) = job.replay(&[]);
    assert_eq!((rest["settled"].as_u64(), code), (Some(letters as u64 - settled), 0), "{rest}");
    job.check_documents(|_| Some("one"));
}

#[test]
fn letters_are_exported_whole_and_what_can_fit_nothing_is_refused() {
    let job = Job::new("export", r#"settings = { mark = "one", reject = 1000 }"#, 4, &[]);
    let file = job.0.folder.join("letters.ndjson");
    let to = file.display().to_string();
    assert_eq!(job.ask("export", &["--to", &to]).1, 0);
    let lines: Vec<Value> = fs::read_to_string(&file)
        .expect("it is written")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        let value: Value = serde_json::from_str(line["value"]["text"].as_str().expect("it is text")).expect("JSON");
        assert_eq!(value["n"].as_i64().map(|n| n % 1000), Some(0), "{line}");
        assert_eq!(line["tidegate"]["plugin"], "mark");
    }
    assert!(job.refusal("export", &["--to", &to]).contains("not overwritten"));
    assert!(job.refusal("list", &["--output", "al"]).contains("there are: all, tallies"));
    assert!(job.refusal("replay", &["--reason", "snk"]).contains("event-time"));
    assert!(job.refusal("show", &["0-4711"]).contains("4 dead letters"));
    assert!(job.refusal("show", &["--reason", "plugin"]).contains("4 dead letters fit"));
}

#[test]
fn too_many_stop_the_pipeline_and_nothing_is_lost() {
    let job = Numbers::new("letters-budget");
    job.index.map_number("all", "mark", true);
    job.write(Plugins { more: "[dead_letters]\npercent_max = 50", ..Plugins::default() });
    let running = job.start();
    job.produce(0..NUMBERS);
    let error = running.ended().expect_err("every record is a dead letter");
    assert_eq!(error.kind(), ErrorKind::Data);
    let said = error.to_string();
    assert!(said.contains("too many records become dead letters") && said.contains(": sink "), "{said}");

    job.index.map_number("all", "mark", false);
    job.write(Plugins::default());
    let running = job.start();
    wait_for("all numbers", LIMIT, || (job.document_count() + job.dead_letters() >= NUMBERS as usize).then_some(()));
    running.drain();
    assert_eq!(job.document_count() + job.dead_letters(), NUMBERS as usize);
}
