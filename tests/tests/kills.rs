//! Two instances of the click-stream example with checkpoints, on a real Kafka and a real Elasticsearch: they are killed, and stopped
//! for so long that their partitions go to the other, while records come. The index equals a plain fold of the input.
//! `KILLS=200` kills more often; `SEED=7` chooses another schedule.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use tidegate_tests::job::{Job, LIMIT};
use tidegate_tests::program::Program;
use tidegate_tests::wait_for;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// The claims and checkpoints below a folder, by their paths.
fn objects(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.append(&mut objects(&path)),
            path => drop(found.insert(path)),
        }
    }
    found
}

/// Waits for a checkpoint that is not among those before.
fn wait_for_checkpoint(store: &Path, before: &BTreeSet<PathBuf>, programs: &mut [Program]) {
    wait_for("a checkpoint", LIMIT, || {
        programs.iter_mut().for_each(Program::assert_running);
        let is_new = |path: &PathBuf| !path.ends_with("claim") && !before.contains(path);
        objects(store).iter().any(is_new).then_some(())
    });
}

/// How often a program was given partitions.
fn assignments(program: &Program) -> usize {
    let given = |line: &&str| line.contains("partitions were assigned") && !line.contains("added=0");
    program.all_log().lines().filter(given).count()
}

/// Whether a program has partitions, by its last word about them.
fn has_partitions(program: &Program) -> bool {
    let log = program.all_log();
    let last = log.lines().rfind(|line| line.contains("partitions were")).unwrap_or("partitions=0");
    !last.ends_with("partitions=0") && !last.contains(" partitions=0 ")
}

#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test and make soak"]
fn kills_and_zombies_do_not_show() {
    let (kills, seed) = (number("KILLS", 10), number("SEED", 4));
    let job = Job::new(&format!("kills-{seed}"), seed);
    let store = job.folder.join("checkpoints");
    let _ = fs::remove_dir_all(&store);
    fs::create_dir_all(&store).expect("the scratch folder is writable");
    let text = fs::read_to_string(&job.pipeline).expect("it was written");
    // A member that is dead is missed after six seconds, the shortest time that brokers allow.
    let group = "librdkafka = { \"session.timeout.ms\" = \"6000\" }\n";
    let text = text.replacen("[source.kafka]\n", &format!("[source.kafka]\n{group}"), 1);
    let checkpoint = format!("\n[checkpoint]\nlocations = [\"file://{}\"]\nevery = \"1s\"\n", store.display());
    fs::write(&job.pipeline, text + &checkpoint).expect("the scratch folder is writable");

    let mut rng = Rng::with_seed(seed);
    let mut started = 0;
    let mut start = || {
        started += 1;
        job.start_as(&format!("run-{started}"))
    };
    let mut programs = vec![start(), start()];
    let mut pieces = job.records.chunks(job.records.len().div_ceil(kills as usize + 1));
    for kill in 0..kills {
        let before = objects(&store);
        job.produce(pieces.next().expect("there is a piece for each kill"));
        wait_for_checkpoint(&store, &before, &mut programs);
        let mut struck = programs.swap_remove(rng.usize(..programs.len()));
        println!("kill {kill}, {} objects in the store", objects(&store).len());
        if rng.u8(..4) > 0 {
            struck.kill();
            programs.push(start());
            continue;
        }
        let (has_partitions, before) = (has_partitions(&struck), programs.iter().map(assignments).sum::<usize>());
        struck.pause();
        if has_partitions {
            wait_for("its partitions to be given to the other", LIMIT, || {
                programs.iter_mut().for_each(Program::assert_running);
                (programs.iter().map(assignments).sum::<usize>() > before).then_some(())
            });
        }
        struck.resume();
        programs.push(struck);
    }
    pieces.for_each(|piece| job.produce(piece));
    let mut last = programs.pop().expect("there are two");
    job.wait_until_as_expected(&mut last);
    programs.push(last);
    for program in programs {
        assert_eq!(program.terminate().code(), Some(0), "SIGTERM is a clean end");
    }
    assert_eq!(job.differences(), Vec::<String>::new(), "after the end");
    let logs =
        (1..=started).map(|run| fs::read_to_string(job.folder.join(format!("run-{run}.log"))).unwrap_or_default());
    assert!(logs.filter(|log| log.contains("goes on with a checkpoint")).count() > 1, "checkpoints were not used");
}
