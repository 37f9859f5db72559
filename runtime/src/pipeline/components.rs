//! The components of a pipeline file: compiled once each, configured where they are named, and made into a set of
//! instances for each worker.

use std::path::Path;

use hashbrown::HashMap;

use super::PipelineError;
use crate::config::{OnTrap, OutputSettings, PipelineSettings, PluginSettings};
use crate::lane::{Components, Described, Instances, OutputComponents, PluginId, StateDescription, settings_hash};
use crate::plugin::{
    Component, ComponentsMemory, Engine, EngineSettings, Plugin, PluginError, PluginKind, UsageCounts,
};

/// Generations are counted from it.
const FIRST_GENERATION: u64 = 1;

/// The pipeline's plugins, in the order of its file; cheap to clone.
#[derive(Clone, Debug)]
pub struct Plugins {
    transforms: Vec<Deployed>,
    outputs: Vec<OutputPlugins>,
}

#[derive(Clone, Debug)]
struct OutputPlugins {
    transforms: Vec<Deployed>,
    aggregate: Option<Deployed>,
}

/// Where the pipeline file names a plugin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// What commands, metrics and the log call it: a transform's name, or the output's name and `.aggregate`.
    pub name: String,
    /// In words, for messages.
    text: String,
    is_aggregate: bool,
}

/// A component with its settings, at its place.
#[derive(Clone, Debug)]
pub(crate) struct Deployed {
    pub place: Place,
    pub id: PluginId,
    pub settings: PluginSettings,
    pub plugin: Plugin,
    /// Counted at its place since the process began.
    pub generation: u64,
}

impl Plugins {
    pub fn load(settings: &PipelineSettings, loader: &mut Loader) -> Result<Self, PipelineError> {
        loader.engine_settings = super::budget::engine_settings(settings);
        Self::build(settings, |place, settings| {
            let component = loader.component(&settings.file).map_err(|cause| place.failed(cause))?;
            loader.deployed(place, settings, &component, FIRST_GENERATION)
        })
    }

    /// All that `settings` name, in the order of the file, as `make` makes them.
    pub(crate) fn build<E>(
        settings: &PipelineSettings,
        mut make: impl FnMut(Place, &PluginSettings) -> Result<Deployed, E>,
    ) -> Result<Self, E> {
        let mut transforms = Vec::new();
        for transform in &settings.transforms {
            transforms.push(make(Place::transform(&transform.name, None), &transform.plugin)?);
        }
        let mut outputs = Vec::new();
        for output in &settings.outputs {
            let mut transforms = Vec::new();
            for transform in &output.transforms {
                transforms.push(make(Place::transform(&transform.name, Some(output)), &transform.plugin)?);
            }
            let aggregate = output.aggregate.as_ref();
            let aggregate = aggregate.map(|one| make(Place::aggregate(output), &one.plugin)).transpose()?;
            outputs.push(OutputPlugins { transforms, aggregate });
        }
        Ok(Plugins { transforms, outputs })
    }

    /// In the order of the file.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Deployed> {
        let of_outputs = self.outputs.iter().flat_map(|output| output.transforms.iter().chain(&output.aggregate));
        self.transforms.iter().chain(of_outputs)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Deployed> {
        let outputs = self.outputs.iter_mut();
        let of_outputs = outputs.flat_map(|output| output.transforms.iter_mut().chain(&mut output.aggregate));
        self.transforms.iter_mut().chain(of_outputs)
    }

    pub(crate) fn at(&self, name: &str) -> Option<&Deployed> {
        self.all().find(|deployed| deployed.place.name == name)
    }

    /// The same, with something else for records on which one breaks.
    pub(crate) fn with_on_trap(&self, on_trap: OnTrap) -> Result<Plugins, PipelineError> {
        let mut plugins = self.clone();
        for deployed in plugins.all_mut() {
            let plugin = deployed.plugin.clone().with_on_trap(on_trap);
            deployed.plugin = plugin.map_err(|cause| deployed.place.failed(cause))?;
        }
        Ok(plugins)
    }

    /// The same, for instances that do not serve.
    pub(crate) fn aside(&self) -> Plugins {
        let mut plugins = self.clone();
        plugins.all_mut().for_each(|deployed| deployed.plugin = deployed.plugin.aside());
        plugins
    }

    /// The same, with another plugin at the place of `deployed`.
    pub(crate) fn with(&self, deployed: &Deployed) -> Plugins {
        let mut plugins = self.clone();
        for one in plugins.all_mut().filter(|one| one.place == deployed.place) {
            one.clone_from(deployed);
        }
        plugins
    }

    /// The same, for one output alone.
    pub(crate) fn of_output(&self, settings: &PipelineSettings, name: &str) -> Plugins {
        let outputs = settings.outputs.iter().zip(&self.outputs).filter(|(output, _)| output.name == name);
        Plugins { transforms: self.transforms.clone(), outputs: outputs.map(|(_, plugins)| plugins.clone()).collect() }
    }

    /// The place, the version and the digest of each, in the order of the file.
    pub(crate) fn identities(&self) -> impl Iterator<Item = (&str, &str, String)> {
        self.all().map(|deployed| {
            let component = deployed.plugin.component();
            let digest = component.digest().to_hex().to_string();
            (deployed.place.name.as_str(), component.identity().version.as_str(), digest)
        })
    }

