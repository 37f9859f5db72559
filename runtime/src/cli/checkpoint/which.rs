//! Which checkpoint is meant: `TOPIC-PARTITION`, `TOPIC-PARTITION/newest` or `TOPIC-PARTITION/EPOCH/SEQUENCE`.

use std::fmt;
use std::str::FromStr;

use clap::Args;

use crate::checkpoint::{Epoch, Kept, Place, Sequence, SlotId, Store};
use crate::record::Partition;

use super::{CheckpointCommandError, Pipeline};

/// A checkpoint in a location.
#[derive(Args)]
pub(super) struct Chosen {
    #[command(flatten)]
    pipeline: Pipeline,
    /// The checkpoint: TOPIC-PARTITION/EPOCH/SEQUENCE, or TOPIC-PARTITION for its newest one
    #[arg(value_name = "CHECKPOINT")]
    pub which: Which,
    /// One of the locations of the pipeline file, in place of the first
    #[arg(long, value_name = "URL")]
    location: Option<String>,
}

impl Chosen {
    pub fn open(&self) -> anyhow::Result<(Store, Place)> {
        let locations = self.pipeline.load()?;
        Ok((locations.open(self.location.as_deref())?, locations.place(&self.which.partition)))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Which {
    pub partition: Partition,
    /// None: the newest, or all, as the command says.
    pub slot: Option<SlotId>,
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Which, String> {
        let wrong =
            || "it is TOPIC-PARTITION, such as `events-0`, or a checkpoint of it, `events-0/EPOCH/SEQUENCE`".to_owned();
        let mut segments = text.split('/');
        let (topic, number) = segments.next().and_then(|text| text.rsplit_once('-')).ok_or_else(wrong)?;
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let number = i32::try_from(number).map_err(|_| wrong())?;
        let partition = Partition::new(topic, number);
        let slot = match (segments.next(), segments.next(), segments.next()) {
            (None, None, None) | (Some("newest"), None, None) => None,
            (Some(epoch), Some(sequence), None) => {
                let epoch = Epoch(epoch.parse().map_err(|_| wrong())?);
                Some(SlotId { epoch, sequence: Sequence(sequence.parse().map_err(|_| wrong())?) })
            }
            _ => return Err(wrong()),
        };
        Ok(Which { partition, slot })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.slot {
            Some(slot) => write!(f, "{}/{slot}", self.partition),
            None => self.partition.fmt(f),
        }
    }
}

impl Which {
    /// The one checkpoint: that of the slot, or the newest.
    pub async fn find(&self, store: &Store, place: &Place) -> anyhow::Result<Kept> {
        let kept = store.list(place).await?;
        let found = kept.into_iter().find(|kept| self.slot.is_none_or(|slot| slot == kept.slot));
        let what = format!("checkpoint=`{self}` location=`{}`", store.location());
        Ok(found.ok_or(CheckpointCommandError::NotThere { what })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_named_by_partition_and_slot() {
        let slot = SlotId { epoch: Epoch(2), sequence: Sequence(1) };
        for (text, topic, slot) in [
            ("a-b-3", "a-b", None),
            ("events-3/newest", "events", None),
            ("events-3/2/1", "events", Some(slot)),
            ("events-3/0000000002/0000000001", "events", Some(slot)),
        ] {
            assert_eq!(text.parse(), Ok(Which { partition: Partition::new(topic, 3), slot }), "{text}");
        }
        for text in
            ["events", "events-x", "events-3/", "events-3/2", "events-3/2/1/0", "events-3/a/1", "events-9999999999"]
        {
            assert!(text.parse::<Which>().is_err(), "{text}");
        }
    }
}
