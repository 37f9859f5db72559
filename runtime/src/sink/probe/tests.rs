//! Servers of every kind, told by their answers.

use axum::Router;
use axum::http::{HeaderName, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::*;

/// What is asked of the index `i`.
const SETTINGS: &str = "/i/_settings/index.uuid,index.refresh_interval,index.number_of_replicas,index.mapping.total_fields.*,index.blocks.*";
/// And which template would make it.
const SIMULATED: &str = "/_index_template/_simulate_index/i";
const INDEXED: Written = Written { created: false };
const CREATED: Written = Written { created: true };

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
    probe(&settings, &[(name.to_owned(), written)].into(), &[]).await
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
    let pretends = kind(vec![root("7.10.2", OPEN), forbidden("/_nodes/_local")]).await.unwrap();
    assert_eq!(pretends, (Product::OpenSearch, None, 1));
    let nobody = kind(vec![root("1.0", ""), nodes("1.0")]).await.unwrap();
    assert_eq!(nobody, (Product::Unknown, version("1.0"), 2));
    let hidden = kind(vec![forbidden("/"), forbidden("/_nodes/_local")]).await.unwrap();
    assert_eq!(hidden, (Product::Unknown, None, 2));
    let old = kind(vec![root("6.8.23", SEARCH), nodes("6.8.23")]).await.unwrap_err();
    assert!(matches!(old, SinkError::TooOld { .. }), "{old}");
    assert!(old.to_string().contains("Elasticsearch 7 to 9 and OpenSearch 1 to 3 do"), "{old}");
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
            (SETTINGS, 200, settings),
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
    let mut answers = vec![nodes("8.19.0"), (SETTINGS, 200, settings)];
    answers.extend(more);
    ask(vec![server(true, answers).await], "i", written).await.unwrap().warnings.join("\n")
}

#[tokio::test]
async fn a_data_stream_wants_documents_to_be_created() {
    let stream = json!({ ".ds-i-1": { "settings": { "index.refresh_interval": "1s" } } });
    let warned = warnings(INDEXED, stream.clone(), vec![]).await;
    assert!(warned.contains("`i` is a data stream") && warned.contains("operation = \"create\""), "{warned}");
    let warned = warnings(CREATED, stream.clone(), vec![]).await;
    assert!(warned.contains("/i/_settings'") && warned.contains("in the template of those to come"), "{warned}");
    assert!(!warned.contains("data stream"), "{warned}");
    let settings: &str = SETTINGS.replace("/i/", "/i-*/").leak();
    let url = server(true, vec![nodes("8.19.0"), (settings, 200, stream)]).await;
    let warned = ask(vec![url], "i-*", INDEXED).await.unwrap().warnings.join("\n");
    assert!(warned.contains("`i-*` is a data stream") && warned.contains("/.ds-i-1/_settings'"), "{warned}");
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
    let health = ("/_cluster/health", 200, json!({ "number_of_data_nodes": 3 }));
    let warned = warnings(INDEXED, json!({}), vec![(SIMULATED, 200, template), health]).await;
    for what in ["number_of_replicas=`0`", "fields=`850`", "guessed", "in the template: {\"mappings\":"] {
        assert!(warned.contains(what), "{what}: {warned}");
    }
    let legacy = json!({ "t": { "index_patterns": ["i*"] } });
    let more = vec![(SIMULATED, 200, json!({})), ("/_template", 200, legacy)];
    assert_eq!(warnings(INDEXED, json!({}), more).await, "");
    let more = vec![(SIMULATED, 200, json!({}))];
    assert!(warnings(INDEXED, json!({}), more).await.contains("neither an index nor"));
}

#[tokio::test]
async fn each_index_that_guesses_has_its_own_request() {
    let index = |name: &str| json!({ name: { "settings": { "index.refresh_interval": "30s" } } });
    let made = json!({ "settings": { "index.refresh_interval": "30s" } });
    let answers = vec![
        nodes("8.19.0"),
        (SETTINGS, 200, index("i")),
        ("/i/_mapping", 200, json!({ "i": { "mappings": {} } })),
        (SETTINGS.replace("/i/", "/j/").leak(), 200, index("j")),
        ("/j/_mapping", 200, json!({ "j": { "mappings": {} } })),
        (SETTINGS.replace("/i/", "/k/").leak(), 200, json!({})),
        ("/_index_template/_simulate_index/k", 200, json!({ "template": made })),
    ];
    let settings =
        ElasticsearchSettings { urls: vec![server(true, answers).await], ..crate::sink::tests::settings("") };
    let names = ["i", "j", "k"].map(|name| (name.to_owned(), INDEXED)).into();
    let warned = probe(&settings, &names, &[]).await.unwrap().warnings.join("\n");
    let changes =
        ["of `i`: curl -X PUT", "/i/_mapping'", "of `j`: curl -X PUT", "/j/_mapping'", "of `k`: in the template: {"];
    for change in changes {
        assert!(warned.contains(change), "{change}: {warned}");
    }
}

#[tokio::test]
async fn an_index_that_takes_nothing_is_warned_about() {
    let settings = json!({ "i": { "settings": { "index.refresh_interval": "30s", "index.blocks.write": "true" } } });
    let warned = warnings(INDEXED, settings, vec![]).await;
    assert!(warned.starts_with("blocks=`write` index=`i`: no document is taken"), "{warned}");
}

