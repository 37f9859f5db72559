//! `tidegate dead-letters replay`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use thiserror::Error;

use super::choose::LetterArgs;
use super::{as_json, load, position};
use crate::cli::columns::{Columns, grouped};
use crate::cli::{PipelineFile, print, run::stop_on_signals, terminal};
use crate::pipeline::{self, Fate, FoundLetter, Replay, Replayed};

/// How many kinds of refusals are shown.
const KINDS_MAX: usize = 20;

#[derive(Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// At most so many, the oldest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// Runs everything up to the index, and says what would be sent
    #[arg(long)]
    dry_run: bool,
    /// Begins with the oldest letter, not where the last replay without a filter has ended
    #[arg(long)]
    from_beginning: bool,
    /// Prints a line of JSON for each letter that is left, and one that says how many there were
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    letters: LetterArgs,
}

/// Not all that was chosen is settled.
#[derive(Debug, Error)]
#[error("{}", words(*refused, *stuck, *stopped))]
pub struct LettersLeft {
    refused: u64,
    stuck: u64,
    stopped: bool,
}

fn words(refused: u64, stuck: u64, stopped: bool) -> String {
    let left =
        format!("dead letters are left: {} refused again, {} cannot be replayed", grouped(refused), grouped(stuck));
    if stopped { format!("stopped before the end; {left}") } else { left }
}

/// What was refused again, told together: the reason then, the reason now, and who refuses it now.
type Refusal = (String, String, String, String);

#[derive(Default)]
struct Refusals {
    /// How many, and the first message.
    kinds: BTreeMap<Refusal, (u64, String)>,
}

pub(super) fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    let (settings, filter) = load(&args.pipeline, &args.letters)?;
    let asked = Replay { filter, letters_max: args.max, dry_run: args.dry_run, from_beginning: args.from_beginning };
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    stop_on_signals(move || flag.store(true, Relaxed)).context("signals cannot be waited for")?;
    let mut refusals = Refusals::default();
    let replayed = pipeline::replay(&settings, &asked, &stop, &mut |found, fate| match args.json {
        true => left(found, fate).into_iter().for_each(|line| print(&format!("{line}\n"))),
        false => refusals.note(found, fate),
    })?;
    print(&match args.json {
        true => format!("{}\n", summary(&replayed, args.dry_run)),
        false => format!("{}{}", refusals.table(), shown(&replayed, args.dry_run)),
    });
    let (refused, stuck, stopped) = (replayed.refused, replayed.stuck.values().sum(), replayed.stopped);
    if refused + stuck > 0 || stopped {
        return Err(LettersLeft { refused, stuck, stopped }.into());
    }
    Ok(())
}

impl Refusals {
    fn note(&mut self, found: &FoundLetter, fate: &Fate) {
        let Fate::Refused { reason, message, output, by } = fate else { return };
        let before = found.letter.reason().to_owned();
        let output = output.as_deref().or(found.letter.output()).unwrap_or_default().to_owned();
        let kind = (before, reason.clone(), output, by.clone());
        self.kinds.entry(kind).or_insert_with(|| (0, message.clone())).0 += 1;
    }

    fn table(&self) -> String {
        if self.kinds.is_empty() {
            return String::new();
        }
        let head = ["refused again", "reason then", "reason now", "output", "refused by", "the first says"];
        let mut columns = Columns::new(head);
        let mut most: Vec<_> = self.kinds.iter().collect();
        most.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for ((before, now, output, by), (count, message)) in most.iter().take(KINDS_MAX) {
            let message = terminal::plain(message.as_bytes());
            columns.row(vec![grouped(*count), before.clone(), now.clone(), output.clone(), by.clone(), message]);
        }
        let more = most.len().saturating_sub(KINDS_MAX);
        let more = if more > 0 { format!("and {more} kinds more: --json shows each letter\n") } else { String::new() };
        format!("{}{more}\n", columns.show())
    }
}

/// What there is to say of a letter that is not settled.
fn left(found: &FoundLetter, fate: &Fate) -> Option<Value> {
    let mut line = as_json(found);
    line["now"] = match fate {
        Fate::Settled => return None,
        Fate::Refused { reason, message, output, by } => {
            let by = Some(by).filter(|by| !by.is_empty());
            json!({ "fate": "refused", "reason": reason, "message": message, "output": output, "refused_by": by })
        }
        Fate::Stuck(obstacle) => {
            json!({ "fate": "cannot-be-replayed", "obstacle": obstacle.name(), "message": obstacle.words() })
        }
    };
    Some(line)
}

