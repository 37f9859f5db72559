//! The component around a plugin: the exports of its interface, its one configured instance, and the panic hook.

use std::cell::RefCell;
use std::sync::Once;

use crate::aggregate::{AggregateGlue, emit_reads};
use crate::bindings::aggregate::exports::tidegate::plugin::aggregate as aggregate_interface;
use crate::bindings::data::{Batch, Output, Slices};
use crate::bindings::filter::exports::tidegate::plugin::filter as filter_interface;
use crate::bindings::log::Level;
use crate::bindings::plugin::exports::tidegate::plugin::plugin::{Identity, Ports};
use crate::configured::Configured;
use crate::enrich::EnrichGlue;
use crate::filter::FilterGlue;

/// The instance of a component: configured before its first batch.
pub struct Instance<P>(RefCell<Option<Configured<P>>>);

impl<P> Instance<P> {
    pub const fn new() -> Self {
        Instance(RefCell::new(None))
    }

    fn configure(&self, configured: Result<Configured<P>, String>) -> Result<Ports, String> {
        let configured = configured?;
        let ports = Ports { reads: configured.reads.fields().to_vec(), writes: configured.writes.fields().to_vec() };
        *self.0.borrow_mut() = Some(configured);
        Ok(ports)
    }

    fn with<T>(&self, call: impl FnOnce(&Configured<P>) -> T) -> T {
        call(self.0.borrow().as_ref().expect("the runtime configures a component before it calls it"))
    }
}

impl<P: FilterGlue> Instance<P> {
    pub fn configure_filter(&self, settings: &str) -> Result<Ports, String> {
        hook();
        self.configure(Configured::filter_plugin(settings))
    }

    pub fn filter(&self, batch: &Batch) -> filter_interface::Verdicts {
        let (keep, rejected) = self.with(|configured| configured.filter(batch));
        filter_interface::Verdicts { keep, rejected }
    }
}

impl<P: EnrichGlue> Instance<P> {
    pub fn configure_enrich(&self, settings: &str) -> Result<Ports, String> {
        hook();
        self.configure(Configured::enrich_plugin(settings))
    }

    pub fn enrich(&self, batch: &Batch) -> Output {
        self.with(|configured| configured.enrich(batch))
    }
}

impl<P: AggregateGlue> Instance<P> {
    pub fn configure_aggregate(&self, settings: &str) -> Result<Ports, String> {
        hook();
        self.configure(Configured::aggregate_plugin(settings))
    }

    pub fn describe_state(&self) -> aggregate_interface::Description {
        let state = aggregate_interface::StateSchema { name: P::STATE_NAME.to_owned(), version: P::STATE_VERSION };
        aggregate_interface::Description { state, emit_reads: emit_reads() }
    }

    pub fn accumulate(&self, states: &Slices, groups: &[u32], batch: &Batch) -> aggregate_interface::Accumulated {
        let (states, rejected) = self.with(|configured| configured.accumulate(states, groups, batch));
        aggregate_interface::Accumulated { states, rejected }
    }

    pub fn merge(&self, left: &Slices, right: &Slices) -> Slices {
        self.with(|configured| configured.merge(left, right))
    }

    pub fn emit(&self, states: &Slices, context: &Batch) -> Output {
        self.with(|configured| configured.emit(states, context))
    }

    pub fn migrate(&self, from: &aggregate_interface::StateSchema, states: &Slices) -> Result<Slices, String> {
        self.with(|configured| configured.migrate(&from.name, from.version, states))
    }
}

pub fn identity(name: &str, version: &str) -> Identity {
    hook();
    Identity { name: name.to_owned(), version: version.to_owned(), settings_schema: String::new() }
}

/// To the host a panic is a bare trap; its message goes to the log first.
fn hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| crate::log::write(Level::Error, &panic.to_string())));
    });
}

/// The exports that all kinds share. `$configure` is the method of [`Instance`] for the kind.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_plugin {
    ($component:ident, $glue:ty, $configure:ident) => {
        ::std::thread_local! {
            static INSTANCE: $crate::component::Instance<$glue> = const { $crate::component::Instance::new() };
        }

        struct $component;

        impl $crate::bindings::plugin::exports::tidegate::plugin::plugin::Guest for $component {
            fn describe() -> $crate::bindings::plugin::exports::tidegate::plugin::plugin::Identity {
                $crate::component::identity(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            }

            fn configure(
                settings: ::std::string::String,
            ) -> ::std::result::Result<
                $crate::bindings::plugin::exports::tidegate::plugin::plugin::Ports,
                ::std::string::String,
            > {
                INSTANCE.with(|instance| instance.$configure(&settings))
            }
        }

        $crate::bindings::plugin::export_plugin!($component with_types_in $crate::bindings::plugin);
    };
}

/// The exports of a component of one kind.
#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    (filter, $glue:ty) => {
        const _: () = {
            use $crate::bindings::data::Batch;
            use $crate::bindings::filter::exports::tidegate::plugin::filter::{Guest, Verdicts};

            $crate::__export_plugin!(Component, $glue, configure_filter);

            impl Guest for Component {
                fn filter(batch: Batch) -> Verdicts {
                    INSTANCE.with(|instance| instance.filter(&batch))
                }
            }

    $crate::bindings::filter::export_filter!(Component with_types_in $crate::bindings::filter);
        };
    };
    (enrich, $glue:ty) => {
        const _: () = {
            use $crate::bindings::data::{Batch, Output};
            use $crate::bindings::enrich::exports::tidegate::plugin::enrich::Guest;

            $crate::__export_plugin!(Component, $glue, configure_enrich);

            impl Guest for Component {
                fn enrich(batch: Batch) -> Output {
                    INSTANCE.with(|instance| instance.enrich(&batch))
                }
            }

    $crate::bindings::enrich::export_enrich!(Component with_types_in $crate::bindings::enrich);
        };
    };
    (aggregate, $glue:ty) => {
        const _: () = {
            use $crate::bindings::aggregate::exports::tidegate::plugin::aggregate::{
                Accumulated, Description, Guest, StateSchema,
            };
            use $crate::bindings::data::{Batch, Output, Slices};

            $crate::__export_plugin!(Component, $glue, configure_aggregate);

            impl Guest for Component {
                fn describe_state() -> Description {
                    INSTANCE.with(|instance| instance.describe_state())
                }

                fn accumulate(states: Slices, groups: ::std::vec::Vec<u32>, batch: Batch) -> Accumulated {
                    INSTANCE.with(|instance| instance.accumulate(&states, &groups, &batch))
                }

                fn merge(left: Slices, right: Slices) -> Slices {
                    INSTANCE.with(|instance| instance.merge(&left, &right))
                }

                fn emit(states: Slices, context: Batch) -> Output {
                    INSTANCE.with(|instance| instance.emit(&states, &context))
                }

                fn migrate(from: StateSchema, states: Slices) -> ::std::result::Result<Slices, ::std::string::String> {
                    INSTANCE.with(|instance| instance.migrate(&from, &states))
                }
            }

    $crate::bindings::aggregate::export_aggregate!(Component with_types_in $crate::bindings::aggregate);
        };
    };
}
