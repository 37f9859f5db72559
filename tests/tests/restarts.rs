//! Restarts of a pipeline with checkpoints, on stand-ins: what is read again, and what a restart refuses rather than begin without what a
//! window held. `kills.rs` has the same on real servers, with several processes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tidegate::record::{ErrorKind, HasKind};
use tidegate_tests::reload::{GROUPS, LIMIT, NUMBERS_PER_WINDOW, Numbers, PARTITIONS, Plugins, Running};
use tidegate_tests::wait_for;

const HALF: i64 = NUMBERS_PER_WINDOW / 2;

/// Numbers, a pipeline file with a store, and a run that has read half a window and was drained.
struct Job {
    numbers: Numbers,
    store: PathBuf,
}

impl Job {
    fn new(test: &str) -> Job {
        let numbers = Numbers::new(&format!("restarts-{test}"));
        let store = numbers.folder.join("checkpoints");
        fs::create_dir(&store).expect("the scratch folder is writable");
        let more = format!("[checkpoint]\nlocations = [\"file://{}\"]\nevery = \"1s\"", store.display());
        numbers.write(Plugins { documents: false, more: &more, ..Plugins::default() });
        // The stand-in's group waits for most of a session before it goes on without a member that left.
        let quick = r#"librdkafka = { "session.timeout.ms" = "1500", "heartbeat.interval.ms" = "200" }"#;
        numbers.rewrite(r#"librdkafka = { "session.timeout.ms" = "6000" }"#, quick);
        Job { numbers, store }
    }

    fn after_half_a_window(test: &str) -> Job {
        let job = Job::new(test);
        let running = job.numbers.start();
        job.numbers.produce(0..HALF);
        wait_for("half a window", LIMIT, || (records(&running) == HALF as u64).then_some(()));
        running.drain();
        assert_eq!(job.objects(false).len(), PARTITIONS as usize, "each lane has left a checkpoint");
        job
    }

    /// The checkpoints, or the claims.
    fn objects(&self, claims: bool) -> Vec<PathBuf> {
        let mut found = Vec::new();
        below(&self.store.join(&self.numbers.name), &mut found);
        found.retain(|path| path.ends_with("claim") == claims);
        found
    }

    /// The rest of the window, and what must have become of both halves.
    fn go_on(&self) -> Running {
        let running = self.numbers.start();
        self.numbers.produce(HALF..NUMBERS_PER_WINDOW);
        self.numbers.pass_time(NUMBERS_PER_WINDOW);
        let tallies = wait_for("the window", LIMIT, || {
            let tallies = self.numbers.tallies();
            (tallies.len() as i64 >= GROUPS).then_some(tallies)
        });
        assert!(tallies.values().all(|count| *count == NUMBERS_PER_WINDOW / GROUPS), "{tallies:?}");
        running
    }

    /// The words with which it stops.
    fn refusal(&self) -> String {
        let error = self.numbers.start().ended().expect_err("it does not go on");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        error.to_string()
    }
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("it is there") {
        match entry.expect("it can be read").path() {
            path if path.is_dir() => below(&path, found),
            path => found.push(path),
        }
    }
}

fn records(running: &Running) -> u64 {
    running.handle.snapshot().counts.tally.records
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("it is ours");
}

#[test]
fn a_restart_goes_on_with_what_open_windows_hold_and_reads_nothing_again() {
    let job = Job::after_half_a_window("goes-on");
    let running = job.go_on();
    let passed = PARTITIONS as u64;
    assert_eq!(records(&running), NUMBERS_PER_WINDOW as u64 - HALF as u64 + passed);
    running.drain();
}

/// A broker forgets the positions of a group that is away for long: one that it has never heard of is in the same case.
#[test]
fn where_the_positions_are_gone_the_checkpoints_take_their_place() {
    let job = Job::after_half_a_window("expired");
    job.numbers.rewrite("[source.kafka]", "[source.kafka]\ngroup = \"another\"");
    let running = job.go_on();
    let passed = PARTITIONS as u64;
    assert_eq!(records(&running), NUMBERS_PER_WINDOW as u64 - HALF as u64 + passed);
    running.drain();
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_records_are_read_again() {
    let job = Job::new("passed-over");
    let running = job.numbers.start();
    job.numbers.produce(0..HALF / 2);
    let older = wait_for("a checkpoint of each partition", LIMIT, || {
        let found = job.objects(false);
        // A partition's folder has one for each epoch.
        let partitions: BTreeSet<_> = found.iter().filter_map(|path| path.parent()?.parent()).collect();
        (partitions.len() == PARTITIONS as usize).then(|| found.clone())
    });
    job.numbers.produce(HALF / 2..HALF);
    wait_for("half a window", LIMIT, || (records(&running) == HALF as u64).then_some(()));
    running.drain();
    job.objects(false).iter().filter(|path| !older.contains(path)).for_each(|path| damage(path));
    let running = job.go_on();
    assert!(records(&running) > (NUMBERS_PER_WINDOW - HALF) as u64 + PARTITIONS as u64, "nothing was read again");
    running.drain();
}

#[test]
fn without_a_checkpoint_that_is_whole_it_stops_and_says_so() {
    let job = Job::after_half_a_window("damaged");
    job.objects(false).iter().for_each(|path| damage(path));
    let refusal = job.refusal();
    assert!(refusal.contains("no checkpoint of the partition can be read"), "{refusal}");
    job.objects(false).iter().for_each(|path| fs::remove_file(path).expect("it is ours"));
    let refusal = job.refusal();
    assert!(refusal.contains("which the position was committed with, is not there"), "{refusal}");
}

#[test]
fn another_store_under_the_position_is_refused() {
    let job = Job::after_half_a_window("other-store");
    fs::rename(&job.store, job.store.with_extension("before")).expect("it is ours");
    fs::create_dir(&job.store).expect("the scratch folder is writable");
    let refusal = job.refusal();
    assert!(refusal.contains("this is another store than the one that the position was committed with"), "{refusal}");
}

#[test]
fn windows_that_are_others_now_are_refused() {
    let job = Job::after_half_a_window("other-windows");
    job.numbers.rewrite("tumbling = \"1m\"", "tumbling = \"2m\"");
    let refusal = job.refusal();
    assert!(refusal.contains("made with another window or group_by"), "{refusal}");
    job.numbers.rewrite("tumbling = \"2m\"", "tumbling = \"1m\"");
    job.numbers.rewrite("name = \"tallies\"", "name = \"others\"");
    let refusal = job.refusal();
    assert!(refusal.contains("--accept-removed tallies"), "{refusal}");
}

/// They share the store by mistake: each has its own group, and reads all partitions.
#[test]
fn two_pipelines_of_one_name_are_told_apart_by_who_claimed_last() {
    let job = Job::new("one-name");
    let first = job.numbers.start();
    job.numbers.produce(0..HALF);
    wait_for("half a window", LIMIT, || (records(&first) == HALF as u64).then_some(()));
    job.numbers.rewrite("[source.kafka]", "[source.kafka]\ngroup = \"another\"");
    let second = job.numbers.start();
    wait_for("the second to claim", LIMIT, || (job.objects(true).len() == 2 * PARTITIONS as usize).then_some(()));
    job.numbers.produce(HALF..NUMBERS_PER_WINDOW);
    let why = wait_for("the first to stop its lanes", LIMIT, || first.handle.snapshot().waiting.into_iter().next());
    assert!(why.contains("another process has claimed the partition"), "{why}");
    assert!(why.contains("does another pipeline of this name use the store?"), "{why}");
    assert!(second.handle.snapshot().waiting.is_empty(), "{:?}", second.handle.snapshot().waiting);
    drop((first, second));
}

#[test]
fn a_store_that_takes_nothing_holds_nothing_up() {
    let job = Job::new("full");
    let running = job.numbers.start();
    job.numbers.produce(0..HALF);
    wait_for("a checkpoint", LIMIT, || (!job.objects(false).is_empty()).then_some(()));
    fs::remove_dir_all(&job.store).expect("it is ours");
    fs::write(&job.store, "no directory").expect("the scratch folder is writable");
    job.numbers.produce(HALF..HALF + HALF / 2);
    wait_for("a failure", LIMIT, || (running.handle.snapshot().checkpoints.failed > 0).then_some(()));
    job.numbers.produce(HALF + HALF / 2..NUMBERS_PER_WINDOW);
    job.numbers.pass_time(NUMBERS_PER_WINDOW);
    wait_for("the window", LIMIT, || (job.numbers.tallies().len() as i64 >= GROUPS).then_some(()));
    assert!(job.numbers.tallies().values().all(|count| *count == NUMBERS_PER_WINDOW / GROUPS));
}
