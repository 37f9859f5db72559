//! An index that acknowledges everything and keeps nothing, in a process of its own, so that its cost is nobody else's.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, ensure};
use tidegate::sink::stand_in::StandInIndex;

use super::process;
use crate::block_on;

/// The role of the process.
pub const ROLE: &str = "accept-only-index";

/// The body of the process: says its URL, then for each line that comes in how many documents it has acknowledged.
pub fn serve() -> anyhow::Result<()> {
    let index = block_on(StandInIndex::accept_only(([127, 0, 0, 1], 0).into()))?;
    println!("{}", index.url());
    for line in std::io::stdin().lines() {
        line?;
        println!("{}", index.accepted());
    }
    Ok(())
}

/// The process as the one that measures knows it; ended when it is dropped.
pub struct AcceptOnlyIndex {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    url: String,
}

impl AcceptOnlyIndex {
    pub fn start() -> anyhow::Result<Self> {
        let mut command = process::role(ROLE, &[])?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = child.stdin.take().context("its input was asked for")?;
        let mut answers = BufReader::new(process::output(&mut child)?);
        let url = line(&mut answers)?;
        Ok(AcceptOnlyIndex { child, questions, answers, url })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many documents it has acknowledged.
    pub fn accepted(&mut self) -> anyhow::Result<u64> {
        writeln!(self.questions)?;
        Ok(line(&mut self.answers)?.parse()?)
    }
}

impl Drop for AcceptOnlyIndex {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(answers: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    ensure!(answers.read_line(&mut line)? > 0, "the index has ended");
    Ok(line.trim_end().to_owned())
}
