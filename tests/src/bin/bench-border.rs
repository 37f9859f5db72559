//! What it costs to cross the border to a component: a filter that keeps all, over batches as a pipeline sends them; and a
//! reference filter against the same logic linked in, decode included in both.
//!
//! `make bench` runs it, or `target/release/bench-border --rounds 15`. It is no test, and fails for no figure.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tidegate::config::{DecodeSettings, Format, OnWrongType, TimestampUnit};
use tidegate::decode::Decoder;
use tidegate::plugin::{Component, Engine, Filter, Instance, Plugin};
use tidegate::record::{Batch, BatchBuilder, Column, EventTime, Field, Kind, Offset, Partition, RecordBatch, Values};
use tidegate_tests::bench::events::{Events, Mix};
use tidegate_tests::bench::native::RequireFields;
use tidegate_tests::bench::{Arguments, Spread, print_ratio};
use tidegate_tests::program::components;
use tidegate_tests::workspace::root;

const ROWS: u32 = 1024;
/// What crosses of a record is what the component asks for.
const TEXT_BYTES: usize = 16;
const RECORD_BYTES: usize = 250;
const ROUND: Duration = Duration::from_millis(100);
/// Different batches, so that neither caches nor branch predictors know them by heart: about 8 MiB.
const BATCHES: usize = 32;

