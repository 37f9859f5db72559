//! Draws or prints what there is to see, as often as somebody can read it; and tells whether the files have changed.

use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use super::screen::{Lines, View, page};
use crate::cli::PipelineFile;
use crate::cli::terminal;

/// How often a terminal's page is drawn, and how often news are told without one.
const PAGE_EVERY: Duration = Duration::from_millis(250);
const NEWS_EVERY: Duration = Duration::from_secs(1);
/// What a stand-in index keeps.
pub(super) const DOCUMENTS_MAX: usize = 100_000;

/// Clears the terminal, and begins at its top.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

pub(super) struct Look {
    is_terminal: bool,
    lines: Lines,
    next: Option<Instant>,
    shown: String,
}

impl Look {
    pub fn new(is_terminal: bool) -> Look {
        Look { is_terminal, lines: Lines::default(), next: None, shown: String::new() }
    }

    /// Told at once where there is no terminal; on a page it has its place.
    pub fn say(&mut self, text: &str) {
        if !self.is_terminal && !text.is_empty() {
            print(text);
            self.next = None;
        }
    }

    pub fn show(&mut self, view: &View, now: Instant) {
        if self.next.is_some_and(|next| now < next) {
            return;
        }
        if !self.is_terminal {
            self.next = Some(now + NEWS_EVERY);
            print(&self.lines.news(view));
            return;
        }
        self.next = Some(now + PAGE_EVERY);
        let (width, height) = terminal::size();
        let page = page(view, width, height);
        if page != self.shown {
            print(&format!("{CLEAR}{page}"));
            self.shown = page;
        }
    }
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever read it may be gone: Ctrl-C ends it all the same.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// What tells one content of files from another.
pub(super) type Stamp = Vec<Option<(SystemTime, u64)>>;

/// Of the pipeline file and of the components that it may name.
pub(super) fn stamp(file: &PipelineFile) -> Stamp {
    let components = file.load().ok().and_then(|settings| std::fs::read_dir(settings.plugins).ok());
    let components = components.into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = components.filter(|path| path.extension().is_some_and(|ending| ending == "wasm")).collect();
    files.sort();
    files.push(file.file.clone());
    let of = |path| std::fs::metadata(path).ok().and_then(|file| Some((file.modified().ok()?, file.len())));
    files.iter().map(of).collect()
}
