//! A pipeline of numbers, on stand-ins, whose components and settings change while it runs.

use std::collections::BTreeMap;
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

pub const TOPIC: &str = "numbers";
pub const PARTITIONS: i32 = 3;
pub const LIMIT: Duration = Duration::from_secs(120);
/// Groups of the windows.
pub const GROUPS: i64 = 16;
/// Records a second of event time: a window of a minute holds 60,000.
const RECORDS_PER_SECOND: i64 = 1000;

/// The broker, the index, the folder of the pipeline file and its components.
pub struct Numbers {
    pub kafka: Kafka,
    pub folder: PathBuf,
    index: StandInIndex,
    broker: StandInBroker,
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
        let topics = [(TOPIC, PARTITIONS), ("numbers-job.dead-letters", 1), ("numbers-job.parts", PARTITIONS)];
        let broker = StandInBroker::start(&topics).expect("the stand-in broker starts");
        let runtime = Runtime::new().expect("a runtime can be built");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let index = runtime.block_on(StandInIndex::start(address)).expect("the stand-in index starts");
        let folder = scratch(&format!("reload-{test}"));
        fs::create_dir(folder.join("plugins")).expect("the scratch folder is writable");
        let kafka = Kafka::new(&broker.bootstrap());
        let job = Numbers { kafka, folder, index, broker, _runtime: runtime };
        for name in ["mark", "tally"] {
            fs::copy(guest(name), job.plugin(name)).expect("the guests are built");
        }
        job.write(Plugins::default());
        job
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join("pipeline.toml")
    }

    pub fn plugin(&self, name: &str) -> PathBuf {
        self.folder.join("plugins").join(format!("{name}.wasm"))
    }

    /// Puts a pipeline file in its place, whole.
    pub fn write(&self, plugins: Plugins<'_>) {
        let Plugins { mark, tally, documents, more } = plugins;
        let documents = if documents { "[[output]]\nname = \"all\"\nindex = \"all\"" } else { "" };
        let (brokers, url) = (self.broker.bootstrap(), self.index.url());
        let text = format!(
            r#"
            name = "numbers-job"
            plugins = "plugins"
            [source.kafka]
            brokers = "{brokers}"
            topics = ["{TOPIC}"]
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
        self.kafka.produce(TOPIC, &records);
    }

    /// Lets time pass for all partitions, so that the windows of all numbers up to `n` close.
    pub fn pass_time(&self, n: i64) {
        let minutes = n / (RECORDS_PER_SECOND * 60) + 3;
        self.produce_at(minutes * RECORDS_PER_SECOND * 60);
    }

    pub fn brokers(&self) -> String {
        self.broker.bootstrap()
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

    pub fn dead_letters(&self) -> usize {
        self.kafka.read_all("numbers-job.dead-letters").len()
    }

    pub fn wait_for_documents(&self, count: usize) {
        wait_for(&format!("{count} documents"), LIMIT, || (self.document_count() >= count).then_some(()));
    }

    pub fn start(&self) -> Running {
        Running::of(self.file())
    }
}

fn record(n: i64) -> Record {
    let millis = 1_740_830_400_000 + n * 1000 / RECORDS_PER_SECOND;
    let value = format!(r#"{{"n":{n},"time":{millis},"g":"g{}"}}"#, n % GROUPS);
    Record {
        partition: i32::try_from(n % i64::from(PARTITIONS)).expect("few"),
        timestamp_millis: millis,
        value: Some(value.into_bytes()),
        ..Record::default()
    }
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
pub fn touched(component: &Path, number: u32) -> Vec<u8> {
    let mut bytes = fs::read(component).expect("it is built");
    // A custom section: an id, a length, the length of its name, its name, its content.
    bytes.extend([0, 6, 1, b'n']);
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
        let its = file.clone();
        let load = move || PipelineSettings::load(&its, &|_| None, None);
        let settings = load().unwrap_or_else(|errors| panic!("{errors}"));
        let origin = Arc::new(Origin { file, load: Box::new(load) });
        let options = RunOptions { origin: Some(origin), ..RunOptions::default() };
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

    pub fn drain(mut self) {
        self.handle.stop();
        let thread = self.thread.take().expect("it is drained once");
        thread.join().expect("it does not panic").expect("it drains");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
    }
}
