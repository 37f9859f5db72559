//! What comes in: `input.ndjson` of a scenario, or a sample of records as they are, line by line.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::pipeline::VirtualRecord;
use crate::record::{ErrorKind, EventTime, HasKind};

/// The arguments that name a file of records.
#[derive(Args, Clone, Debug)]
pub struct InputFile {
    /// Records that come in, as a scenario's `input.ndjson` has them
    #[arg(long, value_name = "FILE", conflicts_with = "sample")]
    input: Option<PathBuf>,
    /// In place of it: records as they are, one JSON value a line
    #[arg(long, value_name = "FILE")]
    sample: Option<PathBuf>,
}

/// Why there are no records.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("cannot read the records: {error}; file=`{}`", file.display())]
    Read { file: PathBuf, error: std::io::Error },
    #[error(
        "a line is not what a scenario's input has: {what}; records as they are, one JSON value a line, are given with --sample"
    )]
    Line { what: String },
    #[error("there is no pipeline.toml here, nor one in a folder of scenarios; name the pipeline file")]
    NoPipeline,
    #[error("there are no records to begin with; give some with --input FILE or --sample FILE")]
    Unnamed,
    #[error("no record of the file reaches the component{0}")]
    Unusable(String),
    #[error("there are no records in the file; file=`{}`", .0.display())]
    Empty(PathBuf),
}

impl HasKind for InputError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Config
    }
}

impl InputFile {
    /// A scenario's.
    pub fn of(file: PathBuf) -> Self {
        InputFile { input: Some(file), sample: None }
    }

    /// None where no file is named.
    pub fn read(&self) -> Result<Option<Input>, InputError> {
        let (file, is_sample) = match (&self.input, &self.sample) {
            (Some(file), _) => (file, false),
            (None, Some(file)) => (file, true),
            (None, None) => return Ok(None),
        };
        let text = fs::read(file).map_err(|error| InputError::Read { file: file.clone(), error })?;
        let input = if is_sample { sample(&text) } else { scenario(&text, &file.display().to_string())? };
        if input.records().next().is_none() { Err(InputError::Empty(file.clone())) } else { Ok(Some(input)) }
    }
}

fn scenario(text: &[u8], name: &str) -> Result<Input, InputError> {
    read_input(&String::from_utf8_lossy(text), name).map_err(|error| InputError::Line { what: format!("{error:#}") })
}

/// Lines that are no JSON are records as well.
fn sample(text: &[u8]) -> Input {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let record = |line: &[u8]| VirtualRecord { value: Some(line.to_vec()), ..VirtualRecord::default() };
    let lines = lines.map(|line| Line::Record { partition: 0, record: record(line) }).collect();
    Input { lines, ..Input::default() }
}

/// What a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    Record {
        partition: i32,
        record: VirtualRecord,
    },
    Idle(i32),
    Restart,
    /// The next pipeline file is deployed.
    Deploy,
}

/// What comes in, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// Of each source topic.
    pub partitions: i32,
    pub lines: Vec<Line>,
    /// The pipeline files that are deployed on the way, in order.
    pub deployed: Vec<String>,
}

impl Input {
    pub fn records(&self) -> impl Iterator<Item = &VirtualRecord> {
        self.lines.iter().filter_map(|line| match line {
            Line::Record { record, .. } => Some(record),
            Line::Idle(_) | Line::Restart | Line::Deploy => None,
        })
    }
}

impl Default for Input {
    fn default() -> Self {
        Input { partitions: 1, lines: Vec::new(), deployed: Vec::new() }
    }
}

