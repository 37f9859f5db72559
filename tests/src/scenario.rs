//! A scenario's folder: reads it, runs it in virtual time, and says what differs from what it expects.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use tidegate::config::PipelineSettings;
use tidegate::pipeline::{Loader, VirtualPipeline};
use tidegate::record::{Message, Partition};

mod input;

pub use input::{Line, read_input};

/// The files that say what comes out.
const OUTCOMES: [&str; 3] = ["expected.ndjson", "dead_letters.ndjson", "error.txt"];

/// What came out, as the text of each file; absent: empty.
pub type Outcome = BTreeMap<&'static str, String>;

pub struct Scenario {
    folder: PathBuf,
}

impl Scenario {
    pub fn new(folder: &Path) -> Scenario {
        Scenario { folder: folder.into() }
    }

    /// An error is for what is wrong with the scenario itself, or with the program while it runs.
    pub fn differences(&self, loader: &mut Loader) -> Result<Vec<String>> {
        let (outcome, tally) = self.run(loader)?;
        let mut found = Vec::new();
        if self.read("error.txt").is_some() || !outcome["error.txt"].is_empty() {
            let expected = self.read("error.txt").unwrap_or_default();
            if expected != outcome["error.txt"] {
                found.push(format!("expected the error\n{expected}found\n{}", outcome["error.txt"]));
            }
            return Ok(found);
        }
        for file in ["expected.ndjson", "dead_letters.ndjson"] {
            let (expected, actual) = (lines(&self.read(file).unwrap_or_default())?, lines(&outcome[file])?);
            found.extend(unmatched(expected, actual).into_iter().map(|line| format!("{file}: {line}")));
        }
        if let Some(expected) = self.read("tally.json") {
            let expected: Map<String, Value> = serde_json::from_str(&expected).context("tally.json")?;
            for (name, count) in expected {
                if tally[&name] != count {
                    found.push(format!("tally.json: {name}: expected {count}, counted {}", tally[&name]));
                }
            }
        }
        Ok(found)
    }

    /// Writes what came out into the folder; files with nothing in them are removed.
    pub fn update(&self, loader: &mut Loader) -> Result<()> {
        let (outcome, _) = self.run(loader)?;
        for (file, mut text) in outcome {
            let path = self.folder.join(file);
            if self.read(file).is_some_and(|before| before.contains("\"_text\"")) {
                continue; // written by hand
            }
            if file == "expected.ndjson" {
                text = without_text(&text)?;
            }
            if text.is_empty() {
                if path.exists() {
                    fs::remove_file(path)?;
                }
            } else {
                fs::write(path, text)?;
            }
        }
        Ok(())
    }

    fn run(&self, loader: &mut Loader) -> Result<(Outcome, Value)> {
        let mut outcome: Outcome = OUTCOMES.iter().map(|file| (*file, String::new())).collect();
        let mut pipeline = match self.start(loader)? {
            Ok(pipeline) => pipeline,
            Err(error) => {
                // A page must not show where somebody's checkout lies.
                let here = format!("{}/", self.folder.display());
                let root = format!("{}/", crate::workspace::root().display());
                outcome.insert("error.txt", format!("{}\n", error.replace(&here, "").replace(&root, "")));
                return Ok((outcome, Value::Null));
            }
        };
        let topic = self.settings().map_err(anyhow::Error::msg)?.kafka.topics[0].clone();
        for line in read_input(&self.input()?)? {
            match line {
                Line::Record { partition, record } => pipeline.record(&Partition::new(&topic, partition), record)?,
                Line::Idle(partition) => pipeline.idle(&Partition::new(&topic, partition))?,
                Line::Restart => pipeline.restart()?,
                Line::Partitions(_) => {}
            }
        }
        let mut documents = String::new();
        for (index, id, body) in pipeline.index().documents() {
            let source: Value = serde_json::from_slice(body).context("a document is no JSON")?;
            let text = String::from_utf8_lossy(body);
            documents += &format!("{}\n", json!({"_index": index, "_id": id, "_source": source, "_text": text}));
        }
        outcome.insert("expected.ndjson", documents);
        outcome.insert("dead_letters.ndjson", dead_letters(pipeline.dead_letters())?);
        let tally = pipeline.tally();
        let tally = json!({"records": tally.records, "dropped": tally.dropped, "tombstones": tally.tombstones});
        Ok((outcome, tally))
    }

    fn start(&self, loader: &mut Loader) -> Result<Result<VirtualPipeline, String>> {
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(error) => return Ok(Err(error)),
        };
        let input = if self.folder.join("input.ndjson").exists() { read_input(&self.input()?)? } else { Vec::new() };
        let partitions = match input.first() {
            Some(Line::Partitions(count)) => *count,
            _ => 1,
        };
        Ok(VirtualPipeline::start(&settings, partitions, loader).map_err(|error| error.to_string()))
    }

    fn settings(&self) -> Result<PipelineSettings, String> {
        let file = self.folder.join("pipeline.toml");
        let components = std::env::var_os("TIDEGATE_COMPONENTS").map(PathBuf::from);
        PipelineSettings::load(&file, &|_| None, components.as_deref()).map_err(|error| error.to_string())
    }

    fn input(&self) -> Result<String> {
        fs::read_to_string(self.folder.join("input.ndjson")).context("input.ndjson")
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }
}

/// Each identity once, as its headers without their prefix, its key and its value.
fn dead_letters(messages: &[Message]) -> Result<String> {
    let mut letters = BTreeMap::new();
    for message in messages {
        let mut line = Map::new();
        for (name, value) in &message.headers {
            let text = value.as_ref().map_or(Value::Null, |value| String::from_utf8_lossy(value).into());
            line.insert(name.strip_prefix("tidegate-").unwrap_or(name).to_owned(), text);
        }
        let Some(Value::String(identity)) = line.remove("identity") else { bail!("a dead letter without identity") };
        line.remove("pipeline");
        for (name, value) in [("key", &message.key), ("value", &message.value)] {
            if let Some(value) = value {
                line.insert(name.into(), shortened(&String::from_utf8_lossy(value)).into());
            }
        }
        if let Some(before) = letters.insert(identity.clone(), line.clone())
            && before != line
        {
            bail!("two different dead letters have the identity {identity}");
        }
    }
    Ok(letters.into_values().map(|line| format!("{}\n", Value::Object(line))).collect())
}

/// The documents as they are read, without the very text.
fn without_text(documents: &str) -> Result<String> {
    let mut kept = String::new();
    for mut document in lines(documents)? {
        if let Value::Object(fields) = &mut document {
            fields.remove("_text");
        }
        kept += &format!("{document}\n");
    }
    Ok(kept)
}

/// Long values would fill the page.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.into(),
    }
}

fn lines(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))).collect()
}

/// Pairs each expected line with an actual one that has all that it says; tells of those that have no partner.
fn unmatched(expected: Vec<Value>, mut actual: Vec<Value>) -> Vec<String> {
    let mut found = Vec::new();
    for line in expected {
        match actual.iter().position(|candidate| says(&line, candidate)) {
            Some(place) => drop(actual.swap_remove(place)),
            None => found.push(format!("missing {line}")),
        }
    }
    found.extend(actual.iter().map(|line| format!("unexpected {line}")));
    found
}

/// Whether `actual` has every key of `expected`, with the same value.
fn says(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            expected.iter().all(|(key, value)| actual.get(key).is_some_and(|found| found == value))
        }
        _ => expected == actual,
    }
}
