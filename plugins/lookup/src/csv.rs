//! CSV: lines of values, quoted where they have a separator, a quote or a line's end in them (RFC 4180).

/// One line: its number, and its values with whether they were quoted (a quoted nothing is an empty text).
pub type Line = (usize, Vec<(String, bool)>);

pub fn parse(text: &str, separator: char) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    let mut characters = text.chars().peekable();
    let mut number = 1;
    while characters.peek().is_some() {
        let first = number;
        let mut values = Vec::new();
        loop {
            let mut value = String::new();
            let quoted = characters.next_if_eq(&'"').is_some();
            if quoted {
                loop {
                    match characters.next() {
                        Some('"') if characters.next_if_eq(&'"').is_some() => value.push('"'),
                        Some('"') => break,
                        Some(character) => {
                            number += usize::from(character == '\n');
                            value.push(character);
                        }
                        None => return Err(format!("table: line {first} has a quote that nothing ends")),
                    }
                }
            } else {
                while let Some(character) =
                    characters.next_if(|&next| next != separator && next != '\n' && next != '\r')
                {
                    value.push(character);
                }
            }
            values.push((value, quoted));
            if characters.next_if_eq(&separator).is_none() {
                break;
            }
        }
        characters.next_if_eq(&'\r');
        match characters.next() {
            Some('\n') => number += 1,
            None => {}
            Some(other) => return Err(format!("table: line {number} has `{other}` after a quoted value")),
        }
        let blank = matches!(&values[..], [(value, false)] if value.trim().is_empty());
        if !blank {
            lines.push((first, values));
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(usize, &[&str])]) {
        let lines = parse(text, ',').expect("it is CSV");
        let lines: Vec<(usize, Vec<&str>)> = lines
            .iter()
            .map(|(number, values)| (*number, values.iter().map(|(value, _)| value.as_str()).collect()))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(number, values)| (*number, values.to_vec())).collect();
        assert_eq!(lines, expected, "{text:?}");
    }

    #[test]
    fn lines_of_values() {
        check("a,b\n1,2\n", &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check("a,b\r\n\r\n1,", &[(1, &["a", "b"]), (3, &["1", ""])]);
        check(
            "\"a,b\",\"say \"\"x\"\"\"\n\"two\nlines\"\nlast",
            &[(1, &["a,b", "say \"x\""]), (2, &["two\nlines"]), (4, &["last"])],
        );
        check("", &[]);
    }

    #[test]
    fn what_is_no_csv_is_refused_with_its_line() {
        assert_eq!(parse("a\n\"b", ','), Err("table: line 2 has a quote that nothing ends".to_owned()));
        assert_eq!(parse("\"a\"b", ','), Err("table: line 1 has `b` after a quoted value".to_owned()));
    }
}
