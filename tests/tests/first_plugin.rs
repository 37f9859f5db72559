//! The first plugin of `docs/plugins.md`, as its reader makes it: outside of the plugins' workspace, with cargo alone, and
//! with `tidegate build`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tidegate::plugin::{self, Component, Engine};
use tidegate::record::{Field, Kind};
use tidegate_tests::program::binary;
use tidegate_tests::workspace::{plugin_target, root, scratch};

const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// The page's sample of a language that begins so.
fn sample(language: &str, begins: &str) -> String {
    let page = fs::read_to_string(root().join("docs/plugins.md")).expect("the page is there");
    let fence = format!("```{language}\n");
    let mut samples = page.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    samples.find(|sample| sample.starts_with(begins)).expect("the page has the sample").to_owned()
}

/// The reader's folder.
fn crate_of_the_page() -> PathBuf {
    let folder = scratch("first-plugin").join("big-orders");
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let manifest =
        sample("toml", "[package]").replace("../tidegate/sdk/rust", &root().join("sdk/rust").to_string_lossy());
    // The folder may be below the repository's, whose workspace it is no part of; the lock file saves a look at the registry.
    fs::write(folder.join("Cargo.toml"), manifest + "\n[workspace]\n").expect("written");
    fs::copy(root().join("plugins/Cargo.lock"), folder.join("Cargo.lock")).expect("copied");
    fs::write(folder.join("src/lib.rs"), sample("rust", "//! Keeps orders")).expect("written");
    folder
}

fn succeed(command: &mut Command) -> String {
    let output = command.env("CARGO_TARGET_DIR", plugin_target()).output().expect("it can be run");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_first_plugin_of_the_page_is_tested_built_and_accepted() {
    let folder = crate_of_the_page();
    let cargo = || {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&folder);
        cargo
    };
    let tested = succeed(cargo().args(["test", "--lib"]));
    assert!(tested.contains("2 passed"), "{tested}");

    // Cargo alone gives a core module that carries its component type.
    succeed(cargo().args(["build", "--release", "--target", "wasm32-unknown-unknown"]));
    let module =
        fs::read(plugin_target().join("wasm32-unknown-unknown/release/big_orders.wasm")).expect("cargo has built it");
    assert!(module.starts_with(CORE_MODULE));
    let component = plugin::encode(&module).expect("it can be encoded").expect("it is no component yet");

    // `tidegate build` puts that component into the plugin directory, and leaves it alone when nothing has changed.
    let plugins = folder.join("plugins");
    let mut build = Command::new(binary());
    build.arg("build").arg(&folder).arg("-o").arg(&plugins);
    let file = plugins.join("big-orders.wasm");
    let said = format!("{}: filter, {} bytes", file.display(), component.len());
    assert_eq!(succeed(&mut build), format!("{said}\n"));
    assert_eq!(succeed(&mut build), format!("{said}, unchanged\n"));
    assert!(fs::read(&file).expect("it is there") == component);

    let engine = Engine::new().expect("an engine");
    let component = Component::load(&engine, &file).expect("the runtime takes it");
    let plugin = component.configure(r#"{"at_least": 100}"#).expect("the settings are taken");
    let field = |path: &str, kind, required| Field { path: path.into(), kind, required };
    assert_eq!(plugin.ports().reads, [field("order.total", Kind::Float, true), field("currency", Kind::Text, false)]);
    let refused = component.configure(r#"{"at_least": -1}"#).expect_err("refused").to_string();
    assert!(refused.ends_with("at_least is negative"), "{refused}");
}
