//! What is printed of a scenario: a line where it passed, and what differs where it did not.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::compare::{Changed, Difference};
use super::scenario::{Differences, Verdict};
use super::steady::{Cause, Unsteady};
use super::witness::{Guilty, shown};

/// More differences of a file are counted, not shown.
const DIFFERENCES_MAX: usize = 20;
/// A line, and a value of a field, is cut to so many characters.
const LINE_CHARS_MAX: usize = 1_000;
const VALUE_CHARS_MAX: usize = 200;
/// So much of what two values have in common is shown before the first difference.
const ALIKE_CHARS: usize = 40;

/// Colours, where somebody looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(bool);

impl Paint {
    pub fn for_stdout() -> Self {
        Paint(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    fn paint(self, code: u8, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn red(self, text: &str) -> String {
        self.paint(31, text)
    }

    fn green(self, text: &str) -> String {
        self.paint(32, text)
    }

    fn bold(self, text: &str) -> String {
        self.paint(1, text)
    }
}

/// What is printed, and whether the scenario passed.
pub(super) fn scenario(
    name: &str,
    verdict: &Result<Verdict>,
    blessed: Result<Vec<&'static str>>,
    took: Duration,
    paint: Paint,
) -> (String, bool) {
    let mut text = String::new();
    let blessed = blessed.unwrap_or_else(|error| {
        let _ = writeln!(text, "    cannot be written: {error:#}");
        Vec::new()
    });
    let passed = match verdict {
        Ok(verdict) => {
            let open = verdict.differences.iter().filter(|(file, _)| !blessed.contains(file)).count();
            show_differences(&mut text, &verdict.differences, paint);
            if let Some(unsteady) = &verdict.unsteady {
                show_unsteady(&mut text, unsteady, paint);
            }
            open == 0 && verdict.unsteady.is_none()
        }
        Err(error) => {
            let _ = writeln!(text, "    {error:#}");
            false
        }
    };
    let word = match (passed, blessed.is_empty()) {
        (true, true) => paint.green("ok     "),
        (true, false) => paint.green("blessed"),
        (false, _) => paint.red("FAILED "),
    };
    (format!("{word} {name} ({} ms)\n{text}", took.as_millis()), passed)
}

fn show_differences(text: &mut String, differences: &Differences, paint: Paint) {
    for (file, differences) in differences {
        let legend = format!("{} {}", paint.red("- expected"), paint.green("+ found"));
        let _ = writeln!(text, "    {}: {legend}", paint.bold(file));
        list(text, differences, paint);
    }
}

fn list(text: &mut String, differences: &[Difference], paint: Paint) {
    for difference in differences.iter().take(DIFFERENCES_MAX) {
        match difference {
            Difference::Missing(line) => {
                let _ =
                    writeln!(text, "      {}", paint.red(&format!("- {}", cut(&line.to_string(), 0, LINE_CHARS_MAX))));
            }
            Difference::Unexpected(line) => {
                let _ = writeln!(text, "      {}", paint.green(&format!("+ {}", readable(line))));
            }
            Difference::Changed { line, fields } => {
                let _ = writeln!(text, "      {}", title(line));
                fields.iter().for_each(|field| show_field(text, field, paint));
            }
            Difference::Text { expected, found } => show_text(text, expected, found, paint),
        }
    }
    if differences.len() > DIFFERENCES_MAX {
        let _ = writeln!(text, "      … and {} more", differences.len() - DIFFERENCES_MAX);
    }
}

fn show_field(text: &mut String, field: &Changed, paint: Paint) {
    let path = field.path.strip_prefix("_source.").unwrap_or(&field.path);
    let written = |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
    let (expected, found) = (written(&field.expected), written(&field.found));
    let begin = match (&field.expected, &field.found) {
        (Some(_), Some(_)) => expected.chars().zip(found.chars()).take_while(|(one, other)| one == other).count(),
        (None, _) | (_, None) => 0,
    };
    for (value, is_there, sign) in [(expected, field.expected.is_some(), '-'), (found, field.found.is_some(), '+')] {
        if !is_there {
            continue;
        }
        let line = format!("{sign} {path}: {}", cut(&value, begin, VALUE_CHARS_MAX));
        let _ = writeln!(text, "        {}", if sign == '-' { paint.red(&line) } else { paint.green(&line) });
    }
}

/// At most so many characters of a text that is longer: those around a place.
fn cut(text: &str, place: usize, chars_max: usize) -> String {
    let length = text.chars().count();
    if length <= chars_max {
        return text.to_owned();
    }
    let begin = if place < chars_max { 0 } else { place - ALIKE_CHARS };
    let shown: String = text.chars().skip(begin).take(chars_max).collect();
    let (before, after) = (if begin > 0 { "…" } else { "" }, if begin + chars_max < length { "…" } else { "" });
    format!("{before}{shown}{after} ({length} characters)")
}

/// Lines that both have stand between those that one has.
fn show_text(text: &mut String, expected: &str, found: &str, paint: Paint) {
    let (before, after): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    for line in before.iter().filter(|line| !after.contains(line)) {
        let _ = writeln!(text, "      {}", paint.red(&format!("- {line}")));
    }
    for line in &after {
        let line = if before.contains(line) { format!("  {line}") } else { paint.green(&format!("+ {line}")) };
        let _ = writeln!(text, "      {line}");
    }
}

/// Which document, dead letter or thing a line is of.
fn title(line: &Value) -> String {
    let of = |key: &str| line.get(key).and_then(Value::as_str);
    match (of("_index"), of("_id"), of("origin")) {
        (Some(index), Some(id), _) => format!("document {index}/{id}"),
        (_, _, Some(origin)) => match of("output") {
            Some(output) => format!("dead letter of {origin}, output `{output}`"),
            None => format!("dead letter of {origin}"),
        },
        _ => "counted".to_owned(),
    }
}

/// A line without the text that it came as.
fn readable(line: &Value) -> String {
    let mut line = line.clone();
    if let Some(fields) = line.as_object_mut() {
        fields.remove("_text");
    }
    cut(&line.to_string(), 0, LINE_CHARS_MAX)
}

fn show_unsteady(text: &mut String, unsteady: &Unsteady, paint: Paint) {
    let [before, after] = unsteady.runs;
    let does = match unsteady.cause {
        Cause::State => "keeps state from one call to the next",
        Cause::Cut => "depends on how its rows are cut into batches",
    };
    for Guilty { component, row, given, made: [first, second] } in &unsteady.guilty {
        let _ = writeln!(text, "    {} {does}", paint.bold(component));
        let what = row.map_or("what it emits for".to_owned(), |row| format!("its row {row},"));
        let _ = writeln!(text, "      {what} {}", shown(given));
        let _ = writeln!(text, "        {}", paint.red(&format!("- {before}: {}", shown(first))));
        let _ = writeln!(text, "        {}", paint.green(&format!("+ {after}: {}", shown(second))));
    }
    if unsteady.guilty.is_empty() {
        let _ = writeln!(text, "    a component {does}; which one cannot be told");
    }
    for (file, differences) in &unsteady.differences {
        let (before, after) = (paint.red(&format!("- {before}")), paint.green(&format!("+ {after}")));
        let _ = writeln!(text, "    {}\n    {before}\n    {after}", paint.bold(file));
        list(text, differences, paint);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_long_value_the_part_that_differs_is_shown() {
        let field = |expected: Value, found: Value| {
            let (mut text, path) = (String::new(), "_source.a".to_owned());
            let field = Changed { path, expected: Some(expected), found: Some(found) };
            show_field(&mut text, &field, Paint(false));
            text
        };
        assert_eq!(field(json!(1), json!("x")), "        - a: 1\n        + a: \"x\"\n");
        let text = |end: &str| json!("y".repeat(5_000) + end + &"z".repeat(5_000));
        let shown = field(text("one"), text("two"));
        let alike = "y".repeat(ALIKE_CHARS);
        assert!(
            shown.contains(&format!("- a: …{alike}onez")) && shown.contains(&format!("+ a: …{alike}twoz")),
            "{shown}"
        );
        assert!(shown.contains("z… (10005 characters)\n") && shown.len() < 600, "{shown}");
    }

    #[test]
    fn a_long_line_is_cut() {
        let shown = readable(&json!({"_source": {"a": "y".repeat(5_000)}, "_text": "as it came"}));
        assert!(shown.ends_with("yyy… (5020 characters)") && shown.len() < LINE_CHARS_MAX + 50, "{shown}");
    }
}
