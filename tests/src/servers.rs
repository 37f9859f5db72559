//! A real Kafka and a real Elasticsearch for tests, started once by the project's own scripts.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::index::Index;
use crate::kafka::Kafka;
use crate::workspace::root;

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
    let script = root().join("scripts/servers/pair.sh");
    let output = Command::new(script)
        .args(["test", "start"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("the script can be run");
    assert!(output.status.success(), "the servers do not start");
    let text = String::from_utf8(output.stdout).expect("the script prints text");
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("the script did not print {key}")).to_owned()
    };
    Servers { kafka: value("KAFKA"), elasticsearch: value("ELASTICSEARCH") }
}
