//! Write Tidegate plugins: a plain struct says what is read or written, a plain function what is done with it.
//!
//! ```
//! use tidegate_sdk::{Fields, filter};
//!
//! #[derive(Fields)]
//! struct Click<'a> {
//!     user_id: Option<&'a str>,
//! }
//!
//! #[filter]
//! fn has_user(click: Click<'_>) -> bool {
//!     click.user_id.is_some()
//! }
//! # fn main() {}
//! ```
//!
//! - [`macro@filter`] keeps records or drops them, [`macro@enrich`] writes fields, [`macro@aggregate`] folds records into windows
//! - [`macro@Fields`] makes a struct readable and writable; [`Row`] and [`Values`] are for fields whose number is a setting
//! - [`Reject`] sends one record to the dead letters, in the plugin's words
//! - [`log`] writes lines that the runtime shows
//! - [`test`] runs the plugin natively, in `cargo test`
//!
//! A plugin is a crate of `crate-type = ["cdylib", "rlib"]` with one of the three attributes in it, once. Built with
//! `cargo build --release --target wasm32-unknown-unknown` it is a component; natively it is a library with tests.

#![deny(unsafe_code)]

extern crate self as tidegate_sdk;

mod reject;
mod timestamp;
mod json;
mod field;
mod field_type;
mod fields;
mod row;
mod cells;
mod filter;
mod enrich;
mod aggregate;
mod configured;
#[doc(hidden)]
#[cfg(target_family = "wasm")]
pub mod component;
pub mod log;
#[cfg(not(target_family = "wasm"))]
pub mod test;

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod glue;

pub use aggregate::{Aggregate, OldState, Window};
pub use field::{Field, Kind};
pub use field_type::Present;
pub use json::Json;
pub use reject::Reject;
pub use row::{Row, Value, Values};
pub use timestamp::Timestamp;

pub use tidegate_sdk_macros::{Fields, aggregate, enrich, filter};

/// The samples of the pages for authors, compiled.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/first-plugin.md")]
    struct FirstPlugin;
    #[doc = include_str!("../../../docs/plugins.md")]
    struct Plugins;
    #[doc = include_str!("../../../docs/settings.md")]
    struct Settings;
    #[doc = include_str!("../../../docs/testing.md")]
    struct Testing;
    #[doc = include_str!("../../../docs/state.md")]
    struct State;
}
