//! Reloads and breakers in unusual company, on stand-ins: one file at several places, roll-backs of all kinds, a thread that panics, and
//! all that `on_trap` and `on_breaker` can say of each kind of component.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tidegate::cli::Exit;
use tidegate::pipeline::Stage;
use tidegate_tests::kafka;
use tidegate_tests::program::Program;
use tidegate_tests::puppet::{Deed, Puppet, Script};
use tidegate_tests::reload::{LIMIT, Numbers, PARTITIONS, Plugins, Running, guest, number, touched};
use tidegate_tests::wait_for;

const SECOND: &str = "[[transform]]\nname = \"second\"\nplugin = \"mark.wasm\"\nsettings = { mark = \"2\" }";

#[test]
fn a_panic_on_the_thread_that_reloads_stops_the_pipeline() {
    let job = Numbers::new("panics");
    let panics = Arc::new(AtomicBool::new(false));
    let its = panics.clone();
    let running = Running::begin_so(job.file(), move || assert!(!its.load(Relaxed), "a bug"));
    job.produce(0..10);
    job.wait_for_documents(10);
    panics.store(true, Relaxed);
    assert_eq!(running.reload(), Err("the pipeline does not run".to_owned()));
    let error = running.ended().expect_err("it stops");
    assert_eq!(
        error.to_string(),
        "a thread panicked: thread=`reload`; this is a bug, please report it with the log above"
    );
    assert_eq!(Exit::of(&error.into()) as u8, 1);
}

#[test]
fn a_file_at_several_places_is_deployed_at_each_that_takes_it_and_the_others_are_named() {
    let job = Numbers::new("several");
    let third = "[[output]]\nname = \"more\"\nindex = \"more\"\n[[output.transform]]\nname = \"third\"\nplugin = \"mark.wasm\"\n\
                 settings = { mark = \"3\" }\n[reload]\nwatch = false";
    let narrow = "limits = { memory = \"2MiB\" }";
    job.write(Plugins { more: &format!("{SECOND}\n{narrow}\n{third}"), ..Plugins::default() });
    let running = job.start();
    let serving = || ["mark", "second", "third"].map(|name| running.place(name).serving.number);
    job.put(&job.plugin("mark"), &touched(&guest("mark"), 1));
    assert_eq!(running.reload().as_deref(), Ok("deployed: mark, second, third"));
    assert_eq!(serving(), [2, 2, 2]);

    // It has 4 MiB of memory when it starts.
    job.put(&job.plugin("mark"), &Puppet::enrich().build());
    let why = running.reload().expect_err("one of them refuses it");
    assert!(why.starts_with("deployed: mark, third; but refused:\nsecond: refused: transform `second`: "), "{why}");
    assert_eq!(serving(), [3, 2, 3]);
    let why = running.reload().expect_err("it still does");
    assert!(why.starts_with("second: refused: ") && !why.contains("deployed"), "{why}");
    job.check_mark("2");
    running.drain();
}

#[test]
fn two_links_to_a_file_are_followed_wherever_it_is() {
    let job = Numbers::new("links");
    let elsewhere = job.folder.join("where else");
    fs::create_dir(&elsewhere).expect("a folder can be made");
    let file = elsewhere.join("v 1.wasm");
    fs::copy(guest("mark"), &file).expect("it is built");
    fs::remove_file(job.plugin("mark")).expect("it is there");
    symlink(&file, job.plugin("mark")).expect("a link can be made");
    symlink("mark.wasm", job.plugin("link")).expect("a link can be made");
    job.write(Plugins { more: &SECOND.replace("mark.wasm", "link.wasm"), ..Plugins::default() });
    let running = job.start();
    // Nobody watches that folder.
    job.put(&file, &touched(&guest("mark"), 1));
    running.wait_settled("mark", 2);
    running.wait_settled("second", 2);
    job.check_mark("2");
    running.drain();
}

