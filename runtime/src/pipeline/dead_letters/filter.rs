//! Which dead letters somebody wants.

use crate::config::PipelineSettings;
use crate::pipeline::PipelineError;
use crate::record::{EventTime, ReasonKind};
use crate::sink::dead_letter::{ATTEMPTS, ERROR_TYPE, ID, INDEX, PLUGIN, PLUGIN_DIGEST, PLUGIN_GENERATION, STATUS};
use crate::sink::{Letter, Subject};

/// A letter must fit all that is asked for; of a list one is enough, and an empty one asks for nothing.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct LetterFilter {
    pub reasons: Vec<ReasonKind>,
    pub outputs: Vec<String>,
    pub plugins: Vec<String>,
    pub generations: Vec<u64>,
    /// Of a component: what its digest begins with, in lower case.
    pub digest: Option<String>,
    /// Of the index's answer.
    pub statuses: Vec<u16>,
    /// Sent at least so often.
    pub attempts_min: Option<u16>,
    pub error_types: Vec<String>,
    pub indices: Vec<String>,
    /// Of documents.
    pub ids: Vec<String>,
    /// `TOPIC`, `TOPIC-PARTITION` or `TOPIC-PARTITION-OFFSET`.
    pub origins: Vec<String>,
    /// In the message.
    pub contains: Option<String>,
    /// Written then or later.
    pub since: Option<EventTime>,
    /// Written before.
    pub until: Option<EventTime>,
    pub identities: Vec<String>,
}

impl LetterFilter {
    /// Whether all letters fit.
    pub fn is_empty(&self) -> bool {
        *self == LetterFilter::default()
    }

    /// An error where no letter can fit.
    pub fn check(&self, settings: &PipelineSettings) -> Result<(), PipelineError> {
        let known: Vec<&str> = settings.outputs.iter().map(|output| output.name.as_str()).collect();
        if let Some(output) = self.outputs.iter().find(|output| !known.contains(&output.as_str())) {
            let known = known.join(", ");
            return Err(PipelineError::DeadLetters(format!(
                "the pipeline file has no such output: output=`{output}`; there are: {known}"
            )));
        }
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err(PipelineError::DeadLetters(format!(
                "no time is between since=`{since}` and until=`{until}`; the earlier one belongs to --since"
            )));
        }
        Ok(())
    }

    pub fn fits(&self, letter: &Letter) -> bool {
        let text = |wanted: &[String], name: &str| one_of(wanted, letter.text(name));
        self.is_kind(letter)
            && one_of(&self.outputs, letter.output())
            && text(&self.plugins, PLUGIN)
            && (self.generations.is_empty()
                || letter.number(PLUGIN_GENERATION).is_some_and(|it| self.generations.contains(&it)))
            && self
                .digest
                .as_ref()
                .is_none_or(|digest| letter.text(PLUGIN_DIGEST).is_some_and(|it| it.starts_with(digest)))
            && (self.statuses.is_empty() || letter.number(STATUS).is_some_and(|it| self.statuses.contains(&it)))
            && self.attempts_min.is_none_or(|min| letter.number(ATTEMPTS).is_some_and(|it: u16| it >= min))
            && text(&self.error_types, ERROR_TYPE)
            && text(&self.indices, INDEX)
            && text(&self.ids, ID)
            && (self.origins.is_empty() || self.origins.iter().any(|origin| is_from(letter, origin)))
            && self.contains.as_ref().is_none_or(|text| letter.message().contains(text.as_str()))
            && self.since.is_none_or(|since| letter.written.is_some_and(|written| written >= since))
            && self.until.is_none_or(|until| letter.written.is_some_and(|written| written < until))
            && one_of(&self.identities, Some(letter.identity()))
    }

    fn is_kind(&self, letter: &Letter) -> bool {
        self.reasons.is_empty() || self.reasons.iter().any(|reason| reason.name() == letter.reason())
    }
}

fn one_of(wanted: &[String], found: Option<&str>) -> bool {
    wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|one| one == found))
}

