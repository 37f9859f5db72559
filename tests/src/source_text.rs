//! Rust source reduced to what a rule about it should see: no comments, no literals, no test modules.

/// The code without comments and without the content of string and character literals. Lines stay where they are.
pub fn code(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest, out.chars().last()) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' {
            character(rest)
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
        rest = &rest[skipped..];
    }
    out
}

/// The code up to its test module, which is last in a file.
pub fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]\nmod ").map_or(code, |at| &code[..at])
}

/// Names that stand before `::` and are not themselves part of a longer path: crates, rooms, types.
pub fn path_heads(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.match_indices("::").filter_map(|(at, _)| {
        let before = &code[..at];
        let start = before.rfind(|c: char| !is_identifier(c)).map_or(0, |i| i + 1);
        let whole = start < at && !before[..start].ends_with("::");
        whole.then(|| (line_number(code, at), &code[start..at]))
    })
}

/// The first names after `crate::`, also in braces: `crate::{record, sink::Index}` gives `record` and `sink`.
pub fn crate_paths(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, matched) in code.match_indices("crate::") {
        if code[..at].ends_with(is_identifier) {
            continue;
        }
        let (rest, line) = (&code[at + matched.len()..], line_number(code, at));
        match rest.strip_prefix('{') {
            None => found.push((line, identifier(rest))),
            Some(inside) => found.extend(top_level(inside).map(|name| (line, name))),
        }
    }
    found
}

pub fn line_number(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn identifier(text: &str) -> &str {
    &text[..text.find(|c: char| !is_identifier(c)).unwrap_or(text.len())]
}

/// The names at the beginning of each item of a brace list, up to the brace that closes it.
fn top_level(inside: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    let (mut start, mut items, mut end) = (0, Vec::new(), inside.len());
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                end = at;
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&inside[start..end]);
    items.into_iter().map(|item| identifier(item.trim_start())).filter(|name| !name.is_empty())
}

fn block_comment(rest: &str) -> usize {
    rest.find("*/").map_or(rest.len(), |at| at + 2)
}

/// The length of `r"…"`, `r#"…"#`, `br"…"` at the start.
fn raw_string(rest: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(is_identifier) {
        return None;
    }
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let text = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = text.find(&close).map_or(text.len(), |at| at + close.len());
    Some(rest.len() - text.len() + end)
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character literal, or just the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_go_and_lines_stay() {
        let source = "a // unwrap()\n/* x\ny */ b(\"\\\"crate::c\", 'd', '\\'', r#\"\"e\"\"#) f::<'g>()";
        assert_eq!(code(source), "a \n\n b(, , , ) f::<g>()");
    }

    #[test]
    fn a_brace_list_names_each_of_its_items() {
        let names: Vec<_> = crate_paths("use crate::{record::{A, B}, sink, plugin::C};\nuse crate::lane::D;").to_vec();
        assert_eq!(names, [(1, "record"), (1, "sink"), (1, "plugin"), (2, "lane")]);
    }

    #[test]
    fn only_the_head_of_a_path_counts() {
        let heads: Vec<_> = path_heads("let a = rdkafka::util::now(); b::c").map(|(_, name)| name).collect();
        assert_eq!(heads, ["rdkafka", "b"]);
    }
}
