//! Whole pipeline files: what the right ones become, and what is said about the wrong ones.

mod checkpoint;
mod defaults;
mod design;
mod outputs;
mod reference;
mod secrets;
mod sink;
mod wrong;

use std::path::{Path, PathBuf};

use expect_test::Expect;

use super::{ConfigErrors, PipelineSettings};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidegate-config-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn environment(name: &str) -> Option<String> {
    match name {
        "PASSWORD" => Some("hunter2".into()),
        "INSTANCE" => Some("host-1".into()),
        "SOON" => Some("hunter3".into()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<PipelineSettings, ConfigErrors> {
    parse_in(Path::new(""), text)
}

fn parse_in(folder: &Path, text: &str) -> Result<PipelineSettings, ConfigErrors> {
    PipelineSettings::parse(text, &folder.join("p.toml"), &environment, None).map(|(settings, _)| settings)
}

fn check_wrong(text: &str, expected: Expect) {
    expected.assert_eq(&match parse(text) {
        Ok(_) => "nothing is wrong".into(),
        Err(errors) => errors.to_string(),
    });
}

/// A file in which nothing is wrong, with `lines` at the end of the root's keys, of `[source.kafka]` and so on.
#[derive(Default)]
struct With {
    root: &'static str,
    kafka: &'static str,
    decode: &'static str,
    watermark: &'static str,
    elasticsearch: &'static str,
    output: &'static str,
    aggregate: &'static str,
}

impl With {
    fn file(&self) -> String {
        let aggregate = match self.aggregate {
            "" => String::new(),
            lines => format!("[output.aggregate]\nplugin = \"count.wasm\"\n{lines}\n"),
        };
        format!(
            "name = \"p\"\n{}\n[source.kafka]\nbrokers = \"b:9092\"\ntopics = [\"t\"]\n{}\n[source.decode]\n{}\n\
             [watermark]\n{}\n[sink.elasticsearch]\nurls = [\"http://e:9200\"]\n{}\n[[output]]\nname = \"o\"\n\
             index = \"i\"\n{}\n{aggregate}",
            self.root, self.kafka, self.decode, self.watermark, self.elasticsearch, self.output
        )
    }

    fn wrong(&self, expected: Expect) {
        check_wrong(&self.file(), expected);
    }

    fn right(&self) -> PipelineSettings {
        parse(&self.file()).unwrap_or_else(|errors| panic!("{errors}"))
    }
}

#[test]
fn the_plugin_directory_can_be_told() {
    let text = With::default().file();
    let (settings, _) =
        PipelineSettings::parse(&text, Path::new("p.toml"), &environment, Some(Path::new("/x"))).unwrap();
    assert_eq!(settings.plugins, Path::new("/x"));
}

#[test]
fn the_pipelines_of_the_examples_and_scenarios_are_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["examples", "tests/scenarios"].map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let files: Vec<_> = folders
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path().join("pipeline.toml"))
        .filter(|file| file.exists() && !file.to_str().unwrap().contains("/error-"))
        .collect();
    assert!(files.len() > 2);
    for file in files {
        if let Err(errors) = PipelineSettings::load(&file, &environment, None) {
            panic!("{errors}");
        }
    }
}

#[test]
fn a_start_may_be_a_time() {
    for kafka in ["start = 2026-01-31T00:00:00Z", "start = \"2026-01-31T01:00:00+01:00\""] {
        let settings = With { kafka, ..With::default() }.right();
        assert_eq!(settings.kafka.start, crate::config::Start::Timestamp { millis: 1_769_817_600_000 }, "{kafka}");
    }
}
