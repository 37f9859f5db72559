//! Aggregates: deeds while records are folded, merged and emitted. What was folded before stays as it was.

use expect_test::expect;
use tidegate::record::{Accumulated, Column, Output, Slices, Values};
use tidegate_tests::evil::{Evil, Job, Record};
use tidegate_tests::puppet::{Deed, Puppet, Script, When, ZEROS, ZEROS_LEN};

use super::{Deeds, LIMITS, MEMORY_MAX, among, deeds, rejection};

fn job(name: &str) -> Job {
    let stages = format!(
        "[[output]]\nname = \"counts\"\nindex = \"counts\"\n[output.aggregate]\nplugin = \"puppet.wasm\"\n{LIMITS}\n\
         group_by = [\"g\"]\nwindow = {{ tumbling = \"1m\" }}\n"
    );
    Job::new(name, &stages, &[("puppet", &Puppet::aggregate().build())])
}

fn states(offsets: &[u32], bytes: &[u8]) -> Slices {
    Slices { offsets: offsets.to_vec(), bytes: bytes.to_vec() }
}

/// Time passes, and all windows close.
fn until_the_end(mut records: Vec<Record>, partitions: i32) -> Vec<Record> {
    let last = records.iter().map(|record| record.minute).max().unwrap_or_default();
    records.extend((0..partitions).map(|partition| Record { partition, ..Record::innocent(last + 2, "end") }));
    records
}

#[test]
fn a_record_that_cannot_be_folded_leaves_the_states_as_they_were() {
    let answer =
        |states: Slices, rejected| Script::answers(|image| image.accumulated(&Accumulated { states, rejected }));
    let mut deeds = deeds();
    deeds.extend([
        ("gives no states", answer(states(&[0], b""), vec![])),
        ("gives no offsets", answer(states(&[], b""), vec![])),
        ("gives 99 states", answer(vec!["state"; 99].iter().collect(), vec![])),
        ("gives offsets beyond the bytes", answer(states(&[0, 9], b"ab"), vec![])),
        ("rejects a row that there is not", answer(states(&[0, 8], &[0; 8]), vec![rejection(7, "no")])),
        ("gives 4 Gi states", Script::raw_words(&[ZEROS, u32::MAX, 0, 0, 0, 0])),
        ("gives states of 4 GiB", Script::raw_words(&[ZEROS, 2, ZEROS, u32::MAX, 0, 0])),
        ("gives states of 2 MiB", Script::raw_words(&[ZEROS, 2, ZEROS, ZEROS_LEN, 0, 0])),
        ("makes a state too large", Script::raw(&[0; 2000]).at(When::Emit)),
    ]);
    // Those that are served like others are counted, each in a group of its own.
    let mut records = among(deeds);
    for record in &mut records {
        if let Some(Evil { name, .. }) = record.evil.as_ref().filter(|evil| is_served(&evil.name)) {
            record.group.clone_from(name);
        }
    }
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
        allocates out of its memory from now on → trap: the plugin trapped: out of bounds memory access
        allocates at odd addresses from now on → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer is not aligned
        answers at an odd address → contract: the plugin broke the contract of its interface: its values cannot be read or written: return pointer not aligned
        answers at the end of its memory → contract: the plugin broke the contract of its interface: its values cannot be read or written: pointer out of bounds of memory
        answers at the end of all memory → contract: the plugin broke the contract of its interface: its values cannot be read or written: pointer out of bounds of memory
        gives no states → contract: the plugin broke the contract of its interface: states: 1 offsets for 1 values; one more than values is needed
        gives no offsets → contract: the plugin broke the contract of its interface: states: 0 offsets for 1 values; one more than values is needed
        gives 99 states → contract: the plugin broke the contract of its interface: states: 100 offsets for 1 values; one more than values is needed
        gives offsets beyond the bytes → contract: the plugin broke the contract of its interface: states: offsets go from 0 to 9, and there are 2 bytes
        rejects a row that there is not → contract: the plugin broke the contract of its interface: row 7 of 1 is rejected
        gives 4 Gi states → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
        gives states of 4 GiB → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
        gives states of 2 MiB → contract: the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit
        makes a state too large → plugin: the state of its group would grow to 2016 bytes, the limit is 1024
    "#]].assert_eq(&job("accumulate").judge(&until_the_end(records, 1), MEMORY_MAX));
}

/// Each record in a group that is named like its deed, in the first of two partitions; and one more of that group in the second.
fn in_groups(deeds: Deeds, when: When) -> Vec<Record> {
    let mut records = among(deeds.into_iter().map(|(name, script)| (name, script.at(when))).collect());
    for record in &mut records {
        if let Some(Evil { name, .. }) = &record.evil {
            record.group.clone_from(name);
        }
    }
    let second = records.clone().into_iter().map(|mut record| {
        record.partition = 1;
        record.evil = record.evil.map(|evil| Evil { script: None, ..evil });
        record
    });
    let mut both: Vec<Record> = records.iter().cloned().chain(second).collect();
    both.sort_by_key(|record| record.minute);
    until_the_end(both, 2)
}

