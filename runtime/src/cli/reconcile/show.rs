//! A reconciliation for people: tables, and a line for each thing that there is to say.

use std::collections::BTreeMap;

use crate::cli::columns::{Columns, count, grouped};
use crate::cli::terminal;
use crate::pipeline::{Difference, OutputAccount, PartitionScope, Reconciled, RecordCounts, Why, WindowCounts};

/// What becomes of a record, as the head of the table says it.
const FATES: [&str; 9] = [
    "documents",
    "superseded",
    "dropped",
    "dead letters",
    "tombstones",
    "closed windows",
    "open windows",
    "perhaps dropped",
    "different",
];

pub(super) fn shown(reconciled: &Reconciled, differences_max: usize) -> String {
    let Reconciled { partitions, outputs, .. } = reconciled;
    let mut text = scope(partitions);
    text += &format!("\n{}\n", accounts(outputs, partitions));
    for output in outputs {
        let lines = of_output(output);
        if !lines.is_empty() {
            text += &format!("{}: {}\n", output.name, lines.join("; "));
        }
    }
    text += &beside(reconciled).into_iter().map(|line| format!("{line}\n")).collect::<String>();
    text += &differences(reconciled, differences_max);
    if reconciled.adds_up() {
        text += "all adds up\n";
    }
    text
}

fn scope(partitions: &[PartitionScope]) -> String {
    let mut columns = Columns::new(["partition", "log start", "from", "to", "records", "not settled yet", "position"]);
    for it in partitions {
        columns.row(vec![
            it.partition.to_string(),
            it.log.0.to_string(),
            it.range.0.to_string(),
            it.range.1.to_string(),
            grouped(it.read),
            grouped(it.unread()),
            it.position.map_or_else(|| "none".to_owned(), |position| position.to_string()),
        ]);
    }
    columns.show()
}

pub(super) fn fates(counts: &RecordCounts) -> [u64; FATES.len()] {
    let RecordCounts { settled, superseded, dropped, dead_letters, tombstones, closed, open, .. } = *counts;
    let (perhaps, different) = (counts.perhaps_dropped, counts.different);
    [settled, superseded, dropped, dead_letters, tombstones, closed, open, perhaps, different]
}

/// What no record became is left out.
fn accounts(outputs: &[OutputAccount], partitions: &[PartitionScope]) -> String {
    let mut all = RecordCounts::default();
    outputs.iter().for_each(|output| all.add(&output.total()));
    let all = fates(&all);
    let head = ["output", "partition", "records"].into_iter().chain(FATES).map(str::to_owned);
    let mut columns = Columns::of(head.collect());
    let mut row = |output: &str, partition: String, counts: &RecordCounts| {
        let cell = |(count, all): (u64, u64)| if all == 0 { String::new() } else { grouped(count) };
        let mut cells = vec![output.to_owned(), partition, grouped(counts.read)];
        cells.extend(fates(counts).into_iter().zip(all).map(cell));
        columns.row(cells);
    };
    for output in outputs {
        for (counts, it) in output.partitions.iter().zip(partitions) {
            row(&output.name, it.partition.to_string(), counts);
        }
        if partitions.len() > 1 {
            row(&output.name, "all".to_owned(), &output.total());
        }
    }
    columns.show()
}

fn of_output(output: &OutputAccount) -> Vec<String> {
    let words = |what: &str, by: &BTreeMap<String, u64>| {
        let counted = by.iter().filter(|(_, count)| **count > 0);
        let told: Vec<String> = counted.map(|(word, count)| format!("{word} {}", grouped(*count))).collect();
        (!told.is_empty()).then(|| format!("{what}: {}", told.join(", ")))
    };
    let mut lines = Vec::new();
    lines.extend(words("dropped by", &output.dropped_by));
    lines.extend(words("dead letters", &output.dead_letters_by));
    lines.extend(output.windows.as_ref().map(windows));
    if output.earlier_revision > 0 {
        let documents = count(output.earlier_revision, "document");
        lines.push(format!("{documents} of a revision before the pipeline's, which a rewind has not written again"));
    }
    lines
}

