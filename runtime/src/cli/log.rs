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
    let builder = || EnvFilter::builder().with_default_directive(level.into());
    let (filter, refused) = match std::env::var(LEVEL).ok().map(|text| (builder().parse(&text), text)) {
        Some((Ok(filter), text)) if is_level(&text) => (filter, None),
        Some((_, text)) => (builder().parse_lossy(""), Some(text)),
        None => (builder().parse_lossy(""), None),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // Whoever read our lines may be gone; that is no reason to stop.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        Format::Text => lines.init(),
        Format::Json => lines.json().flatten_event(true).with_target(true).init(),
    }
    if let Some(text) = refused {
        tracing::warn!(
            "{LEVEL}=`{text}` is not a level: write error, warn, info, debug or trace, or `tidegate::sink=debug,info`"
        );
    }
}

/// A single word is taken for a target by the filter, which would then show nothing.
fn is_level(text: &str) -> bool {
    text.split(',')
        .all(|part| part.is_empty() || part.contains('=') || part.contains("::") || part.parse::<LevelFilter>().is_ok())
}
