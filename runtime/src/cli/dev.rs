//! `tidegate dev`: a pipeline that runs while its plugins are written. What is saved is built and served by the next batch; what the
//! compiler says is shown, and what served before goes on.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use tokio::runtime::Runtime;

use super::PipelineFile;
use super::input::{Input, InputError, InputFile};
use super::run::stop_on_signals;
use super::stand_ins::{Addresses, StandIns};
use crate::config::{ConfigErrors, OnBreaker, PipelineSettings};
use crate::console::Console;
use crate::pipeline::{self, Handle, Origin, Phase, PipelineError, RunOptions};
use crate::plugin::THREAD_STACK_BYTES;
use crate::source::Writer;

mod builder;
mod feed;
mod letters;
mod look;
mod screen;
mod sources;

use builder::Word;
use feed::Feed;
use letters::Letters;
use look::{Look, stamp};
use screen::View;
use sources::Sources;

const TICK: Duration = Duration::from_millis(50);
/// For records that are on their way to the broker.
const WRITER_BYTES: usize = 8 << 20;
/// What another version does waits for so long, where few records come: whoever looks at it can judge it.
const PROBATION: Duration = Duration::from_millis(100);
/// Documents do not wait for company.
const BULK_AGE_MAX: Duration = Duration::from_millis(20);

#[derive(Args)]
pub struct DevArgs {
    /// The pipeline file [default: pipeline.toml here, else that of the first scenario in scenarios]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The plugin directory, in place of the one that the file names
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    #[command(flatten)]
    input: InputFile,
    /// Runs on the servers that the pipeline file names, as a member of its group, in place of stand-ins; records are only written
    /// there if --input or --sample says which
    #[arg(long)]
    servers: bool,
    /// A folder with crates of plugins; may be repeated [default: here, beside the pipeline file, beside the plugin directory, and
    /// folders in these]
    #[arg(long = "crate", value_name = "DIR")]
    crates: Vec<PathBuf>,
    /// Builds plugins in other languages: run here at the start, and when a file below has changed
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// Where /metrics, /healthz, /readyz and /api are served; without it they are not
    #[arg(long, env = "TIDEGATE_CONSOLE", value_name = "IP:PORT")]
    console: Option<SocketAddr>,
}

/// Something that happened.
enum Event {
    Stop,
    Build(Word),
    Ended(Result<(), PipelineError>),
    Letters(Vec<String>),
}

pub fn run(args: &DevArgs) -> anyhow::Result<()> {
    let file = file(args)?;
    let settings = file.load()?;
    let input = input(args, &file.file)?;
    let (send, events) = channel();
    let stop = send.clone();
    stop_on_signals(move || drop(stop.send(Event::Stop))).context("signals cannot be waited for")?;
    let runtime = Runtime::new().context("no threads for requests")?;
    let partitions = input.as_ref().map_or(1, |input| input.partitions);
    let stand_ins = match args.servers {
        true => None,
        false => Some(StandIns::start(&settings, partitions, &runtime)?),
    };
    std::fs::create_dir_all(&settings.plugins)
        .with_context(|| format!("cannot make the plugin directory; folder=`{}`", settings.plugins.display()))?;
    let sources = Sources::find(&settings, &file.file, &args.crates, args.build.as_deref())?;
    let pipeline = pipeline_of(&file, args)?;
    let mut dev = Dev::new(file, &settings, stand_ins, input.as_ref(), send.clone())?;
    dev.introduce(&sources);
    let plugins = settings.plugins.canonicalize()?;
    let heard = send.clone();
    builder::start(super::engine()?, sources, pipeline, plugins, move |word| heard.send(Event::Build(word)).is_ok())?;
    let console = args.console.map(|address| Console::start(address, dev.handle.clone())).transpose()?;
    dev.run(&events)?;
    drop(console);
    super::print(
        "stopped; the plugin directory holds what was built quickly: `tidegate build` makes what one deploys\n",
    );
    Ok(())
}