fn windows(windows: &WindowCounts) -> String {
    let WindowCounts { equal, there, dead_letters, late_parts, not_judged, open, different } = *windows;
    let some = [
        (equal, "closed and in the index, with equal fields"),
        (there, "closed and in the index; their fields go through a pipeline of the index, and are not compared"),
        (dead_letters, "dead letters"),
        (late_parts, "without parts that came too late, and are dead letters"),
        (not_judged, "not judged, since they begin before what was read"),
        (open, "open, or not written yet"),
        (different, "different"),
    ];
    let told = some.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told.map(|(count, what)| format!("{} {what}", grouped(*count))).collect();
    format!("groups of windows: {}", if told.is_empty() { "none".to_owned() } else { told.join(", ") })
}

/// What does not count as a difference.
fn beside(reconciled: &Reconciled) -> Vec<String> {
    let Reconciled { partitions, outputs, letters, parts_unread, .. } = reconciled;
    let mut lines = Vec::new();
    let mut some = |count: u64, what: &str| {
        if count > 0 {
            lines.push(format!("{} {what}", grouped(count)));
        }
    };
    some(
        partitions.iter().map(PartitionScope::unread).sum(),
        "offsets are behind what the pipeline has settled, and were not read",
    );
    some(
        *parts_unread,
        "messages of the parts topic wait to be merged, so windows may be missing that will be written",
    );
    some(
        letters.not_refused_now,
        "dead letters are of records that nothing refuses now: other components or settings served then",
    );
    some(letters.foreign, "messages of the dead-letter topic are none of this pipeline's");
    let perhaps = outputs.iter().map(|output| output.total().perhaps_dropped).sum();
    some(
        perhaps,
        "documents are missing, where the policy of the pipeline file drops some of what the index refuses: nobody knows which",
    );
    let without: Vec<String> =
        partitions.iter().filter(|it| it.position.is_none()).map(|it| it.partition.to_string()).collect();
    if !without.is_empty() {
        lines.push(format!("the group has no position on {}, of which nothing was read", without.join(", ")));
    }
    if letters.is_cut && reconciled.different > 0 {
        lines.push(
            "the dead-letter topic has lost its oldest messages: a letter that is missing may have been there"
                .to_owned(),
        );
    }
    lines
}

fn differences(reconciled: &Reconciled, differences_max: usize) -> String {
    if reconciled.different == 0 {
        return String::new();
    }
    let mut columns = Columns::new(["different", "output", "where", "why", "index", "id of the first"]);
    for it in reconciled.differences.iter().take(differences_max) {
        let Difference { output, index, id, .. } = it;
        columns.row(vec![
            grouped(it.count),
            output.as_deref().unwrap_or_default().to_owned(),
            place(it),
            why(&it.why),
            index.clone(),
            terminal::plain(id.as_bytes()),
        ]);
    }
    let told: u64 = reconciled.differences.iter().take(differences_max).map(|it| it.count).sum();
    let more = match reconciled.different - told {
        0 => String::new(),
        more => format!("and {} more: --max shows more lines\n", grouped(more)),
    };
    format!("\n{}{more}", columns.show())
}

/// `TOPIC-PARTITION-FIRST..LAST`, or the window.
pub(super) fn place(difference: &Difference) -> String {
    let (first, last) = difference.origins;
    match (&difference.partition, difference.window_start) {
        (Some(partition), _) if first == last => partition.origin(first).to_string(),
        (Some(partition), _) => format!("{}..{last}", partition.origin(first)),
        (None, Some(start)) => format!("window of {start}"),
        (None, None) => "window".to_owned(),
    }
}

