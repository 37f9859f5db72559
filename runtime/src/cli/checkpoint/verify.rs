//! `tidegate checkpoint verify`.

use clap::Args;

use super::which::Which;
use super::{CheckpointCommandError, Locations, Pipeline, wait};
use crate::checkpoint::{Contents, Kept, Place, Store};
use crate::cli::columns::count;
use crate::cli::print;

#[derive(Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    pipeline: Pipeline,
    /// A partition or one checkpoint: TOPIC-PARTITION or TOPIC-PARTITION/EPOCH/SEQUENCE; all without it
    #[arg(value_name = "CHECKPOINT")]
    which: Option<Which>,
    /// One of the locations of the pipeline file; all without it
    #[arg(long, value_name = "URL")]
    location: Option<String>,
}

/// How many were read, and how many of them are not whole.
#[derive(Default)]
struct Verified {
    of: u64,
    damaged: u64,
}

/// A location that does not answer hides no other.
pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<()> {
    let locations = args.pipeline.load()?;
    let stores = match &args.location {
        Some(location) => vec![locations.open(Some(location))],
        None => locations.urls.iter().map(|url| Ok(Store::at(url)?)).collect(),
    };
    let mut verified = Verified::default();
    let mut failed = None;
    for store in stores {
        let done = store.and_then(|store| wait(verified.location(&store, &locations, args.which.as_ref())));
        if let Err(error) = done {
            print(&format!("{error:#}\n"));
            failed = Some(error);
        }
    }
    let Verified { of, damaged } = verified;
    match failed {
        _ if damaged > 0 => Err(CheckpointCommandError::NotWhole { damaged, of }.into()),
        Some(error) => Err(error),
        None if of == 0 && args.which.is_some() => {
            let what = args.which.as_ref().map(|which| format!("checkpoint=`{which}`")).unwrap_or_default();
            Err(CheckpointCommandError::NotThere { what }.into())
        }
        None => Ok(()),
    }
}

impl Verified {
    async fn location(&mut self, store: &Store, locations: &Locations, which: Option<&Which>) -> anyhow::Result<()> {
        print(&format!("{}\n", store.location()));
        let is_meant = |place: &Place| which.is_none_or(|which| which.partition == place.partition);
        let is_slot = |kept: &Kept| which.and_then(|which| which.slot).is_none_or(|slot| slot == kept.slot);
        for (place, all) in store.partitions(&locations.pipeline).await?.iter().filter(|(place, _)| is_meant(place)) {
            for kept in all.iter().filter(|kept| is_slot(kept)) {
                self.of += 1;
                let name = format!("{}/{}", place.partition, kept.slot);
                let told = match store.verify(place, kept.slot).await {
                    Ok(contents) => format!("{name}  whole: {}", shown(&contents)),
                    Err(error) => {
                        self.damaged += 1;
                        format!("{name}  NOT WHOLE: {error}")
                    }
                };
                print(&format!("  {told}\n"));
            }
        }
        Ok(())
    }
}

fn shown(Contents { outputs, windows, groups }: &Contents) -> String {
    format!("{}, {}, {}", count(*outputs, "output"), count(*windows, "window"), count(*groups, "group"))
}
