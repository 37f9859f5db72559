//! The pipelines that the pages show are right.

use std::fs;
use std::path::Path;

use tidegate::config::PipelineSettings;
use tidegate_tests::workspace::{files, root};

fn parse(text: &str, file: &Path) {
    if let Err(errors) = PipelineSettings::parse(text, file, &|_| None, None) {
        panic!("{errors}");
    }
}

#[test]
fn the_examples_are_right() {
    let examples = files(&root().join("examples"), "pipeline.toml");
    assert!(examples.len() >= 2, "{examples:?}");
    for file in examples {
        parse(&fs::read_to_string(&file).expect("it was found"), &file);
    }
}

#[test]
fn the_readme_shows_a_pipeline_that_is_right() {
    let file = root().join("README.md");
    let text = fs::read_to_string(&file).expect("there is a README");
    let (_, from) = text.split_once("```toml\n").expect("the README shows a pipeline");
    let (pipeline, _) = from.split_once("```").expect("and it ends");
    parse(pipeline, &file);
}
