//! The pages for authors of plugins, followed from their first line to their last.

use tidegate_tests::guide::follow;

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
