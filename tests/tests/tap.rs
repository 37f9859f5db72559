//! `tidegate tap` on a pipeline that runs, on stand-ins: what passes each place, and what becomes of it there.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::thread;

use serde_json::Value;
use tidegate::console::Console;
use tidegate::pipeline::TapRequest;
use tidegate_tests::kafka::Record;
use tidegate_tests::program::binary;
use tidegate_tests::reload::{LIMIT, Numbers, Running};
use tidegate_tests::wait_for;

/// A pipeline of numbers, and its console.
struct Tapped {
    job: Numbers,
    running: Running,
    console: Console,
    produced: AtomicI64,
}

impl Tapped {
    fn new(test: &str) -> Tapped {
        let job = Numbers::new(test);
        let running = job.start();
        let console = Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), running.handle.clone());
        Tapped { job, running, console: console.expect("a free port is there"), produced: AtomicI64::new(0) }
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.args(["tap", "--console", &self.console.address().to_string()]).args(arguments);
        command.output().expect("it can be run")
    }

    /// What it says while numbers flow; they go on until it has said enough.
    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let output = thread::scope(|scope| {
            let asked = scope.spawn(|| self.ask(&[arguments, &["--limit", "20"]].concat()));
            while !asked.is_finished() {
                let number = self.produced.fetch_add(100, Relaxed);
                self.job.produce(number..number + 100);
                self.job
                    .kafka
                    .produce(&self.job.topic, &[Record { value: Some(b"no JSON".to_vec()), ..Record::default() }]);
                // The broker forgets what is too much.
                wait_for("the pipeline to follow", LIMIT, || {
                    let read = self.running.handle.snapshot().counts.tally.records as i64;
                    (read + 10_000 > number || asked.is_finished()).then_some(())
                });
            }
            asked.join().expect("it ends")
        });
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 20, "--limit");
        lines
    }
}

#[test]
fn what_passes_each_place_is_shown_with_what_becomes_of_it() {
    let tapped = Tapped::new("tap");

    let decoded = tapped.lines(&[]);
    assert!(decoded.iter().all(|line| line["at"] == "decode" && line["offset"].is_i64()), "{decoded:?}");
    assert!(decoded.iter().any(|line| line["verdict"] == "kept" && line["record"]["n"].is_i64()), "{decoded:?}");
    let some = tapped.lines(&["--at", "decode", "--where", "g=g3"]);
    assert!(some.iter().all(|line| line["record"]["g"] == "g3"), "{some:?}");

    let marked = tapped.lines(&["--at", "mark"]);
    let is_marked = |line: &Value| {
        line["at"] == "mark"
            && line["verdict"] == "kept"
            && line["record"]["mark"].is_null()
            && line["becomes"][0]["mark"] == "one"
    };
    assert!(marked.iter().all(is_marked), "{marked:?}");

    for at in ["window", "tallies.aggregate"] {
        let folded = tapped.lines(&["--at", at, "--where", "g=g3"]);
        let is_folded = |line: &Value| {
            line["output"] == "tallies"
                && line["record"]["g"] == "g3"
                && line["window_start"].is_string()
                && (line["verdict"] == "folded" || line["verdict"] == "ended")
        };
        assert!(folded.iter().all(is_folded), "{folded:?}");
    }

    let sent = tapped.lines(&["--at", "sink"]);
    let is_sent = |line: &Value| {
        line["verdict"] == "indexed"
            && line["id"].is_string()
            && line["index"].is_string()
            && line["document"].is_object()
    };
    assert!(sent.iter().all(is_sent), "{sent:?}");
    assert!([decoded, marked, sent].concat().iter().any(|line| line["missed"].as_u64() > Some(0)), "a sample");
    tapped.running.drain();
}

#[test]
fn a_place_or_a_condition_that_is_none_is_refused_and_so_is_a_second_tap() {
    let tapped = Tapped::new("tap-refused");
    let refused = |arguments: &[&str]| {
        let output = tapped.ask(arguments);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(&["--at", "nowhere"]);
    assert!(said.contains("there are: decode, mark, tallies.aggregate, window, sink"), "{said}");
    let said = refused(&["--where", "n"]);
    assert!(said.contains("FIELD=VALUE"), "{said}");
    let request = TapRequest { at: "decode".to_owned(), condition: None };
    let first = tapped.running.handle.tap(&request).expect("nobody watches");
    let said = refused(&[]);
    assert!(said.contains("one tap at a time"), "{said}");
    drop(first);
    assert!(tapped.running.handle.tap(&request).is_ok(), "nobody watches any more");
    tapped.running.drain();
}
