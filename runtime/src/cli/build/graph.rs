//! Which crate brings in which: the chain from a plugin to a crate that does not work in a component.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use serde::Deserialize;

use super::cargo::{TARGET, metadata};

/// Crates that only make sense in a browser, or with Node.js.
const FOR_BROWSERS: [&str; 3] = ["wasm-bindgen", "js-sys", "web-sys"];

/// The packages of a build for the target, and who depends on whom.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// `dev`, `build`, or null for a plain one.
    kind: Option<String>,
}

/// `plugin → rand → getrandom`, from the first of `roots` that comes to the crate of that name.
pub fn chain(folder: &Path, roots: &[&str], name: &str) -> Option<String> {
    let graph = read(folder)?;
    roots.iter().find_map(|root| graph.chain(root, name)).map(|names| names.join(" → "))
}

/// The crates that a plugin depends on and that were built for a browser: chrono, say.
pub fn for_browsers(folder: &Path, root: &str) -> Vec<String> {
    let Some(graph) = read(folder) else { return Vec::new() };
    let mut found: Vec<String> =
        FOR_BROWSERS.iter().filter_map(|name| graph.chain(root, name)).filter_map(guilty).collect();
    found.dedup();
    found
}

/// The last of a chain that has a use outside a browser.
fn guilty(chain: Vec<String>) -> Option<String> {
    chain.into_iter().rev().find(|name| !FOR_BROWSERS.contains(&name.as_str()) && !name.starts_with("wasm-bindgen"))
}

fn read(folder: &Path) -> Option<Metadata> {
    let metadata = metadata(folder, &["--filter-platform", TARGET]).ok()?;
    serde_json::from_str(&metadata).ok()
}

impl Metadata {
    /// The shortest chain of names, over plain dependencies.
    fn chain(&self, root: &str, name: &str) -> Option<Vec<String>> {
        let names: HashMap<&str, &str> = self.packages.iter().map(|package| (&*package.id, &*package.name)).collect();
        let nodes: HashMap<&str, &Node> = self.resolve.nodes.iter().map(|node| (&*node.id, node)).collect();
        let mut reached_from: HashMap<&str, &str> = HashMap::from([(root, root)]);
        let mut next = VecDeque::from([root]);
        while let Some(id) = next.pop_front() {
            if names.get(id) == Some(&name) {
                return Some(way_to(id, &reached_from, &names));
            }
            let plain = |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            for dependency in nodes.get(id).into_iter().flat_map(|node| &node.deps).filter(plain) {
                reached_from.entry(&dependency.pkg).or_insert_with(|| {
                    next.push_back(&dependency.pkg);
                    id
                });
            }
        }
        None
    }
}

fn way_to(end: &str, reached_from: &HashMap<&str, &str>, names: &HashMap<&str, &str>) -> Vec<String> {
    let mut ids = vec![end];
    while let Some(&before) = ids.last().and_then(|id| reached_from.get(id)) {
        if ids.contains(&before) {
            break;
        }
        ids.push(before);
    }
    ids.iter().rev().map(|id| names.get(id).copied().unwrap_or(id).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a package depends on: name, and for which target.
    type Edges<'a> = &'a [(&'a str, Option<&'a str>)];

    fn graph(edges: &[(&str, Edges<'_>)]) -> Metadata {
        let package = |name: &str| serde_json::json!({"id": format!("{name}#1"), "name": name});
        let dependency = |(name, kind): &(&str, Option<&str>)| serde_json::json!({"pkg": format!("{name}#1"), "dep_kinds": [{"kind": kind}]});
        let node = |(name, deps): &(&str, &[(&str, Option<&str>)])| serde_json::json!({"id": format!("{name}#1"), "deps": deps.iter().map(dependency).collect::<Vec<_>>()});
        let metadata = serde_json::json!({
            "packages": edges.iter().map(|(name, _)| package(name)).collect::<Vec<_>>(),
            "resolve": {"nodes": edges.iter().map(node).collect::<Vec<_>>()},
        });
        serde_json::from_value(metadata).expect("metadata")
    }

    #[test]
    fn the_shortest_chain_of_plain_dependencies_is_named() {
        let graph = graph(&[
            ("first", &[("rand", None), ("tool", Some("build"))]),
            ("tool", &[("getrandom", None)]),
            ("rand", &[("rand_core", None)]),
            ("rand_core", &[("getrandom", None), ("rand", None)]),
            ("getrandom", &[]),
        ]);
        assert_eq!(
            graph.chain("first#1", "getrandom"),
            Some(["first", "rand", "rand_core", "getrandom"].map(String::from).to_vec())
        );
        assert_eq!(graph.chain("first#1", "tool"), None);
    }

    #[test]
    fn the_crate_that_asked_for_a_browser_is_named() {
        let chain = |names: &[&str]| guilty(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(chain(&["first", "chrono", "js-sys", "wasm-bindgen"]).as_deref(), Some("chrono"));
    }
}
