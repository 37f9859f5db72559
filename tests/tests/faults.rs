//! What befalls a real index, one thing after the other, while documents flow. After each, `tidegate reconcile` finds that all adds up:
//! every record is a document, or the dead letter that it should be. `DOCUMENTS=1000000` sends so many with each, `PAUSE_SECONDS=90` lets the
//! server hang for so long. What has to do with who we are is in `security.rs`.

use std::cell::Cell;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tidegate_tests::flow::{Flow, LIMIT, PARTITIONS, WRONG_EVERY, number};
use tidegate_tests::program::ask;
use tidegate_tests::reconcile::{DIFFERENCES, reconcile};
use tidegate_tests::servers::{Server, Servers, opensearch};
use tidegate_tests::wait_for;

/// Above all that the pipeline writes.
const NEWER_VERSION: u64 = 1 << 62;
/// A queue of one, and bodies and bulks of no more than a megabyte.
const NARROW: [(&str, &str); 4] = [
    ("thread_pool.write.size", "1"),
    ("thread_pool.write.queue_size", "1"),
    ("http.max_content_length", "1mb"),
    ("indexing_pressure.memory.limit", "1mb"),
];

#[test]
#[ignore = "needs a real Kafka and Elasticsearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn whatever_befalls_elasticsearch_all_adds_up_afterwards() {
    let narrow = NARROW.map(|(name, value)| format!("{name}: {value}\n")).concat();
    let url = &Servers::get().elasticsearch;
    befall(&Product { name: "elasticsearch", server: Server("elasticsearch"), url, narrow: ("ES_CONFIG", &narrow) });
}

#[test]
#[ignore = "needs a real Kafka and OpenSearch: scripts/server-tests.sh starts them and runs it, by make test"]
fn whatever_befalls_opensearch_all_adds_up_afterwards() {
    let narrow = NARROW.map(|(name, value)| format!("{name}={value}\n")).concat();
    let url = &opensearch();
    befall(&Product { name: "opensearch", server: Server("opensearch"), url, narrow: ("OS_CONFIG", &narrow) });
}

struct Product<'a> {
    name: &'static str,
    server: Server,
    url: &'a str,
    /// What its script takes as settings.
    narrow: (&'static str, &'a str),
}

fn befall(product: &Product<'_>) {
    let sink = format!("[sink.{}]", product.name);
    let mut flow = Flow::new(&format!("faults-{}", product.name), product.url, Client::new(), &sink);
    flow.run();

    // Values that the mapping does not take come with every fault.
    flow.produce(flow.documents());
    flow.wait_for_commit();
    closed(&flow);
    flow.add_up();

    for (block, words) in
        [("index.blocks.read_only_allow_delete", "disk usage exceeded"), ("index.blocks.write", "index write (api)")]
    {
        let set = |flow: &Flow, value: Value| {
            flow.index().ask("PUT", &format!("{}/_settings", flow.index_name()), &json!({ block: value }));
        };
        flow.stall(words, |flow| set(flow, json!(true)), |flow| set(flow, Value::Null));
    }

    let server = product.server;
    flow.stall("does not take all documents", |_| server.kill(), |_| server.start());

    let pause = Duration::from_secs(number("PAUSE_SECONDS", 8).unsigned_abs());
    let paused = Cell::new(Instant::now());
    flow.stall(
        "does not take all documents",
        |_| {
            server.pause();
            paused.set(Instant::now());
        },
        |_| {
            wait_for("the time that it hangs", LIMIT, || (paused.get().elapsed() >= pause).then_some(()));
            server.resume();
        },
    );

    newer_versions(&mut flow);
    no_index_to_be_made(&mut flow);
    deleted(&mut flow);
    narrow(&mut flow, product);

    // Nobody says how fields are mapped: the index guesses, from the first ones.
    flow.index().ask("DELETE", &format!("_index_template/{}-all", flow.name()), &Value::Null);
    flow.produce(WRONG_EVERY / 4);
    flow.wait_for_some();
    flow.produce(flow.documents());
    flow.add_up();

    flow.end();
}

