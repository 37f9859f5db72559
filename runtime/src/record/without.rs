//! Words of others without what nobody is to see in them.

use std::borrow::Cow;

/// A shorter secret is in words that have nothing to do with it.
const SECRET_BYTES_MIN: usize = 4;

/// Words without these secrets, as they are or as an error quotes them. Components and servers say what they were given.
pub fn without<'w, 's>(words: &'w str, secrets: impl IntoIterator<Item = &'s str>) -> Cow<'w, str> {
    let mut words = Cow::Borrowed(words);
    for secret in secrets.into_iter().filter(|secret| secret.len() >= SECRET_BYTES_MIN) {
        for form in [Cow::Borrowed(secret), Cow::Owned(secret.escape_debug().to_string())] {
            if words.contains(&*form) {
                words = Cow::Owned(words.replace(&*form, "(not shown)"));
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_however_it_is_quoted_and_other_words_stay() {
        let secrets = ["hunter2", "a\"b\nc", "one"];
        let shown = |words| without(words, secrets).into_owned();
        assert_eq!(
            shown("invalid type: string \"hunter2\", hunter2!"),
            "invalid type: string \"(not shown)\", (not shown)!"
        );
        assert_eq!(shown(r#"string "a\"b\nc" is none"#), "string \"(not shown)\" is none");
        assert_eq!(shown("none of one"), "none of one");
    }
}
