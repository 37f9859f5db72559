//! What lets us in, which nothing that is shown or kept may repeat: a server or a proxy may say what it was sent.

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::{Auth, Secret};
use crate::record;

/// What a header says before a way in.
const SCHEMES: [&str; 3] = ["Basic ", "Bearer ", "ApiKey "];
const NOT_SHOWN: &str = "(not shown)";

/// A secret in each form in which it may come back.
#[derive(Clone, Default, Debug)]
pub(crate) struct WaysIn(Arc<[Secret]>);

impl WaysIn {
    pub fn new(auth: &Auth, secret: Option<&Secret>) -> Self {
        let Some(secret) = secret.map(Secret::expose) else { return WaysIn::default() };
        let mut forms = vec![secret.to_owned(), in_json(secret)];
        match auth {
            Auth::Basic { user, .. } => forms.push(STANDARD.encode(format!("{user}:{secret}"))),
            // The index writes one as the base64 of its id and the key itself.
            Auth::ApiKey(_) => {
                let text = STANDARD.decode(secret).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                forms.extend(text.as_deref().and_then(|text| text.split_once(':')).map(|(_, key)| key.to_owned()));
            }
            Auth::None | Auth::Bearer(_) => {}
        }
        forms.dedup();
        WaysIn(forms.into_iter().map(Secret::new).collect())
    }

    /// Words without our ways in, and without what stands in headers like ours.
    pub fn hide(&self, words: String) -> String {
        let shown = record::without(&words, self.0.iter().map(Secret::expose));
        without_headers(&shown).unwrap_or_else(|| shown.into_owned())
    }
}

/// As an answer quotes it that was quoted itself, by a server that writes ASCII alone.
fn in_json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let mut ascii = String::with_capacity(quoted.len());
    for char in quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().chars() {
        if char.is_ascii() {
            ascii.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            write!(ascii, "\\u{unit:04x}").unwrap_or_default();
        }
    }
    ascii
}

/// None where there is nothing to hide.
fn without_headers(words: &str) -> Option<String> {
    let mut shown = String::new();
    let mut rest = words;
    while let Some((at, scheme)) = SCHEMES.iter().filter_map(|scheme| Some((rest.find(scheme)?, scheme))).min() {
        let (before, after) = rest.split_at(at + scheme.len());
        let token = after.find(|char: char| !is_of_token(char)).unwrap_or(after.len());
        shown.push_str(before);
        let (token, after) = after.split_at(token);
        shown.push_str(if is_word(token) { token } else { NOT_SHOWN });
        rest = after;
    }
    if shown.is_empty() {
        return None;
    }
    shown.push_str(rest);
    Some(shown)
}

/// As in "Basic authentication is off".
fn is_word(token: &str) -> bool {
    token.len() < 8 || token.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn is_of_token(char: char) -> bool {
    char.is_ascii_alphanumeric() || "+/=-._~".contains(char)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Credential;

    fn shown(auth: impl Fn(Credential) -> Auth, secret: &str, words: &str) -> String {
        let secret = Secret::new(secret);
        WaysIn::new(&auth(Credential::Fixed(secret.clone())), Some(&secret)).hide(words.to_owned())
    }

    #[test]
    fn an_answer_does_not_say_what_we_have_sent() {
        let bearer = |words| shown(Auth::Bearer, "hunter2", words);
        assert_eq!(bearer("no hunter2, no Bearer abc.def-012"), "no (not shown), no Bearer (not shown)");
        let words = "Basic authentication, Basic dTpwYXNzd29yZA==";
        assert_eq!(WaysIn::default().hide(words.to_owned()), "Basic authentication, Basic (not shown)");
        assert_eq!(bearer("nothing of it"), "nothing of it");
    }

    #[test]
    fn a_way_in_is_known_in_whatever_form_it_comes_back() {
        let basic = |password| Auth::Basic { user: "u".to_owned(), password };
        assert_eq!(shown(basic, "password", "got dTpwYXNzd29yZA== for u"), "got (not shown) for u");
        assert_eq!(shown(Auth::ApiKey, "aWQ6c2VjcmV0LWtleQ==", "no secret-key of id"), "no (not shown) of id");
        for words in [r#"{"a":"pä\"ss\\"}"#, r#"{"a":"p\u00e4\"ss\\"}"#, r#"{"a":"pä"ss\"}"#] {
            assert_eq!(shown(basic, r#"pä"ss\"#, words), r#"{"a":"(not shown)"}"#);
        }
    }
}
