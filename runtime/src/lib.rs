//! Tidegate: Kafka to Elasticsearch through WebAssembly components, in one program.
//!
//! The rooms, in the order that data flows; an arrow only ever points up this list (see ARCHITECTURE.md):
//!
//! - [`record`]: the nouns that all rooms share
//! - [`config`]: text to settings, validated once
//! - [`source`]: records in order, positions, assignment; the only room that knows Kafka
//! - [`decode`]: bytes to the columns that somebody reads; the only room that knows JSON
//! - [`plugin`]: components: load, call; the only room that knows wasmtime
//! - [`window`]: event time: watermark, windows, keyed state
//! - [`sink`]: documents out, one verdict each; dead letters; the only room that knows HTTP to the index
//! - [`checkpoint`]: what outlives a lane, as an object in a store; the only room that knows `object_store`
//! - [`lane`]: one partition's state machine, the whole path for it
//! - [`pipeline`]: lanes on threads, and the shell that performs their effects
//! - [`console`]: metrics and health over HTTP
//! - [`cli`]: commands, exit codes, printing

pub mod record;
pub mod config;
pub mod source;
pub mod decode;
pub mod plugin;
pub mod window;
pub mod sink;
pub mod checkpoint;
pub mod lane;
pub mod pipeline;
pub mod console;
pub mod cli;
