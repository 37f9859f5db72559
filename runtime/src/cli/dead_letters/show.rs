//! `tidegate dead-letters show`.

use clap::Args;

use super::choose::LetterArgs;
use super::pretty::pretty;
use super::{DeadLetterCommandError, Letters, position, time};
use crate::cli::columns::{Columns, count};
use crate::cli::{PipelineFile, print, terminal};
use crate::config::PipelineSettings;
use crate::pipeline::FoundLetter;
use crate::record::ReasonKind;
use crate::sink::dead_letter::{INDEX, PIPELINE, PLUGIN};
use crate::sink::{Letter, Subject};

#[derive(Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// Which: its position as `list` shows it, or its identity; without it the only one that fits
    #[arg(value_name = "POSITION|IDENTITY")]
    which: Option<String>,
    #[command(flatten)]
    letters: LetterArgs,
}

pub(super) fn run(args: &ShowArgs) -> anyhow::Result<()> {
    let letters = Letters::open(&args.pipeline, &args.letters)?;
    let is_it = |letter: &Letter| {
        args.which.as_ref().is_none_or(|which| *which == letter.identity() || *which == position(&letter.position))
    };
    let (mut it, mut fit) = (None, 0);
    letters.each(|found| {
        if is_it(&found.letter) {
            fit += 1;
            it = Some(found);
        }
        Ok(())
    })?;
    let found = it.ok_or_else(|| letters.not_there())?;
    if fit > 1 {
        return Err(DeadLetterCommandError::Several { fit }.into());
    }
    let file = args.pipeline.file.display().to_string();
    print(&shown(&found, &letters.settings, &file));
    Ok(())
}

fn shown(FoundLetter { letter, copies }: &FoundLetter, settings: &PipelineSettings, file: &str) -> String {
    let mut columns = Columns::new(["what", "is"]);
    let mut add = |name: &str, value: &[u8]| columns.row(vec![name.to_owned(), terminal::plain(value)]);
    add("position", position(&letter.position).as_bytes());
    add("written", time(letter.written).as_bytes());
    if *copies > 1 {
        add("written again", count(u64::from(copies - 1), "time").as_bytes());
    }
    for (name, value) in letter.ours().iter().chain(letter.own()) {
        add(name, value.as_deref().unwrap_or(b"(null)"));
    }
    let bytes = |what: &str, bytes: &Option<Vec<u8>>| match bytes {
        None => format!("{what}: null\n"),
        Some(bytes) => format!("{what}, {}:\n{}", count(bytes.len() as u64, "byte"), pretty(bytes)),
    };
    format!(
        "{}\n{}\n{}\n{}\n",
        columns.show(),
        bytes("KEY", &letter.key),
        bytes("VALUE", &letter.value),
        advice(letter, settings, file)
    )
}