fn file(args: &DevArgs) -> Result<PipelineFile, InputError> {
    let named = args.file.clone();
    let file = named.or_else(|| Some(PathBuf::from("pipeline.toml")).filter(|file| file.is_file()));
    let first = || {
        let mut scenarios: Vec<PathBuf> =
            std::fs::read_dir("scenarios").ok()?.flatten().map(|entry| entry.path().join("pipeline.toml")).collect();
        scenarios.sort();
        scenarios.into_iter().find(|file| file.is_file())
    };
    let file = file.or_else(first).ok_or(InputError::NoPipeline)?;
    Ok(PipelineFile { file, plugins: args.plugins.clone() })
}

/// The pipeline file as the builder has it.
fn pipeline_of(file: &PipelineFile, args: &DevArgs) -> anyhow::Result<builder::Pipeline> {
    let (its, crates, command) = (file.clone(), args.crates.clone(), args.build.clone());
    let sources = move || Sources::find(&its.load().ok()?, &its.file, &crates, command.as_deref()).ok();
    // Not where a link leads: it is the link that is swapped.
    Ok(builder::Pipeline { file: std::path::absolute(&file.file)?, sources: Box::new(sources) })
}

/// What is fed in: what the command line says; else, on stand-ins, what lies beside the pipeline file.
fn input(args: &DevArgs, file: &Path) -> Result<Option<Input>, InputError> {
    match args.input.read()? {
        None if !args.servers => {
            let beside = file.with_file_name("input.ndjson");
            let input = if beside.is_file() { InputFile::of(beside).read()? } else { None };
            input.ok_or(InputError::Unnamed).map(Some)
        }
        input => Ok(input),
    }
}

struct Dev {
    file: PipelineFile,
    stand_ins: Option<StandIns>,
    feed: Option<(Feed, Writer)>,
    letters: Letters,
    look: Look,
    view: View,
    send: Sender<Event>,
    /// Of the pipeline that runs, or ran last.
    handle: Handle,
    runs: bool,
    /// Of the files, when the pipeline ended.
    ended_at: Option<look::Stamp>,
}

impl Dev {
    fn new(
        file: PipelineFile,
        settings: &PipelineSettings,
        stand_ins: Option<StandIns>,
        input: Option<&Input>,
        send: Sender<Event>,
    ) -> anyhow::Result<Dev> {
        let mut settings = settings.clone();
        adapt(&mut settings, stand_ins.as_ref().map(|stand_ins| &stand_ins.addresses));
        let feed = match input {
            Some(input) => {
                let writer = Writer::new(&settings.kafka, WRITER_BYTES, &settings.dead_letters.topic)?;
                Some((Feed::new(&settings, input)?, writer))
            }
            None => None,
        };
        let letters = Letters::new(&settings);
        let head = head(&settings, stand_ins.is_some(), feed.as_ref().map(|(feed, _)| feed));
        let view = View { head, ..View::default() };
        let look = Look::new(std::io::stdout().is_terminal());
        let (handle, runs, ended_at) = (Handle::new(), false, None);
        Ok(Dev { file, stand_ins, feed, letters, look, view, send, handle, runs, ended_at })
    }

    fn introduce(&mut self, sources: &[Sources]) {
        for sources in sources {
            self.view.head += &format!("sources of {} in {}\n", sources.names(), sources.folder().display());
        }
        if sources.is_empty() {
            self.view.head += "no crate has the name of a component: the components themselves are watched; --crate says where else\n";
        }
        self.look.say(&self.view.head);
    }

