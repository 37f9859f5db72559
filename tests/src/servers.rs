//! A real Kafka, a real Elasticsearch, a real OpenSearch and a real S3-compatible store for tests, started once by the project's own scripts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::index::Index;
use crate::kafka::Kafka;
use crate::workspace::{root, target};

/// Where the servers are.
#[derive(Clone, Debug)]
pub struct Servers {
    /// `host:port`.
    pub kafka: String,
    /// A URL.
    pub elasticsearch: String,
}

impl Servers {
    /// Starts them where they are not running; a later call finds them. `scripts/servers/pair.sh test clean` ends them.
    pub fn get() -> &'static Servers {
        static SERVERS: OnceLock<Servers> = OnceLock::new();
        SERVERS.get_or_init(start)
    }

    pub fn kafka(&self) -> Kafka {
        Kafka::new(&self.kafka)
    }

    pub fn index(&self, name: &str) -> Index {
        Index::new(&self.elasticsearch, name)
    }
}

fn start() -> Servers {
    let said = pair(&["start", "kafka", "elasticsearch"]);
    Servers { kafka: value(&said, "KAFKA"), elasticsearch: value(&said, "ELASTICSEARCH") }
}

/// A URL of a real OpenSearch, which is started where it is not running.
pub fn opensearch() -> String {
    value(&pair(&["start", "opensearch"]), "OPENSEARCH")
}

/// A URL of a real Elasticsearch with security on, which is started where it is not running, with what lies in a folder.
pub fn secured(folder: &Path) -> String {
    value(&pair_with(&["start", "secured"], &[("ES_SECURED", text(folder))]), "SECURED")
}

/// Hands it what lies in the folder now.
pub fn secure(folder: &Path) {
    pair_with(&["secure", "secured"], &[("ES_SECURED", text(folder))]);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path is text")
}

/// A real S3-compatible store with a bucket.
#[derive(Clone, Debug)]
pub struct S3 {
    /// A URL.
    pub endpoint: String,
    /// A URL too, for the checkpoints of a pipeline.
    pub bucket: String,
}

impl S3 {
    /// Starts it where it is not running; a later call finds it.
    pub fn get() -> &'static S3 {
        static S3: OnceLock<S3> = OnceLock::new();
        S3.get_or_init(|| S3 { endpoint: value(&pair(&["start", "s3"]), "S3"), bucket: "s3://tidegate".to_owned() })
    }

    /// Where the objects of the bucket are, as files.
    pub fn objects(&self) -> PathBuf {
        let port = self.endpoint.rsplit(':').next().expect("it has a port");
        target().join(format!("servers/test/s3-{port}/objects/tidegate"))
    }

    /// How a program gets in.
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "testtest1"),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }
}

/// One of them, to be taken away and brought back; what it had acknowledged it has still.
#[derive(Clone, Copy, Debug)]
pub struct Server(pub &'static str);

impl Server {
    /// SIGKILL.
    pub fn kill(self) {
        pair(&["kill", self.0]);
    }

    /// SIGTERM, and the end that follows.
    pub fn stop(self) {
        pair(&["stop", self.0]);
    }

    /// Where it was; returns when it answers.
    pub fn start(self) {
        pair(&["start", self.0]);
    }

    /// As [`Server::start`], with these in the environment of its script.
    pub fn start_with(self, environment: &[(&str, &str)]) {
        pair_with(&["start", self.0], environment);
    }

    /// SIGSTOP: connections stay open, and nobody answers.
    pub fn pause(self) {
        pair(&["pause", self.0]);
    }

    /// SIGCONT.
    pub fn resume(self) {
        pair(&["resume", self.0]);
    }
}

fn pair(arguments: &[&str]) -> String {
    pair_with(arguments, &[])
}

fn pair_with(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let script = root().join("scripts/servers/pair.sh");
    let output = Command::new(script)
        .arg("test")
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("the script can be run");
    assert!(output.status.success(), "pair.sh test {}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("the script prints text")
}

fn value(said: &str, key: &str) -> String {
    let line = said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("the script did not print {key}")).to_owned()
}
