//! A plugin: a component with its settings, which knows what it reads and writes and makes instances.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::aggregate::AggregateInstance;
use super::bindings::exports::tidegate::plugin::{aggregate, plugin};
use super::bindings::tidegate::plugin::data;
use super::instance::{EnrichInstance, FilterInstance};
use super::limits::{FIELDS_MAX, Limits, PATH_BYTES_MAX};
use super::live::Live;
use super::{Aggregate, Component, Enrich, Filter, PluginError, PluginKind, Usage, WORDS_BYTES_MAX};
use crate::config::{OnBreaker, OnTrap, Secret};
use crate::record::{Field, Kind, Ports, Reason, Rejection, StateSchema, without};

/// A configured component; cheap to clone. Its instances are all configured alike.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
    on_trap: OnTrap,
    on_breaker: OnBreaker,
}

#[derive(Clone)]
struct Inner {
    component: Component,
    settings: String,
    limits: Limits,
    ports: Ports,
    state: Option<StateDescription>,
    usage: Arc<Usage>,
}

/// What an aggregate says of its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateDescription {
    pub schema: StateSchema,
    /// What `emit` wants to know of each state: fields of the group, `$window_start`, `$window_end`.
    pub emit_reads: Vec<Field>,
}

/// A live instance, for one thread at a time.
pub enum Instance {
    Filter(Box<dyn Filter>),
    Enrich(Box<dyn Enrich>),
    Aggregate(Box<dyn Aggregate>),
}

impl Plugin {
    pub(super) fn new(component: Component, settings: &str, limits: Limits) -> Result<Self, PluginError> {
        let usage = Arc::default();
        let (_, ports, state) = start(&component, settings, &limits, &usage)?;
        let inner = Arc::new(Inner { component, settings: settings.to_owned(), limits, ports, state, usage });
        Ok(Plugin { inner, on_trap: OnTrap::DeadLetter, on_breaker: OnBreaker::Stop })
    }

    /// What its instances do with a row on which it breaks; an error where its kind cannot do that.
    pub fn with_on_trap(self, on_trap: OnTrap) -> Result<Self, PluginError> {
        match (on_trap, self.kind()) {
            (OnTrap::Pass, PluginKind::Enrich | PluginKind::Aggregate) => {
                Err(PluginError::Pass { name: self.component().file().to_owned(), kind: self.kind().name() })
            }
            (OnTrap::DeadLetter | OnTrap::Stop, _) | (OnTrap::Pass, PluginKind::Filter) => {
                Ok(Plugin { on_trap, ..self })
            }
        }
    }

    /// What is to follow when it breaks on most records; the breaker says it with its error.
    pub fn with_on_breaker(self, on_breaker: OnBreaker) -> Self {
        Plugin { on_breaker, ..self }
    }

    pub(super) fn on_breaker(&self) -> OnBreaker {
        self.on_breaker
    }

    pub(super) fn on_trap(&self) -> OnTrap {
        self.on_trap
    }

    pub fn component(&self) -> &Component {
        &self.inner.component
    }

    pub fn kind(&self) -> PluginKind {
        self.inner.component.kind()
    }

    pub fn ports(&self) -> &Ports {
        &self.inner.ports
    }

    /// None unless it is an aggregate.
    pub fn state(&self) -> Option<&StateDescription> {
        self.inner.state.as_ref()
    }

    /// Of all its clones and instances, but those aside.
    pub fn usage(&self) -> &Arc<Usage> {
        &self.inner.usage
    }

    /// The same, for instances that do not serve: what they do and take is not counted with those that do.
    pub fn aside(&self) -> Plugin {
        let usage = Arc::new(self.inner.usage.aside());
        Plugin { inner: Arc::new(Inner { usage, ..Inner::clone(&self.inner) }), ..self.clone() }
    }

    pub fn instantiate(&self) -> Result<Instance, PluginError> {
        Ok(match self.kind() {
            PluginKind::Filter => Instance::Filter(Box::new(FilterInstance::new(self.clone())?)),
            PluginKind::Enrich => Instance::Enrich(Box::new(EnrichInstance::new(self.clone())?)),
            PluginKind::Aggregate => Instance::Aggregate(Box::new(AggregateInstance::new(self.clone())?)),
        })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Reasons of a component's own, without the secrets in its settings.
    pub(super) fn hide(&self, rejected: &mut [Rejection]) {
        let secrets = &self.inner.limits.secrets;
        if secrets.is_empty() {
            return;
        }
        for rejection in rejected {
            let message = without(&rejection.reason.message, secrets.iter().map(Secret::expose)).into_owned();
            rejection.reason = Reason::new(rejection.reason.kind, message);
        }
    }

    /// A fresh instance, configured like the first.
    pub(super) fn start(&self) -> Result<Live, PluginError> {
        let (live, ports, state) =
            start(&self.inner.component, &self.inner.settings, &self.inner.limits, &self.inner.usage)?;
        if ports != self.inner.ports || state != self.inner.state {
            return Err(PluginError::Unsteady { name: self.inner.component.file().to_owned() });
        }
        Ok(live)
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("component", &self.inner.component).field("ports", &self.inner.ports).finish()
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Instance::Filter(_) => "Filter",
            Instance::Enrich(_) => "Enrich",
            Instance::Aggregate(_) => "Aggregate",
        })
    }
}

