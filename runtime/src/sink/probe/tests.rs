//! Servers of every kind, told by their answers.

use axum::Router;
use axum::http::{HeaderName, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::*;

/// What is asked of the index `i`.
const SETTINGS_PATH: &str =
    "/i/_settings/index.uuid,index.refresh_interval,index.number_of_replicas,index.mapping.total_fields.limit";

const INDEXED: Written = Written { created: false, template: false };

/// One that answers these paths, and nothing else; where it says that it is Elasticsearch, in each answer.
async fn server(is_elasticsearch: bool, answers: Vec<(&'static str, u16, Value)>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |uri: Uri| async move {
        let found = answers.iter().find(|(path, ..)| *path == uri.path());
        let (status, body) =
            found.map_or((404, json!({ "error": "none", "status": 404 })), |(_, status, body)| (*status, body.clone()));
        let name = if is_elasticsearch { "x-elastic-product" } else { "x-nobody" };
        let header = [(HeaderName::from_static(name), "Elasticsearch")];
        (StatusCode::from_u16(status).unwrap(), header, axum::Json(body)).into_response()
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

async fn ask(urls: Vec<String>, name: &str, written: Written) -> Result<ProbeReport, SinkError> {
    let settings = ElasticsearchSettings { urls, ..crate::sink::tests::settings("") };
    probe(&settings, &[(name.to_owned(), written)].into()).await
}

fn root(number: &str, tagline: &str) -> (&'static str, u16, Value) {
    ("/", 200, json!({ "version": { "number": number }, "tagline": tagline }))
}

fn nodes(version: &str) -> (&'static str, u16, Value) {
    ("/_nodes/_local", 200, json!({ "nodes": { "one": { "version": version } } }))
}

fn forbidden(path: &'static str) -> (&'static str, u16, Value) {
    (path, 403, json!({ "error": { "type": "security_exception", "reason": "no permissions" }, "status": 403 }))
}

#[test]
fn only_versions_that_are_not_known_are_spoken_of() {
    let unknown = |product, version| unknown_version(product, version).is_some();
    let known =
        [(Product::Elasticsearch, "7.17.9"), (Product::Elasticsearch, "9.2.0"), (Product::OpenSearch, "2.19.1")];
    assert!(known.into_iter().all(|(product, version)| !unknown(product, version)));
    let others = [(Product::Elasticsearch, "10.0.0"), (Product::OpenSearch, "4.0.0"), (Product::Elasticsearch, "x")];
    assert!(others.into_iter().all(|(product, version)| unknown(product, version)));
}

#[tokio::test]
async fn servers_are_told_by_what_they_say() {
    const SEARCH: &str = "You Know, for Search";
    const OPEN: &str = "The OpenSearch Project: https://opensearch.org/";
    let kind = async |answers| {
        let report = ask(vec![server(false, answers).await], "i", INDEXED).await?;
        Ok::<_, SinkError>((report.product, report.version, report.warnings.len()))
    };
    let version = |text: &str| Some(text.to_owned());
    // The one warning is that there is no index.
    let elasticsearch = (Product::Elasticsearch, version("8.19.0"), 1);
    assert_eq!(kind(vec![root("8.19.0", SEARCH), nodes("8.19.0")]).await.unwrap(), elasticsearch);
    let of_seven = kind(vec![root("7.10.2", ""), nodes("7.10.2")]).await.unwrap();
    assert_eq!(of_seven, (Product::Elasticsearch, version("7.10.2"), 1));
    let pretends = kind(vec![root("7.10.2", OPEN), nodes("2.19.1")]).await.unwrap();
    assert_eq!(pretends, (Product::OpenSearch, version("2.19.1"), 1));
    let nobody = kind(vec![root("1.0", ""), nodes("1.0")]).await.unwrap();
    assert_eq!(nobody, (Product::Unknown, version("1.0"), 2));
    let hidden = kind(vec![forbidden("/"), forbidden("/_nodes/_local")]).await.unwrap();
    assert_eq!(hidden, (Product::Unknown, None, 2));
    let old = kind(vec![root("6.8.23", SEARCH), nodes("6.8.23")]).await.unwrap_err();
    assert!(matches!(old, SinkError::TooOld { .. }), "{old}");
    let other = kind(vec![("/_nodes/_local", 200, json!([]))]).await.unwrap_err();
    assert!(matches!(other, SinkError::Answer { .. }), "{other}");
}

#[tokio::test]
async fn nodes_that_are_away_are_passed_over() {
    let settings = json!({ "i": { "settings": { "index.refresh_interval": "30s" } } });
    let mapping = json!({ "i": { "mappings": { "dynamic": "strict" } } });
    let there = server(
        true,
        vec![
            nodes("8.19.0"),
            (SETTINGS_PATH, 200, settings),
            ("/i/_mapping", 200, mapping),
            ("/_index_template/t", 200, json!({})),
        ],
    );
    let busy = server(true, vec![("/_nodes/_local", 503, json!({}))]);
    let urls = vec!["http://127.0.0.1:1".to_owned(), there.await];
    let report = ask(urls.clone(), "i", INDEXED).await.unwrap();
    assert_eq!((report.indices[0].state, report.warnings), (IndexState::Present, vec![]));
    let settings = ElasticsearchSettings { urls: urls.clone(), ..crate::sink::tests::settings("") };
    install_template(&settings, "t", b"{}".to_vec()).await.unwrap();
    let urls = vec![busy.await, urls[1].clone()];
    assert_eq!(ask(urls, "i", INDEXED).await.unwrap().product, Product::Elasticsearch);
}

/// The warnings of a look at `i`.
async fn warnings(written: Written, settings: Value, more: Vec<(&'static str, u16, Value)>) -> String {
    let mut answers = vec![nodes("8.19.0"), (SETTINGS_PATH, 200, settings)];
    answers.extend(more);
    ask(vec![server(true, answers).await], "i", written).await.unwrap().warnings.join("\n")
}

#[tokio::test]
async fn a_data_stream_wants_documents_to_be_created() {
    let stream = json!({ ".ds-i-1": { "settings": { "index.refresh_interval": "1s" } } });
    let warned = warnings(INDEXED, stream.clone(), vec![]).await;
    assert!(warned.contains("`i` is a data stream") && warned.contains("operation = \"create\""), "{warned}");
    let warned = warnings(Written { created: true, ..INDEXED }, stream, vec![]).await;
    assert!(warned.contains("in the template: {\"settings\":") && !warned.contains("data stream"), "{warned}");
}

#[tokio::test]
async fn of_an_alias_the_index_that_is_written_is_looked_at() {
    let slow = json!({ "settings": { "index.refresh_interval": "30s" } });
    let fast = json!({ "settings": { "index.refresh_interval": "1s" } });
    let indices = json!({ "i-1": fast, "i-2": slow });
    let alias = |first: Value, second: Value| {
        let of = |it: Value| json!({ "aliases": { "i": it } });
        vec![("/i/_alias/i", 200, json!({ "i-1": of(first), "i-2": of(second) }))]
    };
    let warned = warnings(INDEXED, indices.clone(), alias(json!({ "is_write_index": true }), json!({}))).await;
    assert!(warned.contains("refresh_interval") && warned.contains("/i-1/_settings"), "{warned}");
    let warned = warnings(INDEXED, indices, alias(json!({}), json!({}))).await;
    assert!(warned.contains("none of which is the one that is written") && warned.contains("_aliases"), "{warned}");
}

#[tokio::test]
async fn what_a_template_will_make_is_judged_like_an_index() {
    let properties: serde_json::Map<_, _> = (0..850).map(|n| (format!("f{n}"), json!({ "type": "keyword" }))).collect();
    let template = json!({ "template": {
        "settings": { "index": { "refresh_interval": "30s", "number_of_replicas": "0" } },
        "mappings": { "properties": properties },
    } });
    let more = vec![
        ("/_index_template/_simulate_index/i", 200, template),
        ("/_cluster/health", 200, json!({ "number_of_data_nodes": 3 })),
    ];
    let warned = warnings(INDEXED, json!({}), more).await;
    for what in ["number_of_replicas=`0`", "fields=`850`", "guessed", "in the template: {\"mappings\":"] {
        assert!(warned.contains(what), "{what}: {warned}");
    }
    let legacy = json!({ "t": { "index_patterns": ["i*"] } });
    let more = vec![("/_index_template/_simulate_index/i", 200, json!({})), ("/_template", 200, legacy)];
    assert_eq!(warnings(INDEXED, json!({}), more).await, "");
    let more = vec![("/_index_template/_simulate_index/i", 200, json!({}))];
    assert_eq!(warnings(Written { template: true, ..INDEXED }, json!({}), more.clone()).await, "");
    assert!(warnings(INDEXED, json!({}), more).await.contains("neither an index nor"));
}
