//! `tidegate dead-letters list`.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use clap::Args;

use super::choose::LetterArgs;
use super::{Letters, as_json, position, refused_by, time};
use crate::cli::columns::{Columns, count};
use crate::cli::{PipelineFile, print, terminal};
use crate::pipeline::FoundLetter;

#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    max: u32,
    /// Prints a line of JSON for each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    letters: LetterArgs,
}

pub(super) fn run(args: &ListArgs) -> anyhow::Result<()> {
    let letters = Letters::open(&args.pipeline, &args.letters)?;
    let (mut newest, mut fit) = (BTreeMap::new(), 0);
    letters.each(|found| {
        fit += 1;
        let place = &found.letter.position;
        newest.insert((found.letter.written, place.partition.number, place.offset), found);
        if newest.len() > args.max as usize {
            newest.pop_first();
        }
        Ok(())
    })?;
    let newest: Vec<FoundLetter> = newest.into_values().collect();
    if args.json {
        newest.iter().for_each(|found| print(&format!("{}\n", as_json(found))));
        return Ok(());
    }
    let width = if std::io::stdout().is_terminal() { terminal::size().0 } else { usize::MAX };
    print(&table(&newest, width));
    if fit > newest.len() as u64 {
        tracing::info!("the newest {} of {}; --max shows more", newest.len(), count(fit, "dead letter"));
    }
    Ok(())
}

fn table(letters: &[FoundLetter], width: usize) -> String {
    if letters.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let mut columns = Columns::new(["position", "written", "reason", "output", "refused by", "origin", "message"]);
    for FoundLetter { letter, .. } in letters {
        columns.row(vec![
            position(&letter.position),
            time(letter.written),
            letter.reason().to_owned(),
            letter.output().unwrap_or_default().to_owned(),
            refused_by(letter).to_owned(),
            letter.origin().to_owned(),
            terminal::plain(letter.message().as_bytes()),
        ]);
    }
    columns.show_within(width)
}
