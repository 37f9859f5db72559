//! Rows that break a call, among others that do not.

use expect_test::expect;

use super::*;
use crate::config::OnBreaker;

/// A filter that answers with the column of booleans that it gets, and traps on 7, spins on 8.
fn moody() -> Guest {
    let column = |offset: u32| format!("(i32.load offset={offset} (local.get 1))");
    let body = format!(
        "(local $at i32)
         (loop $next
            (if (i32.eq (i32.load8_u (i32.add {values} (local.get $at))) (i32.const 7)) (then unreachable))
            (if (i32.eq (i32.load8_u (i32.add {values} (local.get $at))) (i32.const 8)) (then (loop (br 0))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (local.get $rows))))
         (i32.store (i32.const 0) {values}) (i32.store (i32.const 4) (local.get $rows))
         (i64.store (i32.const 8) (i64.const 0)) (return (i32.const 0))",
        values = column(4)
    );
    Guest::new(&[field("mood", Kind::Boolean)], &[]).filter(&body, &Verdicts::default())
}

fn moods(moods: &[u8]) -> Batch {
    let column = Column { values: Values::Booleans(moods.to_vec()), present: Vec::new() };
    Batch { rows: moods.len() as u32, columns: vec![column] }
}

#[test]
fn only_the_rows_that_break_a_call_are_rejected() {
    let mut filter = filter(guests::narrow(), &moody());
    let mut batch: Vec<u8> = (0..300u32).map(|row| u8::from(row % 3 != 0)).collect();
    for (row, mood) in [(0, 7), (1, 7), (140, 8), (299, 7)] {
        batch[row] = mood;
    }
    let verdicts = filter.filter(&moods(&batch)).expect("goes on");
    let expected: Vec<u8> = batch.iter().map(|mood| u8::from(*mood == 1)).collect();
    assert_eq!(verdicts.keep, expected);
    let rejected: Vec<_> = verdicts.rejected.iter().map(|one| (one.row, one.reason.kind)).collect();
    let (trap, deadline) = (ReasonKind::Trap, ReasonKind::Deadline);
    assert_eq!(rejected, [(0, trap), (1, trap), (140, deadline), (299, trap)]);
    expect!["the plugin trapped: wasm `unreachable` instruction executed"]
        .assert_eq(&verdicts.rejected[3].reason.message);
    assert_eq!(filter.filter(&moods(&[1, 0])).map(|verdicts| verdicts.keep), Ok(vec![1, 0]));
    let counts = filter.0.plugin().usage().read();
    assert_eq!((counts.rows, counts.dropped, counts.rejected, counts.broken), (302, 100, 0, 4), "each row once");
    assert_eq!(counts.memory_bytes_most, 2 << 20);
    assert!(counts.restarts >= 4 && counts.calls > counts.restarts && counts.nanos > 0, "{counts:?}");
}

#[test]
fn a_row_that_breaks_a_call_passes_or_stops_where_that_is_wished() {
    let with = |on_trap| {
        let component = Component::from_bytes(guests::engine(), "test", &moody().build("filter-plugin"));
        let plugin = component.and_then(|it| it.configure("{}")).and_then(|it| it.with_on_trap(on_trap));
        FilterInstance::new(plugin.expect("a filter")).expect("starts").filter(&moods(&[1, 7, 0]))
    };
    assert_eq!(with(OnTrap::Pass), Ok(Verdicts { keep: vec![1, 1, 0], rejected: vec![] }));
    assert!(matches!(with(OnTrap::Stop), Err(CallError::Trap(_))));
    let component = Component::from_bytes(guests::engine(), "test", &echo().build("enrich-plugin"));
    let refused = component.and_then(|it| it.configure("{}")).and_then(|it| it.with_on_trap(OnTrap::Pass));
    expect!["on_trap=`pass` is for filters, and the plugin `test` is of the kind enrich: its answer cannot be done without; write `dead-letter` or `stop`"]
        .assert_eq(&refused.expect_err("no filter").to_string());
}

/// An enricher that writes the booleans that it gets, and traps on 7.
fn echo() -> Guest {
    let values = "(i32.load offset=4 (local.get 1))";
    let body = format!(
        "(local $at i32)
         (loop $next
            (if (i32.eq (i32.load8_u (i32.add {values} (local.get $at))) (i32.const 7)) (then unreachable))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (local.get 0))))
         (memory.fill (i32.const 0) (i32.const 0) (i32.const 128))
         (i32.store (i32.const 12) (i32.const 64)) (i32.store (i32.const 16) (i32.const 1))
         (i32.store (i32.const 64) (i32.const 1)) (i32.store (i32.const 68) {values})
         (i32.store (i32.const 72) (local.get 0)) (i32.const 0)"
    );
    let mood = [field("mood", Kind::Boolean)];
    let mut guest = Guest::new(&mood, &mood);
    guest.function("enrich", "enrich", "(param i32 i32 i32) (result i32)", &body);
    guest
}

#[test]
fn an_enricher_writes_the_rows_that_do_not_break_it() {
    let mut enrich = enrich(Limits::default(), &echo());
    let output = enrich.enrich(&moods(&[7, 1, 0, 7, 1])).expect("goes on");
    assert_eq!(output.rows, Some(vec![1, 2, 4]));
    assert_eq!(output.columns[0].values, Values::Booleans(vec![1, 0, 1]));
    assert_eq!(output.rejected.iter().map(|one| one.row).collect::<Vec<_>>(), [0, 3]);
    let output = enrich.enrich(&moods(&[7])).expect("goes on");
    assert_eq!((output.rows, output.columns[0].values.clone()), (Some(vec![]), Values::Booleans(vec![])));
    assert_eq!(enrich.enrich(&moods(&[1, 0])).expect("serves").rows, None);
}

#[test]
fn a_plugin_that_breaks_on_most_records_is_an_error() {
    let mut filter = filter(Limits::default(), &moody());
    let mostly: Vec<u8> = (0..400).map(|row| if row % 5 < 3 { 7 } else { 1 }).collect();
    for _ in 0..2 {
        assert!(filter.filter(&moods(&mostly)).is_ok(), "too few to judge");
    }
    expect!["the plugin breaks on 601 of 1200 records, the last time so: the plugin trapped: wasm `unreachable` instruction executed"]
        .assert_eq(&filter.filter(&moods(&mostly)).expect_err("too many").to_string());
    let seldom: Vec<u8> = (0..1200).map(|row| if row % 5 < 2 { 7 } else { 1 }).collect();
    assert!(filter.filter(&moods(&seldom)).is_ok());

    // In a replay.
    let component = Component::from_bytes(guests::engine(), "test", &moody().build("filter-plugin"));
    let plugin = component.and_then(|it| it.configure("{}")).expect("a filter").with_on_breaker(OnBreaker::GoOn);
    let mut filter = FilterInstance::new(plugin).expect("starts");
    for _ in 0..4 {
        assert_eq!(filter.filter(&moods(&mostly)).expect("it goes on").rejected.len(), 240);
    }
}
