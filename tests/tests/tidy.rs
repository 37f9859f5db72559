//! The walls between the rooms, held by reading the source: who uses whom, which foreign crate lives where, how files look.

use std::fs;
use std::path::Path;

use tidegate_tests::source_text::{code, crate_paths, line_number, path_heads, without_tests};
use tidegate_tests::workspace::{files, root};

/// A room, and the rooms that it may name. Data flows down this list; an arrow only ever points up.
struct Room {
    name: &'static str,
    sees: &'static [&'static str],
}

const ROOMS: [Room; 12] = [
    Room { name: "record", sees: &[] },
    Room { name: "config", sees: &["record"] },
    Room { name: "source", sees: &["record", "config"] },
    Room { name: "decode", sees: &["record", "config"] },
    Room { name: "plugin", sees: &["record", "config"] },
    Room { name: "window", sees: &["record", "config"] },
    Room { name: "sink", sees: &["record", "config"] },
    Room { name: "checkpoint", sees: &["record", "window"] },
    Room { name: "lane", sees: &["record", "config", "decode", "plugin", "window", "sink", "checkpoint"] },
    Room {
        name: "pipeline",
        sees: &["record", "config", "source", "decode", "plugin", "window", "sink", "checkpoint", "lane"],
    },
    Room { name: "console", sees: &["record", "config", "pipeline"] },
    Room {
        name: "cli",
        sees: &[
            "record",
            "config",
            "source",
            "decode",
            "plugin",
            "window",
            "sink",
            "checkpoint",
            "lane",
            "pipeline",
            "console",
        ],
    },
];

/// Crates and modules that only some rooms may name.
const FOREIGN: [(&str, &[&str]); 24] = [
    ("rdkafka", &["source"]),
    ("wasmtime", &["plugin"]),
    ("wit_component", &["plugin"]),
    ("wasmparser", &["plugin"]),
    ("wat", &["plugin"]),
    ("elasticsearch", &["sink"]),
    ("reqwest", &["sink", "cli"]),
    ("hyper", &["sink"]),
    ("object_store", &["checkpoint"]),
    ("zstd", &["checkpoint"]),
    ("futures_util", &["checkpoint"]),
    ("url", &["checkpoint"]),
    ("axum", &["sink", "console"]),
    ("futures_core", &["console"]),
    ("prometheus_client", &["pipeline", "console"]),
    ("toml", &["config"]),
    ("sonic_rs", &["decode"]),
    ("clap", &["cli"]),
    ("tracing_subscriber", &["cli"]),
    ("anyhow", &["cli", "main"]),
    ("tokio", &["sink", "pipeline", "console", "cli", "main"]),
    ("crossbeam_channel", &["source", "pipeline"]),
    ("Instant", &["source", "plugin", "sink", "pipeline", "console", "cli"]),
    ("SystemTime", &["source", "sink", "pipeline", "cli"]),
];

const LINES_MAX: usize = 400;
const MAIN_LINES_MAX: usize = 50;

/// What is wrong, collected, so that one run shows all of it.
#[derive(Default)]
struct Complaints(Vec<String>);