#[tokio::test]
async fn what_an_index_has_is_judged_by_all_that_is_set() {
    let settings = json!({ "i": { "settings": {
        "index.refresh_interval": "30s", "index.number_of_replicas": "0", "index.mapping.total_fields.limit": "20000",
    } } });
    let mapping = ("/i/_mapping", 200, json!({ "i": { "mappings": {} } }));
    let health = |nodes: u64| ("/_cluster/health", 200, json!({ "number_of_data_nodes": nodes }));
    let warned = warnings(INDEXED, settings.clone(), vec![mapping.clone(), health(1)]).await;
    assert!(warned.contains("total_fields.limit=`20000`") && warned.contains("dynamic"), "{warned}");
    assert!(!warned.contains("number_of_replicas"), "{warned}");
    let warned = warnings(INDEXED, settings.clone(), vec![mapping.clone(), health(2)]).await;
    assert!(warned.contains("number_of_replicas=`0`"), "{warned}");
    // Neither a node that is busy nor one that does not know how many they are is believed.
    let urls = vec![
        server(true, vec![nodes("8.19.0"), (SETTINGS, 200, settings.clone()), ("/_cluster/health", 503, json!({}))])
            .await,
        server(true, vec![nodes("8.19.0"), (SETTINGS, 200, settings), health(2)]).await,
    ];
    let both = [urls.clone(), urls.into_iter().rev().collect()];
    for urls in both {
        let warned = ask(urls, "i", INDEXED).await.unwrap().warnings.join("\n");
        assert!(warned.contains("number_of_replicas=`0`"), "{warned}");
    }
}

/// As the index lists them.
fn listed(templates: &[Value]) -> (&'static str, u16, Value) {
    let named: Vec<Value> = templates.iter().map(|template| json!({ "index_template": template })).collect();
    ("/_index_template", 200, json!({ "index_templates": named }))
}

#[tokio::test]
async fn templates_are_found_by_their_patterns_where_none_may_be_tried() {
    let state = async |pattern: &str| {
        let listed = listed(&[json!({ "index_patterns": [pattern] })]);
        let answers = vec![nodes("8.19.0"), (SETTINGS, 200, json!({})), forbidden(SIMULATED), listed];
        ask(vec![server(true, answers).await], "i", INDEXED).await.unwrap().indices[0].state
    };
    assert_eq!(state("i*").await, IndexState::Template);
    assert_eq!(state("a*").await, IndexState::Unknown);
}

#[tokio::test]
async fn a_template_of_a_data_stream_wants_documents_to_be_created() {
    let made = json!({ "settings": { "index.refresh_interval": "30s" }, "mappings": { "dynamic": "strict" } });
    let stream = json!({ "index_patterns": ["i*"], "priority": 100, "data_stream": { "hidden": false } });
    let warned = async |written, other: u64| {
        let other = json!({ "index_patterns": ["i"], "priority": other });
        let more = vec![(SIMULATED, 200, json!({ "template": made })), listed(&[stream.clone(), other])];
        warnings(written, json!({}), more).await
    };
    let of_index = warned(INDEXED, 99).await;
    assert!(of_index.contains("`i` becomes a data stream by its template"), "{of_index}");
    assert_eq!(warned(CREATED, 99).await, "");
    // The other one makes it.
    assert_eq!(warned(INDEXED, 101).await, "");
}

/// A look where the file of a template is not installed yet, and the index has others.
async fn look_before(template: &Value, others: &[Value]) -> (IndexState, String) {
    let path = std::env::temp_dir().join(format!("tidegate-template-{}.json", std::process::id()));
    std::fs::write(&path, template.to_string()).unwrap();
    let slow = json!({ "template": { "settings": { "index": { "refresh_interval": "2s" } } } });
    let simulated = if others.is_empty() { json!({}) } else { slow };
    let answers = vec![nodes("8.19.0"), (SETTINGS, 200, json!({})), (SIMULATED, 200, simulated), listed(others)];
    let settings =
        ElasticsearchSettings { urls: vec![server(true, answers).await], ..crate::sink::tests::settings("") };
    let report = probe(&settings, &[("i".to_owned(), INDEXED)].into(), &[&path]).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    (report.indices[0].state, report.warnings.join("\n"))
}

#[tokio::test]
async fn a_template_is_judged_before_it_is_installed() {
    let mappings = json!({ "dynamic": "strict" });
    let good = json!({ "settings": { "index.refresh_interval": "30s" }, "mappings": mappings });
    let file = json!({ "index_patterns": ["i"], "template": good });
    let well = (IndexState::OwnTemplate, String::new());
    assert_eq!(look_before(&file, &[]).await, well);
    let (state, warned) =
        look_before(&json!({ "index_patterns": "i", "template": { "mappings": mappings } }), &[]).await;
    assert!(state == IndexState::OwnTemplate && warned.contains("refresh_interval=`1s, the default`"), "{warned}");
    let (_, warned) = look_before(&json!({ "index_patterns": ["i"], "data_stream": {}, "template": good }), &[]).await;
    assert!(warned.contains("`i` becomes a data stream"), "{warned}");
    let (state, warned) = look_before(&json!({ "index_patterns": ["other"], "template": good }), &[]).await;
    assert!(state == IndexState::Missing && warned.contains("whose `index_patterns` are for it"), "{warned}");
    // It takes the place of one that is as high, such as what it was before, and not of one that is higher.
    assert_eq!(look_before(&file, &[json!({ "index_patterns": ["i*"] })]).await, well);
    let (state, warned) = look_before(&file, &[json!({ "index_patterns": ["i*"], "priority": 1 })]).await;
    assert!(state == IndexState::Template && warned.contains("refresh_interval=`2s`"), "{warned}");
}