    fn run(&mut self, events: &Receiver<Event>) -> anyhow::Result<()> {
        loop {
            match events.recv_timeout(TICK) {
                Ok(Event::Stop) => break,
                Ok(Event::Build(Word::Ready)) => self.begin(),
                Ok(Event::Build(word)) => {
                    self.look.say(&screen::Lines::build(&word));
                    let is_built = matches!(word, Word::Built { .. });
                    self.view.build = Some(word);
                    if is_built && self.ended_at.is_some() {
                        self.begin();
                    }
                }
                Ok(Event::Ended(ended)) => self.ended(ended),
                Ok(Event::Letters(letters)) => self.view.dead_letters = letters,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.tick(Instant::now());
        }
        self.handle.stop();
        while self.runs {
            match events.recv() {
                Ok(Event::Ended(ended)) => self.ended(ended),
                Ok(Event::Stop | Event::Build(_) | Event::Letters(_)) => {}
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn tick(&mut self, now: Instant) {
        self.view.snapshot = self.handle.snapshot();
        if let Some((feed, writer)) = &mut self.feed {
            match self.view.snapshot.phase {
                Phase::Running => feed.tick(writer, now),
                Phase::Starting | Phase::Draining | Phase::Stopped => feed.pause(now),
            }
        }
        if let Some(stand_ins) = &self.stand_ins {
            stand_ins.index.forget_above(look::DOCUMENTS_MAX);
            self.view.documents = stand_ins.index.newest();
        }
        let send = self.send.clone();
        self.letters.look(self.view.snapshot.counts.dead_letters(), now, move |letters| {
            drop(send.send(Event::Letters(letters)))
        });
        if self.ended_at.as_ref().is_some_and(|then| *then != stamp(&self.file)) {
            self.begin();
        }
        self.look.show(&self.view, now);
    }

    /// Starts the pipeline with what the files say now; what is wrong is shown.
    fn begin(&mut self) {
        if self.runs {
            return;
        }
        (self.ended_at, self.view.ended) = (None, None);
        let addresses = self.stand_ins.as_ref().map(|stand_ins| stand_ins.addresses.clone());
        let file = self.file.clone();
        let load = move || -> Result<PipelineSettings, ConfigErrors> {
            let mut settings = file.load()?;
            adapt(&mut settings, addresses.as_ref());
            Ok(settings)
        };
        let settings = match load() {
            Ok(settings) => settings,
            Err(error) => return self.does_not_run(&error.to_string()),
        };
        let origin = Origin { file: self.file.file.clone(), load: Box::new(load) };
        let options = RunOptions { origin: Some(Arc::new(origin)), probation: PROBATION, ..RunOptions::default() };
        self.handle.begin_again();
        let (handle, send) = (self.handle.clone(), self.send.clone());
        let run = move || drop(send.send(Event::Ended(pipeline::run(&settings, &options, &handle))));
        match thread::Builder::new().name("pipeline".to_owned()).stack_size(THREAD_STACK_BYTES).spawn(run) {
            Ok(_) => self.runs = true,
            Err(error) => self.does_not_run(&error.to_string()),
        }
    }

    fn ended(&mut self, ended: Result<(), PipelineError>) {
        self.runs = false;
        if let Err(error) = ended {
            self.does_not_run(&error.to_string());
        }
    }

    fn does_not_run(&mut self, why: &str) {
        self.look.say(&format!("the pipeline does not run, it begins again when something changes: {why}\n"));
        self.view.ended = Some(why.to_owned());
        self.ended_at = Some(stamp(&self.file));
    }
}

/// Settings for somebody who looks: on stand-ins, without waiting, and alive when a component keeps breaking.
fn adapt(settings: &mut PipelineSettings, stand_ins: Option<&Addresses>) {
    if let Some(addresses) = stand_ins {
        addresses.stand_in(settings);
        for sink in &mut settings.sinks {
            sink.bulk_age_max = sink.bulk_age_max.min(BULK_AGE_MAX);
        }
    }
    settings.reload.watch = true;
    let of_outputs = settings.outputs.iter_mut().flat_map(|output| {
        let aggregate = output.aggregate.iter_mut().map(|aggregate| &mut aggregate.plugin);
        output.transforms.iter_mut().map(|transform| &mut transform.plugin).chain(aggregate)
    });
    for plugin in settings.transforms.iter_mut().map(|transform| &mut transform.plugin).chain(of_outputs) {
        plugin.on_breaker = OnBreaker::Stall;
    }
}

fn head(settings: &PipelineSettings, stand_ins: bool, feed: Option<&Feed>) -> String {
    let (kafka, index) = (&settings.kafka.brokers, settings.index_urls());
    let servers = if stand_ins { "on stand-ins, which keep nothing" } else { "on servers" };
    let mut text = format!("pipeline {}, {servers}: Kafka at {kafka}, Elasticsearch at {index}\n", settings.name);
    if let Some(feed) = feed {
        text += &format!("{} a second, those of the file over and over, later each time\n", feed.rate());
    }
    text
}
