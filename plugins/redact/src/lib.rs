//! An enricher: what is personal or secret goes away, is masked, or becomes a keyed hash.

use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;
use tidegate_sdk::{Field, Json, Kind, Reject, Row, Value, Values, enrich};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Settings {
    /// Paths of fields that go away.
    remove: Vec<String>,
    /// Paths of fields of which `****` is left, and the last characters where `keep_last` says so.
    mask: Vec<String>,
    /// How many characters a mask leaves; nothing of texts that have less than twice as many.
    keep_last: usize,
    /// Paths of fields that become HMAC-SHA-256 of their value, in hex: equal values stay equal, and nobody without the
    /// key can try which value it was.
    hash: Vec<String>,
    /// The key for `hash`, 16 bytes at least.
    key: Option<String>,
}

#[derive(Clone, Copy)]
enum Action {
    Remove,
    Mask,
    Hash,
}

struct Redact {
    /// The fields that are read come first.
    fields: Vec<(String, Action)>,
    keep_last: usize,
    /// Keyed already.
    hmac: Option<Hmac<Sha256>>,
}

/// A shorter key can be found by trying.
const KEY_BYTES_MIN: usize = 16;

#[enrich]
impl Redact {
    fn new(settings: Settings) -> Result<Self, String> {
        let actions = [(settings.mask, Action::Mask), (settings.hash, Action::Hash), (settings.remove, Action::Remove)];
        let fields: Vec<_> =
            actions.into_iter().flat_map(|(paths, action)| paths.into_iter().map(move |path| (path, action))).collect();
        if fields.is_empty() {
            return Err("nothing to do: remove, mask or hash is wanted".to_owned());
        }
        if fields.iter().any(|(path, _)| path.is_empty()) {
            return Err("a path is empty".to_owned());
        }
        let hashes = fields.iter().any(|(_, action)| matches!(action, Action::Hash));
        let hmac = match &settings.key {
            Some(key) if key.len() < KEY_BYTES_MIN => {
                return Err(format!("key has {} bytes, {KEY_BYTES_MIN} at least are wanted", key.len()));
            }
            Some(key) => Some(Hmac::new_from_slice(key.as_bytes()).map_err(|error| error.to_string())?),
            None if hashes => return Err("hash wants a key, for example key = \"${REDACT_KEY}\"".to_owned()),
            None => None,
        };
        Ok(Redact { fields, keep_last: settings.keep_last, hmac })
    }

    fn reads(&self) -> Vec<Field> {
        let read = self.fields.iter().filter(|(_, action)| !matches!(action, Action::Remove));
        read.map(|(path, _)| Field::new(path, Kind::Json)).collect()
    }

    /// As JSON, because that replaces whatever is there.
    fn writes(&self) -> Vec<Field> {
        self.fields.iter().map(|(path, _)| Field::new(path, Kind::Json)).collect()
    }

    fn enrich(&self, row: Row<'_>) -> Result<Values<'static>, Reject> {
        let mut values = Values::with_capacity(self.fields.len());
        for (index, (_, action)) in self.fields.iter().enumerate() {
            let json = if index < row.len() { row.text(index) } else { None };
            match (json, action) {
                (Some(json), Action::Mask) => values.push(Value::Json(Json::new(&self.mask(&text(json)?))?)),
                (Some(json), Action::Hash) => values.push(Value::Json(Json::from_text(self.hash(&text(json)?)))),
                (_, Action::Remove) | (None, Action::Mask | Action::Hash) => values.push_absent(),
            }
        }
        Ok(values)
    }
}

impl Redact {
    fn mask(&self, text: &str) -> String {
        let characters = text.chars().count();
        let kept = if characters >= 2 * self.keep_last { self.keep_last } else { 0 };
        let mut masked = "****".to_owned();
        masked.extend(text.chars().skip(characters - kept));
        masked
    }

