//! `tidegate reconcile` as a test runs it on a pipeline file, and an index that somebody else writes into.

use std::path::Path;
use std::process::Command;

use reqwest::Client;
use serde_json::Value;
use tidegate::sink::stand_in::StandInIndex;

use crate::block_on;
use crate::program::binary;

/// There are differences.
pub const DIFFERENCES: i32 = 9;

/// What it finds, as JSON, and its exit code.
pub fn reconcile(pipeline: &Path, more: &[&str]) -> (Value, i32) {
    let output = Command::new(binary()).arg("reconcile").arg(pipeline).args(["--json"]).args(more).output();
    let output = output.expect("the program can be run");
    let code = output.status.code().expect("it ends by itself");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(code == 0 || code == DIFFERENCES, "exit code {code}: {words}");
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {words}")), code)
}

/// What was read adds up to what is there; what it finds.
pub fn assert_adds_up(pipeline: &Path, more: &[&str]) -> Value {
    let (found, code) = reconcile(pipeline, more);
    assert_eq!((code, &found["different"]), (0, &Value::from(0)), "{found:#}");
    for output in found["outputs"].as_array().expect("a list") {
        let all = output["all"].as_object().expect("counts");
        let sum: u64 = all.iter().filter(|(name, _)| *name != "records").filter_map(|(_, count)| count.as_u64()).sum();
        assert_eq!(all["records"], sum, "each record is one thing: {output:#}");
    }
    found
}

/// Sends a bulk body to an index.
pub fn bulk(index: &StandInIndex, lines: &[Value]) {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let request = Client::new().post(format!("{}/_bulk", index.url())).header("content-type", "application/x-ndjson");
    let status = block_on(request.body(body).send()).expect("the index answers").status();
    assert!(status.is_success(), "{status}");
}

/// What `explain document` says of a document.
pub fn explain(file: &Path, document: &str, more: &[&str]) -> String {
    let output = Command::new(binary()).args(["explain", "document"]).arg(file).arg(document).args(more).output();
    let output = output.expect("it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it says text")
}

/// The same, for programs.
pub fn explained(file: &Path, document: &str) -> Value {
    serde_json::from_str(&explain(file, document, &["--json"])).expect("it says JSON")
}
