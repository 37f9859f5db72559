//! Loads and configures every component that a pipeline file names, and notes each that cannot be.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::Problem;
use crate::cli::columns::{Columns, count};
use crate::config::{PipelineSettings, Places, PluginSettings, TransformSettings, nearest};
use crate::lane::{Components, Described, OutputComponents, StateDescription};
use crate::pipeline::engine_settings;
use crate::plugin::{Component, Engine, Plugin, PluginError, PluginKind};
use crate::record::HasKind;

/// The plugins in the order of the file; none where one cannot be used.
#[derive(Default)]
pub(super) struct Plugins {
    pub transforms: Vec<Option<Plugin>>,
    pub outputs: Vec<OutputPlugins>,
}

#[derive(Default)]
pub(super) struct OutputPlugins {
    pub transforms: Vec<Option<Plugin>>,
    pub aggregate: Option<Plugin>,
}

pub(super) struct Loaded {
    pub plugins: Plugins,
    pub problems: Vec<Problem>,
}

pub(super) fn load(settings: &PipelineSettings, places: &Places) -> Loaded {
    let mut loader = Loader { engine: None, components: HashMap::new(), settings, places, problems: Vec::new() };
    let mut plugins = Plugins::default();
    for (number, transform) in settings.transforms.iter().enumerate() {
        plugins.transforms.push(loader.transform(&transform.plugin, &format!("transform[{number}]")));
    }
    for (number, output) in settings.outputs.iter().enumerate() {
        let mut of_output = OutputPlugins::default();
        for (inner, transform) in output.transforms.iter().enumerate() {
            let at = format!("output[{number}].transform[{inner}]");
            of_output.transforms.push(loader.transform(&transform.plugin, &at));
        }
        if let Some(aggregate) = &output.aggregate {
            of_output.aggregate = loader.aggregate(&aggregate.plugin, &format!("output[{number}].aggregate"));
        }
        plugins.outputs.push(of_output);
    }
    Loaded { plugins, problems: loader.problems }
}

struct Loader<'s> {
    /// Made for the first component.
    engine: Option<Engine>,
    /// By file: a component that is named twice is compiled, and complained about, once.
    components: HashMap<PathBuf, Option<Component>>,
    settings: &'s PipelineSettings,
    places: &'s Places,
    problems: Vec<Problem>,
}

impl Loader<'_> {
    fn transform(&mut self, plugin: &PluginSettings, at: &str) -> Option<Plugin> {
        // The kind first: settings that are meant for another kind mean nothing to the component.
        match self.component(&plugin.file, at)?.kind() {
            PluginKind::Filter | PluginKind::Enrich => self.plugin(plugin, at),
            PluginKind::Aggregate => {
                self.misplaced(at, "an aggregate cannot transform records", "it belongs into [output.aggregate]")
            }
        }
    }

    fn aggregate(&mut self, plugin: &PluginSettings, at: &str) -> Option<Plugin> {
        match self.component(&plugin.file, at)?.kind() {
            PluginKind::Aggregate => self.plugin(plugin, at),
            PluginKind::Filter => {
                self.misplaced(at, "a filter cannot fold windows", "it belongs into [[output.transform]]")
            }
            PluginKind::Enrich => {
                self.misplaced(at, "an enricher cannot fold windows", "it belongs into [[output.transform]]")
            }
        }
    }

    fn misplaced(&mut self, at: &str, message: &str, hint: &str) -> Option<Plugin> {
        let error = self.places.error(&format!("{at}.plugin"), message.into(), Some(hint.into()));
        self.problems.push(Problem::config(error));
        None
    }

    fn plugin(&mut self, plugin: &PluginSettings, at: &str) -> Option<Plugin> {
        let component = self.component(&plugin.file, at)?;
        match component.plugin(plugin) {
            Ok(plugin) => Some(plugin),
            Err(error @ PluginError::Settings { .. }) => self.refuse(&format!("{at}.settings"), &error, None),
            Err(error) => self.refuse(&format!("{at}.plugin"), &error, None),
        }
    }

    fn component(&mut self, file: &Path, at: &str) -> Option<Component> {
        if let Some(known) = self.components.get(file) {
            return known.clone();
        }
        let component = self.engine().and_then(|engine| Component::load(&engine, file));
        let component = match component {
            Ok(component) => Some(component),
            Err(error) => self.refuse(&format!("{at}.plugin"), &error, self.hint(file, &error)),
        };
        self.components.insert(file.to_owned(), component.clone());
        component
    }

    fn engine(&mut self) -> Result<Engine, PluginError> {
        match &self.engine {
            Some(engine) => Ok(engine.clone()),
            None => Ok(self.engine.insert(Engine::with(&engine_settings(self.settings))?).clone()),
        }
    }

    fn refuse<T>(&mut self, place: &str, error: &PluginError, hint: Option<String>) -> Option<T> {
        let kind = error.kind();
        self.problems.push(Problem { error: self.places.error(place, error.to_string(), hint), kind });
        None
    }

    /// Where a file is missing: what there is instead.
    fn hint(&self, file: &Path, error: &PluginError) -> Option<String> {
        let PluginError::Read { error, .. } = error else { return None };
        if error.kind() != io::ErrorKind::NotFound {
            return None;
        }
        let folder = file.parent().unwrap_or(&self.settings.plugins);
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Some(format!("there is no folder `{}`: name another with --plugins", folder.display()));
        };
        let names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".wasm"))
            .collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.sort_unstable();
        let wanted = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Some(match (nearest(wanted, &names), names.is_empty()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, false) => format!("in the folder there are: {}", names.join(", ")),
            (None, true) => "there is no component in that folder: `tidegate build` makes them".into(),
        })
    }
}