/// A line as it is written.
enum Written {
    Line(Line),
    Partitions(i32),
    Deploy(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    partitions: Option<i32>,
    idle: Option<i32>,
    restart: Option<bool>,
    deploy: Option<String>,
    #[serde(default)]
    partition: i32,
    #[serde(default, deserialize_with = "given")]
    timestamp: Option<Option<String>>,
    key: Option<String>,
    #[serde(default)]
    headers: Vec<(String, Option<String>)>,
    #[serde(default, deserialize_with = "given")]
    value: Option<Box<RawValue>>,
    raw: Option<String>,
    base64: Option<String>,
    pad: Option<usize>,
    pad_with: Option<String>,
}

/// Tells `null` from absent.
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// `name` is the file's, for messages.
pub(super) fn read_input(text: &str, name: &str) -> Result<Input> {
    let mut timestamp = Some(EventTime::from_micros(0));
    let mut input = Input::default();
    for (place, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let here = || format!("{name}:{}: {line}", place + 1);
        match read_line(line, &mut timestamp).with_context(here)? {
            Written::Partitions(count) if place == 0 && count > 0 => input.partitions = count,
            Written::Partitions(_) => {
                return Err(anyhow!("a topic has one partition or more, and the first line says so"))
                    .with_context(here);
            }
            Written::Deploy(file) => {
                input.deployed.push(file);
                input.lines.push(Line::Deploy);
            }
            Written::Line(line) => {
                in_range(&line, input.partitions).with_context(here)?;
                input.lines.push(line);
            }
        }
    }
    Ok(input)
}

fn in_range(line: &Line, partitions: i32) -> Result<()> {
    match line {
        Line::Record { partition, .. } | Line::Idle(partition) if !(0..partitions).contains(partition) => bail!(
            "there is no such partition=`{partition}`; the first line says how many there are: {{\"partitions\": {}}}",
            partition.saturating_add(1).max(1)
        ),
        Line::Record { .. } | Line::Idle(_) | Line::Restart | Line::Deploy => Ok(()),
    }
}

fn read_line(line: &str, timestamp: &mut Option<EventTime>) -> Result<Written> {
    let wire: Wire = serde_json::from_str(line)?;
    let object: serde_json::Map<String, Value> = serde_json::from_str(line)?;
    match (wire.partitions, wire.idle, wire.restart, &wire.deploy) {
        (Some(count), None, None, None) if object.len() == 1 => return Ok(Written::Partitions(count)),
        (None, Some(partition), None, None) if object.len() == 1 => return Ok(Written::Line(Line::Idle(partition))),
        (None, None, Some(true), None) if object.len() == 1 => return Ok(Written::Line(Line::Restart)),
        (None, None, None, Some(file)) if object.len() == 1 => return Ok(Written::Deploy(file.clone())),
        (None, None, None, None) => {}
        _ => bail!("an event stands alone in its line"),
    }
    match &wire.timestamp {
        Some(Some(text)) => {
            let time: Timestamp = text.parse().context("the timestamp")?;
            *timestamp = Some(EventTime::from_micros(time.as_microsecond()));
        }
        Some(None) => *timestamp = None,
        None => {}
    }
    let record = VirtualRecord {
        timestamp: *timestamp,
        value: value(&wire)?,
        key: wire.key.map(String::into_bytes),
        headers: wire.headers.into_iter().map(|(name, value)| (name, value.map(String::into_bytes))).collect(),
    };
    Ok(Written::Line(Line::Record { partition: wire.partition, record }))
}

fn value(wire: &Wire) -> Result<Option<Vec<u8>>> {
    Ok(match (&wire.value, &wire.raw, &wire.base64) {
        (None, None, None) => None,
        (Some(json), None, None) => Some(json.get().as_bytes().to_vec()),
        (None, Some(raw), None) => {
            let padding = wire.pad_with.as_deref().unwrap_or("x").repeat(wire.pad.unwrap_or(0));
            Some(raw.replace("{PAD}", &padding).into_bytes())
        }
        (None, None, Some(text)) => Some(base64_bytes(text)?),
        _ => bail!("only one of value, raw and base64"),
    })
}

fn base64_bytes(text: &str) -> Result<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).context("base64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_records_as_they_are_and_a_line_that_is_none_of_a_scenario_says_where() {
        let records = sample(b"{\"a\": 1}\r\n\nno JSON\n");
        let values: Vec<_> = records.records().filter_map(|record| record.value.clone()).collect();
        assert_eq!(values, [b"{\"a\": 1}".to_vec(), b"no JSON".to_vec()]);
        let error = scenario(b"{\"value\": 1}\n{\"a\": 1}\n", "events.ndjson").expect_err("no line of a scenario");
        let said = error.to_string();
        assert!(said.contains("events.ndjson:2: {\"a\": 1}: unknown field `a`") && said.contains("--sample"), "{said}");
    }
}
