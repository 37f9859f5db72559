//! Reconciliations and explanations on stand-ins: records that a broker has, documents that a test puts into the index, and positions
//! that it sets.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use super::Reconciling;
use crate::config::PipelineSettings;
use crate::pipeline::{
    DocumentName, DocumentReport, Reconcile, Reconciled, RecordCounts, Why, explain_document, reconcile,
};
use crate::record::{Commitment, Offset, Partition};
use crate::sink::stand_in::StandInIndex;
use crate::source::{Admin, StandInBroker};

const PIPELINE: &str = r#"
    name = "p"
    [source.kafka]
    brokers = "b"
    topics = ["events"]
    [sink.elasticsearch]
    urls = ["http://e"]
    [[output]]
    name = "all"
"#;

/// A broker with the records of one partition, and an index.
struct Servers {
    runtime: tokio::runtime::Runtime,
    index: StandInIndex,
    broker: StandInBroker,
    settings: PipelineSettings,
}

impl Servers {
    /// `output`: the rest of the output's settings.
    fn start(output: &str) -> Servers {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let index = runtime.block_on(StandInIndex::start("127.0.0.1:0".parse().unwrap())).unwrap();
        let broker = StandInBroker::start(&[("events", 1)]).unwrap();
        let servers =
            PIPELINE.replace("\"b\"", &format!("\"{}\"", broker.bootstrap())).replace("http://e", &index.url());
        let file = format!("{servers}{output}");
        let parsed = PipelineSettings::parse(&file, Path::new("p.toml"), &|_| None, None);
        let settings = parsed.unwrap_or_else(|errors| panic!("{errors}")).0;
        Servers { runtime, index, broker, settings }
    }

    /// Keys and values.
    fn produce(&self, records: &[(&str, Option<Value>)]) {
        let producer: BaseProducer =
            rdkafka::ClientConfig::new().set("bootstrap.servers", self.broker.bootstrap()).create().unwrap();
        for (key, value) in records {
            let value = value.as_ref().map(Value::to_string);
            let mut record = BaseRecord::<str, str>::to("events").partition(0).key(*key).timestamp(1_767_225_600_000);
            record.payload = value.as_deref();
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(10)).unwrap();
    }

    fn settle(&self, position: i64) {
        let at = Commitment { offset: Offset(position), metadata: String::new() };
        Admin::new(&self.settings.kafka).unwrap().commit(&[(Partition::new("events", 0), at)]).unwrap();
    }

    /// Puts documents into the index: its name, the id, the version.
    fn put(&self, documents: &[(&str, &str, u64)]) {
        let line = |(index, id, version): &(&str, &str, u64)| {
            let target = json!({ "_index": index, "_id": id, "version": version, "version_type": "external_gte" });
            format!("{}\n{}\n", json!({ "index": target }), json!({ "v": version }))
        };
        let body: String = documents.iter().map(line).collect();
        let request = reqwest::Client::new().post(format!("{}/_bulk", self.index.url())).body(body);
        let status = self.runtime.block_on(request.send()).unwrap().status();
        assert!(status.is_success(), "{status}");
    }

    fn reconcile(&self) -> Reconciled {
        reconcile(&self.settings, &Reconcile::default(), &AtomicBool::new(false)).unwrap()
    }

    fn explain(&self, document: &str) -> DocumentReport {
        explain_document(&self.settings, &DocumentName::parse(document, &self.settings).unwrap()).unwrap()
    }
}

/// The first and the last origin, the index and why.
fn told(found: &Reconciled) -> Vec<(i64, i64, &str, &Why)> {
    found.differences.iter().map(|it| (it.origins.0.0, it.origins.1.0, it.index.as_str(), &it.why)).collect()
}

#[test]
fn documents_of_an_index_that_is_closed_are_a_difference_of_their_own() {
    let servers = Servers::start("index = \"{kind}\"\n");
    let kinds = ["a", "b", "b", "a", "b", "a"];
    servers.produce(&kinds.map(|kind| ("k", Some(json!({ "kind": kind })))));
    servers.settle(6);
    let ids: Vec<String> = (0..6).map(|offset| format!("all:events-0-{offset}")).collect();
    let all: Vec<(&str, &str, u64)> =
        (0u64..).zip(kinds).zip(&ids).map(|((at, kind), id)| (kind, id.as_str(), at)).collect();
    // The last is missing.
    servers.put(&all[..5]);
    servers.index.close("b", true);
    let found = servers.reconcile();
    let closed = Why::NotLookedUp { kind: "index_closed_exception".to_owned() };
    assert_eq!(told(&found), [(5, 5, "a", &Why::Missing), (1, 2, "b", &closed), (4, 4, "b", &closed)]);
    let counts = RecordCounts { read: 6, settled: 2, different: 4, ..RecordCounts::default() };
    assert_eq!(found.outputs[0].partitions, [counts]);

    // One document by its id in all indices, and where it is looked for in the one that is closed.
    let report = servers.explain(&ids[0]);
    assert_eq!(
        (report.found[0].index.as_str(), report.words.as_slice()),
        ("a", ["not all of * can be looked at: index_closed_exception: closed".to_owned()].as_slice())
    );
    let report = servers.explain(&format!("b/{}", ids[1]));
    assert_eq!(
        report.words,
        [
            "no document of this id is found in what can be looked at of b",
            "index b cannot be looked at: index_closed_exception: closed"
        ]
    );
    assert_eq!(report.records[0].state, "settled");

    servers.index.close("b", false);
    servers.put(&all[5..]);
    assert!(servers.reconcile().adds_up());
}

#[test]
fn what_a_record_behind_the_positions_deletes_is_superseded() {
    let servers = Servers::start("index = \"all\"\nid = \"$key\"\ntombstones = \"delete\"\n");
    servers.produce(&[("k0", Some(json!({}))), ("k1", Some(json!({}))), ("k2", Some(json!({})))]);
    servers.settle(3);
    servers.put(&[("all", "k0", 0)]);
    // Nothing is behind the positions: both are missing.
    assert_eq!(told(&servers.reconcile()), [(1, 2, "all", &Why::Missing)]);
    servers.produce(&[("k1", None), ("k3", Some(json!({})))]);
    let asked = Reconcile::default();
    let reconciling = Reconciling::start(&servers.settings, &asked).unwrap();
    servers.settle(5);
    let found = reconciling.run(&AtomicBool::new(false)).unwrap();
    assert_eq!(found.partitions[0].range.1, Offset(3), "what is behind is not compared");
    assert_eq!(told(&found), [(2, 2, "all", &Why::Missing)]);
    let counts = RecordCounts { read: 3, settled: 1, superseded: 1, different: 1, ..RecordCounts::default() };
    assert_eq!(found.outputs[0].partitions, [counts]);
}

#[test]
fn a_document_with_a_routing_is_explained_by_its_index_and_its_id() {
    let servers = Servers::start("index = \"all\"\nrouting = \"of\"\n");
    servers.produce(&[("k", Some(json!({ "of": "x" })))]);
    servers.settle(1);
    servers.put(&[("all", "all:events-0-0", 0)]);
    servers.index.require_routing("all");
    let report = servers.explain("all/all:events-0-0");
    assert_eq!((report.found.len(), report.words.len()), (1, 0), "{report:?}");
    assert_eq!(report.records[0].origin, "events-0-0");
    let report = servers.explain("nope/all:events-0-0");
    let words = [
        "no document has this id in all",
        "no output writes an index nope, so that nope/all:events-0-0 is taken for the id",
    ];
    assert_eq!(report.words[..2], words);
    assert!(servers.reconcile().adds_up());
}
