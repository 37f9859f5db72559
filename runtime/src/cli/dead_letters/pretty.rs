//! Bytes for people: JSON as it is with line breaks, other text as it is, anything else in hexadecimal digits.

use serde::de::IgnoredAny;

/// Shown in a line of hexadecimal digits.
const HEX_LINE_BYTES: usize = 16;

/// Lines, each with a break at its end.
pub(super) fn pretty(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => json(text),
        Ok(text) if !text.contains(|c: char| c.is_control() && !"\n\t".contains(c)) => format!("{}\n", text.trim_end()),
        Ok(_) | Err(_) => hex(bytes),
    }
}

/// Only blanks are changed: numbers and the order of fields stay as they were written.
fn json(text: &str) -> String {
    let (mut out, mut depth, mut is_text, mut is_escaped) = (String::new(), 0_usize, false, false);
    let break_line = |out: &mut String, depth: usize| {
        out.push('\n');
        (0..depth).for_each(|_| out.push_str("  "));
    };
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if is_text {
            out.push(c);
            is_text = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                match chars.next_if(|next| "}]".contains(*next)) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        break_line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => {
                is_text = c == '"';
                out.push(c);
            }
        }
    }
    out.push('\n');
    out
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (line, bytes) in bytes.chunks(HEX_LINE_BYTES).enumerate() {
        let digits: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        let text: String =
            bytes.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' }).collect();
        let width = HEX_LINE_BYTES * 3;
        out.push_str(&format!("{:08x} {digits:<width$}  {text}\n", line * HEX_LINE_BYTES));
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn json_keeps_its_numbers_and_its_order() {
        expect![[r#"
            {
              "z": 1.50,
              "a": [
                {},
                "x\"{,:",
                []
              ],
              "n": 123456789012345678901
            }
        "#]]
        .assert_eq(&pretty(br#"{"z":1.50,"a":[{ },"x\"{,:", []],"n":123456789012345678901}"#));
    }

    #[test]
    fn what_is_no_json_is_text_or_digits() {
        assert_eq!(pretty("größe\n".as_bytes()), "größe\n");
        expect![[r#"
            00000000  ff 00 41                                         ..A
        "#]]
        .assert_eq(&pretty(b"\xff\0A"));
        assert_eq!(pretty(b"\x1b[2J").lines().count(), 1);
    }
}
