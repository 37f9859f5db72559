//! A pipeline file, top to bottom: every key of it is read here or in a section below.

mod audit;
mod checkpoint;
mod elasticsearch;
mod output;
mod source;
mod transform;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::code_cache::code_cache;
use super::error::{ConfigError, ConfigErrors, Place};
use super::reader::{Reader, Section, Text, Value};
use super::values::{name, number, size, string, topic};
use super::{DeadLetterSettings, LimitSettings, PipelineSettings, PluginSettings, ReloadSettings};

/// The environment, as the loader asks for it.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Where each key is, by its path (`output[0].aggregate.plugin`), for those who find something wrong later.
#[derive(Clone, Debug)]
pub struct Places {
    file: PathBuf,
    places: BTreeMap<String, Place>,
}

impl Places {
    /// The paths of all keys.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// Something wrong with what stands at `path`, or, where the file leaves that out, with the table that it belongs to.
    pub fn error(&self, path: &str, message: String, hint: Option<String>) -> ConfigError {
        let table = path.rsplit_once('.').and_then(|(table, _)| self.places.get(table));
        let place = self.places.get(path).or(table).copied();
        ConfigError { file: self.file.clone(), place, message, hint }
    }
}

impl PipelineSettings {
    /// Reads and validates a pipeline file. `plugins` takes the place of the directory that the file names.
    pub fn load(path: &Path, environment: Environment<'_>, plugins: Option<&Path>) -> Result<Self, ConfigErrors> {
        Self::load_with_places(path, environment, plugins).map(|(settings, _)| settings)
    }

    /// As [`PipelineSettings::load`], for those who find something wrong later.
    pub fn load_with_places(
        path: &Path,
        environment: Environment<'_>,
        plugins: Option<&Path>,
    ) -> Result<(Self, Places), ConfigErrors> {
        let unreadable = |why| ConfigErrors::of_file(path, format!("cannot read the pipeline file: {why}"));
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text, path, environment, plugins)
    }

    /// Reads and validates text; paths in it start at the folder of `file`, which need not exist.
    pub fn parse(
        text: &str,
        file: &Path,
        environment: Environment<'_>,
        plugins: Option<&Path>,
    ) -> Result<(Self, Places), ConfigErrors> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let errors = RefCell::default();
        let reader = Reader {
            file,
            text,
            folder,
            environment,
            errors,
            places: RefCell::default(),
            outside: RefCell::default(),
            included: RefCell::default(),
        };
        let (document, syntax) = DeTable::parse_recoverable(text);
        for error in &syntax {
            reader.report::<()>(&error.span().unwrap_or(0..0), format!("not TOML: {}", error.message()), "");
        }
        // With a broken syntax the rest would be guesses.
        let settings = if syntax.is_empty() { pipeline(&reader, document.get_ref(), plugins) } else { None };
        let mut errors = reader.errors.take();
        errors.sort_by_key(|error| error.place);
        match settings {
            Some(settings) if errors.is_empty() => {
                Ok((settings, Places { file: file.into(), places: reader.places.take() }))
            }
            _ => Err(ConfigErrors(errors)),
        }
    }
}

fn pipeline<'a>(reader: &'a Reader<'a>, table: &'a DeTable<'a>, plugins: Option<&Path>) -> Option<PipelineSettings> {
    let mut file = Section::root(reader, table);
    let name = file.required("name", |value| name(value.text()?));
    let folder = reader.folder.to_owned();
    let plugins_named = file.or("plugins", folder.join("plugins"), |value| Some(folder.join(string(value)?)));

    let mut source = file.table("source");
    let kafka = source::kafka(source.table("kafka"), name.as_deref());
    let decode = source::decode(source.table("decode"));
    source.finish();

    let mut names = Names::new("a transform");
    let transforms = transform::transforms(&mut file, &mut names);
    let outputs = output::Outputs::new(file.tables("output"));
    if outputs.is_empty() && !file.has("output") {
        file.wrong::<()>("there is no `[[output]]`", "a pipeline has at least one: a name and an index");
    }
    let watermark = source::watermark(file.table("watermark"), outputs.have_windows());
    let sinks = elasticsearch::sinks(file.table("sink"));
    let outputs = outputs.read(&mut names, &sinks.names);

    let taken = Taken { name: name.as_deref(), sources: kafka.as_ref().map(|kafka| kafka.topics.as_slice()) };
    let dead_letters = dead_letters(reader, file.table("dead_letters"), &taken);
    taken.check_parts(reader);
    let checkpoint = match file.optional_table("checkpoint") {
        Some(section) => checkpoint::checkpoint(section).map(Some),
        None => Some(None),
    };
    let audit = match file.optional_table("audit") {
        Some(section) => audit::audit(section).map(Some),
        None => Some(None),
    };
    let limits = limits(file.table("limits"));
    let reload = reload(file.table("reload"));
    file.finish();

    let plugins = plugins.map_or(plugins_named?, Path::to_owned);
    let mut settings = PipelineSettings {
        name: name?,
        plugins: plugins.clone(),
        folder,
        code_cache: code_cache(reader.environment),
        kafka: kafka?,
        decode: decode?,
        watermark: watermark?,
        transforms: transforms?,
        sinks: sinks.read?,
        outputs: outputs?,
        dead_letters: dead_letters?,
        checkpoint: checkpoint?,
        audit: audit?,
        limits: limits?,
        reload: reload?,
        included: reader.included.take(),
    };
    for plugin in plugins_of(&mut settings) {
        plugin.file = plugins.join(&plugin.file);
    }
    Some(settings)
}

