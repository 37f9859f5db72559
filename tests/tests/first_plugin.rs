//! What `docs/plugins.md` says of building: `tidegate build`, or cargo alone, and what the runtime takes.

use std::fs;
use std::path::Path;
use std::process::Command;

use tidegate::plugin::{self, Component, Engine};
use tidegate::record::{Field, Kind};
use tidegate_tests::program::binary;
use tidegate_tests::workspace::{plugin_target, root, scratch};

const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

fn succeed(folder: &Path, command: &mut Command) -> String {
    command.current_dir(folder).env("CARGO_TARGET_DIR", plugin_target()).env("RUSTUP_AUTO_INSTALL", "0");
    let output = command.output().expect("it can be run");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn tidegate_build_and_cargo_alone_give_what_the_runtime_takes() {
    let folder = scratch("first-plugin");
    let sdk = root().join("sdk/rust");
    succeed(&folder, Command::new(binary()).args(["new", "big-orders", "--kind", "filter", "--sdk"]).arg(sdk));
    let folder = folder.join("big-orders");
    // The dependencies are those of the plugins; their lock file saves a look at the registry.
    fs::copy(root().join("plugins/Cargo.lock"), folder.join("Cargo.lock")).expect("copied");

    // `tidegate build` puts a component into the plugin directory, and leaves it alone when nothing has changed.
    let mut build = Command::new(binary());
    let said = succeed(&folder, build.arg("build"));
    let file = folder.join("plugins/big-orders.wasm");
    let built = fs::read(&file).expect("it is there");
    assert_eq!(said, format!("plugins/big-orders.wasm: filter, {} bytes\n", built.len()));
    assert_eq!(succeed(&folder, &mut build), said.replace('\n', ", unchanged\n"));

    // Cargo alone, without the linker: a core module that carries its component type.
    fs::remove_dir_all(folder.join(".cargo")).expect("it is there");
    succeed(&folder, Command::new("cargo").args(["build", "--release", "--target", "wasm32-unknown-unknown"]));
    let module = plugin_target().join("wasm32-unknown-unknown/release/big_orders.wasm");
    let module = fs::read(module).expect("cargo has built it");
    assert!(module.starts_with(CORE_MODULE));
    plugin::encode(&module).expect("it can be encoded").expect("it is no component yet");
    fs::write(&file, module).expect("written");

    let engine = Engine::new().expect("an engine");
    let component = Component::load(&engine, &file).expect("the runtime takes it");
    let plugin = component.configure(r#"{"at_least_cents": 100}"#).expect("the settings are taken");
    assert_eq!(plugin.ports().reads, [Field { path: "cents".into(), kind: Kind::Integer, required: true }]);
    let refused = component.configure(r#"{"at_least_cents": -1}"#).expect_err("refused").to_string();
    assert!(refused.ends_with("at_least_cents is negative"), "{refused}");
}

/// Runs `tidegate bench` on a reference plugin: its exit code, and what it said.
fn bench(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    command.current_dir(root()).args(["bench", "target/plugins/where.wasm"]).args(arguments);
    let output = command.output().expect("it can be run");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn bench_puts_a_component_beside_one_that_does_nothing_and_says_what_it_cannot_use() {
    let folder = scratch("bench");
    let file = folder.join("sample.ndjson");
    fs::write(&file, "{\"n\": 1}\n{\"n\": 2, \"s\": \"long\"}\nno JSON\n{\"n\": \"?\"}\n").expect("written");
    let sample = ["--sample", &file.to_string_lossy(), "--settings", r#"{"field": "n", "equals": 1}"#];

    let (code, said) = bench(&[&sample[..], &["--rows", "10"]].concat());
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "where 0.1.0: filter, in calls of 10 records, of 4 records in the file");
    assert!(said.contains("  left out: 1 record, "), "{said}");
    let cells = |name: &str| -> Vec<f64> {
        let line =
            lines.iter().rev().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {said}"));
        line.split_whitespace().filter_map(|cell| cell.parse().ok()).collect()
    };
    let (ours, noop, ratio) = (cells("where "), cells("no-op "), cells("ratio "));
    // The median, the ends, bytes in and out: what crosses is the same to both.
    assert!(ours[1] <= ours[0] && ours[0] <= ours[2] && ours[0] > 0.0, "{said}");
    assert_eq!(ours[3..5], noop[3..5], "{said}");
    assert_eq!((noop[4], ratio.len()), (1.0, 3), "a verdict is a byte: {said}");

    let (code, said) = bench(&[]);
    assert!(code == Some(2) && said.contains("--input FILE or --sample FILE"), "{said}");
    let (code, said) = bench(&["--input", &file.to_string_lossy()]);
    assert!(code == Some(2) && said.contains("sample.ndjson:1:") && said.contains("--sample"), "{said}");
    fs::write(&file, "no JSON\n").expect("written");
    let (code, said) = bench(&sample);
    assert!(code == Some(2) && said.contains("no record of the file reaches the component\n  1: "), "{said}");
    let (code, said) = bench(&[&sample[..2], &["--settings", "{}"]].concat());
    assert!(code == Some(3), "the settings are refused: {said}");
}
