//! Which dead letters somebody wants.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::PipelineSettings;
use crate::pipeline::PipelineError;
use crate::record::{EventTime, ReasonKind};
use crate::sink::dead_letter::{ATTEMPTS, ERROR_TYPE, ID, INDEX, PLUGIN, PLUGIN_DIGEST, PLUGIN_GENERATION, STATUS};
use crate::sink::{Letter, Subject};

/// A letter must fit all that is asked for; of a list one is enough, and an empty one asks for nothing.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct LetterFilter {
    /// The pipeline that wrote them, for which the topic is opened; none: the pipeline file's.
    pub pipeline: Option<String>,
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
    pub since: Option<Moment>,
    /// Written before.
    pub until: Option<Moment>,
    pub identities: Vec<String>,
}

/// A time, and how it was said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    pub time: EventTime,
    /// So long ago; none where the time itself was said.
    pub ago: Option<Duration>,
}

impl LetterFilter {
    /// Whether all letters fit.
    pub fn is_empty(&self) -> bool {
        *self == LetterFilter::default()
    }

    /// An error where no letter can fit, whatever there is.
    pub(super) fn check(&self) -> Result<(), PipelineError> {
        let (Some(Moment { time: since, .. }), Some(Moment { time: until, .. })) = (self.since, self.until) else {
            return Ok(());
        };
        match since < until {
            true => Ok(()),
            false => Err(PipelineError::DeadLetters(format!(
                "no time is between since=`{since}` and until=`{until}`; the earlier one belongs to --since"
            ))),
        }
    }

    /// 16 hexadecimal digits that stand for the filter, whatever the order of what is repeated; none where all letters fit. A time that was
    /// said as so long ago is the same one later.
    pub(super) fn digits(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let LetterFilter { pipeline, reasons, outputs, plugins, generations, digest, statuses, attempts_min, .. } =
            self;
        let LetterFilter { error_types, indices, ids, origins, contains, since, until, identities, .. } = self;
        let text = [
            lines("pipeline", pipeline),
            lines("reason", reasons),
            lines("output", outputs),
            lines("plugin", plugins),
            lines("generation", generations),
            lines("digest", digest),
            lines("status", statuses),
            lines("attempts", attempts_min),
            lines("error-type", error_types),
            lines("index", indices),
            lines("id", ids),
            lines("origin", origins),
            lines("contains", contains),
            lines("since", since.map(Moment::said)),
            lines("until", until.map(Moment::said)),
            lines("identity", identities),
        ];
        Some(blake3::hash(text.concat().as_bytes()).to_hex()[..16].to_owned())
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
            && self.since.is_none_or(|since| letter.written.is_some_and(|written| written >= since.time))
            && self.until.is_none_or(|until| letter.written.is_some_and(|written| written < until.time))
            && one_of(&self.identities, Some(letter.identity()))
    }

    fn is_kind(&self, letter: &Letter) -> bool {
        self.reasons.is_empty() || self.reasons.iter().any(|reason| reason.name() == letter.reason())
    }
}

impl Moment {
    fn said(self) -> String {
        match self.ago {
            Some(ago) => format!("{} us ago", ago.as_micros()),
            None => self.time.micros().to_string(),
        }
    }
}

/// An error that names an output of which there is nothing: no letter, and no word in the pipeline file.
pub(super) fn check_outputs(settings: &PipelineSettings, unseen: &[&String]) -> Result<(), PipelineError> {
    let known: Vec<&str> = settings.outputs.iter().map(|output| output.name.as_str()).collect();
    let Some(output) = unseen.iter().find(|output| !known.contains(&output.as_str())) else { return Ok(()) };
    let known = known.join(", ");
    Err(PipelineError::DeadLetters(format!(
        "no dead letter is of this output, and the pipeline file does not have it: output=`{output}`; there are: {known}"
    )))
}

/// A line for each value, once each and in order.
fn lines(name: &str, values: impl IntoIterator<Item = impl ToString>) -> String {
    let values: BTreeSet<String> = values.into_iter().map(|value| value.to_string()).collect();
    values.iter().map(|value| format!("{name} {}:{value}\n", value.len())).collect()
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
        let time = |micros| Some(Moment { time: EventTime::from_micros(micros), ago: None });
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
    fn the_same_filter_has_the_same_digits_and_each_other_one_others() {
        let some = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
        let all = LetterFilter::default;
        let digits = |filter: LetterFilter| filter.digits().expect("it asks for something");
        assert_eq!(all().digits(), None);
        assert_eq!(
            digits(LetterFilter { outputs: some(&["a", "b", "a"]), ..all() }),
            digits(LetterFilter { outputs: some(&["b", "a"]), ..all() })
        );
        let moment = |micros, ago: Option<u64>| {
            Some(Moment { time: EventTime::from_micros(micros), ago: ago.map(Duration::from_secs) })
        };
        let since = |since| digits(LetterFilter { since, ..all() });
        assert_eq!(since(moment(1, Some(7200))), since(moment(2, Some(7200))), "two hours ago, a moment later");
        let different = [
            digits(LetterFilter { outputs: some(&["a", "b"]), ..all() }),
            digits(LetterFilter { outputs: some(&["a\noutput 1:b"]), ..all() }),
            digits(LetterFilter { plugins: some(&["a", "b"]), ..all() }),
            digits(LetterFilter { pipeline: Some("a".into()), ..all() }),
            digits(LetterFilter { generations: vec![400], ..all() }),
            digits(LetterFilter { statuses: vec![400], ..all() }),
            digits(LetterFilter { attempts_min: Some(400), ..all() }),
            digits(LetterFilter { contains: Some(String::new()), ..all() }),
            digits(LetterFilter { until: moment(1, None), ..all() }),
            since(moment(1, None)),
            since(moment(2, None)),
            since(moment(1, Some(7200))),
            since(moment(1, Some(7201))),
        ];
        assert_eq!(BTreeSet::from(different.clone()).len(), different.len(), "{different:?}");
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
