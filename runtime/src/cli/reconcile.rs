//! `tidegate reconcile`: whether what was read adds up to what is there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use thiserror::Error;

mod counted;
mod json;
mod show;

use super::columns::grouped;
use super::{PipelineFile, print, run::stop_on_signals};
use crate::pipeline::{self, Reconcile};

#[derive(Args)]
pub struct ReconcileArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// The first records: `earliest`, or a time (RFC 3339) by which records were written to Kafka
    #[arg(long, value_name = "TIME|earliest", default_value = "earliest", value_parser = from)]
    from: From,
    /// Only this output; may be repeated
    #[arg(long, value_name = "NAME")]
    output: Vec<String>,
    /// How many differences are shown; consecutive records are one
    #[arg(long, value_name = "N", default_value_t = 20)]
    max: usize,
    /// Where the pipeline has its console, if it runs: what it has counted itself has to add up too
    #[arg(long, value_name = "IP:PORT")]
    console: Option<SocketAddr>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    Earliest,
    Time { millis: i64 },
}

#[derive(Debug, Error)]
#[error("neither `earliest` nor a time like 2026-01-31T12:00:00Z: `{0}`")]
struct NotAPlace(String);

/// There are differences, or it is not known whether there are.
#[derive(Debug, Error)]
#[error("{}", words(*different, *counted, *stopped))]
pub struct DoesNotAddUp {
    different: u64,
    /// Accounts of the pipeline's own.
    counted: u64,
    stopped: bool,
}

fn words(different: u64, counted: u64, stopped: bool) -> String {
    let mut differences = format!("it does not add up: differences=`{}`", grouped(different));
    if counted > 0 {
        differences += &format!("; nor does what the pipeline has counted: partitions and outputs=`{counted}`");
    }
    match (different + counted, stopped) {
        (0, _) => "stopped before the end; what was read until then adds up".to_owned(),
        (_, true) => format!("stopped before the end; {differences}"),
        (_, false) => differences,
    }
}

fn from(text: &str) -> Result<From, NotAPlace> {
    if text == "earliest" {
        return Ok(From::Earliest);
    }
    let time: Timestamp = text.parse().map_err(|_| NotAPlace(text.to_owned()))?;
    Ok(From::Time { millis: time.as_millisecond() })
}

pub fn run(args: &ReconcileArgs) -> anyhow::Result<()> {
    let settings = args.pipeline.load()?;
    let from_millis = match args.from {
        From::Earliest => None,
        From::Time { millis } => Some(millis),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    stop_on_signals(move || flag.store(true, Relaxed)).context("signals cannot be waited for")?;
    let asked = Reconcile { from_millis, outputs: args.output.clone() };
    let balances = args.console.map(|console| counted::ask(console, &settings.name)).transpose()?;
    let reconciled = pipeline::reconcile(&settings, &asked, &stop)?;
    print(&match (args.json, &balances) {
        (true, _) => format!("{:#}\n", json::json(&reconciled, balances.as_deref(), args.max)),
        (false, None) => show::shown(&reconciled, args.max),
        (false, Some(balances)) => show::shown(&reconciled, args.max) + &counted::shown(balances),
    });
    let counted = counted::different(balances.as_deref().unwrap_or_default());
    match reconciled.adds_up() && counted == 0 {
        true => Ok(()),
        false => Err(DoesNotAddUp { different: reconciled.different, counted, stopped: reconciled.stopped }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_a_time_or_with_the_first_record() {
        assert_eq!(from("earliest").expect("a word"), From::Earliest);
        assert_eq!(from("1970-01-01T00:00:01Z").expect("a time"), From::Time { millis: 1000 });
        assert!(from("17").is_err());
    }
}
