//! The program as it runs: the exit code of the breaker, and candidates whose `migrate` does evil, which are refused while the old
//! generation goes on.

use std::fs;

use tidegate::pipeline::Stage;
use tidegate::record::Slices;
use tidegate_tests::program::Program;
use tidegate_tests::puppet::{Deed, Puppet, Script, ZEROS, ZEROS_LEN};
use tidegate_tests::reload::{LIMIT, Numbers, Plugins};
use tidegate_tests::wait_for;

#[test]
fn states_that_cannot_be_migrated_refuse_the_candidate_and_the_old_one_goes_on() {
    let job = Numbers::new("evil-migrates");
    job.put(&job.plugin("tally"), &Puppet::aggregate().build());
    let tally = r#"limits = { deadline = "100ms", memory = "8MiB", output = "1MiB", state = "1KiB" }"#;
    job.write(Plugins { tally, ..Plugins::default() });
    let running = job.start();
    job.produce(0..600);
    job.wait_for_documents(600);
    let states = |states: Slices| Script::answers(|image| image.migrated(&states));
    let large = std::iter::repeat_n([0_u8; 1025], 16).collect::<Slices>();
    let candidates = [
        ("unreachable", Script::does(Deed::Trap)),
        ("did not come back", Script::does(Deed::Spin)),
        ("it is too old", Script::answers(|image| image.words_of("it is too old"))),
        ("states: 1 offsets for", states(Slices::default())),
        ("a migrated state has 1025 bytes", states(large)),
        ("its values cannot be read or written: invalid", Script::raw_words(&[7, 0, 0, 0, 0])),
        ("more bytes in one call than its output limit", Script::raw_words(&[0, ZEROS, 1, ZEROS, ZEROS_LEN])),
    ];
    for (generation, (words, script)) in (2..).zip(candidates) {
        job.put(&job.plugin("tally"), &Puppet::aggregate().migrating("puppet", 2, &script).build());
        let why = running.wait_candidate("tallies.aggregate", generation, Stage::Refused);
        assert!(why.contains(words), "{words}: {why}");
    }
    job.produce(600..1200);
    job.wait_for_documents(1200);
    job.pass_time(1200);
    let tallies = || job.documents("tallies");
    wait_for("the window's tallies", LIMIT, || (tallies().len() >= 16).then_some(()));
    let counted: u64 = tallies().iter().map(|one| one["count"].as_u64().expect("a count")).sum();
    assert_eq!((counted, job.dead_letters()), (1200, 0));
    running.drain();
}

/// Also where the pipeline file gives calls all the stack that there may be.
#[test]
fn a_candidate_that_recurses_for_ever_is_refused() {
    let job = Numbers::new("evil-recurses");
    job.rewrite("workers = 2", "workers = 2\nstack = \"2MiB\"");
    let running = job.start();
    job.put(&job.plugin("mark"), &Puppet::filter().configuring(&Script::does(Deed::Recurse)).build());
    let why = running.wait_candidate("mark", 2, Stage::Refused);
    assert!(why.contains("call stack exhausted"), "{why}");
    job.produce(0..10);
    job.wait_for_documents(10);
    running.drain();
}

#[test]
fn a_component_that_breaks_on_most_records_ends_the_program_with_a_code_of_its_own() {
    let job = Numbers::new("evil-breaker");
    job.write(Plugins { mark: r#"settings = { mark = "one", panic = 1 }"#, ..Plugins::default() });
    let log = job.folder.join("log");
    let program = Program::run(&job.file(), &log);
    job.produce(0..3000);
    let status = program.wait();
    let said = fs::read_to_string(&log).expect("it has a log");
    assert_eq!(status.code(), Some(7), "{said}");
    assert!(said.contains("the plugin breaks on") && !said.contains("thread '"), "{said}");
    assert_eq!(job.document_count(), 0);
}
