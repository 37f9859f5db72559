//! What befalls a real Elasticsearch, one thing after the other, while documents flow. After each, `tidegate reconcile` finds that all adds
//! up: every record is a document, or the dead letter that it should be. Each has an index of its own, of a day of its own.
//! `DOCUMENTS=1000000` sends so many with each, `PAUSE_SECONDS=90` lets the server hang for so long.

use std::cell::Cell;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_tests::door::Door;
use tidegate_tests::index::Index;
use tidegate_tests::kafka::{Kafka, Record};
use tidegate_tests::program::{Program, ask, get};
use tidegate_tests::reconcile::{assert_adds_up, reconcile};
use tidegate_tests::servers::{Server, Servers};
use tidegate_tests::workspace::scratch;
use tidegate_tests::{wait_for, wait_until};

const ELASTICSEARCH: Server = Server("elasticsearch");
const LIMIT: Duration = Duration::from_secs(600);
const PARTITIONS: i32 = 2;
const FIRST_DAY_MILLIS: i64 = 1_740_787_200_000; // 2025-03-01
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// One of so many is not what the mapping takes.
const WRONG_EVERY: i64 = 100;
const CHUNK: i64 = 50_000;
/// Above all that the pipeline writes.
const NEWER_VERSION: u64 = 1 << 62;
const SECRET: &str = "Zmlyc3Q=";
const NEXT_SECRET: &str = "c2Vjb25k";
/// A queue of one, and bodies and bulks of no more than a megabyte.
const NARROW: &str = "thread_pool.write.size: 1\nthread_pool.write.queue_size: 1\nhttp.max_content_length: 1mb\n\
                      indexing_pressure.memory.limit: 1mb\n";

fn number(name: &str, otherwise: i64) -> i64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// A pipeline that runs all the time, and what was given to it.
struct Flow {
    name: String,
    kafka: Kafka,
    topic: String,
    elasticsearch: String,
    door: Door,
    pipeline: PathBuf,
    console: SocketAddr,
    program: Option<Program>,
    /// So many with each fault.
    documents: i64,
    day: Cell<i64>,
    /// Of all days, and of this one.
    produced: Cell<i64>,
    of_day: Cell<i64>,
}

impl Flow {
    fn start() -> Flow {
        let servers = Servers::get();
        let (kafka, name) = (servers.kafka(), format!("faults-{}", std::process::id()));
        let topic = format!("events-{name}");
        kafka.create_topic(&topic, PARTITIONS);
        kafka.create_topic(&format!("{name}.dead-letters"), 1);
        let door = Door::before(&servers.elasticsearch, &format!("ApiKey {SECRET}"));
        let folder = scratch("servers-faults");
        let mappings = json!({ "dynamic": "strict", "properties": {
            "timestamp": { "type": "date" }, "n": { "type": "long" }, "text": { "type": "keyword", "index": false },
        }});
        let settings = json!({ "number_of_replicas": 0, "refresh_interval": "30s" });
        let template = json!({ "index_patterns": [format!("{name}-*")], "template": { "settings": settings, "mappings": mappings } });
        fs::write(folder.join("template.json"), template.to_string()).expect("the scratch folder is writable");
        fs::write(folder.join("key"), SECRET).expect("the scratch folder is writable");
        let text = format!(
            r#"
            name = "{name}"
            [source.kafka]
            brokers = "{}"
            topics = ["{topic}"]
            librdkafka = {{ "session.timeout.ms" = "6000" }}
            [source.decode]
            event_time = "timestamp"
            timestamp_unit = "milliseconds"
            [sink.elasticsearch]
            urls = ["{}"]
            auth = {{ api_key = {{ file = "key" }} }}
            bulk_age_max = "50ms"
            in_flight_max = 16
            timeout = "5s"
            [[output]]
            name = "all"
            index = "{name}-{{event_time:%Y.%m.%d}}"
            template = "template.json"
            [limits]
            memory = "64MiB"
            "#,
            servers.kafka,
            door.url()
        );
        let pipeline = folder.join("pipeline.toml");
        fs::write(&pipeline, text).expect("the scratch folder is writable");
        let console = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port");
        let mut flow = Flow {
            name,
            kafka,
            topic,
            elasticsearch: servers.elasticsearch.clone(),
            door,
            pipeline,
            console,
            program: None,
            documents: number("DOCUMENTS", 10_000),
            day: Cell::new(0),
            produced: Cell::new(0),
            of_day: Cell::new(0),
        };
        flow.run();
        flow
    }

