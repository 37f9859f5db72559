//! Cargo as `tidegate build` uses it: which crates are plugins, and what was built of them.

use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::BuildError;

pub const TARGET: &str = "wasm32-unknown-unknown";

/// A plugin crate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crate {
    /// As cargo names it.
    pub id: String,
    pub name: String,
    /// Where its manifest is.
    pub folder: PathBuf,
}

/// A plugin crate and its file, a core module or a component.
pub struct Artefact {
    pub krate: Crate,
    pub file: PathBuf,
}

/// Why cargo gave nothing.
pub enum Failure {
    NoCargo(std::io::Error),
    /// What it said; the user has seen it.
    Said(String),
}

/// Without this rustup would want to install what a rust-toolchain.toml names, and fail without a network, although what is
/// needed is there ([`target_is_there`]).
const NO_INSTALL: (&str, &str) = ("RUSTUP_AUTO_INSTALL", "0");

impl Crate {
    /// The plugin crates in a folder: its own package, or the workspace's.
    pub fn find(folder: &Path) -> Result<Vec<Crate>, BuildError> {
        let metadata = metadata(folder, &["--no-deps"])?;
        let within = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let crates = plugins(&metadata, &within)?;
        if crates.is_empty() { Err(BuildError::NoPlugin(folder.to_owned())) } else { Ok(crates) }
    }
}

/// `cargo metadata` in the folder.
pub fn metadata(folder: &Path, arguments: &[&str]) -> Result<String, BuildError> {
    let mut command = Command::new("cargo");
    command.current_dir(folder).env(NO_INSTALL.0, NO_INSTALL.1);
    command.args(["metadata", "--format-version", "1"]).args(arguments);
    let output = command.output().map_err(|error| BuildError::NoCargo { program: "cargo", error })?;
    if !output.status.success() {
        return Err(BuildError::Metadata(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The packages in the folder that give a dynamic library.
fn plugins(metadata: &str, folder: &Path) -> Result<Vec<Crate>, BuildError> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        id: String,
        name: String,
        manifest_path: PathBuf,
        targets: Vec<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        crate_types: Vec<String>,
    }
    let metadata: Metadata = serde_json::from_str(metadata).map_err(|error| BuildError::Metadata(error.to_string()))?;
    let is_plugin = |package: &Package| {
        let mut types = package.targets.iter().flat_map(|target| &target.crate_types);
        package.manifest_path.starts_with(folder) && types.any(|kind| kind == "cdylib")
    };
    let found = metadata.packages.into_iter().filter(is_plugin);
    let folder = |manifest: PathBuf| manifest.parent().map(Path::to_owned).unwrap_or_default();
    Ok(found
        .map(|package| Crate { id: package.id, name: package.name, folder: folder(package.manifest_path) })
        .collect())
}

/// Looks for a crate in the folder.
pub fn manifest_is_there(folder: &Path) -> Result<(), BuildError> {
    if folder.join("Cargo.toml").is_file() { Ok(()) } else { Err(BuildError::NoManifest(folder.to_owned())) }
}

/// Looks for the target's library where the folder's toolchain (rust-toolchain.toml) would; rustup may install it.
pub fn target_is_there(folder: &Path) -> Result<(), BuildError> {
    if libraries_are_there(folder, Some(NO_INSTALL))? || libraries_are_there(folder, None)? {
        return Ok(());
    }
    Err(BuildError::NoTarget { folder: folder.to_owned() })
}

fn libraries_are_there(folder: &Path, environment: Option<(&str, &str)>) -> Result<bool, BuildError> {
    let mut command = Command::new("rustc");
    command.current_dir(folder).envs(environment).args(["--print", "target-libdir", "--target", TARGET]);
    // Where rustup installs, it says so on our stderr; a first look is silent.
    command.stderr(if environment.is_some() { Stdio::null() } else { Stdio::inherit() });
    let output = command.output().map_err(|error| BuildError::NoCargo { program: "rustc", error })?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok(std::fs::read_dir(libraries).is_ok_and(|mut entries| entries.next().is_some()))
}

/// What is built: what one runs, or what one looks at for a moment while one writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    Release,
    /// Built soon rather than well: what is compiled again is only the crate that has changed, in pieces that are kept, and not
    /// optimised. What does not change is optimised once.
    Quick,
}

/// What cargo is told of [`Profile::Quick`], which no manifest has. (An exception for the plugins, in place of one for all that they
/// depend on: the latter would hold for macros as well, and make the first build take minutes.)
const QUICK: [&str; 7] = [
    "inherits = \"release\"",
    "opt-level = 2",
    "incremental = true",
    "codegen-units = 16",
    "lto = false",
    "debug = false",
    "strip = \"debuginfo\"",
];
const QUICK_NAME: &str = "tidegate-dev";

/// Builds the crates; `say` is given cargo's messages, line by line, as they come.
pub fn build(
    folder: &Path,
    crates: &[Crate],
    profile: Profile,
    mut say: impl FnMut(&str) + Send,
) -> Result<Vec<Artefact>, Failure> {
    let mut command = Command::new("cargo");
    command.current_dir(folder).env(NO_INSTALL.0, NO_INSTALL.1).args(["build", "--target", TARGET]);
    match profile {
        Profile::Release => drop(command.arg("--release")),
        Profile::Quick => {
            // The environment would have the last word.
            command.args(["--profile", QUICK_NAME]).env("CARGO_INCREMENTAL", "1");
            for setting in QUICK {
                command.args(["--config", &format!("profile.{QUICK_NAME}.{setting}")]);
            }
            for Crate { name, .. } in crates {
                command.args(["--config", &format!("profile.{QUICK_NAME}.package.{name}.opt-level = 0")]);
            }
        }
    }
    command.args(["--message-format", "json-render-diagnostics"]);
    command.args(["--color", if std::io::stderr().is_terminal() { "always" } else { "never" }]);
    for found in crates {
        command.args(["--package", &found.id]);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(Failure::NoCargo)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (artefacts, said) = std::thread::scope(|scope| {
        let said = scope.spawn(|| stderr.map(|stderr| heard(stderr, &mut say)).unwrap_or_default());
        let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines().map_while(Result::ok));
        let artefacts: Vec<Artefact> = lines.filter_map(|line| artefact(&line, crates)).collect();
        (artefacts, said.join().unwrap_or_default())
    });
    let status = child.wait().map_err(Failure::NoCargo)?;
    if status.success() { Ok(artefacts) } else { Err(Failure::Said(said)) }
}

/// Passes lines on, and keeps them.
fn heard(stderr: impl std::io::Read, say: &mut impl FnMut(&str)) -> String {
    let mut said = String::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        say(&line);
        said += &line;
        said.push('\n');
    }
    said
}

