//! Calls, and the limits that end a call. (What a guest can answer, and what becomes of it, is the evil-guest suite's to say.)

mod contained;
mod memory;

use expect_test::{Expect, expect};

use super::super::Component;
use super::super::limits::Limits;
use super::super::tests::{self as guests, Guest, field};
use super::*;
use crate::record::{Column, Kind, Reason, ReasonKind, Rejection, Values};

fn plugin(limits: Limits, component: &[u8]) -> Plugin {
    let component = Component::from_bytes_within(guests::engine(), "test", component, &limits).expect("loads");
    Plugin::new(component, "{}", limits).expect("configures")
}

fn filter_of(limits: Limits, component: &[u8]) -> FilterInstance {
    FilterInstance::new(plugin(limits, component)).expect("starts")
}

fn filter(limits: Limits, guest: &Guest) -> FilterInstance {
    filter_of(limits, &guest.build("filter-plugin"))
}

fn enrich(limits: Limits, guest: &Guest) -> EnrichInstance {
    EnrichInstance::new(plugin(limits, &guest.build("enrich-plugin"))).expect("starts")
}

fn rejection(row: u32, reason: &str) -> Rejection {
    Rejection { row, reason: Reason::new(ReasonKind::Plugin, reason) }
}

/// Three rows, without a column.
fn batch() -> Batch {
    Batch { rows: 3, columns: Vec::new() }
}

#[test]
fn a_filter_gives_a_verdict_for_each_row() {
    let answer = Verdicts { keep: vec![1, 0, 1], rejected: vec![rejection(2, "odd"), rejection(0, &"ä".repeat(600))] };
    let mut filter = filter(Limits::default(), &Guest::new(&[], &[]).filter("", &answer));
    for _ in 0..3 {
        let verdicts = filter.filter(&batch()).expect("answers");
        assert_eq!(verdicts.keep, [0, 0, 0], "a rejected row is not kept");
        assert_eq!(verdicts.rejected, [rejection(0, &"ä".repeat(512)), rejection(2, "odd")], "sorted and cut");
    }
}

/// Sums up the columns that it gets, and traps unless they are what the test sends.
#[test]
fn columns_of_each_kind_arrive() {
    let sees = |column: u32, offset: u32, load: &str, expected: &str| {
        let (kind, _) = expected.split_once('.').expect("a typed constant");
        format!(
            "(if ({kind}.ne ({load} (i32.load (i32.add (local.get 1) (i32.const {})))) ({expected}))
                (then unreachable))",
            column * 28 + offset
        )
    };
    let body = [
        sees(0, 20, "i32.load16_u", "i32.const 1"),
        sees(1, 4, "i32.load16_u", "i32.const 256"),
        sees(2, 4, "i64.load offset=8", "i64.const -7"),
        sees(3, 4, "f64.load", "f64.const 2.5"),
        sees(4, 4, "i32.load offset=8", "i32.const 3"),
        sees(4, 12, "i32.load8_u offset=2", "i32.const 99"),
    ];
    let reads = [Kind::Presence, Kind::Boolean, Kind::Integer, Kind::Float, Kind::Text].map(|kind| field("a", kind));
    let answer = Verdicts { keep: vec![1, 1], rejected: Vec::new() };
    let mut filter = filter(Limits::default(), &Guest::new(&reads, &[]).filter(&body.concat(), &answer));
    let columns = [
        Column { values: Values::Presence, present: vec![1, 0] },
        Column { values: Values::Booleans(vec![0, 1]), present: Vec::new() },
        Column { values: Values::Integers(vec![1, -7]), present: Vec::new() },
        Column { values: Values::Floats(vec![2.5, 0.0]), present: Vec::new() },
        Column { values: Values::Slices(["", "abc"].iter().collect()), present: Vec::new() },
    ];
    assert_eq!(filter.filter(&Batch { rows: 2, columns: columns.into() }), Ok(answer));
}

/// A filter that breaks on batches of one row, and answers others.
fn check_break(with_log: bool, body: &str, expected: Expect) {
    let answer = Verdicts { keep: vec![1, 1, 1], rejected: Vec::new() };
    let mut guest = Guest::new(&[], &[]);
    let words = guest.bytes("index out of range".as_bytes());
    let body = body.replace("WORDS", &format!("(i32.const {}) (i32.const {})", words.0, words.1));
    let guest = guest.filter(&format!("(if (i32.eq (local.get $rows) (i32.const 1)) (then {body}))"), &answer);
    let log = r#"(import "tidegate:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
    let text = guest.text(if with_log { log } else { "" });
    let text = text.replacen("(data", "(func $deep (call $deep) (call $deep)) (data", 1);
    let guest = guests::module(&text, None, "filter-plugin");
    let mut filter = filter_of(guests::narrow(), &guest);
    let breaks = Batch { rows: 1, columns: Vec::new() };
    let deadline = filter.0.deadline();
    let error = filter_call(&mut filter.0, &Piece::new(&breaks, 0..breaks.rows), deadline).expect_err("breaks");
    expected.assert_eq(&error.to_string());
    assert_eq!(filter.filter(&batch()).as_ref(), Ok(&answer), "a fresh instance serves the next call");
    let alone = filter.filter(&breaks).expect("goes on");
    let rejected: Vec<_> = alone.rejected.iter().map(|one| (one.row, Some(one.reason.kind))).collect();
    let expected = [(0, error.reason().map(|reason| reason.kind))];
    assert_eq!(
        (alone.keep, rejected.as_slice()),
        (vec![0], expected.as_slice()),
        "a row that breaks alone is rejected"
    );
    assert_eq!(filter.filter(&batch()).as_ref(), Ok(&answer));
}

#[test]
fn a_trap_is_the_calls_own_and_carries_the_last_words() {
    check_break(false, "unreachable", expect!["the plugin trapped: wasm `unreachable` instruction executed"]);
    check_break(
        true,
        "(call $log (i32.const 3) WORDS) unreachable",
        expect!["the plugin trapped: wasm `unreachable` instruction executed; its last words: index out of range"],
    );
    check_break(
        true,
        "(call $log (i32.const 2) WORDS) unreachable",
        expect!["the plugin trapped: wasm `unreachable` instruction executed"],
    );
    check_break(false, "(drop (i32.load (i32.const -1)))", expect!["the plugin trapped: out of bounds memory access"]);
}

#[test]
fn limits_end_a_call_and_nothing_else() {
    check_break(false, "(call $deep)", expect!["the plugin trapped: call stack exhausted; in deep"]);
    check_break(false, "(loop (br 0))", expect!["the plugin did not come back within 20ms of CPU time"]);
    check_break(
        false,
        "(drop (memory.grow (i32.const 64)))",
        expect!["the plugin trapped: it asked for 6291456 bytes of memory, its limit is 4194304"],
    );
    check_break(
        true,
        "(call $log (i32.const 3) (i32.const 0) (i32.const 0x180000))",
        expect![
            "the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit"
        ],
    );
    check_break(
        false,
        "(i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 0x180000))
         (i64.store (i32.const 8) (i64.const 0)) (return (i32.const 0))",
        expect![
            "the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit"
        ],
    );
    check_break(
        false,
        "(return (i32.const -4))",
        expect![
            "the plugin broke the contract of its interface: its values cannot be read or written: pointer out of bounds of memory"
        ],
    );
}
