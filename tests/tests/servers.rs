//! The click-stream example on a real Kafka and a real Elasticsearch, undisturbed, terminated and killed: the index equals
//! a plain fold of the input, document by document, and every record is accounted for. And reloads on a real Kafka: while
//! records flow, and in two instances of one group, which are updated one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate::config::PipelineSettings;
use tidegate::pipeline::{Rewind, RewindTo, rewind};
use tidegate::record::{ErrorKind, HasKind};
use tidegate_tests::bench::versions::{Changed, version};
use tidegate_tests::index::Index;
use tidegate_tests::job::{Job, LIMIT};
use tidegate_tests::kafka::Record;
use tidegate_tests::load::{Load, check_counted};
use tidegate_tests::program::binary;
use tidegate_tests::reconcile::assert_adds_up;
use tidegate_tests::reload::{
    GROUPS, NUMBERS_PER_WINDOW, Numbers, PARTITIONS as NUMBERS_PARTITIONS, Plugins, Running, guest, next_guest, number,
};
use tidegate_tests::servers::Servers;
use tidegate_tests::wait_for;

#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn undisturbed_the_index_equals_a_plain_fold_and_memory_stays_within_its_budget() {
    const MEMORY_MIB: u64 = 64;
    let job = Job::new("undisturbed", 1);
    job.append(&format!("[limits]\nmemory = \"{MEMORY_MIB}MiB\"\n"));
    // All is there, and is read as fast as it can be.
    job.produce(&job.records);
    let mut program = job.start();
    job.wait_until_as_expected(&mut program);
    let peak_mib = program.assert_within_memory(MEMORY_MIB);
    println!("at most {peak_mib} MiB were resident, of a budget of {MEMORY_MIB}");
    let status = program.terminate();
    assert_eq!(status.code(), Some(0), "SIGTERM is a clean end");
    assert_eq!(job.differences(), Vec::<String>::new(), "after the end");
    let found = assert_adds_up(&job.pipeline, &[]);
    assert!(found["outputs"][0]["windows"]["equal"].as_u64() > Some(0), "{found:#}");
}

#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn sigterm_halfway_and_a_restart_do_not_show() {
    let job = Job::new("sigterm", 2);
    let (first, second) = job.records.split_at(job.records.len() / 2);
    job.produce(first);
    let mut program = job.start();
    job.wait_for_documents(&mut program, job.expected.documents.len() as u64 / 4);
    assert_eq!(program.terminate().code(), Some(0), "SIGTERM is a clean end");
    job.produce(second);
    let mut program = job.start();
    job.wait_until_as_expected(&mut program);
    assert_eq!(program.terminate().code(), Some(0), "SIGTERM is a clean end");
}

#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn sigkill_halfway_and_a_restart_do_not_show() {
    let job = Job::new("sigkill", 3);
    let (first, second) = job.records.split_at(job.records.len() / 2);
    job.produce(first);
    let mut program = job.start();
    job.wait_for_documents(&mut program, 1);
    program.kill();
    let mut program = job.start();
    job.wait_for_documents(&mut program, job.expected.documents.len() as u64 / 4);
    program.kill();
    job.produce(second);
    let mut program = job.start();
    job.wait_until_as_expected(&mut program);
    assert_eq!(program.terminate().code(), Some(0), "SIGTERM is a clean end");
    assert_adds_up(&job.pipeline, &[]);
}

/// Each number is counted once, by whichever generation, while all that can change of a plugin does.
#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn reloads_lose_and_double_nothing_of_100_000_records_a_second() {
    let job = Arc::new(Numbers::on(&Servers::get().kafka, "flow"));
    job.write(Plugins { documents: false, ..Plugins::default() });
    let running = job.start();
    let load = Load::begin(&job, 100_000);
    let component = fs::read(guest("mark")).expect("it is built");
    let version = |changed, number| version(&component, changed, number).expect("it is a component");
    for generation in 2..=40_u64 {
        let number = u32::try_from(generation).expect("few");
        match generation % 4 {
            0 => job.put(&job.plugin("mark"), &version(Changed::All, number)),
            1 => job.put(&job.plugin("mark"), &version(Changed::One, number)),
            2 => job.put(&job.plugin("mark"), &version(Changed::One, number % 8)),
            _ => {
                let mark = format!(r#"settings = {{ mark = "{generation}" }}"#);
                job.write(Plugins { mark: &mark, documents: false, ..Plugins::default() });
            }
        }
        running.wait_settled("mark", generation);
    }
    let produced = load.end().expect("the load goes on to the end");
    check_counted(&job, &running, produced).expect("each number is counted once");
    running.drain();
}

