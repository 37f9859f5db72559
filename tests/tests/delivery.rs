//! What is done with documents, on a real Kafka and a real Elasticsearch: created, updated, indexed and deleted, before and after a kill;
//! an index template that the pipeline file names, and what its mapping refuses.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::kafka::Record;
use tidegate_tests::program::Program;
use tidegate_tests::reconcile::{DIFFERENCES, assert_adds_up, reconcile};
use tidegate_tests::servers::Servers;
use tidegate_tests::wait_for;
use tidegate_tests::workspace::scratch;

const LIMIT: Duration = Duration::from_secs(120);
const KEYS: u64 = 50;
const RECORDS: u64 = 5_000;

/// What should be under each id.
#[derive(Default)]
struct Expected {
    first: BTreeMap<String, Value>,
    latest: BTreeMap<String, Value>,
    current: BTreeMap<String, Value>,
    refused: usize,
}

impl Expected {
    fn take(&mut self, key: &str, value: Option<&Value>) {
        let Some(value) = value else {
            self.current.remove(key);
            return;
        };
        self.current.insert(key.to_owned(), value.clone());
        if value["n"].is_string() {
            self.refused += 1; // by the strict mapping of the first output alone
        } else {
            self.first.entry(key.to_owned()).or_insert_with(|| value.clone());
        }
        let latest = self.latest.entry(key.to_owned()).or_insert_with(|| json!({}));
        for (name, value) in value.as_object().expect("an object") {
            latest[name] = value.clone();
        }
    }
}

fn record(number: u64) -> (String, Option<Value>) {
    let key = format!("k{}", number % KEYS);
    let value = match number % 7 {
        0 if number > KEYS => None,
        3 => Some(json!({ "timestamp": number, "country": "de", "n": "no number" })),
        even => {
            let mut value = json!({ "timestamp": number, "country": "de", "n": number });
            value[format!("only-{even}")] = json!(number);
            Some(value)
        }
    };
    (key, value)
}

#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn what_is_created_updated_and_deleted_is_the_fold_of_the_records_whatever_is_killed() {
    let servers = Servers::get();
    let (kafka, name) = (servers.kafka(), format!("operations-{}", std::process::id()));
    let (topic, dead_letters) = (format!("events-{name}"), format!("{name}.dead-letters"));
    kafka.create_topic(&topic, 1);
    kafka.create_topic(&dead_letters, 1);
    let folder = scratch("servers-operations");
    // The first output takes numbers alone, whatever comes first; the others anything.
    for (output, kind) in [("first", "long"), ("latest", "keyword"), ("current", "keyword")] {
        let template = json!({
            "index_patterns": [format!("{output}-{name}")],
            "template": { "mappings": { "properties": { "n": { "type": kind } } } },
        });
        fs::write(folder.join(format!("{output}.json")), template.to_string()).expect("the scratch folder is writable");
    }
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
        bulk_age_max = "20ms"
        [dead_letters]
        topic = "{dead_letters}"
        [[output]]
        name = "first"
        index = "first-{name}"
        operation = "create"
        id = "$key"
        template = "first.json"
        [[output]]
        name = "latest"
        index = "latest-{name}"
        operation = "update"
        id = "$key"
        routing = "country"
        template = "latest.json"
        [[output]]
        name = "current"
        index = "current-{name}"
        id = "$key"
        tombstones = "delete"
        template = "current.json"
        "#,
        servers.kafka, servers.elasticsearch
    );
    let (pipeline, log) = (folder.join("pipeline.toml"), folder.join("run.log"));
    fs::write(&pipeline, text).expect("the scratch folder is writable");

    let mut expected = Expected::default();
    let records: Vec<Record> = (0..RECORDS)
        .map(|number| {
            let (key, value) = record(number);
            expected.take(&key, value.as_ref());
            let value = value.map(|value| value.to_string().into_bytes());
            let timestamp_millis = 1_740_830_400_000 + number as i64;
            Record { timestamp_millis, key: Some(key.into_bytes()), value, ..Record::default() }
        })
        .collect();
    let (before, after) = records.split_at(records.len() / 2);
    kafka.produce(&topic, before);
    let mut program = Program::run(&pipeline, &log);
    let current = servers.index(&format!("current-{name}"));
    wait_for("documents", LIMIT, || {
        program.assert_running();
        (current.count() > 0).then_some(())
    });
    program.kill();
    kafka.produce(&topic, after);
    let mut program = Program::run(&pipeline, &log);

    let documents = |output: &str| -> BTreeMap<String, Value> {
        servers.index(&format!("{output}-{name}")).documents().into_iter().collect()
    };
    let refused = || -> usize {
        let letters = kafka.read_all(&dead_letters);
        let of_first = letters.iter().filter(|letter| letter.header("tidegate-output") == Some("first"));
        // Elasticsearch 7 has another word for it.
        let words = [Some("document_parsing_exception"), Some("mapper_parsing_exception")];
        let told = of_first.filter(|letter| words.contains(&letter.header("tidegate-error-type")));
        let identities = told.filter_map(|letter| letter.header("tidegate-identity"));
        identities.collect::<std::collections::BTreeSet<_>>().len()
    };
    let all = || [documents("first"), documents("latest"), documents("current")];
    let wanted = [expected.first, expected.latest, expected.current];
    wait_for(&format!("the fold of the records\n{}", program.log()), LIMIT, || {
        program.assert_running();
        (all() == wanted).then_some(())
    });
    assert_eq!(program.terminate().code(), Some(0), "SIGTERM is a clean end");
    assert_eq!(all(), wanted, "after the end");
    // The index looks at the mapping before it looks whether there is a document already.
    assert_eq!(refused(), expected.refused);
    let said = fs::read_to_string(&log).expect("the log is there");
    assert!(said.contains("the index template is installed"), "{said}");

    assert_adds_up(&pipeline, &[]);
    servers.index(&format!("first-{name}")).delete();
    let (found, code) = reconcile(&pipeline, &[]);
    let is_missing = |it: &Value| it["output"] == "first" && it["why"] == "missing";
    let told = found["differences"].as_array().expect("a list");
    assert!(code == DIFFERENCES && !told.is_empty() && told.iter().all(is_missing), "{found:#}");
}
