//! Whole pipelines, in virtual time, some of whose records make a component do evil; and the same without them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use tidegate::cli::Exit;
use tidegate::config::PipelineSettings;
use tidegate::pipeline::{Loader, PipelineError, Plugins, VirtualPipeline, VirtualRecord};
use tidegate::plugin::UsageCounts;
use tidegate::record::{EventTime, Message, Partition};

use crate::counting::most_bytes;
use crate::puppet::Script;
use crate::workspace::scratch;

pub const TOPIC: &str = "events";
/// How batches are cut; the outcome must not depend on it.
pub const BATCHES: [usize; 3] = [1, 7, usize::MAX];
/// What the host may have of its own for a pipeline as small as these, whatever a component gives back.
const HOST_BYTES_MAX: usize = 24 << 20;

/// A record: when, whose, where it goes, and what it makes a puppet do.
#[derive(Clone, Debug)]
pub struct Record {
    pub partition: i32,
    pub minute: u32,
    pub group: String,
    pub mood: &'static str,
    /// None: an innocent.
    pub evil: Option<Evil>,
}

#[derive(Clone, Debug)]
pub struct Evil {
    pub name: String,
    pub script: Option<Script>,
}

impl Record {
    pub fn innocent(minute: u32, group: &str) -> Self {
        Record { partition: 0, minute, group: group.into(), mood: "fine", evil: None }
    }

    pub fn evil(minute: u32, group: &str, name: &str, script: Option<Script>) -> Self {
        Record { evil: Some(Evil { name: name.into(), script }), ..Record::innocent(minute, group) }
    }