/// What can be done about it: a line.
fn advice(letter: &Letter, settings: &PipelineSettings, file: &str) -> String {
    let replay = |filter: &str| format!("tidegate dead-letters replay {file} {filter}");
    let rewind = format!("tidegate rewind {file} --to TIME");
    let has_windows = |name: &str| settings.outputs.iter().any(|it| it.name == name && it.aggregate.is_some());
    let Some(kind) = ReasonKind::ALL.into_iter().find(|kind| kind.name() == letter.reason()) else {
        return "A later version of tidegate wrote it, and knows what to do about it.".to_owned();
    };
    let is_known = |name: &&str| settings.outputs.iter().any(|it| it.name == *name);
    if let Some(output) = letter.output().filter(|name| !is_known(name)) {
        return format!(
            "The pipeline file does not have output {output} any more; with one of this name, ask once more."
        );
    }
    let into_window = match letter.subject() {
        Subject::Record { output, .. } => output.is_some_and(has_windows),
        Subject::Document { .. } => kind != ReasonKind::Sink,
        Subject::Part { .. } => true,
        Subject::Unknown => false,
    };
    let plugin = letter.text(PLUGIN).unwrap_or("the plugin");
    let mend = match kind {
        ReasonKind::Json => "The record is no JSON: its producer must be mended, and write it again".to_owned(),
        ReasonKind::Schema => "List its version under `schema_versions` of [source.decode]".to_owned(),
        ReasonKind::EventTime => "Let `event_time` of [source.decode] name the field that has its time".to_owned(),
        ReasonKind::Future => "Raise `max_future` of [watermark], or let `on_future` clamp it".to_owned(),
        ReasonKind::Field => format!("Give the field a default in [source.decode], or let {plugin} ask for another"),
        ReasonKind::Plugin | ReasonKind::Trap | ReasonKind::Deadline | ReasonKind::Contract => {
            format!("Mend {plugin}, or its settings")
        }
        ReasonKind::Late => "Raise `out_of_order` of [watermark], or let `late` of the output wait for it".to_owned(),
        ReasonKind::LatePart => {
            "Raise `idle_grace` of [watermark], so that a partition is waited for longer".to_owned()
        }
        ReasonKind::Groups => "Raise `groups_max` of the output, or group by fewer values".to_owned(),
        ReasonKind::Document => "Mend `id` or `index` of the output".to_owned(),
        ReasonKind::Sink => {
            format!("Mend the mapping of index {}, or what the message names", letter.text(INDEX).unwrap_or_default())
        }
    };
    let mut filter = format!("--reason {kind}");
    if let Some(plugin) = letter.text(PLUGIN) {
        filter += &format!(" --plugin {plugin}");
    }
    if let Some(pipeline) = letter.text(PIPELINE).filter(|pipeline| *pipeline != settings.name) {
        filter += &format!(" --pipeline {pipeline}");
    }
    match (kind, into_window) {
        (ReasonKind::Json, _) => format!("{mend}."),
        (_, true) => format!("{mend}; its window has closed without it, and `{rewind}` writes it anew."),
        (_, false) => format!("{mend}, then `{}`.", replay(&filter)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::expect;

    use super::*;
    use crate::record::{BatchBuilder, EventTime, Offset, Partition};

    const FILE: &str = r#"
        name = "clicks"
        [source.kafka]
        brokers = "localhost:9092"
        topics = ["events"]
        [source.decode]
        event_time = "time"
        [watermark]
        out_of_order = "1m"
        [sink.elasticsearch]
        urls = ["http://localhost:9200"]
        [[output]]
        name = "all"
        index = "all"
        [[output]]
        name = "counts"
        index = "counts"
        [output.aggregate]
        plugin = "count.wasm"
        group_by = ["g"]
        window = { tumbling = "1m" }
    "#;

    fn settings() -> PipelineSettings {
        let parsed = PipelineSettings::parse(FILE, Path::new("p.toml"), &|_| None, None);
        parsed.unwrap_or_else(|errors| panic!("{errors}")).0
    }

    fn found(headers: &[(&str, &str)]) -> FoundLetter {
        let mut batch = BatchBuilder::new(EventTime::MIN);
        batch.push(Offset(17), Some(EventTime::from_micros(1_500_000)), None, Some(br#"{"n":"x"}"#));
        headers.iter().for_each(|(name, value)| batch.header(name.as_bytes(), Some(value.as_bytes())));
        let letter = Letter::read(&Partition::new("dead", 0), &batch.finish(), 0).expect("it has an identity");
        FoundLetter { letter, copies: 2 }
    }

    #[test]
    fn all_of_a_letter_is_shown() {
        let found = found(&[
            ("trace", "x"),
            ("tidegate-identity", "events-3-7/all/0"),
            ("tidegate-reason", "sink"),
            ("tidegate-message", "failed to parse\nfield [n]"),
            ("tidegate-index", "all"),
        ]);
        expect![[r#"
            WHAT               IS
            position           0-17
            written            1970-01-01T00:00:01.5Z
            written again      1 time
            tidegate-identity  events-3-7/all/0
            tidegate-reason    sink
            tidegate-message   failed to parse field [n]
            tidegate-index     all
            trace              x

            KEY: null

            VALUE, 9 bytes:
            {
              "n": "x"
            }

            Mend the mapping of index all, or what the message names, then `tidegate dead-letters replay p.toml --reason sink`.
        "#]]
        .assert_eq(&shown(&found, &settings(), "p.toml"));
    }

    #[test]
    fn what_can_be_done_goes_by_reason_and_output() {
        let told = |identity: &str, reason: &str| {
            advice(
                &found(&[
                    ("tidegate-identity", identity),
                    ("tidegate-reason", reason),
                    ("tidegate-plugin", "mark"),
                    ("tidegate-index", "counts"),
                ])
                .letter,
                &settings(),
                "p.toml",
            )
        };
        assert_eq!(
            told("events-3-7//0", "trap"),
            "Mend mark, or its settings, then `tidegate dead-letters replay p.toml --reason trap --plugin mark`."
        );
        assert!(told("events-3-7/counts/0", "late").ends_with("`tidegate rewind p.toml --to TIME` writes it anew."));
        assert!(told("document/counts/a", "plugin").contains("rewind"));
        assert!(told("document/counts/a", "sink").contains("replay"));
        assert!(ReasonKind::ALL.iter().all(|kind| !told("events-3-7/all/0", kind.name()).contains('\n')));
    }

    #[test]
    fn what_can_be_done_goes_by_the_names_of_now() {
        let told = |name: &str, value: &str| {
            let headers = [("tidegate-identity", "events-3-7/all/0"), ("tidegate-reason", "trap"), (name, value)];
            advice(&found(&headers).letter, &settings(), "p.toml")
        };
        assert_eq!(
            told("tidegate-pipeline", "before"),
            "Mend the plugin, or its settings, then `tidegate dead-letters replay p.toml --reason trap --pipeline before`."
        );
        assert!(told("tidegate-pipeline", "clicks").ends_with("--reason trap`."));
        assert!(told("tidegate-output", "all").contains("replay"));
        assert!(told("tidegate-output", "gone").contains("does not have output gone any more"));
    }
}
