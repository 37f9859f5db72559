//! `tidegate explain`: why a running pipeline does not do what somebody waits for, and what made a document.

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;

mod document;

use super::columns::Columns;
use super::deployed::Console;
use crate::pipeline::{SourceWatermark, WatermarkReport};

#[derive(Args)]
pub struct ExplainArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// How far event time has come, which partition holds the windows back, and why
    Watermark(WatermarkArgs),
    /// Which record or which parts, and which components made a document, step by step; or why it is not there
    Document(document::DocumentArgs),
}

#[derive(Args)]
struct WatermarkArgs {
    #[command(flatten)]
    console: Console,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &ExplainArgs) -> anyhow::Result<()> {
    match &args.what {
        What::Watermark(args) => watermark(args),
        What::Document(args) => document::run(args),
    }
}

fn watermark(args: &WatermarkArgs) -> anyhow::Result<()> {
    let WatermarkArgs { console, json } = args;
    let text = console.ask(Method::GET, &["explain", "watermark"])?;
    if *json {
        super::print(&format!("{text}\n"));
        return Ok(());
    }
    let report: WatermarkReport =
        serde_json::from_str(&text).context("the console answers something else than a report")?;
    super::print(&show(&report));
    Ok(())
}

fn show(report: &WatermarkReport) -> String {
    let mut text: String = report.words.iter().map(|line| format!("{line}\n")).collect();
    if report.sources.is_empty() {
        return text;
    }
    let mut columns = Columns::new(["partition", "watermark", "behind", "lag", "state"]);
    for source in &report.sources {
        let SourceWatermark { partition, watermark, behind_seconds, lag, idle, here, holds } = source;
        let mut state = Vec::new();
        state.extend(holds.then_some("windows wait for it"));
        state.extend(idle.then_some("idle"));
        state.extend((!here).then_some("elsewhere"));
        columns.row(vec![
            partition.clone(),
            watermark.clone().unwrap_or_else(|| "none yet".to_owned()),
            behind_seconds.map_or_else(String::new, |seconds| format!("{seconds} s")),
            lag.map_or_else(String::new, |lag| lag.to_string()),
            state.join(", "),
        ]);
    }
    text += "\n";
    text + &columns.show()
}