impl Plugins {
    /// What the lanes' plan is made of; to be asked for when all could be loaded.
    pub fn describe(&self) -> Components {
        let outputs = self.outputs.iter().map(|output| OutputComponents {
            transforms: output.transforms.iter().flatten().map(describe).collect(),
            aggregate: output.aggregate.as_ref().map(describe),
        });
        Components { transforms: self.transforms.iter().flatten().map(describe).collect(), outputs: outputs.collect() }
    }

    /// Those that can be used, with what the file says of them.
    pub fn all<'a>(&'a self, settings: &'a PipelineSettings) -> impl Iterator<Item = (&'a Plugin, &'a PluginSettings)> {
        let of = |settings: &'a [TransformSettings], plugins: &'a [Option<Plugin>]| {
            settings.iter().zip(plugins).map(|(settings, plugin)| (plugin.as_ref(), &settings.plugin))
        };
        let outputs = settings.outputs.iter().zip(&self.outputs).flat_map(move |(settings, plugins)| {
            let aggregate = settings.aggregate.as_ref().map(|one| (plugins.aggregate.as_ref(), &one.plugin));
            of(&settings.transforms, &plugins.transforms).chain(aggregate)
        });
        of(&settings.transforms, &self.transforms)
            .chain(outputs)
            .filter_map(|(plugin, settings)| Some((plugin?, settings)))
    }

    /// How many of what.
    pub fn summary(&self) -> String {
        let of_outputs =
            self.outputs.iter().map(|output| output.transforms.len() + usize::from(output.aggregate.is_some()));
        let plugins = self.transforms.len() + of_outputs.sum::<usize>();
        format!("{}, {}", count(plugins as u64, "plugin"), count(self.outputs.len() as u64, "output"))
    }

    /// A line for each.
    pub fn table(&self, settings: &PipelineSettings) -> String {
        let mut columns = Columns::new(["plugin", "kind", "component", "version", "of output"]);
        let mut row = |name: &str, plugin: &Plugin, output: &str| {
            let component = plugin.component();
            let (kind, identity) = (component.kind().name().to_owned(), component.identity().clone());
            columns.row(vec![name.to_owned(), kind, identity.name, identity.version, output.to_owned()]);
        };
        let mut transforms = |settings: &[TransformSettings], plugins: &[Option<Plugin>], output: &str| {
            for (transform, plugin) in settings.iter().zip(plugins) {
                plugin.iter().for_each(|plugin| row(&transform.name, plugin, output));
            }
        };
        transforms(&settings.transforms, &self.transforms, "");
        for (output, plugins) in settings.outputs.iter().zip(&self.outputs) {
            transforms(&output.transforms, &plugins.transforms, &output.name);
        }
        for (output, plugins) in settings.outputs.iter().zip(&self.outputs) {
            plugins.aggregate.iter().for_each(|plugin| row("(aggregate)", plugin, &output.name));
        }
        if columns.is_empty() { String::new() } else { columns.show() }
    }
}

fn describe(plugin: &Plugin) -> Described {
    let state = plugin.state();
    Described {
        ports: plugin.ports().clone(),
        state: state
            .map(|state| StateDescription { schema: state.schema.clone(), emit_reads: state.emit_reads.clone() }),
        ..Described::default()
    }
}
