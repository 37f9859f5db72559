//! The files of a new crate. In them `{{name}}` is its name, `{{a-kind}}` what it is, `{{sdk}}` where the SDK comes from.

use std::fs;
use std::io;
use std::path::Path;

use crate::plugin::PluginKind;

/// A file's path in the crate, and what it begins as.
type File = (&'static str, &'static str);

const COMMON: [File; 6] = [
    ("Cargo.toml", include_str!("templates/manifest.toml")),
    (".cargo/config.toml", include_str!("templates/cargo-config.toml")),
    ("rust-toolchain.toml", include_str!("templates/toolchain.toml")),
    (".gitignore", include_str!("templates/gitignore")),
    ("README.md", include_str!("templates/README.md")),
    ("scenarios/first/input.ndjson", include_str!("templates/input.ndjson")),
];

const FILTER: [File; 3] = [
    ("src/lib.rs", include_str!("templates/filter/lib.rs")),
    ("scenarios/first/pipeline.toml", include_str!("templates/filter/pipeline.toml")),
    ("scenarios/first/expected.ndjson", include_str!("templates/filter/expected.ndjson")),
];

const ENRICH: [File; 3] = [
    ("src/lib.rs", include_str!("templates/enrich/lib.rs")),
    ("scenarios/first/pipeline.toml", include_str!("templates/enrich/pipeline.toml")),
    ("scenarios/first/expected.ndjson", include_str!("templates/enrich/expected.ndjson")),
];

const AGGREGATE: [File; 3] = [
    ("src/lib.rs", include_str!("templates/aggregate/lib.rs")),
    ("scenarios/first/pipeline.toml", include_str!("templates/aggregate/pipeline.toml")),
    ("scenarios/first/expected.ndjson", include_str!("templates/aggregate/expected.ndjson")),
];

/// Writes them into a folder that is not there yet.
pub(super) fn write(folder: &Path, name: &str, kind: PluginKind, sdk: Option<&Path>) -> io::Result<()> {
    let files = match kind {
        PluginKind::Filter => FILTER,
        PluginKind::Enrich => ENRICH,
        PluginKind::Aggregate => AGGREGATE,
    };
    // A text in JSON is one in TOML as well.
    let sdk = match sdk {
        Some(path) => format!("{{ path = {} }}", serde_json::Value::from(path.to_string_lossy())),
        None => "\"0.1\"".to_owned(),
    };
    for (path, text) in COMMON.iter().chain(&files) {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        let text = text.replace("{{name}}", name).replace("{{a-kind}}", super::called(kind)).replace("{{sdk}}", &sdk);
        fs::write(file, text)?;
    }
    Ok(())
}
