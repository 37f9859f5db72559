//! A seeded run of the two fuzz targets: no bytes that are given as a component, and no memory that a guest answers with, make the
//! host panic, or take more memory than it may.
//!
//! `SEED` is another run, `INPUTS` a longer one, `INPUT` the file of a single input: `INPUT=FILE cargo test --workspace --test fuzz
//! returned`.

use std::path::PathBuf;
use std::time::Instant;

use tidegate::plugin::Engine;
use tidegate_tests::counting::Counting;
use tidegate_tests::fuzz::{Came, Mutator, Returned, inspect, inspect_seeds, returned_seeds};
use tidegate_tests::workspace::{root, scratch};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().expect("a number"))
}

/// Keeps the input that is being tried, when the test fails on it.
struct Tried {
    file: PathBuf,
    input: Vec<u8>,
}

impl Drop for Tried {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = std::fs::write(&self.file, &self.input);
            println!("{} bytes; replay them with INPUT={}", self.input.len(), self.file.display());
            println!("{}", self.input.iter().take(2000).map(|byte| format!("{byte:02x}")).collect::<String>());
        }
    }
}

/// Tries the seeds as they are, then so many damaged ones.
fn run(name: &str, seeds: Vec<Vec<u8>>, inputs: u64, mut body: impl FnMut(&[u8]) -> Came) {
    if let Some(file) = std::env::var_os("INPUT") {
        let came = body(&std::fs::read(file).expect("the input is there"));
        return println!("{name}: {came:?}");
    }
    let (seed, inputs) = (number("SEED").unwrap_or(1), number("INPUTS").unwrap_or(inputs));
    let file = scratch(&format!("fuzz-{name}")).join("input");
    let mut mutator = Mutator::new(seed, seeds.clone());
    let (begun, mut taken) = (Instant::now(), 0_u64);
    let damaged = (0..inputs).map(|_| mutator.next_input());
    for input in seeds.into_iter().chain(damaged) {
        let tried = Tried { file: file.clone(), input };
        taken += u64::from(body(&tried.input) == Came::Taken);
    }
    println!("{name}: seed {seed}, {inputs} inputs, {taken} of them taken, {:.1} s", begun.elapsed().as_secs_f64());
    assert!(taken > 0, "something is right with some of them");
}

#[test]
fn inspect_says_something_of_any_bytes() {
    let engine = Engine::new().expect("an engine");
    run("inspect", inspect_seeds(), 1500, |input| inspect(&engine, input));
}

#[test]
fn returned_values_keep_the_contract_or_are_refused() {
    let engine = Engine::new().expect("an engine");
    let mut returned = Returned::new(&engine);
    run("returned", returned_seeds(), 8000, |input| returned.answer(input));
}

/// For `make fuzz`, which begins with them.
#[test]
#[ignore = "writes into the repository"]
fn seeds_are_written() {
    for (name, seeds) in [("inspect", inspect_seeds()), ("returned", returned_seeds())] {
        let folder = root().join("tests/fuzz/corpus").join(name);
        std::fs::create_dir_all(&folder).expect("the repository is writable");
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed).expect("the repository is writable");
        }
    }
}
