//! The components of a pipeline file: compiled once each, configured where they are named, and made into a set of
//! instances for each worker.

use std::path::{Path, PathBuf};

use hashbrown::HashMap;

use super::PipelineError;
use crate::config::{PipelineSettings, PluginSettings, TransformSettings};
use crate::lane::{Components, Described, Instances, OutputComponents, OutputInstances, StateDescription, Transform};
use crate::plugin::{Component, Engine, EngineSettings, Instance, Plugin, PluginKind};

/// The pipeline's plugins, in the order of its file.
#[derive(Debug)]
pub struct Plugins {
    transforms: Vec<Named>,
    outputs: Vec<OutputPlugins>,
}

#[derive(Debug)]
struct OutputPlugins {
    transforms: Vec<Named>,
    aggregate: Option<Named>,
}

/// A plugin and where the pipeline file names it.
#[derive(Debug)]
struct Named {
    place: String,
    plugin: Plugin,
}

impl Plugins {
    pub fn load(settings: &PipelineSettings, loader: &mut Loader) -> Result<Self, PipelineError> {
        loader.settings = super::budget::engine_settings(settings);
        let mut outputs = Vec::new();
        let transforms = loader.transforms(&settings.transforms, "")?;
        for output in &settings.outputs {
            let prefix = format!("output `{}`, ", output.name);
            let aggregate = output.aggregate.as_ref();
            let aggregate = aggregate.map(|aggregate| loader.aggregate(&aggregate.plugin, &prefix)).transpose()?;
            outputs.push(OutputPlugins { transforms: loader.transforms(&output.transforms, &prefix)?, aggregate });
        }
        Ok(Plugins { transforms, outputs })
    }

    /// What the lanes' plan is made of.
    pub fn describe(&self) -> Components {
        Components {
            transforms: self.transforms.iter().map(Named::describe).collect(),
            outputs: self
                .outputs
                .iter()
                .map(|output| OutputComponents {
                    transforms: output.transforms.iter().map(Named::describe).collect(),
                    aggregate: output.aggregate.as_ref().map(Named::describe),
                })
                .collect(),
        }
    }

    /// One of each, for one thread.
    pub fn instantiate(&self) -> Result<Instances, PipelineError> {
        let mut outputs = Vec::new();
        for output in &self.outputs {
            let aggregate = output.aggregate.as_ref().map(Named::aggregate).transpose()?;
            outputs.push(OutputInstances { transforms: transforms(&output.transforms)?, aggregate });
        }
        Ok(Instances { transforms: transforms(&self.transforms)?, outputs })
    }
}

fn transforms(plugins: &[Named]) -> Result<Vec<Transform>, PipelineError> {
    plugins.iter().map(Named::transform).collect()
}

/// Compiles each file once, however often it is named, and by however many pipelines.
#[derive(Default)]
pub struct Loader {
    /// Made for the first component: a pipeline without one needs none.
    engine: Option<Engine>,
    settings: EngineSettings,
    components: HashMap<PathBuf, Component>,
}

impl Loader {
    fn transforms(&mut self, settings: &[TransformSettings], prefix: &str) -> Result<Vec<Named>, PipelineError> {
        settings
            .iter()
            .map(|transform| {
                self.plugin(&transform.plugin, format!("{prefix}transform `{}`", transform.name), |kind| match kind {
                    PluginKind::Filter | PluginKind::Enrich => None,
                    PluginKind::Aggregate => {
                        Some("a transform is a filter or an enricher; an aggregate belongs into [output.aggregate]")
                    }
                })
            })
            .collect()
    }

    fn aggregate(&mut self, settings: &PluginSettings, prefix: &str) -> Result<Named, PipelineError> {
        self.plugin(settings, format!("{prefix}aggregate"), |kind| match kind {
            PluginKind::Aggregate => None,
            PluginKind::Filter | PluginKind::Enrich => {
                Some("only an aggregate can fold windows; this belongs into [[output.transform]]")
            }
        })
    }

    /// `objection` judges the kind before the settings are tried: those of another kind mean nothing to the component.
    fn plugin(
        &mut self,
        settings: &PluginSettings,
        place: String,
        objection: impl FnOnce(PluginKind) -> Option<&'static str>,
    ) -> Result<Named, PipelineError> {
        let failed = |cause| PipelineError::Plugin { place: place.clone(), cause };
        let component = self.component(&settings.file).map_err(failed)?;
        if let Some(hint) = objection(component.kind()) {
            return Err(PipelineError::Misplaced { place, kind: component.kind().name(), hint });
        }
        let plugin = component.plugin(settings).map_err(failed)?;
        Ok(Named { place, plugin })
    }

    fn component(&mut self, file: &Path) -> Result<Component, crate::plugin::PluginError> {
        let key = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        if let Some(component) = self.components.get(&key) {
            return Ok(component.clone());
        }
        let engine = match &self.engine {
            Some(engine) => engine,
            None => self.engine.insert(Engine::with(&self.settings)?),
        };
        let component = Component::load(engine, file)?;
        self.components.insert(key, component.clone());
        Ok(component)
    }
}

impl Named {
    fn describe(&self) -> Described {
        Described {
            ports: self.plugin.ports().clone(),
            state: self
                .plugin
                .state()
                .map(|state| StateDescription { schema: state.schema.clone(), emit_reads: state.emit_reads.clone() }),
            digest: self.plugin.component().digest().to_hex().to_string(),
        }
    }

    fn instance(&self) -> Result<Instance, PipelineError> {
        self.plugin.instantiate().map_err(|cause| PipelineError::Plugin { place: self.place.clone(), cause })
    }

    fn transform(&self) -> Result<Transform, PipelineError> {
        match self.instance()? {
            Instance::Filter(filter) => Ok(Transform::Filter(filter)),
            Instance::Enrich(enrich) => Ok(Transform::Enrich(enrich)),
            Instance::Aggregate(_) => unreachable!("an aggregate was refused as a transform when it was loaded"),
        }
    }

    fn aggregate(&self) -> Result<Box<dyn crate::plugin::Aggregate>, PipelineError> {
        match self.instance()? {
            Instance::Aggregate(aggregate) => Ok(aggregate),
            Instance::Filter(_) | Instance::Enrich(_) => {
                unreachable!("only an aggregate was taken as an aggregate when it was loaded")
            }
        }
    }
}
