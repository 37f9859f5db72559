//! Reload: another version of a component, or other settings of one, come into the pipeline while it runs.
//!
//! One thread looks at the files, compiles what has changed, tries it beside what serves, and swaps it in between two batches of
//! each lane. Whatever fails on the way leaves the pipeline as it is.

mod board;
mod candidate;
mod deploy;
mod files;
mod fixed;
mod generation;
mod shadow;
mod watch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};
use hashbrown::HashMap;
use tokio::sync::oneshot;

pub use board::{PlaceStatus, ReloadStatus};
pub(super) use fixed::differs as fixed;
pub use generation::{Generation, Stage};

use super::PipelineError;
use super::components::{Deployed, Loader, Plugins};
use super::panic_guard::PanicGuard;
use super::shared::Shared;
use super::worker::{Change, Shown};
use crate::config::{ConfigErrors, PipelineSettings};
use crate::lane::{Plan, Topology};
use crate::plugin::THREAD_STACK_BYTES;
use board::Board;
use candidate::{Candidate, Pair, Refusals, candidate};
use deploy::{Lanes, Verdict, rehearse};
use files::Files;
use watch::{LOOK_EVERY, Watch};

/// Where the settings of a pipeline come from, each time that they may have changed.
pub struct Origin {
    pub file: PathBuf,
    pub load: Box<dyn Fn() -> Result<PipelineSettings, ConfigErrors> + Send + Sync>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("file", &self.file).finish_non_exhaustive()
    }
}

/// What somebody asks for; the answer says in words what became of it, an error why nothing did.
pub(crate) enum Request {
    /// Deploy what the files say now, even what was refused before.
    Reload { answer: oneshot::Sender<Result<String, String>> },
    /// Let the generation before serve at this place.
    RollBack { name: String, answer: oneshot::Sender<Result<String, String>> },
}

/// The thread, as the pipeline holds it. It ends when this is dropped.
pub(crate) struct Reload {
    requests: Sender<Request>,
    board: Arc<Board>,
    _stop: Sender<()>,
}

impl Reload {
    pub fn ask(&self, request: Request) {
        let _ = self.requests.send(request);
    }

    pub fn status(&self) -> ReloadStatus {
        self.board.status()
    }
}

/// What runs when the thread begins.
pub(crate) struct Serving {
    pub settings: PipelineSettings,
    pub origin: Option<Arc<Origin>>,
    pub topology: Topology,
    pub plugins: Plugins,
    pub loader: Loader,
    pub workers: Vec<Sender<Change>>,
    /// How long a plan is on probation where few records come.
    pub probation: Duration,
}

pub(crate) fn start(serving: Serving, shared: Arc<Shared>) -> std::io::Result<Reload> {
    let (requests, asked) = unbounded();
    let (stop, stopped) = bounded(0);
    let board = Arc::new(Board::new(serving.settings.reload.watch, &serving.plugins));
    let running = Running {
        lanes: Lanes::new(shared.clone(), serving.workers, serving.probation),
        watch: if serving.settings.reload.watch { Watch::new() } else { Watch::nothing() },
        files: Files::default(),
        wanted: serving.settings.clone(),
        settings: serving.settings,
        file_is_wrong: false,
        origin: serving.origin,
        topology: serving.topology,
        plugins: serving.plugins,
        loader: serving.loader,
        before: HashMap::new(),
        refusals: Refusals::default(),
        board: board.clone(),
        stopped,
    };
    let thread = thread::Builder::new().name("reload".to_owned()).stack_size(THREAD_STACK_BYTES);
    thread.spawn(move || {
        let _guard = PanicGuard::new(shared, "reload");
        running.run(&asked);
    })?;
    Ok(Reload { requests, board, _stop: stop })
}

struct Running {
    lanes: Lanes,
    watch: Watch,
    files: Files,
    /// What serves is in its places; the keys that cannot change are these for good.
    settings: PipelineSettings,
    /// The pipeline file as it was valid last.
    wanted: PipelineSettings,
    /// The pipeline file as it was read last is not valid.
    file_is_wrong: bool,
    origin: Option<Arc<Origin>>,
    topology: Topology,
    plugins: Plugins,
    loader: Loader,
    /// What served before, by the name of the place.
    before: HashMap<String, Deployed>,
    refusals: Refusals,
    board: Arc<Board>,
    stopped: Receiver<()>,
}

impl Running {
    fn run(mut self, asked: &Receiver<Request>) {
        self.look_at_files();
        let watches = self.settings.reload.watch;
        let mut wait = LOOK_EVERY;
        loop {
            let mut renamed = Vec::new();
            let stopped = self.stopped.clone();
            let words = self.watch.words().clone();
            select! {
                recv(stopped) -> _ => return,
                recv(asked) -> request => match request {
                    Ok(request) => self.serve(request),
                    Err(_) => return,
                },
                recv(words) -> word => renamed.extend(word.ok().and_then(|word| word.renamed_to)),
                default(wait) => {}
            }
            if watches {
                renamed.extend(words.try_iter().filter_map(|word| word.renamed_to));
                wait = self.look(&renamed);
            }
        }
    }

