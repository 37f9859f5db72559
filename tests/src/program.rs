//! The program as a user runs it: `tidegate run` as a process, its log, its signals, its exit code.

use std::fs::{File, read_to_string};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::wait_for;
use crate::workspace::{root, target};

/// How long the program may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// What a program may have beside its budget: its code, and what no budget counts.
const BESIDE_MIB: u64 = 64;

/// A running `tidegate run`, killed when dropped.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it on a pipeline file. Its output is appended to `LOG`, which is shown when something fails.
    pub fn run(pipeline: &Path, log: &Path) -> Program {
        Program::run_with(pipeline, log, &[])
    }

    /// With variables in its environment.
    pub fn run_with(pipeline: &Path, log: &Path, environment: &[(String, String)]) -> Program {
        Program::run_as(pipeline, log, &[], environment)
    }

    /// With more arguments.
    pub fn run_as(pipeline: &Path, log: &Path, more: &[&str], environment: &[(String, String)]) -> Program {
        let file = File::options().create(true).append(true).open(log).expect("the log is writable");
        let child = Command::new(binary())
            .arg("run")
            .arg(pipeline)
            .args(more)
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("the program starts");
        Program { child, log: log.into() }
    }

    /// SIGTERM, and the exit that follows.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal("-TERM");
        wait_for("the program to end", STOP_LIMIT, || self.child.try_wait().expect("it is our child"))
    }

    /// The exit that comes by itself.
    pub fn wait(mut self) -> ExitStatus {
        wait_for("the program to end", STOP_LIMIT, || self.child.try_wait().expect("it is our child"))
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.assert_running();
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// SIGSTOP: it holds what it has, and does nothing.
    pub fn pause(&mut self) {
        self.signal("-STOP");
    }

    /// SIGCONT: it goes on as if nothing had been.
    pub fn resume(&mut self) {
        self.signal("-CONT");
    }

    fn signal(&mut self, signal: &str) {
        self.assert_running();
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill can be run");
        assert!(sent.success(), "the program had ended before it got a signal: {}", self.log());
    }

    pub fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("it is our child") {
            panic!("the program has ended, {status}: {}", self.log());
        }
    }

    /// The most memory that it has had resident, of its own and of the files that it is mapped from, in MiB; of a budget of so many it may be
    /// [`BESIDE_MIB`] more.
    pub fn assert_within_memory(&self, budget_mib: u64) -> u64 {
        let status = read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let peak: Option<u64> =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        let mib = peak.unwrap_or_else(|| panic!("no peak: {status}")) >> 10;
        assert!(mib <= budget_mib + BESIDE_MIB, "{mib} MiB resident of a budget of {budget_mib}: {}", self.log());
        mib
    }

    pub fn all_log(&self) -> String {
        read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of what it has printed.
    pub fn log(&self) -> String {
        let text = self.all_log();
        let lines: Vec<&str> = text.lines().collect();
        format!("{}\n{}", self.log.display(), lines[lines.len().saturating_sub(15)..].join("\n"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of an answer of the console, and whether it is a 200.
pub fn get(address: SocketAddr, path: &str) -> (bool, String) {
    try_get(address, path).expect("the console answers")
}

/// As [`get`], of one that may not listen yet.
pub fn try_get(address: SocketAddr, path: &str) -> io::Result<(bool, String)> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((head.starts_with("HTTP/1.1 200"), body.to_owned()))
}

/// What a command says, on stdout and then on stderr, and its exit code.
pub fn ask(arguments: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(binary()).args(arguments).output().expect("it can be run");
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).expect("it says text"), output.status.code())
}

/// The program that `make test` has built; `TIDEGATE` names another.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("TIDEGATE").map_or_else(|| target().join("debug/tidegate"), PathBuf::from);
    assert!(path.exists(), "{} is missing; `make test` builds it, or: cargo build --workspace --bins", path.display());
    path
}

/// The folder of the reference plugins as components.
pub fn components() -> PathBuf {
    let path = std::env::var_os("TIDEGATE_COMPONENTS").map_or_else(|| root().join("target/plugins"), PathBuf::from);
    assert!(path.exists(), "{} is missing; scripts/components.sh builds it", path.display());
    path
}
