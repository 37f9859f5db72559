//! Enrichers: deeds, and malformed columns of every kind.

use expect_test::expect;
use tidegate::record::{Column, Output, Slices, Values};
use tidegate_tests::evil::Job;
use tidegate_tests::puppet::{Image, Puppet, Script, ZEROS, ZEROS_LEN};

use super::{MEMORY_MAX, among, deeds, rejection, transform};

/// The columns that the puppet writes, in their order.
const BOOLEAN: usize = 0;
const INTEGER: usize = 1;
const FLOAT: usize = 2;
const TEXT: usize = 3;
const TIMESTAMP: usize = 4;
const JSON: usize = 5;

fn column(values: Values) -> Column {
    Column { values, present: Vec::new() }
}

fn slices(offsets: &[u32], bytes: &[u8]) -> Values {
    Values::Slices(Slices { offsets: offsets.to_vec(), bytes: bytes.to_vec() })
}

/// Columns as they should be.
fn good(rows: usize) -> Vec<Column> {
    let repeated = |text: &str| Values::Slices(vec![text; rows].iter().collect());
    let values = [
        Values::Booleans(vec![1; rows]),
        Values::Integers(vec![7; rows]),
        Values::Floats(vec![1.5; rows]),
        repeated("ä"),
        Values::Integers(vec![0; rows]),
        repeated("{}"),
        repeated("b"),
    ];
    values.into_iter().map(column).collect()
}

fn output(output: Output) -> Script {
    Script::answers(|image| image.output(&output))
}

/// One value is wrong.
fn with(place: usize, values: Values) -> Script {
    let mut columns = good(1);
    columns[place] = column(values);
    output(Output { columns, ..Output::default() })
}

/// One of two that the record is split into.
fn split_with(place: usize, values: Values) -> Script {
    let mut columns = good(2);
    columns[place] = column(values);
    output(Output { rows: Some(vec![0, 0]), columns, ..Output::default() })
}

fn present(present: &[u8]) -> Script {
    let mut columns = good(1);
    columns[INTEGER].present = present.to_vec();
    output(Output { columns, ..Output::default() })
}

fn rows(rows: &[u32]) -> Script {
    output(Output { rows: Some(rows.to_vec()), columns: good(rows.len()), ..Output::default() })
}

/// Seven columns in memory, of which one has these words.
fn raw_column(place: usize, words: [u32; 7]) -> Script {
    let put = |image: &mut Image| {
        let mut columns: Vec<[u32; 7]> = good(1).iter().map(|column| image.column(column)).collect();
        columns[place] = words;
        let columns = image.words(&columns.concat());
        image.words(&[0, 0, 0, columns, 7, 0, 0])
    };
    Script::answers(put)
}