    fn run(&mut self) {
        let log = self.pipeline.with_file_name("run.log");
        let program = Program::run_as(&self.pipeline, &log, &["--console", &self.console.to_string()], &[]);
        self.program = Some(program);
    }

    /// The index of the present day.
    fn index(&self) -> Index {
        Index::new(&self.elasticsearch, &format!("{}-2025.03.{:02}", self.name, self.day.get() + 1))
    }

    /// Some more of the present day.
    fn produce(&self, count: i64) {
        let mut left = count;
        while left > 0 {
            let (first, chunk) = (self.of_day.get(), left.min(CHUNK));
            let record = |n: i64| {
                let millis = FIRST_DAY_MILLIS + self.day.get() * DAY_MILLIS + n % DAY_MILLIS;
                let what = if n % WRONG_EVERY == WRONG_EVERY / 2 { json!("no number") } else { json!(n) };
                let value = json!({ "timestamp": millis, "n": what, "text": "x".repeat(180) });
                Record {
                    partition: (n % i64::from(PARTITIONS)) as i32,
                    timestamp_millis: millis,
                    value: Some(value.to_string().into_bytes()),
                    ..Record::default()
                }
            };
            self.kafka.produce(&self.topic, &(first..first + chunk).map(record).collect::<Vec<_>>());
            self.of_day.set(first + chunk);
            self.produced.set(self.produced.get() + chunk);
            left -= chunk;
        }
    }

    fn wrong_of_day(&self) -> i64 {
        (self.of_day.get() + WRONG_EVERY / 2 - 1) / WRONG_EVERY
    }

    fn assert_running(&mut self) {
        self.program.as_mut().expect("it runs").assert_running();
    }

    /// Until something of this day is in the index.
    fn wait_for_some(&mut self) {
        let index = self.index();
        wait_for("documents", LIMIT, || {
            self.assert_running();
            (index.count() > 0).then_some(())
        });
    }

    /// Until the console says, with these words, that it is not ready.
    fn wait_for_stall(&mut self, words: &str) {
        wait_until(LIMIT, || {
            self.assert_running();
            let (ready, said) = get(self.console, "/readyz");
            if !ready && said.contains(words) { Ok(()) } else { Err(format!("`{words}` instead of `{said}`")) }
        });
    }

    /// Until all is settled and committed, and then it must add up; begins the next day.
    fn add_up(&mut self) {
        self.wait_for_commit();
        let count = self.index().count() as i64;
        assert_eq!(count, self.of_day.get() - self.wrong_of_day(), "documents of day {}", self.day.get());
        assert_adds_up(&self.pipeline);
        self.next_day();
    }

    fn next_day(&self) {
        self.day.set(self.day.get() + 1);
        self.of_day.set(0);
    }

    fn wait_for_commit(&mut self) {
        wait_until(LIMIT, || {
            self.assert_running();
            let positions = self.kafka.positions(&self.name, &self.topic, PARTITIONS);
            let settled: i64 = positions.iter().map(|(_, _, offset, _)| *offset).sum();
            let all = self.produced.get();
            if settled == all { Ok(()) } else { Err(format!("{settled} of {all} to be settled")) }
        });
    }

    fn metric(&self, name: &str) -> f64 {
        let text = get(self.console, "/metrics").1;
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    }

    fn file(&self) -> &str {
        self.pipeline.to_str().expect("a path is text")
    }
}

/// A fault that stalls the pipeline until it is taken away.
fn stalled(flow: &mut Flow, words: &str, set: impl Fn(&Flow), lift: impl Fn(&Flow)) {
    flow.produce(flow.documents / 2);
    flow.wait_for_some();
    set(flow);
    flow.produce(flow.documents / 2);
    flow.wait_for_stall(words);
    lift(flow);
    flow.add_up();
}

fn block(flow: &Flow, block: &str, value: Value) {
    let index = format!("{}-2025.03.{:02}/_settings", flow.name, flow.day.get() + 1);
    flow.index().ask("PUT", &index, &json!({ block: value }));
}

fn auto_create(flow: &Flow, value: Value) {
    flow.index().ask("PUT", "_cluster/settings", &json!({ "persistent": { "action.auto_create_index": value } }));
}

