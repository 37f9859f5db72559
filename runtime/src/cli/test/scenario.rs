//! A scenario's folder: what is in it, how it is run, and whether what came out is what it expects.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::cli::input::{Input, read_input};
use crate::config::PipelineSettings;
use crate::pipeline::Loader;

use super::compare::{self, Difference};
use super::outcome::Outcome;
use super::play::{Mode, Play};
use super::steady::{self, Unsteady};

pub(super) const PIPELINE: &str = "pipeline.toml";
pub(super) const INPUT: &str = "input.ndjson";
pub(super) const DOCUMENTS: &str = "expected.ndjson";
pub(super) const DEAD_LETTERS: &str = "dead_letters.ndjson";
pub(super) const TALLY: &str = "tally.json";
pub(super) const ERROR: &str = "error.txt";
/// What a line of [`DOCUMENTS`] may say.
const DOCUMENT_KEYS: [&str; 4] = ["_index", "_id", "_source", "_text"];

/// A file of the folder, and what is not in it as it should be.
pub(super) type Differences = Vec<(&'static str, Vec<Difference>)>;

pub(super) struct Scenario {
    folder: PathBuf,
    /// In place of the plugin directory that the pipeline file names.
    plugins: Option<PathBuf>,
}

/// What came of it, and what is wrong with that.
pub(super) struct Verdict {
    pub outcome: Outcome,
    pub differences: Differences,
    pub unsteady: Option<Unsteady>,
}

impl Scenario {
    pub fn new(folder: &Path, plugins: Option<&Path>) -> Scenario {
        Scenario { folder: folder.into(), plugins: plugins.map(Path::to_owned) }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// An error is for what is wrong with the scenario itself.
    pub fn judge(&self, loader: &mut Loader) -> Result<Verdict> {
        let mut settings = match self.settings() {
            Ok(settings) => vec![settings],
            Err(error) => return self.ends(self.error(&error)),
        };
        let has_input = self.folder.join(INPUT).exists() || !self.folder.join(ERROR).exists();
        let input = if has_input { self.input()? } else { Input::default() };
        for file in &input.deployed {
            match self.load(file, None) {
                Ok(deployed) => settings.push(deployed),
                Err(error) => return self.ends(self.error(&error)),
            }
        }
        let mut play = Play { settings: &settings, input: &input, loader, shorten: &|error| self.shortened(error) };
        let outcome = play.run(Mode::FIRST)?;
        let unsteady = steady::judge(&mut play, &outcome)?;
        Ok(Verdict { differences: self.differences(&outcome)?, outcome, unsteady })
    }

    /// Writes what came out into the files that say otherwise; the names of those.
    pub fn bless(&self, verdict: &Verdict) -> Result<Vec<&'static str>> {
        let mut written = Vec::new();
        for (file, _) in &verdict.differences {
            let before = self.read(file).unwrap_or_default();
            let Some(text) = blessed(file, &before, &verdict.outcome)? else { continue };
            let path = self.folder.join(file);
            if text.is_empty() { fs::remove_file(path) } else { fs::write(path, text) }.context(*file)?;
            written.push(*file);
        }
        Ok(written)
    }

    /// As its pipeline file says, with `${NAME}` taken from the environment.
    pub fn settings(&self) -> Result<PipelineSettings, String> {
        self.load(PIPELINE, self.plugins.as_deref())
    }

    fn load(&self, file: &str, plugins: Option<&Path>) -> Result<PipelineSettings, String> {
        let environment = |name: &str| std::env::var(name).ok();
        PipelineSettings::load(&self.folder.join(file), &environment, plugins).map_err(|error| error.to_string())
    }

    fn ends(&self, outcome: Outcome) -> Result<Verdict> {
        Ok(Verdict { differences: self.differences(&outcome)?, outcome, unsteady: None })
    }

    fn error(&self, error: &str) -> Outcome {
        Outcome { error: Some(self.shortened(error)), ..Outcome::default() }
    }

    /// A page must not show where somebody's checkout lies.
    fn shortened(&self, error: &str) -> String {
        format!("{}\n", error.replace(&format!("{}/", self.folder.display()), ""))
    }

    fn differences(&self, outcome: &Outcome) -> Result<Differences> {
        let expected = self.read(ERROR).unwrap_or_default();
        let found = outcome.error.clone().unwrap_or_default();
        if !expected.is_empty() || !found.is_empty() {
            let is_same = expected == found;
            let text = Difference::Text { expected, found };
            return Ok(if is_same { Vec::new() } else { vec![(ERROR, vec![text])] });
        }
        let mut found = Vec::new();
        for (file, lines) in [(DOCUMENTS, &outcome.documents), (DEAD_LETTERS, &outcome.dead_letters)] {
            found.push((file, compare::lines(&lines_of(file, &self.read(file).unwrap_or_default())?, lines)));
        }
        if let Some(text) = self.read(TALLY) {
            found.push((TALLY, compare::counters(&counters_of(&text)?, &outcome.tally)));
        }
        found.retain(|(_, differences)| !differences.is_empty());
        Ok(found)
    }

    fn input(&self) -> Result<Input> {
        let text = fs::read_to_string(self.folder.join(INPUT)).with_context(|| {
            format!("a scenario has an {INPUT}, with the records that come in; or an {ERROR}, where it does not start")
        })?;
        read_input(&text, INPUT)
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }
}

/// What a file is to hold; none where it was written by hand and cannot be made.
fn blessed(file: &str, before: &str, outcome: &Outcome) -> Result<Option<String>> {
    let righted = |lines: &[Value]| anyhow::Ok(compare::righted(before, &lines_of(file, before)?, lines));
    Ok(match file {
        DOCUMENTS if before.contains("\"_text\"") => None,
        DOCUMENTS => Some(righted(&outcome.comparable().documents)?),
        DEAD_LETTERS => Some(righted(&outcome.dead_letters)?),
        TALLY => {
            let counters = counters_of(before)?.into_iter().map(|(name, _)| {
                let count = outcome.tally.get(&name).cloned().unwrap_or_default();
                (name, count)
            });
            Some(format!("{}\n", Value::Object(counters.collect())))
        }
        _ => outcome.error.clone().or(Some(String::new())),
    })
}

fn lines_of(file: &str, text: &str) -> Result<Vec<Value>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(place, line)| {
            let at = || format!("{file}:{}: {line}", place + 1);
            let line: Value = serde_json::from_str(line).with_context(|| format!("{}: not JSON", at()))?;
            let Some(keys) = line.as_object() else { bail!("{}: a line is an object", at()) };
            // A dead letter may have any header.
            let unknown = keys.keys().find(|key| file == DOCUMENTS && !DOCUMENT_KEYS.contains(&key.as_str()));
            match unknown {
                Some(key) => bail!("{}: unknown key `{key}`, expected one of {}", at(), DOCUMENT_KEYS.join(", ")),
                None => Ok(line),
            }
        })
        .collect()
}

fn counters_of(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text).context(TALLY)
}
