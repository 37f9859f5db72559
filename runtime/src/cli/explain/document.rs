//! `tidegate explain document`: what made a document, step by step.

use clap::Args;

use crate::cli::columns::{Columns, count};
use crate::cli::{PipelineFile, print, terminal};
use crate::pipeline::{
    CheckpointReport, ComponentReport, DocumentName, DocumentReport, RecordReport, ServedReport, SpanReport, VersionOf,
    WindowReport, explain_document,
};

mod generations;

use generations::{made_record, made_window};

#[derive(Args)]
pub(super) struct DocumentArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// The document: its index and its id, or its id alone, which is then looked for in all indices that the outputs write
    #[arg(value_name = "[INDEX/]ID")]
    document: String,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DocumentArgs) -> anyhow::Result<()> {
    let settings = args.pipeline.load()?;
    let name = DocumentName::parse(&args.document, &settings)?;
    let report = explain_document(&settings, &name)?;
    print(&match args.json {
        true => format!("{}\n", serde_json::to_string_pretty(&report)?),
        false => shown(&report),
    });
    Ok(())
}

fn shown(report: &DocumentReport) -> String {
    let mut text: String = report.words.iter().map(|words| format!("{words}\n")).collect();
    for found in &report.found {
        let made_of = match (found.revision, found.offset) {
            (Some(revision), Some(offset)) => format!("revision {revision}, offset {offset}"),
            (_, _) => match found.version_of {
                VersionOf::Field => "a field of the record".to_owned(),
                VersionOf::Index | VersionOf::Offset => "counted by the index".to_owned(),
                VersionOf::Unknown => "of one of several outputs that write there".to_owned(),
            },
        };
        text += &format!("index {} has it in version {}: {made_of}\n", found.index, found.version);
    }
    report.records.iter().for_each(|record| text += &of_record(record));
    text += &report.window.as_ref().map(of_window).unwrap_or_default();
    for letter in &report.dead_letters {
        let message = terminal::plain(letter.message.as_bytes());
        text += &format!("\ndead letter {}: {}: {message}\n", letter.position, letter.reason);
        text += &format!("  `tidegate dead-letters show` with {} shows all of it\n", letter.position);
    }
    text += &format!("\nThe pipeline file names now:\n{}", components(&report.components));
    text += "Which of them a process serves with says `tidegate status`.\n";
    text
}

fn of_record(record: &RecordReport) -> String {
    let RecordReport { output, origin, timestamp, state, steps, now, made_by, checkpoints, letters } = record;
    let written = timestamp.as_ref().map(|time| format!(", written {time}")).unwrap_or_default();
    let mut text = format!("\nrecord {origin}{written}, of output {output}: {state}\n");
    if !steps.is_empty() {
        let mut columns = Columns::new(["step", "now", "what"]);
        for step in steps {
            let what = terminal::plain(step.what.as_bytes());
            columns.row(vec![step.place.clone(), step.verdict.clone(), what]);
        }
        text += &columns.show();
    }
    if !now.is_empty() {
        text += &format!("the present components make of it: {}\n", terminal::plain(now.as_bytes()));
    }
    match made_by {
        Some(made_by) => text + &made_record(made_by),
        None => text + &served(checkpoints) + &named_by(letters) + sure_of(checkpoints, letters),
    }
}

fn served(checkpoints: &[CheckpointReport]) -> String {
    let mut text = String::new();
    for it in checkpoints {
        let side = if it.is_before { "before" } else { "behind" };
        text += &format!("the checkpoint {side} it, at offset {}, names:\n{}", it.next, components(&it.components));
    }
    text
}

fn named_by(letters: &[ServedReport]) -> String {
    if letters.is_empty() {
        return String::new();
    }
    let mut columns = Columns::new(["plugin", "version", "digest", "generation", "of record"]);
    for ServedReport { plugin, version, digest, generation, origin, .. } in letters {
        let generation = generation.map(|generation| generation.to_string()).unwrap_or_default();
        columns.row(vec![
            plugin.clone(),
            version.clone().unwrap_or_default(),
            short(digest),
            generation,
            origin.clone(),
        ]);
    }
    format!("the dead letters around it name:\n{}", columns.show())
}

