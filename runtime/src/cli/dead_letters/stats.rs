//! `tidegate dead-letters stats`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use super::choose::LetterArgs;
use super::{Letters, refused_by, time};
use crate::cli::columns::{Columns, grouped};
use crate::cli::{PipelineFile, print};
use crate::pipeline::FoundLetter;
use crate::record::EventTime;

#[derive(Args)]
pub(super) struct StatsArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// Prints JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    letters: LetterArgs,
}

/// Reason, output, and who refused it.
type Kind = (String, String, String);

#[derive(Default)]
struct Counts {
    letters: u64,
    /// The same identities once more.
    again: u64,
    first: Option<EventTime>,
    last: Option<EventTime>,
}

pub(super) fn run(args: &StatsArgs) -> anyhow::Result<()> {
    let mut kinds = BTreeMap::new();
    Letters::open(&args.pipeline, &args.letters)?.each(|found| {
        note(&mut kinds, &found);
        Ok(())
    })?;
    print(&if args.json { format!("{:#}\n", as_json(&kinds)) } else { table(&kinds) });
    Ok(())
}

fn note(kinds: &mut BTreeMap<Kind, Counts>, FoundLetter { letter, copies }: &FoundLetter) {
    let text = str::to_owned;
    let kind = (text(letter.reason()), text(letter.output().unwrap_or_default()), text(refused_by(letter)));
    let counts = kinds.entry(kind).or_default();
    counts.letters += 1;
    counts.again += u64::from(copies.saturating_sub(1));
    counts.last = counts.last.max(letter.written);
    counts.first = [counts.first, letter.written].into_iter().flatten().min();
}

fn table(kinds: &BTreeMap<Kind, Counts>) -> String {
    if kinds.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let mut columns = Columns::new(["reason", "output", "refused by", "letters", "written again", "first", "last"]);
    for ((reason, output, by), Counts { letters, again, first, last }) in kinds {
        let counts = [grouped(*letters), grouped(*again), time(*first), time(*last)];
        columns.row([reason, output, by].into_iter().cloned().chain(counts).collect());
    }
    let all: u64 = kinds.values().map(|counts| counts.letters).sum();
    format!("{}{} in all\n", columns.show(), grouped(all))
}

fn as_json(kinds: &BTreeMap<Kind, Counts>) -> Value {
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let shown = |((reason, output, by), counts): (&Kind, &Counts)| {
        json!({
            "reason": reason,
            "output": some(output),
            "refused_by": some(by),
            "letters": counts.letters,
            "written_again": counts.again,
            "first": counts.first.map(|time| time.to_string()),
            "last": counts.last.map(|time| time.to_string()),
        })
    };
    Value::Array(kinds.iter().map(shown).collect())
}
