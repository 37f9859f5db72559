//! Which generation made a document, as the positions tell: on stand-ins, while components and settings change, and processes end.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate::config::PipelineSettings;
use tidegate::lane::id::Revision;
use tidegate::lane::{Generations, Known, MadeOf, ServedBy, settings_hash};
use tidegate::record::Offset;
use tidegate_tests::program::Program;
use tidegate_tests::reconcile::{explain, explained};
use tidegate_tests::reload::{LIMIT, Numbers, PARTITIONS, Plugins, guest, touched};
use tidegate_tests::wait_for;

/// What has served each partition.
fn served(job: &Numbers) -> Vec<Generations> {
    let positions = job.kafka.positions(job.group(), &job.topic, PARTITIONS);
    let known = |(_, _, _, metadata): &(String, i32, i64, String)| Known::of(metadata).expect("it is ours").generations;
    let known: Vec<Generations> = positions.iter().map(known).collect();
    assert_eq!(known.len(), PARTITIONS as usize, "{positions:?}");
    known
}

/// The partition, the offset and the mark of each document of a number.
fn made(job: &Numbers) -> Vec<(usize, Offset, String)> {
    let documents = job.index.documents("all");
    let read = |id: &str, source: &[u8]| {
        let (partition, offset) = id.strip_prefix("all:numbers-")?.split_once('-')?;
        let source: Value = serde_json::from_slice(source).ok()?;
        let mark = source["mark"].as_str()?.to_owned();
        Some((partition.parse().ok()?, Offset(offset.parse().ok()?), mark))
    };
    documents.iter().map(|one| read(&one.id, &one.source).expect("it is of a number")).collect()
}

