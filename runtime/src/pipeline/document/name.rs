//! What a document's id says of where it comes from.

use crate::config::{IndexPattern, OutputSettings, PipelineSettings};
use crate::pipeline::PipelineError;
use crate::record::{EventTime, Origin, Partition};

/// Which document is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentName {
    /// None: in all indices that the outputs write.
    pub index: Option<String>,
    pub id: String,
}

/// What the id is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum IdOf {
    Record {
        output: String,
        origin: Origin,
        ordinal: u32,
    },
    Window {
        output: String,
        start: EventTime,
        /// Whose windows are not merged over partitions.
        of: Option<Partition>,
        /// As the id has it; cut short where the id is.
        group: String,
        /// The id of the first document of the state.
        first: String,
    },
    /// A field's text.
    Field,
}

impl DocumentName {
    /// `INDEX/ID` or `ID`. An id may have a `/` too: what is before the first is an index where an output may write one of that name.
    pub fn parse(text: &str, settings: &PipelineSettings) -> Result<DocumentName, PipelineError> {
        let is_written = |name: &str| settings.outputs.iter().any(|output| fits(&output.index.wildcard(), name));
        let name = text.split_once('/').filter(|(index, _)| IndexPattern::is_name(index));
        match name {
            Some((_, "")) => Err(PipelineError::NoDocumentId { document: text.to_owned() }),
            None if text.is_empty() => Err(PipelineError::NoDocumentId { document: String::new() }),
            Some((index, id)) if is_written(index) => {
                Ok(DocumentName { index: Some(index.to_owned()), id: id.to_owned() })
            }
            Some(_) | None => Ok(DocumentName { index: None, id: text.to_owned() }),
        }
    }

    /// In words, where the id begins like an index, and no output writes one of that name.
    pub(super) fn no_index(&self) -> Option<String> {
        let (index, id) = self.id.split_once('/').filter(|_| self.index.is_none())?;
        IndexPattern::is_name(index)
            .then(|| format!("no output writes an index {index}, so that {index}/{id} is taken for the id"))
    }

    /// The indices to look in, `*` for what differs from document to document.
    pub(super) fn indices(&self, settings: &PipelineSettings) -> Vec<String> {
        if let Some(index) = &self.index {
            return vec![index.clone()];
        }
        let mut all: Vec<String> = settings.outputs.iter().map(|output| output.index.wildcard()).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Whether an output may have written a document that is found in this index. One that stands behind an alias or a data stream has a name that
/// tells nothing.
pub(super) fn writes(output: &OutputSettings, index: &str, all: &[OutputSettings]) -> bool {
    let names_it = |output: &OutputSettings| fits(&output.index.wildcard(), index);
    names_it(output) || !all.iter().any(names_it)
}

/// `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name
            .strip_prefix(head)
            .is_some_and(|tail| (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| fits(rest, tail)))),
    }
}

/// What an id is of, among these outputs.
pub(super) fn id_of(id: &str, outputs: &[OutputSettings]) -> IdOf {
    let derived = || {
        let (name, rest) = id.split_once(':')?;
        let output = outputs.iter().find(|output| output.name == name && output.id.is_none())?;
        match &output.aggregate {
            None => record(name, rest),
            Some(_) => window(name, rest, id),
        }
    };
    derived().unwrap_or(IdOf::Field)
}

fn record(output: &str, rest: &str) -> Option<IdOf> {
    let (origin, ordinal) = match rest.split_once('/') {
        Some((origin, ordinal)) => (origin, ordinal.parse().ok()?),
        None => (rest, 0),
    };
    Some(IdOf::Record { output: output.to_owned(), origin: Origin::parse(origin)?, ordinal })
}

