//! `tidegate checkpoint export` and `import`.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;

use super::which::Chosen;
use super::{CheckpointCommandError, Pipeline, wait};
use crate::checkpoint::{Checkpoint, ClaimToken, Header};
use crate::config::KafkaSettings;
use crate::record::Partition;
use crate::source::Admin;

#[derive(Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    chosen: Chosen,
    /// A file that is not there yet
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
}

#[derive(Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    pipeline: Pipeline,
    /// The file that `export` has written
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// Says what would be done, and does not do it
    #[arg(long)]
    dry_run: bool,
}

/// Also what is damaged: somebody may want to look at it.
pub(super) fn export(args: &ExportArgs) -> anyhow::Result<String> {
    let (store, place) = args.chosen.open()?;
    let (slot, object) = wait(async {
        let slot = args.chosen.which.find(&store, &place).await?.slot;
        Ok((slot, store.object(&place, slot).await?))
    })?;
    let path = args.to.display();
    let write = || {
        let mut file = File::create_new(&args.to)?;
        file.write_all(&object)?;
        file.sync_all()
    };
    write().with_context(|| format!("cannot write the file=`{path}`"))?;
    let whole = match Checkpoint::open(&object).and_then(|checkpoint| checkpoint.contents()) {
        Ok(_) => String::new(),
        Err(why) => format!("; take care: {why}"),
    };
    Ok(format!("{}/{slot}: {} bytes written to {path}{whole}\n", place.partition, object.len()))
}

pub(super) fn import(args: &ImportArgs) -> anyhow::Result<String> {
    let locations = args.pipeline.load()?;
    let object =
        std::fs::read(&args.from).with_context(|| format!("cannot read the file=`{}`", args.from.display()))?;
    let object = Bytes::from(object);
    let no_checkpoint = |why| CheckpointCommandError::NoCheckpoint { file: args.from.clone(), why };
    let checkpoint = Checkpoint::open(&object).map_err(no_checkpoint)?;
    checkpoint.contents().map_err(no_checkpoint)?;
    let Header { place, next, .. } = checkpoint.header();
    if place.pipeline != locations.pipeline {
        let (found, pipeline) = (place.pipeline.clone(), locations.settings.name.clone());
        return Err(CheckpointCommandError::OtherPipeline { found, pipeline }.into());
    }
    require(&place.partition, &locations.settings.kafka)?;
    let store = locations.open(None)?;
    let (partition, location) = (&place.partition, store.location());
    if args.dry_run {
        return Ok(format!(
            "would claim {partition} in {location} and put the checkpoint there as its newest; a restart goes on at offset {next}\n"
        ));
    }
    let slot = wait(async {
        let mut owner = store.claim(place.clone(), ClaimToken::random()).await?;
        let slot = owner.next_slot();
        let moved = Checkpoint::moved(&object, slot.id()).map_err(no_checkpoint)?;
        Ok(store.put(slot, moved).await?)
    })?;
    Ok(format!("{partition}/{slot} is the newest checkpoint in {location}; a restart goes on at offset {next}\n"))
}

/// A partition that the pipeline reads.
fn require(partition: &Partition, kafka: &KafkaSettings) -> anyhow::Result<()> {
    let none = || CheckpointCommandError::NoPartition(partition.clone());
    if !kafka.topics.iter().any(|topic| **topic == *partition.topic) {
        return Err(none().into());
    }
    let topic = Admin::new(kafka)?.describe(&partition.topic)?;
    let is_there = topic.partitions.iter().any(|described| described.number == partition.number);
    is_there.then_some(()).ok_or_else(|| none().into())
}
