//! Records that spin or trap each with a stack of its own, and records that take long but not for ever.

use std::time::Duration;

use expect_test::expect;
use tidegate::pipeline::Loader;
use tidegate_tests::evil::{Job, Record};
use tidegate_tests::puppet::{Deed, Puppet, Script};

use super::{LIMITS, MEMORY_MAX, transform};

/// One record in a hundred does this.
fn one_in_a_hundred(name: &str, deed: impl Fn(u32) -> Script) -> Vec<Record> {
    let record = |row: u32| match row % 100 {
        37 => Record::evil(0, "a", &format!("{name} {}", row / 100), Some(deed(row / 100))),
        _ => Record::innocent(0, "b"),
    };
    (0..2000).map(record).collect()
}

#[test]
fn records_that_spin_or_trap_with_stacks_of_their_own_are_found() {
    let job = Job::new("stacks", &transform("puppet"), &[("puppet", &Puppet::filter().build())]);
    for (name, deed, word) in [("spins", Deed::SpinAt, "deadline"), ("traps", Deed::TrapAt, "trap")] {
        // Another site and another depth each.
        let records = one_in_a_hundred(name, |number| Script::at_site(deed, number * 33));
        let table = job.judge(&records, MEMORY_MAX);
        assert_eq!((table.lines().count(), table.matches(&format!("→ {word}: ")).count()), (20, 20), "{table}");
    }
}

/// What such a record takes is measured first: machines differ.
#[test]
fn records_that_take_long_are_served_beside_those_that_spin() {
    const DEADLINE: Duration = Duration::from_millis(400);
    let stages = transform("puppet").replace("40ms", "400ms");
    assert!(stages.contains("400ms"), "{LIMITS}");
    let job = Job::new("long", &stages, &[("puppet", &Puppet::filter().build())]);
    let toil = |turns| Record::evil(0, "a", "toils", Some(Script::toils(turns)));
    let turns = 20_000_000;
    let nanos = job.play(&[toil(turns)], true, 1, &mut Loader::default()).usage.nanos;
    // A third of the deadline: all together break a batch, and one of them alone stays within it on a machine that has become slow.
    let turns = u128::from(turns) * (DEADLINE / 3).as_nanos() / u128::from(nanos);
    let turns = u32::try_from(turns).expect("a machine of this world");
    let mut records = Vec::new();
    for round in 0..3 {
        records.extend([Record::innocent(0, "a"), toil(turns), Record::innocent(0, "b"), toil(turns)]);
        let spins = Script::at_site(Deed::SpinAt, round);
        records.extend([Record::evil(0, "a", "spins", Some(spins)), Record::innocent(0, "c")]);
    }
    expect![[r#"
        toils → a document like any other
        spins → deadline: the plugin did not come back in time; in spin_at, in perform, in perform_first
    "#]]
    .assert_eq(&job.judge(&records, MEMORY_MAX));
    for batch in [1, 7, usize::MAX] {
        let took = Duration::from_nanos(job.play(&records, true, batch, &mut Loader::default()).usage.nanos);
        println!("{batch}: {took:?}");
        // Twice the deadline for each that spins; those that toil are tried with others, alone, and with a fresh instance.
        assert!(took < DEADLINE * 2 * 3 + DEADLINE / 2 * 6 * 3, "in batches of {batch}: {took:?}");
    }
}
