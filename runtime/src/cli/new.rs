//! `tidegate new`: a plugin's crate that builds anywhere, with a test of its own and a scenario.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use thiserror::Error;

use crate::plugin::PluginKind;
use crate::record::{ErrorKind, HasKind};

mod name;
mod templates;

#[derive(Args, Clone, Debug)]
pub struct NewArgs {
    /// The crate's name; a folder of that name is made here
    name: String,
    /// What the plugin does: keep or drop records, write fields into them, or fold them into windows
    #[arg(long, value_enum)]
    kind: Kind,
    /// The folder of an SDK, such as sdk/rust of a copy of Tidegate; else the SDK comes from the registry, where version 0.1 is not
    /// published yet
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

/// A [`PluginKind`], as the command line has it.
#[derive(Clone, Copy, ValueEnum, Debug)]
enum Kind {
    Filter,
    Enrich,
    Aggregate,
}

/// Why there is no new crate.
#[derive(Debug, Error)]
pub enum NewError {
    #[error("`{name}` cannot be a crate's name: {why}")]
    Name { name: String, why: &'static str },
    #[error("there is something already, and nothing was changed; folder=`{}`", .0.display())]
    Exists(PathBuf),
    #[error("there is no SDK: a Cargo.toml with name = \"tidegate-sdk\" is looked for; folder=`{}`", .0.display())]
    NoSdk(PathBuf),
    #[error("cannot make the crate: {error}; folder=`{}`", folder.display())]
    Write { folder: PathBuf, error: io::Error },
}

impl HasKind for NewError {
    fn kind(&self) -> ErrorKind {
        match self {
            NewError::Name { .. } | NewError::Exists(_) | NewError::NoSdk(_) => ErrorKind::Config,
            NewError::Write { .. } => ErrorKind::Internal,
        }
    }
}

pub fn run(args: &NewArgs) -> anyhow::Result<()> {
    let here = Path::new(".");
    make(here, args)?;
    super::print(&farewell(args));
    Ok(())
}

/// Makes the crate in the folder, or nothing at all.
fn make(parent: &Path, args: &NewArgs) -> Result<(), NewError> {
    let NewArgs { name, kind, sdk } = args;
    name::judge(name).map_err(|why| NewError::Name { name: name.clone(), why })?;
    let folder = parent.join(name);
    if fs::symlink_metadata(&folder).is_ok() && !is_empty(&folder) {
        return Err(NewError::Exists(folder));
    }
    let sdk = sdk.as_deref().map(|path| sdk_there(parent, path)).transpose()?;
    let unfinished = parent.join(format!(".{name}.{}", std::process::id()));
    let written = templates::write(&unfinished, name, kind.kind(), sdk.as_deref())
        .and_then(|()| fs::rename(&unfinished, &folder));
    written.map_err(|error| {
        let _ = fs::remove_dir_all(&unfinished);
        NewError::Write { folder, error }
    })
}

/// The path of an SDK as the new crate says it, which is one folder further down.
fn sdk_there(parent: &Path, sdk: &Path) -> Result<PathBuf, NewError> {
    let manifest = fs::read_to_string(parent.join(sdk).join("Cargo.toml")).unwrap_or_default();
    if !manifest.lines().any(|line| line.replace(' ', "") == "name=\"tidegate-sdk\"") {
        return Err(NewError::NoSdk(sdk.to_owned()));
    }
    Ok(if sdk.is_absolute() { sdk.to_owned() } else { Path::new("..").join(sdk) })
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

fn farewell(args: &NewArgs) -> String {
    let name = &args.name;
    let mut text = format!(
        "{name}: {}, and what it needs to be tested. What comes next:\n\n  \
         cd {name}\n  cargo test        # the code, natively\n  tidegate build    # plugins/{name}.wasm\n  \
         tidegate test     # the component, on what is in scenarios\n",
        called(args.kind.kind())
    );
    if args.sdk.is_none() {
        text += "\nnote: version 0.1 of the SDK is not published yet, and cargo will not find it. Take a copy of Tidegate, and \
                 write `tidegate-sdk = { path = \"…/sdk/rust\" }` in Cargo.toml, as --sdk does.\n";
    }
    text
}

/// What a plugin of a kind is called.
fn called(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Filter => "a filter",
        PluginKind::Enrich => "an enricher",
        PluginKind::Aggregate => "an aggregate",
    }
}

impl Kind {
    fn kind(self) -> PluginKind {
        match self {
            Kind::Filter => PluginKind::Filter,
            Kind::Enrich => PluginKind::Enrich,
            Kind::Aggregate => PluginKind::Aggregate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for each test.
    fn parent(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tidegate-new-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("sdk")).expect("a folder");
        fs::write(folder.join("sdk/Cargo.toml"), "[package]\nname = \"tidegate-sdk\"\n").expect("written");
        folder
    }

    fn args(name: &str, sdk: Option<&str>) -> NewArgs {
        NewArgs { name: name.to_owned(), kind: Kind::Filter, sdk: sdk.map(PathBuf::from) }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_empty_folder_is_filled_and_another_is_left_alone() {
        let parent = parent("folders");
        fs::create_dir(parent.join("empty")).expect("a folder");
        fs::create_dir(parent.join("full")).expect("a folder");
        fs::write(parent.join("full/notes"), "mine").expect("written");
        make(&parent, &args("empty", Some("sdk"))).expect("made");
        assert!(matches!(make(&parent, &args("full", Some("sdk"))), Err(NewError::Exists(_))));
        assert_eq!(names(&parent.join("full")), ["notes"]);
        let made = [".cargo", ".gitignore", "Cargo.toml", "README.md", "rust-toolchain.toml", "scenarios", "src"];
        assert_eq!(names(&parent.join("empty")), made);
        assert!(matches!(make(&parent, &args("empty", Some("sdk"))), Err(NewError::Exists(_))));
        assert_eq!(names(&parent), ["empty", "full", "sdk"]);
        fs::remove_dir_all(parent).expect("removed");
    }

    #[test]
    fn the_sdk_is_named_as_the_crate_sees_it() {
        let parent = parent("sdk");
        let manifest = |name: &str| fs::read_to_string(parent.join(name).join("Cargo.toml")).expect("made");
        make(&parent, &args("near", Some("sdk"))).expect("made");
        assert!(manifest("near").contains("tidegate-sdk = { path = \"../sdk\" }"), "{}", manifest("near"));
        make(&parent, &args("none", None)).expect("made");
        assert!(manifest("none").contains("tidegate-sdk = \"0.1\""), "{}", manifest("none"));
        assert!(matches!(make(&parent, &args("nowhere", Some("near"))), Err(NewError::NoSdk(_))));
        assert_eq!(names(&parent), ["near", "none", "sdk"]);
        fs::remove_dir_all(parent).expect("removed");
    }
}
