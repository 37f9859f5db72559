//! A component: its bytes, compiled and judged by its interfaces, and what it says of itself. It has no settings yet.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{InstancePre, Linker};

use super::bindings::exports::tidegate::plugin::{aggregate, enrich, filter, plugin};
use super::host::{self, Host};
use super::interface::{self, Import, PluginKind, Served};
use super::limits::{COMPONENT_BYTES_MAX, Limits, SCHEMA_BYTES_MAX};
use super::live::{Interface, Live};
use super::{CallError, Engine, Plugin, PluginError, Usage, artefact, wasi, weight};
use crate::config::PluginSettings;

/// What a component says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Identity {
    pub name: String,
    pub version: String,
    /// JSON Schema of its settings; empty when unknown.
    pub settings_schema: String,
}

/// Compiled code; cheap to clone.
#[derive(Clone)]
pub struct Component(Arc<Inner>);

struct Inner {
    engine: Engine,
    /// The file's stem, for messages about it.
    file: Arc<str>,
    pre: InstancePre<Host>,
    kind: PluginKind,
    identity: Identity,
    imports: Vec<Import>,
    size_bytes: usize,
    digest: blake3::Hash,
}

impl Component {
    /// Compiles the file and asks the component who it is. A file of some megabytes takes seconds.
    pub fn load(engine: &Engine, path: &Path) -> Result<Self, PluginError> {
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        Self::from_bytes(engine, &name, &Self::read(path)?)
    }

    /// The bytes of a component's file, unless they are too many. Nothing else is opened: a pipe's other end may never come.
    pub fn read(path: &Path) -> Result<Vec<u8>, PluginError> {
        let unreadable = |error| PluginError::Read { file: path.to_owned(), error };
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        let file = std::fs::metadata(path).map_err(unreadable)?;
        if !file.is_file() {
            return Err(unreadable(std::io::Error::other("it is a folder, a pipe or a device, and no file")));
        }
        if file.len() > COMPONENT_BYTES_MAX as u64 {
            let why = format!("it has {} bytes, the limit is {COMPONENT_BYTES_MAX}", file.len());
            return Err(PluginError::Component { name: name.into_owned(), why });
        }
        std::fs::read(path).map_err(unreadable)
    }

    pub fn from_bytes(engine: &Engine, name: &str, bytes: &[u8]) -> Result<Self, PluginError> {
        Self::from_bytes_within(engine, name, bytes, &Limits::describing())
    }

