//! Which components served near a record: as the checkpoints of its partition name them, and its dead letters.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::{CheckpointReport, ComponentReport, ServedReport};
use crate::checkpoint::{Header, Place};
use crate::config::PipelineSettings;
use crate::pipeline::positions::ask_store;
use crate::pipeline::{DeadLetterTopic, LetterFilter, PipelineError};
use crate::record::{Offset, Origin};
use crate::sink::dead_letter::{PLUGIN, PLUGIN_DIGEST, PLUGIN_GENERATION, PLUGIN_VERSION, REVISION};
use crate::sink::{Letter, Subject};

/// Checkpoints whose headers are looked at, the newest: there are two and those of a day's hours.
const CHECKPOINTS_MAX: usize = 64;

/// The newest checkpoint before the record, and the oldest behind it.
pub(super) fn checkpoints(
    settings: &PipelineSettings,
    origin: &Origin,
) -> Result<Vec<CheckpointReport>, PipelineError> {
    let place = Place { pipeline: settings.name.as_str().into(), partition: origin.partition.clone() };
    let headers = ask_store(settings, async |store| {
        let mut headers = Vec::new();
        for kept in store.list(&place).await?.iter().take(CHECKPOINTS_MAX) {
            // One that is damaged says nothing.
            headers.extend(store.header(&place, kept).await.ok());
        }
        Ok(headers)
    })?;
    let headers = headers.unwrap_or_default();
    let before = headers.iter().filter(|header| header.next <= origin.offset).max_by_key(|header| header.next);
    let after = headers.iter().filter(|header| header.next > origin.offset).min_by_key(|header| header.next);
    let report = |header: &Header| CheckpointReport {
        next: header.next.0,
        is_before: header.next <= origin.offset,
        components: header
            .components
            .iter()
            .map(|it| ComponentReport { name: it.name.clone(), version: None, digest: it.digest.clone() })
            .collect(),
    };
    Ok(before.into_iter().chain(after).map(report).collect())
}

/// Of each of these plugins what the last dead letter up to the record names, and the first one behind it: of its partition, and of the same
/// revision, since a rewind reads records again with what serves then.
pub(super) fn letters(
    topic: &DeadLetterTopic,
    origin: &Origin,
    revision: u16,
    plugins: &[String],
) -> Result<Vec<ServedReport>, PipelineError> {
    let mut near: BTreeMap<(String, bool), (Offset, ServedReport)> = BTreeMap::new();
    let filter = LetterFilter {
        plugins: plugins.to_vec(),
        origins: vec![origin.partition.to_string()],
        ..LetterFilter::default()
    };
    if plugins.is_empty() {
        return Ok(Vec::new());
    }
    topic.each(&filter, |found| {
        if found.letter.number(REVISION) == Some(revision)
            && let Some((offset, report)) = served(&found.letter, origin)
        {
            let side = (report.plugin.clone(), !report.is_before);
            // Of one record the first letter counts: those that a replay has given are of what served then.
            let is_nearer = near.get(&side).is_none_or(|(known, _)| match report.is_before {
                true => offset > *known,
                false => offset < *known,
            });
            if is_nearer {
                near.insert(side, (offset, report));
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(near.into_values().map(|(_, report)| report).collect())
}

fn served(letter: &Letter, origin: &Origin) -> Option<(Offset, ServedReport)> {
    let Subject::Record { origin: of, .. } = letter.subject() else { return None };
    let text = |name: &str| letter.text(name).map(str::to_owned);
    let report = ServedReport {
        plugin: text(PLUGIN)?,
        version: text(PLUGIN_VERSION),
        digest: text(PLUGIN_DIGEST)?,
        generation: letter.number(PLUGIN_GENERATION),
        origin: of.to_string(),
        is_before: of.offset <= origin.offset,
    };
    (of.partition == origin.partition).then_some((of.offset, report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Message, Partition};
    use crate::sink::dead_letter::IDENTITY;

    fn letter(headers: &[(&str, &str)]) -> Letter {
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), Some(value.as_bytes().to_vec()));
        let headers = headers.iter().map(header).collect();
        let message = Message { topic: "letters".into(), partition: None, key: None, value: None, headers };
        Letter::unwritten(message).expect("it has an identity")
    }

    #[test]
    fn a_letter_that_a_plugin_gave_names_what_served_then() {
        let origin = Partition::new("events", 1).origin(Offset(5));
        let of = |identity: &str| {
            let headers = [(IDENTITY, identity), (PLUGIN, "mark"), (PLUGIN_DIGEST, "c0ffee"), (PLUGIN_GENERATION, "3")];
            served(&letter(&headers), &origin)
        };
        let (offset, report) = of("events-1-5/all/0").expect("it is of a record");
        assert_eq!((offset, report.generation, report.is_before), (Offset(5), Some(3), true));
        assert!(of("events-1-6/all/0").is_some_and(|(_, report)| !report.is_before));
        assert_eq!(of("events-2-5/all/0"), None);
        assert_eq!(of("document/counts/x"), None);
        // Of no plugin.
        assert_eq!(served(&letter(&[(IDENTITY, "events-1-5//0")]), &origin), None);
    }
}
