//! Log lines on stderr, for people or for programs.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The environment variable that sets the level: `debug`, or `tidegate::sink=debug,info`.
const LEVEL: &str = "TIDEGATE_LOG";

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Called once, before anything else.
pub fn set_up(format: Format, level: LevelFilter) {
    let filter = EnvFilter::builder().with_default_directive(level.into()).with_env_var(LEVEL);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        Format::Text => lines.init(),
        Format::Json => lines.json().flatten_event(true).with_target(true).init(),
    }
}
