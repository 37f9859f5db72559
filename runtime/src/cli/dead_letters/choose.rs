//! Which dead letters a command is about.

use std::time::{Duration, SystemTime};

use clap::Args;
use jiff::Timestamp;
use thiserror::Error;

use crate::config::parse_duration;
use crate::pipeline::{LetterFilter, Moment};
use crate::record::{EventTime, ReasonKind};

/// The same for all commands. A letter must fit all of them; those that may be repeated fit if one of theirs does.
#[derive(Args)]
#[command(next_help_heading = "Which letters (all must fit; of an option that is repeated, one)")]
pub(super) struct LetterArgs {
    /// Written by the pipeline with this name, in place of the file's: for one that was renamed
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Why: a word such as `sink` or `plugin`; may be repeated
    #[arg(long, value_name = "WORD", value_parser = reason)]
    reason: Vec<ReasonKind>,
    /// Of this output; may be repeated
    #[arg(long, value_name = "NAME")]
    output: Vec<String>,
    /// Given up by this plugin: a transform's name, or the output's name and `.aggregate`; may be repeated
    #[arg(long, value_name = "NAME")]
    plugin: Vec<String>,
    /// Given up by this generation of a plugin; may be repeated
    #[arg(long, value_name = "N")]
    generation: Vec<u64>,
    /// Given up by a component whose digest begins so
    #[arg(long, value_name = "HEX", value_parser = digest)]
    digest: Option<String>,
    /// Refused by the index with this HTTP status; may be repeated
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(100..600))]
    status: Vec<u16>,
    /// Refused by the index after it was sent so often, or more often
    #[arg(long, value_name = "N")]
    attempts: Option<u16>,
    /// Refused by the index with this error, for example `document_parsing_exception`; may be repeated
    #[arg(long, value_name = "WORD")]
    error_type: Vec<String>,
    /// Refused by this index; may be repeated
    #[arg(long, value_name = "NAME")]
    index: Vec<String>,
    /// The id of the document that the index refused; may be repeated
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// Where it comes from: a topic, a partition or a record; may be repeated
    #[arg(long, value_name = "TOPIC[-PARTITION[-OFFSET]]")]
    origin: Vec<String>,
    /// Its message has this text
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    /// Written then or later: a time (RFC 3339), or how long ago (`90m`, `2d`)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<When>,
    /// Written before then: a time (RFC 3339), or how long ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<When>,
    /// With this identity; may be repeated
    #[arg(long, value_name = "IDENTITY")]
    identity: Vec<String>,
}

/// A time, or how long ago.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    At(EventTime),
    Ago(Duration),
}

/// What cannot be read on the command line.
#[derive(Debug, Error)]
pub(super) enum NotAFilter {
    #[error("no reason is called so; there are: {0}")]
    Reason(String),
    #[error("neither a time like 2026-01-31T12:00:00Z nor how long ago, like 90m or 2d")]
    Moment,
    #[error("a digest is up to 64 hexadecimal digits")]
    Digest,
}

fn reason(text: &str) -> Result<ReasonKind, NotAFilter> {
    let known = || ReasonKind::ALL.map(ReasonKind::name).join(", ");
    ReasonKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| NotAFilter::Reason(known()))
}

fn digest(text: &str) -> Result<String, NotAFilter> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hex && (1..=64).contains(&text.len())).then(|| text.to_ascii_lowercase()).ok_or(NotAFilter::Digest)
}

fn moment(text: &str) -> Result<When, NotAFilter> {
    if let Some(ago) = parse_duration(text) {
        return Ok(When::Ago(ago));
    }
    let time: Timestamp = text.parse().map_err(|_| NotAFilter::Moment)?;
    Ok(When::At(EventTime::from_micros(time.as_microsecond())))
}

impl LetterArgs {
    pub fn filter(&self) -> anyhow::Result<LetterFilter> {
        Ok(self.filter_at(Timestamp::try_from(SystemTime::now())?))
    }

    fn filter_at(&self, now: Timestamp) -> LetterFilter {
        let now = EventTime::from_micros(now.as_microsecond());
        let time = |when: When| match when {
            When::At(time) => Moment { time, ago: None },
            When::Ago(ago) => Moment { time: now.minus(ago), ago: Some(ago) },
        };
        LetterFilter {
            pipeline: self.pipeline.clone(),
            reasons: self.reason.clone(),
            outputs: self.output.clone(),
            plugins: self.plugin.clone(),
            generations: self.generation.clone(),
            digest: self.digest.clone(),
            statuses: self.status.clone(),
            attempts_min: self.attempts,
            error_types: self.error_type.clone(),
            indices: self.index.clone(),
            ids: self.id.clone(),
            origins: self.origin.clone(),
            contains: self.contains.clone(),
            since: self.since.map(time),
            until: self.until.map(time),
            identities: self.identity.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        letters: LetterArgs,
    }

    fn parse(arguments: &str) -> Result<LetterFilter, String> {
        let line = Line::try_parse_from(std::iter::once("x").chain(arguments.split_whitespace()));
        let now = Timestamp::from_second(100_000).expect("it is a time");
        line.map(|line| line.letters.filter_at(now)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_becomes_a_filter() {
        let arguments = "--pipeline before --reason sink --reason plugin --digest C0FF --status 400 --since 10s \
                         --until 1970-01-02T03:46:40Z";
        let time = EventTime::from_micros;
        let expected = LetterFilter {
            pipeline: Some("before".to_owned()),
            reasons: vec![ReasonKind::Sink, ReasonKind::Plugin],
            digest: Some("c0ff".to_owned()),
            statuses: vec![400],
            since: Some(Moment { time: time(99_990_000_000), ago: Some(Duration::from_secs(10)) }),
            until: Some(Moment { time: time(100_000_000_000), ago: None }),
            ..LetterFilter::default()
        };
        assert_eq!(parse(arguments), Ok(expected));
        assert!(parse("").expect("nothing is asked for").is_empty());
    }

    /// Each row names the options of a filter, and those alone.
    #[test]
    fn the_manual_has_all_filters() {
        use clap::CommandFactory;

        let page = include_str!("../../../../docs/dead-letters.md");
        let table = page.split("| filter | fits |").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a table");
        let names = table.lines().filter_map(|row| row.split('|').nth(1));
        let mut told: Vec<&str> = names.flat_map(|cell| cell.split("`--").skip(1)).collect();
        told.iter_mut().for_each(|name| *name = name.split([' ', '`']).next().unwrap_or_default());
        told.sort_unstable();
        let command = Line::command();
        let mut taken: Vec<&str> = command.get_arguments().filter_map(|argument| argument.get_long()).collect();
        taken.sort_unstable();
        assert_eq!(told, taken);
        for kind in ReasonKind::ALL {
            assert!(table.contains(&format!("`{}`", kind.name())), "{}", kind.name());
        }
    }

    #[test]
    fn what_can_fit_nothing_is_an_error_that_says_what_there_is() {
        let error = parse("--reason snk").expect_err("there is no such reason");
        assert!(error.contains("there are: json, schema, event-time") && error.contains("sink"), "{error}");
        assert!(parse("--since yesterday").expect_err("it is no time").contains("90m"));
        assert!(parse("--digest x").is_err() && parse("--status 7").is_err());
    }
}
