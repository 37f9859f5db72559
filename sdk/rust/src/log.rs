//! Lines for the runtime's log; in native tests they go to stderr.

use std::fmt;

pub use crate::bindings::log::Level;

pub fn debug(message: impl fmt::Display) {
    write(Level::Debug, &message.to_string());
}

pub fn info(message: impl fmt::Display) {
    write(Level::Info, &message.to_string());
}

pub fn warn(message: impl fmt::Display) {
    write(Level::Warn, &message.to_string());
}

pub fn error(message: impl fmt::Display) {
    write(Level::Error, &message.to_string());
}

#[cfg(target_family = "wasm")]
pub(crate) fn write(level: Level, message: &str) {
    crate::bindings::log::write(level, message);
}

#[cfg(not(target_family = "wasm"))]
pub(crate) fn write(level: Level, message: &str) {
    let level = match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    eprintln!("{level}: {message}");
}
