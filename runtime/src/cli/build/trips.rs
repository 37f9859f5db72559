//! What newcomers trip over on wasm32-unknown-unknown, told from what cargo says and from what it built: a component has no
//! randomness, no clock, no output and no browser.

use memchr::memmem;

/// What to do about errors of the compiler. `chain` says how a crate of that name came in.
pub fn of_compiling(stderr: &str, chain: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let by = |name: &str| chain(name).map(|chain| format!(" (it comes in as {chain})")).unwrap_or_default();
    let mut hints = Vec::new();
    if stderr.contains("target may not be installed") {
        hints.push("run `rustup target add wasm32-unknown-unknown`".to_owned());
    }
    if stderr.contains("could not compile `uuid`") {
        hints.push(format!(
            "uuid{}: a component has no randomness for version 4; version 5 makes an id of the record's own values, the \
             same when it is read again: uuid = {{ version = \"1\", default-features = false, features = [\"v5\"] }}",
            by("uuid")
        ));
    }
    if stderr.contains("could not compile `getrandom`") {
        hints.push(format!(
            "getrandom{}: a component has no randomness. For an id take `$topic`, `$partition` and `$offset`; for a sample \
             a hash of a field; else use the crate that wants it without that feature (default-features = false)",
            by("getrandom")
        ));
    }
    hints
}

/// What to do about imports that no runtime has. `crates`: those that were built for a browser.
pub fn of_imports(why: &str, crates: impl FnOnce() -> Vec<String>) -> Vec<String> {
    if !why.contains("__wbindgen") {
        return Vec::new();
    }
    let crates = crates();
    if crates.is_empty() {
        return vec![
            "a crate was built for a browser: look in `cargo tree --target wasm32-unknown-unknown` for what \
                     brings in wasm-bindgen, and switch that feature of it off"
                .to_owned(),
        ];
    }
    crates.iter().map(|name| for_a_browser(name)).collect()
}

fn for_a_browser(name: &str) -> String {
    match name {
        "chrono" => "chrono's default features ask a browser for the time: chrono = { version = \"0.4\", \
                     default-features = false, features = [\"std\"] }; when a record was received is its field \
                     `$received`"
            .to_owned(),
        "getrandom" | "uuid" => format!(
            "{name} asks a browser for randomness: switch its features `js` and `wasm_js` off; a component has none, for \
             an id take `$topic`, `$partition` and `$offset`"
        ),
        _ => format!("{name} was built for a browser: switch its feature that brings in wasm-bindgen off"),
    }
}

/// Texts of the standard library that are in a component only if it uses what they belong to.
const TELLTALES: [(&[u8], &str); 2] = [
    (
        b"time not implemented on this platform",
        "it asks for the time (`SystemTime::now` or `Instant::now`), and panics when it does: a component has no clock. \
         Take the time from the record: a field, or `$received`",
    ),
    (
        b"failed printing to ",
        "it prints (`println!`, `eprintln!` or `dbg!`), and that goes nowhere in a component: use tidegate_sdk::log",
    ),
];

/// What a component does that has no effect here, or a bad one.
pub fn of_component(bytes: &[u8]) -> Vec<&'static str> {
    TELLTALES.iter().filter(|(text, _)| memmem::find(bytes, text).is_some()).map(|(_, hint)| *hint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn randomness_is_explained_with_who_wants_it() {
        let stderr = "error: the wasm*-unknown-unknown targets are not supported by default\nerror: could not compile \
                      `getrandom` (lib) due to 1 previous error\n";
        let hints = of_compiling(stderr, |name| Some(format!("first → {name}")));
        assert_eq!(hints.len(), 1);
        assert!(hints[0].starts_with("getrandom (it comes in as first → getrandom): a component has no randomness."));
        let hints = of_compiling("error: could not compile `uuid` (lib) due to 1 previous error", |_| None);
        assert!(hints[0].starts_with("uuid: a component has no randomness for version 4"));
    }

    #[test]
    fn a_plain_error_of_the_author_has_no_hint() {
        assert!(
            of_compiling("error[E0308]: mismatched types\nerror: could not compile `first` (lib)", |_| None).is_empty()
        );
        assert!(of_imports("it lacks an export", || vec!["chrono".into()]).is_empty());
    }

    #[test]
    fn a_crate_for_browsers_is_named() {
        let why = "module requires an import interface named `__wbindgen_placeholder__`";
        assert!(of_imports(why, || vec!["chrono".into()])[0].contains("default-features = false"));
        assert!(of_imports(why, Vec::new)[0].contains("cargo tree"));
    }

    #[test]
    fn clocks_and_prints_are_seen_in_the_component() {
        assert!(of_component(b"\0asm...").is_empty());
        assert!(of_component(b"..failed printing to ..")[0].contains("tidegate_sdk::log"));
        assert!(of_component(b"..time not implemented on this platform..")[0].contains("SystemTime::now"));
    }
}