/// Where the partition's position does not tell.
fn sure_of(checkpoints: &[CheckpointReport], letters: &[ServedReport]) -> &'static str {
    let mut digests: Vec<_> = checkpoints.iter().map(|it| &it.components).collect();
    digests.dedup();
    match (checkpoints.len(), digests.len(), letters) {
        (0, _, []) => {
            "The partition's position does not tell what served then, and no checkpoint and no dead letter is near: only the present components \
             are known.\n"
        }
        (2, 1, _) => "Both checkpoints name the same: unless another one served between them, these made it.\n",
        (0, _, _) => {
            "The partition's position does not tell what served then: of a plugin that is the same before it and behind it, this one, unless \
             another one served between them.\n"
        }
        (_, _, _) => {
            "The partition's position does not tell what served then: it was one of these, or one that served between them.\n"
        }
    }
}

fn of_window(window: &WindowReport) -> String {
    let WindowReport { output, start, end, group, partition, parts, spans, parts_are_cut, made_by, merged_by } = window;
    let end = end.as_ref().map(|end| format!(" to {end}")).unwrap_or_default();
    let mut text = format!("\nwindow {start}{end} of output {output}, group {}\n", terminal::plain(group.as_bytes()));
    if let Some(partition) = partition {
        text +=
            &format!("it is of partition {partition} alone; the offset of its version is of the last record in it\n");
    }
    if parts.is_empty() {
        return text + &by_time(spans) + &made_window(made_by, merged_by.as_ref());
    }
    let records = parts.iter().map(|part| part.records).sum();
    text += &format!("merged of {}, {} in all:\n", count(parts.len() as u64, "part"), count(records, "record"));
    let mut columns = Columns::new(["part of", "offsets", "records", "component", "revision", "position"]);
    for part in parts {
        columns.row(vec![
            part.source.clone(),
            format!("{}..{}", part.first_offset, part.last_offset),
            part.records.to_string(),
            short(&part.component),
            part.revision.to_string(),
            part.position.clone(),
        ]);
    }
    text += &columns.show();
    if *parts_are_cut {
        text += "The parts topic has lost its oldest messages: there may have been more parts.\n";
    }
    text + &made_window(made_by, merged_by.as_ref())
}

/// Offsets between which the records of a window are, perhaps.
fn by_time(spans: &[SpanReport]) -> String {
    if spans.is_empty() {
        return String::new();
    }
    let is_folded = spans.iter().any(|span| span.records.is_some());
    let mut columns = Columns::new(["partition", "offsets", "records"]);
    for SpanReport { source, first_offset, last_offset, records } in spans {
        let records = records.map_or_else(|| "?".to_owned(), |records| records.to_string());
        columns.row(vec![source.clone(), format!("{first_offset}..{last_offset}"), records]);
    }
    let what = match is_folded {
        true => "the present components fold these into it, of the records that Kafka has of about its time",
        false => "records of the window's time, by their timestamps in Kafka",
    };
    format!(
        "{what}:\n{}Records whose event time is a field may be in it too that were written at another time.\n",
        columns.show()
    )
}

fn components(components: &[ComponentReport]) -> String {
    let mut columns = Columns::new(["plugin", "version", "digest"]);
    for ComponentReport { name, version, digest } in components {
        columns.row(vec![name.clone(), version.clone().unwrap_or_default(), short(digest)]);
    }
    if columns.is_empty() { "no plugins\n".to_owned() } else { columns.show() }
}

