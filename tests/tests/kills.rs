//! Two to three instances of the click-stream example with checkpoints, on a real Kafka and a real Elasticsearch, while records come: they
//! are killed, stopped for so long that their partitions go to others, they leave and join; the broker is killed and restarted, and
//! the store of the checkpoints is away for a while. The index equals a plain fold of the input, and every record that is no part
//! of a window is a dead letter. No instance has more memory than its budget and a little.
//! `SEED=7` chooses another schedule, `KILLS=200` a longer one, `EVENTS=2000000` more records, `STORE=s3` or `file` the store.

use std::collections::BTreeSet;
use std::fs;

use fastrand::Rng;
use tidegate::checkpoint::{SlotId, Store};
use tidegate_tests::job::{Job, LIMIT, PARTITIONS};
use tidegate_tests::program::Program;
use tidegate_tests::servers::{S3, Server};
use tidegate_tests::wait_for;

const KAFKA: Server = Server("kafka");

/// What happens to the whole between two pieces of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Strike {
    /// An instance is killed, and another one started.
    Kill,
    /// An instance does nothing for so long that its partitions go to others, and then goes on as if it had them.
    Pause,
    /// An instance is asked to end.
    Leave,
    /// One more instance.
    Join,
    /// The broker is killed, and started again.
    BrokerCrash,
    /// The broker is asked to end, and started again.
    BrokerRestart,
    /// The store is away until a checkpoint could not be kept.
    StoreOutage,
}

/// So often each happens in ten; their order is the seed's.
const DECK: [Strike; 10] = [
    Strike::Kill,
    Strike::Kill,
    Strike::Kill,
    Strike::Pause,
    Strike::Pause,
    Strike::Leave,
    Strike::Join,
    Strike::BrokerCrash,
    Strike::BrokerRestart,
    Strike::StoreOutage,
];
/// The least that may be said.
const MEMORY_MIB: u64 = 64;
const INSTANCES_MIN: usize = 2;
const INSTANCES_MAX: usize = 3;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Where the checkpoints are, and how to take it away.
enum Place {
    S3,
    Folder(std::path::PathBuf),
}

impl Place {
    /// Both have their turn, where nothing is said.
    fn of(job: &Job, seed: u64) -> Place {
        let otherwise = if seed.is_multiple_of(2) { "s3" } else { "file" };
        match std::env::var("STORE").as_deref().unwrap_or(otherwise) {
            "s3" => Place::S3,
            "file" => Place::Folder(job.folder.join("checkpoints")),
            other => panic!("STORE is s3 or file, not {other}"),
        }
    }

    fn location(&self, job: &Job) -> String {
        match self {
            Place::S3 => format!("{}/{}", S3::get().bucket, job.name),
            Place::Folder(folder) => format!("file://{}", folder.display()),
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        match self {
            Place::S3 => S3::get().environment(),
            Place::Folder(_) => Vec::new(),
        }
    }

    fn take_away(&self) {
        match self {
            Place::S3 => Server("s3").kill(),
            Place::Folder(folder) => {
                fs::rename(folder, folder.with_extension("away")).expect("it is ours");
                fs::write(folder, "no directory").expect("the scratch folder is writable");
            }
        }
    }

    fn bring_back(&self) {
        match self {
            Place::S3 => Server("s3").start(),
            Place::Folder(folder) => {
                fs::remove_file(folder).expect("it is ours");
                fs::rename(folder.with_extension("away"), folder).expect("it is ours");
            }
        }
    }
}

/// The instances that run, and what they work on.
struct Site {
    job: Job,
    place: Place,
    store: Store,
    runtime: tokio::runtime::Runtime,
    programs: Vec<Program>,
    started: usize,
    /// The most that any has had.
    peak_mib: u64,
    rng: Rng,
}

impl Site {
    fn new(seed: u64, events: u64) -> Site {
        let mut job = Job::of(&format!("kills-{seed}"), seed, events);
        let place = Place::of(&job, seed);
        job.environment = place.environment();
        let location = place.location(&job);
        let text = fs::read_to_string(&job.pipeline).expect("it was written");
        // A member that is dead is missed after six seconds, the shortest time that brokers allow.
        let group = "librdkafka = { \"session.timeout.ms\" = \"6000\" }\n";
        let text = text.replacen("[source.kafka]\n", &format!("[source.kafka]\n{group}"), 1);
        fs::write(&job.pipeline, text).expect("the scratch folder is writable");
        job.append(&format!("[checkpoint]\nlocations = [\"{location}\"]\nevery = \"1s\"\n"));
        job.append(&format!("[limits]\nmemory = \"{MEMORY_MIB}MiB\"\n"));
        if let Place::Folder(folder) = &place {
            fs::create_dir_all(folder).expect("the scratch folder is writable");
        }
        Site {
            store: Store::open(&location, &job.environment).expect("it opens"),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts"),
            job,
            place,
            programs: Vec::new(),
            started: 0,
            peak_mib: 0,
            rng: Rng::with_seed(seed),
        }
    }

    fn start(&mut self) {
        self.started += 1;
        self.programs.push(self.job.start_as(&format!("run-{}", self.started)));
    }

    fn any(&mut self) -> Program {
        let which = self.rng.usize(..self.programs.len());
        self.programs.swap_remove(which)
    }