/// The first of them to be updated writes states that the other does not know: the other's lanes of the parts topic wait for its
/// own update. Whichever is the first, the windows are whole. (The index is the stand-in: this is about the group and its parts.)
#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn a_rolling_update_to_another_state_schema_loses_and_doubles_nothing() {
    let waited: Vec<bool> = [0, 1].into_iter().map(updated_one_after_the_other).collect();
    assert!(waited.contains(&true), "no lane had to wait: nothing was shown");
}

/// Whether the second to be updated had to wait.
fn updated_one_after_the_other(first: usize) -> bool {
    let job = Numbers::on(&Servers::get().kafka, &format!("rolling-{first}"));
    job.write(Plugins { documents: false, ..Plugins::default() });
    let files = [job.file(), job.second_file()];
    let instances = [Running::of(files[0].clone()), Running::of(files[1].clone())];
    let lanes = |instance: &Running, parts: bool| {
        let lanes = instance.handle.snapshot().lanes;
        lanes.iter().filter(|lane| lane.parts == parts).count()
    };
    wait_for("both to have partitions", LIMIT, || {
        let counts = instances.each_ref().map(|instance| lanes(instance, true) + lanes(instance, false));
        (counts.iter().sum::<usize>() == 2 * NUMBERS_PARTITIONS as usize && !counts.contains(&0)).then_some(())
    });
    let records = || instances.iter().map(|one| one.handle.snapshot().counts.tally.records).sum::<u64>();
    let update = |number: usize| {
        let plugin = files[number].with_file_name("plugins").join("tally.wasm");
        job.put(&plugin, &fs::read(next_guest("tally")).expect("it is built"));
        instances[number].wait_settled("tallies.aggregate", 2);
    };
    let half = NUMBERS_PER_WINDOW / 2;
    job.produce(0..half);
    wait_for("the first half window", LIMIT, || (records() >= half as u64).then_some(()));

    update(first);
    let (updated, other) = (&instances[first], &instances[1 - first]);
    let must_wait = lanes(updated, false) > 0 && lanes(other, true) > 0;
    let windows = 2;
    job.produce(half..windows * NUMBERS_PER_WINDOW);
    job.pass_time(windows * NUMBERS_PER_WINDOW);
    if must_wait {
        wait_for("a lane to wait for its update", LIMIT, || {
            other.handle.snapshot().waiting.iter().any(|why| why.contains("deploy")).then_some(())
        });
    }
    update(1 - first);
    let tallies = wait_for("the windows", LIMIT, || {
        let tallies = job.tallies();
        (tallies.len() as i64 >= windows * GROUPS).then_some(tallies)
    });
    assert!(tallies.values().all(|count| *count == NUMBERS_PER_WINDOW / GROUPS), "{tallies:?}");
    assert_eq!(instances.each_ref().map(|one| one.handle.snapshot().counts.dead_letters()), [0, 0]);
    instances.into_iter().for_each(Running::drain);
    must_wait
}

/// A member that is named leaves without a word: nobody takes its partitions, and it has them back when it comes again.
#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn a_named_instance_has_its_partitions_back_and_the_other_notices_nothing() {
    let job = Numbers::on(&Servers::get().kafka, "static");
    let files = [job.file(), job.second_file()];
    for (number, file) in files.iter().enumerate() {
        let text = fs::read_to_string(file).expect("it was written");
        let named = text.replace("[source.kafka]", &format!("[source.kafka]\ninstance = \"host-{number}\""));
        job.put(file, named.as_bytes());
    }
    let [first, second] = files.each_ref().map(|file| Running::of(file.clone()));
    let lanes = |instance: &Running| {
        let lanes = instance.handle.snapshot().lanes;
        let mut partitions: Vec<String> = lanes.iter().map(|lane| lane.partition.to_string()).collect();
        partitions.sort();
        partitions
    };
    let before = wait_for("both to have partitions", LIMIT, || {
        let before = [lanes(&first), lanes(&second)];
        let count: usize = before.iter().map(Vec::len).sum();
        (count == 2 * NUMBERS_PARTITIONS as usize && before.iter().all(|lanes| !lanes.is_empty())).then_some(before)
    });
    first.drain();
    assert_eq!(job.kafka.members(job.group()), 2, "it has left");
    job.produce(0..NUMBERS_PER_WINDOW);
    let again = Running::of(files[0].clone());
    wait_for("all numbers", LIMIT, || (job.document_count() as i64 >= NUMBERS_PER_WINDOW).then_some(()));
    wait_for("its partitions", LIMIT, || (lanes(&again) == before[0]).then_some(()));
    assert_eq!(lanes(&second), before[1]);

    // Another process of its name takes its place.
    let twin = Running::of(files[0].clone());
    let error = again.ended().expect_err("its place is taken").to_string();
    assert!(error.contains("another process of the same name") && error.contains("instance=`host-0`"), "{error}");
    twin.drain();
    second.drain();
}

