//! Rows that are dropped, rejected and split.

use super::*;
use crate::record::{Reason, ReasonKind, Rejection, Verdicts};

fn rejection(row: u32) -> Rejection {
    Rejection { row, reason: Reason::new(ReasonKind::Plugin, format!("no {row}")) }
}

fn records(table: &Table) -> Vec<(u32, u32, bool)> {
    (0..table.len()).map(|row| (table.record(row), table.ordinal(row), table.is_split(row))).collect()
}

#[test]
fn a_filter_drops_and_rejects() {
    let decoder = decoder(&["a"]);
    let mut table = table(&decoder, &[r#"{"a":0}"#, r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#]);
    let kept = table.retain(Verdicts { keep: vec![1, 0, 1, 0], rejected: vec![rejection(2), rejection(3)] });
    assert_eq!((kept.dropped, words(&kept.rejected)), (1, vec!["2.0 plugin: no 2".into(), "3.0 plugin: no 3".into()]));
    assert_eq!(column(&decoder, &mut table, "a", Kind::Integer), ["0"]);
    let kept = table.retain(Verdicts { keep: vec![1], rejected: Vec::new() });
    assert_eq!((kept, table.len()), (Kept::default(), 1));
}

#[test]
fn records_can_be_taken_out_and_given_other_times() {
    let mut table = table(&decoder(&[]), &["{}"; 5]);
    table.remove_records(&[1, 3]);
    assert_eq!(records(&table), [(0, 0, false), (2, 0, false), (4, 0, false)]);
    table.set_event_times(&[(1, EventTime::from_micros(1)), (2, EventTime::from_micros(2))]);
    assert_eq!([0, 1, 2].map(|row| table.event_time(row).micros()), [1_000_000, 2, 1_000_000]);
}

#[test]
fn rows_of_a_split_record_never_share_an_ordinal() {
    let decoder = decoder(&["a"]);
    let mut table = table(&decoder, &["{}"; 4]);
    let writes = decoder.writes(&[field("a", Kind::Integer)]).unwrap();
    let split = |table: &mut Table, rows: &[u32], rejected: Vec<Rejection>| {
        let columns = vec![integers(&(0..rows.len() as i64).collect::<Vec<_>>())];
        table.write(&writes, Output { rows: Some(rows.to_vec()), columns, rejected })
    };
    let kept = split(&mut table, &[0, 1, 1, 1], vec![rejection(2)]);
    assert_eq!((kept.dropped, words(&kept.rejected)), (1, vec!["2.0 plugin: no 2".to_owned()]));
    assert_eq!(records(&table), [(0, 0, false), (1, 0, true), (1, 1, true), (1, 2, true)]);
    assert_eq!(column(&decoder, &mut table, "a", Kind::Integer), ["0", "1", "2", "3"]);
    table.retain(Verdicts { keep: vec![1, 1, 1, 0], rejected: Vec::new() });
    let kept = split(&mut table, &[0, 0, 2, 2], Vec::new());
    assert_eq!(kept.dropped, 1);
    assert_eq!(records(&table), [(0, 0, true), (0, 1, true), (1, 1, true), (1, 3, true)]);
}

#[test]
fn values_of_rejected_rows_are_ignored() {
    let decoder = decoder(&["a"]);
    let mut table = table(&decoder, &["{}"; 3]);
    let output = Output { rows: None, columns: vec![integers(&[5, 6, 7])], rejected: vec![rejection(1)] };
    let kept = table.write(&decoder.writes(&[field("a", Kind::Integer)]).unwrap(), output);
    assert_eq!((kept.dropped, words(&kept.rejected)), (0, vec!["1.0 plugin: no 1".to_owned()]));
    assert_eq!(column(&decoder, &mut table, "a", Kind::Integer), ["5", "7"]);
    assert_eq!([document(&table, 0), document(&table, 1)], [r#"{"a":5}"#, r#"{"a":7}"#]);
}

#[test]
fn an_output_changes_its_own_rows_only() {
    let decoder = decoder(&["a"]);
    let table = table(&decoder, &["{}"; 2]);
    let mut other = table.clone();
    write(&decoder, &mut other, &[field("a", Kind::Integer)], vec![integers(&[1, 2])]);
    other.retain(Verdicts { keep: vec![0, 1], rejected: Vec::new() });
    assert_eq!((table.len(), document(&table, 1)), (2, "{}".to_owned()));
    assert_eq!((other.len(), document(&other, 0)), (1, r#"{"a":2}"#.to_owned()));
}
