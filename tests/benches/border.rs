//! What it costs to cross the border to a component: a filter that keeps all, over batches as a pipeline sends them.
//!
//! `cargo bench -p tidegate-tests --bench border` prints nanoseconds a record; it is no test, and fails for no figure.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tidegate::plugin::{Component, Engine, Filter, Instance};
use tidegate::record::{Batch, Column, Values};
use wit_component::StringEncoding;
use wit_parser::Resolve;

const ROWS: u32 = 1024;
/// Records are of 250 bytes; what crosses of them is what the component asks for.
const TEXT_BYTES: usize = 16;
const RECORD_BYTES: usize = 250;
const ROUND: Duration = Duration::from_millis(200);
const ROUNDS: usize = 15;

fn main() -> anyhow::Result<()> {
    let engine = Engine::new()?;
    let plugin = Component::from_bytes(&engine, "no-op", &noop()?)?.configure("{}")?;
    let Instance::Filter(mut filter) = plugin.instantiate()? else {
        anyhow::bail!("the no-op component is a filter");
    };
    println!("border: a no-op filter, batches of {ROWS} records of {RECORD_BYTES} bytes, median of {ROUNDS} rounds");
    let presence = || column(Values::Presence, (0..ROWS).map(|row| u8::from(row % 8 != 0)).collect());
    measure("no columns", filter.as_mut(), vec![])?;
    measure("presence and 16 bytes of text", filter.as_mut(), vec![presence(), text(TEXT_BYTES)])?;
    measure("presence and the whole record", filter.as_mut(), vec![presence(), text(RECORD_BYTES)])?;
    Ok(())
}

fn measure(what: &str, filter: &mut dyn Filter, columns: Vec<Column>) -> anyhow::Result<()> {
    let batch = Batch { rows: ROWS, columns };
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (start, mut calls) = (Instant::now(), 0u32);
        while start.elapsed() < ROUND {
            for _ in 0..64 {
                let verdicts = filter.filter(&batch)?;
                ensure!(verdicts.keep.len() == ROWS as usize && verdicts.keep[1] == 1, "the filter keeps all");
            }
            calls += 64;
        }
        rounds.push(start.elapsed().as_nanos() as f64 / f64::from(calls));
    }
    rounds.sort_by(f64::total_cmp);
    let call = rounds[ROUNDS / 2];
    println!("  {what:<32} {:>6.2} ns a record  {:>8.2} µs a batch", call / f64::from(ROWS), call / 1000.0);
    Ok(())
}

fn column(values: Values, present: Vec<u8>) -> Column {
    Column { values, present }
}

fn text(bytes: usize) -> Column {
    let values = (0..ROWS).map(|row| format!("{row:0>bytes$}")).collect();
    column(Values::Slices(values), Vec::new())
}

/// A core module that carries its component type, as a compiler writes it.
fn noop() -> anyhow::Result<Vec<u8>> {
    let mut module = wat::parse_str(include_str!("noop.wat"))?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/tidegate.wit"))?;
    let world = resolve.select_world(&[package], Some("filter-plugin")).context("the world of filters")?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(module)
}
