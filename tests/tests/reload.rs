//! Components and settings change while the pipeline runs, on stand-ins: nothing is lost, doubled, or judged by something that
//! is not whole.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::thread;

use tidegate::console::Console;
use tidegate::pipeline::Stage;
use tidegate_tests::program::binary;
use tidegate_tests::reload::{GROUPS, LIMIT, Numbers, PARTITIONS, Plugins, Running, guest, next_guest, touched};
use tidegate_tests::wait_for;

/// Numbers are produced in pieces of so many, while at most so many are not read.
const PIECE: i64 = 5_000;
const AHEAD: i64 = 30_000;
/// The documents of a window.
const WINDOW: usize = GROUPS as usize;
const TALLIES: &str = "tallies.aggregate";

#[test]
fn settings_and_components_are_deployed_while_records_flow() {
    let job = Numbers::new("flow");
    let running = job.start();
    assert_eq!(running.place("mark").serving.number, 1);
    let produced = AtomicI64::new(0);
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            while running.place("mark").serving.number < 10 {
                let begin = produced.fetch_add(PIECE, Relaxed);
                job.produce(begin..begin + PIECE);
                // The broker forgets what lies too far back.
                wait_for("the pipeline to follow", LIMIT, || {
                    let read = running.handle.snapshot().counts.tally.records;
                    (read as i64 + AHEAD > begin).then_some(())
                });
            }
        });
        deploy_nine(&job, &running);
        load.join().expect("the load goes on to the end");
    });
    let produced = produced.into_inner() + 1;
    job.produce(produced - 1..produced);
    job.wait_for_documents(produced as usize);
    let marks = job.marks();
    assert!(marks.keys().copied().eq(0..produced), "every number once");
    let seen: BTreeSet<&str> = marks.values().map(String::as_str).collect();
    assert!(seen.is_subset(&["10", "2", "4", "6", "8", "one"].into_iter().collect()), "{seen:?}");
    assert_eq!(marks.last_key_value().map(|(_, mark)| mark.as_str()), Some("10"));
    assert_eq!(job.dead_letters(), 0);
    running.drain();
}

