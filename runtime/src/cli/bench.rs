//! `tidegate bench`: what a component costs a record, beside one of its kind that does nothing and is given the same columns.

use std::path::PathBuf;

use clap::Args;

use super::columns::{Columns, count};
use super::input::{InputError, InputFile};
use crate::config::show_size;
use crate::plugin::{Component, PluginError, noop};

mod batches;
mod measure;

use batches::Batches;
use measure::{Figures, Spread, Subject};

/// What is measured, and with what.
#[derive(Args)]
pub struct BenchArgs {
    /// The component's file
    component: PathBuf,
    #[command(flatten)]
    input: InputFile,
    /// The component's settings, as a pipeline would give them
    #[arg(long, value_name = "JSON", default_value = "{}")]
    settings: String,
    /// Records in a call; the file's are repeated
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=4096))]
    rows: u32,
    /// A field by which an aggregate's records are grouped; may be repeated. Without it all are one group
    #[arg(long, value_name = "FIELD")]
    group_by: Vec<String>,
}

pub fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let input = args.input.read()?.ok_or(InputError::Unnamed)?;
    let engine = super::engine()?;
    let component = Component::load(&engine, &args.component)?;
    let plugin = component.configure(&args.settings)?;
    let records: Vec<_> = input.records().collect();
    let batches = Batches::new(&plugin, &records, args.rows as usize, &args.group_by)?;
    let idle = noop(&engine, component.kind())?.configure("{}")?;
    let name = component.identity().name.clone();
    let broke = |error| PluginError::Call { name: name.clone(), what: "broke", error };
    let mut subjects = [Subject::new(&plugin)?, Subject::new(&idle)?];
    let figures = measure::side_by_side(&mut subjects, &batches).map_err(broke)?;
    super::print(&show(&component, &batches, &figures));
    Ok(())
}

fn show(component: &Component, batches: &Batches, [ours, noop]: &[Figures; 2]) -> String {
    let identity = component.identity();
    let mut text = format!(
        "{} {}: {}, in calls of {}, of {} in the file\n",
        identity.name,
        identity.version,
        component.kind(),
        count(batches.rows as u64, "record"),
        count(batches.records as u64, "record"),
    );
    for (why, records) in &batches.left_out {
        text += &format!("  left out: {}, {why}\n", count(*records, "record"));
    }
    text += &format!("  {}\n\n", ours.verdicts);
    let mut columns = Columns::new(["component", "ns a record", "from", "to", "bytes in", "bytes out", "memory"]);
    for (name, figures) in [(identity.name.as_str(), ours), ("no-op", noop)] {
        let [median, low, high] = cells(&figures.nanos);
        let bytes = [figures.bytes_in, figures.bytes_out].map(|bytes| format!("{bytes:.1}"));
        let [bytes_in, bytes_out] = bytes;
        let memory = show_size(usize::try_from(figures.memory_bytes).unwrap_or(usize::MAX));
        columns.row(vec![name.to_owned(), median, low, high, bytes_in, bytes_out, memory]);
    }
    let [median, low, high] = cells(&Spread::ratio(&ours.rounds, &noop.rounds));
    columns.row(vec!["ratio".to_owned(), median, low, high, String::new(), String::new(), String::new()]);
    text + &columns.show()
}

fn cells(spread: &Spread) -> [String; 3] {
    [spread.median, spread.low, spread.high].map(|value| format!("{value:.1}"))
}
