//! Builds what has changed, on a thread of its own: it watches the sources, and tells what became of each build.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::sources::Sources;
use crate::cli::build::{Profile, build};
use crate::plugin::Engine;

/// So long nothing more must change: an editor writes in steps.
const QUIET: Duration = Duration::from_millis(20);
/// A screen and more.
const LINES_MAX: usize = 200;

/// What the thread tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Word {
    Building {
        names: String,
    },
    /// `said`: warnings, and words about what was built.
    Built {
        names: String,
        took: Duration,
        said: String,
    },
    /// The components are as they were.
    Failed {
        names: String,
        said: String,
    },
    /// All that is to be built at the start was tried.
    Ready,
}

/// The pipeline file, and what the sources of its components are as it is now; none where it is wrong.
pub(super) struct Pipeline {
    pub file: PathBuf,
    pub sources: Box<dyn Fn() -> Option<Vec<Sources>> + Send>,
}

/// Builds everything once, and from then on what changes or is new, until `tell` says that nobody listens.
pub(super) fn start(
    engine: Engine,
    sources: Vec<Sources>,
    pipeline: Pipeline,
    plugins: PathBuf,
    tell: impl Fn(Word) -> bool + Send + 'static,
) -> anyhow::Result<()> {
    let (changed, changes) = channel();
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let is_read = event.as_ref().is_ok_and(|event| event.kind.is_access());
        if !is_read {
            let _ = changed.send(event.map(|event| event.paths).unwrap_or_default());
        }
    })?;
    let mut builder = Builder { engine, sources, pipeline, plugins, watcher, changes };
    thread::Builder::new().name("builder".to_owned()).spawn(move || builder.run(&tell))?;
    Ok(())
}

struct Builder {
    engine: Engine,
    sources: Vec<Sources>,
    pipeline: Pipeline,
    plugins: PathBuf,
    watcher: RecommendedWatcher,
    changes: Receiver<Vec<PathBuf>>,
}

impl Builder {
    fn run(&mut self, tell: &impl Fn(Word) -> bool) {
        let mut due = self.sources.clone();
        let mut listens = true;
        self.watch();
        for sources in &due {
            listens &= self.build(sources, tell);
        }
        listens &= tell(Word::Ready);
        while listens {
            due = self.wait();
            if due.is_empty() {
                return;
            }
            self.watch();
            for sources in &due {
                listens &= self.build(sources, tell);
            }
        }
    }

    /// A folder that is new may be among them. To watch one again does no harm.
    fn watch(&mut self) {
        let beside = self.pipeline.file.parent().map(|folder| vec![(folder.to_owned(), false)]);
        let watched = self.sources.iter().map(|sources| sources.watched(&self.plugins));
        for folders in beside.into_iter().chain(watched) {
            for (folder, below) in folders {
                let mode = if below { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
                if let Err(error) = self.watcher.watch(&folder, mode) {
                    tracing::warn!(%error, folder = %folder.display(), "changes here are not seen");
                }
            }
        }
    }

    /// What has changed or is new, once it has been quiet; nothing when the watcher has ended.
    fn wait(&mut self) -> Vec<Sources> {
        while let Ok(mut paths) = self.changes.recv() {
            if self.changed(&paths).is_empty() && !paths.contains(&self.pipeline.file) {
                continue;
            }
            while let Ok(more) = self.changes.recv_timeout(QUIET) {
                paths.extend(more);
            }
            let mut due = self.changed(&paths);
            if paths.contains(&self.pipeline.file) {
                due.extend(self.find_again());
            }
            if !due.is_empty() {
                return due;
            }
        }
        Vec::new()
    }

    fn changed(&self, paths: &[PathBuf]) -> Vec<Sources> {
        let is_due = |sources: &&Sources| paths.iter().any(|path| sources.is_source(path, &self.plugins));
        self.sources.iter().filter(is_due).cloned().collect()
    }

    /// The sources of components that were not in the pipeline file before.
    fn find_again(&mut self) -> Vec<Sources> {
        let Some(found) = (self.pipeline.sources)() else { return Vec::new() };
        let new = found.iter().filter(|sources| !self.sources.contains(sources)).cloned().collect();
        self.sources = found;
        new
    }

    fn build(&self, sources: &Sources, tell: &impl Fn(Word) -> bool) -> bool {
        let (names, begun) = (sources.names(), Instant::now());
        tell(Word::Building { names: names.clone() });
        let mut said = Vec::new();
        let ended = match sources {
            Sources::Crates { folder, crates } => {
                let mut built = Vec::new();
                let listen = |line: &str| said.push(line.to_owned());
                let ended = build(&self.engine, folder, crates, Profile::Quick, &self.plugins, listen, |line| {
                    built.push(line.to_owned());
                });
                said.retain(|line| !is_progress(line));
                said.extend(built.iter().flat_map(|line| line.lines().skip(1)).map(str::to_owned));
                ended
            }
            Sources::Command { folder, command } => run(folder, command, &mut said),
        };
        said.truncate(LINES_MAX);
        let took = begun.elapsed();
        tell(match ended {
            Ok(()) => Word::Built { names, took, said: said.join("\n") },
            Err(error) => Word::Failed { names, said: format!("{}\n{error:#}", said.join("\n")) },
        })
    }
}

/// `   Compiling first v0.1.0`: what cargo says of what it does.
fn is_progress(line: &str) -> bool {
    let colourless = line.trim_start_matches(|sign: char| sign == '\u{1b}' || "[0123456789;m ".contains(sign));
    let verb = colourless.split([' ', '\u{1b}']).next().unwrap_or_default();
    ["Compiling", "Finished", "Locking", "Adding", "Updating", "Blocking", "Fresh"].contains(&verb)
}

fn run(folder: &Path, command: &str, said: &mut Vec<String>) -> anyhow::Result<()> {
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()?;
    said.extend(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned));
    if output.status.success() { Ok(()) } else { Err(anyhow!("the command failed: {}", output.status)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_from_what_the_compiler_says() {
        for line in
            ["   Compiling first v0.1.0 (/a)", "\u{1b}[1m\u{1b}[92m    Finished\u{1b}[0m `tidegate-dev` profile"]
        {
            assert!(is_progress(line), "{line:?}");
        }
        for line in ["error[E0425]: cannot find", "  --> src/lib.rs:3:5", "", "   |"] {
            assert!(!is_progress(line), "{line:?}");
        }
    }
}
