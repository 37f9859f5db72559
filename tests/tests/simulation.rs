//! A thousand seeds of the simulated protocol. A failing one is printed: `SEED=N cargo test --workspace --test
//! simulation -- --nocapture` replays it with a trace. `SEEDS=N` runs more or fewer.

use tidegate_tests::simulation::{Statistics, resume_without_windows, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn the_index_is_the_fold_of_the_input_whatever_happens() {
    if let Some(seed) = number("SEED") {
        run(seed, true).unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
        return;
    }
    let mut total = Statistics::default();
    for seed in 0..number("SEEDS").unwrap_or(1000) {
        total += run(seed, false).unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
    }
    println!("{total:?}");
    let faults = [total.crashes, total.zombies, total.commits, total.idles, total.deploys];
    let stores = [total.checkpoints, total.restored, total.fenced, total.damaged, total.outages];
    let counts = faults.into_iter().chain(stores).chain([total.superseded, total.dead_letters]);
    assert!(counts.into_iter().all(|count| count > 0), "a fault never happened: {total:?}");
}

#[test]
fn windows_of_outputs_that_are_gone_are_given_up_by_name_only() {
    for given_up in [&[][..], &["short"]] {
        let error = resume_without_windows(given_up).expect_err("their open windows would be lost");
        assert!(error.contains("--accept-removed"), "{error}");
    }
    resume_without_windows(&["short", "long", "updated", "own", "visits"]).expect("goes on");
}