/// Whether it is of this topic, partition or record.
fn is_from(letter: &Letter, origin: &str) -> bool {
    let numbers = match letter.subject() {
        Subject::Record { .. } | Subject::Part { .. } => 2,
        Subject::Document { .. } => 1,
        Subject::Unknown => 0,
    };
    let parents = std::iter::successors(Some(letter.origin()), |text| Some(text.rsplit_once('-')?.0));
    parents.take(numbers + 1).any(|text| text == origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, Offset, Partition};

    fn letter(identity: &str, headers: &[(&str, &str)]) -> Letter {
        let mut batch = BatchBuilder::new(EventTime::MIN);
        batch.push(Offset(0), Some(EventTime::from_micros(10)), None, Some(b"{}"));
        for (name, value) in [("tidegate-identity", identity)].iter().chain(headers) {
            batch.header(name.as_bytes(), Some(value.as_bytes()));
        }
        Letter::read(&Partition::new("dead", 0), &batch.finish(), 0).expect("it has an identity")
    }

    fn refused() -> Letter {
        letter(
            "my-events-3-17/all/0",
            &[
                ("tidegate-reason", "sink"),
                ("tidegate-message", "failed to parse field [n]"),
                ("tidegate-origin", "my-events-3-17"),
                ("tidegate-output", "all"),
                ("tidegate-status", "400"),
                ("tidegate-error-type", "document_parsing_exception"),
                ("tidegate-index", "all-1"),
                ("tidegate-id", "all:my-events-3-17"),
            ],
        )
    }

    fn rejected() -> Letter {
        letter(
            "my-events-3-18//0",
            &[
                ("tidegate-reason", "plugin"),
                ("tidegate-message", "no user"),
                ("tidegate-origin", "my-events-3-18"),
                ("tidegate-plugin", "has-user"),
                ("tidegate-plugin-digest", "c0ffee00"),
                ("tidegate-plugin-generation", "3"),
            ],
        )
    }

    /// Which of the two fit.
    fn fit(filter: &LetterFilter) -> [bool; 2] {
        [filter.fits(&refused()), filter.fits(&rejected())]
    }

    #[test]
    fn each_asks_for_one_thing() {
        let some = |text: &str| vec![text.to_owned()];
        let all = LetterFilter::default;
        assert_eq!(fit(&all()), [true, true]);
        assert_eq!(fit(&LetterFilter { reasons: vec![ReasonKind::Sink], ..all() }), [true, false]);
        assert_eq!(fit(&LetterFilter { outputs: some("all"), ..all() }), [true, false]);
        assert_eq!(fit(&LetterFilter { plugins: some("has-user"), ..all() }), [false, true]);
        assert_eq!(fit(&LetterFilter { generations: vec![2, 3], ..all() }), [false, true]);
        assert_eq!(fit(&LetterFilter { generations: vec![2], ..all() }), [false, false]);
        assert_eq!(fit(&LetterFilter { digest: Some("c0ff".into()), ..all() }), [false, true]);
        assert_eq!(fit(&LetterFilter { digest: Some("ffee".into()), ..all() }), [false, false]);
        assert_eq!(fit(&LetterFilter { statuses: vec![400], ..all() }), [true, false]);
        assert_eq!(fit(&LetterFilter { error_types: some("document_parsing_exception"), ..all() }), [true, false]);
        assert_eq!(fit(&LetterFilter { indices: some("all-1"), ..all() }), [true, false]);
        assert_eq!(fit(&LetterFilter { ids: some("all:my-events-3-17"), ..all() }), [true, false]);
        assert_eq!(fit(&LetterFilter { contains: Some("field [n]".into()), ..all() }), [true, false]);
        assert_eq!(fit(&LetterFilter { identities: some("my-events-3-18//0"), ..all() }), [false, true]);
        let time = |micros| Some(EventTime::from_micros(micros));
        assert_eq!(fit(&LetterFilter { since: time(10), until: time(11), ..all() }), [true, true]);
        assert_eq!(fit(&LetterFilter { since: time(11), ..all() }), [false, false]);
        assert_eq!(fit(&LetterFilter { until: time(10), ..all() }), [false, false]);
    }

    #[test]
    fn all_must_fit() {
        let both = LetterFilter { reasons: vec![ReasonKind::Sink, ReasonKind::Plugin], ..LetterFilter::default() };
        assert_eq!(fit(&both), [true, true]);
        assert_eq!(fit(&LetterFilter { plugins: vec!["has-user".into()], ..both.clone() }), [false, true]);
        assert_eq!(fit(&LetterFilter { statuses: vec![400], plugins: vec!["has-user".into()], ..both }), [false; 2]);
    }

    #[test]
    fn an_origin_is_a_topic_a_partition_or_a_record() {
        let from = |origin: &str| fit(&LetterFilter { origins: vec![origin.into()], ..LetterFilter::default() });
        assert_eq!(from("my-events"), [true, true]);
        assert_eq!(from("my-events-3"), [true, true]);
        assert_eq!(from("my-events-3-18"), [false, true]);
        assert_eq!((from("my"), from("my-events-1")), ([false; 2], [false; 2]));
        let document = letter("document/counts/counts:1:2:n;", &[("tidegate-origin", "clicks.parts-1")]);
        assert!(is_from(&document, "clicks.parts") && is_from(&document, "clicks.parts-1"));
    }
}