fn main() -> anyhow::Result<()> {
    let rounds = Arguments::read().number("rounds", 15);
    let engine = Engine::new()?;
    println!("border: batches of {ROWS} records of {RECORD_BYTES} bytes, median of {rounds} rounds, ns a record");
    let noop = |settings: &str| -> anyhow::Result<Box<dyn Filter>> {
        filter(&load(&engine, &root().join("target/guests/noop.wasm"), settings)?)
    };
    let presence = || column(Values::Presence, (0..ROWS).map(|row| u8::from(row % 8 != 0)).collect());
    for (what, settings, columns) in [
        ("no-op, no columns", r#"{}"#, vec![]),
        (
            "no-op, presence and 16 bytes of text",
            r#"{"presence": ["user_id"], "text": ["event_type"]}"#,
            vec![text(TEXT_BYTES), presence()],
        ),
        ("no-op, the whole record", r#"{"text": ["$value"]}"#, vec![text(RECORD_BYTES)]),
    ] {
        let (mut filter, batch) = (noop(settings)?, Batch { rows: ROWS, columns });
        let spread = spread(rounds, || {
            let verdicts = filter.filter(&batch)?;
            ensure!(verdicts.keep.len() == ROWS as usize && verdicts.keep[1] == 1, "the filter keeps all");
            Ok(())
        })?;
        print_ratio(what, spread, "≤ 20");
    }
    require_fields(&engine, rounds)?;
    languages(&engine, rounds)
}

/// Reference plugins, and the same in other languages, on the same columns.
fn languages(engine: &Engine, rounds: usize) -> anyhow::Result<()> {
    let types = (0..ROWS).map(|row| if row % 3 == 0 { "purchase" } else { "page_view" });
    let event_type = column(Values::Slices(types.map(str::to_owned).collect()), Vec::new());
    let integers = |value: fn(u32) -> i64| column(Values::Integers((0..ROWS).map(value).collect()), Vec::new());
    let topic = column(Values::Slices((0..ROWS).map(|_| "streaming-events".to_owned()).collect()), Vec::new());
    let origin =
        vec![integers(|_| 1_700_000_000_000_000), topic, integers(|_| 2), integers(|row| 1_000_000 + i64::from(row))];
    for (name, settings, columns) in
        [("where", r#"{"field": "event_type", "equals": "purchase"}"#, vec![event_type]), ("stamp", "{}", origin)]
    {
        let batch = Batch { rows: ROWS, columns };
        let guest = |language: &str| root().join(format!("target/guests/{name}-{language}.wasm"));
        for (language, file) in [
            ("Rust", components().join(format!("{name}.wasm"))),
            ("Python", guest("text")),
            ("JavaScript", guest("javascript")),
            ("Go", guest("go")),
        ] {
            if !file.exists() && language != "Rust" {
                let script = language.to_lowercase();
                println!(
                    "  left out: {name} in {language}; scripts/{script}.sh tests/guests/{script} target/guests builds it"
                );
                continue;
            }
            let mut call = call(&load(engine, &file, settings)?, &batch)?;
            print_ratio(&format!("{name}, in {language}"), spread(rounds, &mut call)?, "nothing");
        }
    }
    Ok(())
}

/// One call with the batch.
fn call<'a>(plugin: &Plugin, batch: &'a Batch) -> anyhow::Result<Box<dyn FnMut() -> anyhow::Result<()> + 'a>> {
    Ok(match plugin.instantiate()? {
        Instance::Filter(mut filter) => Box::new(move || {
            let kept = filter.filter(batch)?.keep.iter().filter(|keep| **keep != 0).count();
            ensure!(kept == ROWS.div_ceil(3) as usize, "every third row is kept");
            Ok(())
        }),
        Instance::Enrich(mut enrich) => Box::new(move || {
            ensure!(enrich.enrich(batch)?.columns.len() == 2, "two fields are written");
            Ok(())
        }),
        Instance::Aggregate(_) => anyhow::bail!("none of them is an aggregate"),
    })
}

/// Decode, columns, filter, and the rows that are left.
fn require_fields(engine: &Engine, rounds: usize) -> anyhow::Result<()> {
    let plugin = load(engine, &components().join("require-fields.wasm"), r#"{"fields": ["user_id"]}"#)?;
    let decoder = Decoder::new(
        &DecodeSettings {
            format: Format::Json,
            event_time: "timestamp".to_owned(),
            timestamp_unit: TimestampUnit::Auto,
            on_wrong_type: OnWrongType::DeadLetter,
            defaults: Default::default(),
            schema_version: None,
            schema_versions: Vec::new(),
        },
        ["user_id"],
    )?;
    let reads = decoder.reads(&plugin.ports().reads)?;
    ensure!(plugin.ports().reads == [Field { path: "user_id".into(), kind: Kind::Presence, required: false }]);
    let (partition, batches) = (Partition::new("clicks", 0), batches());
    let mut filters: [Box<dyn Filter>; 2] = [filter(&plugin)?, Box::new(RequireFields)];
    let mut columns = Batch::default();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (filter, times) in filters.iter_mut().zip(&mut times) {
            let mut batch = batches.iter().cycle();
            let spread = spread(1, || {
                let batch = batch.next().expect("it goes round");
                let mut table = decoder.decode(&partition, batch.clone()).table;
                let unread = table.columns(&reads, &mut columns);
                let kept = table.retain(filter.filter(&columns)?);
                ensure!(unread.is_empty() && kept.dropped > 0 && !table.is_empty(), "some have no user");
                Ok(())
            })?;
            times.push(spread.median);
        }
    }
    let [component, native] = times;
    print_ratio("decode and require-fields", Spread::of(component.iter().copied()), "nothing");
    print_ratio("decode and the same linked in", Spread::of(native.iter().copied()), "nothing");
    let ratio = component.iter().zip(&native).map(|(component, native)| component / native);
    print_ratio("require-fields ÷ linked in", Spread::of(ratio), "≤ 1.25");
    Ok(())
}

/// Nanoseconds a record.
fn spread(rounds: usize, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Spread> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (begun, mut calls) = (Instant::now(), 0);
        while begun.elapsed() < ROUND {
            for _ in 0..BATCHES {
                call()?;
            }
            calls += BATCHES;
        }
        times.push(begun.elapsed().as_nanos() as f64 / (calls as f64 * f64::from(ROWS)));
    }
    Ok(Spread::of(times))
}

fn load(engine: &Engine, file: &Path, settings: &str) -> anyhow::Result<Plugin> {
    ensure!(file.exists(), "{} is missing; `make bench` builds it", file.display());
    Ok(Component::load(engine, file)?.configure(settings)?)
}

fn filter(plugin: &Plugin) -> anyhow::Result<Box<dyn Filter>> {
    match plugin.instantiate()? {
        Instance::Filter(filter) => Ok(filter),
        Instance::Enrich(_) | Instance::Aggregate(_) => anyhow::bail!("it is a filter"),
    }
}

fn column(values: Values, present: Vec<u8>) -> Column {
    Column { values, present }
}

fn text(bytes: usize) -> Column {
    let values = (0..ROWS).map(|row| format!("{row:0>bytes$}")).collect();
    column(Values::Slices(values), Vec::new())
}

fn batches() -> Vec<Arc<RecordBatch>> {
    let records = BATCHES as u64 * u64::from(ROWS);
    let (mut events, mut value, mut offset) = (Events::new(Mix::Clicks, records), Vec::new(), 0);
    let mut batch = || {
        let mut builder = BatchBuilder::new(EventTime::from_micros(0));
        for _ in 0..ROWS {
            let millis = events.next(&mut value).expect("as many as there are");
            builder.push(Offset(offset), Some(EventTime::from_micros(millis * 1000)), None, Some(&value));
            offset += 1;
        }
        Arc::new(builder.finish())
    };
    (0..BATCHES).map(|_| batch()).collect()
}
