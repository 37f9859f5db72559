//! `tidegate run` as a benchmark sees it: a process, its metrics, what it cost in the end.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::process::{self, Usage};
use crate::program::try_get;
use crate::workspace::target;

const LIMIT: Duration = Duration::from_secs(600);
/// Often enough to time a drain of seconds to a percent, and seldom enough not to be seen in it.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A running pipeline, killed when it is dropped.
pub struct Tidegate {
    child: Option<Child>,
    console: SocketAddr,
    log: PathBuf,
}

/// A count at a moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    count: u64,
}

impl Tidegate {
    pub fn run(pipeline: &Path) -> anyhow::Result<Self> {
        let console = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = pipeline.with_file_name("tidegate.log");
        let child = Command::new(binary())
            .arg("run")
            .arg(pipeline)
            .args(["--console", &console.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        Ok(Tidegate { child: Some(child), console, log })
    }

    /// Records of the source topics that the lanes have taken.
    pub fn records(&mut self) -> anyhow::Result<u64> {
        self.count("tidegate_records_total")
    }

    /// A counter, by its name and labels.
    pub fn count(&mut self, counter: &str) -> anyhow::Result<u64> {
        if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
            bail!("the program has ended, {status}: see {}", self.log.display());
        }
        let Ok((_, metrics)) = try_get(self.console, "/metrics") else { return Ok(0) }; // it does not listen yet
        let count = metrics.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix(' '));
        count.map_or(Ok(0), |count| count.parse().with_context(|| format!("{counter} is a number")))
    }

    /// SIGTERM, and what the process took from its start to its end.
    pub fn terminate(mut self) -> anyhow::Result<Usage> {
        let child = self.child.take().context("it runs")?;
        process::terminate(&child)?;
        process::end(child).with_context(|| format!("see {}", self.log.display()))
    }
}

impl Drop for Tidegate {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Asks until `wanted` have been counted; how many there were a second, from the first moment at which some were.
pub fn rate(wanted: u64, mut count: impl FnMut() -> anyhow::Result<u64>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut first: Option<Reading> = None;
    loop {
        let now = Reading { count: count()?, at: Instant::now() };
        if now.count >= wanted {
            ensure!(now.count == wanted, "{} were counted, {wanted} are there", now.count);
            let first = first.context("all were there at once: measure more")?;
            return Ok((now.count - first.count) as f64 / (now.at - first.at).as_secs_f64());
        }
        if now.count > 0 {
            first.get_or_insert(now);
        }
        ensure!(begun.elapsed() < LIMIT, "{} of {wanted} were counted in {} s", now.count, LIMIT.as_secs());
        std::thread::sleep(ASK_EVERY);
    }
}

/// The program as it is used; `TIDEGATE` names another.
fn binary() -> PathBuf {
    let path = std::env::var_os("TIDEGATE").map_or_else(|| target().join("release/tidegate"), PathBuf::from);
    assert!(path.exists(), "{} is missing; `make bench` builds it", path.display());
    path
}
