//! A dead letter as it is read back: where it is, what it is of, and what it says.

use super::{IDENTITY, MESSAGE, ORIGIN, OUTPUT, REASON};
use crate::record::{EventTime, Message, Offset, Origin, Partition, RecordBatch};

/// A name, and a value that may be null.
pub type Header = (String, Option<Vec<u8>>);

/// A message of the dead-letter topic that has an identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// In the dead-letter topic.
    pub position: Origin,
    /// When it was written, by Kafka's timestamp.
    pub written: Option<EventTime>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    headers: Vec<Header>,
    /// From here on the headers are ours; those before are the record's, also those that it has of an earlier dead letter.
    ours: usize,
}

/// What a letter is of, as its identity says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject<'a> {
    /// `output` is none where it was refused before the outputs part.
    Record { origin: Origin, output: Option<&'a str>, ordinal: u32 },
    /// Of a window.
    Document { output: &'a str, id: &'a str },
    /// That came too late.
    Part { output: &'a str },
    /// A form that is not known here.
    Unknown,
}

impl Letter {
    /// A message of the topic; none where it is no dead letter.
    pub fn read(partition: &Partition, batch: &RecordBatch, row: usize) -> Option<Letter> {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let headers = batch.headers(row).map(|(name, value)| (text(name), value.map(<[u8]>::to_vec))).collect();
        let position = partition.origin(batch.offset(row));
        let bytes = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        Self::of(position, batch.timestamp(row), bytes(batch.key(row)), bytes(batch.value(row)), headers)
    }

    /// A dead letter that was not written.
    pub fn unwritten(message: Message) -> Option<Letter> {
        let position = Partition { topic: message.topic, number: 0 }.origin(Offset(0));
        Self::of(position, None, message.key, message.value, message.headers)
    }

    fn of(
        position: Origin,
        written: Option<EventTime>,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Vec<Header>,
    ) -> Option<Letter> {
        // It is the first of ours.
        let ours = headers.iter().rposition(|(name, _)| name == IDENTITY)?;
        let letter = Letter { position, written, key, value, headers, ours };
        letter.text(IDENTITY).is_some().then_some(letter)
    }

    /// One of ours, as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.ours().iter().rfind(|(known, _)| known == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        self.text(name)?.parse().ok()
    }

    pub fn identity(&self) -> &str {
        self.text(IDENTITY).unwrap_or_default()
    }

    /// A word of [`crate::record::ReasonKind`], or of a later version's.
    pub fn reason(&self) -> &str {
        self.text(REASON).unwrap_or_default()
    }

    pub fn message(&self) -> &str {
        self.text(MESSAGE).unwrap_or_default()
    }

    pub fn output(&self) -> Option<&str> {
        self.text(OUTPUT)
    }

    /// As the header says it.
    pub fn origin(&self) -> &str {
        self.text(ORIGIN).unwrap_or_default()
    }

    /// Those of this dead letter.
    pub fn ours(&self) -> &[Header] {
        &self.headers[self.ours..]
    }

    /// Those that came with the record.
    pub fn own(&self) -> &[Header] {
        &self.headers[..self.ours]
    }

    pub fn subject(&self) -> Subject<'_> {
        subject(self.identity()).unwrap_or(Subject::Unknown)
    }
}

fn subject(identity: &str) -> Option<Subject<'_>> {
    let mut segments = identity.splitn(3, '/');
    let (first, second, third) = (segments.next()?, segments.next()?, segments.next()?);
    match first {
        "document" => Some(Subject::Document { output: second, id: third }),
        "part" => Some(Subject::Part { output: third.split('/').next()? }),
        origin => {
            let output = Some(second).filter(|output| !output.is_empty());
            Some(Subject::Record { origin: Origin::parse(origin)?, output, ordinal: third.parse().ok()? })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::BatchBuilder;

    fn letter(headers: &[(&str, Option<&str>)]) -> Option<Letter> {
        let mut batch = BatchBuilder::new(EventTime::MIN);
        batch.push(Offset(4), Some(EventTime::from_micros(5000)), Some(b"k"), None);
        for (name, value) in headers {
            batch.header(name.as_bytes(), value.map(str::as_bytes));
        }
        Letter::read(&Partition::new("dead", 1), &batch.finish(), 0)
    }

    #[test]
    fn the_last_identity_divides_the_records_headers_from_ours() {
        let earlier = [("trace", Some("x")), (IDENTITY, Some("a-0-1//0")), ("tidegate-status", Some("400"))];
        let now = [(IDENTITY, Some("my-topic-2-17/all/3")), (REASON, Some("plugin")), (OUTPUT, Some("all"))];
        let letter = letter(&[&earlier[..], &now[..]].concat()).expect("it has an identity");
        assert_eq!((letter.own().len(), letter.ours().len()), (3, 3));
        assert_eq!((letter.reason(), letter.text("tidegate-status")), ("plugin", None));
        assert_eq!(
            (letter.position.to_string(), letter.written.map(|it| it.micros())),
            ("dead-1-4".into(), Some(5000))
        );
        let origin = Partition::new("my-topic", 2).origin(Offset(17));
        assert_eq!(letter.subject(), Subject::Record { origin, output: Some("all"), ordinal: 3 });
    }

    #[test]
    fn identities_say_what_a_letter_is_of() {
        let origin = Partition::new("events", 3).origin(Offset(7));
        assert_eq!(subject("events-3-7//0"), Some(Subject::Record { origin, output: None, ordinal: 0 }));
        assert_eq!(
            subject("document/counts/counts:60000:0:s1:/;"),
            Some(Subject::Document { output: "counts", id: "counts:60000:0:s1:/;" })
        );
        assert_eq!(subject("part/events-3/counts/0/60/1/AWE"), Some(Subject::Part { output: "counts" }));
        for other in ["", "events", "events-3-7", "events-7//0", "events-3-x//0", "events-3--7//0"] {
            assert_eq!(subject(other), None, "{other}");
        }
    }

    #[test]
    fn what_has_no_identity_is_no_letter() {
        assert_eq!(letter(&[("trace", Some("x"))]), None);
        assert_eq!(letter(&[(IDENTITY, None)]), None);
    }
}
