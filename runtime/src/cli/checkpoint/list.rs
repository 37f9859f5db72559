//! `tidegate checkpoint list`.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Locations, Pipeline, now, wait};
use crate::checkpoint::{Kept, Place, Store};
use crate::cli::columns::Columns;
use crate::cli::print;
use crate::record::Offset;

#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pipeline: Pipeline,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// A checkpoint of a location.
struct Row {
    place: Place,
    kept: Kept,
    /// Or what is wrong with its header.
    next: Result<Offset, String>,
}

/// A location that does not answer hides no other.
pub(super) fn run(args: &ListArgs) -> anyhow::Result<()> {
    let locations = args.pipeline.load()?;
    let mut shown = Vec::new();
    let mut failed = None;
    for (number, url) in locations.urls.iter().enumerate() {
        match wait(rows(url, &locations)) {
            Ok(rows) if args.json => shown.push(as_json(url, number == 0, &rows)),
            Ok(rows) => print(&format!("{}{}\n", head(url, number), table(&rows, now()))),
            Err(error) if args.json => {
                shown.push(json!({ "location": url, "decides": number == 0, "error": format!("{error:#}") }));
                failed = Some(error);
            }
            Err(error) => {
                print(&format!("{}{error:#}\n\n", head(url, number)));
                failed = Some(error);
            }
        }
    }
    if args.json {
        print(&format!("{:#}\n", Value::Array(shown)));
    }
    failed.map_or(Ok(()), Err)
}

async fn rows(url: &str, locations: &Locations) -> anyhow::Result<Vec<Row>> {
    let store = Store::at(url)?;
    let mut rows = Vec::new();
    for (place, all) in store.partitions(&locations.pipeline).await? {
        for kept in all {
            let header = store.header(&place, &kept).await;
            let next = header.map(|header| header.next).map_err(|error| error.to_string());
            rows.push(Row { place: place.clone(), kept, next });
        }
    }
    Ok(rows)
}

fn head(url: &str, number: usize) -> String {
    format!("{url}, {}\n", if number == 0 { "which decides" } else { "copies" })
}

fn table(rows: &[Row], now: Timestamp) -> String {
    if rows.is_empty() {
        return "no checkpoints\n".to_owned();
    }
    let mut columns = Columns::new(["checkpoint", "bytes", "age", "next offset"]);
    for Row { place, kept, next } in rows {
        let next = next.as_ref().map_or_else(|_| "cannot be read".to_owned(), Offset::to_string);
        let checkpoint = format!("{}/{}", place.partition, kept.slot);
        columns.row(vec![checkpoint, kept.bytes.to_string(), age(kept.modified, now), next]);
    }
    columns.show()
}

/// In its largest unit: `12s`, `3h`.
pub(super) fn age(modified: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(modified.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn as_json(url: &str, decides: bool, rows: &[Row]) -> Value {
    let row = |Row { place, kept, next }: &Row| {
        json!({
            "topic": &*place.partition.topic,
            "partition": place.partition.number,
            "slot": kept.slot.to_string(),
            "bytes": kept.bytes,
            "modified": kept.modified.to_string(),
            "next": next.as_ref().ok().map(|next| next.0),
            "error": next.as_ref().err(),
        })
    };
    json!({ "location": url, "decides": decides, "checkpoints": rows.iter().map(row).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::checkpoint::{Epoch, Sequence, SlotId};
    use crate::record::Partition;

    #[test]
    fn checkpoints_are_rows() {
        let at = |second| Timestamp::from_second(second).expect("it is a time");
        let row = |epoch, second, next| Row {
            place: Place { pipeline: "clicks".into(), partition: Partition::new("events", 0) },
            kept: Kept {
                slot: SlotId { epoch: Epoch(epoch), sequence: Sequence(1) },
                bytes: 323,
                modified: at(second),
            },
            next,
        };
        let rows = [row(2, 1_000_000, Ok(Offset(17))), row(1, 990_000, Err("it is damaged".to_owned()))];
        expect![[r#"
            CHECKPOINT                      BYTES  AGE  NEXT OFFSET
            events-0/0000000002/0000000001  323    12s  17
            events-0/0000000001/0000000001  323    2h   cannot be read
        "#]]
        .assert_eq(&table(&rows, at(1_000_012)));
        assert_eq!([age(at(10), at(0)), age(at(0), at(90)), age(at(0), at(200_000))], ["0s", "1m", "2d"]);
    }
}
