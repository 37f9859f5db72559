//! `tidegate test`: runs scenario folders with the real components in virtual time, and says what is not as expected.

mod compare;
mod find;
mod outcome;
mod play;
mod scenario;
mod show;
mod steady;
mod watch;
mod witness;

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use thiserror::Error;

use crate::pipeline::Loader;
use crate::record::{ErrorKind, HasKind};
use find::Found;
use show::Paint;

/// What is run.
#[derive(Args, Clone, Default, Debug)]
pub struct TestArgs {
    /// A scenario's folder, or one in which such folders are, at any depth [default: `scenarios`, else `tests/scenarios`, else
    /// the current folder]
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Only scenarios whose names contain one of these
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Writes what came out into the files of the scenarios that differ: read the difference before you keep it
    #[arg(long)]
    pub bless: bool,
    /// Runs them again when a file of a scenario, or a component, has changed
    #[arg(long)]
    pub watch: bool,
    /// The plugin directory, in place of the one that the pipeline files name
    #[arg(long, value_name = "DIR")]
    pub plugins: Option<PathBuf>,
}

/// Scenarios did not come out as they should.
#[derive(Debug)]
pub struct Failed {
    passed: usize,
    failed: usize,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} scenarios failed", self.failed, self.failed + self.passed)
    }
}

impl std::error::Error for Failed {}

/// Why no scenario can be run.
#[derive(Debug, Error)]
pub enum TestError {
    #[error("there is no such folder; folder=`{}`. Names of scenarios come after the folder: tidegate test scenarios {}", .0.display(), .0.display())]
    NoFolder(PathBuf),
    #[error(
        "there is no scenario in the folder: a scenario is a folder with a pipeline.toml and an input.ndjson; folder=`{}`",
        .0.display()
    )]
    NoScenario(PathBuf),
    #[error("no scenario has a name with {} in it; folder=`{}`", listed(names), folder.display())]
    NoName { folder: PathBuf, names: Vec<String> },
    #[error("files cannot be watched: {0}")]
    Watch(#[from] notify::Error),
}

impl HasKind for TestError {
    fn kind(&self) -> ErrorKind {
        match self {
            TestError::NoFolder(_) | TestError::NoScenario(_) | TestError::NoName { .. } => ErrorKind::Config,
            TestError::Watch(_) => ErrorKind::Internal,
        }
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

/// Runs the scenarios; an error where one fails.
pub fn run(args: &TestArgs) -> Result<()> {
    if args.watch {
        return watch::run(args);
    }
    let found = find::scenarios(args)?;
    let count = run_all(args, &found);
    if count.failed > 0 { Err(count.into()) } else { Ok(()) }
}

/// Runs them and prints what came of it.
fn run_all(args: &TestArgs, found: &[Found]) -> Failed {
    let (paint, mut loader) = (Paint::for_stdout(), Loader::default());
    let mut count = Failed { passed: 0, failed: 0 };
    for Found { name, scenario } in found {
        let begin = Instant::now();
        let verdict = scenario.judge(&mut loader);
        let took = begin.elapsed();
        let blessed = match &verdict {
            Ok(verdict) if args.bless && verdict.unsteady.is_none() => scenario.bless(verdict),
            Ok(_) | Err(_) => Ok(Vec::new()),
        };
        let (text, passed) = show::scenario(name, &verdict, blessed, took, paint);
        super::print(&text);
        *(if passed { &mut count.passed } else { &mut count.failed }) += 1;
    }
    super::print(&format!("\n{} passed, {} failed\n", count.passed, count.failed));
    count
}
