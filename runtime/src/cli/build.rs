//! `tidegate build`: plugin crates in Rust to components in the plugin directory, with a word on what newcomers trip over.

use std::path::{Path, PathBuf};

use clap::Args;
use thiserror::Error;

use crate::plugin::{self, Component, Engine};
use crate::record::{ErrorKind, HasKind};

mod cargo;
mod graph;
mod trips;

use cargo::Artefact;
pub(super) use cargo::{Crate, Profile};

#[derive(Args)]
pub struct BuildArgs {
    /// Folders of plugin crates, or of workspaces of such.
    #[arg(value_name = "DIR", default_value = ".")]
    folders: Vec<PathBuf>,
    /// The plugin directory: `PACKAGE.wasm` is put there, at once and whole, where it has changed.
    #[arg(short, long, value_name = "PLUGINS", default_value = "plugins")]
    out: PathBuf,
}

/// Why there is no component.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error("there is no Cargo.toml in the folder; folder=`{}`", .0.display())]
    NoManifest(PathBuf),
    #[error(
        "there is no plugin in the folder: a plugin's Cargo.toml has `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]`; \
         folder=`{}`", .0.display()
    )]
    NoPlugin(PathBuf),
    #[error("cannot run {program}: {error}; Rust comes with rustup, see https://rustup.rs")]
    NoCargo { program: &'static str, error: std::io::Error },
    #[error(
        "the Rust target {target} is not installed for the toolchain of this folder: run `rustup target add {target}` \
         there; folder=`{}`", folder.display(), target = cargo::TARGET
    )]
    NoTarget { folder: PathBuf },
    #[error("cargo cannot read the crate: {0}")]
    Metadata(String),
    #[error("cargo could not build it{}", listed(.0))]
    Failed(Vec<String>),
    #[error("`{name}` is built, but no component: {why}{}", listed(.hints))]
    NoComponent { name: String, why: String, hints: Vec<String> },
    #[error("cannot write the component: {error}; file=`{}`", file.display())]
    Write { file: PathBuf, error: std::io::Error },
}

impl HasKind for BuildError {
    fn kind(&self) -> ErrorKind {
        match self {
            BuildError::NoManifest(_)
            | BuildError::NoPlugin(_)
            | BuildError::NoCargo { .. }
            | BuildError::NoTarget { .. }
            | BuildError::Write { .. } => ErrorKind::Config,
            BuildError::Metadata(_) | BuildError::Failed(_) | BuildError::NoComponent { .. } => ErrorKind::Plugin,
        }
    }
}

fn listed(hints: &[String]) -> String {
    hints.iter().map(|hint| format!("\n  hint: {hint}")).collect()
}

pub fn run(args: &BuildArgs) -> anyhow::Result<()> {
    let engine = super::engine()?;
    for folder in &args.folders {
        ready(folder)?;
        let crates = Crate::find(folder)?;
        build(&engine, folder, &crates, Profile::Release, &args.out, |line| eprintln!("{line}"), super::print)?;
    }
    Ok(())
}

/// Looks for a crate in the folder, and for what it takes to build it.
pub(super) fn ready(folder: &Path) -> Result<(), BuildError> {
    cargo::manifest_is_there(folder)?;
    cargo::target_is_there(folder)
}

/// Builds the crates and puts their components into `out`; `say` is given cargo's messages, `built` a line for each component.
pub(super) fn build(
    engine: &Engine,
    folder: &Path,
    crates: &[Crate],
    profile: Profile,
    out: &Path,
    say: impl FnMut(&str) + Send,
    mut built: impl FnMut(&str),
) -> anyhow::Result<()> {
    let artefacts = cargo::build(folder, crates, profile, say).map_err(|failure| explain(folder, crates, failure))?;
    for artefact in artefacts {
        built(&publish(engine, &artefact, folder, out)?);
    }
    Ok(())
}

fn explain(folder: &Path, crates: &[Crate], failure: cargo::Failure) -> BuildError {
    match failure {
        cargo::Failure::NoCargo(error) => BuildError::NoCargo { program: "cargo", error },
        cargo::Failure::Said(stderr) => {
            let roots: Vec<&str> = crates.iter().map(|found| found.id.as_str()).collect();
            BuildError::Failed(trips::of_compiling(&stderr, |name| graph::chain(folder, &roots, name)))
        }
    }
}

/// Makes a component of it, looks whether the runtime takes it, and puts it in its place; gives a line to print.
fn publish(engine: &Engine, artefact: &Artefact, folder: &Path, out: &Path) -> anyhow::Result<String> {
    let name = &artefact.krate.name;
    let module = read(&artefact.file)?;
    let bytes = match plugin::encode(&module) {
        Ok(Some(component)) => component,
        Ok(None) => module,
        Err(why) => {
            let hints = trips::of_imports(&why, || graph::for_browsers(folder, &artefact.krate.id));
            return Err(BuildError::NoComponent { name: name.clone(), why, hints }.into());
        }
    };
    let component = Component::from_bytes(engine, name, &bytes)?;
    let file = out.join(format!("{name}.wasm"));
    let changed = std::fs::read(&file).is_ok_and(|old| old == bytes);
    if !changed {
        replace(&file, &bytes).map_err(|error| BuildError::Write { file: file.clone(), error })?;
    }
    let mut line = format!("{}: {}, {} bytes", file.display(), component.kind(), bytes.len());
    line += if changed { ", unchanged\n" } else { "\n" };
    for hint in trips::of_component(&bytes) {
        line += &format!("  warning: {hint}\n");
    }
    Ok(line)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    use anyhow::Context;
    std::fs::read(file).with_context(|| format!("cannot read what cargo built; file=`{}`", file.display()))
}

/// A runtime that watches the directory never sees half a file.
fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = folder.join(format!(".{name}.{}", std::process::id()));
    std::fs::write(&new, bytes)?;
    std::fs::rename(&new, file).inspect_err(|_| {
        let _ = std::fs::remove_file(&new);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = std::env::temp_dir().join(format!("tidegate-build-{}", std::process::id()));
        let file = folder.join("plugins/count.wasm");
        replace(&file, b"first").expect("written");
        replace(&file, b"second").expect("replaced");
        assert_eq!(std::fs::read(&file).expect("there"), b"second");
        let names: Vec<_> = std::fs::read_dir(folder.join("plugins")).expect("a folder").collect();
        assert_eq!(names.len(), 1);
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn hints_follow_the_error_line_by_line() {
        let error = BuildError::Failed(vec!["one".into(), "two".into()]);
        assert_eq!(error.to_string(), "cargo could not build it\n  hint: one\n  hint: two");
    }
}
