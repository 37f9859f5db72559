//! `docs/configuration.md` is made of the doc comments in `config.rs`, and has every key that the loader reads.

use std::fmt::Write;

use super::*;

const SOURCE: &str = concat!(
    include_str!("../../config.rs"),
    include_str!("../output.rs"),
    include_str!("../checkpoint.rs"),
    include_str!("../audit.rs"),
    include_str!("../plugin.rs")
);

/// What the comments cannot say: how values are written, and the keys that only say what happens anyway.
const HEAD: &str = "\
# The pipeline file

<!-- Made of the doc comments in runtime/src/config.rs by the test `the_reference_is_up_to_date`; `BLESS=1` writes it. -->

A pipeline is one TOML file. Unknown keys are errors, and all errors are reported at once, each with its line and what to do.
`tidegate check FILE` reads it, loads the components that it names, looks at its files of certificates, secrets and index templates,
and shows who reads and writes which field.

**Durations** are strings with units: `\"250ms\"`, `\"30s\"`, `\"10m\"`, `\"1h30m\"`, `\"1d\"`. **Sizes** too: `\"512MiB\"`, `\"8MB\"`,
`\"100kB\"`. **A field's path** has dots between its names: `user.id`; `\\\\.` is a dot itself, `\\\\$` a dollar sign at the beginning.
Paths that begin with `$` are the record's own: `$key`, `$value`, `$timestamp`, `$event_time`, `$received`, `$topic`,
`$partition`, `$offset`, `$header.NAME`.

**The wall clock.** A field that is made of `$received` may go into a document, and not into a filter, a group, an id, an index
name or the event time: a replay would decide otherwise. `tidegate check` follows who reads and who writes, and is careful: all
that a plugin writes counts as made of what it reads. Where that is too much, name the plugin twice, with settings that keep
the two apart. With `--sample FILE` or `--online` it says how often each field is there, and of the kind that is asked for.

**Values from outside.** In any string, `${NAME}` is a variable of the environment, `${file:/run/secrets/x}` the text of a file
without its last line break; `$${` stands for `${`. One that is not set is an error. What is wrong with
such a value is said without it, and ways in (`auth`, `librdkafka`, `${…}` in the settings of a plugin) are in no message, log, metric or
file. Names, addresses and paths that come from outside are shown as all others are.

A key that later versions bring is refused with what to do instead; they are named below.
";

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/configuration.md is not what runtime/src/config.rs says: BLESS=1 writes it");
}

#[test]
fn every_key_has_its_place_in_the_reference() {
    let (_, places) = PipelineSettings::parse(design::FILE, Path::new("p.toml"), &environment, None).unwrap();
    let page = page();
    for path in places.paths().filter(|path| !path.ends_with(']')) {
        let key = path.rsplit('.').next().unwrap_or(path);
        let table = path.split('[').next().unwrap_or(path);
        let known =
            [format!("| `{key}` |"), format!("[{path}]"), format!("[[{table}]]"), format!("{key} = "), table.into()];
        assert!(known.iter().any(|form| page.contains(form)), "`{path}` is in no table of docs/configuration.md");
    }
}

fn page() -> String {
    let mut page = HEAD.replace("\\\\", "\\");
    let mut comment: Vec<&str> = Vec::new();
    let mut rows = String::new();
    for line in SOURCE.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text.trim());
        } else if line.starts_with("pub struct ") {
            section(&mut page, &std::mem::take(&mut comment));
        } else if let Some(field) = line.strip_prefix("pub ").and_then(|line| line.split_once(": ")) {
            row(&mut rows, field.0, &std::mem::take(&mut comment));
        } else if line == "}" && !rows.is_empty() {
            let _ =
                write!(page, "\n| key | value | default | meaning |\n|---|---|---|---|\n{}", std::mem::take(&mut rows));
        } else if !line.starts_with("#[") {
            comment.clear();
        }
    }
    page
}

/// A struct whose comment begins with a table's name, or with the pipeline's.
fn section(page: &mut String, comment: &[&str]) {
    let text = comment.join("\n");
    match (text.split_once(": "), text.split_once("\n\n")) {
        (Some((title, about)), _) if title.starts_with('`') => {
            let mut about = about.to_owned();
            about[..1].make_ascii_uppercase();
            let _ = write!(page, "\n## {title}\n\n{about}\n");
        }
        (_, Some((first, about))) if first.starts_with("One pipeline file") => {
            let _ = write!(page, "\n## The file\n\n{about}\n");
        }
        _ => {}
    }
}

/// A field whose comment ends with what its value is; others are no keys.
fn row(rows: &mut String, field: &str, comment: &[&str]) {
    let Some(value) = comment.iter().position(|line| line.starts_with("Value: ")) else { return };
    let (about, value) = comment.split_at(value);
    let value = value.join(" ");
    let value = value.trim_start_matches("Value: ").trim_end_matches('.');
    let (value, default) = match (value.split_once(". Default: "), value.split_once(". Required")) {
        (Some((value, default)), _) => (value, default.to_owned()),
        (None, Some((value, when))) => (value, format!("required{when}")),
        (None, None) => panic!("`{field}` has no default and is not required"),
    };
    let key = about.iter().find_map(|line| line.strip_prefix("Key: ")).map(|key| key.trim_matches(['`', '.']));
    let meaning: Vec<_> = about.iter().copied().filter(|line| !line.starts_with("Key: ")).collect();
    let _ = writeln!(rows, "| `{}` | {value} | {default} | {} |", key.unwrap_or(field), meaning.join(" "));
}
