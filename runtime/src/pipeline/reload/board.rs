//! What is said of generations: kept for `tidegate status`, the metrics and the console, and written to the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::generation::{Generation, Stage};
use crate::pipeline::components::{Deployed, Plugins};
use crate::plugin::UsageCounts;

/// The generations of one place.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct PlaceStatus {
    /// A transform's name, or the output's name and `.aggregate`.
    pub name: String,
    /// The component's file.
    pub file: String,
    pub serving: Generation,
    /// What `tidegate rollback` goes back to.
    pub before: Option<Generation>,
    /// The newest one that does not serve: on its way, refused, or rolled back.
    pub candidate: Option<Generation>,
    /// What the one that serves has done and taken.
    pub usage: UsageCounts,
}

/// All that reload knows.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct ReloadStatus {
    /// Whether changes are deployed as soon as they are there.
    pub watching: bool,
    pub places: Vec<PlaceStatus>,
    /// Why the pipeline file as it is now is not what runs.
    pub file_refused: Option<String>,
    /// Deployments that were settled, and those that were refused or rolled back.
    pub deployed: u64,
    pub refused: u64,
    pub rolled_back: u64,
}

pub(super) struct Board {
    status: Mutex<ReloadStatus>,
    serving: Mutex<Plugins>,
    /// The last generation of each place, also of those that are not in the pipeline file any more.
    numbered: Mutex<BTreeMap<String, u64>>,
}

impl Board {
    pub fn new(watching: bool, plugins: &Plugins) -> Self {
        let places = plugins.all().map(PlaceStatus::new).collect();
        let status = Mutex::new(ReloadStatus { watching, places, ..ReloadStatus::default() });
        let numbered = plugins.all().map(|deployed| (deployed.place.name.clone(), deployed.generation)).collect();
        Board { status, serving: Mutex::new(plugins.clone()), numbered: Mutex::new(numbered) }
    }

    pub fn status(&self) -> ReloadStatus {
        let mut status = self.lock().clone();
        for deployed in self.serving.lock().unwrap_or_else(PoisonError::into_inner).all() {
            if let Some(place) = status.at(&deployed.place.name) {
                place.usage = deployed.plugin.usage().read();
            }
        }
        status
    }

    /// These serve.
    pub fn serves(&self, plugins: &Plugins) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = plugins.clone();
    }

    /// Another generation of a place begins its way; its number.
    pub fn seen(&self, name: &str, digest: &str) -> u64 {
        let number = {
            let mut numbered = self.numbered.lock().unwrap_or_else(PoisonError::into_inner);
            let last = numbered.entry(name.to_owned()).or_default();
            *last += 1;
            *last
        };
        if let Some(place) = self.lock().at(name) {
            place.candidate = Some(Generation::seen(number, digest.to_owned()));
        }
        tracing::debug!(plugin = name, generation = number, digest = short(digest), "seen");
        number
    }

    pub fn reached(&self, name: &str, stage: Stage, version: Option<&str>) {
        let mut status = self.lock();
        let Some(candidate) = status.at(name).and_then(|place| place.candidate.as_mut()) else { return };
        candidate.reach(stage, None);
        if let Some(version) = version {
            candidate.version = version.to_owned();
        }
        tracing::debug!(plugin = name, generation = candidate.number, "{}", stage.name());
    }

    /// The candidate of a place will not serve, or not any more.
    pub fn refused(&self, name: &str, stage: Stage, why: &str) {
        let mut status = self.lock();
        match stage {
            Stage::RolledBack => status.rolled_back += 1,
            _ => status.refused += 1,
        }
        let Some(candidate) = status.at(name).and_then(|place| place.candidate.as_mut()) else { return };
        candidate.reach(stage, Some(why.to_owned()));
        tracing::warn!(
            plugin = name,
            generation = candidate.number,
            digest = short(&candidate.digest),
            "{}, the generation before goes on: {why}",
            stage.name()
        );
    }

    /// The candidates of these places serve.
    pub fn settled(&self, plugins: &Plugins, changed: &[String]) {
        let mut status = self.lock();
        status.deployed += 1;
        let known = std::mem::take(&mut status.places);
        for deployed in plugins.all() {
            let name = &deployed.place.name;
            let mut place = match known.iter().find(|place| place.name == *name) {
                Some(place) => place.clone(),
                None => PlaceStatus::new(deployed),
            };
            place.file = deployed.settings.file.display().to_string();
            if changed.contains(name)
                && let Some(mut generation) = place.candidate.take()
            {
                generation.reach(Stage::Settled, None);
                tracing::info!(
                    plugin = name.as_str(),
                    generation = generation.number,
                    version = generation.version.as_str(),
                    digest = short(&generation.digest),
                    "deployed"
                );
                place.before = Some(std::mem::replace(&mut place.serving, generation));
            }
            status.places.push(place);
        }
    }

    /// What served before at this place serves again.
    pub fn rolled_back(&self, name: &str) {
        let mut status = self.lock();
        status.rolled_back += 1;
        let Some(place) = status.at(name) else { return };
        let Some(mut before) = place.before.take() else { return };
        before.reach(Stage::Settled, None);
        let mut after = std::mem::replace(&mut place.serving, before);
        after.reach(Stage::RolledBack, Some("by hand".to_owned()));
        tracing::info!(plugin = name, generation = place.serving.number, from = after.number, "rolled back by hand");
        place.candidate = Some(after.clone());
        place.before = Some(after);
    }

    /// What the pipeline file says cannot be taken over; none: it can.
    pub fn file(&self, refused: Option<&str>) {
        let mut status = self.lock();
        if let Some(why) = refused
            && status.file_refused.as_deref() != Some(why)
        {
            status.refused += 1;
            tracing::warn!("the pipeline file is refused, the pipeline goes on as it is: {why}");
        }
        status.file_refused = refused.map(str::to_owned);
    }

    fn lock(&self) -> MutexGuard<'_, ReloadStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReloadStatus {
    fn at(&mut self, name: &str) -> Option<&mut PlaceStatus> {
        self.places.iter_mut().find(|place| place.name == name)
    }
}

impl PlaceStatus {
    fn new(deployed: &Deployed) -> Self {
        PlaceStatus {
            name: deployed.place.name.clone(),
            file: deployed.settings.file.display().to_string(),
            serving: Generation::settled(deployed),
            before: None,
            candidate: None,
            usage: deployed.plugin.usage().read(),
        }
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