fn is_served(deed: &str) -> bool {
    deed == "leaks" || deed.ends_with("from now on")
}

#[test]
fn states_that_cannot_be_merged_cost_the_documents_of_their_groups() {
    let answer = |states: Slices| Script::answers(|image| image.states(&states));
    let mut deeds = deeds();
    deeds.extend([
        ("gives no states", answer(states(&[0], b""))),
        ("gives 99 states", answer(["state"; 99].iter().collect())),
        ("gives offsets beyond the bytes", answer(states(&[0, 9], b"ab"))),
        ("gives offsets that begin later", answer(states(&[1, 2], b"ab"))),
        ("gives 4 Gi states", Script::raw_words(&[ZEROS, u32::MAX, 0, 0])),
        (
            "gives a state that is too large",
            Script::answers(|image| {
                let offsets = image.words(&[0, 1025]);
                image.words(&[offsets, 2, ZEROS, 1025])
            }),
        ),
    ]);
    let job = job("merge").with_partitions(2);
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
        gives no states → contract: the plugin broke the contract of its interface: states: 1 offsets for 1 values; one more than values is needed
        gives 99 states → contract: the plugin broke the contract of its interface: states: 100 offsets for 1 values; one more than values is needed
        gives offsets beyond the bytes → contract: the plugin broke the contract of its interface: states: offsets go from 0 to 9, and there are 2 bytes
        gives offsets that begin later → contract: the plugin broke the contract of its interface: states: offsets go from 1 to 2, and there are 2 bytes
        gives 4 Gi states → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
        gives a state that is too large → plugin: merged, the state of its group would have 1025 bytes, the limit is 1024
    "#]].assert_eq(&job.judge(&in_groups(deeds, When::Merge), MEMORY_MAX));
}

#[test]
fn states_of_which_no_document_can_be_made_cost_the_documents_of_their_groups() {
    let integers = |values: &[i64], rows: Option<Vec<u32>>| {
        let column = Column { values: Values::Integers(values.to_vec()), present: Vec::new() };
        Script::answers(|image| image.output(&Output { rows, columns: vec![column], rejected: Vec::new() }))
    };
    let mut deeds = deeds();
    deeds.extend([
        ("writes no columns", Script::answers(|image| image.output(&Output::default()))),
        ("writes 99 values", integers(&[1; 99], None)),
        ("names a row that there is not", integers(&[1], Some(vec![99]))),
        ("names rows that descend", integers(&[1, 2], Some(vec![1, 0]))),
        ("emits 300,000 documents", Script::raw_words(&[1, ZEROS, 300_000, 0, 0, 0, 0])),
        ("gives 4 Gi columns", Script::raw_words(&[0, 0, 0, ZEROS, u32::MAX, 0, 0])),
        ("gives an option that is none of two", Script::raw_words(&[9, 0, 0, 0, 0, 0, 0])),
        (
            "rejects",
            Script::answers(|image| {
                let column = Column { values: Values::Integers(vec![1]), present: Vec::new() };
                image.output(&Output { rows: None, columns: vec![column], rejected: vec![rejection(0, "no")] })
            }),
        ),
    ]);
    let job = job("emit").with_partitions(2);
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
        allocates out of its memory from now on → trap: the plugin trapped: out of bounds memory access
        allocates at odd addresses from now on → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer is not aligned
        answers at an odd address → contract: the plugin broke the contract of its interface: its values cannot be read or written: return pointer not aligned
        answers at the end of its memory → contract: the plugin broke the contract of its interface: its values cannot be read or written: pointer out of bounds of memory
        answers at the end of all memory → contract: the plugin broke the contract of its interface: its values cannot be read or written: pointer out of bounds of memory
        writes no columns → contract: the plugin broke the contract of its interface: 0 columns come back, it said that it writes 1
        writes 99 values → contract: the plugin broke the contract of its interface: field=`count`: 99 values for 1 rows
        names a row that there is not → contract: the plugin broke the contract of its interface: `rows` names row 99 of 1
        names rows that descend → contract: the plugin broke the contract of its interface: `rows` does not ascend: 1 comes before 0
        emits 300,000 documents → contract: the plugin broke the contract of its interface: 300000 rows come back of 1, the limit is 262144
        gives 4 Gi columns → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
        gives an option that is none of two → contract: the plugin broke the contract of its interface: its values cannot be read or written: invalid option discriminant
        rejects → plugin: no
    "#]].assert_eq(&job.judge(&in_groups(deeds, When::Emit), MEMORY_MAX));
}

#[test]
fn an_aggregate_that_breaks_on_most_records_stops_the_pipeline() {
    let evil = |_| Record::evil(0, "b", "traps", Some(Script::does(Deed::Trap)));
    let records: Vec<Record> = (0..1200).map(evil).collect();
    let found = job("breaker").play(&records, true, 7, &mut tidegate::pipeline::Loader::default());
    assert_eq!(found.stopped.map(|(code, _)| code), Some(7));
}
