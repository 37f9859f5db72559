//! `tidegate run`: a pipeline until SIGTERM or SIGINT, which drain it; a second signal ends it at once.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::PipelineFile;
use crate::console::Console;
use crate::pipeline::{self, Handle, Origin, RunOptions};

#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// Where /metrics, /healthz, /readyz and /api are served; without it they are not
    #[arg(long, env = "TIDEGATE_CONSOLE", value_name = "IP:PORT")]
    console: Option<SocketAddr>,
    /// Drops what the parts topic holds of an output that is no longer in the pipeline file; may be repeated
    #[arg(long, value_name = "NAME")]
    accept_removed: Vec<String>,
}

pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let settings = args.pipeline.load()?;
    let handle = Handle::new();
    let stop = handle.clone();
    stop_on_signals(move || stop.stop()).context("signals cannot be waited for")?;
    let console = args.console.map(|address| Console::start(address, handle.clone())).transpose()?;
    if let Some(console) = &console {
        tracing::info!(address = %console.address(), "the console listens");
    }
    let file = args.pipeline.clone();
    let origin = Origin { file: file.file.clone(), load: Box::new(move || file.load()) };
    let options = RunOptions {
        accept_removed: args.accept_removed.clone(),
        origin: Some(Arc::new(origin)),
        ..RunOptions::default()
    };
    pipeline::run(&settings, &options, &handle)?;
    Ok(())
}

/// The conventional exit codes of a process that ended by a signal.
const EXIT_BY_SIGINT: i32 = 130;
const EXIT_BY_SIGTERM: i32 = 143;

/// Returns when the signals are caught; the thread that waits for them lives as long as the process.
pub(super) fn stop_on_signals(stop: impl Fn() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (caught, is_caught) = mpsc::channel();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let signals = signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
            let (mut terminate, mut interrupt) = match signals {
                Ok(signals) => {
                    let _ = caught.send(Ok(()));
                    signals
                }
                Err(error) => {
                    let _ = caught.send(Err(error));
                    return;
                }
            };
            let name = next(&mut terminate, &mut interrupt).await.0;
            tracing::info!("{name}: draining; another signal ends the process at once");
            stop();
            let (name, code) = next(&mut terminate, &mut interrupt).await;
            tracing::warn!("{name} again: what is in flight is read again after the next start");
            std::process::exit(code);
        });
    })?;
    is_caught.recv().map_err(io::Error::other)?
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", EXIT_BY_SIGTERM),
        _ = interrupt.recv() => ("SIGINT", EXIT_BY_SIGINT),
    }
}