pub(crate) fn plugins_of(settings: &mut PipelineSettings) -> impl Iterator<Item = &mut PluginSettings> {
    let outputs = settings.outputs.iter_mut().flat_map(|output| {
        let aggregate = output.aggregate.as_mut().map(|aggregate| &mut aggregate.plugin);
        output.transforms.iter_mut().map(|transform| &mut transform.plugin).chain(aggregate)
    });
    settings.transforms.iter_mut().map(|transform| &mut transform.plugin).chain(outputs)
}

/// Names that must differ from each other.
struct Names {
    of: &'static str,
    taken: Vec<String>,
}

impl Names {
    fn new(of: &'static str) -> Self {
        Names { of, taken: Vec::new() }
    }

    /// A valid name that nobody else has.
    fn claim(&mut self, text: Text<'_>, hint: &str) -> Option<String> {
        if self.taken.iter().any(|taken| **taken == *text) {
            return text.wrong(&format!("there is {} of this name already", self.of), hint);
        }
        let name = name(text)?;
        self.taken.push(name.clone());
        Some(name)
    }
}

/// Topics that are in use.
struct Taken<'s> {
    name: Option<&'s str>,
    sources: Option<&'s [String]>,
}

impl Taken<'_> {
    fn is_source(&self, topic: &str) -> bool {
        self.sources.is_some_and(|sources| sources.iter().any(|source| source == topic))
    }

    fn parts(&self) -> Option<String> {
        self.name.map(|name| format!("{name}.parts"))
    }

    fn check_parts(&self, reader: &Reader<'_>) {
        if let Some(parts) = self.parts().filter(|parts| self.is_source(parts)) {
            let message = format!("the topic of the pipeline's parts is one of its sources: topics=`{parts}`");
            reader.report_at(
                "source.kafka.topics",
                message,
                "it is the pipeline's name and `.parts`: take another name",
            );
        }
    }
}

/// `[dead_letters]`.
fn dead_letters(reader: &Reader<'_>, mut section: Section<'_>, taken: &Taken<'_>) -> Option<DeadLetterSettings> {
    let topic = section.optional("topic", |value: &Value<'_>| {
        let topic = topic(value)?;
        match &topic {
            topic if taken.is_source(topic) => {
                value.wrong("dead letters would be read again: their topic is one of the sources", "take another topic")
            }
            topic if Some(topic) == taken.parts().as_ref() => {
                value.wrong("the pipeline's parts have this topic", "take another topic")
            }
            _ => Some(topic),
        }
    });
    let default = taken.name.map(|name| format!("{name}.dead-letters"));
    if let Some(default) = default.as_ref().filter(|default| topic == Some(None) && taken.is_source(default)) {
        let message = format!("dead letters would be read again: topics=`{default}`");
        reader.report_at("source.kafka.topics", message, "give them another topic with [dead_letters] topic");
    }
    let percent_max = section.optional("percent_max", |value| u32::try_from(number(1..=99)(value)?).ok());
    let run_max = section.optional("run_max", |value| u64::try_from(number(1..=1_000_000_000)(value)?).ok());
    let archive = section.optional("archive", |value| checkpoint::location(value.text()?));
    section.finish();
    Some(DeadLetterSettings {
        topic: topic?.or(default)?,
        percent_max: percent_max?,
        run_max: run_max?,
        archive: archive?,
    })
}

/// `[limits]`.
fn limits(mut section: Section<'_>) -> Option<LimitSettings> {
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let memory_bytes = section.or("memory", 512 << 20, size(64 << 20..=1 << 40));
    let stack_bytes = section.or("stack", 512 << 10, size(64 << 10..=2 << 20));
    let workers = section.or("workers", workers, number(1..=1024));
    section.finish();
    Some(LimitSettings { memory_bytes: memory_bytes?, stack_bytes: stack_bytes?, workers: workers? })
}

/// `[reload]`.
fn reload(mut section: Section<'_>) -> Option<ReloadSettings> {
    let watch = section.or("watch", true, Value::boolean);
    section.finish();
    Some(ReloadSettings { watch: watch? })
}