    /// A JSON text.
    fn hash(&self, text: &str) -> String {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut hmac = self.hmac.clone().expect("`new` wants a key where something is hashed");
        hmac.update(text.as_bytes());
        let digest = hmac.finalize().into_bytes();
        let mut hash = String::with_capacity(2 * digest.len() + 2);
        hash.push('"');
        for byte in digest {
            hash.push(char::from(HEX[usize::from(byte >> 4)]));
            hash.push(char::from(HEX[usize::from(byte & 15)]));
        }
        hash.push('"');
        hash
    }
}

/// What a value is redacted as: a text itself, anything else its JSON.
fn text(json: &str) -> Result<std::borrow::Cow<'_, str>, Reject> {
    match json.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Ok(json[1..json.len() - 1].into()),
        [b'"', ..] => Ok(serde_json::from_str::<String>(json).map_err(Reject::new)?.into()),
        _ => Ok(json.into()),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_sdk::test::{Value, Verdict, json, refusal, run};

    use super::*;

    const KEY: &str = "an example of a key";

    fn redacted(settings: Value, record: Value) -> Value {
        match &run(plugin, settings, [record])[..] {
            [Verdict::Passed(record)] => record.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fields_go_away_are_masked_and_hashed() {
        let settings = json!({
            "remove": ["ssn", "user.address"], "mask": ["card.number"], "keep_last": 4, "hash": ["user.email"], "key": KEY,
        });
        let record = json!({
            "ssn": 1, "user": {"email": "a@example.com", "address": {"street": "x"}, "id": 7}, "card": {"number": "4111111111111111"},
        });
        // printf a@example.com | openssl dgst -sha256 -hmac "an example of a key"
        let hash = "e8af83cc5803b0275d550eaa1b839ab167324c53bdfde7f39e7ad30db5e0e3a3";
        let expected = json!({"user": {"email": hash, "id": 7}, "card": {"number": "****1111"}});
        assert_eq!(redacted(settings, record), expected);
    }

    #[test]
    fn equal_values_have_equal_hashes_under_one_key_only() {
        let hash = |key: &str, value: Value| redacted(json!({"hash": ["a"], "key": key}), json!({"a": value}));
        assert_eq!(hash(KEY, json!("x")), hash(KEY, json!("x")));
        assert_ne!(hash(KEY, json!("x")), hash(KEY, json!("y")));
        assert_ne!(hash(KEY, json!("x")), hash("another sixteen bytes", json!("x")));
        // However it was escaped, and whether it is a number or its spelling.
        assert_eq!(hash(KEY, json!("12")), hash(KEY, json!(12)));
    }

    #[test]
    fn a_mask_shows_no_more_than_half() {
        let mask = |text: Value| redacted(json!({"mask": ["a"], "keep_last": 2}), json!({"a": text}));
        assert_eq!(mask(json!("abcd")), json!({"a": "****cd"}));
        assert_eq!(mask(json!("abc")), json!({"a": "****"}));
        assert_eq!(mask(json!("a\"ü\\")), json!({"a": "****ü\\"}));
        assert_eq!(mask(json!({"secret": "abcdef"})), json!({"a": "****\"}"}));
        assert_eq!(redacted(json!({"mask": ["a"]}), json!({"a": "abcd"})), json!({"a": "****"}));
    }

    #[test]
    fn what_is_not_there_stays_away() {
        let settings = json!({"remove": ["a"], "mask": ["b"], "hash": ["c.d"], "key": KEY});
        assert_eq!(redacted(settings, json!({"b": null, "e": 1})), json!({"e": 1}));
    }

    #[test]
    fn settings_are_checked() {
        let refused = |settings| refusal(plugin, settings);
        assert_eq!(refused(json!({})), "nothing to do: remove, mask or hash is wanted");
        assert_eq!(refused(json!({"hash": ["a"]})), "hash wants a key, for example key = \"${REDACT_KEY}\"");
        assert_eq!(refused(json!({"hash": ["a"], "key": "short"})), "key has 5 bytes, 16 at least are wanted");
        assert_eq!(refused(json!({"hash": ["a"], "mask": ["a"], "key": KEY})), "field=`a` is written twice");
    }
}