/// Back to a time, then all of a topic that was deleted and made anew. (The index is the stand-in: this is about positions.)
#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn a_rewind_to_a_time_and_a_topic_that_is_made_anew() {
    let job = Numbers::on(&Servers::get().kafka, "rewind");
    job.write(Plugins { documents: false, ..Plugins::default() });
    let settings = PipelineSettings::load(&job.file(), &|_| None, None).unwrap_or_else(|errors| panic!("{errors}"));
    let back = |to| rewind(&settings, &Rewind { to, topic: None, partition: None, dry_run: false });
    // Of the documents of each window, the oldest first.
    let revisions = || {
        let documents = job.index.documents("tallies");
        let mut found: Vec<(String, u64)> = documents.into_iter().map(|one| (one.id, one.version >> 52)).collect();
        found.sort();
        found.chunks(GROUPS as usize).map(|window| window.iter().map(|(_, revision)| *revision).collect()).collect()
    };
    let all = |revision: u64| vec![revision; GROUPS as usize];
    let wait_until = |expected: &[Vec<u64>]| {
        wait_for(&format!("{expected:?}"), LIMIT, || {
            let found: Vec<Vec<u64>> = revisions();
            (found == expected).then_some(())
        });
        assert!(job.tallies().values().all(|count| *count == NUMBERS_PER_WINDOW / GROUPS), "{:?}", job.tallies());
        assert_eq!(job.dead_letters(), 0);
    };

    let running = job.start();
    job.produce(0..2 * NUMBERS_PER_WINDOW);
    job.pass_time(2 * NUMBERS_PER_WINDOW);
    wait_until(&[all(0), all(0)]);
    let in_use = back(RewindTo::Earliest).expect_err("it runs");
    assert!(in_use.to_string().contains("the group has members"), "{in_use}");
    running.drain();

    let (_, millis, _) = number(NUMBERS_PER_WINDOW);
    let rewound = back(RewindTo::Time { millis }).unwrap_or_else(|error| panic!("{error}"));
    let first = NUMBERS_PER_WINDOW / i64::from(NUMBERS_PARTITIONS);
    assert!(rewound.partitions.iter().all(|it| it.to.0 == first), "{rewound:?}");
    let starts = rewound.partitions.iter().flat_map(|it| it.first_windows.clone());
    assert!(starts.into_iter().all(|start| start.is_some_and(|start| start.micros() == millis * 1000)), "{rewound:?}");
    let running = job.start();
    wait_until(&[all(0), all(1)]);
    running.drain();

    job.kafka.delete_topic(&job.topic);
    job.kafka.create_topic(&job.topic, NUMBERS_PARTITIONS - 1);
    let error = Running::begin(job.file()).ended().expect_err("a partition is gone");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let words =
        format!("has fewer partitions than it had, topic=`{}` partitions=`{}`", job.topic, NUMBERS_PARTITIONS - 1);
    assert!(error.to_string().contains(&words), "{error}");

    job.kafka.delete_topic(&job.topic);
    job.kafka.create_topic(&job.topic, NUMBERS_PARTITIONS);
    let error = Running::begin(job.file()).ended().expect_err("the topic is another");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("tidegate rewind FILE --to earliest"), "{error}");
    let rewound = back(RewindTo::Earliest).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(rewound.revision, 2);
    let running = job.start();
    job.produce(0..NUMBERS_PER_WINDOW);
    job.pass_time(NUMBERS_PER_WINDOW);
    wait_until(&[all(2), all(1)]);
    running.drain();
}