fn start(
    component: &Component,
    settings: &str,
    limits: &Limits,
    usage: &Arc<Usage>,
) -> Result<(Live, Ports, Option<StateDescription>), PluginError> {
    let name = component.file();
    let broken = |what| move |error| PluginError::Call { name: name.to_owned(), what, error };
    let mut live = component.start(limits, usage).map_err(broken("does not start"))?;
    let ports = match live.configure(settings).map_err(broken("failed in `configure`"))? {
        Ok(ports) => ports,
        Err(words) => {
            let words = super::words(&words, WORDS_BYTES_MAX, &limits.secrets);
            return Err(PluginError::Settings { name: name.to_owned(), words });
        }
    };
    let state = match component.kind() {
        PluginKind::Filter | PluginKind::Enrich => None,
        PluginKind::Aggregate => {
            let guest: aggregate::Guest = live.find().map_err(|why| component.refused(why))?;
            let description =
                live.call(|store| guest.call_describe_state(store)).map_err(broken("failed in `describe-state`"))?;
            Some(state_description(description))
        }
    };
    let ports = ports_of(ports);
    judge(component, &ports, state.as_ref()).map_err(|why| PluginError::Component { name: name.to_owned(), why })?;
    Ok((live, ports, state))
}

fn judge(component: &Component, ports: &Ports, state: Option<&StateDescription>) -> Result<(), String> {
    let emit_reads = state.map(|state| state.emit_reads.as_slice()).unwrap_or_default();
    for (what, fields) in
        [("reads", ports.reads.as_slice()), ("writes", &ports.writes), ("reads in `emit`", emit_reads)]
    {
        if fields.len() > FIELDS_MAX {
            return Err(format!("it {what} {} fields, the limit is {FIELDS_MAX}", fields.len()));
        }
        if let Some(at) = fields.iter().position(|field| field.path.len() > PATH_BYTES_MAX) {
            return Err(format!("the path of field {at} that it {what} is longer than {PATH_BYTES_MAX} bytes"));
        }
        if let Some(at) = fields.iter().position(|field| field.path.is_empty()) {
            return Err(format!("the path of field {at} that it {what} is empty"));
        }
        if let Some(field) = fields.iter().find(|field| field.path.contains(char::is_control)) {
            return Err(format!("it {what} a field whose path has a control character: {:?}", field.path));
        }
    }
    if let Some(state) = state {
        super::named("its state", &state.schema.name)?;
    }
    if component.kind() == PluginKind::Filter && !ports.writes.is_empty() {
        return Err(format!("it is a filter and says that it writes `{}`; only `enrich` can", ports.writes[0].path));
    }
    let mut written = HashSet::new();
    for field in &ports.writes {
        if field.kind == Kind::Presence {
            return Err(format!("it writes `{}` as presence, which is not a value", field.path));
        }
        if field.path.starts_with('$') {
            return Err(format!("it writes `{}`; paths that begin with `$` are the record's own", field.path));
        }
        if !written.insert(field.path.as_str()) {
            return Err(format!("it writes `{}` twice", field.path));
        }
    }
    Ok(())
}

fn ports_of(ports: plugin::Ports) -> Ports {
    Ports {
        reads: ports.reads.into_iter().map(field_of).collect(),
        writes: ports.writes.into_iter().map(field_of).collect(),
    }
}

fn state_description(description: aggregate::Description) -> StateDescription {
    StateDescription {
        schema: StateSchema { name: description.state.name, version: description.state.version },
        emit_reads: description.emit_reads.into_iter().map(field_of).collect(),
    }
}

fn field_of(field: data::Field) -> Field {
    let kind = match field.kind {
        data::Kind::Presence => Kind::Presence,
        data::Kind::Boolean => Kind::Boolean,
        data::Kind::Integer => Kind::Integer,
        data::Kind::Float => Kind::Float,
        data::Kind::Text => Kind::Text,
        data::Kind::Timestamp => Kind::Timestamp,
        data::Kind::Json => Kind::Json,
        data::Kind::Bytes => Kind::Bytes,
    };
    Field { path: field.path, kind, required: field.required }
}
