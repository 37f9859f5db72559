//! A reconciliation for programs.

use serde_json::{Map, Value, json};

use super::show::{fates, place, why};
use crate::pipeline::{Balance, Difference, OutputAccount, PartitionScope, Reconciled, RecordCounts, WindowCounts};

pub(super) fn json(reconciled: &Reconciled, counted: Option<&[Balance]>, differences_max: usize) -> Value {
    let Reconciled { partitions, outputs, differences, different, letters, parts_unread, revision, stopped } =
        reconciled;
    json!({
        "adds_up": reconciled.adds_up(),
        "stopped": stopped,
        "revision": revision,
        "partitions": partitions.iter().map(scope).collect::<Vec<_>>(),
        "outputs": outputs.iter().map(|output| account(output, partitions)).collect::<Vec<_>>(),
        "different": different,
        "differences": differences.iter().take(differences_max).map(difference).collect::<Vec<_>>(),
        "dead_letters": {
            "not_refused_now": letters.not_refused_now,
            "foreign": letters.foreign,
            "oldest_are_lost": letters.is_cut,
        },
        "parts_unread": parts_unread,
        "counted": counted,
    })
}

fn scope(it: &PartitionScope) -> Value {
    json!({
        "partition": it.partition.to_string(),
        "log_start": it.log.0.0,
        "log_end": it.log.1.0,
        "from": it.range.0.0,
        "to": it.range.1.0,
        "position": it.position.map(|position| position.0),
        "records": it.read,
        "not_settled_yet": it.unread(),
    })
}

fn account(output: &OutputAccount, partitions: &[PartitionScope]) -> Value {
    let by_partition: Map<String, Value> = partitions
        .iter()
        .zip(&output.partitions)
        .map(|(it, counted)| (it.partition.to_string(), counts(counted)))
        .collect();
    json!({
        "output": &*output.name,
        "all": counts(&output.total()),
        "partitions": by_partition,
        "dropped_by": output.dropped_by,
        "dead_letters_by": output.dead_letters_by,
        "windows": output.windows.as_ref().map(windows),
        "earlier_revision": output.earlier_revision,
    })
}

fn counts(counts: &RecordCounts) -> Value {
    let [documents, superseded, dropped, dead_letters, tombstones, closed, open, perhaps_dropped, different] =
        fates(counts);
    json!({
        "records": counts.read,
        "documents": documents,
        "superseded": superseded,
        "dropped": dropped,
        "dead_letters": dead_letters,
        "tombstones": tombstones,
        "closed_windows": closed,
        "open_windows": open,
        "perhaps_dropped": perhaps_dropped,
        "different": different,
    })
}

fn windows(counts: &WindowCounts) -> Value {
    let WindowCounts { equal, there, dead_letters, late_parts, not_judged, open, different } = counts;
    json!({
        "equal": equal,
        "there": there,
        "dead_letters": dead_letters,
        "late_parts": late_parts,
        "not_judged": not_judged,
        "open": open,
        "different": different,
    })
}

fn difference(it: &Difference) -> Value {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    json!({
        "count": it.count,
        "output": it.output.as_deref(),
        "where": place(it),
        "why": why(&it.why),
        "index": text(&it.index),
        "id": text(&it.id),
        "window_start": it.window_start.map(|start| start.to_string()),
    })
}
