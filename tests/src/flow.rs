//! A pipeline that runs all the time, whatever befalls its index. What befalls it comes on a day of its own, which has an index of its own;
//! afterwards each record is a document, or the dead letter that it should be. `DOCUMENTS=1000000` is the number of a day.

use std::cell::Cell;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Client;
use serde_json::json;

use crate::index::Index;
use crate::kafka::{Kafka, Record};
use crate::program::{Program, get};
use crate::reconcile::assert_adds_up;
use crate::servers::Servers;
use crate::workspace::scratch;
use crate::{wait_for, wait_until};

pub const LIMIT: Duration = Duration::from_secs(600);
const STALL_LIMIT: Duration = Duration::from_secs(120);
pub const PARTITIONS: i32 = 2;
/// One of so many is not what the mapping takes.
pub const WRONG_EVERY: i64 = 100;
pub const MEMORY_MIB: u64 = 64;
const FIRST_DAY_MILLIS: i64 = 1_740_787_200_000; // 2025-03-01
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
const CHUNK: i64 = 50_000;

/// A number of the environment.
pub fn number(name: &str, otherwise: i64) -> i64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

pub struct Flow {
    name: String,
    kafka: Kafka,
    topic: String,
    /// Of the index, for the test itself.
    url: String,
    client: Client,
    pipeline: PathBuf,
    console: SocketAddr,
    program: Option<Program>,
    documents: i64,
    day: Cell<i64>,
    /// Of all days, and of this one.
    produced: Cell<i64>,
    of_day: Cell<i64>,
}

