//! The click-stream example from end to end on stand-ins: a broker and an index inside this process. That proves our own
//! logic, in seconds and without servers, and nothing about Kafka and Elasticsearch: `servers.rs` does that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tidegate::config::PipelineSettings;
use tidegate::console::Console;
use tidegate::pipeline::{self, Handle, PipelineError, RunOptions};
use tidegate::record::{ErrorKind, HasKind};
use tidegate::sink::stand_in::{StandInIndex, StoredDocument};
use tidegate::source::StandInBroker;
use tidegate_tests::clicks::Clicks;
use tidegate_tests::fold::{Expected, Window, fold, window_of};
use tidegate_tests::kafka::{Kafka, Record};
use tidegate_tests::program::{Program, components, get};
use tidegate_tests::wait_for;
use tidegate_tests::workspace::{root, scratch};
use tokio::runtime::Runtime;

const TOPIC: &str = "streaming-events";
const DEAD_LETTERS: &str = "clickstream.dead-letters";
const PARTITIONS: i32 = 3;
/// Far above what a slow machine needs.
const LIMIT: Duration = Duration::from_secs(120);

/// The example, its stand-ins, its input.
struct Job {
    kafka: Kafka,
    /// None while it is away.
    index: Option<Index>,
    pipeline: PathBuf,
    records: Vec<Record>,
    expected: Expected,
    _broker: StandInBroker,
}

/// The stand-in index and the threads of its connections: dropping it cuts them.
struct Index {
    index: StandInIndex,
    runtime: Option<Runtime>,
}

impl Index {
    /// Port 0 takes a free one.
    fn start(port: u16) -> Index {
        let runtime = Runtime::new().expect("a runtime can be built");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let index = runtime.block_on(StandInIndex::start(address)).expect("the stand-in index starts");
        Index { index, runtime: Some(runtime) }
    }

    fn windows(&self) -> BTreeMap<Window, u64> {
        let documents = self.index.documents("event-counts");
        let read = |document: &StoredDocument| {
            let value = serde_json::from_slice(&document.source).expect("a document is JSON");
            window_of(&value).unwrap_or_else(|error| panic!("{}: {error}", document.id))
        };
        let windows: BTreeMap<_, _> = documents.iter().map(read).collect();
        assert_eq!(windows.len(), documents.len(), "two documents for one window and type");
        windows
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // Waits until the connections are cut.
        drop(self.runtime.take());
    }
}

impl Job {
    fn new(test: &str) -> Job {
        let topics = [(TOPIC, PARTITIONS), (DEAD_LETTERS, 1), ("clickstream.parts", PARTITIONS)];
        let broker = StandInBroker::start(&topics).expect("the stand-in broker starts");
        let index = Index::start(0);
        let folder = scratch(&format!("pipeline-{test}"));
        let file = root().join("examples/clickstream/pipeline.toml");
        let pipeline = folder.join("pipeline.toml");
        let text =
            patched(&fs::read_to_string(file).expect("the example has it"), &broker.bootstrap(), &index.index.url());
        fs::write(&pipeline, text).expect("the scratch folder is writable");
        let clicks = Clicks {
            seed: 4,
            partitions: PARTITIONS,
            records_per_partition: 3_000,
            start_millis: 1_740_830_400_000,
            span_millis: 60 * 60 * 1000,
        };
        let records = clicks.generate();
        let expected = fold(TOPIC, PARTITIONS, &records);
        assert_eq!(
            (expected.records(), expected.open),
            (records.len() as u64, 0),
            "the oracle accounts for all records"
        );
        let kafka = Kafka::new(&broker.bootstrap());
        Job { kafka, index: Some(index), pipeline, records, expected, _broker: broker }
    }

    fn documents(&self) -> BTreeMap<Window, u64> {
        self.index.as_ref().map_or_else(BTreeMap::new, Index::windows)
    }

    /// The reason of each dead letter by origin; one that was written twice counts once, by its identity.
    fn dead_letters(&self) -> BTreeMap<String, String> {
        let mut by_identity = BTreeMap::new();
        for letter in self.kafka.read_all(DEAD_LETTERS) {
            let header = |name: &str| letter.header(name).unwrap_or_else(|| panic!("no {name}: {letter:?}")).to_owned();
            by_identity.insert(header("tidegate-identity"), (header("tidegate-origin"), header("tidegate-reason")));
        }
        by_identity.into_values().collect()
    }

    fn expected_dead_letters(&self) -> BTreeMap<String, String> {
        let expected = self.expected.dead_letters.iter();
        expected.map(|(origin, reason)| (origin.clone(), (*reason).to_owned())).collect()
    }

