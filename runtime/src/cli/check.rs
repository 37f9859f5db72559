//! `tidegate check`: everything that can be known before a pipeline runs, and everything that is wrong, at once.

mod components;
mod fields;
mod memory;
mod online;
mod rules;
mod sample;
mod sinks;
mod stores;
mod way;

use std::fmt::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::PipelineFile;
use super::columns::count;
use crate::config::{ConfigError, ConfigErrors};
use crate::lane::{Plan, Topology};
use crate::record::{ErrorKind, HasKind};
use components::Loaded;
use sample::Sample;

/// What is checked.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    pub pipeline: PipelineFile,
    /// Records, one JSON value a line: shows how often each field is there, and of the kind that is asked for
    #[arg(long, value_name = "FILE")]
    pub sample: Option<PathBuf>,
    /// Asks the servers: topics, positions, indices; without a sample, the newest records are one
    #[arg(long)]
    pub online: bool,
}

/// Something that is wrong, with what it asks of the operator.
#[derive(Debug)]
struct Problem {
    error: ConfigError,
    kind: ErrorKind,
}

impl Problem {
    fn config(error: ConfigError) -> Self {
        Problem { error, kind: ErrorKind::Config }
    }
}

/// Everything that is wrong.
#[derive(Debug)]
pub(super) struct Problems(Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ConfigErrors(self.0.iter().map(|problem| problem.error.clone()).collect()).fmt(f)
    }
}

impl std::error::Error for Problems {}

impl HasKind for Problems {
    /// What is wrong with the file comes first: the rest may follow from it.
    fn kind(&self) -> ErrorKind {
        let config = self.0.iter().any(|problem| problem.kind == ErrorKind::Config);
        let first = self.0.first().map_or(ErrorKind::Internal, |problem| problem.kind);
        if config { ErrorKind::Config } else { first }
    }
}

pub fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let Checked { shown, problems } = check(args)?;
    super::print(&shown);
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems).into()) }
}

struct Checked {
    shown: String,
    /// In the order of the file.
    problems: Vec<Problem>,
}

fn check(args: &CheckArgs) -> anyhow::Result<Checked> {
    let (settings, places) = args.pipeline.load_with_places()?;
    let Loaded { plugins, mut problems } = components::load(&settings, &places);
    let ways = way::ways(&settings, &plugins);
    let found = rules::check(&ways, &places);
    problems.extend(found.errors.into_iter().map(Problem::config));
    let (memory, crowded) = memory::check(&settings, &plugins, &places);
    problems.extend(crowded);
    problems.extend(sinks::check(&settings, &places, args.online));
    if problems.is_empty() {
        // What the rules above do not know, the plan of a running pipeline does.
        if let Err(error) = Plan::new(&settings, &plugins.describe(), Topology::default()) {
            problems.push(Problem { error: places.error("name", error.to_string(), None), kind: error.kind() });
        }
    }
    let mut warnings: Vec<String> = found.warnings.into_iter().collect();
    let mut sample = match &args.sample {
        _ if !problems.is_empty() => None,
        Some(file) => Some(sample::of_file(&settings, &ways, file)?),
        None if args.online => Some(Sample::new(&settings, &ways, "newest records".into())?),
        None => None,
    };
    let mut servers = Vec::new();
    if args.online {
        let online = online::look(&settings, &places, sample.as_mut().filter(|_| args.sample.is_none()));
        servers = online.shown;
        warnings.extend(online.warnings);
        problems.extend(online.problems);
    }

    let mut shown = format!("pipeline {}: {}\n", settings.name, plugins.summary());
    let mut tables = vec![plugins.table(&settings), memory];
    tables.extend(servers);
    tables.push(sample.as_ref().map_or(String::new(), Sample::summary));
    tables.push(fields::read(&ways, sample.as_ref()));
    tables.push(fields::written(&ways));
    tables.push(warnings.iter().map(|warning| format!("warning: {warning}\n")).collect());
    tables.push(match (problems.is_empty(), warnings.len()) {
        (false, _) => String::new(),
        (true, 0) => "nothing is wrong\n".to_owned(),
        (true, warnings) => format!(
            "nothing keeps it from starting, but there is more to look at: {}\n",
            count(warnings as u64, "warning")
        ),
    });
    for table in tables.iter().filter(|table| !table.is_empty()) {
        write!(shown, "\n{table}")?;
    }
    problems.sort_by_key(|problem| problem.error.place);
    Ok(Checked { shown, problems })
}

#[cfg(test)]
mod tests;
