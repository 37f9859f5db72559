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
