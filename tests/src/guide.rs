//! Follows a page as its reader does: writes its files, runs its commands, and looks whether they say what the page says.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tidegate::config::PipelineSettings;

use crate::program::binary;
use crate::workspace::{Outside, plugin_target, root};

/// What a command line is run in: the program is the one that is tested, and crates have a lock file that needs no network.
const PREAMBLE: &str = "
lock() { [ ! -e Cargo.toml ] || [ -e Cargo.lock ] || cp \"$LOCK\" Cargo.lock; }
cargo() { lock; command cargo \"$@\"; }
tidegate() { lock; \"$TIDEGATE\" \"$@\"; }
trap 'pwd >\"$HERE\"' EXIT
set -e
";

/// Around a part of a pipeline file.
const PIPELINE: &str = "
[source.kafka]
brokers = \"localhost:9092\"
topics = [\"events\"]
";

/// And around one that has no sinks.
const REST: &str = "
[sink.elasticsearch]
urls = [\"http://localhost:9200\"]
[[output]]
name = \"events\"
index = \"events\"
";

/// A block between two fences.
pub struct Block {
    pub line: usize,
    pub language: String,
    /// The line before it ends with the name of a file in backticks and a colon: the block is that file.
    pub file: Option<String>,
    pub body: String,
}

/// A folder in which the page is followed.
struct Desk {
    top: Outside,
    here: PathBuf,
}

/// Follows a page in a folder that has nothing in it but `tidegate`, a copy of this repository.
pub fn follow(page: &str) {
    let text = fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let mut desk = Desk::new(page);
    let mut blocks = blocks(&text).into_iter().peekable();
    while let Some(block) = blocks.next() {
        let what = format!("{page}:{}", block.line);
        match (block.language.as_str(), &block.file) {
            ("sh", None) => {
                let says = blocks.next_if(|next| next.language == "text" && next.file.is_none());
                let says = says.map(|says| says.body).unwrap_or_default();
                match block
                    .body
                    .trim()
                    .strip_prefix("tidegate ")
                    .filter(|line| line.ends_with("--watch") || *line == "dev")
                {
                    Some(arguments) => desk.watch(arguments, &says, &what),
                    None => desk.run(&block.body, &says, &what),
                }
            }
            ("rust" | "toml" | "json" | "text", Some(file)) => desk.write(file, &block.body, &what),
            ("toml", None) => parse(&block.body, &what),
            // Compiled with the SDK's documentation.
            ("rust", None) => assert_in_sdk(page),
            (language, _) => panic!("{what}: a block of {language} that no test looks at"),
        }
    }
}

pub fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    let mut before = "";
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                let heading = before.strip_suffix("`:").and_then(|rest| rest.rsplit('`').next());
                let (language, file) = (language.to_owned(), heading.map(str::to_owned));
                open = Some(Block { line: number + 1, language, file, body: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.body += &format!("{line}\n"),
            (None, None) => {}
        }
        if !line.is_empty() {
            before = line;
        }
    }
    blocks
}

/// A part of a pipeline file, or a whole one, is valid.
pub fn parse(part: &str, what: &str) {
    let decode = if part.contains("[source.decode]") { "" } else { "[source.decode]\nevent_time = \"time\"\n" };
    let text = if part.contains("[source.kafka]") {
        part.to_owned()
    } else {
        let rest = if part.starts_with("[sink.") { "" } else { REST };
        format!("name = \"page\"\n{decode}{PIPELINE}{rest}{part}")
    };
    let parsed = PipelineSettings::parse(&text, Path::new("page.toml"), &|_| None, None);
    assert!(parsed.is_ok(), "{what}: {}", parsed.err().map(|errors| errors.to_string()).unwrap_or_default());
}

fn assert_in_sdk(page: &str) {
    let sdk = fs::read_to_string(root().join("sdk/rust/src/lib.rs")).expect("the SDK is there");
    assert!(
        sdk.contains(&format!("include_str!(\"../../../{page}\")")),
        "the SDK's documentation does not compile {page}"
    );
}

impl Desk {
    fn new(page: &str) -> Desk {
        let top = Outside::new(&page.replace(['/', '.'], "-"));
        std::os::unix::fs::symlink(root(), top.path().join("tidegate")).expect("linked");
        Desk { here: top.path().to_owned(), top }
    }

    fn write(&self, file: &str, text: &str, what: &str) {
        let file = self.here.join(file);
        let folder = file.parent().unwrap_or_else(|| panic!("{what}: a file is in a folder"));
        fs::create_dir_all(folder).expect("a folder");
        fs::write(file, text).expect("written");
    }

    /// Commands of a block; they fail where the page says that they do.
    fn run(&mut self, commands: &str, says: &str, what: &str) {
        let here = self.top.path().join(".here");
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1{PREAMBLE}{commands}")])
            .current_dir(&self.here)
            .env("CARGO_TARGET_DIR", plugin_target())
            .env("RUSTUP_AUTO_INSTALL", "0")
            .env("TIDEGATE", binary())
            .env("LOCK", root().join("plugins/Cargo.lock"))
            .env("HERE", &here)
            .output()
            .expect("a shell is there");
        let said = String::from_utf8_lossy(&output.stdout);
        let fails = says.lines().any(|line| line.starts_with("FAILED") || line.starts_with("error:"));
        assert_eq!(output.status.success(), !fails, "{what}: {} {said}", output.status);
        let mut lines = said.lines();
        for expected in says.lines() {
            assert!(lines.any(|line| is_like(expected, line)), "{what}: not said: {expected}\n{said}");
        }
        self.here = PathBuf::from(fs::read_to_string(here).expect("the shell has written it").trim());
    }

    /// A command that does not end: it says what the page says, and is ended.
    fn watch(&self, arguments: &str, says: &str, what: &str) {
        let mut command = Command::new(binary());
        command.current_dir(&self.here).args(arguments.split_whitespace()).stdout(Stdio::piped());
        command.env("CARGO_TARGET_DIR", plugin_target()).env("RUSTUP_AUTO_INSTALL", "0");
        let mut child = command.spawn().expect("it can be run");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let unsaid = says.lines().find(|expected| !lines.any(|line| is_like(expected, &line)));
        let _ = child.kill();
        let _ = child.wait();
        assert_eq!(unsaid, None, "{what}");
    }
}

/// `…` stands for anything.
fn is_like(expected: &str, line: &str) -> bool {
    let (expected, mut rest) = (expected.trim(), line.trim());
    let mut pieces = expected.split('…').peekable();
    let mut first = true;
    while let Some(piece) = pieces.next() {
        let Some(at) = (if pieces.peek().is_none() { rest.rfind(piece) } else { rest.find(piece) }) else {
            return false;
        };
        if first && at > 0 || pieces.peek().is_none() && at + piece.len() != rest.len() {
            return false;
        }
        rest = &rest[at + piece.len()..];
        first = false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_stand_for_anything() {
        assert!(is_like("ok first (… ms)", "  ok first (12 ms)"));
        assert!(is_like("error: … `a`, …", "error: what `a`, `b`"));
        assert!(is_like("a", "a") && !is_like("a", "ab") && !is_like("a", "ba"));
        assert!(!is_like("ok … ms", "ok 1 s") && !is_like("b …", "a b c"));
    }
}
