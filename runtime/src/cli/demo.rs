//! `tidegate demo`: a pipeline on a click stream that is made up, with stand-ins for Kafka and Elasticsearch or on real
//! ones, for a minute. What runs is what `tidegate run` runs.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::runtime::Runtime;

use super::PipelineFile;
use super::run::stop_on_signals;
use super::stand_ins::StandIns;
use crate::config::{ElasticsearchSettings, IndexPart, PipelineSettings};
use crate::pipeline::{self, Handle, Phase, PipelineError, RunOptions};
use crate::plugin::THREAD_STACK_BYTES;
use crate::record::EventTime;
use crate::source::Writer;

mod clicks;
mod screen;

use clicks::Clicks;
use screen::Screen;

/// How long it runs.
const TIME: Duration = Duration::from_secs(60);
/// The stream's clock starts this far back, so that it never reaches the present.
const BACK: Duration = Duration::from_secs(24 * 60 * 60);
/// How much faster than the wall's the stream's clock runs: a window of a minute closes every second.
const SPEED: u32 = 60;
const EVENTS_PER_SECOND: u32 = 5_000;
const PARTITIONS: i32 = 4;
const TICK: Duration = Duration::from_millis(100);
const SCREEN_EVERY: u32 = 10;
/// For events that are on their way to the broker, and how many there may be; then no more are made.
const WRITER_BYTES: usize = 8 << 20;
const WAITING_MAX: usize = 20_000;
const START_LIMIT: Duration = Duration::from_secs(60);

#[derive(Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// A Kafka whose topics are there already, in place of the stand-in
    #[arg(long, value_name = "HOST:PORT", requires = "elasticsearch")]
    brokers: Option<String>,
    /// An Elasticsearch, in place of the stand-in
    #[arg(long, value_name = "URL", requires = "brokers")]
    elasticsearch: Option<String>,
}

pub fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let mut settings = args.pipeline.load()?;
    let runtime = Runtime::new().context("no threads for requests")?;
    let stand_ins = match (&args.brokers, &args.elasticsearch) {
        (Some(brokers), Some(url)) => {
            settings.kafka.brokers.clone_from(brokers);
            settings.sinks.iter_mut().for_each(|sink| sink.urls = vec![url.clone()]);
            None
        }
        (None, _) | (_, None) => {
            let stand_ins = StandIns::start(&settings, PARTITIONS, &runtime)?;
            stand_ins.addresses.stand_in(&mut settings);
            Some(stand_ins)
        }
    };
    let (sink, index) = windows_index(&settings)?;
    super::print(&screen::introduction(&settings, stand_ins.is_some(), SPEED));

    let handle = Handle::new();
    let stop = handle.clone();
    stop_on_signals(move || stop.stop()).context("signals cannot be waited for")?;
    let running = {
        let (settings, handle) = (settings.clone(), handle.clone());
        thread::Builder::new()
            .name("pipeline".to_owned())
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || pipeline::run(&settings, &RunOptions::default(), &handle))?
    };
    let begun = Instant::now();
    let shown = match handle.wait_running(begun + START_LIMIT) {
        true => show(&settings, (sink, &index), &handle, &runtime),
        false => Ok(()),
    };
    handle.stop();
    let ended: Result<(), PipelineError> = running.join().map_err(|_| anyhow!("the pipeline panicked"))?;
    ended?;
    shown?;
    super::print(&screen::summary(&handle.snapshot()));
    drop(stand_ins);
    Ok(())
}

/// Writes events and shows what becomes of them, until the time is over or the pipeline stops.
fn show(
    settings: &PipelineSettings,
    (sink, index): (&ElasticsearchSettings, &str),
    handle: &Handle,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let writer = Writer::new(&settings.kafka, WRITER_BYTES, &settings.dead_letters.topic)?;
    let topic = settings.kafka.topics.first().context("a pipeline has a topic")?;
    let mut clicks = Clicks::new(topic, PARTITIONS, fastrand::u64(..));
    let mut screen = Screen::new(handle.snapshot());
    let (begun, wall) = (Instant::now(), SystemTime::now());
    let since_epoch = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(BACK);
    let start = EventTime::from_micros(0).plus(since_epoch);
    for tick in 1.. {
        let elapsed = begun.elapsed();
        if elapsed >= TIME || handle.snapshot().phase != Phase::Running {
            break;
        }
        let clock = start.plus(elapsed * SPEED);
        if writer.status().waiting < WAITING_MAX {
            let events = EVENTS_PER_SECOND * u32::try_from(TICK.as_millis()).unwrap_or(u32::MAX) / 1000;
            writer.write(clicks.events(clock, events), |_| ());
        }
        if tick % SCREEN_EVERY == 0 {
            // A failure to look is not worth the demonstration: the pipeline itself says when the index is away.
            let documents = runtime.block_on(crate::sink::documents(sink, index));
            super::print(&screen.line(clock, handle.snapshot(), elapsed));
            super::print(&screen.closed(&documents.unwrap_or_default()));
        }
        thread::sleep(TICK.saturating_sub(begun.elapsed().saturating_sub(elapsed)));
    }
    Ok(())
}

/// The index of the first output with windows, and where it is.
fn windows_index(settings: &PipelineSettings) -> anyhow::Result<(&ElasticsearchSettings, String)> {
    let output = settings.outputs.iter().find(|output| output.aggregate.is_some());
    match output.map(|output| (output, output.index.0.as_slice())) {
        Some((output, [IndexPart::Literal(name)])) => Ok((&settings.sinks[settings.sink_of(output)], name.clone())),
        Some(_) | None => {
            Err(anyhow!("the demonstration shows windows: it needs an output with an aggregate and one index"))
        }
    }
}
