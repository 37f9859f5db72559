//! Log lines on stderr, for people or for programs.

use std::io::{self, IsTerminal, Write};

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
        .with_writer(|| Indented(io::stderr()))
        .with_target(false)
        // Whoever read our lines may be gone; that is no reason to stop.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal());
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

/// Writes events, one with each call: what follows its first line is indented, so that no component's words look like an event.
struct Indented<W>(W);

impl<W: Write> Write for Indented<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.write_all(event).map(|()| event.len())
    }

    fn write_all(&mut self, event: &[u8]) -> io::Result<()> {
        let text = event.strip_suffix(b"\n").unwrap_or(event);
        let mut indented = Vec::with_capacity(event.len() + 64);
        for byte in text {
            match byte {
                b'\n' => indented.extend_from_slice(b"\n    "),
                b'\r' => indented.extend_from_slice(b"\\r"),
                byte => indented.push(*byte),
            }
        }
        indented.extend_from_slice(&event[text.len()..]);
        self.0.write_all(&indented)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A single word is taken for a target by the filter, which would then show nothing.
fn is_level(text: &str) -> bool {
    text.split(',')
        .all(|part| part.is_empty() || part.contains('=') || part.contains("::") || part.parse::<LevelFilter>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_event_begins_a_line() {
        let mut lines = Indented(Vec::new());
        lines.write_all(b"one\n").expect("it is written");
        lines.write_all(b"two\n2030 ERROR all is lost\rthree\n").expect("it is written");
        assert_eq!(String::from_utf8_lossy(&lines.0), "one\ntwo\n    2030 ERROR all is lost\\rthree\n");
    }
}