#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn whatever_befalls_the_index_all_adds_up_afterwards() {
    let mut flow = Flow::start();

    // Values that the mapping does not take come with every fault.
    flow.produce(flow.documents);
    flow.add_up();

    let flood = "index.blocks.read_only_allow_delete";
    stalled(
        &mut flow,
        "disk usage exceeded",
        |flow| block(flow, flood, json!(true)),
        |flow| block(flow, flood, Value::Null),
    );
    let write = "index.blocks.write";
    stalled(
        &mut flow,
        "index write (api)",
        |flow| block(flow, write, json!(true)),
        |flow| block(flow, write, Value::Null),
    );

    let key = flow.pipeline.with_file_name("key");
    let rotate = |flow: &Flow| flow.door.change(&format!("ApiKey {NEXT_SECRET}"));
    stalled(&mut flow, "security_exception", rotate, |_| fs::write(&key, NEXT_SECRET).expect("it is writable"));

    let bring_back = |_: &Flow| ELASTICSEARCH.start();
    stalled(&mut flow, "does not take all documents", |_| ELASTICSEARCH.kill(), bring_back);

    let pause = Duration::from_secs(number("PAUSE_SECONDS", 8).unsigned_abs());
    let hang = |_: &Flow| ELASTICSEARCH.pause();
    let paused = Instant::now();
    stalled(&mut flow, "does not take all documents", hang, |_| {
        wait_for("the time that it hangs", LIMIT, || (paused.elapsed() >= pause).then_some(()));
        ELASTICSEARCH.resume();
    });

    // Somebody has written newer versions of documents that come.
    let first = flow.kafka.positions(&flow.name, &flow.topic, PARTITIONS);
    for (topic, partition, offset, _) in &first {
        for offset in *offset..*offset + 10 {
            let path = format!(
                "{}-2025.03.{:02}/_doc/all:{topic}-{partition}-{offset}?version={NEWER_VERSION}&version_type=external",
                flow.name,
                flow.day.get() + 1
            );
            flow.index().ask("PUT", &path, &json!({ "n": -1 }));
        }
    }
    let before = flow.metric("tidegate_index_superseded_total");
    flow.produce(flow.documents);
    flow.wait_for_commit();
    assert_eq!(flow.metric("tidegate_index_superseded_total") - before, 10.0 * f64::from(PARTITIONS));
    flow.add_up();

    // An index that nobody may make: dead letters, which come back.
    auto_create(&flow, json!("false"));
    flow.produce(flow.documents);
    flow.wait_for_commit();
    assert_eq!(flow.index().count(), 0);
    let (said, _) = ask(&["dead-letters", "stats", flow.file()]);
    assert!(said.contains("index_not_found_exception"), "{said}");
    auto_create(&flow, Value::Null);
    let replay = ["dead-letters", "replay", flow.file(), "--error-type", "index_not_found_exception"];
    // Those that the mapping does not take are left.
    let (said, code) = ask(&replay);
    let left = format!("{} refused again", flow.wrong_of_day());
    assert!(code == Some(8) && said.contains(&left), "{said}");
    flow.add_up();

    // One that is deleted: what was in it is missed, and a rewind brings it back.
    flow.produce(flow.documents / 2);
    flow.wait_for_some();
    flow.wait_for_commit();
    flow.index().delete();
    flow.produce(flow.documents / 2);
    flow.wait_for_commit();
    let (found, code) = reconcile(&flow.pipeline, &[]);
    assert_eq!(code, 9, "{found}");
    assert_eq!(flow.program.take().expect("it runs").terminate().code(), Some(0));
    let (said, code) = ask(&["rewind", flow.file(), "--to", "earliest"]);
    assert_eq!(code, Some(0), "{said}");
    flow.run();
    wait_for("what was deleted", LIMIT, || {
        flow.assert_running();
        (flow.index().count() as i64 == flow.of_day.get() - flow.wrong_of_day()).then_some(())
    });
    flow.add_up();

    ELASTICSEARCH.stop();
    ELASTICSEARCH.start_with(&[("ES_CONFIG", NARROW)]);
    let before = flow.metric("tidegate_index_retried_total");
    flow.produce(flow.documents);
    flow.wait_for_commit();
    assert!(flow.metric("tidegate_index_bulk_bytes") < f64::from(1 << 20), "the size that it takes is known");
    assert!(flow.metric("tidegate_index_retried_total") > before, "its queue is full now and then");
    flow.add_up();
    ELASTICSEARCH.stop();
    ELASTICSEARCH.start();

    // Nobody says how fields are mapped: the index guesses, from the first ones.
    flow.index().ask("DELETE", &format!("_index_template/{}-all", flow.name), &Value::Null);
    flow.produce(WRONG_EVERY / 4);
    flow.wait_for_some();
    flow.produce(flow.documents);
    flow.add_up();

    let program = flow.program.as_mut().expect("it runs");
    program.assert_within_memory(64);
    assert_eq!(flow.program.take().expect("it runs").terminate().code(), Some(0), "SIGTERM is a clean end");
}
