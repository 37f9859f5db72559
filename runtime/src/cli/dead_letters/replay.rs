//! `tidegate dead-letters replay`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use thiserror::Error;

use super::choose::LetterArgs;
use super::{as_json, load, position};
use crate::cli::columns::{Columns, count, grouped};
use crate::cli::{PipelineFile, print, run::stop_on_signals, terminal};
use crate::pipeline::{self, Fate, FoundLetter, Replay, Replayed};
use crate::record::{Offset, Partition};

/// How many kinds of refusals are shown.
const KINDS_MAX: usize = 20;

#[derive(Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// What they go through: the components and settings that the pipeline file names now
    #[arg(long, value_name = "COMPONENTS", value_enum, num_args = 0..=1, default_value = "present", default_missing_value = "present")]
    through: Through,
    /// At most so many, the oldest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// Runs everything up to the index, and says what would be sent
    #[arg(long)]
    dry_run: bool,
    /// Begins with the oldest letter, not where the last replay with the same filters goes on
    #[arg(long)]
    from_beginning: bool,
    /// Prints a line of JSON for each letter that is left, and one that says how many there were
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    letters: LetterArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Through {
    Present,
}

/// Not all that was chosen is settled.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum LettersLeft {
    #[error("{}", words(*refused, *stuck, *stopped))]
    Replay { refused: u64, stuck: u64, stopped: bool },
    /// Whatever it found, nothing was to be settled.
    #[error("the dry run was stopped before the end; nothing was sent")]
    DryRun,
}

fn words(refused: u64, stuck: u64, stopped: bool) -> String {
    let left =
        format!("dead letters are left: {} refused again, {} cannot be replayed", grouped(refused), grouped(stuck));
    if stopped { format!("stopped before the end; {left}") } else { left }
}

fn outcome(replayed: &Replayed, dry_run: bool) -> Result<(), LettersLeft> {
    let (refused, stuck, stopped) = (replayed.refused, replayed.stuck.values().sum(), replayed.stopped);
    match dry_run {
        true if stopped => Err(LettersLeft::DryRun),
        false if refused + stuck > 0 || stopped => Err(LettersLeft::Replay { refused, stuck, stopped }),
        true | false => Ok(()),
    }
}

/// What was refused again, told together: the reason then, the reason now, and who refuses it now.
type Refusal = (String, String, String, String);

#[derive(Default)]
struct Refusals {
    /// How many, and the first message.
    kinds: BTreeMap<Refusal, (u64, String)>,
}

pub(super) fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    let Through::Present = args.through;
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
        false => format!("{}{}", refusals.table(args.dry_run), shown(&replayed, args.dry_run)),
    });
    Ok(outcome(&replayed, args.dry_run)?)
}

impl Refusals {
    fn note(&mut self, found: &FoundLetter, fate: &Fate) {
        let Fate::Refused { reason, message, output, by } = fate else { return };
        let before = found.letter.reason().to_owned();
        let output = output.as_deref().or(found.letter.output()).unwrap_or_default().to_owned();
        let kind = (before, reason.clone(), output, by.clone());
        self.kinds.entry(kind).or_insert_with(|| (0, message.clone())).0 += 1;
    }

