//! Plugins in Python: the example's components in the real host, the samples of `docs/python.md`, the SDK's own tests.
//!
//! `scripts/python-tests.sh` runs those that need Python; `scripts/python.sh` makes what they need.

use std::fs;
use std::process::Command;

use tidegate::config::PipelineSettings;
use tidegate::pipeline::{Loader, VirtualPipeline};
use tidegate_tests::program::binary;
use tidegate_tests::scenario::Scenario;
use tidegate_tests::workspace::{root, scratch};

#[test]
fn the_copy_of_the_interface_is_the_original() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect(path);
    let copy = "sdk/python/tidegate_sdk/wit/tidegate.wit";
    assert!(read("wit/tidegate.wit") == read(copy), "copy wit/tidegate.wit to {copy}");
}

/// One test, so that each component is compiled once: an interpreter takes its seconds.
#[test]
#[ignore = "needs the components of scripts/python.sh"]
fn the_example_does_what_its_scenario_says_and_refuses_settings_in_its_own_words() {
    let folder = root().join("examples/python/scenario");
    let (scenario, mut loader) = (Scenario::new(&folder), Loader::default());
    if std::env::var_os("UPDATE").is_some() {
        scenario.update(&mut loader).expect("the scenario runs");
    }
    let differences = scenario.differences(&mut loader).expect("the scenario runs");
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));

    let file = folder.join("pipeline.toml");
    let pipeline = fs::read_to_string(&file).expect("the scenario has a pipeline");
    let settings = pipeline.lines().find(|line| line.starts_with("settings = ")).expect("the filter has settings");
    for (given, words) in [
        ("{}", "neither `networks` nor `mail` is set, so nothing would be dropped"),
        ("{ networks = ['10.0.0.0/99'] }", "'10.0.0.0/99' does not appear to be an IPv4 or IPv6 network"),
        ("{ mail = 7 }", "the setting `mail` is a whole number, expected a text"),
        ("{ mails = 'x' }", "unknown setting `mails`; there are `networks`, `mail`"),
    ] {
        let text = pipeline.replace(settings, &format!("settings = {given}"));
        let (settings, _) = PipelineSettings::parse(&text, &file, &|_| None, None).expect("the file is right");
        let refused = VirtualPipeline::start(&settings, 1, &mut loader).err().expect("the plugin refuses").to_string();
        assert!(refused.contains("does not accept its settings") && refused.contains(words), "{given}: {refused}");
    }
}

/// The interpreter that `scripts/python.sh` has made, in which the SDK is installed.
fn python() -> Command {
    let script = Command::new(root().join("scripts/python.sh")).arg("--python").output().expect("it can be run");
    assert!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
    let mut python = Command::new(String::from_utf8_lossy(&script.stdout).trim());
    python.arg("-B");
    python
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("it can be run");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[ignore = "needs the environment of scripts/python.sh"]
fn the_sdk_s_own_tests_pass() {
    let folder = root().join("sdk/python");
    succeed(python().args(["-m", "unittest", "discover", "-s", "tests"]).current_dir(folder));
}

/// Every sample of the page is a module of its own, as its reader has it; the commands are those of the page.
#[test]
#[ignore = "needs the environment of scripts/python.sh"]
fn the_samples_of_the_page_are_tested_built_and_accepted() {
    let page = fs::read_to_string(root().join("docs/python.md")).expect("the page is there");
    let samples: Vec<&str> = page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [filter, tests, others @ ..] = samples.as_slice() else {
        panic!("the page begins with a filter and its tests")
    };
    let folder = scratch("python-page");
    fs::write(folder.join("big_orders.py"), filter).expect("written");
    fs::write(folder.join("test_big_orders.py"), tests).expect("written");
    succeed(python().args(["-m", "unittest"]).current_dir(&folder));
    assert_eq!(others.len(), 3);
    for sample in others {
        fs::write(folder.join("sample.py"), sample).expect("written");
        let look = "import sample; from tidegate_sdk.build import plugin_of; plugin_of(sample)";
        succeed(python().args(["-c", look]).current_dir(&folder));
    }

    let component = "plugins/big-orders.wasm";
    for command in ["tidegate_sdk build big_orders.py -o", "tidegate inspect"] {
        assert!(page.contains(&format!("{command} {component}")), "the page shows `{command} {component}`");
    }
    succeed(python().args(["-m", "tidegate_sdk", "build", "big_orders.py", "-o", component]).current_dir(&folder));
    let settings = ["--settings", r#"{"at_least": 100}"#];
    let shown = succeed(Command::new(binary()).args(["inspect", component]).args(settings).current_dir(&folder));
    for line in ["big-orders 0.0.0: filter", "order.total (float, required)", "currency (text)"] {
        assert!(shown.contains(line), "{shown}");
    }
}