impl Flow {
    /// Writes the pipeline, with `SINK`, TOML of the section of the index, whose files are in [`Flow::file`]'s folder.
    pub fn new(test: &str, url: &str, client: Client, sink: &str) -> Flow {
        let servers = Servers::get();
        let (kafka, name) = (servers.kafka(), format!("{test}-{}", std::process::id()));
        let topic = format!("events-{name}");
        kafka.create_topic(&topic, PARTITIONS);
        kafka.create_topic(&format!("{name}.dead-letters"), 1);
        let folder = scratch(&format!("servers-{test}"));
        let mappings = json!({ "dynamic": "strict", "properties": {
            "timestamp": { "type": "date" }, "n": { "type": "long" }, "text": { "type": "keyword", "index": false },
        }});
        let settings = json!({ "number_of_replicas": 0, "refresh_interval": "30s" });
        let template = json!({ "index_patterns": [format!("{name}-*")], "template": { "settings": settings, "mappings": mappings } });
        fs::write(folder.join("template.json"), template.to_string()).expect("the scratch folder is writable");
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
            {sink}
            urls = ["{url}"]
            bulk_age_max = "50ms"
            in_flight_max = 16
            timeout = "5s"
            [[output]]
            name = "all"
            index = "{name}-{{event_time:%Y.%m.%d}}"
            template = "template.json"
            [limits]
            memory = "{MEMORY_MIB}MiB"
            "#,
            servers.kafka,
        );
        let pipeline = folder.join("pipeline.toml");
        fs::write(&pipeline, text).expect("the scratch folder is writable");
        Flow {
            name,
            kafka,
            topic,
            url: url.to_owned(),
            client,
            pipeline,
            console: TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port"),
            program: None,
            documents: number("DOCUMENTS", 10_000),
            day: Cell::new(0),
            produced: Cell::new(0),
            of_day: Cell::new(0),
        }
    }

    pub fn run(&mut self) {
        let program = Program::run_as(&self.pipeline, &self.log(), &["--console", &self.console.to_string()], &[]);
        self.program = Some(program);
    }

    /// SIGTERM. It was within its memory all the time, and all days add up.
    pub fn end(&mut self) {
        assert_adds_up(&self.pipeline, &[]);
        self.stop();
    }

    /// SIGTERM.
    pub fn stop(&mut self) {
        let program = self.program.take().expect("it runs");
        program.assert_within_memory(MEMORY_MIB);
        assert_eq!(program.terminate().code(), Some(0), "SIGTERM is a clean end");
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn pipeline(&self) -> &Path {
        &self.pipeline
    }

    /// As an argument.
    pub fn pipeline_text(&self) -> &str {
        self.pipeline.to_str().expect("a path is text")
    }

    /// A file beside the pipeline.
    pub fn file(&self, name: &str) -> PathBuf {
        self.pipeline.with_file_name(name)
    }

    pub fn log(&self) -> PathBuf {
        self.file("run.log")
    }

    /// So many of each day.
    pub fn documents(&self) -> i64 {
        self.documents
    }

    pub fn index_name(&self) -> String {
        format!("{}-2025.03.{:02}", self.name, self.day.get() + 1)
    }

    /// When the present day begins. A million with each would be read a dozen times without.
    pub fn day_text(&self) -> String {
        format!("2025-03-{:02}T00:00:00Z", self.day.get() + 1)
    }

    /// The index of the present day.
    pub fn index(&self) -> Index {
        Index::with_client(self.client.clone(), &self.url, &self.index_name())
    }

    /// From now on the test itself asks the index with this one.
    pub fn set_client(&mut self, client: Client) {
        self.client = client;
    }

    /// Topic, partition and offset of what comes next in each partition.
    pub fn positions(&self) -> Vec<(String, i32, i64)> {
        let positions = self.kafka.positions(&self.name, &self.topic, PARTITIONS).into_iter();
        positions.map(|(topic, partition, offset, _)| (topic, partition, offset)).collect()
    }

    /// Some more of the present day.
    pub fn produce(&self, count: i64) {
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

    pub fn wrong_of_day(&self) -> i64 {
        (self.of_day.get() + WRONG_EVERY / 2 - 1) / WRONG_EVERY
    }

    fn assert_running(&mut self) {
        self.program.as_mut().expect("it runs").assert_running();
    }

    /// Until something of this day is in the index.
    pub fn wait_for_some(&mut self) {
        let index = self.index();
        wait_for("documents", LIMIT, || {
            self.assert_running();
            (index.count() > 0).then_some(())
        });
    }

    /// Until all of this day that the mapping takes is in the index.
    pub fn wait_for_all(&mut self) {
        // All that there ever was may come again.
        let limit = LIMIT + Duration::from_millis(self.produced.get().unsigned_abs());
        wait_for("all documents", limit, || {
            self.assert_running();
            (self.index().count() as i64 == self.of_day.get() - self.wrong_of_day()).then_some(())
        });
    }

    /// Until the console says, with these words, that it is not ready.
    pub fn wait_for_stall(&mut self, words: &str) {
        wait_until(STALL_LIMIT, || {
            self.assert_running();
            let (ready, said) = get(self.console, "/readyz");
            if !ready && said.contains(words) { Ok(()) } else { Err(format!("`{words}` instead of `{said}`")) }
        });
    }

    /// Until all that was produced is settled and committed.
    pub fn wait_for_commit(&mut self) {
        wait_until(LIMIT, || {
            self.assert_running();
            let settled: i64 = self.positions().iter().map(|(_, _, offset)| *offset).sum();
            let all = self.produced.get();
            if settled == all { Ok(()) } else { Err(format!("{settled} of {all} to be settled")) }
        });
    }

    /// All is settled in the end, and then it must add up; begins the next day.
    pub fn add_up(&mut self) {
        self.wait_for_commit();
        let count = self.index().count() as i64;
        assert_eq!(count, self.of_day.get() - self.wrong_of_day(), "documents of day {}", self.day.get());
        let console = self.console.to_string();
        let found = assert_adds_up(&self.pipeline, &["--from", &self.day_text(), "--console", &console]);
        let counted = found["counted"].as_array().expect("a list");
        assert!(counted.iter().any(|it| it["came"].as_i64() > Some(0)), "{found:#}");
        assert!(counted.iter().all(|it| it["unanswered"] == 0), "{found:#}");
        assert!(found["outputs"][0]["all"]["records"].as_i64() >= Some(self.of_day.get()), "{found:#}");
        self.day.set(self.day.get() + 1);
        self.of_day.set(0);
    }

    /// What stalls the pipeline, which says so with these words, until it is taken away.
    pub fn stall(&mut self, words: &str, set: impl FnOnce(&Flow), lift: impl FnOnce(&mut Flow)) {
        self.produce(self.documents / 2);
        self.wait_for_some();
        set(self);
        self.produce(self.documents / 2);
        self.wait_for_stall(words);
        lift(self);
        self.add_up();
    }

    pub fn metric(&self, name: &str) -> f64 {
        let text = get(self.console, "/metrics").1;
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    }
}
