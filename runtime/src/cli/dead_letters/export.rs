//! `tidegate dead-letters export`: a line of JSON for each letter, from which all of it can be made again.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Letters;
use super::choose::LetterArgs;
use super::new_file::NewFile;
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
    let exported = match args.to.as_os_str() == "-" {
        true => write(args, io::stdout()),
        false => to_file(args),
    };
    match exported {
        Ok(exported) => tracing::info!("exported {}", count(exported, "dead letter")),
        // Whoever reads it has read enough (`| head`).
        Err(error) if is_broken_pipe(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn to_file(args: &ExportArgs) -> anyhow::Result<u64> {
    let mut file = NewFile::create(&args.to)?;
    file.remove_on_signals().context("signals cannot be waited for")?;
    let exported = write(args, file.writer())?;
    file.finish()?;
    Ok(exported)
}

/// How many it has written.
fn write(args: &ExportArgs, out: impl Write) -> anyhow::Result<u64> {
    let letters = Letters::open(&args.pipeline, &args.letters)?;
    let mut out = BufWriter::new(out);
    let (mut exported, cannot) = (0, || format!("cannot write file=`{}`", args.to.display()));
    letters.each(|found| {
        found.letter.write_line(found.copies, &mut out).with_context(cannot)?;
        exported += 1;
        Ok(())
    })?;
    out.flush().with_context(cannot)?;
    Ok(exported)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, EventTime, Offset, Partition};
    use crate::sink::Letter;

    #[test]
    fn a_reader_that_has_gone_is_told_from_a_disk_that_is_full() {
        struct Broken(io::ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut batch = BatchBuilder::new(EventTime::MIN);
        batch.push(Offset(0), None, None, Some(b"{}"));
        batch.header(b"tidegate-identity", Some(b"events-3-7//0"));
        let letter = Letter::read(&Partition::new("dead", 0), &batch.finish(), 0).expect("it has an identity");
        let fails =
            |kind| letter.write_line(1, Broken(kind)).context("cannot write file=`-`").expect_err("it is broken");
        assert!(is_broken_pipe(&fails(io::ErrorKind::BrokenPipe)));
        assert!(!is_broken_pipe(&fails(io::ErrorKind::StorageFull)));
    }
}
