//! Index patterns: `purchases-{event_time:%Y.%m}`, held to Elasticsearch's rules for names.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::reader::Text;
use super::values::path_trouble;
use super::{IndexPart, IndexPattern};

/// Elasticsearch refuses longer names.
const INDEX_BYTES_MAX: usize = 255;

/// Reads a pattern; `windows` says whether the output has an aggregate, whose documents know their window and nothing else.
pub(crate) fn index(text: &Text<'_>, windows: bool) -> Option<IndexPattern> {
    match parse(text, windows) {
        Ok(parts) => Some(IndexPattern(parts)),
        Err((_, hint)) if text.secret => text.wrong("not an index name", hint),
        Err((what, hint)) => text.wrong(&format!("not an index name ({what})"), hint),
    }
}

impl IndexPattern {
    /// The pattern with `*` for what differs from document to document: it matches every index that is written.
    pub fn wildcard(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            IndexPart::Literal(text) => text.as_str(),
            IndexPart::Field(_) | IndexPart::EventTime(_) | IndexPart::WindowStart(_) => "*",
        });
        parts.collect()
    }

    /// Whether an index may have this name.
    pub(crate) fn is_name(text: &str) -> bool {
        matches!(parse(text, false).as_deref(), Ok([IndexPart::Literal(_)]))
    }
}

type Trouble = (String, &'static str);

fn parse(text: &str, windows: bool) -> Result<Vec<IndexPart>, Trouble> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('{') {
        literal(before, &mut parts)?;
        let Some((inside, after)) = from.split_once('}') else {
            return Err(("`{` without its `}`".into(), PARTS));
        };
        parts.push(part(inside, windows)?);
        rest = after;
    }
    literal(rest, &mut parts)?;
    let (name, is_fixed) = (sample(&parts), matches!(parts.as_slice(), [IndexPart::Literal(_)]));
    match &*name {
        "" => Err(("empty".into(), PARTS)),
        _ if name.starts_with(['-', '_', '+']) => Err(("it begins with `-`, `_` or `+`".into(), RULES)),
        // The index keeps such names for itself; a hidden index of our own has one name.
        _ if name.starts_with('.') && !is_fixed => {
            Err(("made of parts, and it begins with `.`".into(), "hidden indices have a name that is always the same"))
        }
        "." | ".." => Err(("dots only".into(), RULES)),
        _ if name.len().max(text.len()) > INDEX_BYTES_MAX => Err((format!("longer than {INDEX_BYTES_MAX} bytes"), "")),
        _ => Ok(parts),
    }
}

/// A name that the pattern makes, of records whose fields are `x`.
fn sample(parts: &[IndexPart]) -> String {
    let part = |part: &IndexPart| match part {
        IndexPart::Literal(text) => text.clone(),
        IndexPart::Field(_) => "x".to_owned(),
        IndexPart::EventTime(format) | IndexPart::WindowStart(format) => {
            made(format, 0).expect("a part's format has been tried")
        }
    };
    parts.iter().map(part).collect()
}

const PARTS: &str = "text with {field}, {event_time:%Y.%m.%d} or, with an aggregate, {window_start:%Y.%m.%d} in it; {+yyyy.MM.dd} is either time";
const RULES: &str =
    "Elasticsearch's rules: lowercase; none of \\ / * ? \" < > | # : , or space; not `-`, `_`, `+` first";

fn literal(text: &str, parts: &mut Vec<IndexPart>) -> Result<(), Trouble> {
    if let Some(char) = text.chars().find(|char| forbidden(*char)) {
        return Err((format!("with {char:?}"), RULES));
    }
    if !text.is_empty() {
        parts.push(IndexPart::Literal(text.to_owned()));
    }
    Ok(())
}

fn forbidden(char: char) -> bool {
    char.is_uppercase() || char.is_control() || char.is_whitespace() || "\\/*?\"<>|#:,{}".contains(char)
}

fn part(inside: &str, windows: bool) -> Result<IndexPart, Trouble> {
    const NO_WINDOW: &str = "without an aggregate there is {event_time:…} and {field}";
    const WINDOW_ONLY: &str =
        "a window's document is named by {window_start:…}; fields and event times belong to records";
    if let Some(pattern) = inside.strip_prefix('+') {
        let format = checked(&strftime(pattern)?)?;
        return Ok(if windows { IndexPart::WindowStart(format) } else { IndexPart::EventTime(format) });
    }
    match (inside.split_once(':'), windows) {
        (Some(("window_start", format)), true) => Ok(IndexPart::WindowStart(checked(format)?)),
        (Some(("event_time", format)), false) => Ok(IndexPart::EventTime(checked(format)?)),
        (Some(("window_start", _)), false) => Err(("{window_start:…} without an aggregate".into(), NO_WINDOW)),
        (_, true) => Err((format!("{{{inside}}} with an aggregate"), WINDOW_ONLY)),
        (Some((name, _)), false) => Err((format!("{name} has no format"), PARTS)),
        (None, false) if matches!(inside, "event_time" | "window_start") => {
            Err((format!("{{{inside}}} without a format"), "such as {event_time:%Y.%m.%d}"))
        }
        (None, false) if inside == "$received" => Err((
            "made of $received".into(),
            "a replay would write into another index; take {event_time:…}, which is a function of the input",
        )),
        (None, false) => match path_trouble(inside) {
            None => Ok(IndexPart::Field(inside.to_owned())),
            Some(_) => Err((format!("{{{inside}}} is no field's path"), PARTS)),
        },
    }
}

