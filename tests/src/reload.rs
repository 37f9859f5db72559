//! A pipeline of numbers, on stand-ins, whose components and settings change while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate::config::PipelineSettings;
use tidegate::pipeline::{self, Handle, Origin, PipelineError, PlaceStatus, RunOptions, Stage};
use tidegate::sink::stand_in::StandInIndex;
use tidegate::source::StandInBroker;
use tokio::runtime::Runtime;

use crate::kafka::{Kafka, Record};
use crate::wait_for;
use crate::workspace::{root, scratch};

pub const PARTITIONS: i32 = 3;
pub const LIMIT: Duration = Duration::from_secs(120);
/// Groups of the windows.
pub const GROUPS: i64 = 16;
/// All groups together.
pub const NUMBERS_PER_WINDOW: i64 = RECORDS_PER_SECOND * 60;
/// Records a second of event time: a window of a minute holds 60,000.
const RECORDS_PER_SECOND: i64 = 1000;
/// Of the first one.
const FIRST_MILLIS: i64 = 1_740_830_400_000;

/// The broker, the index, the folder of the pipeline file and its components.
pub struct Numbers {
    /// Of the pipeline.
    pub name: String,
    pub topic: String,
    pub brokers: String,
    pub kafka: Kafka,
    pub folder: PathBuf,
    pub index: StandInIndex,
    _broker: Option<StandInBroker>,
    _runtime: Runtime,
}

/// What the pipeline file says of its two plugins.
#[derive(Clone, Copy)]
pub struct Plugins<'a> {
    pub mark: &'a str,
    pub tally: &'a str,
    /// Whether there is a document for each number, beside the windows.
    pub documents: bool,
    /// More lines at its end.
    pub more: &'a str,
}

impl Default for Plugins<'_> {
    fn default() -> Self {
        Plugins { mark: r#"settings = { mark = "one" }"#, tally: "", documents: true, more: "" }
    }
}

impl Numbers {
    pub fn new(test: &str) -> Numbers {
        let topics = [("numbers", PARTITIONS), ("numbers-job.dead-letters", 1), ("numbers-job.parts", PARTITIONS)];
        let broker = StandInBroker::start(&topics).expect("the stand-in broker starts");
        let brokers = broker.bootstrap();
        Numbers::with(test, "numbers".to_owned(), brokers, Some(broker))
    }

    /// On a Kafka that runs, with topics of its own.
    pub fn on(brokers: &str, test: &str) -> Numbers {
        let topic = format!("numbers-{test}-{}", std::process::id());
        let job = Numbers::with(test, topic, brokers.to_owned(), None);
        job.kafka.create_topic(&job.topic, PARTITIONS);
        job.kafka.create_topic(&job.dead_letter_topic(), 1);
        job
    }

    fn with(test: &str, topic: String, brokers: String, broker: Option<StandInBroker>) -> Numbers {
        let runtime = Runtime::new().expect("a runtime can be built");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let index = runtime.block_on(StandInIndex::start(address)).expect("the stand-in index starts");
        let folder = scratch(&format!("reload-{test}"));
        fs::create_dir(folder.join("plugins")).expect("the scratch folder is writable");
        let (name, kafka) = (format!("{topic}-job"), Kafka::new(&brokers));
        let job = Numbers { name, topic, brokers, kafka, folder, index, _broker: broker, _runtime: runtime };
        for name in ["mark", "tally"] {
            fs::copy(guest(name), job.plugin(name)).expect("the guests are built");
        }
        job.write(Plugins::default());
        job
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join("pipeline.toml")
    }

    /// The pipeline file and its components once more, in a folder of their own: another instance of the pipeline.
    pub fn second_file(&self) -> PathBuf {
        let folder = self.folder.join("second");
        fs::create_dir_all(folder.join("plugins")).expect("the scratch folder is writable");
        for file in ["pipeline.toml", "plugins/mark.wasm", "plugins/tally.wasm"] {
            fs::copy(self.folder.join(file), folder.join(file)).expect("it is copied");
        }
        folder.join("pipeline.toml")
    }

    /// The consumer group.
    pub fn group(&self) -> &str {
        &self.name
    }

    pub fn plugin(&self, name: &str) -> PathBuf {
        self.folder.join("plugins").join(format!("{name}.wasm"))
    }

