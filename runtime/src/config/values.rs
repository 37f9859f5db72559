//! Values that more than one section reads: names, durations, sizes, numbers in bounds, paths of fields.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::{Text, Value};
use super::secret::{Credential, Secret};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// No duration of a pipeline is longer.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// A pipeline's name is the stem of topic names, which end at 249 characters.
const NAME_CHARS_MAX: usize = 200;
const TOPIC_CHARS_MAX: usize = 249;

/// The paths of the record itself; `$header.NAME` besides.
const RECORD_PATHS: [&str; 8] =
    ["$key", "$value", "$timestamp", "$event_time", "$received", "$topic", "$partition", "$offset"];

pub(crate) fn string(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if text.is_empty() { text.wrong("an empty string", "") } else { Some(text.into_string()) }
}

pub(crate) fn secret(value: &Value<'_>) -> Option<Secret> {
    string(value).map(Secret::new)
}

/// A secret, or `{ file = "…" }`, which is there already.
pub(crate) fn credential(value: &Value<'_>) -> Option<Credential> {
    let DeValue::Table(_) = value.value else { return secret(value).map(Credential::Fixed) };
    let mut section = value.section();
    let credential = section.required("file", |value| {
        let path = value.text()?;
        let credential = Credential::File(value.reader.folder.join(&*path));
        match credential.read() {
            Ok(_) => Some(credential),
            // It may be the secret itself.
            Err(_) if path.secret => path.wrong("cannot read the secret", "`file` is the name of a file that has it"),
            Err(why) => value.wrong(
                format!("cannot read the secret: {why}"),
                "a path that is not absolute is looked up beside the pipeline file",
            ),
        }
    });
    section.finish();
    credential
}

/// The name of a pipeline, a transform or an output.
pub(crate) fn name(text: Text<'_>) -> Option<String> {
    if plain(&text, NAME_CHARS_MAX) {
        return Some(text.into_string());
    }
    text.wrong("not a name", format!("letters, digits, `.`, `_`, `-`; 1 to {NAME_CHARS_MAX} characters"))
}

/// The key of a table that users name.
pub(crate) fn plain_name(value: &Value<'_>) -> Option<()> {
    if plain(value.key, NAME_CHARS_MAX) {
        return Some(());
    }
    value.wrong(
        format!("not a name: `{}`", value.key.escape_debug()),
        format!("letters, digits, `.`, `_`, `-`; 1 to {NAME_CHARS_MAX} characters"),
    )
}

pub(crate) fn topic(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if plain(&text, TOPIC_CHARS_MAX) {
        return Some(text.into_string());
    }
    let hint = match text.starts_with('^') {
        true => "topics are named one by one, patterns are not supported".into(),
        false => format!("letters, digits, `.`, `_`, `-`; 1 to {TOPIC_CHARS_MAX} characters"),
    };
    text.wrong("not a topic's name", hint)
}

/// A member of a consumer group, by Kafka's rules.
pub(crate) fn instance(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if plain(&text, TOPIC_CHARS_MAX) {
        return Some(text.into_string());
    }
    text.wrong("not an instance's name", format!("letters, digits, `.`, `_`, `-`; 1 to {TOPIC_CHARS_MAX} characters"))
}

fn plain(text: &str, chars_max: usize) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=chars_max).contains(&text.len()) && text.bytes().all(valid) && text != "." && text != ".."
}

/// A field's path, of the value or (`$…`) of the record.
pub(crate) fn field_path(text: Text<'_>) -> Option<String> {
    match path_trouble(&text) {
        None => Some(text.into_string()),
        Some(hint) => text.wrong("not a field's path", hint),
    }
}

pub(crate) fn path_trouble(path: &str) -> Option<String> {
    if path.starts_with('$') {
        let known = RECORD_PATHS.contains(&path) || path.strip_prefix("$header.").is_some_and(|name| !name.is_empty());
        return (!known).then(|| {
            format!("of the record there are {}, $header.NAME; a field whose name begins with `$` is `\\$…`", {
                RECORD_PATHS.join(", ")
            })
        });
    }
    let mut segment_empty = true;
    let mut chars = path.chars();
    while let Some(char) = chars.next() {
        match char {
            '.' if segment_empty => {
                return Some("there is an empty name between the dots; `\\.` is a dot itself".into());
            }
            '.' => segment_empty = true,
            '\\' if !matches!(chars.next(), Some('.' | '$' | '\\')) => {
                return Some("`\\` stands before `.`, `$` or `\\` only".into());
            }
            _ => segment_empty = false,
        }
    }
    segment_empty.then(|| "names with dots between them, such as `user.id`; `\\.` is a dot itself".into())
}

