//! What the pages show is right: their pipelines are valid, and their links lead somewhere.

use std::fs;
use std::path::Path;
use std::process::Command;

use tidegate::config::PipelineSettings;
use tidegate_tests::guide::{self, Block, blocks};
use tidegate_tests::program::binary;
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

/// The pages, and the blocks in them.
fn blocks_of_pages() -> Vec<(String, Block)> {
    let shown = |page: &Path| {
        let text = fs::read_to_string(page).expect("it was found");
        let name = page.strip_prefix(root()).expect("it is in the repository").display().to_string();
        blocks(&text).into_iter().map(move |block| (format!("{name}:{}", block.line), block)).collect::<Vec<_>>()
    };
    files(&root(), ".md").iter().flat_map(|page| shown(page)).collect()
}

#[test]
fn pipelines_and_parts_of_them_are_right() {
    let mut count = 0;
    for (what, block) in blocks_of_pages().iter().filter(|(_, block)| block.language == "toml") {
        // A file of a guide is looked at where that is followed; settings alone are no part of a pipeline.
        if block.file.is_none() && !block.body.starts_with("settings") {
            guide::parse(&block.body, what);
            count += 1;
        }
    }
    assert!(count >= 4, "{count}");
}

/// Commands that need servers are not run, but they are there, with these options.
#[test]
fn commands_are_there_with_their_options() {
    let mut count = 0;
    for (what, block) in blocks_of_pages().iter().filter(|(_, block)| block.language == "sh") {
        for line in block.body.lines() {
            let Some((_, arguments)) = line.split_once("tidegate ").filter(|(before, _)| is_program(before)) else {
                continue;
            };
            // Placeholders are an argument each.
            let arguments = arguments.split(" #").next().unwrap_or_default().replace(['[', ']', '…'], "");
            let asked = Command::new("sh")
                .args(["-c", &format!("\"$TIDEGATE\" {arguments} --help")])
                .env("TIDEGATE", binary())
                .output();
            let asked = asked.expect("a shell is there");
            assert!(asked.status.success(), "{what}: {line}\n{}", String::from_utf8_lossy(&asked.stderr));
            count += 1;
        }
    }
    assert!(count >= 30, "{count}");
}

fn is_program(before: &str) -> bool {
    before.is_empty() || before == "target/release/"
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