fn mark(name: &str) -> String {
    format!(r#"settings = {{ mark = "{name}" }}"#)
}

/// How the positions know the settings that make this mark.
fn hash_of_mark(job: &Numbers, name: &str) -> u16 {
    job.write(Plugins { mark: &mark(name), ..Plugins::default() });
    let settings = PipelineSettings::load(&job.file(), &|_: &str| None, None).expect("it is right");
    settings_hash(&settings.transforms[0].plugin)
}

#[test]
fn each_document_is_of_the_generation_that_its_position_tells() {
    let job = Numbers::new("generations");
    let more = "[[output]]\nname = \"made\"\nindex = \"made\"\noperation = \"create\"";
    let write = |mark: &str| job.write(Plugins { mark, more, ..Plugins::default() });
    write(&mark("one"));
    let running = job.start();
    let mut produced = 0;
    let mut produce = |count: i64| {
        job.produce(produced..produced + count);
        produced += count;
    };
    produce(3000);
    job.wait_for_documents(3000);
    // One takes over wherever each lane is by then, with records before and behind it.
    for generation in 2..=6 {
        match generation % 2 {
            0 => write(&mark(&generation.to_string())),
            _ => job.put(&job.plugin("mark"), &touched(&guest("mark"), generation)),
        }
        produce(6000);
        running.wait_settled("mark", generation);
        produce(600);
    }
    job.pass_time(produced);
    let read = produced as usize + PARTITIONS as usize;
    job.wait_for_documents(read);
    running.drain();

    // Another process goes on, with the same and with others.
    job.start().drain();
    let before = served(&job);
    write(&mark("after"));
    let running = job.start();
    let last = produced + 10 * 60_000;
    job.produce(last..last + 300);
    job.wait_for_documents(read + 300);
    running.drain();

    let served = served(&job);
    let mut seen = BTreeSet::new();
    for (partition, offset, mark) in made(&job) {
        let makers = served[partition].makers(Some(Revision(0)), offset, MadeOf::Record);
        assert!(makers.is_complete && makers.served.len() == 1, "numbers-{partition}-{offset}: {makers:?}");
        let ServedBy { plugin, generation, .. } = &makers.served[0].by[0];
        assert_eq!(plugin, "mark");
        let is_after = makers.served[0].from > Offset(0) && *generation == 1;
        let by = match generation {
            1 if is_after => "after".to_owned(),
            1 => "one".to_owned(),
            // Those between have the component changed, and the settings of the one before.
            odd if odd % 2 == 1 => (odd - 1).to_string(),
            even => even.to_string(),
        };
        assert_eq!(mark, by, "numbers-{partition}-{offset}");
        seen.insert((is_after, *generation));
    }
    assert!(seen.contains(&(false, 1)) && seen.contains(&(true, 1)) && seen.contains(&(false, 6)), "{seen:?}");
    assert!(before.iter().zip(&served).all(|(before, now)| before != now), "what goes on is not told twice");

    let told = explained(&job.file(), "all:numbers-1-0");
    let made_by = &told["records"][0]["made_by"];
    assert_eq!((&made_by["is_sure"], &made_by["generations"][0]["from_offset"]), (&true.into(), &0.into()), "{told:#}");
    assert_eq!(made_by["generations"][0]["now"], "another component", "{told:#}");
    assert_eq!(made_by["generations"].as_array().map(Vec::len), Some(1), "{told:#}");
    let last = made(&job).into_iter().filter(|(partition, _, _)| *partition == 1).map(|(_, offset, _)| offset).max();
    let text = explain(&job.file(), &format!("all:numbers-1-{}", last.expect("there are some")), &[]);
    assert!(text.contains("it was given to:") && text.contains("the same"), "{text}");

    // The index counts the versions of what is created: they tell nothing.
    let told = explained(&job.file(), "made/made:numbers-1-0");
    let (found, made_by) = (&told["found"][0], &told["records"][0]["made_by"]);
    assert_eq!((&found["version_of"], &found["offset"]), (&"index".into(), &Value::Null), "{told:#}");
    assert_eq!((&made_by["is_sure"], &made_by["generations"][0]["generation"]), (&true.into(), &1.into()), "{told:#}");

    // A window over all of it names all that it came through, and what merged it.
    let window = job.index.documents("tallies").remove(0);
    let told = explained(&job.file(), &window.id);
    let made_by = told["window"]["made_by"].as_array().expect("a list");
    let partitions: BTreeSet<&str> = made_by.iter().filter_map(|it| it["partition"].as_str()).collect();
    assert_eq!(partitions.len(), PARTITIONS as usize, "{told:#}");
    let generations = |of: &Value| of["generations"].as_array().expect("a list").len();
    let merging = &told["window"]["merged_by"];
    assert!(merging["partition"].as_str().is_some_and(|it| it.starts_with("numbers-job.parts-")), "{told:#}");
    assert_eq!((&merging["generations"][0]["plugin"], generations(merging)), (&"tallies.aggregate".into(), 1));
    assert!(made_by.iter().any(|it| generations(it) > 2), "{told:#}");
    let text = explain(&job.file(), &window.id, &[]);
    assert!(text.contains("its records were given to:") && text.contains("it was merged by:"), "{text}");
}

#[test]
fn after_a_kill_each_document_is_of_one_of_those_that_may_have_read_it() {
    let job = Numbers::new("generations-killed");
    let log = job.folder.join("log");
    let (mut produced, mut hashes) = (0, Vec::new());
    for round in 0..4 {
        let name = format!("round-{round}");
        hashes.push((name.clone(), hash_of_mark(&job, &name)));
        let program = Program::run(&job.file(), &log);
        // Windows of a minute hold the position, but the text beside it tells all.
        wait_for("what serves to be told", LIMIT, || {
            let positions = job.kafka.positions(job.group(), &job.topic, PARTITIONS);
            let known = positions.iter().filter_map(|(_, _, _, metadata)| Known::of(metadata));
            let latest = |known: Known| {
                let all = known.generations.makers_between(Some(Revision(0)), Offset(0), Offset(i64::MAX)).served;
                all.last().is_some_and(|last| last.by[0].settings == hashes[round].1)
            };
            (known.filter(|known| latest(known.clone())).count() == PARTITIONS as usize).then_some(())
        });
        job.produce(produced..produced + 9000);
        produced += 9000;
        // It is killed while it works, but in the last round.
        job.wait_for_documents(produced as usize - if round < 3 { 4000 } else { 0 });
        match round {
            3 => assert!(program.terminate().success()),
            _ => program.kill(),
        }
    }
    let served = served(&job);
    let documents = made(&job);
    assert_eq!(documents.len(), produced as usize);
    let mut marks = BTreeSet::new();
    for (partition, offset, mark) in documents {
        let makers = served[partition].makers(Some(Revision(0)), offset, MadeOf::Record);
        let hash = hashes.iter().find(|(name, _)| *name == mark).map(|(_, hash)| *hash);
        let is_its = makers.served.iter().any(|one| Some(one.by[0].settings) == hash);
        assert!(makers.is_complete && is_its, "numbers-{partition}-{offset} has {mark}: {makers:?}");
        marks.insert(mark);
    }
    assert!(marks.len() > 2, "{marks:?}");
}
