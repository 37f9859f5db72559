//! Commands, exit codes, printing. A command's arguments and body are in a file of its own; nothing here knows the domain.

mod bench;
mod build;
mod check;
mod checkpoint;
mod columns;
mod dead_letters;
mod demo;
mod deployed;
mod dev;
mod exit;
mod explain;
mod input;
mod inspect;
mod log;
mod new;
mod pipeline_file;
mod reconcile;
mod rewind;
mod run;
mod stand_ins;
mod tap;
mod terminal;
pub mod test;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use crate::config::code_cache;
use crate::plugin::{Engine, EngineSettings, PluginError};
pub use exit::Exit;
pub use pipeline_file::PipelineFile;

/// Kafka to Elasticsearch through WebAssembly components, in one program.
#[derive(Parser)]
#[command(name = "tidegate", version, max_term_width = 100, after_help = exit::HELP)]
struct Cli {
    /// How log lines look, on stderr. Their level: the environment variable TIDEGATE_LOG (default: info).
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "text")]
    log: log::Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a pipeline until SIGTERM or SIGINT drains it
    Run(run::RunArgs),
    /// Shows a pipeline at work on a click stream that is made up, with stand-ins for the servers, for a minute
    Demo(demo::DemoArgs),
    /// Makes a crate for a plugin in Rust, with a test and a scenario
    New(new::NewArgs),
    /// Builds plugins written in Rust to components
    Build(build::BuildArgs),
    /// Runs a pipeline while its plugins are written: what is saved is built, and served by the next batch
    Dev(dev::DevArgs),
    /// Checks a pipeline file and its components, and shows who reads and writes which field
    #[command(visible_alias = "validate")]
    Check(check::CheckArgs),
    /// Shows which version of each plugin a running pipeline serves with, and what was refused
    Status(deployed::StatusArgs),
    /// Deploys what the files of a running pipeline say now
    Reload(deployed::ReloadArgs),
    /// Lets the generation of a plugin before serve again in a running pipeline
    Rollback(deployed::RollbackArgs),
    /// Says why a running pipeline does not do what somebody waits for, or what made a document
    Explain(explain::ExplainArgs),
    /// Looks after the checkpoints of a pipeline: lists, verifies and moves them
    Checkpoint(checkpoint::CheckpointArgs),
    /// Reads records again from a time, an offset or the beginning, and writes over what they gave before
    Rewind(rewind::RewindArgs),
    /// Looks into the dead letters of a pipeline, and sends them again when what was wrong is mended
    DeadLetters(Box<dead_letters::DeadLettersArgs>),
    /// Reads the topics again, and says whether what was read adds up to what is in the index and among the dead letters
    Reconcile(reconcile::ReconcileArgs),
    /// Shows samples of what passes a place of a running pipeline, and what becomes of it
    Tap(tap::TapArgs),
    /// Shows what a component is, reads, writes and wants
    Inspect(inspect::InspectArgs),
    /// Measures what a component costs a record, beside one that does nothing
    Bench(bench::BenchArgs),
    /// Runs scenarios: what comes in, and what must be there in the end, with the real components and without servers
    Test(test::TestArgs),
}

impl Command {
    /// From which level on lines are logged, unless the environment says otherwise.
    fn level(&self) -> LevelFilter {
        match self {
            Command::Demo(_) | Command::Dev(_) => LevelFilter::ERROR, // they show by themselves what goes on
            Command::Test(_) => LevelFilter::OFF, // a scenario is run six times, and its dead letters say it
            Command::Status(_) | Command::Reload(_) | Command::Rollback(_) => LevelFilter::INFO,
            Command::Tap(_) | Command::Explain(_) | Command::Checkpoint(_) => LevelFilter::INFO,
            Command::Rewind(_) | Command::DeadLetters(_) | Command::Reconcile(_) => LevelFilter::INFO,
            Command::Run(_) | Command::New(_) | Command::Build(_) | Command::Check(_) | Command::Inspect(_) => {
                LevelFilter::INFO
            }
            Command::Bench(_) => LevelFilter::OFF, // its log would be in the way of its figures, which say what breaks it
        }
    }
}

/// An engine for components of which no pipeline file says anything.
fn engine() -> Result<Engine, PluginError> {
    let code_cache = code_cache(&|name| std::env::var(name).ok());
    Engine::with(&EngineSettings { code_cache, ..EngineSettings::default() })
}

/// Reads the command line, does what it says, and ends with a documented exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log::set_up(cli.log, cli.command.level());
    let result = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Status(args) => deployed::status(args),
        Command::Reload(args) => deployed::reload(args),
        Command::Rollback(args) => deployed::rollback(args),
        Command::Explain(args) => explain::run(args),
        Command::Checkpoint(args) => checkpoint::run(args),
        Command::Rewind(args) => rewind::run(args),
        Command::DeadLetters(args) => dead_letters::run(args),
        Command::Reconcile(args) => reconcile::run(args),
        Command::Tap(args) => tap::run(args),
        Command::Demo(args) => demo::run(args),
        Command::New(args) => new::run(args),
        Command::Build(args) => build::run(args),
        Command::Check(args) => check::run(args),
        Command::Inspect(args) => args.run(),
        Command::Bench(args) => bench::run(args),
        Command::Dev(args) => dev::run(args),
        Command::Test(args) => test::run(args),
    };
    match result {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            // Whoever read it may be gone; the exit code says it as well.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            Exit::of(&error).into()
        }
    }
}

/// Prints a command's result. Whoever reads it may stop reading (`| head`).
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