impl Complaints {
    fn add(&mut self, path: &Path, line: usize, what: impl AsRef<str>) {
        let shown = path.strip_prefix(root()).unwrap_or(path).display();
        self.0.push(format!("{shown}:{line}: {}", what.as_ref()));
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        assert!(self.0.is_empty() || std::thread::panicking(), "\n{}", self.0.join("\n"));
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether all of a file is test code: `tests.rs`, or below a folder `tests`.
fn is_test(path: &Path) -> bool {
    path.strip_prefix(root()).unwrap_or(path).iter().any(|part| part == "tests" || part == "tests.rs")
}

/// The runtime's files with their room (`main` and `lib` are named after themselves) and the code that is no test.
fn room_files() -> Vec<(std::path::PathBuf, String, String)> {
    let folder = root().join("runtime/src");
    files(&folder, ".rs")
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| {
            let inside = path.strip_prefix(&folder).expect("it was found there");
            let first = inside.iter().next().expect("a file has a name").to_string_lossy();
            let (room, text) = (first.trim_end_matches(".rs").to_owned(), code(&read(&path)));
            let text = without_tests(&text).to_owned();
            (path, room, text)
        })
        .collect()
}

#[test]
fn rooms_only_use_rooms_that_the_table_allows() {
    let mut complaints = Complaints::default();
    for (path, name, text) in room_files() {
        if name == "main" || name == "lib" {
            continue;
        }
        let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
            complaints.add(&path, 1, format!("`{name}` is not a room: see ARCHITECTURE.md"));
            continue;
        };
        for (line, used) in crate_paths(&text) {
            if used != name && !room.sees.contains(&used) {
                complaints.add(&path, line, format!("`{name}` may not use `{used}`, only {:?}", room.sees));
            }
        }
    }
}

#[test]
fn the_rooms_stand_in_the_order_that_data_flows() {
    let text = code(&read(&root().join("runtime/src/lib.rs")));
    let listed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(listed, ROOMS.map(|room| room.name), "the `pub mod` lines of runtime/src/lib.rs");
    for (place, room) in ROOMS.iter().enumerate() {
        let earlier: Vec<&str> = ROOMS[..place].iter().map(|room| room.name).collect();
        assert!(room.sees.iter().all(|seen| earlier.contains(seen)), "`{}` sees a room below it", room.name);
    }
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    let mut complaints = Complaints::default();
    for (path, room, text) in room_files() {
        for (line, head) in path_heads(&text) {
            for (foreign, homes) in FOREIGN {
                // A module of the same name hides the crate.
                let own = text.contains(&format!("mod {foreign};"));
                if head == foreign && !own && !homes.contains(&room.as_str()) {
                    complaints.add(&path, line, format!("`{foreign}` belongs to {homes:?}, not to `{room}`"));
                }
            }
        }
    }
}

#[test]
fn every_file_is_short_and_says_what_it_is() {
    let mut complaints = Complaints::default();
    for path in files(&root(), ".rs") {
        let text = read(&path);
        if !text.starts_with("//! ") {
            complaints.add(&path, 1, "the first line is not a `//!` sentence");
        }
        let (lines, main) = (text.lines().count(), path.ends_with("runtime/src/main.rs"));
        let most = if main { MAIN_LINES_MAX } else { LINES_MAX };
        if lines > most {
            complaints.add(&path, lines, format!("{lines} lines, at most {most}"));
        }
        if path.ends_with("mod.rs") {
            complaints.add(&path, 1, "a folder's door is `x.rs` beside `x/`");
        }
    }
}

#[test]
fn code_neither_unwraps_nor_leaves_things_for_later() {
    let mut complaints = Complaints::default();
    for path in files(&root(), ".rs") {
        let text = read(&path);
        let code = code(&text);
        let shipped = if is_test(&path) { "" } else { without_tests(&code) };
        for word in [".unwrap()", "todo!(", "unimplemented!(", "dbg!("] {
            for (at, _) in shipped.match_indices(word) {
                complaints.add(&path, line_number(shipped, at), format!("`{word}` outside tests"));
            }
        }
        for word in [concat!("TO", "DO"), concat!("FIX", "ME")] {
            if let Some(at) = text.find(word) {
                complaints.add(&path, line_number(&text, at), format!("a {word}"));
            }
        }
    }
}

#[test]
fn no_page_names_a_path_of_one_machine() {
    let mut complaints = Complaints::default();
    let machine = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    for ending in [".rs", ".md", ".toml", ".sh", ".json", "Makefile", "run"] {
        for path in files(&root(), ending) {
            let text = read(&path);
            for name in machine {
                for (at, _) in text.match_indices(name) {
                    complaints.add(&path, line_number(&text, at), format!("`{name}` is a path of one machine"));
                }
            }
        }
    }
}