    fn wait_for_documents(&self, count: usize) {
        wait_for(&format!("{count} documents"), LIMIT, || (self.documents().len() >= count).then_some(()));
    }

    fn assert_as_expected(&self) {
        assert_eq!(differences(&self.expected.documents, &self.documents()), Vec::<String>::new());
        assert_eq!(differences(&self.expected_dead_letters(), &self.dead_letters()), Vec::<String>::new());
    }
}

fn differences<K: Ord + Debug, V: PartialEq + Debug>(expected: &BTreeMap<K, V>, found: &BTreeMap<K, V>) -> Vec<String> {
    let keys: BTreeSet<&K> = expected.keys().chain(found.keys()).collect();
    let (expected, found) = (|key: &K| expected.get(key), |key: &K| found.get(key));
    let differ = keys.into_iter().filter(|key| expected(key) != found(key));
    differ.map(|key| format!("{key:?}: expected {:?}, found {:?}", expected(key), found(key))).collect()
}

fn patched(text: &str, brokers: &str, index: &str) -> String {
    let plugins = format!("{:?}", components().display().to_string());
    let changes =
        [("\"../../target/plugins\"", plugins.as_str()), ("localhost:9092", brokers), ("http://localhost:9200", index)];
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "the example says {from} once");
        text.replace(from, to)
    })
}

fn load(file: &Path) -> PipelineSettings {
    PipelineSettings::load(file, &|_| None, None).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A pipeline in this process.
struct Running {
    handle: Handle,
    thread: Option<JoinHandle<Result<(), PipelineError>>>,
}

impl Running {
    fn start(settings: PipelineSettings) -> Running {
        Running::start_with(settings, RunOptions::default())
    }

    fn start_with(settings: PipelineSettings, options: RunOptions) -> Running {
        let handle = Handle::new();
        let its = handle.clone();
        let thread = thread::spawn(move || pipeline::run(&settings, &options, &its));
        assert!(handle.wait_running(Instant::now() + LIMIT), "it starts: {:?}", thread.is_finished());
        Running { handle, thread: Some(thread) }
    }

    fn drain(mut self) -> Result<(), PipelineError> {
        self.handle.stop();
        let thread = self.thread.take().expect("it is drained once");
        thread.join().expect("it does not panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
    }
}

#[test]
fn the_index_equals_a_plain_fold_and_the_console_says_how_it_goes() {
    let job = Job::new("undisturbed");
    job.kafka.produce(TOPIC, &job.records);
    let running = Running::start(load(&job.pipeline));
    let console =
        Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), running.handle.clone()).expect("it listens");
    wait_for("readiness", LIMIT, || get(console.address(), "/readyz").0.then_some(()));
    job.wait_for_documents(job.expected.documents.len());
    assert!(get(console.address(), "/healthz").0);
    let metrics = get(console.address(), "/metrics").1;
    let late = job.expected.dead_letters.values().filter(|reason| **reason == "late").count();
    let line = format!("tidegate_dead_letters_total{{reason=\"late\"}} {late}");
    assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    running.drain().expect("it drains");
    job.assert_as_expected();
    assert_eq!(get(console.address(), "/readyz"), (false, "stopped\n".to_owned()));
}

#[test]
fn a_drain_by_sigterm_and_a_restart_do_not_show() {
    let job = Job::new("sigterm");
    let (first, second) = job.records.split_at(job.records.len() / 2);
    job.kafka.produce(TOPIC, first);
    let log = job.pipeline.with_file_name("run.log");
    let mut program = Program::run(&job.pipeline, &log);
    job.wait_for_documents(job.expected.documents.len() / 4);
    program.assert_running();
    assert_eq!(program.terminate().code(), Some(0), "SIGTERM is a clean end: {}", fs::read_to_string(&log).unwrap());
    job.kafka.produce(TOPIC, second);
    let running = Running::start(load(&job.pipeline));
    job.wait_for_documents(job.expected.documents.len());
    running.drain().expect("it drains");
    job.assert_as_expected();
}

#[test]
fn an_index_that_goes_away_is_waited_for_and_said_to_be_away() {
    let mut job = Job::new("away");
    let running = Running::start(load(&job.pipeline));
    let console =
        Console::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), running.handle.clone()).expect("it listens");
    wait_for("readiness", LIMIT, || get(console.address(), "/readyz").0.then_some(()));
    let port = job.index.take().expect("it is there").index.address().port();
    job.kafka.produce(TOPIC, &job.records);
    let words = wait_for("the index to be missed", LIMIT, || {
        let (ready, words) = get(console.address(), "/readyz");
        (!ready).then_some(words)
    });
    assert!(words.contains("the index does not take all documents"), "{words}");
    assert!(get(console.address(), "/healthz").0, "to wait is healthy");
    job.index = Some(Index::start(port));
    job.wait_for_documents(job.expected.documents.len());
    wait_for("readiness", LIMIT, || get(console.address(), "/readyz").0.then_some(()));
    running.drain().expect("it drains");
    job.assert_as_expected();
}

