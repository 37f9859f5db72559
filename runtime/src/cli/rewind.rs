//! `tidegate rewind`: reads records again, deliberately, and writes over what they gave before.

use clap::Args;
use jiff::Timestamp;
use thiserror::Error;

use super::PipelineFile;
use super::columns::Columns;
use crate::pipeline::{self, Rewind, RewindTo, Rewound};
use crate::record::{EventTime, Offset};

#[derive(Args)]
pub struct RewindArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// Where to: `earliest`, a time (RFC 3339) by which records were written to Kafka, or an offset of one partition
    #[arg(long, value_name = "TIME|OFFSET|earliest", value_parser = to)]
    to: RewindTo,
    /// Only this topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only this partition
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// Shows what would be done, and changes nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Error)]
#[error("neither `earliest`, nor an offset, nor a time like 2026-01-31T12:00:00Z: `{0}`")]
pub struct NotAPlace(String);

fn to(text: &str) -> Result<RewindTo, NotAPlace> {
    if text == "earliest" {
        return Ok(RewindTo::Earliest);
    }
    if let Some(offset) = text.parse().ok().filter(|offset: &i64| *offset >= 0) {
        return Ok(RewindTo::Offset(Offset(offset)));
    }
    let time: Timestamp = text.parse().map_err(|_| NotAPlace(text.to_owned()))?;
    Ok(RewindTo::Time { millis: time.as_millisecond() })
}

pub fn run(args: &RewindArgs) -> anyhow::Result<()> {
    let settings = args.pipeline.load()?;
    let asked = Rewind { to: args.to, topic: args.topic.clone(), partition: args.partition, dry_run: args.dry_run };
    let rewound = pipeline::rewind(&settings, &asked)?;
    super::print(&shown(&rewound, args.dry_run));
    Ok(())
}

fn shown(rewound: &Rewound, dry_run: bool) -> String {
    let Rewound { group, revision, outputs, partitions } = rewound;
    let mut head: Vec<String> = ["topic", "partition", "from", "to"].map(str::to_owned).to_vec();
    head.extend(outputs.iter().map(|output| format!("{output} from")));
    let mut columns = Columns::of(head);
    for it in partitions {
        let mut row = vec![
            it.partition.topic.to_string(),
            it.partition.number.to_string(),
            it.from.map_or_else(|| "none".to_owned(), |from| from.to_string()),
            if it.stays { "stays".to_owned() } else { it.to.to_string() },
        ];
        row.extend(it.first_windows.iter().map(|first| match first {
            _ if it.stays => "as before".to_owned(),
            None => "all windows".to_owned(),
            Some(start) => EventTime::to_string(start),
        }));
        columns.row(row);
    }
    let done = match dry_run {
        true => format!("would rewind group {group} to revision {revision}; nothing was changed"),
        false => format!("rewound group {group} to revision {revision}"),
    };
    format!("{}{done}\n", columns.show())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::pipeline::RewoundPartition;
    use crate::record::Partition;

    #[test]
    fn a_place_is_a_word_an_offset_or_a_time() {
        assert_eq!(to("earliest").expect("a word"), RewindTo::Earliest);
        assert_eq!(to("17").expect("an offset"), RewindTo::Offset(Offset(17)));
        assert_eq!(to("1970-01-01T00:00:01Z").expect("a time"), RewindTo::Time { millis: 1000 });
        assert!(to("yesterday").is_err());
    }

    #[test]
    fn what_is_done_is_a_table() {
        let row = |number, from, to, first| RewoundPartition {
            partition: Partition::new("events", number),
            from,
            to: Offset(to),
            first_windows: vec![first],
            stays: false,
        };
        let rewound = Rewound {
            group: "clicks".to_owned(),
            revision: 3,
            outputs: vec!["counts".into()],
            partitions: vec![
                row(0, Some(Offset(100)), 7, Some(EventTime::from_micros(60_000_000))),
                row(1, None, 0, None),
            ],
        };
        expect![[r#"
            TOPIC   PARTITION  FROM  TO  COUNTS FROM
            events  0          100   7   1970-01-01T00:01:00Z
            events  1          none  0   all windows
            would rewind group clicks to revision 3; nothing was changed
        "#]]
        .assert_eq(&shown(&rewound, true));
    }
}
