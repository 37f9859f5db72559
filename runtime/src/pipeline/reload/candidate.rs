//! What is to be deployed: the components and settings as the files have them now, against those that serve.

use std::collections::BTreeMap;

use crate::config::{PipelineSettings, PluginSettings};
use crate::pipeline::PipelineError;
use crate::pipeline::components::{Deployed, Loader, Place, Plugins};

use super::board::Board;
use super::generation::Stage;

/// A component, by the hash of its bytes, and its settings: one thing that can be deployed, or refused.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Pair {
    /// Or why the file cannot be read.
    pub digest: Result<blake3::Hash, String>,
    pub settings: PluginSettings,
}

impl Pair {
    pub fn of(deployed: &Deployed) -> Self {
        Pair { digest: Ok(deployed.plugin.component().digest()), settings: deployed.settings.clone() }
    }
}

/// What a pipeline would be made of.
pub(super) struct Candidate {
    pub plugins: Plugins,
    /// The places that it changes, by name.
    pub changed: Vec<String>,
}

/// What has been refused at each place: it is not tried again before it changes.
#[derive(Default)]
pub(super) struct Refusals(BTreeMap<String, Pair>);

impl Refusals {
    pub fn add(&mut self, name: &str, pair: Pair) {
        self.0.insert(name.to_owned(), pair);
    }

    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// `to` serves at a place instead of `from`. What the file says stays away, unless it is `to`: then true.
    pub fn rolled_back(&mut self, name: &str, from: Pair, to: &Pair) -> bool {
        let is_of_file = self.has(name, to);
        if is_of_file {
            self.remove(name);
        } else if !self.stands(name) {
            self.add(name, from);
        }
        is_of_file
    }

    pub fn forget(&mut self) {
        self.0.clear();
    }

    /// Whether what the files say at this place is refused.
    pub fn stands(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn has(&self, name: &str, pair: &Pair) -> bool {
        self.0.get(name) == Some(pair)
    }
}

/// Compiles and configures what has changed. A place whose pair is refused keeps the one that serves; one that is new cannot,
/// and then all stays as it is. None: nothing is to be deployed.
pub(super) fn candidate(
    wanted: &PipelineSettings,
    serving: &Plugins,
    loader: &mut Loader,
    refusals: &mut Refusals,
    board: &Board,
) -> Result<Option<Candidate>, PipelineError> {
    let mut changed = Vec::new();
    let plugins = Plugins::build(wanted, |place, settings| {
        let name = place.name.clone();
        let now = serving.at(&name).cloned();
        // It may have moved to another place of the file.
        let now = now.map(|now| Deployed { place: place.clone(), ..now });
        let (digest, unreadable) = match (Loader::digest(&settings.file), &now) {
            (Ok(digest), _) => (Ok(digest), None),
            (Err(error), Some(now)) if error.is_away() => {
                tracing::warn!(
                    plugin = name.as_str(),
                    "its file is away, the component that was in it goes on: {error}"
                );
                return Ok(now.clone());
            }
            (Err(error), None) if error.is_away() => return Err(place.failed(error)),
            (Err(error), _) => (Err(error.to_string()), Some(error)),
        };
        let shown = digest.as_ref().map(|digest| digest.to_hex().to_string()).unwrap_or_default();
        let pair = Pair { digest, settings: settings.clone() };
        if let Some(now) = now.as_ref().filter(|now| Pair::of(now) == pair) {
            refusals.remove(&name);
            return Ok(now.clone());
        }
        if let Some(now) = now.as_ref().filter(|_| refusals.has(&name, &pair)) {
            return Ok(now.clone());
        }
        let generation = board.seen(&name, &shown);
        let loaded = match unreadable {
            Some(error) => Err(place.failed(error)),
            None => load(place, settings, generation, loader, board),
        };
        match loaded {
            Ok(deployed) => {
                changed.push(name);
                Ok(deployed)
            }
            Err(error) => {
                board.refused(&name, Stage::Refused, &error.to_string());
                refusals.add(&name, pair);
                now.ok_or(error)
            }
        }
    })
    .inspect_err(|error| {
        // They come again, with whatever it was.
        let why = format!("what the pipeline file names beside it cannot be used: {error}");
        changed.iter().for_each(|name| board.refused(name, Stage::Refused, &why));
    })?;
    let moved = !plugins.all().map(|one| &one.place).eq(serving.all().map(|one| &one.place));
    Ok((moved || !changed.is_empty()).then_some(Candidate { plugins, changed }))
}

fn load(
    place: Place,
    settings: &PluginSettings,
    generation: u64,
    loader: &mut Loader,
    board: &Board,
) -> Result<Deployed, PipelineError> {
    let name = place.name.clone();
    let component = loader.component(&settings.file).map_err(|cause| place.failed(cause))?;
    board.reached(&name, Stage::Compiled, Some(&component.identity().version));
    loader.deployed(place, settings, &component, generation)
}
