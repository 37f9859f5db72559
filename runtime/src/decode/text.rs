//! Strings between their JSON spelling and plain text.

use super::chunk;

/// Appends the text that the inside of a checked JSON string spells. False (and some of it may have been appended) when it
/// is no text: a surrogate without its other half.
pub(super) fn unescape(inside: &[u8], text: &mut Vec<u8>) -> bool {
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let character = match rest.get(at + 1) {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => {
                let Some(first) = unit(&rest[at..]) else { return false };
                rest = &rest[at + 6..];
                let mut code = u32::from(first);
                if (0xd800..0xdc00).contains(&first) {
                    match unit(rest) {
                        Some(second @ 0xdc00..0xe000) => {
                            code = 0x1_0000 + ((u32::from(first) - 0xd800) << 10) + u32::from(second) - 0xdc00;
                            rest = &rest[6..];
                        }
                        Some(_) | None => return false,
                    }
                }
                let Some(character) = char::from_u32(code) else { return false };
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            Some(itself) => char::from(*itself),
            None => return false,
        };
        text.push(character as u8);
        rest = &rest[at + 2..];
    }
    text.extend_from_slice(rest);
    true
}

/// The code unit of a `\uXXXX` at the beginning.
fn unit(escape: &[u8]) -> Option<u16> {
    let [b'\\', b'u', digits @ ..] = escape else { return None };
    u16::from_str_radix(std::str::from_utf8(digits.get(..4)?).ok()?, 16).ok()
}

/// Appends text as a JSON string, quotes included.
pub(super) fn quote(text: &[u8], body: &mut Vec<u8>) {
    body.push(b'"');
    let mut rest = text;
    loop {
        let plain = plain_length(rest);
        body.extend_from_slice(&rest[..plain]);
        let Some(special) = rest.get(plain) else { break };
        match special {
            b'"' => body.extend_from_slice(b"\\\""),
            b'\\' => body.extend_from_slice(b"\\\\"),
            b'\n' => body.extend_from_slice(b"\\n"),
            b'\r' => body.extend_from_slice(b"\\r"),
            b'\t' => body.extend_from_slice(b"\\t"),
            control => {
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
                body.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(control >> 4), digit(*control)]);
            }
        }
        rest = &rest[plain + 1..];
    }
    body.push(b'"');
}

/// The number of bytes before the first that a JSON string must escape.
fn plain_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk() {
        if let Some(special) = chunk::first_special(*chunk) {
            return at + special;
        }
        at += chunk::BYTES;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    text[at..].iter().position(special).map_or(text.len(), |place| at + place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(inside: &str) -> Option<String> {
        let mut text = Vec::new();
        unescape(inside.as_bytes(), &mut text).then(|| String::from_utf8(text).unwrap())
    }

    #[test]
    fn escapes_are_spelled_out() {
        assert_eq!(unescaped(r#"a\"\\\/\b\f\n\r\t\u0041\u00e9z"#).unwrap(), "a\"\\/\u{8}\u{c}\n\r\tA\u{e9}z");
        assert_eq!(unescaped(r"\uD83D\uDE00!").unwrap(), "😀!");
    }

    #[test]
    fn half_a_surrogate_is_no_text() {
        for inside in [r"\ud83d", r"\ud83dx", r"\ude00", r"\ud83d\n", r"\ud83d\u0041"] {
            assert_eq!(unescaped(inside), None, "{inside}");
        }
    }

    #[test]
    fn quoted_text_reads_back() {
        for length in 0..40 {
            for odd in ["", "\"", "\\", "\n", "\u{1}", "\u{1f}", "\u{7f}", "é", "\r\t"] {
                let text = format!("{}{odd}{}", "x".repeat(length), "y".repeat(length / 2));
                let mut body = Vec::new();
                quote(text.as_bytes(), &mut body);
                assert_eq!(serde_json::from_slice::<String>(&body).unwrap(), text);
                assert!(!body.contains(&b'\n'));
            }
        }
    }
}
