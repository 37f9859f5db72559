//! Two thousand seeds of the simulated protocol. A failing one is printed, and `tidegate-sim --seed N` replays it with a trace.
//! `SEEDS=N` runs more or fewer.

use tidegate_tests::simulation::{WINDOWED, resume_without_windows, run_histories, run_seeds};

#[test]
fn the_index_is_the_fold_of_the_input_whatever_happens() {
    let seeds = std::env::var("SEEDS").map_or(2000, |text| text.parse().expect("SEEDS is a number"));
    let total = run_seeds(0..seeds).unwrap_or_else(|(seed, difference)| panic!("seed {seed}: {difference}"));
    let faults = [total.crashes, total.zombies, total.commits, total.idles, total.deploys];
    let stores = [
        total.checkpoints,
        total.restored,
        total.fenced,
        total.damaged,
        total.outages,
        total.promoted,
        total.lost_answers,
        total.added,
        total.rewinds,
        total.changes,
    ];
    let counts = faults.into_iter().chain(stores).chain([total.superseded, total.dead_letters]);
    assert!(counts.into_iter().all(|count| count > 0), "a fault never happened: {total:?}");
}

#[test]
fn histories_that_seeds_hardly_draw_end_well() {
    run_histories().unwrap_or_else(|(history, difference)| panic!("{history}: {difference}"));
}

#[test]
fn windows_of_outputs_that_are_gone_are_given_up_by_name_only() {
    for given_up in [&[][..], &["short"]] {
        let error = resume_without_windows(given_up).expect_err("their open windows would be lost");
        assert!(error.contains("--accept-removed"), "{error}");
    }
    resume_without_windows(&WINDOWED.map(|output| output.name)).expect("goes on");
}
