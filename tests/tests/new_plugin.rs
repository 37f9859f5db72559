//! `tidegate new`, and the way that it names: the crate is tested, built and passes its scenario, outside of the repository.

use std::fs;
use std::path::Path;
use std::process::Command;

use tidegate_tests::program::binary;
use tidegate_tests::workspace::{Outside, plugin_target, root};

/// Without a network: what the crates need is what the plugins need.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let mut command = if program == "tidegate" { Command::new(binary()) } else { Command::new(program) };
    command.current_dir(folder).args(arguments);
    command.env("CARGO_TARGET_DIR", plugin_target()).env("RUSTUP_AUTO_INSTALL", "0");
    let output = command.output().expect("it can be run");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_new_crate_of_each_kind_is_tested_built_and_passes_its_scenario() {
    let outside = Outside::new("new");
    let sdk = root().join("sdk/rust");
    for kind in ["filter", "enrich", "aggregate"] {
        // Names that a page would choose, and that could be in the way of others in the pipeline file.
        let name = if kind == "filter" { "orders" } else { kind };
        let said = run(outside.path(), "tidegate", &["new", name, "--kind", kind, "--sdk", &sdk.to_string_lossy()]);
        let folder = outside.path().join(name);
        assert!(said.contains(&format!("cd {name}\n")) && !said.contains("note:"), "{said}");
        fs::copy(root().join("plugins/Cargo.lock"), folder.join("Cargo.lock")).expect("copied");

        let tested = run(&folder, "cargo", &["test", "--lib"]);
        assert!(tested.contains("test result: ok."), "{tested}");
        let built = run(&folder, "tidegate", &["build"]);
        assert!(built.starts_with(&format!("plugins/{name}.wasm: {kind}, ")), "{built}");
        let passed = run(&folder, "tidegate", &["test"]);
        assert!(passed.starts_with("ok      first (") && passed.ends_with("\n1 passed, 0 failed\n"), "{passed}");
        run(&folder, "tidegate", &["check", "scenarios/first/pipeline.toml"]);
        let formatted =
            Command::new("cargo").current_dir(&folder).args(["fmt", "--check"]).output().expect("it can be run");
        let absent = String::from_utf8_lossy(&formatted.stderr).contains("not installed");
        assert!(formatted.status.success() || absent, "{kind}: {}", String::from_utf8_lossy(&formatted.stdout));
    }
}

#[test]
fn what_is_there_is_left_alone_and_the_missing_sdk_is_named() {
    let outside = Outside::new("new-twice");
    let new = |arguments: &[&str]| {
        let output = Command::new(binary())
            .arg("new")
            .args(arguments)
            .current_dir(outside.path())
            .output()
            .expect("it can be run");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = new(&["sizes", "--kind", "enrich"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("version 0.1 of the SDK is not published yet"), "{said}");
    let (code, said) = new(&["sizes", "--kind", "filter"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    for wrong in ["9lives", "../sizes", "match"] {
        let (code, said) = new(&[wrong, "--kind", "filter"]);
        assert_eq!(code, Some(2), "{said}");
    }
    assert_eq!(fs::read_dir(outside.path()).expect("a folder").count(), 1);
}