/// What a line of cargo's messages says of a plugin's file.
fn artefact(line: &str, crates: &[Crate]) -> Option<Artefact> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        #[serde(default)]
        package_id: String,
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    let message: Message = serde_json::from_str(line).ok()?;
    let krate = crates.iter().find(|found| message.reason == "compiler-artifact" && found.id == message.package_id)?;
    let file = message.filenames.into_iter().find(|file| file.extension().is_some_and(|ending| ending == "wasm"))?;
    Some(Artefact { krate: krate.clone(), file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_packages_in_the_folder_with_a_dynamic_library() {
        let package = |name: &str, folder: &str, kind: &str| {
            serde_json::json!({
                "id": format!("id of {name}"),
                "name": name,
                "manifest_path": format!("{folder}/Cargo.toml"),
                "targets": [{"crate_types": [kind, "rlib"]}, {"crate_types": ["bin"]}],
            })
        };
        let packages = [
            package("count", "/w/plugins/count", "cdylib"),
            package("helpers", "/w/plugins/helpers", "lib"),
            package("elsewhere", "/w/plugins-old/x", "cdylib"),
        ];
        let metadata = serde_json::json!({"packages": packages, "version": 1}).to_string();
        let found = plugins(&metadata, Path::new("/w/plugins")).expect("read");
        assert_eq!(
            found,
            [Crate { id: "id of count".into(), name: "count".into(), folder: "/w/plugins/count".into() }]
        );
    }

    #[test]
    fn the_file_of_a_plugin_is_told_from_other_messages() {
        let crates = [Crate { id: "p".into(), name: "count".into(), folder: PathBuf::new() }];
        let line = |id: &str, file: &str| {
            serde_json::json!({"reason": "compiler-artifact", "package_id": id, "filenames": ["/t/x.rlib", file]})
                .to_string()
        };
        let found = artefact(&line("p", "/t/count.wasm"), &crates).expect("the plugin's");
        assert_eq!(found.file, Path::new("/t/count.wasm"));
        assert!(artefact(&line("q", "/t/other.wasm"), &crates).is_none());
        assert!(artefact(&line("p", "/t/build-script"), &crates).is_none());
        assert!(artefact(r#"{"reason":"build-finished","success":true}"#, &crates).is_none());
        assert!(artefact("no JSON", &crates).is_none());
    }
}
