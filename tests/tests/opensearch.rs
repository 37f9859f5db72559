//! What a real Elasticsearch of our tests has no modules for, on a real OpenSearch: scripts, ingest pipelines, data streams, and a kill in the
//! middle; then all that an output does on Elasticsearch once more.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::index::Index;
use tidegate_tests::kafka::{Kafka, Record};
use tidegate_tests::program::{Program, ask};
use tidegate_tests::servers::{Servers, opensearch};
use tidegate_tests::wait_for;
use tidegate_tests::workspace::scratch;

const LIMIT: Duration = Duration::from_secs(120);
const KEYS: i64 = 20;
const RECORDS: i64 = 4_000;
const FIRST_MILLIS: i64 = 1_740_830_400_000;
/// It can be run again with what it has seen.
const SCRIPT: &str = "if (ctx._source.seen == null || ctx._source.seen < params.document.number) { \
                      ctx._source.sum = (ctx._source.sum == null ? 0 : ctx._source.sum) + params.document.amount; \
                      ctx._source.seen = params.document.number }";

struct Job {
    name: String,
    kafka: Kafka,
    topic: String,
    url: String,
    pipeline: PathBuf,
}

impl Job {
    fn new() -> Job {
        let (servers, url) = (Servers::get(), opensearch());
        let (kafka, name) = (servers.kafka(), format!("opensearch-{}", std::process::id()));
        let topic = format!("events-{name}");
        kafka.create_topic(&topic, 1);
        let folder = scratch("servers-opensearch");
        let template = json!({
            "index_patterns": [format!("pages-{name}")],
            "data_stream": {},
            "template": { "settings": { "number_of_replicas": 0 } },
        });
        fs::write(folder.join("pages.json"), template.to_string()).expect("the scratch folder is writable");
        let text = format!(
            r#"
            name = "{name}"
            [source.kafka]
            brokers = "{}"
            topics = ["{topic}"]
            librdkafka = {{ "session.timeout.ms" = "6000" }}
            [source.decode]
            event_time = "@timestamp"
            [sink.opensearch]
            urls = ["{url}"]
            bulk_age_max = "20ms"
            [[output]]
            name = "sums"
            index = "sums-{name}"
            id = "$key"
            [output.operation]
            script = "{SCRIPT}"
            [[output]]
            name = "pages"
            index = "pages-{name}"
            operation = "create"
            template = "pages.json"
            [[output]]
            name = "stamped"
            index = "stamped-{name}"
            pipeline = "stamp-{name}"
            "#,
            servers.kafka
        );
        let pipeline = folder.join("pipeline.toml");
        fs::write(&pipeline, text).expect("the scratch folder is writable");
        Job { name, kafka, topic, url, pipeline }
    }

    fn index(&self, output: &str) -> Index {
        Index::new(&self.url, &format!("{output}-{}", self.name))
    }

    fn sums(&self) -> BTreeMap<String, i64> {
        let documents = self.index("sums").documents().into_iter();
        documents.map(|(id, source)| (id, source["sum"].as_i64().expect("a number"))).collect()
    }
}

fn record(number: i64) -> Record {
    let millis = FIRST_MILLIS + number;
    let value = json!({ "@timestamp": millis, "number": number, "amount": number % 3 });
    Record {
        timestamp_millis: millis,
        key: Some(format!("k{}", number % KEYS).into_bytes()),
        value: Some(value.to_string().into_bytes()),
        ..Record::default()
    }
}

#[test]
#[ignore = "needs a real Kafka and OpenSearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn scripts_data_streams_and_ingest_pipelines_give_the_fold_of_the_records_whatever_is_killed() {
    let job = Job::new();
    let stamp = json!({ "processors": [{ "set": { "field": "stamped", "value": "yes" } }] });
    job.index("stamped").ask("PUT", &format!("_ingest/pipeline/stamp-{}", job.name), &stamp);

    let (said, _) = ask(&["check", "--online", job.pipeline.to_str().expect("a path is text")]);
    assert!(said.contains("index server: OpenSearch "), "{said}");

    let log = job.pipeline.with_file_name("run.log");
    let records: Vec<Record> = (0..RECORDS).map(record).collect();
    let (before, after) = records.split_at(records.len() / 2);
    job.kafka.produce(&job.topic, before);
    let mut program = Program::run(&job.pipeline, &log);
    wait_for("documents", LIMIT, || {
        program.assert_running();
        (job.index("stamped").count() > 0).then_some(())
    });
    program.kill();
    job.kafka.produce(&job.topic, after);
    let mut program = Program::run(&job.pipeline, &log);

    let mut sums = BTreeMap::new();
    (0..RECORDS).for_each(|number| *sums.entry(format!("k{}", number % KEYS)).or_default() += number % 3);
    let all = RECORDS as u64;
    wait_for("the fold of the records", LIMIT, || {
        program.assert_running();
        let counts = (job.index("pages").count(), job.index("stamped").count());
        (counts == (all, all) && job.sums() == sums).then_some(())
    });
    assert_eq!(program.terminate().code(), Some(0), "SIGTERM is a clean end");
    assert_eq!(job.sums(), sums, "after the end");
    assert_eq!((job.index("pages").count(), job.index("stamped").count()), (all, all), "after the end");
    let stamped = job.index("stamped").documents();
    assert!(stamped.iter().all(|(_, source)| source["stamped"] == "yes"), "{:?}", stamped.first());
    let streams = job.index("pages").ask("GET", &format!("_data_stream/pages-{}", job.name), &Value::Null);
    assert_eq!(streams["data_streams"][0]["timestamp_field"]["name"], "@timestamp", "{streams}");
}
