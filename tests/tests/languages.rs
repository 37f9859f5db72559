//! Plugins in other languages than Rust: the examples' components in the real host. `scripts/language-tests.sh` runs those of a
//! language that need its tools; `scripts/LANGUAGE.sh` makes what they need.

use tidegate::cli::test::{TestArgs, run};
use tidegate_tests::workspace::root;

/// In batches of 1, of 7 and of all.
fn scenarios_pass(language: &str) {
    let args = TestArgs {
        folder: Some(root().join(format!("examples/{language}/scenarios"))),
        plugins: Some(root().join(format!("target/{language}"))),
        bless: std::env::var_os("BLESS").is_some(),
        ..TestArgs::default()
    };
    run(&args).expect("`tidegate test` says what differs");
}

mod c {
    #[test]
    #[ignore = "needs the component of scripts/c.sh"]
    fn a_filter_without_an_sdk_judges_payments() {
        super::scenarios_pass("c");
    }
}

mod go {
    #[test]
    #[ignore = "needs the components of scripts/go.sh"]
    fn connections_are_filtered_and_enriched_and_a_panic_costs_its_record() {
        super::scenarios_pass("go");
    }
}

mod javascript {
    #[test]
    #[ignore = "needs the components of scripts/javascript.sh"]
    fn visits_are_filtered_and_enriched_and_an_exception_costs_its_record() {
        super::scenarios_pass("javascript");
    }
}

mod python {
    use std::fs;
    use std::process::Command;

    use tidegate_tests::program::binary;
    use tidegate_tests::workspace::{root, scratch};

    #[test]
    fn the_copy_of_the_interface_is_the_original() {
        let read = |path: &str| fs::read_to_string(root().join(path)).expect(path);
        let copy = "sdk/python/tidegate_sdk/wit/tidegate.wit";
        assert!(read("wit/tidegate.wit") == read(copy), "copy wit/tidegate.wit to {copy}");
    }

    /// Unicode, splits, times, what is absent, rejections, an exception, settings refused.
    #[test]
    #[ignore = "needs the components of scripts/python.sh"]
    fn the_example_does_what_its_scenarios_say() {
        super::scenarios_pass("python");
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
        let samples: Vec<&str> =
            page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
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
}