#[test]
fn each_cluster_has_the_documents_of_its_outputs_and_one_that_is_away_is_named() {
    let job = Job::new("clusters");
    let mut second = Index::start(0);
    let mut settings = load(&job.pipeline);
    let mut sink = settings.sinks[0].clone();
    (sink.name, sink.urls) = ("second".to_owned(), vec![second.index.url()]);
    settings.sinks.push(sink);
    let mut output = settings.outputs[0].clone();
    (output.name, output.sink) = ("copies".to_owned(), "second".to_owned());
    settings.outputs.push(output);
    let running = Running::start(settings);
    let port = second.index.address().port();
    drop(second);
    job.kafka.produce(TOPIC, &job.records);
    let words = wait_for("the second cluster to be missed", LIMIT, || running.handle.snapshot().waiting.pop());
    assert!(words.contains("the index of sink.second does not take all documents"), "{words}");
    job.wait_for_documents(job.expected.documents.len());
    assert!(running.handle.snapshot().sinks[1].settled < job.expected.documents.len() as u64);
    second = Index::start(port);
    let all = job.expected.documents.len();
    wait_for("documents in the second cluster", LIMIT, || (second.windows().len() == all).then_some(()));
    running.drain().expect("it drains");
    assert_eq!(differences(&job.expected.documents, &second.windows()), Vec::<String>::new());
    assert_eq!(differences(&job.expected.documents, &job.documents()), Vec::<String>::new());
    assert!(second.index.documents("event-counts").iter().all(|document| document.id.starts_with("copies:")));
    // A late record is a dead letter of each output.
    assert_eq!(differences(&job.expected_dead_letters(), &job.dead_letters()), Vec::<String>::new());
}

#[test]
fn a_drain_that_cannot_end_ends_by_its_deadline_and_the_rest_is_read_again() {
    let mut job = Job::new("unfinished");
    let options = RunOptions { drain_time: Duration::from_secs(4), ..RunOptions::default() };
    let running = Running::start_with(load(&job.pipeline), options);
    let port = job.index.take().expect("it is there").index.address().port();
    job.kafka.produce(TOPIC, &job.records);
    wait_for("documents in flight", LIMIT, || (running.handle.snapshot().documents_bytes > 0).then_some(()));
    let error = running.drain().expect_err("documents are in flight");
    assert!(matches!(error, PipelineError::Unfinished { .. }) && error.kind() == ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("because the index does not take all documents"), "{error}");
    job.index = Some(Index::start(port));
    let running = Running::start(load(&job.pipeline));
    job.wait_for_documents(job.expected.documents.len());
    running.drain().expect("it drains");
    job.assert_as_expected();
}

#[test]
fn what_cannot_be_started_is_one_error_that_says_whose_it_is() {
    let job = Job::new("wrong");
    let run = |change: &dyn Fn(&mut PipelineSettings)| {
        let mut settings = load(&job.pipeline);
        change(&mut settings);
        let error = pipeline::run(&settings, &RunOptions::default(), &Handle::new()).expect_err("it cannot be started");
        (error.kind(), error.to_string())
    };
    let unused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr()).expect("a free port");

    let (kind, words) = run(&|settings| settings.kafka.topics = vec!["nowhere".to_owned()]);
    assert!(kind == ErrorKind::Unavailable && words.contains("`nowhere`"), "{words}");

    let (kind, words) = run(&|settings| settings.kafka.brokers = unused.to_string());
    assert!(kind == ErrorKind::Unavailable && words.contains(&unused.to_string()), "{words}");

    let (kind, words) = run(&|settings| settings.sinks[0].urls = vec![format!("http://{unused}")]);
    assert!(kind == ErrorKind::Unavailable && words.contains(&unused.to_string()), "{words}");

    let (kind, words) = run(&|settings| settings.transforms[0].plugin.file = "missing.wasm".into());
    assert!(kind == ErrorKind::Config && words.contains("missing.wasm"), "{words}");

    let (kind, words) = run(&|settings| settings.transforms[0].plugin.file = components().join("count.wasm"));
    assert!(kind == ErrorKind::Config && words.contains("drop-anonymous") && words.contains("aggregate"), "{words}");
}
