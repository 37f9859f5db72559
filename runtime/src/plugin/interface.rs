//! What a component exports and imports, judged by name before anything of it runs. Nothing is guessed: its kind is the
//! interface that it exports.

use std::fmt;

use serde::Serialize;

/// The package that this runtime speaks. Within 0.1 types and exported functions are frozen.
const PACKAGE: &str = "tidegate:plugin";
const VERSION: &str = "0.1.0";

/// What a component does, by the one interface of these that it exports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginKind {
    Filter,
    Enrich,
    Aggregate,
}

impl PluginKind {
    const ALL: [PluginKind; 3] = [PluginKind::Filter, PluginKind::Enrich, PluginKind::Aggregate];

    /// The name of the interface.
    pub fn name(self) -> &'static str {
        match self {
            PluginKind::Filter => "filter",
            PluginKind::Enrich => "enrich",
            PluginKind::Aggregate => "aggregate",
        }
    }
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that a component wants of its host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Import {
    pub name: String,
    /// Answered by a WASI that gives nothing.
    pub wasi: bool,
}

/// Who serves an import.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Served {
    /// `log`.
    Log,
    /// `data`: types only, nothing to serve.
    Types,
    /// `wasi:…`: answered, and given nothing.
    Wasi,
}

/// `namespace:package/interface@version`, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Name<'a> {
    package: &'a str,
    interface: &'a str,
    version: &'a str,
}

fn parse(name: &str) -> Option<Name<'_>> {
    let (package, rest) = name.split_once('/')?;
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    Some(Name { package, interface, version })
}

/// Semver: below 1.0 the minor number decides.
fn compatible(version: &str) -> bool {
    version.strip_prefix("0.1.").is_some_and(|patch| patch.parse::<u32>().is_ok())
}

/// The kind of a component with these exports.
pub(super) fn kind<'a>(exports: impl Iterator<Item = &'a str> + Clone) -> Result<PluginKind, String> {
    let ours = exports.clone().filter_map(parse).filter(|name| name.package == PACKAGE);
    if let Some(other) = ours.clone().find(|name| !compatible(name.version)) {
        return Err(format!(
            "it is built for {PACKAGE}@{}, and this runtime takes {PACKAGE}@{VERSION}; build it against that version, \
             or use a runtime that knows its own",
            if other.version.is_empty() { "(no version)" } else { other.version }
        ));
    }
    let has = |interface: &str| ours.clone().any(|name| name.interface == interface);
    let kinds: Vec<PluginKind> = PluginKind::ALL.into_iter().filter(|kind| has(kind.name())).collect();
    match kinds.as_slice() {
        [kind] if has("plugin") => Ok(*kind),
        [kind] => Err(format!(
            "it exports {PACKAGE}/{kind} but not {PACKAGE}/plugin, where its name and fields come from; build it \
             against the world `{kind}-plugin`"
        )),
        [] => Err(format!(
            "it exports none of {PACKAGE}/filter, enrich and aggregate (its exports: {}); build it against one of the \
             worlds `filter-plugin`, `enrich-plugin` and `aggregate-plugin`",
            list(exports)
        )),
        several => Err(format!(
            "it exports {} at once, so it is not clear what it is for; make a component of each",
            list(several.iter().map(|kind| kind.name()))
        )),
    }
}

/// Who serves the interface `name`, of which the component uses these functions.
pub(super) fn served<'a>(name: &str, functions: impl Iterator<Item = &'a str> + Clone) -> Result<Served, String> {
    let Some(parsed) = parse(name) else {
        return Err(format!("it imports `{name}`, which this runtime does not have; {HINT}"));
    };
    if parsed.package.starts_with("wasi:") {
        return Ok(Served::Wasi);
    }
    if parsed.package != PACKAGE {
        return Err(format!("it imports `{name}`, which this runtime does not have; {HINT}"));
    }
    let known: Option<(Served, &[&str])> = match parsed.interface {
        "log" => Some((Served::Log, &["write"])),
        "data" => Some((Served::Types, &[])),
        _ => None,
    };
    let unknown = functions.clone().find(|function| known.is_none_or(|(_, known)| !known.contains(function)));
    match known {
        Some((served, _)) if compatible(parsed.version) && unknown.is_none() => Ok(served),
        _ => {
            let what = unknown.map(|function| format!(" (`{function}`)")).unwrap_or_default();
            Err(format!(
                "it imports `{name}`{what}, and this runtime has {PACKAGE}@{VERSION}, which knows nothing of it; build \
                 it against that version, or use a newer runtime"
            ))
        }
    }
}