#[test]
fn a_roll_back_of_a_roll_back_lets_the_file_serve_again() {
    let job = Numbers::new("twice");
    let running = job.start();
    job.write(Plugins { mark: r#"settings = { mark = "two" }"#, ..Plugins::default() });
    // Asked on probation, it waits for the verdict.
    wait_for("probation", LIMIT, || {
        let place = running.place("mark");
        let is_there = place.candidate.is_some_and(|candidate| candidate.stage >= Stage::Probation);
        (is_there || place.serving.number == 2).then_some(())
    });
    let said = running.roll_back("mark").expect("there is one before");
    assert!(said.contains("by `tidegate reload`") && running.place("mark").serving.number == 1, "{said}");
    assert_eq!(running.roll_back("mark").as_deref(), Ok("rolled back: mark; the file's version serves again"));
    assert_eq!(running.place("mark").serving.number, 2);
    assert_eq!(running.reload().as_deref(), Ok("nothing has changed"));
    running.roll_back("mark").expect("there is one before");
    job.check_mark("one");
    running.drain();
}

#[test]
fn what_is_refused_stays_so_when_another_generation_is_rolled_back() {
    let job = Numbers::new("held");
    let running = job.start();
    job.write(Plugins { mark: r#"settings = { mark = "two" }"#, ..Plugins::default() });
    running.wait_settled("mark", 2);
    job.write(Plugins { mark: r#"settings = { make = "three" }"#, ..Plugins::default() });
    running.wait_candidate("mark", 3, Stage::Refused);
    running.roll_back("mark").expect("there is one before");
    job.put(&job.plugin("tally"), &touched(&guest("tally"), 1));
    running.wait_settled("tallies.aggregate", 2);
    let candidate = running.place("mark").candidate.expect("there was one");
    assert_eq!((candidate.number, candidate.stage), (2, Stage::RolledBack), "the third is not tried again");
    running.drain();
}

#[test]
fn a_transform_that_has_moved_is_rolled_back_where_it_is() {
    let job = Numbers::new("moved");
    let running = job.start();
    job.write(Plugins { mark: r#"settings = { mark = "two" }"#, ..Plugins::default() });
    running.wait_settled("mark", 2);
    job.move_into_output("two", "all");
    wait_for("a deployment", LIMIT, || (running.handle.snapshot().reload.deployed == 2).then_some(()));
    assert_eq!(running.place("mark").before.map(|before| before.number), Some(1));
    running.roll_back("mark").expect("there is one before");
    job.check_mark("one");
    running.drain();
}

#[test]
fn what_is_played_beside_those_that_serve_is_not_counted() {
    let job = Numbers::new("counted");
    let running = job.start();
    job.produce(0..300);
    job.wait_for_documents(300);
    let usage = |name: &str| running.place(name).usage;
    assert_eq!((usage("mark").rows, usage("tallies.aggregate").rows), (300, 300));
    job.write(Plugins { mark: r#"settings = { mark = "two", panic = 10 }"#, ..Plugins::default() });
    running.wait_candidate("mark", 2, Stage::Refused);
    assert_eq!((usage("mark").rows, usage("tallies.aggregate").rows), (300, 300));
    job.write(Plugins { mark: r#"settings = { mark = "two" }"#, ..Plugins::default() });
    running.wait_settled("mark", 3);
    assert_eq!((usage("mark").rows, usage("mark").calls, usage("tallies.aggregate").rows), (0, 0, 300));
    running.drain();
}

/// What becomes of a pipeline one of whose 600 records traps, then all: the exit code, and what is said.
fn outcome(kind: &str, on_trap: &str, on_breaker: &str) -> String {
    let job = Numbers::new(&format!("breaks-{kind}-{on_trap}-{on_breaker}"));
    let keys = format!("on_trap = \"{on_trap}\"\non_breaker = \"{on_breaker}\"");
    let (place, puppet) = match kind {
        "filter" => ("mark", Puppet::filter()),
        "enrich" => ("mark", Puppet::enrich()),
        _ => ("tallies.aggregate", Puppet::aggregate()),
    };
    if place == "mark" {
        job.put(&job.plugin("mark"), &puppet.build());
        job.write(Plugins { mark: &keys, ..Plugins::default() });
    } else {
        job.put(&job.plugin("tally"), &puppet.build());
        job.write(Plugins { tally: &keys, ..Plugins::default() });
    }
    let log = job.folder.join("log");
    let program = Program::run(&job.file(), &log);
    if on_trap == "pass" && kind != "filter" {
        return ended(program, &log, &format!("on_trap=`pass` is for filters, and the plugin `{}`", place_file(place)));
    }
    let trap = Script::does(Deed::Trap).to_bytes();
    let produce = |numbers: std::ops::Range<i64>, traps: fn(i64) -> bool| {
        let record = |n: i64| {
            let (partition, timestamp_millis, value) = number(n);
            let (key, value) = (traps(n).then(|| trap.clone()), Some(value.into_bytes()));
            kafka::Record { partition, timestamp_millis, key, value, ..kafka::Record::default() }
        };
        job.kafka.produce(&job.topic, &numbers.map(record).collect::<Vec<_>>());
    };
    produce(0..600, |n| n == 300);
    if on_trap == "stop" {
        return ended(program, &log, &format!("plugin={place} failed: the plugin trapped"));
    }
    // Where an aggregate breaks, the document for the record itself is there.
    let lost = usize::from(on_trap == "dead-letter" && place == "mark");
    job.wait_for_documents(600 - lost);
    let letters = usize::from(on_trap == "dead-letter");
    wait_for("the dead letter", LIMIT, || (job.dead_letters() == letters).then_some(()));
    produce(600..24_600, |_| true);
    if on_breaker == "stop" {
        return ended(program, &log, &format!("plugin={place} failed: the plugin breaks on "));
    }
    let said = || fs::read_to_string(&log).expect("it has a log");
    let stalls = || said().matches("the lane stalls until a better component is deployed").count();
    wait_for("all lanes to stall", LIMIT, || (stalls() >= PARTITIONS as usize).then_some(()));
    assert!(said().contains(&format!("plugin={place} failed: the plugin breaks on ")), "{}", said());
    format!("stalls, and ends with {}", program.terminate().code().expect("it was not killed"))
}

fn place_file(place: &str) -> &'static str {
    if place == "mark" { "mark" } else { "tally" }
}

/// The exit code by itself.
fn ended(program: Program, log: &std::path::Path, words: &str) -> String {
    let code = program.wait().code().expect("it was not killed");
    let said = fs::read_to_string(log).expect("it has a log");
    assert!(said.contains(words) && !said.contains("thread '"), "{words}: {said}");
    format!("ends with {code}")
}

fn outcomes(kind: &str, expected: [[&str; 2]; 3]) {
    for (on_trap, expected) in ["dead-letter", "pass", "stop"].into_iter().zip(expected) {
        for (on_breaker, expected) in ["stop", "stall"].into_iter().zip(expected) {
            assert_eq!(outcome(kind, on_trap, on_breaker), expected, "{kind}, {on_trap}, {on_breaker}");
        }
    }
}

const BREAKS: [&str; 2] = ["ends with 7", "stalls, and ends with 0"];
const NOT_FOR_IT: [&str; 2] = ["ends with 2"; 2];
const TRAPS: [&str; 2] = ["ends with 3"; 2];

#[test]
fn what_follows_when_a_filter_breaks() {
    outcomes("filter", [BREAKS, BREAKS, TRAPS]);
}

#[test]
fn what_follows_when_an_enricher_breaks() {
    outcomes("enrich", [BREAKS, NOT_FOR_IT, TRAPS]);
}

#[test]
fn what_follows_when_an_aggregate_breaks() {
    outcomes("aggregate", [BREAKS, NOT_FOR_IT, TRAPS]);
}
