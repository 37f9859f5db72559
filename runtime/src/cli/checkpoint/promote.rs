//! `tidegate checkpoint promote`.

use std::fmt::Write;

use clap::Args;

use super::{CheckpointCommandError, Locations, Pipeline, wait};
use crate::checkpoint::{CheckpointError, ClaimToken, Place, SlotId, Store};
use crate::record::Offset;

#[derive(Args)]
pub(super) struct PromoteArgs {
    #[command(flatten)]
    pipeline: Pipeline,
    /// The location that is to decide: one of the pipeline file
    #[arg(value_name = "LOCATION")]
    location: String,
    /// Does it
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Says what would be done, and does not do it, as without --yes
    #[arg(long)]
    dry_run: bool,
}

/// What a partition goes on with.
struct Newest {
    place: Place,
    slot: SlotId,
    next: Offset,
}

pub(super) fn run(args: &PromoteArgs) -> anyhow::Result<String> {
    let locations = args.pipeline.load()?;
    let store = locations.open(Some(&args.location))?;
    wait(async {
        let original = store.copy_of().await?;
        let newest = whole(&store, &locations).await?;
        let mut out = String::new();
        for Newest { place, slot, next } in &newest {
            writeln!(out, "{}: goes on with {slot}, at offset {next}", place.partition)?;
        }
        let location = store.location();
        if !args.yes {
            writeln!(
                out,
                "would claim each of them in {location}, which would then be store {original} in place of the lost one;"
            )?;
            writeln!(out, "stop the pipeline everywhere, then do it with --yes")?;
            return Ok(out);
        }
        for Newest { place, .. } in &newest {
            store.claim_far(place.clone(), ClaimToken::random()).await?;
        }
        store.promote().await?;
        writeln!(
            out,
            "{location} is store {original} now; name it first in [checkpoint] locations, without the lost one, and start"
        )?;
        Ok(out)
    })
}

/// The newest checkpoint of each partition, all of them read from beginning to end.
async fn whole(store: &Store, locations: &Locations) -> anyhow::Result<Vec<Newest>> {
    let unusable = |why: CheckpointError| match why {
        CheckpointError::Unreadable { .. } | CheckpointError::Foreign { .. } => {
            anyhow::Error::from(CheckpointCommandError::CopyNotWhole { why })
        }
        why => why.into(),
    };
    let mut newest = Vec::new();
    for (place, all) in store.partitions(&locations.pipeline).await? {
        let Some(kept) = all.first() else { continue };
        let slot = kept.slot;
        let checkpoint = store.read(&place, slot).await.map_err(unusable)?;
        let object = format!("{place}/{slot}");
        checkpoint.contents().map_err(|why| unusable(CheckpointError::Unreadable { object, why }))?;
        newest.push(Newest { place, slot, next: checkpoint.header().next });
    }
    if newest.is_empty() {
        let (location, pipeline) = (store.location().to_owned(), locations.settings.name.clone());
        return Err(CheckpointCommandError::NothingToPromote { location, pipeline }.into());
    }
    Ok(newest)
}
