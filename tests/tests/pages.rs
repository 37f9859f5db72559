//! What the pages show is right: their pipelines are valid, and their links lead somewhere.

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

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in files(&root(), ".md") {
        let text = fs::read_to_string(&page).expect("it was found");
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let link = rest.split([')', '#']).next().unwrap_or_default();
            let outside = link.is_empty() || link.contains("://");
            let folder = page.parent().expect("a file has a folder");
            if !outside && !folder.join(link).exists() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}
