//! Paths of fields: the dotted text that settings and components use, parsed once.

use super::DecodeError;
use crate::record::Kind;

/// A parsed path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Path {
    /// A field of the value, by its object keys from the outside in; at least one.
    Field(Vec<String>),
    /// The record's own.
    Own(Own),
}

/// What a record has besides the fields of its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Own {
    Key,
    Value,
    /// Kafka's.
    Timestamp,
    EventTime,
    Received,
    Topic,
    Partition,
    Offset,
    /// The last header of this name.
    Header(Vec<u8>),
}

const OWN_HINT: &str = "the record's own are $key, $value, $timestamp, $event_time, $received, $topic, $partition, \
                        $offset and $header.NAME; a field whose name begins with a dollar sign is written `\\$name`";

impl Path {
    pub(super) fn parse(path: &str) -> Result<Path, DecodeError> {
        let error = |problem: &str, hint: &str| DecodeError::Path {
            path: path.to_owned(),
            problem: problem.to_owned(),
            hint: hint.to_owned(),
        };
        if let Some(name) = path.strip_prefix('$') {
            let own = match name {
                "key" => Own::Key,
                "value" => Own::Value,
                "timestamp" => Own::Timestamp,
                "event_time" => Own::EventTime,
                "received" => Own::Received,
                "topic" => Own::Topic,
                "partition" => Own::Partition,
                "offset" => Own::Offset,
                other => match other.strip_prefix("header.") {
                    Some("") => return Err(error("the header has no name", "write $header.NAME")),
                    // Dots may be escaped as in other paths, but need not be: a header has no fields.
                    Some(header) => Own::Header(header.replace("\\.", ".").replace("\\$", "$").into_bytes()),
                    None => return Err(error("a record has no such property", OWN_HINT)),
                },
            };
            return Ok(Path::Own(own));
        }
        let mut segments = vec![String::new()];
        let mut characters = path.chars();
        while let Some(character) = characters.next() {
            let segment = segments.last_mut().expect("begins with one segment and only grows");
            match character {
                '.' => segments.push(String::new()),
                '\\' => match characters.next() {
                    Some(escaped @ ('.' | '$' | '\\')) => segment.push(escaped),
                    Some(_) | None => {
                        return Err(error("a backslash escapes nothing", r"escapes are `\.`, `\$` and `\\`"));
                    }
                },
                other => segment.push(other),
            }
        }
        if segments.iter().any(String::is_empty) {
            return Err(error("a name in it is empty", r"names are separated by single dots; a dot in a name is `\.`"));
        }
        if segments.len() > super::DEPTH_MAX {
            return Err(error("it is deeper than a record may be", "paths have at most 128 names"));
        }
        Ok(Path::Field(segments))
    }
}

impl Own {
    /// The kinds in which it can be read.
    pub(super) fn kinds(&self) -> &'static [Kind] {
        match self {
            Own::Key | Own::Header(_) => &[Kind::Presence, Kind::Text, Kind::Bytes],
            Own::Value => &[Kind::Presence, Kind::Text, Kind::Bytes, Kind::Json],
            Own::Timestamp | Own::EventTime | Own::Received => {
                &[Kind::Presence, Kind::Timestamp, Kind::Text, Kind::Json]
            }
            Own::Topic => &[Kind::Presence, Kind::Text, Kind::Json],
            Own::Partition | Own::Offset => &[Kind::Presence, Kind::Integer, Kind::Float, Kind::Text, Kind::Json],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(path: &str) -> Vec<String> {
        match Path::parse(path) {
            Ok(Path::Field(segments)) => segments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn dots_separate_and_backslashes_escape() {
        assert_eq!(field("user"), ["user"]);
        assert_eq!(field("user.id"), ["user", "id"]);
        assert_eq!(field(r"user\.id"), ["user.id"]);
        assert_eq!(field(r"\$key.a$b"), ["$key", "a$b"]);
        assert_eq!(field(r"a\\b"), [r"a\b"]);
        assert_eq!(field("größe.å b"), ["größe", "å b"]);
    }

    #[test]
    fn the_records_own_begin_with_a_dollar() {
        assert_eq!(Path::parse("$key").unwrap(), Path::Own(Own::Key));
        assert_eq!(Path::parse("$header.trace.id").unwrap(), Path::Own(Own::Header(b"trace.id".to_vec())));
        assert_eq!(Path::parse(r"$header.trace\.id").unwrap(), Path::Own(Own::Header(b"trace.id".to_vec())));
    }

    #[test]
    fn bad_paths_are_refused_with_a_hint() {
        let error = |path: &str| Path::parse(path).unwrap_err().to_string();
        expect_test::expect![[r"a path cannot be read, a name in it is empty: path=`a..b`; names are separated by single dots; a dot in a name is `\.`"]]
            .assert_eq(&error("a..b"));
        expect_test::expect![[
            r"a path cannot be read, a backslash escapes nothing: path=`a\n`; escapes are `\.`, `\$` and `\\`"
        ]]
        .assert_eq(&error(r"a\n"));
        for path in ["", ".", "a.", ".a", "\\", "$", "$nope", "$header.", "$header"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
        assert!(Path::parse(&vec!["a"; 129].join(".")).is_err());
    }
}