    fn table(&self, dry_run: bool) -> String {
        if self.kinds.is_empty() {
            return String::new();
        }
        let refused = if dry_run { "would be refused again" } else { "refused again" };
        let head = [refused, "reason then", "reason now", "output", "refused by", "the first says"];
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
    let mut stuck: BTreeMap<&str, u64> = BTreeMap::new();
    for (obstacle, count) in &replayed.stuck {
        *stuck.entry(obstacle.name()).or_default() += count;
    }
    let reached = replayed.positions.iter().map(|(partition, _, reached)| position(&partition.origin(*reached)));
    json!({ "summary": {
        "dry_run": dry_run,
        "chosen": replayed.chosen,
        "settled": replayed.settled,
        "refused": replayed.refused,
        "cannot_be_replayed": stuck,
        "indices": indices.collect::<serde_json::Map<_, _>>(),
        "taken": replayed.taken,
        "superseded": replayed.superseded,
        "dropped_by_policy": replayed.dropped_by_policy,
        "dropped_by_filters": replayed.dropped,
        "beside": replayed.beside,
        "left_out": replayed.left_out,
        "foreign": replayed.foreign,
        "left_before": replayed.left_before,
        "reached": reached.collect::<Vec<_>>(),
        "stopped": replayed.stopped,
        "more": replayed.is_cut,
        "goes_on": positions(&replayed.goes_on),
    }})
}

/// For people. Where there is nothing to say there is no line.
fn shown(replayed: &Replayed, dry_run: bool) -> String {
    let Replayed { chosen, settled, refused, stuck, indices, .. } = replayed;
    if *chosen == 0 {
        let nothing = if replayed.stopped { "stopped before any was sent\n" } else { "no dead letters to replay\n" };
        return format!("{}{nothing}", begun(replayed));
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
    let why = match (replayed.stopped, replayed.is_cut) {
        (true, _) => "stopped; ",
        (false, true) => "there are more; ",
        (false, false) => "",
    };
    if dry_run {
        text += &format!("{why}nothing was sent\n");
    } else if !why.is_empty() {
        let goes_on = positions(&replayed.goes_on).join(", ");
        text += &format!("{why}the next replay with the same filters goes on at position {goes_on}\n");
    }
    text
}

/// Where an earlier replay had come to.
fn begun(replayed: &Replayed) -> String {
    let begun = replayed.positions.iter().filter_map(|(partition, begun, _)| Some((partition.clone(), (*begun)?)));
    let begun = positions(&begun.collect::<Vec<_>>()).join(", ");
    let left = match replayed.left_before {
        0 => String::new(),
        left => format!("; left before it: {}", count(left, "dead letter")),
    };
    match begun.is_empty() {
        true => String::new(),
        false => format!("went on at position {begun}{left}; --from-beginning starts over\n"),
    }
}

fn positions(of: &[(Partition, Offset)]) -> Vec<String> {
    of.iter().map(|(partition, offset)| position(&partition.origin(*offset))).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::pipeline::Obstacle;

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
        assert_eq!(shown(&Replayed::default(), false), "no dead letters to replay\n");
    }

    #[test]
    fn it_says_where_the_next_one_goes_on() {
        let goes_on = vec![(Partition::new("dead", 0), Offset(12)), (Partition::new("dead", 1), Offset(4))];
        let told = |replayed: Replayed, dry_run| {
            let text = shown(&replayed, dry_run);
            [text.lines().next().unwrap_or_default().to_owned(), text.lines().last().unwrap_or_default().to_owned()]
        };
        let cut = Replayed { chosen: 1, is_cut: true, goes_on, ..Replayed::default() };
        let next = "the next replay with the same filters goes on at position 0-12, 1-4";
        assert_eq!(told(cut.clone(), false)[1], format!("there are more; {next}"));
        assert_eq!(told(Replayed { stopped: true, ..cut.clone() }, false)[1], format!("stopped; {next}"));
        assert_eq!(told(cut.clone(), true)[1], "there are more; nothing was sent");
        assert_eq!(told(Replayed { is_cut: false, ..cut.clone() }, true)[1], "nothing was sent");
        assert_eq!(told(Replayed { stopped: true, ..cut.clone() }, true)[1], "stopped; nothing was sent");
        let stopped = Replayed { stopped: true, ..Replayed::default() };
        assert_eq!(told(stopped, false)[1], "stopped before any was sent");

        let positions = vec![(Partition::new("dead", 0), Some(Offset(7)), Offset(7))];
        let nothing = Replayed { positions, left_before: 3, ..Replayed::default() };
        assert_eq!(
            told(nothing, false),
            [
                "went on at position 0-7; left before it: 3 dead letters; --from-beginning starts over",
                "no dead letters to replay"
            ]
        );
        assert_eq!(summary(&cut, false)["summary"]["goes_on"], json!(["0-12", "1-4"]));
    }

    #[test]
    fn a_dry_run_says_what_would_be_and_leaves_nothing_undone() {
        let stuck = BTreeMap::from([(Obstacle::Windows, 2)]);
        let replayed = Replayed { chosen: 6, settled: 1, refused: 3, stuck, is_cut: true, ..Replayed::default() };
        let text = shown(&replayed, true);
        expect![[r#"
            6 dead letters: 1 would be settled, 3 would be refused again, 2 cannot be replayed
              2 cannot be replayed: they belong into windows only, and those would have to be written anew: `tidegate rewind` reads their records again
            there are more; nothing was sent
        "#]]
        .assert_eq(&text);
        assert_eq!(outcome(&replayed, true), Ok(()));
        let left = LettersLeft::Replay { refused: 3, stuck: 2, stopped: false };
        assert_eq!(left.to_string(), "dead letters are left: 3 refused again, 2 cannot be replayed");
        assert_eq!(outcome(&replayed, false), Err(left));
        let stopped = Replayed { stopped: true, ..Replayed::default() };
        assert_eq!(outcome(&stopped, true), Err(LettersLeft::DryRun));
        assert_eq!(outcome(&Replayed::default(), false), Ok(()));

        let kind = ("plugin".to_owned(), "plugin".to_owned(), "all".to_owned(), "mark".to_owned());
        let refusals = Refusals { kinds: BTreeMap::from([(kind, (3, "no user".to_owned()))]) };
        assert!(refusals.table(true).starts_with("WOULD BE REFUSED AGAIN  "), "{}", refusals.table(true));
        assert!(refusals.table(false).starts_with("REFUSED AGAIN  "), "{}", refusals.table(false));
    }

    #[test]
    fn letters_of_several_outputs_that_are_gone_are_told_apart_and_counted_together() {
        let gone = |name: &str| Obstacle::UnknownOutput(name.to_owned());
        let stuck = BTreeMap::from([(gone("a"), 2), (gone("b"), 3)]);
        let replayed = Replayed { chosen: 5, stuck, ..Replayed::default() };
        assert_eq!(summary(&replayed, false)["summary"]["cannot_be_replayed"], json!({ "unknown-output": 5 }));
        let text = shown(&replayed, false);
        assert!(
            text.contains(
                "  2 cannot be replayed: the pipeline file does not have their output any more: output=`a`\n"
            ),
            "{text}"
        );
        assert!(text.contains("output=`b`\n"), "{text}");
    }

    #[test]
    fn the_present_components_may_be_named() {
        use clap::Parser;

        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            replay: ReplayArgs,
        }
        for arguments in
            ["p.toml", "p.toml --through", "p.toml --through present", "--through present p.toml --pipeline before"]
        {
            let line = Line::try_parse_from(std::iter::once("x").chain(arguments.split_whitespace()));
            let line = line.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((line.replay.through, line.replay.pipeline.file.to_str()), (Through::Present, Some("p.toml")));
        }
        let other = Line::try_parse_from(["x", "p.toml", "--through", "former"]).map(drop);
        assert!(other.expect_err("there are no others").to_string().contains("present"));
    }
}
