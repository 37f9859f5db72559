//! `tidegate dev` as a process without a terminal: what it says, line by line.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::program::binary;
use crate::workspace::plugin_target;

/// The first build takes the dependencies as well.
const LIMIT: Duration = Duration::from_secs(300);

/// `tidegate dev`, killed when it is dropped, and what it says.
pub struct Dev {
    child: Child,
    lines: Receiver<String>,
    heard: String,
}

impl Dev {
    /// In a folder.
    pub fn run(folder: &Path, arguments: &[&str]) -> Dev {
        let mut child = Command::new(binary())
            .arg("dev")
            .args(arguments)
            .current_dir(folder)
            .env("CARGO_TARGET_DIR", plugin_target())
            .env("RUSTUP_AUTO_INSTALL", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be run");
        let out = child.stdout.take().expect("a pipe");
        let (said, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).for_each(|line| drop(said.send(line)));
        });
        Dev { child, lines, heard: String::new() }
    }

    /// The next line in which all of these are.
    pub fn says(&mut self, words: &[&str]) -> String {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else { panic!("not said: {words:?}\n{}", self.heard) };
            self.heard += &format!("{line}\n");
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    /// Ctrl-C.
    pub fn stop(mut self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill can be run").success());
        self.says(&["stopped"]);
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "{status}: {}", self.heard);
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
