//! The click-stream example on real servers: topics, group and index of its own, its input, and what is to come of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::clicks::Clicks;
use crate::fold::{Expected, Window, fold, window_of};
use crate::index::Index;
use crate::kafka::{Kafka, Record};
use crate::program::{Program, components};
use crate::servers::Servers;
use crate::wait_for;
use crate::workspace::{root, scratch};

pub const PARTITIONS: i32 = 4;
/// What most tests are content with.
const RECORDS: u64 = 200_000;
/// Far above what a slow machine needs.
pub const LIMIT: Duration = Duration::from_secs(240);
/// When nothing has changed for so long, nothing will.
const STANDSTILL: Duration = Duration::from_secs(90);

/// The example with topics, group and index of its own, and its input.
pub struct Job {
    /// Of the pipeline.
    pub name: String,
    topic: String,
    dead_letters: String,
    pub pipeline: PathBuf,
    /// Of this test alone.
    pub folder: PathBuf,
    kafka: Kafka,
    index: Index,
    pub records: Vec<Record>,
    pub expected: Expected,
    /// Variables that its programs find.
    pub environment: Vec<(String, String)>,
}

impl Job {
    pub fn new(test: &str, seed: u64) -> Job {
        Job::of(test, seed, RECORDS)
    }

    /// With so many records, a multiple of its partitions.
    pub fn of(test: &str, seed: u64, records: u64) -> Job {
        let servers = Servers::get();
        // A second run on servers that were left running begins afresh.
        let name = format!("{test}-{}", std::process::id());
        let (topic, dead_letters) = (format!("events-{name}"), format!("{name}.dead-letters"));
        let (kafka, index) = (servers.kafka(), servers.index(&format!("event-counts-{name}")));
        kafka.create_topic(&topic, PARTITIONS);
        kafka.create_topic(&dead_letters, 1);
        let example = root().join("examples/clickstream");
        let template = fs::read_to_string(example.join("index-template.json")).expect("the example has it");
        index.put_template("event-counts", &template);

        let folder = scratch(&format!("servers-{test}"));
        let pipeline = folder.join("pipeline.toml");
        let text = fs::read_to_string(example.join("pipeline.toml")).expect("the example has it");
        fs::write(&pipeline, patched(&text, &name, servers)).expect("the scratch folder is writable");

        let clicks = Clicks {
            seed,
            partitions: PARTITIONS,
            records_per_partition: (records / PARTITIONS as u64) as usize,
            start_millis: 1_740_830_400_000,
            span_millis: 2 * 60 * 60 * 1000,
        };
        let count = records;
        let records = clicks.generate();
        let expected = fold(&topic, PARTITIONS, &records);
        assert_eq!((expected.records(), expected.open), (count, 0), "the oracle accounts for all records");
        Job { name, topic, dead_letters, pipeline, folder, kafka, index, records, expected, environment: Vec::new() }
    }

    pub fn start(&self) -> Program {
        self.start_as("run")
    }

    /// Another instance; its log has this name.
    pub fn start_as(&self, name: &str) -> Program {
        Program::run_with(&self.pipeline, &self.folder.join(format!("{name}.log")), &self.environment)
    }

    /// More at the end of the pipeline file.
    pub fn append(&self, text: &str) {
        let before = fs::read_to_string(&self.pipeline).expect("it was written");
        fs::write(&self.pipeline, format!("{before}\n{text}")).expect("the scratch folder is writable");
    }

    pub fn produce(&self, records: &[Record]) {
        self.kafka.produce(&self.topic, records);
    }

    pub fn wait_for_documents(&self, program: &mut Program, at_least: u64) {
        wait_for(&format!("{at_least} documents"), LIMIT, || {
            program.assert_running();
            (self.index.count() >= at_least).then_some(())
        });
    }

    /// Waits until the index and the dead letters are as expected; shows what differs when they do not come to be.
    pub fn wait_until_as_expected(&self, program: &mut Program) {
        let (mut seen, mut changed) = ((0, 0), Instant::now());
        let differences = wait_for("a standstill", Duration::MAX, || {
            program.assert_running();
            let now = (self.documents().len(), self.dead_letters().len());
            if now != seen {
                (seen, changed) = (now, Instant::now());
            }
            let differences = self.differences();
            (differences.is_empty() || changed.elapsed() > STANDSTILL).then_some(differences)
        });
        if differences.is_empty() {
            return;
        }
        let shown = differences[..differences.len().min(20)].join("\n");
        panic!("{} differences, {seen:?} documents and dead letters\n{shown}\n{}", differences.len(), program.log());
    }

    fn documents(&self) -> BTreeMap<Window, u64> {
        let mut documents = BTreeMap::new();
        for (id, document) in self.index.documents() {
            let (window, count) = window_of(&document).unwrap_or_else(|error| panic!("{id}: {error}"));
            let before = documents.insert(window, count);
            assert_eq!(before, None, "two documents for one window and type, the second is {id}");
        }
        documents
    }

    /// The reason of each dead letter by origin; one that was written twice counts once, by its identity.
    fn dead_letters(&self) -> BTreeMap<String, String> {
        let mut by_identity = BTreeMap::new();
        for letter in self.kafka.read_all(&self.dead_letters) {
            let header = |name: &str| letter.header(name).unwrap_or_else(|| panic!("no {name}: {letter:?}")).to_owned();
            let told = (header("tidegate-origin"), header("tidegate-reason"));
            let before = by_identity.insert(header("tidegate-identity"), told.clone());
            assert!(before.is_none() || before == Some(told), "one identity, two stories: {letter:?}");
        }
        let count = by_identity.len();
        let by_origin: BTreeMap<_, _> = by_identity.into_values().collect();
        assert_eq!(by_origin.len(), count, "one record is two dead letters");
        by_origin
    }

    pub fn differences(&self) -> Vec<String> {
        let (documents, dead_letters) = (self.documents(), self.dead_letters());
        let expected = self.expected.dead_letters.iter().map(|(origin, reason)| (origin.clone(), (*reason).to_owned()));
        let mut found = compare("document", &self.expected.documents, &documents);
        found.extend(compare("dead letter", &expected.collect(), &dead_letters));
        found
    }
}

fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
) -> Vec<String> {
    let missing = expected.iter().filter(|(key, value)| found.get(key) != Some(value));
    let surplus = found.iter().filter(|(key, _)| !expected.contains_key(key));
    missing
        .map(|(key, value)| format!("{what} {key:?}: expected {value:?}, found {:?}", found.get(key)))
        .chain(surplus.map(|(key, value)| format!("{what} {key:?}: unexpected {value:?}")))
        .collect()
}

fn patched(text: &str, name: &str, servers: &Servers) -> String {
    let components = components();
    let changes = [
        ("\"../../target/plugins\"", format!("{:?}", components.display().to_string())),
        ("name = \"clickstream\"", format!("name = \"{name}\"")),
        ("group = \"clickstream\"", format!("group = \"{name}\"")),
        ("localhost:9092", servers.kafka.clone()),
        ("streaming-events", format!("events-{name}")),
        ("http://localhost:9200", servers.elasticsearch.clone()),
        ("\"event-counts\"", format!("\"event-counts-{name}\"")),
        ("clickstream.dead-letters", format!("{name}.dead-letters")),
    ];
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "the example says {from} once");
        text.replace(from, to)
    })
}