    /// Waits for something, as long as all instances run.
    fn wait<T>(&mut self, what: &str, mut ask: impl FnMut(&Site) -> Option<T>) -> T {
        wait_for(what, LIMIT, || {
            self.programs.iter_mut().for_each(Program::assert_running);
            ask(self)
        })
    }

    fn checkpoints(&self) -> BTreeSet<(String, SlotId)> {
        let listed = self.runtime.block_on(self.store.partitions(&self.job.name.as_str().into())).expect("it answers");
        let slots = listed.iter().flat_map(|(place, kept)| kept.iter().map(|one| (place.to_string(), one.slot)));
        slots.collect()
    }

    /// No instance that runs has had more memory than it may.
    fn check_memory(&mut self) {
        for program in &self.programs {
            self.peak_mib = self.peak_mib.max(program.assert_within_memory(MEMORY_MIB));
        }
    }

    /// In how many lines of their logs it says so.
    fn told(&self, what: impl Fn(&str) -> bool) -> usize {
        self.programs.iter().map(|program| program.all_log().lines().filter(|line| what(line)).count()).sum()
    }

    fn strike(&mut self, strike: Strike) {
        match strike {
            Strike::Kill => {
                self.any().kill();
                self.start();
            }
            Strike::Pause => {
                let mut struck = self.any();
                struck.pause();
                self.wait("its partitions to be given to others", |site| {
                    (site.programs.iter().map(partitions).sum::<usize>() == 2 * PARTITIONS as usize).then_some(())
                });
                struck.resume();
                self.programs.push(struck);
            }
            Strike::Leave => {
                self.leave();
                if self.programs.len() < INSTANCES_MIN {
                    self.start();
                }
            }
            Strike::Join => {
                if self.programs.len() == INSTANCES_MAX {
                    self.leave();
                }
                self.start();
            }
            Strike::BrokerCrash => {
                KAFKA.kill();
                KAFKA.start();
            }
            Strike::BrokerRestart => {
                KAFKA.stop();
                KAFKA.start();
            }
            Strike::StoreOutage => self.place.bring_back(),
        }
    }

    fn leave(&mut self) {
        assert_eq!(self.any().terminate().code(), Some(0), "SIGTERM is a clean end");
    }
}

fn has_begun(program: &Program) -> bool {
    program.all_log().contains("partitions were assigned")
}

fn is_failure(line: &str) -> bool {
    line.contains("a checkpoint was not kept") || line.contains("the partition waits for its checkpoint")
}

/// How many partitions a program has, those of the parts topic among them, by its last word about them.
fn partitions(program: &Program) -> usize {
    let log = program.all_log();
    let last = log.lines().rfind(|line| line.contains("partitions were"));
    let count = last.and_then(|line| line.split_once(" partitions=")?.1.split(' ').next()?.parse().ok());
    count.unwrap_or_default()
}

#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test and make soak"]
fn kills_and_outages_do_not_show() {
    let (kills, seed, events) = (number("KILLS", 10), number("SEED", 4), number("EVENTS", 200_000));
    let mut site = Site::new(seed, events);
    println!("seed {seed}, {kills} strikes, {events} events, checkpoints in {}", site.place.location(&site.job));
    for _ in 0..INSTANCES_MIN {
        site.start();
    }
    let records = std::mem::take(&mut site.job.records);
    let mut pieces = records.chunks(records.len().div_ceil(kills as usize + 1));
    let mut deck = Vec::new();
    for kill in 1..=kills {
        if deck.is_empty() {
            deck = DECK.to_vec();
            site.rng.shuffle(&mut deck);
        }
        let strike = deck.pop().expect("it is full");
        // One that starts while a server is away ends, and says so.
        site.wait("all to have their places", |site| site.programs.iter().all(has_begun).then_some(()));
        let before = site.checkpoints();
        println!("{kill}: {strike:?}, {} instances, {} checkpoints", site.programs.len(), before.len());
        let piece = pieces.next().expect("there is a piece for each");
        if strike == Strike::StoreOutage {
            let failures = site.told(is_failure);
            site.place.take_away();
            site.job.produce(piece);
            site.wait("a checkpoint that cannot be kept", |site| (site.told(is_failure) > failures).then_some(()));
        } else {
            site.job.produce(piece);
            site.wait("a checkpoint", |site| (!site.checkpoints().is_subset(&before)).then_some(()));
        }
        site.check_memory();
        site.strike(strike);
    }
    pieces.for_each(|piece| site.job.produce(piece));
    let mut last = site.programs.pop().expect("there are two");
    site.job.wait_until_as_expected(&mut last);
    site.programs.push(last);
    site.check_memory();
    for program in site.programs {
        assert_eq!(program.terminate().code(), Some(0), "SIGTERM is a clean end");
    }
    assert_eq!(site.job.differences(), Vec::<String>::new(), "after the end");
    let log = |run| fs::read_to_string(site.job.folder.join(format!("run-{run}.log"))).unwrap_or_default();
    let used = (1..=site.started).filter(|run| log(*run).contains("goes on with a checkpoint")).count();
    assert!(used > 1, "checkpoints were not used");
    let expected = &site.job.expected;
    let (documents, dead_letters) = (expected.documents.len(), expected.dead_letters.len());
    println!(
        "{events} records: the index has the {documents} documents of the fold, and {dead_letters} dead letters are there; \
         at most {} MiB were resident, of a budget of {MEMORY_MIB}",
        site.peak_mib
    );
}