#[test]
fn an_enricher_harms_only_the_record_that_makes_it() {
    let mut deeds = deeds();
    let mut without = good(1);
    let json = without.remove(JSON);
    let mut more = good(1);
    more.push(json);
    deeds.extend([
        ("writes what it should", output(Output { columns: good(1), ..Output::default() })),
        ("splits a record", rows(&[0, 0, 0])),
        ("drops a record", rows(&[])),
        ("writes no columns", output(Output::default())),
        ("writes a column too few", output(Output { columns: without, ..Output::default() })),
        ("writes a column too many", output(Output { columns: more, ..Output::default() })),
        ("writes no value", with(INTEGER, Values::Integers(vec![]))),
        ("writes a value too many", with(FLOAT, Values::Floats(vec![1.0, 2.0]))),
        ("writes a boolean of 7", with(BOOLEAN, Values::Booleans(vec![7]))),
        ("writes integers as a text", with(TEXT, Values::Integers(vec![1]))),
        ("writes floats as an integer", with(INTEGER, Values::Floats(vec![1.0]))),
        ("writes presence as JSON", with(JSON, Values::Presence)),
        ("writes NaN", with(FLOAT, Values::Floats(vec![f64::NAN]))),
        ("writes infinity", with(FLOAT, Values::Floats(vec![f64::NEG_INFINITY]))),
        ("writes the end of time", with(TIMESTAMP, Values::Integers(vec![i64::MAX]))),
        ("says of two that they are present", present(&[1, 1])),
        ("says that it is 7 times present", present(&[7])),
        ("gives no offsets", with(TEXT, slices(&[], b""))),
        ("gives an offset too few", with(TEXT, slices(&[0], b""))),
        ("gives an offset too many", with(TEXT, slices(&[0, 1, 1], b"a"))),
        ("gives offsets that begin later", with(TEXT, slices(&[1, 2], b"ab"))),
        ("gives offsets beyond the bytes", with(TEXT, slices(&[0, 9], b"ab"))),
        ("gives offsets beyond all bytes", with(TEXT, slices(&[0, u32::MAX], b"ab"))),
        ("gives offsets that descend", split_with(TEXT, slices(&[0, 3, 2], b"ab"))),
        ("writes text that is not UTF-8", with(TEXT, slices(&[0, 2], b"a\xff"))),
        ("cuts a character in two", split_with(TEXT, slices(&[0, 1, 2], "ä".as_bytes()))),
        ("writes JSON that is none", with(JSON, slices(&[0, 4], b"{no}"))),
        ("writes no JSON", with(JSON, slices(&[0, 0], b""))),
        ("writes two values as JSON", with(JSON, slices(&[0, 5], b"{} {}"))),
        ("writes JSON that is not UTF-8", with(JSON, slices(&[0, 4], b"\"\xff\"\x20"))),
        ("writes JSON that nests for ever", with(JSON, slices(&[0, 100_000], &[b'['; 100_000]))),
        ("names a row that there is not", rows(&[1])),
        ("names rows that descend", rows(&[1, 0])),
        ("names row 4294967295", rows(&[0, u32::MAX])),
        ("splits a record into 300,000", Script::raw_words(&[1, ZEROS, 300_000, 0, 0, 0, 0])),
        ("names 4 Gi rows", Script::raw_words(&[1, ZEROS, u32::MAX, 0, 0, 0, 0])),
        (
            "rejects what it also writes",
            output(Output { rows: Some(vec![0]), columns: good(1), rejected: vec![rejection(0, "no")] }),
        ),
        ("rejects", output(Output { columns: good(1), rejected: vec![rejection(0, "no")], rows: None })),
        (
            "rejects a row that there is not",
            output(Output { columns: good(1), rejected: vec![rejection(1, "no")], rows: None }),
        ),
        ("gives an option that is none of two", Script::raw_words(&[7, 0, 0, 0, 0, 0, 0])),
        ("gives values of a kind that there is not", raw_column(TEXT, [9, 0, 0, 0, 0, 0, 0])),
        ("gives values that are not in its memory", raw_column(INTEGER, [2, 0xffff_fff0, 1, 0, 0, 0, 0])),
        ("gives integers at an odd address", raw_column(INTEGER, [2, ZEROS + 4, 1, 0, 0, 0, 0])),
        ("gives bytes up to the end of all memory", raw_column(TEXT, [4, ZEROS, 2, 1, u32::MAX, 0, 0])),
        ("gives 4 Gi columns", Script::raw_words(&[0, 0, 0, ZEROS, u32::MAX, 0, 0])),
        ("gives as many columns as its memory holds", Script::raw_words(&[0, 0, 0, ZEROS, ZEROS_LEN / 28, 0, 0])),
    ]);
    let job = Job::new("enrich", &transform("puppet"), &[("puppet", &Puppet::enrich().build())]);
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
        writes what it should → a document like any other
        splits a record → a document like any other
        drops a record → nothing of its own
        writes no columns → contract: the plugin broke the contract of its interface: 0 columns come back, it said that it writes 7
        writes a column too few → contract: the plugin broke the contract of its interface: 6 columns come back, it said that it writes 7
        writes a column too many → contract: the plugin broke the contract of its interface: 8 columns come back, it said that it writes 7
        writes no value → contract: the plugin broke the contract of its interface: field=`integer`: 0 values for 1 rows
        writes a value too many → contract: the plugin broke the contract of its interface: field=`float`: 2 values for 1 rows
        writes a boolean of 7 → contract: the plugin broke the contract of its interface: field=`boolean`: a boolean is 7, neither 0 nor 1
        writes integers as a text → contract: the plugin broke the contract of its interface: field=`text`: its values are integers, for a field of kind text
        writes floats as an integer → contract: the plugin broke the contract of its interface: field=`integer`: its values are floats, for a field of kind integer
        writes presence as JSON → contract: the plugin broke the contract of its interface: field=`json`: its values are presence, for a field of kind json
        writes NaN → plugin: a float is not finite: value=`NaN`, field=`float`
        writes infinity → plugin: a float is not finite: value=`-inf`, field=`float`
        writes the end of time → plugin: a timestamp is not in the years 1 to 9999: microseconds=`9223372036854775807`, field=`timestamp`
        says of two that they are present → contract: the plugin broke the contract of its interface: field=`integer`: `present` has 2 bytes for 1 rows
        says that it is 7 times present → a document like any other
        gives no offsets → contract: the plugin broke the contract of its interface: field=`text`: 0 offsets for 1 values; one more than values is needed
        gives an offset too few → contract: the plugin broke the contract of its interface: field=`text`: 1 offsets for 1 values; one more than values is needed
        gives an offset too many → contract: the plugin broke the contract of its interface: field=`text`: 3 offsets for 1 values; one more than values is needed
        gives offsets that begin later → contract: the plugin broke the contract of its interface: field=`text`: offsets go from 1 to 2, and there are 2 bytes
        gives offsets beyond the bytes → contract: the plugin broke the contract of its interface: field=`text`: offsets go from 0 to 9, and there are 2 bytes
        gives offsets beyond all bytes → contract: the plugin broke the contract of its interface: field=`text`: offsets go from 0 to 4294967295, and there are 2 bytes
        gives offsets that descend → contract: the plugin broke the contract of its interface: field=`text`: offsets do not ascend: 3 comes before 2
        writes text that is not UTF-8 → contract: the plugin broke the contract of its interface: field=`text`: the text of row 0 is not UTF-8
        cuts a character in two → contract: the plugin broke the contract of its interface: field=`text`: the text of row 0 is not UTF-8
        writes JSON that is none → plugin: a value is not valid JSON, a key in quotes is missing: byte=`1`, field=`json`
        writes no JSON → plugin: a value is not valid JSON, the value is empty, field=`json`
        writes two values as JSON → plugin: a value is not valid JSON, something follows the end of the value: byte=`3`, field=`json`
        writes JSON that is not UTF-8 → plugin: a value is not valid JSON, the text is not UTF-8: byte=`1`, field=`json`
        writes JSON that nests for ever → plugin: a value is not valid JSON, values are nested deeper than 128 levels: byte=`127`, field=`json`
        names a row that there is not → contract: the plugin broke the contract of its interface: `rows` names row 1 of 1
        names rows that descend → contract: the plugin broke the contract of its interface: `rows` does not ascend: 1 comes before 0
        names row 4294967295 → contract: the plugin broke the contract of its interface: `rows` names row 4294967295 of 1
        splits a record into 300,000 → contract: the plugin broke the contract of its interface: 300000 rows come back of 1, the limit is 262144
        names 4 Gi rows → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
        rejects what it also writes → contract: the plugin broke the contract of its interface: row 0 is both rejected and in `rows`
        rejects → plugin: no
        rejects a row that there is not → contract: the plugin broke the contract of its interface: row 1 of 1 is rejected
        gives an option that is none of two → contract: the plugin broke the contract of its interface: its values cannot be read or written: invalid option discriminant
        gives values of a kind that there is not → contract: the plugin broke the contract of its interface: its values cannot be read or written: unexpected discriminant: 9
        gives values that are not in its memory → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
        gives integers at an odd address → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer is not aligned
        gives bytes up to the end of all memory → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
        gives 4 Gi columns → contract: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
        gives as many columns as its memory holds → contract: the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit
    "#]].assert_eq(&job.judge(&among(deeds), MEMORY_MAX));
}