/// As `tidegate status` shows it.
fn short(digest: &str) -> String {
    digest.get(..12).unwrap_or(digest).to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::pipeline::{FoundDocument, PartReport, StepReport};

    fn component(digest: &str) -> ComponentReport {
        ComponentReport { name: "mark".to_owned(), version: Some("1".to_owned()), digest: digest.to_owned() }
    }

    #[test]
    fn a_record_is_told_step_by_step() {
        let step = |place: &str, verdict: &str, what: &str| StepReport {
            place: place.to_owned(),
            verdict: verdict.to_owned(),
            what: what.to_owned(),
        };
        let checkpoint = |next, is_before| CheckpointReport { next, is_before, components: vec![component("c0ffee")] };
        let report = DocumentReport {
            id: "all:events-1-5".to_owned(),
            found: vec![FoundDocument {
                index: "all".to_owned(),
                version: 5,
                version_of: VersionOf::Offset,
                revision: Some(0),
                offset: Some(5),
                source: None,
            }],
            records: vec![RecordReport {
                output: "all".to_owned(),
                origin: "events-1-5".to_owned(),
                timestamp: Some("2026-01-31T12:00:00Z".to_owned()),
                state: "settled".to_owned(),
                steps: vec![step("decode", "kept", ""), step("mark", "changed", "mark=\"two\"")],
                now: "another document than the index has: mark=\"two\" (was \"one\")".to_owned(),
                made_by: None,
                checkpoints: vec![checkpoint(3, true), checkpoint(9, false)],
                letters: Vec::new(),
            }],
            components: vec![component("decaf")],
            ..DocumentReport::default()
        };
        expect![[r#"
            index all has it in version 5: revision 0, offset 5

            record events-1-5, written 2026-01-31T12:00:00Z, of output all: settled
            STEP    NOW      WHAT
            decode  kept
            mark    changed  mark="two"
            the present components make of it: another document than the index has: mark="two" (was "one")
            the checkpoint before it, at offset 3, names:
            PLUGIN  VERSION  DIGEST
            mark    1        c0ffee
            the checkpoint behind it, at offset 9, names:
            PLUGIN  VERSION  DIGEST
            mark    1        c0ffee
            Both checkpoints name the same: unless another one served between them, these made it.

            The pipeline file names now:
            PLUGIN  VERSION  DIGEST
            mark    1        decaf
            Which of them a process serves with says `tidegate status`.
        "#]]
        .assert_eq(&shown(&report));
    }

    #[test]
    fn dead_letters_around_a_record_name_what_served() {
        let of = |origin: &str, generation, is_before| ServedReport {
            plugin: "mark".to_owned(),
            version: Some("0.1.0".to_owned()),
            digest: "c0ffee".to_owned(),
            generation,
            origin: origin.to_owned(),
            is_before,
        };
        let record = RecordReport {
            output: "all".to_owned(),
            origin: "events-1-5".to_owned(),
            timestamp: None,
            state: "settled".to_owned(),
            steps: Vec::new(),
            now: String::new(),
            made_by: None,
            checkpoints: Vec::new(),
            letters: vec![of("events-1-3", Some(2), true), of("events-1-9", None, false)],
        };
        expect![[r#"

            record events-1-5, of output all: settled
            the dead letters around it name:
            PLUGIN  VERSION  DIGEST  GENERATION  OF RECORD
            mark    0.1.0    c0ffee  2           events-1-3
            mark    0.1.0    c0ffee              events-1-9
            The partition's position does not tell what served then: of a plugin that is the same before it and behind it, this one, unless another one served between them.
        "#]].assert_eq(&of_record(&record));
        assert!(
            of_record(&RecordReport { letters: Vec::new(), ..record }).contains("no checkpoint and no dead letter")
        );
    }

    fn window(parts: Vec<PartReport>, spans: Vec<SpanReport>) -> WindowReport {
        WindowReport {
            output: "counts".to_owned(),
            start: "2026-01-31T12:00:00Z".to_owned(),
            end: Some("2026-01-31T12:01:00Z".to_owned()),
            group: "s2:DE;".to_owned(),
            partition: None,
            parts_are_cut: parts.is_empty(),
            parts,
            spans,
            made_by: Vec::new(),
            merged_by: None,
        }
    }

    #[test]
    fn a_window_without_parts_is_told_by_its_time() {
        let span = SpanReport { source: "events-0".to_owned(), first_offset: 3, last_offset: 8, records: None };
        let window = window(Vec::new(), vec![span]);
        expect![[r#"

            window 2026-01-31T12:00:00Z to 2026-01-31T12:01:00Z of output counts, group s2:DE;
            records of the window's time, by their timestamps in Kafka:
            PARTITION  OFFSETS  RECORDS
            events-0   3..8     ?
            Records whose event time is a field may be in it too that were written at another time.
        "#]]
        .assert_eq(&of_window(&window));
    }

    #[test]
    fn a_window_is_told_with_its_parts() {
        let part = |source: &str, last_offset| PartReport {
            source: source.to_owned(),
            first_offset: 0,
            last_offset,
            records: 4,
            component: "c0ffee".to_owned(),
            revision: 0,
            position: "clicks.parts-0-7".to_owned(),
        };
        let window = window(vec![part("events-0", 8), part("events-1", 5)], Vec::new());
        expect![[r#"

            window 2026-01-31T12:00:00Z to 2026-01-31T12:01:00Z of output counts, group s2:DE;
            merged of 2 parts, 8 records in all:
            PART OF   OFFSETS  RECORDS  COMPONENT  REVISION  POSITION
            events-0  0..8     4        c0ffee     0         clicks.parts-0-7
            events-1  0..5     4        c0ffee     0         clicks.parts-0-7
        "#]]
        .assert_eq(&of_window(&window));
    }
}
