//! From saving a line of a plugin to its effect in a document, as `tidegate dev` does it: a copy of the reference plugin `stamp`
//! is edited while it runs on stand-ins, compile time included.
//!
//! `make bench` runs it, or `target/release/bench-dev --rounds 15`. It is no test, and fails for no figure.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tidegate_tests::bench::{Arguments, Spread, print_ratio};
use tidegate_tests::dev::Dev;
use tidegate_tests::workspace::{root, scratch};

/// The line that is edited: what is written into the field that names the index.
const LINE: &str = "Some(format!(\"{topic}-{partition}-{offset}\"))";
const PIPELINE: &str = r#"
name = "dev"
[source.kafka]
brokers = "localhost:9092"
topics = ["events"]
[[transform]]
plugin = "stamp.wasm"
[sink.elasticsearch]
urls = ["http://localhost:9200"]
[[output]]
name = "events"
index = "{event_id}"
"#;
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> anyhow::Result<()> {
    let rounds = Arguments::read().number("rounds", 15);
    let folder = scratch("bench-dev");
    let source = copy(&folder)?;
    let text = fs::read_to_string(&source)?;
    ensure!(text.contains(LINE), "the line is not in {}", source.display());
    let mut dev = Dev::run(&folder, &["--crate", "crates"]);
    let said = dev.says(&["on stand-ins"]);
    let address = said.rsplit("http://").next().context("the index has an address")?.trim().to_owned();
    dev.says(&["stamp serves as generation 1"]);
    let (mut whole, mut built) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let index = format!("round-{round}");
        fs::write(
            &source,
            text.replace(
                LINE,
                &format!("Some(format!(\"{index}\")).filter(|_| topic.len() as i64 + partition + offset >= 0)"),
            ),
        )?;
        let saved = Instant::now();
        while !is_there(&address, &index)? {
            ensure!(saved.elapsed() < LIMIT, "there is no document in {index}");
            std::thread::sleep(Duration::from_millis(2));
        }
        whole.push(saved.elapsed().as_secs_f64() * 1000.0);
        let said = dev.says(&["built stamp in "]);
        let seconds = said.trim_end_matches(" s").rsplit(' ').next().and_then(|seconds| seconds.parse::<f64>().ok());
        built.push(seconds.context("it says how long")? * 1000.0);
    }
    println!("dev: one line of `stamp` is saved, ms until its effect is in a document, {rounds} rounds");
    print_ratio("save to effect", Spread::of(whole), "nothing");
    print_ratio("of it: cargo, and the component", Spread::of(built), "nothing");
    dev.stop();
    Ok(())
}

/// A workspace with a copy of the plugin, and a pipeline; the plugin's source.
fn copy(folder: &Path) -> anyhow::Result<PathBuf> {
    let (from, to) = (root().join("plugins"), folder.join("crates"));
    fs::create_dir_all(to.join("stamp/src"))?;
    fs::create_dir_all(to.join(".cargo"))?;
    for file in ["Cargo.lock", ".cargo/config.toml", "stamp/Cargo.toml", "stamp/src/lib.rs"] {
        fs::copy(from.join(file), to.join(file)).with_context(|| file.to_owned())?;
    }
    let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
    let sdk = root().join("sdk/rust");
    fs::write(to.join("Cargo.toml"), manifest.replace("../sdk/rust", &sdk.to_string_lossy()))?;
    fs::write(folder.join("pipeline.toml"), PIPELINE)?;
    fs::write(folder.join("input.ndjson"), "{\"value\": {\"user\": \"ada\"}}\n")?;
    Ok(to.join("stamp/src/lib.rs"))
}

fn is_there(address: &str, index: &str) -> anyhow::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /{index}/_count HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}
