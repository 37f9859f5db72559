//! `${NAME}` and `${file:PATH}` in a string: the environment and files, whose values nobody prints.

use std::borrow::Cow;
use std::path::Path;

use super::secret::text_of;

/// What a string became.
#[derive(Debug)]
pub(crate) struct Interpolated<'a> {
    pub text: Cow<'a, str>,
    /// It holds a value from outside, which no message may show.
    pub secret: bool,
    /// The values themselves.
    pub put_in: Vec<String>,
}

/// Why it cannot be.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Unresolved {
    pub message: String,
    pub hint: &'static str,
}

/// Replaces each `${NAME}` and `${file:PATH}`; `$${` stands for `${`. What was put in is not looked at again.
pub(crate) fn interpolate<'a>(
    text: &'a str,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Interpolated<'a>, Unresolved> {
    if !text.contains("${") {
        return Ok(Interpolated { text: Cow::Borrowed(text), secret: false, put_in: Vec::new() });
    }
    let mut out = String::with_capacity(text.len());
    let mut put_in = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = &from[2..];
            continue;
        }
        out.push_str(before);
        let Some((name, after)) = from[2..].split_once('}') else {
            return Err(Unresolved {
                message: "`${` without its `}`".into(),
                hint: "`${NAME}` is the environment, `${file:PATH}` a file; write `$${` for the characters themselves",
            });
        };
        let value = resolve(name, folder, environment)?;
        out.push_str(&value);
        put_in.push(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(Interpolated { text: Cow::Owned(out), secret: !put_in.is_empty(), put_in })
}

fn resolve(name: &str, folder: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, Unresolved> {
    if let Some(path) = name.strip_prefix("file:") {
        return text_of(&folder.join(path)).map_err(|why| Unresolved {
            message: format!("cannot read the file of `${{{name}}}`: {why}"),
            hint: "a path that is not absolute is looked up beside the pipeline file",
        });
    }
    let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if !valid {
        return Err(Unresolved {
            message: format!("`${{{name}}}` names no variable"),
            hint: "letters, digits and `_`; `${file:PATH}` reads a file; write `$${` for the characters themselves",
        });
    }
    environment(name).ok_or_else(|| Unresolved {
        message: format!("`${{{name}}}` is not set"),
        hint: "set it in the environment that starts tidegate, or name a file with `${file:PATH}`",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> Result<String, String> {
        let environment = |name: &str| (name == "USER").then(|| "ann${X}".to_owned());
        interpolate(text, Path::new("."), &environment)
            .map(|done| done.text.into_owned())
            .map_err(|wrong| wrong.message)
    }

    #[test]
    fn a_variable_is_put_in_once() {
        assert_eq!(outcome("a ${USER} b").as_deref(), Ok("a ann${X} b"));
    }

    #[test]
    fn a_doubled_dollar_is_itself() {
        assert_eq!(outcome("$${USER} $5 $").as_deref(), Ok("${USER} $5 $"));
    }

    #[test]
    fn what_cannot_be_resolved_is_named() {
        assert_eq!(outcome("${NONE}"), Err("`${NONE}` is not set".into()));
        assert_eq!(outcome("${a b}"), Err("`${a b}` names no variable".into()));
        assert_eq!(outcome("x${USER"), Err("`${` without its `}`".into()));
        let missing = outcome("${file:no/such/file}").unwrap_err();
        assert!(missing.starts_with("cannot read the file of `${file:no/such/file}`"), "{missing}");
    }

    #[test]
    fn a_file_loses_its_last_line_break() {
        let path = std::env::temp_dir().join(format!("tidegate-interpolate-{}", std::process::id()));
        std::fs::write(&path, "s3cret \r\n").unwrap();
        assert_eq!(outcome(&format!("${{file:{}}}", path.display())).as_deref(), Ok("s3cret "));
        std::fs::remove_file(&path).unwrap();
    }
}