/// Of an index that is closed nobody can say what is in it, and that is said.
fn closed(flow: &Flow) {
    let index = flow.index_name();
    flow.index().ask("POST", &format!("{index}/_close"), &Value::Null);
    let (found, code) = reconcile(flow.pipeline(), &["--from", &flow.day_text()]);
    let whys: Vec<&Value> = found["differences"].as_array().expect("a list").iter().map(|it| &it["why"]).collect();
    assert_eq!(code, DIFFERENCES, "{found:#}");
    assert!(whys.iter().all(|why| why.to_string().contains("index_closed_exception")), "{whys:?}");
    flow.index().ask("POST", &format!("{index}/_open?wait_for_active_shards=1"), &Value::Null);
}

/// Somebody has written newer versions of documents that come.
fn newer_versions(flow: &mut Flow) {
    for (topic, partition, offset) in flow.positions() {
        for offset in offset..offset + 10 {
            let index = flow.index_name();
            let version = format!("version={NEWER_VERSION}&version_type=external");
            let path = format!("{index}/_doc/all:{topic}-{partition}-{offset}?{version}");
            flow.index().ask("PUT", &path, &json!({ "n": -1 }));
        }
    }
    let before = flow.metric("tidegate_index_superseded_total");
    flow.produce(flow.documents());
    flow.wait_for_commit();
    assert_eq!(flow.metric("tidegate_index_superseded_total") - before, 10.0 * f64::from(PARTITIONS));
    flow.add_up();
}

/// An index that nobody may make: dead letters, which come back.
fn no_index_to_be_made(flow: &mut Flow) {
    let auto_create = |flow: &Flow, value: Value| {
        let settings = json!({ "persistent": { "action.auto_create_index": value } });
        flow.index().ask("PUT", "_cluster/settings", &settings);
    };
    auto_create(flow, json!("false"));
    flow.produce(flow.documents());
    flow.wait_for_commit();
    assert_eq!(flow.index().count(), 0);
    let (said, _) = ask(&["dead-letters", "stats", flow.pipeline_text()]);
    assert!(said.contains("index_not_found_exception"), "{said}");
    auto_create(flow, Value::Null);
    let replay = ["dead-letters", "replay", flow.pipeline_text(), "--error-type", "index_not_found_exception"];
    // Those that the mapping does not take are left.
    let (said, code) = ask(&replay);
    let left = format!("{} refused again", flow.wrong_of_day());
    assert!(code == Some(8) && said.replace(',', "").contains(&left), "{said}");
    flow.add_up();
}

/// An index that is deleted: what was in it is missed, and a rewind brings it back.
fn deleted(flow: &mut Flow) {
    flow.produce(flow.documents() / 2);
    flow.wait_for_some();
    flow.wait_for_commit();
    flow.index().delete();
    flow.produce(flow.documents() / 2);
    flow.wait_for_commit();
    let (found, code) = reconcile(flow.pipeline(), &["--from", &flow.day_text()]);
    assert_eq!(code, DIFFERENCES, "{found}");
    flow.stop();
    let (said, code) = ask(&["rewind", flow.pipeline_text(), "--to", "earliest"]);
    assert_eq!(code, Some(0), "{said}");
    flow.run();
    flow.wait_for_all();
    flow.add_up();
}

/// A server that takes little at once.
fn narrow(flow: &mut Flow, product: &Product<'_>) {
    product.server.stop();
    product.server.start_with(&[product.narrow]);
    let before = flow.metric("tidegate_index_retried_total");
    flow.produce(flow.documents());
    flow.wait_for_commit();
    assert!(flow.metric("tidegate_index_bulk_bytes") < f64::from(1 << 20), "the size that it takes is known");
    assert!(flow.metric("tidegate_index_retried_total") > before, "its queue is full now and then");
    flow.add_up();
    product.server.stop();
    product.server.start();
}