pub(super) fn why(why: &Why) -> String {
    match why {
        Why::Missing => "missing".to_owned(),
        Why::Older { version } => format!("older version {version}"),
        Why::NotDeleted { version } => format!("not deleted, version {version}"),
        Why::OtherFields => "other fields".to_owned(),
        Why::NotLookedUp { kind } => format!("cannot be looked up ({kind})"),
        Why::NoDeadLetter { reason } => format!("no dead letter ({reason})"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use super::*;
    use crate::pipeline::LetterCounts;
    use crate::record::{EventTime, Offset, Partition};

    fn partition(number: i32, end: i64, position: Option<i64>) -> PartitionScope {
        PartitionScope {
            partition: Partition::new("orders", number),
            log: (Offset(0), Offset(1010)),
            position: position.map(Offset),
            range: (Offset(0), Offset(end)),
            read: end.unsigned_abs(),
            idle: false,
            generations: Default::default(),
        }
    }

    fn account(name: &str, first: RecordCounts) -> OutputAccount {
        let mut account = OutputAccount::new(name, 2);
        account.partitions[0] = first;
        account
    }

    #[test]
    fn all_is_told() {
        let mut orders = account(
            "orders",
            RecordCounts { read: 1000, settled: 900, dropped: 90, dead_letters: 8, different: 2, ..Default::default() },
        );
        orders.dropped_by.insert("require-fields".to_owned(), 90);
        orders.dead_letters_by.insert("json".to_owned(), 8);
        let mut counts = account("counts", RecordCounts { read: 1000, closed: 700, open: 300, ..Default::default() });
        counts.windows = Some(WindowCounts { equal: 40, different: 1, ..WindowCounts::default() });
        let missing = Difference {
            output: Some("orders".into()),
            partition: Some(Partition::new("orders", 0)),
            why: Why::Missing,
            index: "orders".to_owned(),
            origins: (Offset(5), Offset(6)),
            id: "orders:orders-0-5".to_owned(),
            window_start: None,
            count: 2,
        };
        let window = Difference {
            output: Some(Arc::from("counts")),
            partition: None,
            why: Why::OtherFields,
            index: "counts".to_owned(),
            origins: (Offset(0), Offset(0)),
            id: "counts:60000:0:s2:DE;".to_owned(),
            window_start: Some(EventTime::from_micros(0)),
            count: 1,
        };
        let reconciled = Reconciled {
            partitions: vec![partition(0, 1000, Some(990)), partition(1, 0, None)],
            outputs: vec![orders, counts],
            differences: vec![missing, window],
            different: 3,
            letters: LetterCounts { not_refused_now: 4, ..LetterCounts::default() },
            ..Reconciled::default()
        };
        expect![[r#"
            PARTITION  LOG START  FROM  TO    RECORDS  NOT SETTLED YET  POSITION
            orders-0   0          0     1000  1,000    10               990
            orders-1   0          0     0     0        1,010            none

            OUTPUT  PARTITION  RECORDS  DOCUMENTS  DROPPED  DEAD LETTERS  CLOSED WINDOWS  OPEN WINDOWS  DIFFERENT
            orders  orders-0   1,000    900        90       8             0               0             2
            orders  orders-1   0        0          0        0             0               0             0
            orders  all        1,000    900        90       8             0               0             2
            counts  orders-0   1,000    0          0        0             700             300           0
            counts  orders-1   0        0          0        0             0               0             0
            counts  all        1,000    0          0        0             700             300           0

            orders: dropped by: require-fields 90; dead letters: json 8
            counts: groups of windows: 40 closed and in the index, with equal fields, 1 different
            1,020 offsets are behind what the pipeline has settled, and were not read
            4 dead letters are of records that nothing refuses now: other components or settings served then
            the group has no position on orders-1, of which nothing was read

            DIFFERENT  OUTPUT  WHERE          WHY      INDEX   ID OF THE FIRST
            2          orders  orders-0-5..6  missing  orders  orders:orders-0-5
            and 1 more: --max shows more lines
        "#]]
        .assert_eq(&shown(&reconciled, 1));
        assert!(shown(&reconciled, 2).contains("window of 1970-01-01T00:00:00Z"));
        let clean = Reconciled { partitions: vec![partition(0, 1010, Some(1010))], ..Reconciled::default() };
        assert!(shown(&clean, 20).ends_with("all adds up\n"));
    }
}
