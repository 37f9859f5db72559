//! Elasticsearch as a test needs it: templates, counts, all documents of an index.

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::block_on;

/// The most that one search gives; tests stay below it.
const DOCUMENTS_MAX: u64 = 10_000;

pub struct Index {
    url: String,
    name: String,
    client: Client,
}

impl Index {
    pub fn new(url: &str, name: &str) -> Self {
        Index::with_client(Client::new(), url, name)
    }

    /// With a client that the server lets in.
    pub fn with_client(client: Client, url: &str, name: &str) -> Self {
        Index { url: url.into(), name: name.into(), client }
    }

    /// Installs an index template, as JSON.
    pub fn put_template(&self, name: &str, template: &str) {
        let path = format!("_index_template/{name}");
        let request = self.request(Method::PUT, &path).header("content-type", "application/json");
        let (status, answer) = send(request.body(template.to_owned()));
        assert_eq!(status, 200, "template {name}: {answer}");
    }

    /// Any request of the whole server, with JSON unless that is null: `PUT`, `_ingest/pipeline/x`.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.request(method, path);
        let request = match body {
            Value::Null => request,
            body => request.header("content-type", "application/json").body(body.to_string()),
        };
        let (status, answer) = send(request);
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// Deletes the index, if it is there.
    pub fn delete(&self) {
        let (status, answer) = send(self.request(Method::DELETE, &self.name));
        assert!(status == 200 || status == 404, "delete: {status} {answer}");
    }

    /// The number of documents; 0 where the index is missing.
    pub fn count(&self) -> u64 {
        if !self.refresh() {
            return 0;
        }
        let (status, answer) = send(self.request(Method::GET, &format!("{}/_count", self.name)));
        assert_eq!(status, 200, "count: {answer}");
        answer["count"].as_u64().expect("a count is a number")
    }

    /// All documents, by id; none where the index is missing.
    pub fn documents(&self) -> Vec<(String, Value)> {
        if !self.refresh() {
            return Vec::new();
        }
        let path = format!("{}/_search?size={DOCUMENTS_MAX}&track_total_hits=true", self.name);
        let (status, mut answer) = send(self.request(Method::GET, &path));
        assert_eq!(status, 200, "search: {answer}");
        let total = answer["hits"]["total"]["value"].as_u64().expect("a total is a number");
        assert!(total <= DOCUMENTS_MAX, "{total} documents are more than one search gives");
        let Value::Array(hits) = answer["hits"]["hits"].take() else { panic!("hits are a list: {answer}") };
        let document = |mut hit: Value| {
            let id = hit["_id"].as_str().expect("an id is text").to_owned();
            (id, hit["_source"].take())
        };
        hits.into_iter().map(document).collect()
    }

    /// Makes all that was indexed visible; says whether the index exists.
    fn refresh(&self) -> bool {
        let (status, answer) = send(self.request(Method::POST, &format!("{}/_refresh", self.name)));
        assert!(status == 200 || status == 404, "refresh: {status} {answer}");
        status == 200
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/{path}", self.url))
    }
}

fn send(request: RequestBuilder) -> (u16, Value) {
    block_on(async {
        let answer = request.send().await.expect("elasticsearch answers");
        let (status, text) = (answer.status().as_u16(), answer.text().await.expect("a whole answer"));
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    })
}
