//! `tidegate dead-letters export`: a line of JSON for each letter, from which all of it can be made again.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::choose::LetterArgs;
use super::{DeadLetterCommandError, Letters, position};
use crate::cli::PipelineFile;
use crate::cli::columns::count;
use crate::pipeline::FoundLetter;
use crate::sink::Letter;

/// What the names of our headers begin with.
const PREFIX: &str = "tidegate-";

#[derive(Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// The file, which must not be there yet; `-` is stdout
    #[arg(long, value_name = "FILE|-")]
    to: PathBuf,
    #[command(flatten)]
    letters: LetterArgs,
}

/// A line.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
struct Exported {
    /// In the dead-letter topic: `PARTITION-OFFSET`.
    position: String,
    /// When it was written, RFC 3339.
    time: Option<String>,
    /// How often its identity is in the topic; this is the last one.
    copies: u32,
    /// Our headers, without what their names begin with.
    tidegate: BTreeMap<String, String>,
    /// All others, in order.
    headers: Vec<ExportedHeader>,
    key: Option<Bytes>,
    value: Option<Bytes>,
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
struct ExportedHeader {
    name: String,
    value: Option<Bytes>,
}

/// Text where it is UTF-8.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Bytes {
    Text(String),
    Base64(String),
}

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let letters = Letters::open(&args.pipeline, &args.letters)?;
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match args.to.as_os_str() == "-" {
        true => Box::new(io::stdout()),
        false => {
            let file = OpenOptions::new().write(true).create_new(true).open(&args.to);
            let file = file.map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => DeadLetterCommandError::Exists { file: args.to.clone() }.into(),
                _ => anyhow::Error::from(error).context(format!("cannot write file=`{}`", args.to.display())),
            });
            Box::new(file?)
        }
    });
    let (mut exported, cannot) = (0, || format!("cannot write file=`{}`", args.to.display()));
    letters.each(|found| {
        serde_json::to_writer(&mut out, &Exported::of(&found)).with_context(cannot)?;
        out.write_all(b"\n").with_context(cannot)?;
        exported += 1;
        Ok(())
    })?;
    out.flush().with_context(cannot)?;
    tracing::info!("exported {}", count(exported, "dead letter"));
    Ok(())
}

impl Exported {
    fn of(FoundLetter { letter, copies }: &FoundLetter) -> Exported {
        let (mut tidegate, mut others) = (BTreeMap::new(), Vec::new());
        for (name, value) in letter.ours().iter().rev() {
            // The last of a name counts; one before it is shown as it is.
            let known = name.strip_prefix(PREFIX).filter(|known| !tidegate.contains_key(*known));
            let text = value.as_deref().and_then(|value| std::str::from_utf8(value).ok());
            match (known, text) {
                (Some(name), Some(text)) => drop(tidegate.insert(name.to_owned(), text.to_owned())),
                (None, _) | (_, None) => others.push((name.clone(), value.clone())),
            }
        }
        others.reverse();
        let header = |(name, value): &(String, Option<Vec<u8>>)| {
            let value = value.as_deref().map(Bytes::of);
            ExportedHeader { name: name.clone(), value }
        };
        let Letter { key, value, .. } = letter;
        Exported {
            position: position(&letter.position),
            time: letter.written.map(|time| time.to_string()),
            copies: *copies,
            tidegate,
            headers: letter.own().iter().chain(&others).map(header).collect(),
            key: key.as_deref().map(Bytes::of),
            value: value.as_deref().map(Bytes::of),
        }
    }
}

impl Bytes {
    fn of(bytes: &[u8]) -> Bytes {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text.to_owned()),
            Err(_) => Bytes::Base64(STANDARD.encode(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::record::{BatchBuilder, EventTime, Offset, Partition};

    fn letter(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, Option<&[u8]>)]) -> FoundLetter {
        let mut batch = BatchBuilder::new(EventTime::MIN);
        batch.push(Offset(17), Some(EventTime::from_micros(1_500_000)), key, value);
        headers.iter().for_each(|(name, value)| batch.header(name.as_bytes(), *value));
        let letter = Letter::read(&Partition::new("dead", 0), &batch.finish(), 0).expect("it has an identity");
        FoundLetter { letter, copies: 2 }
    }

    /// Key, value and headers, as a line says them.
    type Parts = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

    fn bytes(of: Bytes) -> Vec<u8> {
        match of {
            Bytes::Text(text) => text.into_bytes(),
            Bytes::Base64(text) => STANDARD.decode(text).expect("we wrote it"),
        }
    }

    fn parts(line: &str) -> Parts {
        let Exported { tidegate, headers, key, value, .. } = serde_json::from_str(line).expect("it is a line of ours");
        let others = headers.into_iter().map(|it| (it.name, it.value.map(bytes)));
        let ours = tidegate.into_iter().map(|(name, text)| (format!("{PREFIX}{name}"), Some(text.into_bytes())));
        (key.map(bytes), value.map(bytes), others.chain(ours).collect())
    }

    #[test]
    fn nothing_is_lost() {
        let headers: [(&str, Option<&[u8]>); 6] = [
            ("trace", Some(b"\xff\0")),
            ("null", None),
            ("tidegate-identity", Some(b"an earlier one")),
            ("tidegate-identity", Some(b"events-3-7//0")),
            ("tidegate-message", Some(b"not JSON at byte 1")),
            ("tidegate-reason", Some(b"json")),
        ];
        for (key, value) in [(None, Some(&b"{"[..])), (Some(&b""[..]), None), (Some(b"\xfe"), Some(b"gr\xc3\xb6"))] {
            let line = serde_json::to_string(&Exported::of(&letter(key, value, &headers))).expect("it is JSON");
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            let expected = headers.map(|(name, value)| (name.to_owned(), owned(value)));
            assert_eq!(parts(&line), (owned(key), owned(value), expected.to_vec()), "{line}");
        }
    }

    #[test]
    fn a_line_says_what_is_text_and_what_is_base64() {
        let headers: [(&str, Option<&[u8]>); 3] =
            [("trace", Some(b"x")), ("tidegate-identity", Some(b"events-3-7//0")), ("tidegate-reason", Some(b"json"))];
        let line = serde_json::to_string(&Exported::of(&letter(Some(b"k"), Some(b"\xff"), &headers))).expect("JSON");
        expect![[r#"{"position":"0-17","time":"1970-01-01T00:00:01.5Z","copies":2,"tidegate":{"identity":"events-3-7//0","reason":"json"},"headers":[{"name":"trace","value":{"text":"x"}}],"key":{"text":"k"},"value":{"base64":"/w=="}}"#]]
        .assert_eq(&line);
    }
}