    /// Puts a pipeline file in its place, whole.
    pub fn write(&self, plugins: Plugins<'_>) {
        let Plugins { mark, tally, documents, more } = plugins;
        let documents = if documents { "[[output]]\nname = \"all\"\nindex = \"all\"" } else { "" };
        let Numbers { name, topic, brokers, .. } = self;
        let url = self.index.url();
        let text = format!(
            r#"
            name = "{name}"
            plugins = "plugins"
            [source.kafka]
            brokers = "{brokers}"
            topics = ["{topic}"]
            librdkafka = {{ "session.timeout.ms" = "6000" }}
            [source.decode]
            event_time = "time"
            [watermark]
            out_of_order = "1s"
            idle_after = "1h"
            max_future = "366d"
            [limits]
            workers = 2
            [[transform]]
            plugin = "mark.wasm"
            {mark}
            [sink.elasticsearch]
            urls = ["{url}"]
            bulk_age_max = "10ms"
            {documents}
            [[output]]
            name = "tallies"
            index = "tallies"
            [output.aggregate]
            plugin = "tally.wasm"
            group_by = ["g"]
            window = {{ tumbling = "1m" }}
            {tally}
            {more}
            "#
        );
        self.put(&self.file(), text.as_bytes());
    }

    /// Puts a file in its place, whole.
    pub fn put(&self, file: &Path, bytes: &[u8]) {
        let other = file.with_extension("new");
        fs::write(&other, bytes).expect("the scratch folder is writable");
        fs::rename(&other, file).expect("it is renamed");
    }

    /// Numbers of one partition each, in order, with a time that goes by them.
    pub fn produce(&self, numbers: std::ops::Range<i64>) {
        let records: Vec<Record> = numbers.map(record).collect();
        self.kafka.produce(&self.topic, &records);
    }

    /// Lets time pass for all partitions, so that the windows of all numbers up to `n` close.
    pub fn pass_time(&self, n: i64) {
        let minutes = n / (RECORDS_PER_SECOND * 60) + 3;
        self.produce_at(minutes * RECORDS_PER_SECOND * 60);
    }

    fn produce_at(&self, n: i64) {
        let n = n - n % i64::from(PARTITIONS);
        self.produce(n..n + i64::from(PARTITIONS));
    }

    /// The documents of an index.
    pub fn documents(&self, index: &str) -> Vec<Value> {
        let documents = self.index.documents(index);
        documents.iter().map(|one| serde_json::from_slice(&one.source).expect("a document is JSON")).collect()
    }

    /// What each window and group has counted.
    pub fn tallies(&self) -> BTreeMap<(String, String), i64> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let documents = self.documents("tallies");
        let read =
            |one: &Value| ((text(&one["window_start"]), text(&one["g"])), one["records"].as_i64().expect("a count"));
        documents.iter().map(read).collect()
    }

    pub fn document_count(&self) -> usize {
        self.index.documents("all").len()
    }

    /// The mark of each number.
    pub fn marks(&self) -> BTreeMap<i64, String> {
        let read = |document: &Value| {
            (document["n"].as_i64().expect("a number"), document["mark"].as_str().unwrap_or_default().to_owned())
        };
        self.documents("all").iter().map(read).collect()
    }

    fn dead_letter_topic(&self) -> String {
        format!("{}.dead-letters", self.name)
    }

    pub fn dead_letters(&self) -> usize {
        self.letters().len()
    }

    pub fn letters(&self) -> Vec<Record> {
        self.kafka.read_all(&self.dead_letter_topic())
    }

    /// Puts the pipeline file in its place with something else for a piece of it.
    pub fn rewrite(&self, piece: &str, with: &str) {
        let text = fs::read_to_string(self.file()).expect("it was written");
        assert!(text.contains(piece), "{piece} is in {text}");
        self.put(&self.file(), text.replacen(piece, with, 1).as_bytes());
    }

    /// The first ten numbers, which are produced now, get this mark.
    pub fn check_mark(&self, mark: &str) {
        self.produce(0..10);
        self.wait_for_documents(10);
        let marks = self.marks();
        assert!(marks.values().all(|one| one == mark), "{marks:?}");
    }

    /// Puts the pipeline file in its place with the transform of this mark in an output.
    pub fn move_into_output(&self, mark: &str, output: &str) {
        let transform = format!("plugin = \"mark.wasm\"\n            settings = {{ mark = \"{mark}\" }}");
        let (shared, index) = (format!("[[transform]]\n            {transform}"), format!("index = \"{output}\""));
        let text = fs::read_to_string(self.file()).expect("it was written");
        assert!(text.contains(&shared) && text.contains(&index), "{text}");
        let moved = format!("{index}\n[[output.transform]]\n{transform}");
        self.put(&self.file(), text.replace(&shared, "").replace(&index, &moved).as_bytes());
    }

    /// Those that are dead letters, once each.
    pub fn given_up(&self) -> BTreeSet<i64> {
        let number = |letter: Record| {
            let value: Value = serde_json::from_slice(&letter.value?).ok()?;
            value["n"].as_i64()
        };
        self.kafka.read_all(&self.dead_letter_topic()).into_iter().filter_map(number).collect()
    }

    pub fn wait_for_documents(&self, count: usize) {
        wait_for(&format!("{count} documents"), LIMIT, || (self.document_count() >= count).then_some(()));
    }

    pub fn start(&self) -> Running {
        Running::of(self.file())
    }
}