/// The same for a pattern as Logstash has it, of letters that are repeated.
fn strftime(pattern: &str) -> Result<String, Trouble> {
    const KNOWN: &str = "of yyyy, yy, MM, dd, DDD, HH, mm, ss, xxxx (the week's year) and ww, with `.`, `-` or `_` between them; or \
                         {event_time:%Y.%m.%d}, with an aggregate {window_start:%Y.%m.%d}, with all that strftime knows";
    let mut format = String::new();
    for piece in pattern.as_bytes().chunk_by(|one, next| one == next && one.is_ascii_alphabetic()) {
        format.push_str(match piece {
            b"yyyy" => "%Y",
            b"yy" => "%y",
            b"MM" => "%m",
            b"dd" => "%d",
            b"DDD" => "%j",
            b"HH" => "%H",
            b"mm" => "%M",
            b"ss" => "%S",
            b"xxxx" => "%G",
            b"ww" => "%V",
            b"." => ".",
            b"-" => "-",
            b"_" => "_",
            _ => return Err((format!("the time `{{+{pattern}}}`"), KNOWN)),
        });
    }
    Ok(format)
}

/// A strftime format whose results may stand in an index name, tried on a day in each month.
fn checked(format: &str) -> Result<String, Trouble> {
    const EXAMPLE: &str = "strftime, such as %Y.%m.%d or %Y-w%V; names of days and months have capitals";
    if format.is_empty() {
        return Err(("an empty format".into(), EXAMPLE));
    }
    for month in 0..12 {
        let made = made(format, month).map_err(|why| (format!("the format `{format}`: {why}"), EXAMPLE))?;
        if let Some(char) = made.chars().find(|char| forbidden(*char)) {
            return Err((format!("`{format}` makes `{made}`, with {char:?}"), EXAMPLE));
        }
    }
    Ok(format.to_owned())
}

/// What a format gives on the 1st of January 2025, or so many times 31 days later.
fn made(format: &str, month: i64) -> Result<String, jiff::Error> {
    const YEAR_START_SECONDS: i64 = 1_735_689_600;
    let time = Timestamp::from_second(YEAR_START_SECONDS + month * 31 * 86_400).expect("a time in 2025");
    strtime::format(format, &time.to_zoned(TimeZone::UTC))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(pattern: &str, windows: bool, expected: Expect) {
        expected.assert_eq(&match parse(pattern, windows) {
            Ok(parts) => format!("{parts:?}"),
            Err((what, _)) => what,
        });
    }

    #[test]
    fn patterns_of_records() {
        check("purchases", false, expect![[r#"[Literal("purchases")]"#]]);
        check("p-{event_time:%Y.%m}", false, expect![[r#"[Literal("p-"), EventTime("%Y.%m")]"#]]);
        check("p-{+yyyy.MM.dd}", false, expect![[r#"[Literal("p-"), EventTime("%Y.%m.%d")]"#]]);
        check("{k}-{+xxxx-ww}", false, expect![[r#"[Field("k"), Literal("-"), EventTime("%G-%V")]"#]]);
        check("{+yyMMdd__HH.mm.ss-DDD}", false, expect![[r#"[EventTime("%y%m%d__%H.%M.%S-%j")]"#]]);
        check("{user.country}-x", false, expect![[r#"[Field("user.country"), Literal("-x")]"#]]);
    }

    #[test]
    fn patterns_of_windows() {
        check("w-{window_start:%Y}", true, expect![[r#"[Literal("w-"), WindowStart("%Y")]"#]]);
        check("w-{+yyyy.MM}", true, expect![[r#"[Literal("w-"), WindowStart("%Y.%m")]"#]]);
        check("w-{event_time:%Y}", true, expect!["{event_time:%Y} with an aggregate"]);
        check("w-{user}", true, expect!["{user} with an aggregate"]);
        check("w-{window_start:%Y}", false, expect!["{window_start:…} without an aggregate"]);
    }

    #[test]
    fn names_that_elasticsearch_refuses() {
        check("", false, expect!["empty"]);
        check("Big", false, expect!["with 'B'"]);
        check("a b", false, expect!["with ' '"]);
        check("_x", false, expect!["it begins with `-`, `_` or `+`"]);
        check("{window_start:-%Y}", true, expect!["it begins with `-`, `_` or `+`"]);
        check("{event_time:%z}-{k}", false, expect!["it begins with `-`, `_` or `+`"]);
        check(".x", false, expect![[r#"[Literal(".x")]"#]]);
        check(".x-{window_start:%Y}", true, expect!["made of parts, and it begins with `.`"]);
        check(".{k}", false, expect!["made of parts, and it begins with `.`"]);
        check("{+.yyyy}", true, expect!["made of parts, and it begins with `.`"]);
        check(&format!("{}{{event_time:%F%F%F}}", "x".repeat(230)), false, expect!["longer than 255 bytes"]);
        check("..", false, expect!["dots only"]);
        check("a-{+}", false, expect!["an empty format"]);
        check("a-{+YYYY.MM}", false, expect!["the time `{+YYYY.MM}`"]);
        check("a-{+yyyy/MM}", false, expect!["the time `{+yyyy/MM}`"]);
        check("a-{event_time:%B}", false, expect!["`%B` makes `January`, with 'J'"]);
        check("a-{event_time:%H:%M}", false, expect!["`%H:%M` makes `00:00`, with ':'"]);
        check("a-{event_time}", false, expect!["{event_time} without a format"]);
        check("a-{$received}", false, expect!["made of $received"]);
        check("a-{x", false, expect!["`{` without its `}`"]);
        check("a-}", false, expect!["with '}'"]);
    }
}
