//! `tidegate checkpoint`: what is in the locations of a pipeline's checkpoints, whether it is whole, and what is done when some is lost.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use thiserror::Error;

mod inspect;
mod list;
mod promote;
mod transfer;
mod verify;
mod which;

use super::PipelineFile;
use crate::checkpoint::{CheckpointError, Place, Store, Unreadable};
use crate::config::PipelineSettings;
use crate::record::{ErrorKind, HasKind, Partition};

#[derive(Args)]
pub struct CheckpointArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Lists the checkpoints in each location, newest first
    List(list::ListArgs),
    /// Reads checkpoints from beginning to end, and says which are not whole
    Verify(verify::VerifyArgs),
    /// Shows what a checkpoint holds
    Inspect(inspect::InspectArgs),
    /// Writes a checkpoint into a file, as it is
    Export(transfer::ExportArgs),
    /// Puts a checkpoint from a file as the newest one of its partition
    Import(transfer::ImportArgs),
    /// Lets a location with copies take the place of the first one, which is lost
    Promote(promote::PromoteArgs),
}

/// Why a command is not done, apart from what the store says.
#[derive(Debug, Error)]
pub enum CheckpointCommandError {
    #[error("the pipeline file has no [checkpoint]: file=`{}`", file.display())]
    NoCheckpoints { file: PathBuf },
    #[error("not a location of the pipeline file: location=`{location}`; there are: {known}")]
    UnknownLocation { location: String, known: String },
    #[error("there is no such checkpoint: {what}; `tidegate checkpoint list` shows those that there are")]
    NotThere { what: String },
    #[error(
        "{damaged} of {of} checkpoints cannot be read; a restart passes over damaged ones and goes on with the newest before them that is \
         whole. Where none is, bring one from another location: `tidegate checkpoint export --location`, then `import`"
    )]
    NotWhole { damaged: u64, of: u64 },
    #[error("the checkpoint is of another pipeline: found=`{found}`, this one is `{pipeline}`")]
    OtherPipeline { found: Arc<str>, pipeline: String },
    #[error("the checkpoint is of a partition that the pipeline does not read: partition=`{0}`")]
    NoPartition(Partition),
    #[error("the file is no checkpoint: file=`{}`: {why}", file.display())]
    NoCheckpoint { file: PathBuf, why: Unreadable },
    #[error(
        "the newest copy of a partition cannot be used: {why}. To go on with the one before it, delete the object that is named, then \
         promote again"
    )]
    CopyNotWhole { why: CheckpointError },
    #[error("the location holds no checkpoint of pipeline=`{pipeline}`: location=`{location}`")]
    NothingToPromote { location: String, pipeline: String },
}

impl HasKind for CheckpointCommandError {
    fn kind(&self) -> ErrorKind {
        match self {
            CheckpointCommandError::NoCheckpoints { .. }
            | CheckpointCommandError::UnknownLocation { .. }
            | CheckpointCommandError::NotThere { .. }
            | CheckpointCommandError::OtherPipeline { .. }
            | CheckpointCommandError::NoPartition(_)
            | CheckpointCommandError::NothingToPromote { .. } => ErrorKind::Config,
            CheckpointCommandError::NotWhole { .. }
            | CheckpointCommandError::NoCheckpoint { .. }
            | CheckpointCommandError::CopyNotWhole { .. } => ErrorKind::Corrupt,
        }
    }
}

pub fn run(args: &CheckpointArgs) -> anyhow::Result<()> {
    let text = match &args.what {
        What::List(args) => return list::run(args),
        What::Verify(args) => return verify::run(args),
        What::Inspect(args) => inspect::run(args)?,
        What::Export(args) => transfer::export(args)?,
        What::Import(args) => transfer::import(args)?,
        What::Promote(args) => promote::run(args)?,
    };
    super::print(&text);
    Ok(())
}

/// The pipeline file of a command.
#[derive(Args)]
struct Pipeline {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// A pipeline file that has locations.
struct Locations {
    settings: PipelineSettings,
    pipeline: Arc<str>,
    urls: Vec<String>,
}

impl Pipeline {
    fn load(&self) -> anyhow::Result<Locations> {
        let settings = PipelineFile { file: self.file.clone(), plugins: None }.load()?;
        let none = || CheckpointCommandError::NoCheckpoints { file: self.file.clone() };
        let urls = settings.checkpoint.as_ref().ok_or_else(none)?.locations.clone();
        Ok(Locations { pipeline: settings.name.as_str().into(), settings, urls })
    }
}

impl Locations {
    fn place(&self, partition: &Partition) -> Place {
        Place { pipeline: self.pipeline.clone(), partition: partition.clone() }
    }

    /// The location that is named, or the first.
    fn open(&self, named: Option<&str>) -> anyhow::Result<Store> {
        let named = named.map(|named| named.trim_end_matches('/'));
        let known = || self.urls.join(", ");
        match named.map_or(self.urls.first(), |named| self.urls.iter().find(|url| *url == named)) {
            Some(url) => Ok(Store::at(url)?),
            None => {
                let location = named.unwrap_or_default().to_owned();
                Err(CheckpointCommandError::UnknownLocation { location, known: known() }.into())
            }
        }
    }
}

fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
    runtime.block_on(work)
}

fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or_default()
}