    /// What the lanes' plan is made of.
    pub fn describe(&self) -> Components {
        Components {
            transforms: self.transforms.iter().map(Deployed::describe).collect(),
            outputs: self
                .outputs
                .iter()
                .map(|output| OutputComponents {
                    transforms: output.transforms.iter().map(Deployed::describe).collect(),
                    aggregate: output.aggregate.as_ref().map(Deployed::describe),
                })
                .collect(),
        }
    }

    /// What each has taken so far, by its place.
    pub fn usage(&self) -> impl Iterator<Item = (&str, UsageCounts)> {
        self.all().map(|deployed| (deployed.place.name.as_str(), deployed.plugin.usage().read()))
    }

    /// One of each, for one thread.
    pub fn instantiate(&self) -> Result<Instances, PipelineError> {
        self.instantiate_some(|_| true)
    }

    /// One of each that is wanted, for one thread.
    pub(crate) fn instantiate_some(&self, wanted: impl Fn(PluginId) -> bool) -> Result<Instances, PipelineError> {
        self.all()
            .filter(|deployed| wanted(deployed.id))
            .map(|deployed| Ok((deployed.id, deployed.plugin.instantiate().map_err(|e| deployed.place.failed(e))?)))
            .collect()
    }
}

impl Place {
    fn transform(name: &str, output: Option<&OutputSettings>) -> Place {
        let of = output.map(|output| format!("output `{}`, ", output.name)).unwrap_or_default();
        Place { name: name.to_owned(), text: format!("{of}transform `{name}`"), is_aggregate: false }
    }

    fn aggregate(output: &OutputSettings) -> Place {
        let name = &output.name;
        Place { name: format!("{name}.aggregate"), text: format!("output `{name}`, aggregate"), is_aggregate: true }
    }

    pub fn failed(&self, cause: PluginError) -> PipelineError {
        PipelineError::Plugin { place: self.text.clone(), cause }
    }

    /// Why a component of this kind does not belong here.
    fn objection(&self, kind: PluginKind) -> Option<&'static str> {
        match (self.is_aggregate, kind) {
            (false, PluginKind::Filter | PluginKind::Enrich) | (true, PluginKind::Aggregate) => None,
            (false, PluginKind::Aggregate) => {
                Some("a transform is a filter or an enricher; an aggregate belongs into [output.aggregate]")
            }
            (true, PluginKind::Filter | PluginKind::Enrich) => {
                Some("only an aggregate can fold windows; this belongs into [[output.transform]]")
            }
        }
    }
}

impl Deployed {
    fn describe(&self) -> Described {
        Described {
            id: self.id,
            ports: self.plugin.ports().clone(),
            state: self
                .plugin
                .state()
                .map(|state| StateDescription { schema: state.schema.clone(), emit_reads: state.emit_reads.clone() }),
            digest: self.plugin.component().digest().to_hex().to_string(),
            version: self.plugin.component().identity().version.clone(),
            generation: self.generation,
            settings_hash: settings_hash(&self.settings),
        }
    }
}

/// Compiles each component once, however often it is named, and by however many pipelines; and numbers what it configures.
#[derive(Default)]
pub struct Loader {
    /// Made for the first component: a pipeline without one needs none.
    engine: Option<Engine>,
    engine_settings: EngineSettings,
    components: HashMap<blake3::Hash, Component>,
    numbered: u64,
}

impl Loader {
    /// Of the component's bytes as the file has them now.
    pub(crate) fn digest(file: &Path) -> Result<blake3::Hash, PluginError> {
        Ok(blake3::hash(&Component::read(file)?))
    }

    pub(crate) fn component(&mut self, file: &Path) -> Result<Component, PluginError> {
        let bytes = Component::read(file)?;
        let digest = blake3::hash(&bytes);
        if let Some(component) = self.components.get(&digest) {
            return Ok(component.clone());
        }
        let name = file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy();
        let component = Component::from_bytes(self.engine()?, &name, &bytes)?;
        self.components.insert(digest, component.clone());
        Ok(component)
    }

    /// The kind is judged before the settings are tried: those of another kind mean nothing to the component.
    pub(crate) fn deployed(
        &mut self,
        place: Place,
        settings: &PluginSettings,
        component: &Component,
        generation: u64,
    ) -> Result<Deployed, PipelineError> {
        let kind = component.kind();
        if let Some(hint) = place.objection(kind) {
            return Err(PipelineError::Misplaced { place: place.text, kind: kind.name(), hint });
        }
        let plugin = component.plugin(settings).map_err(|cause| place.failed(cause))?;
        self.numbered += 1;
        Ok(Deployed { place, id: PluginId(self.numbered), settings: settings.clone(), plugin, generation })
    }

    /// What the memories of all instances have together.
    pub(crate) fn memory(&mut self) -> Result<ComponentsMemory, PluginError> {
        self.engine().map(Engine::memory)
    }

    /// Forgets the components that nobody needs.
    pub(crate) fn retain(&mut self, needed: impl Fn(&blake3::Hash) -> bool) {
        self.components.retain(|digest, _| needed(digest));
    }

    fn engine(&mut self) -> Result<&Engine, PluginError> {
        match &mut self.engine {
            Some(engine) => Ok(engine),
            none => Ok(none.insert(Engine::with(&self.engine_settings)?)),
        }
    }
}