/// A partition that the topic gets while the pipeline runs is read from its first record on, and counts in the windows that are open. (The
/// index is the stand-in: this is about partitions.)
#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn a_partition_that_is_added_while_it_runs_counts() {
    const MORE: i64 = 100 * GROUPS;
    let job = Numbers::on(&Servers::get().kafka, "added");
    job.write(Plugins { documents: false, ..Plugins::default() });
    let often = r#"librdkafka = { "topic.metadata.refresh.interval.ms" = "1000", "#;
    job.rewrite("librdkafka = { ", often);
    let running = job.start();
    job.produce(0..NUMBERS_PER_WINDOW);
    job.kafka.add_partitions(&job.topic, NUMBERS_PARTITIONS as usize + 1);
    let in_it = |n: i64| {
        let (_, timestamp_millis, value) = number(n);
        Record { partition: NUMBERS_PARTITIONS, timestamp_millis, value: Some(value.into_bytes()), ..Record::default() }
    };
    job.kafka.produce(&job.topic, &(0..MORE).map(in_it).collect::<Vec<_>>());
    wait_for("a position in the added partition", LIMIT, || {
        let positions = job.kafka.positions(job.group(), &job.topic, NUMBERS_PARTITIONS + 1);
        positions.iter().any(|(_, partition, _, _)| *partition == NUMBERS_PARTITIONS).then_some(())
    });
    job.pass_time(NUMBERS_PER_WINDOW);
    job.kafka.produce(&job.topic, &[in_it(4 * NUMBERS_PER_WINDOW)]);
    let tallies = wait_for("the window", LIMIT, || Some(job.tallies()).filter(|found| found.len() >= GROUPS as usize));
    let expected = (NUMBERS_PER_WINDOW + MORE) / GROUPS;
    assert!(tallies.values().all(|count| *count == expected), "not {expected}: {tallies:?}");
    assert_eq!(job.dead_letters(), 0);
    running.drain();
}

/// Records that a wrong mapping keeps out of the index are there when it is mended and they are replayed, as if it had been right from the
/// beginning.
#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn a_mapping_is_mended_and_ten_thousand_dead_letters_are_replayed() {
    const NUMBERS: i64 = 10_000;
    let servers = Servers::get();
    let job = Numbers::on(&servers.kafka, "letters");
    let name = format!("letters-{}", std::process::id());
    job.rewrite("index = \"all\"", &format!("index = \"{name}\""));
    job.rewrite(&job.index.url(), &servers.elasticsearch);
    let index = Index::new(&servers.elasticsearch, &name);
    let map = |kind: &str| {
        let mappings = json!({ "properties": { "mark": { "type": kind } } });
        let template = json!({ "index_patterns": [name], "template": { "mappings": mappings } });
        index.put_template(&name, &template.to_string());
    };
    let replay = |more: &[&str]| {
        let asked =
            Command::new(binary()).args(["dead-letters", "replay", "--json"]).arg(job.file()).args(more).output();
        let asked = asked.expect("it can be run");
        let (said, log) = (String::from_utf8_lossy(&asked.stdout), String::from_utf8_lossy(&asked.stderr));
        let last = said.lines().last().unwrap_or_else(|| panic!("{log}"));
        let summary: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"));
        let count = |of: &str| summary["summary"][of].as_u64().unwrap_or_else(|| panic!("no {of} in {summary}"));
        let counts = ["chosen", "settled", "refused", "taken", "superseded"].map(count);
        (counts, asked.status.code().expect("it ends by itself"))
    };
    let documents = || {
        let documents = index.documents();
        assert_eq!(documents.len() as u64, index.count());
        documents.into_iter().collect::<BTreeMap<String, Value>>()
    };

    map("long");
    let running = job.start();
    job.produce(0..NUMBERS);
    let all = NUMBERS as u64;
    wait_for("the dead letters", LIMIT, || (running.handle.snapshot().counts.dead_letters() == all).then_some(()));
    running.drain();
    assert_eq!((job.dead_letters() as u64, documents().len()), (all, 0));
    assert_eq!(replay(&["--max", "100"]), ([100, 0, 100, 0, 0], 8), "nothing is mended");
    assert_eq!((job.dead_letters() as u64, documents().len()), (all, 0), "nothing is written");

    index.delete();
    map("keyword");
    assert_eq!(replay(&[]), ([all - 100, all - 100, 0, all - 100, 0], 0), "it goes on where it was");
    assert_eq!(replay(&["--from-beginning"]), ([all, all, 0, 100, all - 100], 0), "the first ones are left");
    let expected = |n: i64| {
        let (partition, _, value) = number(n);
        let mut value: Value = serde_json::from_str(&value).expect("it is JSON");
        value["mark"] = json!("one");
        (format!("all:{}-{partition}-{}", job.topic, n / i64::from(NUMBERS_PARTITIONS)), value)
    };
    let found = documents();
    assert!(found == (0..NUMBERS).map(expected).collect(), "{} documents are others than they should be", found.len());

    assert_eq!(replay(&["--from-beginning"]), ([all, all, 0, 0, all], 0), "all are there");
    assert_eq!(replay(&[]), ([0; 5], 0), "there is nothing to do");
    assert!(documents() == found && job.dead_letters() as u64 == all, "nothing changes");
    index.delete();
}