fn window(output: &str, rest: &str, id: &str) -> Option<IdOf> {
    let mut segments = rest.splitn(3, ':');
    let (_, start, rest) = (segments.next()?, segments.next()?, segments.next()?);
    let (of, group) = match rest.strip_prefix('@').and_then(|of| of.split_once(':')) {
        Some((of, group)) => {
            let (topic, number) = of.rsplit_once('-')?;
            (Some(Partition::new(topic, number.parse().ok()?)), group)
        }
        None => (None, rest),
    };
    // A group's values end with `;`, and what comes behind is an ordinal.
    let end = group.rfind(';').map_or(group.len(), |end| end + 1);
    let (group, ordinal) = group.split_at(end);
    let millis: i64 = start.parse().ok()?;
    Some(IdOf::Window {
        output: output.to_owned(),
        start: EventTime::from_micros(millis.checked_mul(1000)?),
        of,
        group: group.to_owned(),
        first: id.strip_suffix(ordinal).unwrap_or(id).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::record::{ErrorKind, HasKind, Offset};

    const FILE: &str = r#"
        name = "clicks"
        [source.kafka]
        brokers = "localhost:9092"
        topics = ["my-events"]
        [source.decode]
        event_time = "time"
        [watermark]
        out_of_order = "1m"
        [sink.elasticsearch]
        urls = ["http://localhost:9200"]
        [[output]]
        name = "all"
        index = "all-{event_time:%Y}"
        [[output]]
        name = "keyed"
        index = "keyed"
        id = "$key"
        [[output]]
        name = "counts"
        index = "counts"
        [output.aggregate]
        plugin = "count.wasm"
        group_by = ["g"]
        window = { tumbling = "1m" }
    "#;

    fn settings() -> PipelineSettings {
        let parsed = PipelineSettings::parse(FILE, Path::new("p.toml"), &|_| None, None);
        parsed.unwrap_or_else(|errors| panic!("{errors}")).0
    }

    fn parse(text: &str, settings: &PipelineSettings) -> DocumentName {
        DocumentName::parse(text, settings).unwrap_or_else(|error| panic!("{error}"))
    }

    fn of(id: &str) -> IdOf {
        id_of(id, &settings().outputs)
    }

    #[test]
    fn an_id_says_its_record() {
        let origin = Partition::new("my-events", 3).origin(Offset(17));
        let record = |ordinal| IdOf::Record { output: "all".to_owned(), origin: origin.clone(), ordinal };
        assert_eq!(of("all:my-events-3-17"), record(0));
        assert_eq!(of("all:my-events-3-17/2"), record(2));
        for other in ["keyed:my-events-3-17", "k1", "all:x", "all:my-events-3-17/x", "nobody:my-events-3-17"] {
            assert_eq!(of(other), IdOf::Field, "{other}");
        }
    }

    #[test]
    fn an_id_says_its_window() {
        let window = |of, group: &str, first: &str| IdOf::Window {
            output: "counts".to_owned(),
            start: EventTime::from_micros(120_000_000),
            of,
            group: group.to_owned(),
            first: first.to_owned(),
        };
        let id = "counts:60000:120000:s5:a:b/1;i7;";
        assert_eq!(of(id), window(None, "s5:a:b/1;i7;", id));
        assert_eq!(of("counts:60000:120000:n;/2"), window(None, "n;", "counts:60000:120000:n;"));
        let id = "counts:60000:120000:@my-events-3:t;";
        assert_eq!(of(id), window(Some(Partition::new("my-events", 3)), "t;", id));
    }

    #[test]
    fn what_no_index_is_called_is_of_an_id() {
        let file = FILE.replace("all-{event_time:%Y}", "{kind}");
        let parsed = PipelineSettings::parse(&file, Path::new("p.toml"), &|_| None, None);
        let settings = parsed.unwrap_or_else(|errors| panic!("{errors}")).0;
        for id in ["all:my-events-3-17/2", "Berlin/a", "Berlin/", "_a/b", "/a", "/", "a b/c"] {
            let name = parse(id, &settings);
            assert_eq!((name.no_index(), name), (None, DocumentName { index: None, id: id.to_owned() }));
        }
        assert_eq!(parse("berlin/a", &settings).index.as_deref(), Some("berlin"));
    }

    #[test]
    fn an_index_is_one_that_an_output_may_write() {
        let name = |text: &str| parse(text, &settings());
        let in_index = |index: &str, id: &str| DocumentName { index: Some(index.to_owned()), id: id.to_owned() };
        assert_eq!(name("all-2026/all:my-events-3-17/2"), in_index("all-2026", "all:my-events-3-17/2"));
        assert_eq!(name("keyed/a/b"), in_index("keyed", "a/b"));
        assert_eq!(name("a/b"), DocumentName { index: None, id: "a/b".to_owned() });
        let words = "no output writes an index nope, so that nope/all:my-events-3-17 is taken for the id";
        assert_eq!(name("nope/all:my-events-3-17").no_index().as_deref(), Some(words));
        assert_eq!((name("keyed/a/b").no_index(), name("k").no_index()), (None, None));
        assert_eq!(name("k").indices(&settings()), ["all-*", "counts", "keyed"]);
    }

    #[test]
    fn an_empty_id_is_refused() {
        for text in ["", "a/", "keyed/"] {
            let error = DocumentName::parse(text, &settings()).expect_err("it has no id");
            let words = format!("a document's id is missing: document=`{text}`; give INDEX/ID, or ID alone");
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Config, words));
        }
    }
}
