//! `tidegate dead-letters`: what a pipeline could not index, to look at, to take out, and to send again when what was wrong is mended.

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use thiserror::Error;

mod choose;
mod export;
mod list;
mod new_file;
mod pretty;
mod replay;
mod show;
mod stats;

use super::PipelineFile;
use crate::config::PipelineSettings;
use crate::pipeline::{DeadLetterTopic, FoundLetter, LetterFilter};
use crate::record::{ErrorKind, EventTime, HasKind, Origin};
use crate::sink::Letter;
use crate::sink::dead_letter::{
    ATTEMPTS, ERROR_TYPE, ID, INDEX, PIPELINE, PLUGIN, PLUGIN_DIGEST, PLUGIN_GENERATION, STATUS,
};

use choose::LetterArgs;
pub use replay::LettersLeft;

#[derive(Args)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Lists dead letters, the newest last
    List(list::ListArgs),
    /// Shows all of one dead letter, and what can be done about it
    Show(show::ShowArgs),
    /// Counts dead letters by reason, output and who refused them
    Stats(stats::StatsArgs),
    /// Sends dead letters through the present components and settings again, and writes none
    Replay(replay::ReplayArgs),
    /// Writes dead letters into a file, a line of JSON each, so that nothing of them is lost
    Export(export::ExportArgs),
}

/// Why a command is not done, apart from what servers and components say.
#[derive(Debug, Error)]
pub enum DeadLetterCommandError {
    #[error("no dead letter fits; {there} of the pipeline in topic=`{topic}`: `tidegate dead-letters list` shows them")]
    NotThere { topic: String, there: String },
    #[error(
        "{fit} dead letters fit, and one is shown: name it by its position or identity, as `tidegate dead-letters list` shows it"
    )]
    Several { fit: u64 },
    #[error("the file is there already, and is not overwritten: file=`{}`", file.display())]
    Exists { file: PathBuf },
}

impl HasKind for DeadLetterCommandError {
    fn kind(&self) -> ErrorKind {
        match self {
            DeadLetterCommandError::NotThere { .. }
            | DeadLetterCommandError::Several { .. }
            | DeadLetterCommandError::Exists { .. } => ErrorKind::Config,
        }
    }
}

pub fn run(args: &DeadLettersArgs) -> anyhow::Result<()> {
    match &args.what {
        What::List(args) => list::run(args),
        What::Show(args) => show::run(args),
        What::Stats(args) => stats::run(args),
        What::Replay(args) => replay::run(args),
        What::Export(args) => export::run(args),
    }
}

/// The topic of a pipeline file, and what fits.
struct Letters {
    settings: PipelineSettings,
    filter: LetterFilter,
    topic: DeadLetterTopic,
}

fn load(pipeline: &PipelineFile, letters: &LetterArgs) -> anyhow::Result<(PipelineSettings, LetterFilter)> {
    let settings = pipeline.load()?;
    let mut filter = letters.filter()?;
    // Said or not, it is the same filter.
    filter.pipeline = filter.pipeline.filter(|pipeline| *pipeline != settings.name);
    Ok((settings, filter))
}

impl Letters {
    fn open(pipeline: &PipelineFile, letters: &LetterArgs) -> anyhow::Result<Letters> {
        let (settings, filter) = load(pipeline, letters)?;
        let topic = DeadLetterTopic::open_for(&settings, &filter)?;
        if topic.foreign() > 0 {
            let (messages, topic) = (topic.foreign(), topic.name());
            tracing::warn!(messages, topic, "passed over: they are no dead letters of this pipeline");
        }
        Ok(Letters { settings, filter, topic })
    }

    fn each(&self, mut show: impl FnMut(FoundLetter) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut failed = None;
        self.topic.each(&self.filter, |found| match show(found) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn not_there(&self) -> DeadLetterCommandError {
        let there = super::columns::count(self.topic.identities() as u64, "dead letter");
        DeadLetterCommandError::NotThere { topic: self.topic.name().to_owned(), there }
    }
}

/// `PARTITION-OFFSET` in the dead-letter topic.
fn position(origin: &Origin) -> String {
    format!("{}-{}", origin.partition.number, origin.offset)
}

fn time(time: Option<EventTime>) -> String {
    time.map_or_else(String::new, |time| time.to_string())
}

/// The plugin that gave it up, or the index's word for the error.
fn refused_by(letter: &Letter) -> &str {
    letter.text(PLUGIN).or_else(|| letter.text(ERROR_TYPE)).unwrap_or_default()
}

/// What a line of JSON says of a letter, everywhere.
fn as_json(FoundLetter { letter, copies }: &FoundLetter) -> Value {
    json!({
        "position": position(&letter.position),
        "time": letter.written.map(|time| time.to_string()),
        "identity": letter.identity(),
        "pipeline": letter.text(PIPELINE),
        "reason": letter.reason(),
        "message": letter.message(),
        "output": letter.output(),
        "plugin": letter.text(PLUGIN),
        "generation": letter.number::<u64>(PLUGIN_GENERATION),
        "digest": letter.text(PLUGIN_DIGEST),
        "status": letter.number::<u16>(STATUS),
        "attempts": letter.number::<u16>(ATTEMPTS),
        "error_type": letter.text(ERROR_TYPE),
        "index": letter.text(INDEX),
        "id": letter.text(ID),
        "origin": letter.origin(),
        "copies": copies,
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::record::{BatchBuilder, Offset, Partition};

    #[test]
    fn a_line_has_all_that_a_filter_can_ask_for() {
        let mut batch = BatchBuilder::new(EventTime::MIN);
        batch.push(Offset(17), Some(EventTime::from_micros(1_500_000)), None, Some(b"{}"));
        for (name, value) in [
            ("identity", "events-3-7/all/0"),
            ("pipeline", "clicks"),
            ("reason", "sink"),
            ("message", "failed to parse"),
            ("origin", "events-3-7"),
            ("output", "all"),
            ("plugin", "mark"),
            ("plugin-digest", "c0ffee"),
            ("plugin-generation", "3"),
            ("status", "400"),
            ("attempts", "2"),
            ("error-type", "document_parsing_exception"),
            ("index", "all-1"),
            ("id", "all:events-3-7"),
        ] {
            batch.header(format!("tidegate-{name}").as_bytes(), Some(value.as_bytes()));
        }
        let letter = Letter::read(&Partition::new("dead", 0), &batch.finish(), 0).expect("it has an identity");
        expect![[r#"
            {
              "attempts": 2,
              "copies": 2,
              "digest": "c0ffee",
              "error_type": "document_parsing_exception",
              "generation": 3,
              "id": "all:events-3-7",
              "identity": "events-3-7/all/0",
              "index": "all-1",
              "message": "failed to parse",
              "origin": "events-3-7",
              "output": "all",
              "pipeline": "clicks",
              "plugin": "mark",
              "position": "0-17",
              "reason": "sink",
              "status": 400,
              "time": "1970-01-01T00:00:01.5Z"
            }"#]]
        .assert_eq(&format!("{:#}", as_json(&FoundLetter { letter, copies: 2 })));
    }
}