const HINT: &str = "a component may import tidegate:plugin/log, and wasi:… which is answered but gives nothing";

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check_kind(exports: &[&str], expected: Expect) {
        match kind(exports.iter().copied()) {
            Ok(kind) => expected.assert_eq(kind.name()),
            Err(error) => expected.assert_eq(&error),
        }
    }

    #[test]
    fn the_kind_is_the_interface_that_is_exported() {
        check_kind(&["tidegate:plugin/plugin@0.1.0", "tidegate:plugin/enrich@0.1.0", "init"], expect!["enrich"]);
        check_kind(&["tidegate:plugin/plugin@0.1.7", "tidegate:plugin/filter@0.1.7"], expect!["filter"]);
    }

    #[test]
    fn two_kinds_none_and_a_half_are_refused_by_name() {
        check_kind(
            &["tidegate:plugin/plugin@0.1.0", "tidegate:plugin/enrich@0.1.0", "tidegate:plugin/filter@0.1.0"],
            expect![
                "it exports `filter`, `enrich` at once, so it is not clear what it is for; make a component of each"
            ],
        );
        check_kind(
            &["wasi:cli/run@0.2.0"],
            expect![
                "it exports none of tidegate:plugin/filter, enrich and aggregate (its exports: `wasi:cli/run@0.2.0`); build it against one of the worlds `filter-plugin`, `enrich-plugin` and `aggregate-plugin`"
            ],
        );
        check_kind(
            &[],
            expect![
                "it exports none of tidegate:plugin/filter, enrich and aggregate (its exports: none); build it against one of the worlds `filter-plugin`, `enrich-plugin` and `aggregate-plugin`"
            ],
        );
        check_kind(
            &["tidegate:plugin/filter@0.1.0"],
            expect![
                "it exports tidegate:plugin/filter but not tidegate:plugin/plugin, where its name and fields come from; build it against the world `filter-plugin`"
            ],
        );
    }

    #[test]
    fn another_version_of_the_package_is_named_with_ours() {
        check_kind(
            &["tidegate:plugin/plugin@0.2.0", "tidegate:plugin/filter@0.2.0"],
            expect![
                "it is built for tidegate:plugin@0.2.0, and this runtime takes tidegate:plugin@0.1.0; build it against that version, or use a runtime that knows its own"
            ],
        );
        check_kind(
            &["tidegate:plugin/plugin@0.0.3", "tidegate:plugin/filter@0.0.3"],
            expect![
                "it is built for tidegate:plugin@0.0.3, and this runtime takes tidegate:plugin@0.1.0; build it against that version, or use a runtime that knows its own"
            ],
        );
    }

    fn check_import(name: &str, functions: &[&str], expected: Expect) {
        match served(name, functions.iter().copied()) {
            Ok(served) => expected.assert_eq(&format!("{served:?}")),
            Err(error) => expected.assert_eq(&error),
        }
    }

    #[test]
    fn imports_are_served_or_refused_by_name() {
        check_import("tidegate:plugin/log@0.1.0", &["write"], expect!["Log"]);
        check_import("tidegate:plugin/log@0.1.9", &["write"], expect!["Log"]);
        check_import("tidegate:plugin/data@0.1.0", &[], expect!["Types"]);
        check_import("wasi:clocks/wall-clock@0.2.6", &["now"], expect!["Wasi"]);
        check_import(
            "tidegate:plugin/log@0.1.9",
            &["write", "flush"],
            expect![
                "it imports `tidegate:plugin/log@0.1.9` (`flush`), and this runtime has tidegate:plugin@0.1.0, which knows nothing of it; build it against that version, or use a newer runtime"
            ],
        );
        check_import(
            "tidegate:plugin/lookup@0.1.2",
            &["get"],
            expect![
                "it imports `tidegate:plugin/lookup@0.1.2` (`get`), and this runtime has tidegate:plugin@0.1.0, which knows nothing of it; build it against that version, or use a newer runtime"
            ],
        );
        check_import(
            "tidegate:plugin/log@0.2.0",
            &["write"],
            expect![
                "it imports `tidegate:plugin/log@0.2.0`, and this runtime has tidegate:plugin@0.1.0, which knows nothing of it; build it against that version, or use a newer runtime"
            ],
        );
        check_import(
            "acme:db/query@1.0.0",
            &["run"],
            expect![
                "it imports `acme:db/query@1.0.0`, which this runtime does not have; a component may import tidegate:plugin/log, and wasi:… which is answered but gives nothing"
            ],
        );
        check_import(
            "env",
            &[],
            expect![
                "it imports `env`, which this runtime does not have; a component may import tidegate:plugin/log, and wasi:… which is answered but gives nothing"
            ],
        );
    }
}