    fn record(&self, with_evil: bool) -> VirtualRecord {
        let time = EventTime::from_micros(1_740_830_400_000_000 + i64::from(self.minute) * 60_000_000);
        let (key, value) = match &self.evil {
            // It never comes to the component, and what follows keeps its offset.
            Some(_) if !with_evil => (None, "no JSON".to_owned()),
            evil => {
                let key = evil.as_ref().and_then(|evil| Some(evil.script.as_ref()?.to_bytes()));
                let millis = time.micros() / 1000;
                (key, format!(r#"{{"at":{millis},"g":{:?},"mood":{:?},"n":{}}}"#, self.group, self.mood, self.minute))
            }
        };
        VirtualRecord { timestamp: Some(time), key, value: Some(value.into_bytes()), headers: Vec::new() }
    }
}

/// Innocents before, between and after the evil records.
pub fn among_innocents(deeds: Vec<(String, Script)>) -> Vec<Record> {
    let mut records = vec![Record::innocent(0, "a")];
    for (number, (name, script)) in (0u32..).zip(deeds) {
        records.push(Record::evil(number / 8, "a", &name, Some(script)));
        records.push(Record::innocent(number / 8, ["a", "b", "c"][number as usize % 3]));
    }
    records
}

/// A pipeline file in a folder of its own.
pub struct Job {
    folder: PathBuf,
    stages: String,
    partitions: i32,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Index, id, body.
    pub documents: Vec<(String, String, Vec<u8>)>,
    /// By what they are of: an origin or a document's id. Their reason in full.
    pub letters: BTreeMap<String, String>,
    /// Why it stopped, and with which exit code.
    pub stopped: Option<(u8, String)>,
    pub dropped: u64,
    /// Of the first plugin.
    pub usage: UsageCounts,
    pub host_bytes: usize,
}

impl Job {
    /// `stages` are the transforms and outputs of the pipeline file; `plugins` are put into its folder.
    pub fn new(name: &str, stages: &str, plugins: &[(&str, &[u8])]) -> Self {
        let folder = scratch(&format!("evil-{name}"));
        for (name, bytes) in plugins {
            fs::write(folder.join(format!("{name}.wasm")), bytes).expect("the scratch folder is writable");
        }
        Job { folder, stages: stages.into(), partitions: 1 }
    }

    pub fn with_partitions(self, partitions: i32) -> Self {
        Job { partitions, ..self }
    }

    fn settings(&self) -> Result<PipelineSettings, String> {
        let text = format!(
            r#"
            name = "evil"
            plugins = "."
            [source.kafka]
            brokers = "localhost:9092"
            topics = ["{TOPIC}"]
            [source.decode]
            event_time = "at"
            [watermark]
            out_of_order = "0s"
            [sink.elasticsearch]
            urls = ["http://localhost:9200"]
            {}
            "#,
            self.stages
        );
        let variable = |name: &str| std::env::var(name).ok();
        let read = PipelineSettings::parse(&text, &self.folder.join("pipeline.toml"), &variable, None);
        read.map(|(settings, _)| settings).map_err(|errors| errors.to_string())
    }

    /// Why it does not start, and with which exit code.
    pub fn refusal(&self, loader: &mut Loader) -> (u8, String) {
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(errors) => return (Exit::Config as u8, errors),
        };
        let started = VirtualPipeline::start(&settings, self.partitions, usize::MAX, loader);
        stopped(started.err().expect("it does not start"))
    }

    /// Plays these records, or the innocents among them, in batches of so many.
    pub fn play(&self, records: &[Record], with_evil: bool, batch: usize, loader: &mut Loader) -> Outcome {
        let settings = self.settings().unwrap_or_else(|errors| panic!("{errors}"));
        let plugins = Plugins::load(&settings, loader).unwrap_or_else(|error| panic!("{error}"));
        let pipeline = VirtualPipeline::of(&settings, &plugins, self.partitions, batch);
        let mut pipeline = pipeline.unwrap_or_else(|error| panic!("{error}"));
        let (played, host_bytes) = most_bytes(|| -> Result<(), PipelineError> {
            for record in records {
                let partition = Partition::new(TOPIC, record.partition);
                pipeline.record(&partition, record.record(with_evil))?;
            }
            pipeline.settle()
        });
        assert!(host_bytes < HOST_BYTES_MAX, "the host had {host_bytes} bytes, in batches of {batch}");
        let documents = pipeline.index().documents();
        Outcome {
            documents: documents.map(|(index, id, body)| (index.into(), id.into(), body.into())).collect(),
            letters: pipeline.dead_letters().iter().map(letter).collect(),
            stopped: played.err().map(stopped),
            dropped: pipeline.tally().dropped,
            usage: plugins.usage().map(|(_, usage)| usage).next().unwrap_or_default(),
            host_bytes,
        }
    }

    /// What became of each evil record, in a line, those of one name together: the same however batches are cut, while the documents of the innocents are, byte
    /// by byte, those of a run without them.
    pub fn judge(&self, records: &[Record], memory_bytes_max: u64) -> String {
        let mut loader = Loader::default();
        let mut table = None;
        for batch in BATCHES {
            let found = self.play(records, true, batch, &mut loader);
            let without = self.play(records, false, batch, &mut loader);
            assert_eq!(found.stopped, None, "in batches of {batch}");
            let evil = evil_of(records);
            let mut lines: Vec<String> = evil.iter().map(|(origin, evil)| line(&found, origin, evil)).collect();
            let mut seen = BTreeSet::new();
            lines.retain(|line| seen.insert(line.clone()));
            let shown = |outcome: &Outcome| -> String {
                let innocent = |id: &str| !evil.iter().any(|(origin, evil)| is_of(id, origin, evil));
                let documents = outcome.documents.iter().filter(|(_, id, _)| innocent(id));
                documents.map(|(index, id, body)| format!("{index} {id} {}\n", String::from_utf8_lossy(body))).collect()
            };
            assert_eq!(shown(&found), shown(&without), "the innocents', in batches of {batch}");
            assert!(!shown(&found).is_empty(), "there are innocents");
            let most = found.usage.memory_bytes_most;
            assert!(most <= memory_bytes_max, "an instance had {most} bytes, in batches of {batch}");
            let table = table.get_or_insert_with(|| lines.clone());
            assert_eq!(kinds(table), kinds(&lines), "in batches of {batch}");
        }
        table.unwrap_or_default().concat()
    }
}

/// Numbers of rows and groups may differ with the cut; what a record became must not.
fn kinds(lines: &[String]) -> Vec<&str> {
    lines.iter().map(|line| line.split(": ").next().unwrap_or(line)).collect()
}

fn stopped(error: PipelineError) -> (u8, String) {
    let said = error.to_string();
    (Exit::of(&error.into()) as u8, said)
}

/// The evil ones, each with where it lies.
fn evil_of(records: &[Record]) -> Vec<(String, &Evil)> {
    let mut ends: BTreeMap<i32, u64> = BTreeMap::new();
    let mut found = Vec::new();
    for record in records {
        let end = ends.entry(record.partition).or_default();
        found.extend(record.evil.as_ref().map(|evil| (format!("{TOPIC}-{}-{end}", record.partition), evil)));
        *end += 1;
    }
    found
}

/// Whether a document is the record's, or that of a window of a group that is named like it.
fn is_of(id: &str, origin: &str, evil: &Evil) -> bool {
    let of_record = id.rsplit(':').next().and_then(|end| end.split('/').next());
    of_record == Some(origin) || id.contains(&format!(":{};", evil.name))
}

fn line(found: &Outcome, origin: &str, evil: &Evil) -> String {
    let letter = found.letters.iter().find(|(of, _)| *of == origin || is_of(of, origin, evil));
    let document = found.documents.iter().any(|(_, id, _)| is_of(id, origin, evil));
    let became = match (letter, document) {
        (Some((_, reason)), false) => reason.clone(),
        (None, true) => "a document like any other".into(),
        (None, false) => "nothing of its own".into(),
        (Some((_, reason)), true) => format!("a document, and {reason}"),
    };
    format!("{} → {became}\n", evil.name)
}

fn letter(message: &Message) -> (String, String) {
    let header = |name: &str| {
        let found = message.headers.iter().find(|(other, _)| other == name);
        found.and_then(|(_, value)| value.as_deref()).map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let of = header("tidegate-id").or_else(|| header("tidegate-origin")).unwrap_or_default();
    let text = header("tidegate-message").unwrap_or_default();
    (of, format!("{}: {}", header("tidegate-reason").unwrap_or_default(), without_times(&text)))
}

/// How long a deadline was differs, and so may how much memory there was.
fn without_times(message: &str) -> String {
    let Some((before, rest)) = message.split_once("come back within ") else { return message.into() };
    let after = rest.split_once(" of CPU time").map_or("", |(_, after)| after);
    format!(
        "{before}come back in time{}",
        after.strip_suffix(", and is where other records never came back from").unwrap_or(after)
    )
}
