//! Runs every folder of `tests/scenarios`: the real pipeline in virtual time, without a network.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use tidegate::pipeline::Loader;
use tidegate_tests::program::components;
use tidegate_tests::scenario::Scenario;
use tidegate_tests::workspace::root;

/// Fewer would mean that folders were lost.
const SCENARIOS_MIN: usize = 20;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let update = std::env::var_os("UPDATE").is_some();
    components();
    let folder = root().join("tests/scenarios");
    let mut folders: Vec<_> = fs::read_dir(&folder)
        .expect("the scenarios are there")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(folders.len() >= SCENARIOS_MIN, "only {} scenarios in {}", folders.len(), folder.display());

    let (mut passed, mut failed, mut loader) = (0, 0, Loader::default());
    for path in folders {
        let name = path.file_name().expect("a folder has a name").to_string_lossy().into_owned();
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let (scenario, begin) = (Scenario::new(&path), Instant::now());
        let outcome =
            if update { scenario.update(&mut loader).map(|()| Vec::new()) } else { scenario.differences(&mut loader) };
        let differences = outcome.unwrap_or_else(|error| vec![format!("{error:#}")]);
        let verdict = if differences.is_empty() { "ok" } else { "FAILED" };
        println!("scenario {name} ... {verdict} ({} ms)", begin.elapsed().as_millis());
        for difference in &differences {
            println!("    {difference}");
        }
        if differences.is_empty() { passed += 1 } else { failed += 1 }
    }
    println!("\nscenarios: {passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
