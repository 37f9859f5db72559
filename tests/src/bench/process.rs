//! Parts of a measurement as processes of their own: started by naming a role to the same binary, and what they cost, by the
//! system's word.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

/// What a process took from its start to its end.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// User and system.
    pub cpu: Duration,
    pub peak_bytes: u64,
}

/// This binary in another role.
pub fn role(name: &str, arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(name).args(arguments).stdin(Stdio::null());
    Ok(command)
}

/// Runs a command to its end: what it printed, and what it cost.
pub fn measure(mut command: Command) -> anyhow::Result<(String, Usage)> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("the process cannot be started")?;
    let mut printed = String::new();
    output(&mut child)?.read_to_string(&mut printed)?;
    Ok((printed, end(child)?))
}

pub fn output(child: &mut Child) -> anyhow::Result<ChildStdout> {
    child.stdout.take().context("its output was not asked for")
}

/// Waits for the end of a process that must be a good one.
pub fn end(child: Child) -> anyhow::Result<Usage> {
    let pid = libc::pid_t::try_from(child.id()).context("a process id is positive")?;
    let mut status = 0;
    // SAFETY: zeros are a valid value of this struct of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types; the child was not waited for.
    let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
    ensure!(waited == pid, "cannot wait for process {pid}: {}", io::Error::last_os_error());
    ensure!(status == 0, "process {pid} ended with the status {status:#x}");
    let time = |time: libc::timeval| {
        let micros = time.tv_sec * 1_000_000 + time.tv_usec;
        Duration::from_micros(micros.unsigned_abs())
    };
    // In KiB on Linux, in bytes on macOS.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok(Usage { cpu: time(usage.ru_utime) + time(usage.ru_stime), peak_bytes: usage.ru_maxrss.unsigned_abs() * unit })
}

/// SIGTERM.
pub fn terminate(child: &Child) -> anyhow::Result<()> {
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    ensure!(sent.success(), "the process has ended before it was told to");
    Ok(())
}

/// What this process has in memory now.
pub fn resident_bytes() -> anyhow::Result<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").context("only Linux tells")?;
    let pages: u64 = pages.split(' ').nth(1).context("the second number is what is resident")?.parse()?;
    // SAFETY: it reads a constant of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Ok(pages * page.unsigned_abs())
}

/// A process that serves under a URL, which it says first, and then answers each line with a line. Ended when it is dropped.
pub struct Server {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    url: String,
}

impl Server {
    pub fn start(role_name: &str) -> anyhow::Result<Self> {
        let mut child = role(role_name, &[])?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = child.stdin.take().context("its input was asked for")?;
        let mut answers = BufReader::new(output(&mut child)?);
        let url = line(&mut answers)?;
        Ok(Server { child, questions, answers, url })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it says when it is asked.
    pub fn ask(&mut self) -> anyhow::Result<String> {
        writeln!(self.questions)?;
        line(&mut self.answers)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(answers: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    ensure!(answers.read_line(&mut line)? > 0, "the process has ended");
    Ok(line.trim_end().to_owned())
}
