//! The pages for authors of plugins, followed from their first line to their last.

use std::fs;

use tidegate::lane::LaneError;
use tidegate_tests::guide::follow;
use tidegate_tests::workspace::root;

#[test]
fn write_a_plugin_in_five_minutes() {
    follow("docs/first-plugin.md");
}

#[test]
fn settings() {
    follow("docs/settings.md");
}

#[test]
fn testing() {
    follow("docs/testing.md");
}

#[test]
fn state_and_migration() {
    follow("docs/state.md");
}

#[test]
fn limits() {
    follow("docs/limits.md");
}

#[test]
fn what_a_lane_says_that_waits_is_on_the_page() {
    let page = fs::read_to_string(root().join("docs/state.md")).expect("the page is there");
    let newer = LaneError::StateSchema {
        output: "totals".to_owned(),
        found: "revenue 2".to_owned(),
        known: "revenue 1".to_owned(),
        why: "; deploy the newer version of the component here too".to_owned(),
    };
    assert!(page.contains(&format!("partition=`orders.parts-0`: {newer}")), "{newer}");
}

#[test]
fn writing_a_plugin_while_its_pipeline_runs() {
    follow("docs/dev.md");
}
