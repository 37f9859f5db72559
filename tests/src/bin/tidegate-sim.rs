//! The simulation: one seed with a trace, or the histories that are told by hand, and so many seeds, or one after the other until it
//! is stopped. A seed that fails is printed, and `--seed` replays it.

use std::process::ExitCode;

use clap::Parser;
use tidegate_tests::simulation::{run, run_histories, run_seeds};

#[derive(Parser)]
#[command(
    about = "Runs the pipeline on virtual time, under faults that a seed chooses, and compares it with a fold of the input"
)]
struct Arguments {
    /// Run this one, and print what happens.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Run so many, instead of going on until it is stopped.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
}

/// After so many seeds it is said how far it is.
const ROUND: u64 = 5000;

fn main() -> ExitCode {
    let Arguments { seed, seeds, from } = Arguments::parse();
    if seed.is_none()
        && let Err((history, difference)) = run_histories()
    {
        println!("history: {history}: {difference}");
        return ExitCode::FAILURE;
    }
    let failed = match seed {
        Some(seed) => run(seed, true).err().map(|difference| (seed, difference)),
        None => {
            let end = seeds.map_or(u64::MAX, |many| from.saturating_add(many));
            let starts = (0..).map(|round| from + round * ROUND).take_while(|start| *start < end);
            starts.map(|start| run_seeds(start..end.min(start + ROUND))).find_map(Result::err)
        }
    };
    match failed {
        None => ExitCode::SUCCESS,
        Some((seed, difference)) => {
            println!("seed {seed}: {difference}");
            println!("`tidegate-sim --seed {seed}` replays it");
            ExitCode::FAILURE
        }
    }
}