/// `250ms`, `30s`, `10m`, `1h30m`, `1d`, within the bounds.
pub(crate) fn duration(bounds: RangeInclusive<Duration>) -> impl Fn(&Value<'_>) -> Option<Duration> {
    const HINT: &str = "a string with a number and a unit, such as \"250ms\", \"30s\", \"10m\", \"1h30m\", \"1d\"";
    move |value| {
        if value.value.is_integer() || value.value.is_float() {
            return value.wrong(format!("`{}` has no unit", value.key), HINT);
        }
        let text = value.text()?;
        match parse_duration(&text) {
            None => text.wrong("not a duration", HINT),
            Some(duration) if bounds.contains(&duration) => Some(duration),
            Some(_) => text.wrong(
                "out of bounds",
                format!("from {} to {}", show_duration(*bounds.start()), show_duration(*bounds.end())),
            ),
        }
    }
}

/// `250ms`, `10m`, `1h30m`; none where it is no duration.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    let mut unit_above = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let millis = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?.1;
        if millis >= unit_above {
            return None;
        }
        unit_above = millis;
        total = total.checked_add(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(millis)?))?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 24 * 60 * 60 * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1)];

/// As it would be written in the file.
pub fn show_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (unit, size) in DURATION_UNITS {
        if millis >= size {
            out.push_str(&format!("{}{unit}", millis / size));
            millis %= size;
        }
    }
    if out.is_empty() { "0s".into() } else { out }
}

/// `512MiB`, `8MB`, `100kB`, `4096B`, within the bounds.
pub(crate) fn size(bounds: RangeInclusive<usize>) -> impl Fn(&Value<'_>) -> Option<usize> {
    const HINT: &str = "a string with a number and a unit, such as \"512MiB\", \"8MB\", \"100kB\"";
    move |value| {
        if value.value.is_integer() || value.value.is_float() {
            return value.wrong(format!("`{}` has no unit", value.key), HINT);
        }
        let text = value.text()?;
        match parse_size(&text) {
            None => text.wrong("not a size", HINT),
            Some(bytes) if bounds.contains(&bytes) => Some(bytes),
            Some(_) => text
                .wrong("out of bounds", format!("from {} to {}", show_size(*bounds.start()), show_size(*bounds.end()))),
        }
    }
}

const SIZE_UNITS: [(&str, usize); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

fn parse_size(text: &str) -> Option<usize> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let bytes = SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    number.parse::<usize>().ok()?.checked_mul(bytes)
}

/// As it would be written in the file.
pub fn show_size(bytes: usize) -> String {
    let unit = SIZE_UNITS.iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    unit.map_or_else(|| format!("{bytes}B"), |(name, size)| format!("{}{name}", bytes / size))
}

/// An integer within the bounds.
pub(crate) fn number(bounds: RangeInclusive<usize>) -> impl Fn(&Value<'_>) -> Option<usize> {
    move |value| {
        let number = value.integer()?;
        let within = usize::try_from(number).ok().filter(|number| bounds.contains(number));
        within.or_else(|| {
            let hint = format!("from {} to {}", bounds.start(), bounds.end());
            value.wrong(format!("out of bounds: {}=`{number}`", value.key), hint)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_show() {
        for (text, millis) in [("250ms", 250), ("1h30m", 5_400_000), ("1d", 86_400_000), ("90s", 90_000), ("0s", 0)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "m", "1 h", "30m1h", "1m1m", "1.5h", "-1s", "1w", "99999999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(show_duration(Duration::from_secs(5400)), "1h30m");
        assert_eq!(show_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn sizes_read_and_show() {
        for (text, bytes) in [("512MiB", 512 << 20), ("8MB", 8_000_000), ("100kB", 100_000), ("1 GiB", 1 << 30)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "10", "MiB", "1.5MB", "1mb", "99999999999999999999GB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        assert_eq!(show_size(8 << 20), "8MiB");
        assert_eq!(show_size(100_000_000), "100MB");
    }

    #[test]
    fn paths_of_fields() {
        for path in ["a", "user.id", r"a\.b", r"\$x", "$key", "$header.x", "$event_time"] {
            assert_eq!(path_trouble(path), None, "{path}");
        }
        for path in ["", ".", "a..b", "a.", "$nothing", "$header.", r"a\", r"a\b"] {
            assert!(path_trouble(path).is_some(), "{path}");
        }
    }
}
