//! `tidegate dev`: what is saved is served, and what does not compile is shown while the generation before goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tidegate_tests::dev::Dev;
use tidegate_tests::program::binary;
use tidegate_tests::workspace::{Outside, root};

fn new_plugin(parent: &Path, name: &str, kind: &str) -> PathBuf {
    let sdk = root().join("sdk/rust");
    let mut new = Command::new(binary());
    new.current_dir(parent).args(["new", name, "--kind", kind, "--sdk"]).arg(sdk).stdout(Stdio::null());
    assert!(new.status().expect("it can be run").success());
    let folder = parent.join(name);
    // The dependencies are those of the plugins; their lock file saves a look at the registry.
    fs::copy(root().join("plugins/Cargo.lock"), folder.join("Cargo.lock")).expect("copied");
    folder
}

fn edit(folder: &Path, from: &str, to: &str) {
    let file = folder.join("src/lib.rs");
    let text = fs::read_to_string(&file).expect("it is there");
    assert!(text.contains(from), "{from} is not in\n{text}");
    fs::write(file, text.replace(from, to)).expect("written");
}

#[test]
fn what_is_saved_is_served_and_what_does_not_compile_is_shown() {
    let outside = Outside::new("dev");
    let folder = new_plugin(outside.path(), "dev-orders", "filter");
    let mut dev = Dev::run(&folder, &[]);
    dev.says(&["pipeline first, on stand-ins"]);
    dev.says(&["sources of dev-orders in "]);
    dev.says(&["built dev-orders in "]);
    dev.says(&["dev-orders serves as generation 1"]);
    // Only orders from 1,000 cents on.
    dev.says(&["document in orders: ", "\"cents\": 1"]);

    edit(&folder, "order.cents >= self.at_least_cents", "order.cents < self.at_least_cents");
    dev.says(&["dev-orders serves as generation 2"]);
    dev.says(&["document in orders: ", "\"cents\": 250}"]);

    edit(&folder, "order.cents <", "order.pence <");
    dev.says(&["cannot build dev-orders"]);
    dev.says(&["error[E0609]: no field `pence`"]);
    dev.says(&["src/lib.rs:"]);
    // It goes on: documents come, still of generation 2.
    dev.says(&["document in orders: ", "\"cents\": 250}"]);

    edit(&folder, "order.pence <", "order.cents >");
    dev.says(&["dev-orders serves as generation 3"]);
    dev.says(&["document in orders: ", "\"cents\": 1250}"]);

    new_plugin(&folder, "dev-sizes", "enrich");
    let file = folder.join("scenarios/first/pipeline.toml");
    let pipeline = fs::read_to_string(&file).expect("it is there");
    let added = "[[transform]]\nplugin = \"dev-sizes.wasm\"\nsettings = { large_from_cents = 1 }\n\n[sink";
    fs::write(&file, pipeline.replacen("[sink", added, 1)).expect("written");
    dev.says(&["built dev-sizes in "]);
    dev.says(&["dev-sizes serves as generation 1"]);
    dev.says(&["document in orders: ", "\"size\":\"large\"}"]);
    dev.stop();
}
