//! The archive of dead letters, on stand-ins and on real servers: what the topic has is in it after a drain, after a kill, and after its store was away.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tidegate_tests::program::{Program, binary};
use tidegate_tests::reload::{LIMIT, Numbers, Plugins};
use tidegate_tests::servers::{S3, Servers};
use tidegate_tests::wait_for;
use tidegate_tests::workspace::files;

/// Each of so many numbers is a dead letter.
const EACH: i64 = 3;

struct Job {
    numbers: Numbers,
    archive: PathBuf,
    /// Of the program.
    environment: Vec<(String, String)>,
}

impl Job {
    fn new(test: &str) -> Job {
        let numbers = Numbers::new(&format!("archive-{test}"));
        let archive = numbers.folder.join("archive");
        let more = format!("[dead_letters]\narchive = \"file://{}\"", archive.display());
        numbers.write(Plugins {
            mark: r#"settings = { mark = "one", reject = 3 }"#,
            more: &more,
            ..Plugins::default()
        });
        Job { numbers, archive, environment: Vec::new() }
    }

    /// On a real Kafka and a real store, which keeps objects as files.
    fn on_servers() -> Job {
        let (numbers, s3) = (Numbers::on(&Servers::get().kafka, "archive"), S3::get());
        let folder = format!("archive-{}", std::process::id());
        let more = format!("[dead_letters]\narchive = \"{}/{folder}\"", s3.bucket);
        numbers.write(Plugins {
            mark: r#"settings = { mark = "one", reject = 3 }"#,
            more: &more,
            ..Plugins::default()
        });
        Job { numbers, archive: s3.objects().join(folder), environment: s3.environment() }
    }

    /// Numbers from here to there, of which some become dead letters.
    fn give_up(&self, numbers: std::ops::Range<i64>) {
        let before = self.numbers.given_up().len();
        let rejected = numbers.clone().filter(|n| n % EACH == 0).count();
        self.numbers.produce(numbers);
        wait_for("the dead letters", LIMIT, || (self.numbers.given_up().len() >= before + rejected).then_some(()));
    }

    fn start(&self, log: &str) -> Program {
        Program::run_with(&self.numbers.file(), &self.numbers.folder.join(log), &self.environment)
    }

    /// The lines of all objects, in the order of their names.
    fn lines(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for object in objects(&self.archive) {
            let text = zstd::decode_all(&fs::read(&object).expect("it is there")[..]).expect("it is whole");
            let text = String::from_utf8(text).expect("JSON is text");
            assert!(text.ends_with('\n'), "{text}");
            let parsed = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
            let before = lines.len();
            lines.extend(parsed);
            let first = lines[before]["position"].as_str().expect("it has one").trim_start_matches("0-");
            assert_eq!(object.file_name().expect("it has one"), format!("{first:0>20}.ndjson.zst").as_str());
        }
        lines
    }

    /// Every message of the dead-letter topic is in the archive, and none twice.
    fn check(&self) {
        let positions: Vec<String> =
            self.lines().iter().map(|line| line["position"].as_str().expect("text").to_owned()).collect();
        let expected: Vec<String> = (0..self.numbers.dead_letters()).map(|offset| format!("0-{offset}")).collect();
        assert_eq!(positions, expected);
    }
}

fn objects(archive: &Path) -> Vec<PathBuf> {
    let mut found = if archive.is_dir() { files(archive, ".ndjson.zst") } else { Vec::new() };
    found.sort();
    found
}

#[test]
fn a_drain_archives_what_an_export_has() {
    let job = Job::new("drain");
    let running = job.numbers.start();
    job.give_up(0..3000);
    running.drain();
    job.check();
    let object = job.archive.join("numbers-job/numbers-job.dead-letters-0/00000000000000000000.ndjson.zst");
    assert_eq!(objects(&job.archive), [object]);

    let mut export = Command::new(binary());
    export.args(["dead-letters", "export"]).arg(job.numbers.file()).args(["--to", "-"]);
    let exported = export.output().expect("it can be run");
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let exported = String::from_utf8(exported.stdout).expect("it says text");
    let without_copies = |mut line: Value| {
        line["copies"].take();
        line.to_string()
    };
    let exported = exported.lines().map(|line| without_copies(serde_json::from_str(line).expect("a line is JSON")));
    let archived = job.lines().into_iter().map(without_copies);
    assert_eq!(archived.collect::<BTreeSet<_>>(), exported.collect::<BTreeSet<_>>());

    // It goes on where it was.
    let running = job.numbers.start();
    job.give_up(3000..3600);
    running.drain();
    assert_eq!(objects(&job.archive).len(), 2);
    job.check();
}

#[test]
fn a_kill_loses_nothing() {
    kill(&Job::new("kill"));
}

#[test]
#[ignore = "needs a real Kafka and an S3-compatible store: scripts/server-tests.sh starts them and runs it, by make test"]
fn a_kill_loses_nothing_on_s3() {
    kill(&Job::on_servers());
}

fn kill(job: &Job) {
    let program = job.start("first.log");
    job.give_up(0..1500);
    program.kill();
    assert_eq!(objects(&job.archive), Vec::<PathBuf>::new(), "what is archived is not killed any more");
    let program = job.start("second.log");
    job.give_up(1500..3000);
    assert!(program.terminate().success());
    job.check();
    let program = job.start("third.log");
    job.give_up(3000..3300);
    program.kill();
    let program = job.start("fourth.log");
    job.give_up(3300..3303);
    assert!(program.terminate().success());
    job.check();
}

#[test]
fn a_store_that_is_away_holds_nothing_up_and_is_made_good() {
    let job = Job::new("away");
    fs::write(&job.archive, "a file, where a folder should be").expect("the scratch folder is writable");
    let program = job.start("first.log");
    job.give_up(0..1500);
    assert!(program.terminate().success(), "the pipeline has done its work");
    let log = fs::read_to_string(job.numbers.folder.join("first.log")).expect("it has one");
    assert_eq!(log.matches("dead letters are not archived, and are when this is over").count(), 1, "{log}");
    assert!(log.contains("dead letters are not archived yet, and are after the next start letters=500"), "{log}");

    fs::remove_file(&job.archive).expect("it is there");
    let program = job.start("second.log");
    job.give_up(1500..1800);
    assert!(program.terminate().success());
    job.check();
}

#[test]
fn a_check_tries_the_store() {
    let job = Job::new("check");
    let check = || {
        let mut check = Command::new(binary());
        let output = check.args(["check", "--online"]).arg(job.numbers.file()).output().expect("it can be run");
        (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), output.status.code())
    };
    let (said, code) = check();
    assert!(code == Some(0) && said.contains("archive of dead letters  takes objects"), "{said}");
    assert_eq!(files(&job.archive, "").len(), 0, "nothing is left behind");
    fs::remove_dir_all(&job.archive).expect("it is there");
    fs::write(&job.archive, "a file, where a folder should be").expect("the scratch folder is writable");
    let (said, code) = check();
    assert!(code == Some(4) && said.contains("the object store does not answer as it should, location="), "{said}");
}