fn summary(replayed: &Replayed, dry_run: bool) -> Value {
    let indices = replayed
        .indices
        .iter()
        .map(|(name, (written, deleted))| (name.clone(), json!({ "documents": written, "deletes": deleted })));
    let stuck = replayed.stuck.iter().map(|(obstacle, count)| (obstacle.name().to_owned(), json!(count)));
    let at = |(partition, _, reached): &(crate::record::Partition, _, crate::record::Offset)| {
        position(&partition.origin(*reached))
    };
    json!({ "summary": {
        "dry_run": dry_run,
        "chosen": replayed.chosen,
        "settled": replayed.settled,
        "refused": replayed.refused,
        "cannot_be_replayed": stuck.collect::<serde_json::Map<_, _>>(),
        "indices": indices.collect::<serde_json::Map<_, _>>(),
        "taken": replayed.taken,
        "superseded": replayed.superseded,
        "dropped_by_policy": replayed.dropped_by_policy,
        "dropped_by_filters": replayed.dropped,
        "beside": replayed.beside,
        "left_out": replayed.left_out,
        "foreign": replayed.foreign,
        "reached": replayed.positions.iter().map(at).collect::<Vec<_>>(),
        "stopped": replayed.stopped,
    }})
}

/// For people. Where there is nothing to say there is no line.
fn shown(replayed: &Replayed, dry_run: bool) -> String {
    let Replayed { chosen, settled, refused, stuck, indices, .. } = replayed;
    if *chosen == 0 {
        return format!("{}{}", begun(replayed), "no dead letters to replay\n");
    }
    let stuck_all: u64 = stuck.values().sum();
    let would = if dry_run { "would be " } else { "" };
    let mut text = begun(replayed);
    text += &format!(
        "{} dead letters: {} {would}settled, {} {would}refused again, {} cannot be replayed\n",
        grouped(*chosen),
        grouped(*settled),
        grouped(*refused),
        grouped(stuck_all)
    );
    for (index, (written, deleted)) in indices {
        let verb = if dry_run { "would be sent" } else { "were sent" };
        let deletes = if *deleted > 0 { format!(" and {} deletes", grouped(*deleted)) } else { String::new() };
        text += &format!("  {} documents{deletes} {verb} to index {index}\n", grouped(*written));
    }
    if !dry_run {
        text += &format!(
            "  {} documents were taken; of {} the index had this version or a newer one\n",
            grouped(replayed.taken),
            grouped(replayed.superseded)
        );
    }
    let mut some = |count: u64, what: &str| {
        if count > 0 {
            text += &format!("  {} {what}\n", grouped(count));
        }
    };
    some(replayed.dropped_by_policy, "documents were dropped, as the policy of the pipeline file says");
    some(replayed.dropped, "records are dropped by a filter now");
    let left_out = replayed.left_out.join(", ");
    let beside = format!(
        "of these belong to {left_out} as well, where windows and updates are not written anew: `tidegate rewind` does that"
    );
    some(replayed.beside, &beside);
    for (obstacle, count) in stuck {
        some(*count, &format!("cannot be replayed: {}", obstacle.words()));
    }
    if dry_run {
        text += "nothing was sent\n";
    } else if replayed.stopped {
        let reached = replayed.positions.iter().map(|(partition, _, next)| position(&partition.origin(*next)));
        let reached: Vec<String> = reached.collect();
        text += &format!("stopped; all before position {} was looked at\n", reached.join(", "));
    }
    text
}

/// Where an earlier replay had come to.
fn begun(replayed: &Replayed) -> String {
    let begun =
        replayed.positions.iter().filter_map(|(partition, begun, _)| Some(position(&partition.origin((*begun)?))));
    let begun: Vec<String> = begun.collect();
    match begun.is_empty() {
        true => String::new(),
        false => format!("went on at position {}; --from-beginning starts over\n", begun.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::pipeline::Obstacle;
    use crate::record::{Offset, Partition};

    #[test]
    fn what_was_done_is_told_in_words() {
        let replayed = Replayed {
            chosen: 10_003,
            settled: 10_000,
            refused: 1,
            stuck: BTreeMap::from([(Obstacle::Windows, 2)]),
            indices: BTreeMap::from([("all".to_owned(), (10_001, 0))]),
            taken: 9_990,
            superseded: 10,
            positions: vec![(Partition::new("dead", 0), Some(Offset(7)), Offset(10_010))],
            ..Replayed::default()
        };
        expect![[r#"
            went on at position 0-7; --from-beginning starts over
            10,003 dead letters: 10,000 settled, 1 refused again, 2 cannot be replayed
              10,001 documents were sent to index all
              9,990 documents were taken; of 10 the index had this version or a newer one
              2 cannot be replayed: they belong into windows only, and those would have to be written anew: `tidegate rewind` reads their records again
        "#]]
        .assert_eq(&shown(&replayed, false));
        let stopped = Replayed { stopped: true, ..replayed };
        assert!(shown(&stopped, false).ends_with("stopped; all before position 0-10010 was looked at\n"));
        assert_eq!(shown(&Replayed::default(), false), "no dead letters to replay\n");
    }
}
