//! Filters: deeds, malformed verdicts, which record of a batch traps, and what `on_trap` and the breaker make of it.

use expect_test::expect;
use tidegate::pipeline::Loader;
use tidegate::record::{Rejection, Verdicts};
use tidegate_tests::evil::{BATCHES, Job, Record};
use tidegate_tests::puppet::{Deed, Puppet, Script, ZEROS, ZEROS_LEN, module, wit};
use tidegate_tests::reload::guest;

use super::{LIMITS, MEMORY_MAX, among, deeds, rejection, transform};

fn verdicts(keep: &[u8], rejected: Vec<Rejection>) -> Script {
    Script::answers(|image| image.verdicts(&Verdicts { keep: keep.to_vec(), rejected }))
}

fn job(name: &str) -> Job {
    Job::new(name, &transform("puppet"), &[("puppet", &Puppet::filter().build())])
}

#[test]
fn a_filter_harms_only_the_record_that_makes_it() {
    let reason = |at: u32, len: u32| {
        Script::answers(|image| {
            let bytes = image.bytes(b"\xff\xfe");
            let rejected = image.words(&[0, if at == 0 { bytes.0 } else { at }, len]);
            image.words(&[ZEROS, 1, rejected, 1])
        })
    };
    let mut deeds = deeds();
    deeds.extend([
        ("gives no verdict", verdicts(&[], vec![])),
        ("gives 99 verdicts", verdicts(&[1; 99], vec![])),
        ("gives a verdict of 7", verdicts(&[7], vec![])),
        ("rejects a row that there is not", verdicts(&[1], vec![rejection(99, "no")])),
        ("rejects row 4294967295", verdicts(&[1], vec![rejection(u32::MAX, "no")])),
        ("rejects a row twice", verdicts(&[1], vec![rejection(0, "no"), rejection(0, "no")])),
        ("rejects what it keeps", verdicts(&[1], vec![rejection(0, "no")])),
        ("gives 4 GiB of verdicts", Script::raw_words(&[ZEROS, u32::MAX, 0, 0])),
        ("gives 2 MiB of verdicts", Script::raw_words(&[ZEROS, ZEROS_LEN, 0, 0])),
        ("gives verdicts that are not in its memory", Script::raw_words(&[0xffff_0000, 1, 0, 0])),
        ("gives as many rejections as its memory holds", Script::raw_words(&[ZEROS, 1, ZEROS, ZEROS_LEN / 12])),
        ("gives 4 Gi rejections", Script::raw_words(&[ZEROS, 1, ZEROS, u32::MAX])),
        ("gives rejections at an odd address", Script::raw_words(&[ZEROS, 1, ZEROS + 2, 1])),
        ("gives a reason that is not in its memory", reason(0xffff_fff0, 8)),
        ("gives a reason of 4 GiB", reason(ZEROS, u32::MAX)),
        ("gives a reason that is not UTF-8", reason(0, 2)),
        ("gives a reason that clears the screen", verdicts(&[1], vec![rejection(0, "\u{1b}[2Jnothing\r\u{7}")])),
        ("rejects a row 100,000 times", Script::raw_words(&[ZEROS, 1, ZEROS, 100_000])),
    ]);
    expect![[r#"
        traps → trap: the plugin trapped: wasm `unreachable` instruction executed; in perform, in perform_first
        traps, with last words → trap: the plugin trapped: wasm `unreachable` instruction executed; its last words: index out of range
        spins → deadline: the plugin did not come back in time; in perform, in perform_first
        spins again → deadline: the plugin did not come back in time; in perform, in perform_first
        recurses for ever → trap: the plugin trapped: call stack exhausted; in deep
        takes memory for ever → trap: the plugin trapped: it asked for 9437184 bytes of memory, its limit is 8388608; in perform, in perform_first
        reads beyond its memory → trap: the plugin trapped: out of bounds memory access; in perform, in perform_first
        logs for ever → deadline: the plugin did not come back in time; in perform, in perform_first
        logs 2 MiB at once → contract: the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit
        logs at a level that there is not → trap: the plugin trapped: unexpected discriminant: 9; in perform, in perform_first
        logs what is not in its memory → trap: the plugin trapped: string pointer/length out of bounds of memory; in perform, in perform_first
        leaks → a document like any other
        allocates out of its memory from now on → a document like any other
        allocates at odd addresses from now on → a document like any other
        answers at an odd address → contract: the plugin broke the contract of its interface: its values cannot be read or written: return pointer not aligned
        answers at the end of its memory → contract: the plugin broke the contract of its interface: its values cannot be read or written: pointer out of bounds of memory
        answers at the end of all memory → contract: the plugin broke the contract of its interface: its values cannot be read or written: pointer out of bounds of memory
        gives no verdict → contract: the plugin broke the contract of its interface: `keep` has 0 bytes for 1 rows
        gives 99 verdicts → contract: the plugin broke the contract of its interface: `keep` has 99 bytes for 1 rows
        gives a verdict of 7 → a document like any other
        rejects a row that there is not → contract: the plugin broke the contract of its interface: row 99 of 1 is rejected
        rejects row 4294967295 → contract: the plugin broke the contract of its interface: row 4294967295 of 1 is rejected
        rejects a row twice → contract: the plugin broke the contract of its interface: row 0 is rejected twice
        rejects what it keeps → plugin: no
        gives 4 GiB of verdicts → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
        gives 2 MiB of verdicts → contract: the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit
        gives verdicts that are not in its memory → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
        gives as many rejections as its memory holds → contract: the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit
        gives 4 Gi rejections → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
        gives rejections at an odd address → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer is not aligned
        gives a reason that is not in its memory → contract: the plugin broke the contract of its interface: its values cannot be read or written: string pointer/length out of bounds of memory
        gives a reason of 4 GiB → contract: the plugin broke the contract of its interface: its values cannot be read or written: string pointer/length out of bounds of memory
        gives a reason that is not UTF-8 → contract: the plugin broke the contract of its interface: its values cannot be read or written: invalid utf-8 sequence of 1 bytes from index 0
        gives a reason that clears the screen → plugin: \u{1b}[2Jnothing\r\u{7}
        rejects a row 100,000 times → contract: the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit
    "#]].assert_eq(&job("filter").judge(&among(deeds), MEMORY_MAX));
}

/// What cleans up after a call is part of it.
#[test]
fn a_filter_that_breaks_after_its_answer_gives_none() {
    let cleans =
        r#"(func (export "cabi_post_tidegate:plugin/filter@0.1.0#filter") (param i32) (global.set $top (i32.const "#;
    for (breaks, words) in
        [("unreachable", "trap: the plugin trapped: wasm `unreachable`"), ("(loop (br 0))", "deadline: ")]
    {
        let text = Puppet::filter().text("");
        let text = text.replacen(cleans, &cleans.replace("(global", &format!("{breaks} (global")), 1);
        let job =
            Job::new("filter-post", &transform("puppet"), &[("puppet", &module(&text, &wit(), "", "filter-plugin"))]);
        for batch in BATCHES {
            let found =
                job.play(&[Record::innocent(0, "a"), Record::innocent(0, "b")], true, batch, &mut Loader::default());
            let given_up = found.letters.values().filter(|reason| reason.starts_with(words)).count();
            assert_eq!((found.documents.len(), given_up), (0, 2), "{breaks}: {:?}", found.letters);
        }
    }
}

/// A component of the SDK, on whose author's side all is as it should be.
#[test]
fn a_filter_in_rust_panics_spins_and_hoards() {
    let bytes = std::fs::read(guest("moody")).expect("it is built");
    let job = Job::new("moody", &transform("moody"), &[("moody", &bytes)]);
    let mut records = vec![Record::innocent(0, "a")];
    for mood in ["panic", "spin", "hoard", "reject", "drop"] {
        records.push(Record { mood, ..Record::evil(0, "a", mood, None) });
        records.push(Record::innocent(0, "b"));
    }
    expect![[r#"
        panic → trap: the plugin trapped: wasm `unreachable` instruction executed; its last words: panicked at moody/src/lib.rs:15:20:
        not today either
        spin → deadline: the plugin did not come back in time
        hoard → trap: the plugin trapped: it asked for 8978432 bytes of memory, its limit is 8388608
        reject → plugin: not today
        drop → nothing of its own
    "#]].assert_eq(&job.judge(&records, MEMORY_MAX));
}

/// Which rows of a batch of 200 trap.
#[test]
fn records_trap_wherever_they_are_in_a_batch() {
    let job = job("filter-places");
    for (place, traps) in [
        ("the first", (|row| row == 0) as fn(u32) -> bool),
        ("the last", |row| row == 199),
        ("every other", |row| row % 2 == 1),
        ("all but one", |row| row != 77),
    ] {
        let record = |row| match traps(row) {
            true => Record::evil(0, "a", &format!("row {row}"), Some(Script::does(Deed::Trap))),
            false => Record::innocent(0, "b"),
        };
        let records: Vec<Record> = (0..200).map(record).collect();
        let table = job.judge(&records, MEMORY_MAX);
        let trapped = (0..200).filter(|row| traps(*row)).count();
        assert_eq!((table.lines().count(), table.matches("→ trap: ").count()), (trapped, trapped), "{place}:\n{table}");
    }
}

/// Memory that no call gives back: fresh instances take over before one breaks.
#[test]
fn a_filter_that_grows_with_every_call_is_replaced_and_nobody_notices() {
    let leaks = |_| Record::evil(0, "a", "leaks", Some(Script::does(Deed::Leak)));
    let records: Vec<Record> = (0..600).map(leaks).chain([Record::innocent(0, "b")]).collect();
    let stages = transform("puppet").replace(r#"output = "#, r#"retire_at = "6MiB", output = "#);
    let job = Job::new("filter-leaks", &stages, &[("puppet", &Puppet::filter().build())]);
    expect![[r#"
        leaks → a document like any other
    "#]]
    .assert_eq(&job.judge(&records, MEMORY_MAX));
    let usage = job.play(&records, true, 1, &mut Loader::default()).usage;
    // 64 KiB a call, from 4 MiB to 6 MiB: 33 calls each.
    expect!["601 calls, 18 restarts, 0 broken"]
        .assert_eq(&format!("{} calls, {} restarts, {} broken", usage.calls, usage.restarts, usage.broken));
}

#[test]
fn what_is_logged_beyond_the_rate_is_dropped_and_counted() {
    let chatters = vec![("chatters", Script::does(Deed::Chatter))];
    let found = job("filter-chatters").play(&among(chatters), true, 7, &mut Loader::default());
    let dropped = found.usage.log_lines_dropped;
    assert!(dropped > 1000, "in 40 ms and more it logs far more than the 100 lines of a second: {dropped}");
}

#[test]
fn a_record_passes_or_stops_the_pipeline_where_that_is_wished() {
    let records = among(vec![("traps", Script::does(Deed::Trap)), ("gives no verdict", verdicts(&[], vec![]))]);
    let with = |on_trap: &str| {
        let stages = transform("puppet").replace(LIMITS, &format!("{LIMITS}\non_trap = \"{on_trap}\""));
        Job::new(&format!("filter-{on_trap}"), &stages, &[("puppet", &Puppet::filter().build())])
    };
    expect![[r#"
        traps → a document like any other
        gives no verdict → a document like any other
    "#]]
    .assert_eq(&with("pass").judge(&records, MEMORY_MAX));
    for batch in BATCHES {
        let found = with("stop").play(&records, true, batch, &mut Loader::default());
        let (code, why) = found.stopped.expect("it stops");
        assert_eq!((code, found.letters.len()), (3, 0), "{why}");
        assert!(why.contains("plugin=puppet") && why.contains("the plugin trapped"), "{why}");
    }
}

#[test]
fn a_filter_that_breaks_on_most_records_stops_the_pipeline() {
    let records: Vec<Record> = (0..1200)
        .map(|row| match row % 5 {
            0 | 1 => Record::innocent(0, "a"),
            _ => Record::evil(0, "b", "traps", Some(Script::does(Deed::Trap))),
        })
        .collect();
    for batch in BATCHES {
        let found = job("filter-breaker").play(&records, true, batch, &mut Loader::default());
        let (code, why) = found.stopped.expect("it stops");
        assert!(code == 7 && why.contains("the plugin breaks on "), "{code}: {why}");
    }
}
