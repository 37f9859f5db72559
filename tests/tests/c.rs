//! The example in C in the real host. `scripts/language-tests.sh` runs it with the component that `scripts/c.sh` builds.

use tidegate::cli::test::{TestArgs, run};
use tidegate_tests::workspace::root;

#[test]
#[ignore = "needs the component of scripts/c.sh"]
fn the_example_does_what_its_scenario_says() {
    let args = TestArgs {
        folder: Some(root().join("examples/c/scenarios")),
        plugins: Some(root().join("target/c")),
        bless: std::env::var_os("BLESS").is_some(),
        ..TestArgs::default()
    };
    run(&args).expect("`tidegate test examples/c` says what differs");
}