    /// How long until the next look.
    fn look(&mut self, renamed: &[PathBuf]) -> Duration {
        let look = self.files.look(renamed, Instant::now());
        // A file that it names may be there now, and nobody watches for that.
        let is_mended = self.file_is_wrong && self.read_file().is_ok();
        if look.changed || is_mended {
            // What is wrong with it is on the board.
            let _ = self.deploy();
        }
        look.again.unwrap_or(LOOK_EVERY)
    }

    /// Watches the files that the pipeline is made of now.
    fn look_at_files(&mut self) {
        let plugins = self.plugins.all().map(|deployed| &*deployed.settings.file);
        let wanted = PluginFiles(&self.wanted);
        let own = self.origin.iter().map(|origin| &*origin.file);
        let files: Vec<&Path> =
            plugins.chain(wanted.all()).chain(own).chain(self.wanted.included.iter().map(|file| &**file)).collect();
        self.files.watch(files.iter().copied());
        self.watch.files(files.into_iter());
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Reload { answer } => {
                self.refusals.forget();
                let deployed = self.deploy();
                let woken = self.lanes.wake();
                let also = if woken > 0 { format!("; lanes that stalled begin again: {woken}") } else { String::new() };
                let _ = answer.send(deployed.map(|deployed| deployed + &also));
            }
            Request::RollBack { name, answer } => {
                let _ = answer.send(self.roll_back(&name));
            }
        }
    }

    /// Deploys what the files say now, as far as it can be; what became of it, in words.
    fn deploy(&mut self) -> Result<String, String> {
        let file = self.read_file();
        let candidate = candidate(&self.wanted, &self.plugins, &mut self.loader, &mut self.refusals, &self.board);
        self.look_at_files();
        let candidate = candidate.map_err(|error| {
            let why = error.to_string();
            self.board.file(Some(&why));
            why
        })?;
        let deployed = candidate.map(|candidate| self.bring_in(candidate)).transpose()?;
        let deployed = match (deployed, self.refused()) {
            (Some(deployed), None) => deployed,
            (Some(deployed), Some(why)) => return Err(format!("{deployed}; but refused:\n{why}")),
            (None, Some(why)) => return Err(why),
            (None, None) => self.unchanged(),
        };
        file.map(|()| deployed)
    }

    /// Takes over what the pipeline file says, if that can be.
    fn read_file(&mut self) -> Result<(), String> {
        let Some(origin) = &self.origin else { return Ok(()) };
        let loaded = (origin.load)();
        self.file_is_wrong = loaded.is_err();
        let refused = match loaded {
            Ok(settings) => match fixed(&self.settings, &settings) {
                None => {
                    self.wanted = settings;
                    None
                }
                Some(key) => Some(PipelineError::Fixed { key }.to_string()),
            },
            Err(errors) => Some(errors.to_string()),
        };
        self.board.file(refused.as_deref());
        refused.map_or(Ok(()), Err)
    }

    fn unchanged(&self) -> String {
        let away: Vec<_> = PluginFiles(&self.wanted).all().filter(|file| !file.exists()).collect();
        let files: Vec<String> = away.iter().map(|file| format!("`{}`", file.display())).collect();
        match files.is_empty() {
            true => "nothing has changed".to_owned(),
            false => format!("nothing has changed; the components go on whose files are away: {}", files.join(", ")),
        }
    }

    /// What was refused, and is what the files say still.
    fn refused(&self) -> Option<String> {
        let status = self.board.status();
        let refused = status.places.iter().filter(|place| self.refusals.stands(&place.name)).filter_map(|place| {
            let candidate = place.candidate.as_ref()?;
            Some(format!("{}: {}: {}", place.name, candidate.stage.name(), candidate.why.as_deref()?))
        });
        let refused: Vec<String> = refused.collect();
        (!refused.is_empty()).then(|| refused.join("\n"))
    }

    fn bring_in(&mut self, candidate: Candidate) -> Result<String, String> {
        let Candidate { plugins, changed } = candidate;
        match self.try_in(&self.wanted.clone(), &plugins, &changed) {
            Ok(Verdict::Accepted) => {
                self.accept(plugins, &changed);
                Ok(match changed.is_empty() {
                    true => "deployed: the order of the transforms".to_owned(),
                    false => format!("deployed: {}", changed.join(", ")),
                })
            }
            Ok(Verdict::RolledBack(why)) => {
                self.refuse(&plugins, &changed, Stage::RolledBack, &why);
                Err(format!("rolled back: {why}"))
            }
            Ok(Verdict::Stopped) => Err("the pipeline stops".to_owned()),
            Err(error) => {
                self.refuse(&plugins, &changed, Stage::Refused, &error.to_string());
                Err(format!("refused: {error}"))
            }
        }
    }

    /// From a candidate that is configured to one that has proved itself, or not.
    fn try_in(
        &mut self,
        settings: &PipelineSettings,
        plugins: &Plugins,
        changed: &[String],
    ) -> Result<Verdict, PipelineError> {
        let reach = |stage| changed.iter().for_each(|name| self.board.reached(name, stage, None));
        let plan = Plan::new(settings, &plugins.describe(), self.topology.clone()).map_err(PipelineError::Plan)?;
        let plan = Arc::new(plan);
        reach(Stage::Validated);
        let Shown { lanes, recent } = self.lanes.show(self.states_change(plugins));
        let (serve, wanted) = (self.plugins.aside(), plugins.aside());
        if !lanes.is_empty() {
            rehearse(lanes, &plan, &wanted)?;
        }
        reach(Stage::Rehearsed);
        let difference = shadow::shadow((&self.settings, &serve), (settings, &wanted), &recent)?;
        drop(recent);
        match difference.is_none() {
            true => tracing::debug!("{difference}"),
            false => tracing::info!(plugins = changed.join(","), "it gives something else: {difference}"),
        }
        reach(Stage::Shadowed);
        reach(Stage::Probation);
        let serving: Vec<_> = self.plugins.all().map(|deployed| deployed.id).collect();
        self.lanes.try_out(&plan, plugins, |id| !serving.contains(&id), &self.stopped)
    }

    /// Whether a state would have to be migrated.
    fn states_change(&self, plugins: &Plugins) -> bool {
        plugins.all().any(|after| {
            let before = self.plugins.at(&after.place.name).and_then(|before| before.plugin.state());
            let (before, after) = (before.map(|state| &state.schema), after.plugin.state().map(|state| &state.schema));
            before.is_some() && before != after
        })
    }

    fn accept(&mut self, plugins: Plugins, changed: &[String]) {
        for name in changed {
            self.refusals.remove(name);
            if let Some(before) = self.plugins.at(name) {
                self.before.insert(name.clone(), before.clone());
            }
        }
        // It may have moved to another place of the file.
        self.before.retain(|name, before| plugins.at(name).map(|now| before.place = now.place.clone()).is_some());
        self.settings = self.wanted.clone();
        self.board.settled(&plugins, changed);
        self.board.serves(&plugins);
        self.plugins = plugins;
        self.lanes.accepted();
        let needed: Vec<_> =
            self.plugins.all().chain(self.before.values()).map(|one| one.plugin.component().digest()).collect();
        self.loader.retain(|digest| needed.contains(digest));
        self.look_at_files();
    }

    fn refuse(&mut self, plugins: &Plugins, changed: &[String], stage: Stage, why: &str) {
        for name in changed {
            self.board.refused(name, stage, why);
            if let Some(deployed) = plugins.at(name) {
                self.refusals.add(name, Pair::of(deployed));
            }
        }
        if changed.is_empty() {
            self.board.file(Some(why));
        }
    }

    /// What serves at this place now is not deployed again before it changes.
    fn roll_back(&mut self, name: &str) -> Result<String, String> {
        let Some(serving) = self.plugins.at(name).cloned() else {
            let names: Vec<&str> = self.plugins.all().map(|deployed| deployed.place.name.as_str()).collect();
            return Err(format!("there is no plugin=`{name}`; there are: {}", names.join(", ")));
        };
        let Some(before) = self.before.get(name).cloned() else {
            return Err(format!("there is no generation before at plugin=`{name}`: none was deployed since the start"));
        };
        let plugins = self.plugins.with(&before);
        match self.try_in(&self.settings.clone(), &plugins, &[]) {
            Ok(Verdict::Accepted) => {
                let is_of_file = self.refusals.rolled_back(name, Pair::of(&serving), &Pair::of(&before));
                self.board.rolled_back(name);
                self.board.serves(&plugins);
                self.before.insert(name.to_owned(), serving);
                self.plugins = plugins;
                self.lanes.accepted();
                Ok(match is_of_file {
                    true => format!("rolled back: {name}; the file's version serves again"),
                    false => format!(
                        "rolled back: {name}; the file's version is deployed when it changes, or by `tidegate reload`"
                    ),
                })
            }
            Ok(Verdict::RolledBack(why)) => Err(format!("the generation before cannot serve: {why}")),
            Ok(Verdict::Stopped) => Err("the pipeline stops".to_owned()),
            Err(error) => Err(format!("the generation before cannot serve: {error}")),
        }
    }
}

/// The components that settings name.
struct PluginFiles<'s>(&'s PipelineSettings);

impl<'s> PluginFiles<'s> {
    fn all(&self) -> impl Iterator<Item = &'s Path> + use<'s> {
        let of_outputs = self.0.outputs.iter().flat_map(|output| {
            let aggregate = output.aggregate.iter().map(|aggregate| &aggregate.plugin);
            output.transforms.iter().map(|transform| &transform.plugin).chain(aggregate)
        });
        let shared = self.0.transforms.iter().map(|transform| &transform.plugin);
        shared.chain(of_outputs).map(|plugin| &*plugin.file)
    }
}