    /// `limits` are those of the instance that says who it is.
    pub(super) fn from_bytes_within(
        engine: &Engine,
        name: &str,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Self, PluginError> {
        let refuse = |why| PluginError::Component { name: name.to_owned(), why };
        let encoded = artefact::encode(bytes).map_err(refuse)?;
        let encoded = encoded.as_deref().unwrap_or(bytes);
        weight::judge(encoded).map_err(refuse)?;
        let component = engine.compile(encoded).map_err(|error| refuse(not_compiled(&error)))?;

        let ty = component.component_type();
        let exports: Vec<&str> = ty.exports(engine.wasm()).map(|(export, _)| export).collect();
        let kind = interface::kind(exports.iter().copied()).map_err(refuse)?;
        let (linker, imports) = link(engine, &component).map_err(refuse)?;
        let pre = linker
            .instantiate_pre(&component)
            .map_err(|error| refuse(format!("its imports are not of the types that this runtime has: {error:#}")))?;

        let file: Arc<str> = name.into();
        let broken = |what| move |error| PluginError::Call { name: name.to_owned(), what, error };
        let mut live = Live::start(engine, &pre, &file, limits, &Arc::default()).map_err(broken("does not start"))?;
        match kind {
            PluginKind::Filter => has::<filter::Guest>(&mut live),
            PluginKind::Enrich => has::<enrich::Guest>(&mut live),
            PluginKind::Aggregate => has::<aggregate::Guest>(&mut live),
        }
        .map_err(|error| refuse(format!("its interface `{kind}` has other types than this runtime's: {error}")))?;
        let identity: Identity = live.describe().map_err(broken("failed in `describe`"))?.into();
        super::named("itself", &identity.name).map_err(refuse)?;
        super::named("its version", &identity.version).map_err(refuse)?;
        judge_schema(&identity.settings_schema).map_err(refuse)?;
        Ok(Component(Arc::new(Inner {
            engine: engine.clone(),
            file,
            pre,
            kind,
            identity,
            imports,
            size_bytes: bytes.len(),
            digest: blake3::hash(bytes),
        })))
    }

    pub fn kind(&self) -> PluginKind {
        self.0.kind
    }

    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// What it wants of its host, in the order that it says so.
    pub fn imports(&self) -> &[Import] {
        &self.0.imports
    }

    pub fn size_bytes(&self) -> usize {
        self.0.size_bytes
    }

    /// Of the bytes as they were given.
    pub fn digest(&self) -> blake3::Hash {
        self.0.digest
    }

    /// Makes a plugin of it, with the default limits: an instance is started and configured once, to learn what it reads and
    /// writes. The plugin's own words are in the error.
    pub fn configure(&self, settings: &str) -> Result<Plugin, PluginError> {
        Plugin::new(self.clone(), settings, Limits::default())
    }

    /// The same with all that a pipeline file says of it.
    pub fn plugin(&self, settings: &PluginSettings) -> Result<Plugin, PluginError> {
        let limits = Limits { secrets: settings.secrets.clone(), ..Limits::from(&settings.limits) };
        let plugin = Plugin::new(self.clone(), &settings.settings, limits)?;
        Ok(plugin.with_on_trap(settings.on_trap)?.with_on_breaker(settings.on_breaker))
    }

    /// The file's stem.
    pub(super) fn file(&self) -> &str {
        &self.0.file
    }

    pub(super) fn refused(&self, why: String) -> PluginError {
        PluginError::Component { name: self.file().to_owned(), why }
    }

    pub(super) fn start(&self, limits: &Limits, usage: &Arc<Usage>) -> Result<Live, CallError> {
        Live::start(&self.0.engine, &self.0.pre, &self.0.file, limits, usage)
    }
}

fn not_compiled(error: &wasmtime::Error) -> String {
    let why = format!("it does not compile: {error:#}");
    // wasmtime has no type for it; a test holds its words.
    match why.contains("component model async") {
        true => format!(
            "it has asynchronous functions, streams or futures, and this runtime has none; build it without, and for WASI 0.2 \
             where its language needs one: {why}"
        ),
        false => why,
    }
}

/// Others show it, and make forms of it.
fn judge_schema(schema: &str) -> Result<(), String> {
    if schema.len() > SCHEMA_BYTES_MAX {
        return Err(format!("its settings schema has {} bytes, the limit is {SCHEMA_BYTES_MAX}", schema.len()));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(schema) {
        Err(error) if !schema.is_empty() => Err(format!("its settings schema is not JSON: {error}")),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn has<I: Interface>(live: &mut Live) -> Result<(), String> {
    live.find::<I>().map(drop)
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").field("kind", &self.0.kind).field("identity", &self.0.identity).finish()
    }
}

impl From<plugin::Identity> for Identity {
    fn from(identity: plugin::Identity) -> Self {
        Identity { name: identity.name, version: identity.version, settings_schema: identity.settings_schema }
    }
}

/// Serves what the component imports, or says what nobody can.
fn link(engine: &Engine, component: &wasmtime::component::Component) -> Result<(Linker<Host>, Vec<Import>), String> {
    let mut linker = Linker::new(engine.wasm());
    host::add_log(&mut linker).map_err(|error| format!("{error:#}"))?;
    let ty = component.component_type();
    let mut imports = Vec::new();
    for (name, external) in ty.imports(engine.wasm()) {
        let ComponentItem::ComponentInstance(instance) = external.ty else {
            interface::served(name, std::iter::once(name))?;
            return Err(format!("it imports `{name}`, which is not an interface"));
        };
        let functions: Vec<&str> = instance
            .exports(engine.wasm())
            .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
            .map(|(function, _)| function)
            .collect();
        let served = interface::served(name, functions.iter().copied())?;
        match served {
            Served::Types => continue,
            Served::Log => {}
            Served::Wasi => {
                let mut interface = linker.instance(name).map_err(|error| format!("{error:#}"))?;
                wasi::define(&mut interface, engine.wasm(), name, &instance)?;
            }
        }
        imports.push(Import { name: name.to_owned(), wasi: served == Served::Wasi });
    }
    Ok((linker, imports))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::super::Instance;
    use super::super::tests::{self as guests, Guest, field};
    use super::*;
    use crate::record::{Batch, Kind, Verdicts};

    fn filter() -> Guest {
        Guest::new(&[field("user.id", Kind::Presence)], &[]).filter("", &Verdicts::default())
    }

    fn check(bytes: &[u8], expected: Expect) {
        let loaded = Component::from_bytes(guests::engine(), "test", bytes).and_then(|it| it.configure("{}"));
        match loaded {
            Err(PluginError::Component { why, .. }) => expected.assert_eq(&why),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_component_and_a_core_module_with_its_type_load() {
        let module = filter().build("filter-plugin");
        let encoded = artefact::encode(&module).expect("encodes").expect("was a module");
        for bytes in [&module, &encoded] {
            let component = Component::from_bytes(guests::engine(), "test", bytes).expect("loads");
            assert_eq!(component.kind(), PluginKind::Filter);
            assert_eq!((component.identity().name.as_str(), component.identity().version.as_str()), ("test", "1.0"));
            assert_eq!(component.size_bytes(), bytes.len());
            assert_eq!(component.digest(), blake3::hash(bytes));
            assert_eq!(component.imports(), []);
            let plugin = component.configure("{}").expect("configures");
            assert_eq!(plugin.ports().reads, [field("user.id", Kind::Presence)]);
            assert_eq!(plugin.state(), None);
        }
        let error = artefact::encode(&wat::parse_str(filter().text("")).expect("valid text")).expect_err("has no type");
        expect!["it is a core module, and carries no component type; build it with the SDK (is there a `#[filter]`, `#[enrich]` or `#[aggregate]` in it?), or with the linker `wasm-component-ld`, for the target wasm32-unknown-unknown"].assert_eq(&error);
    }

    #[test]
    fn bytes_that_are_cut_short_or_damaged_are_refused() {
        let module = filter().build("filter-plugin");
        let component = artefact::encode(&module).expect("encodes").expect("was a module");
        for bytes in [module, component] {
            for len in (0..bytes.len()).step_by(97) {
                assert!(Component::from_bytes(guests::engine(), "test", &bytes[..len]).is_err(), "{len} bytes");
            }
        }
        check(b"\0asm\x0d\0\x01\0\xff\0", expect!["it cannot be read: malformed section id (at offset 0x8)"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn damaged_bytes_give_an_error_or_a_plugin_and_nothing_worse(
            core in any::<bool>(),
            damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        ) {
            static MODULE: LazyLock<Vec<u8>> = LazyLock::new(|| filter().build("filter-plugin"));
            let mut bytes = MODULE.clone();
            if !core {
                bytes = artefact::encode(&bytes).expect("encodes").expect("was a module");
            }
            for (at, value) in damage {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            let loaded = Component::from_bytes_within(guests::engine(), "test", &bytes, &guests::narrow());
            let plugin = loaded.and_then(|component| Plugin::new(component, "{}", guests::narrow()));
            if let Ok(Instance::Filter(mut filter)) = plugin.and_then(|plugin| plugin.instantiate()) {
                let _ = filter.filter(&Batch { rows: 3, columns: Vec::new() });
            }
        }
    }
}