fn record(n: i64) -> Record {
    let (partition, timestamp_millis, value) = number(n);
    Record { partition, timestamp_millis, value: Some(value.into_bytes()), ..Record::default() }
}

/// The record of a number: its partition, its time in milliseconds, its value.
pub fn number(n: i64) -> (i32, i64, String) {
    let millis = FIRST_MILLIS + n * 1000 / RECORDS_PER_SECOND;
    let value = format!(r#"{{"n":{n},"time":{millis},"g":"g{}"}}"#, n % GROUPS);
    (i32::try_from(n % i64::from(PARTITIONS)).expect("few"), millis, value)
}

/// A guest as a component.
pub fn guest(name: &str) -> PathBuf {
    built("guests", name)
}

/// The next version of one.
pub fn next_guest(name: &str) -> PathBuf {
    built("guests-next", name)
}

fn built(folder: &str, name: &str) -> PathBuf {
    let path = root().join("target").join(folder).join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing; `make components` builds it", path.display());
    path
}

/// The same component with other bytes.
pub fn touched(component: &Path, number: u64) -> Vec<u8> {
    let mut bytes = fs::read(component).expect("it is built");
    // A custom section: an id, a length, the length of its name, its name, its content.
    bytes.extend([0, 10, 1, b'n']);
    bytes.extend(number.to_le_bytes());
    bytes
}

/// A pipeline in this process.
pub struct Running {
    pub handle: Handle,
    runtime: Runtime,
    thread: Option<JoinHandle<Result<(), PipelineError>>>,
}

impl Running {
    /// The pipeline of a file, when it runs.
    pub fn of(file: PathBuf) -> Running {
        let running = Running::begin(file);
        assert!(running.handle.wait_running(Instant::now() + LIMIT), "it does not start");
        running
    }

    /// The pipeline of a file, which starts.
    pub fn begin(file: PathBuf) -> Running {
        Running::begin_so(file, || ())
    }

    /// The same; this is done whenever the file is loaded.
    pub fn begin_so(file: PathBuf, whenever: impl Fn() + Send + Sync + 'static) -> Running {
        Running::run(file, whenever, RunOptions::default().probation)
    }

    /// The pipeline of a file, when it runs. A plan is on probation until it has judged records enough, however late they come.
    pub fn patient(file: PathBuf) -> Running {
        let running = Running::run(file, || (), 2 * LIMIT);
        assert!(running.handle.wait_running(Instant::now() + LIMIT), "it does not start");
        running
    }

    fn run(file: PathBuf, whenever: impl Fn() + Send + Sync + 'static, probation: Duration) -> Running {
        let its = file.clone();
        let cache =
            std::env::var("TIDEGATE_CACHE").unwrap_or_else(|_| file.with_file_name("code").display().to_string());
        let environment = move |name: &str| (name == "TIDEGATE_CACHE").then(|| cache.clone());
        let load = move || {
            whenever();
            PipelineSettings::load(&its, &environment, None)
        };
        let settings = load().unwrap_or_else(|errors| panic!("{errors}"));
        let origin = Arc::new(Origin { file, load: Box::new(load) });
        let options = RunOptions { origin: Some(origin), probation, ..RunOptions::default() };
        let handle = Handle::new();
        let its = handle.clone();
        let thread = thread::spawn(move || pipeline::run(&settings, &options, &its));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it can be built");
        Running { handle, runtime, thread: Some(thread) }
    }

    pub fn place(&self, name: &str) -> PlaceStatus {
        let status = self.handle.snapshot().reload;
        status.places.into_iter().find(|place| place.name == name).expect("there is such a place")
    }

    /// Waits until this generation of a place serves.
    pub fn wait_settled(&self, name: &str, number: u64) {
        wait_for(&format!("generation {number} of {name}: {:?}", self.place(name)), LIMIT, || {
            (self.place(name).serving.number == number).then_some(())
        });
    }

    /// Waits until the candidate of a place is at this stage; why.
    pub fn wait_candidate(&self, name: &str, number: u64, stage: Stage) -> String {
        wait_for(&format!("generation {number} of {name} to be {}", stage.name()), LIMIT, || {
            let candidate = self.place(name).candidate?;
            (candidate.number == number && candidate.stage == stage).then(|| candidate.why.unwrap_or_default())
        })
    }

    pub fn reload(&self) -> Result<String, String> {
        self.runtime.block_on(self.handle.reload())
    }

    pub fn roll_back(&self, name: &str) -> Result<String, String> {
        self.runtime.block_on(self.handle.roll_back(name.to_owned()))
    }

    pub fn drain(self) {
        self.handle.stop();
        self.ended().expect("it drains");
    }

    /// Waits until it ends.
    pub fn ended(mut self) -> Result<(), PipelineError> {
        let thread = self.thread.take().expect("it ends once");
        thread.join().expect("it does not panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
    }
}
