//! Runs every folder of `tests/scenarios`, as `tidegate test` does.

use std::process::ExitCode;

use tidegate::cli::Exit;
use tidegate::cli::test::{TestArgs, run};
use tidegate_tests::program::components;
use tidegate_tests::workspace::root;

fn main() -> ExitCode {
    let is_ours = |argument: &String| !argument.starts_with('-');
    components();
    let args = TestArgs {
        folder: Some(root().join("tests/scenarios")),
        names: std::env::args().skip(1).filter(is_ours).collect(),
        bless: std::env::args().any(|argument| argument == "--bless"),
        ..TestArgs::default()
    };
    match run(&args) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::of(&error).into()
        }
    }
}