/// Other settings and another component in turns.
fn deploy_nine(job: &Numbers, running: &Running) {
    for generation in 2..=10 {
        if generation % 2 == 0 {
            let mark = format!(r#"settings = {{ mark = "{generation}" }}"#);
            job.write(Plugins { mark: &mark, ..Plugins::default() });
        } else {
            job.put(&job.plugin("mark"), &touched(&guest("mark"), generation));
        }
        running.wait_settled("mark", generation);
    }
}

#[test]
fn a_generation_that_gives_up_far_more_is_rolled_back_as_if_it_had_never_been() {
    let job = Numbers::new("rolled-back");
    let running = Running::patient(job.file());
    job.produce(0..3000);
    job.wait_for_documents(3000);
    // The last live batches have an odd number of hits only: what is shown to the shadow is not what comes.
    job.write(Plugins { mark: r#"settings = { mark = "two", reject = 2 }"#, ..Plugins::default() });
    wait_for("probation", LIMIT, || {
        let candidate = running.place("mark").candidate?;
        (candidate.stage >= Stage::Probation).then_some(())
    });
    job.produce(3000..9000);
    let why = running.wait_candidate("mark", 2, Stage::RolledBack);
    assert!(why.starts_with("on probation it gave up ") && why.contains("the generation before 0.0 %"), "{why}");
    job.wait_for_documents(9000);
    assert!(job.marks().values().all(|mark| mark == "one"));
    job.pass_time(9000);
    wait_for("the window's tallies", LIMIT, || (job.documents("tallies").len() >= WINDOW).then_some(()));
    let counted: u64 = job.documents("tallies").iter().map(|one| one["records"].as_u64().expect("a count")).sum();
    assert_eq!((counted, job.dead_letters()), (9000, 0));
    running.drain();
}

#[test]
fn a_generation_that_traps_on_the_last_live_batches_never_serves() {
    let job = Numbers::new("traps");
    let running = job.start();
    job.produce(0..1000);
    job.wait_for_documents(1000);
    job.write(Plugins { mark: r#"settings = { mark = "two", panic = 10 }"#, ..Plugins::default() });
    let why = running.wait_candidate("mark", 2, Stage::Refused);
    assert!(why.contains("it does not like"), "{why}");
    job.produce(1000..2000);
    job.wait_for_documents(2000);
    assert!(job.marks().values().all(|mark| mark == "one"));
    assert_eq!(running.place("mark").serving.number, 1);
    running.drain();
}

#[test]
fn a_pipeline_whose_component_fails_holds_its_position_until_a_better_one_is_deployed() {
    let job = Numbers::new("stalls");
    let failing = "settings = { mark = \"bad\", panic = 1 }\non_breaker = \"stall\"";
    job.write(Plugins { mark: failing, ..Plugins::default() });
    let running = job.start();
    job.produce(0..9000);
    let stalled = || running.handle.snapshot().waiting.iter().filter(|why| why.contains("deploy a better")).count();
    wait_for("all lanes to stall", LIMIT, || (stalled() == PARTITIONS as usize).then_some(()));
    // More comes than a batch holds: none of it may be read past.
    job.produce(9000..24_000);
    let given_up = running.handle.snapshot().counts.dead_letters();
    assert!(given_up < 1000 * PARTITIONS as u64, "{given_up} before the breaker had judged");

    job.write(Plugins { mark: r#"settings = { mark = "good" }"#, ..Plugins::default() });
    running.wait_settled("mark", 2);
    // One that was given up may be read again, and then it is a document too.
    wait_for("all numbers", LIMIT, || {
        let (marks, given_up) = (job.marks(), job.given_up());
        (0..24_000).all(|n| marks.contains_key(&n) || given_up.contains(&n)).then_some(())
    });
    assert_eq!(stalled(), 0);
    assert!(job.marks().values().all(|mark| mark == "good"));
    assert_eq!(job.given_up().len() as u64, given_up, "none is given up any more");
    running.drain();
}

#[test]
fn a_version_that_wants_another_setting_is_deployed_in_either_order() {
    let toned = Plugins { mark: r#"settings = { mark = "one", tone = "high" }"#, ..Plugins::default() };
    for settings_first in [true, false] {
        let job = Numbers::new(&format!("pair-{settings_first}"));
        let running = job.start();
        job.produce(0..10);
        job.wait_for_documents(10);
        let component = || job.put(&job.plugin("mark"), &fs::read(next_guest("mark")).expect("it is built"));
        if settings_first {
            job.write(toned)
        } else {
            component()
        }
        let why = running.wait_candidate("mark", 2, Stage::Refused);
        assert!(why.contains("tone"), "in its own words: {why}");
        if settings_first {
            component()
        } else {
            job.write(toned)
        }
        running.wait_settled("mark", 3);
        assert_eq!(running.place("mark").serving.version, "0.2.0");
        job.produce(10..20);
        job.wait_for_documents(20);
        let marks = job.marks();
        assert!(
            marks.range(..10).all(|(_, mark)| mark == "one") && marks.range(10..).all(|(_, mark)| mark == "high one")
        );
        running.drain();
    }
}

#[test]
fn open_windows_go_over_to_another_state_once() {
    let job = Numbers::new("migrates");
    let running = job.start();
    job.produce(0..1000);
    job.wait_for_documents(1000);
    job.put(&job.plugin("tally"), &fs::read(next_guest("tally")).expect("it is built"));
    running.wait_settled(TALLIES, 2);
    job.produce(1000..3000);
    job.wait_for_documents(3000);
    job.pass_time(3000);
    wait_for("the window's tallies", LIMIT, || (job.documents("tallies").len() >= WINDOW).then_some(()));
    let sum =
        |field: &str| -> u64 { job.documents("tallies").iter().map(|one| one[field].as_u64().expect("a count")).sum() };
    assert_eq!((sum("records"), sum("before")), (3000, 1000));

    // Version 1 cannot read what version 2 wrote: there is no way back while windows are open.
    job.put(&job.plugin("tally"), &fs::read(guest("tally")).expect("it is built"));
    let why = running.wait_candidate(TALLIES, 3, Stage::Refused);
    assert!(why.contains("tally 2") && why.contains("tally 1"), "{why}");
    running.drain();
}

#[test]
fn a_generation_is_rolled_back_by_hand_and_stays_away_until_its_file_changes() {
    let job = Numbers::new("by-hand");
    let running = job.start();
    assert!(running.roll_back("mark").expect_err("there is none before").contains("no generation before"));
    assert!(running.roll_back("nobody").expect_err("there is no such").contains("mark, tallies.aggregate"));
    let two = Plugins { mark: r#"settings = { mark = "two" }"#, ..Plugins::default() };
    job.write(two);
    running.wait_settled("mark", 2);
    running.roll_back("mark").expect("there is one before");
    assert_eq!(running.place("mark").serving.number, 1);
    job.check_mark("one");
    assert_eq!(running.reload().as_deref(), Ok("deployed: mark"));
    assert_eq!(running.reload().as_deref(), Ok("nothing has changed"));
    job.produce(10..20);
    job.wait_for_documents(20);
    assert!(job.marks().range(10..).all(|(_, mark)| mark == "two"));
    running.drain();
}

#[test]
fn what_cannot_be_taken_is_said_and_the_pipeline_goes_on() {
    let job = Numbers::new("bad");
    let running = job.start();
    let whole = fs::read(guest("mark")).expect("it is built");
    let tally = fs::read(guest("tally")).expect("it is built");
    let cases: [(&[u8], &str); 4] = [
        (&whole[..whole.len() / 2], "it is cut short"),
        (b"", ""),
        (b"\0asm\x01\0\0\0", "carries no component type"),
        (&tally, "an aggregate belongs into [output.aggregate]"),
    ];
    for (generation, (bytes, words)) in (2..).zip(cases) {
        job.put(&job.plugin("mark"), bytes);
        let why = running.wait_candidate("mark", generation, Stage::Refused);
        assert!(why.contains(words), "{words}: {why}");
    }
    fs::remove_file(job.plugin("mark")).expect("it is there");
    job.write(Plugins { more: "[dead_letters]\ntopic = \"elsewhere\"", ..Plugins::default() });
    let refused = || running.handle.snapshot().reload.file_refused;
    let why = wait_for("a refusal", LIMIT, refused);
    assert!(why.contains("`dead_letters.topic` cannot change while the pipeline runs"), "{why}");
    job.write(Plugins { more: "[nonsense]", ..Plugins::default() });
    wait_for("a refusal", LIMIT, || refused().filter(|why| why.contains("nonsense")));
    job.produce(0..10);
    job.wait_for_documents(10);
    job.write(Plugins::default());
    wait_for("no refusal", LIMIT, || refused().is_none().then_some(()));
    assert_eq!(running.place("mark").serving.number, 1);
    running.drain();
}

#[test]
fn the_commands_ask_and_tell_the_running_pipeline() {
    let job = Numbers::new("commands");
    let running = job.start();
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let console = Console::start(local, running.handle.clone()).expect("a free port is there");
    let tidegate = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        let done = command.args(arguments).env("TIDEGATE_CONSOLE", console.address().to_string()).output();
        let done = done.expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    };
    job.write(Plugins { mark: r#"settings = { mark = "two" }"#, ..Plugins::default() });
    running.wait_settled("mark", 2);
    let (code, shown, _) = tidegate(&["status"]);
    assert!(
        code == Some(0) && shown.lines().any(|line| line.starts_with("mark") && line.contains("settled")),
        "{shown}"
    );
    let (code, said, _) = tidegate(&["rollback", "mark"]);
    assert!(code == Some(0) && said.starts_with("rolled back: mark"), "{said}");
    assert!(tidegate(&["status"]).1.contains("mark, generation 2: rolled back: by hand"));
    assert_eq!(tidegate(&["reload"]).1, "deployed: mark\n");
    let (code, _, why) = tidegate(&["rollback", "nobody"]);
    assert!(code == Some(2) && why.contains("there is no plugin=`nobody`"), "{why}");
    running.drain();
}

#[test]
fn a_dead_letter_names_the_generation_that_gave_the_record_up() {
    let job = Numbers::new("named");
    job.write(Plugins { mark: r#"settings = { mark = "one", reject = 10 }"#, documents: false, ..Plugins::default() });
    let running = job.start();
    let given_up = |count: usize| wait_for("dead letters", LIMIT, || (job.given_up().len() == count).then_some(()));
    job.produce(0..300);
    given_up(30);
    job.write(Plugins { mark: r#"settings = { mark = "two", reject = 10 }"#, documents: false, ..Plugins::default() });
    running.wait_settled("mark", 2);
    job.produce(300..600);
    given_up(60);
    let digest = running.place("mark").serving.digest;
    for letter in job.letters() {
        let number: serde_json::Value =
            serde_json::from_slice(&letter.value.clone().expect("it has one")).expect("JSON");
        let generation = if number["n"].as_i64() < Some(300) { "1" } else { "2" };
        let named = ["plugin", "transform", "plugin-version", "plugin-digest", "plugin-generation"]
            .map(|header| letter.header(&format!("tidegate-{header}")).unwrap_or_default().to_owned());
        assert_eq!(named, ["mark", "mark", "0.1.0", &digest, generation], "{number}");
    }
    running.drain();
}

#[test]
fn a_transform_that_moves_into_an_output_is_deployed() {
    let job = Numbers::new("moves");
    let running = job.start();
    job.produce(0..10);
    job.wait_for_documents(10);
    job.move_into_output("one", "tallies");
    wait_for("a deployment", LIMIT, || (running.handle.snapshot().reload.deployed == 1).then_some(()));
    assert_eq!(running.place("mark").serving.number, 1, "it is the same one");
    job.produce(10..20);
    job.wait_for_documents(20);
    let marks = job.marks();
    assert!(marks.range(..10).all(|(_, mark)| mark == "one") && marks.range(10..).all(|(_, mark)| mark.is_empty()));
    running.drain();
}

/// What the file wants may have other places than what serves.
#[test]
fn a_roll_back_keeps_the_transforms_that_serve() {
    let job = Numbers::new("places");
    let running = job.start();
    job.write(Plugins { mark: r#"settings = { mark = "two" }"#, ..Plugins::default() });
    running.wait_settled("mark", 2);
    job.write(Plugins { more: "[[output.transform]]\nplugin = \"nobody.wasm\"", ..Plugins::default() });
    job.rewrite("[[transform]]\n            plugin = \"mark.wasm\"\n            settings = { mark = \"one\" }", "");
    let refused = || running.handle.snapshot().reload.file_refused.filter(|why| why.contains("nobody.wasm"));
    wait_for("a refusal", LIMIT, refused);
    running.roll_back("mark").expect("there is one before");
    job.check_mark("one");
    running.drain();
}

#[test]
fn what_is_no_file_is_refused_until_one_is_there_again() {
    let job = Numbers::new("no-file");
    let running = job.start();
    let (plugin, whole) = (job.plugin("mark"), fs::read(guest("mark")).expect("it is built"));
    fs::remove_file(&plugin).expect("it is there");
    fs::create_dir(&plugin).expect("a folder can be made");
    let why = running.wait_candidate("mark", 2, Stage::Refused);
    assert!(why.contains("no file") && why.contains("mark.wasm"), "{why}");
    fs::remove_dir(&plugin).expect("it is empty");
    assert_eq!(running.reload().map(|said| said.contains("away: `")), Ok(true));
    let made = Command::new("mkfifo").arg(&plugin).status().expect("mkfifo can be run");
    assert!(made.success());
    // Nobody ever writes into it; and it is no other refusal than that of the folder.
    assert!(running.reload().expect_err("it is no file").contains("no file"));
    job.put(&plugin, &whole);
    assert_eq!(running.reload().as_deref(), Ok("nothing has changed"));
    job.produce(0..10);
    job.wait_for_documents(10);
    assert_eq!(running.place("mark").serving.number, 1);
    running.drain();
}

#[test]
fn a_file_that_the_settings_name_may_come_after_the_pipeline_file() {
    let job = Numbers::new("named-file");
    let running = job.start();
    job.write(Plugins { mark: r#"settings = { mark = "@word.txt" }"#, ..Plugins::default() });
    let refused = || running.handle.snapshot().reload.file_refused.filter(|why| why.contains("word.txt"));
    wait_for("a refusal", LIMIT, refused);
    job.put(&job.folder.join("word.txt"), b"two");
    running.wait_settled("mark", 2);
    job.put(&job.folder.join("word.txt"), b"three");
    running.wait_settled("mark", 3);
    job.check_mark("three");
    running.drain();
}

#[test]
fn what_comes_with_a_new_transform_waits_for_it() {
    let job = Numbers::new("together");
    let running = job.start();
    let second = "[[transform]]\nname = \"second\"\nplugin = \"second.wasm\"\nsettings = { mark = \"three\" }";
    job.put(&job.plugin("second"), b"no component");
    job.write(Plugins { mark: r#"settings = { mark = "two" }"#, more: second, ..Plugins::default() });
    // It may have been tried more than once: each file that comes is a reason.
    let refused = || running.place("mark").candidate.filter(|one| one.stage == Stage::Refused);
    let why = wait_for("a refusal", LIMIT, refused).why.unwrap_or_default();
    assert!(why.contains("transform `second`") && why.contains("it is not WebAssembly"), "{why}");
    job.put(&job.plugin("second"), &fs::read(guest("mark")).expect("it is built"));
    wait_for("both", LIMIT, || (running.place("mark").serving.number > 1).then_some(()));
    job.check_mark("three");
    assert_eq!(running.place("second").serving.stage, Stage::Settled);
    running.drain();
}
