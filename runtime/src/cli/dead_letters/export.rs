//! `tidegate dead-letters export`: a line of JSON for each letter, from which all of it can be made again.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::choose::LetterArgs;
use super::{DeadLetterCommandError, Letters};
use crate::cli::PipelineFile;
use crate::cli::columns::count;

#[derive(Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// The file, which must not be there yet; `-` is stdout
    #[arg(long, value_name = "FILE|-")]
    to: PathBuf,
    #[command(flatten)]
    letters: LetterArgs,
}

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let letters = Letters::open(&args.pipeline, &args.letters)?;
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match args.to.as_os_str() == "-" {
        true => Box::new(io::stdout()),
        false => {
            let file = OpenOptions::new().write(true).create_new(true).open(&args.to);
            let file = file.map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => DeadLetterCommandError::Exists { file: args.to.clone() }.into(),
                _ => anyhow::Error::from(error).context(format!("cannot write file=`{}`", args.to.display())),
            });
            Box::new(file?)
        }
    });
    let (mut exported, cannot) = (0, || format!("cannot write file=`{}`", args.to.display()));
    letters.each(|found| {
        found.letter.write_line(found.copies, &mut out).with_context(cannot)?;
        exported += 1;
        Ok(())
    })?;
    out.flush().with_context(cannot)?;
    tracing::info!("exported {}", count(exported, "dead letter"));
    Ok(())
}
