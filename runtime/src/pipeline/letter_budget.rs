//! How many dead letters are too many: a topic that becomes dead letters as a whole is rarely what somebody wants.

use super::PipelineError;
use super::counters::Counts;
use crate::config::DeadLetterSettings;
use crate::record::ReasonKind;

/// So many records are looked at together, at least.
const SPAN: u64 = 1_000;

/// The bounds of the pipeline file, and what there was when it was looked last.
#[derive(Debug)]
pub(super) struct LetterBudget {
    percent_max: Option<u32>,
    run_max: Option<u64>,
    /// At the beginning of the records that are looked at together.
    span: Counts,
    /// When last a record became none.
    well: Counts,
}

impl LetterBudget {
    pub fn new(settings: &DeadLetterSettings) -> Self {
        let DeadLetterSettings { percent_max, run_max, .. } = *settings;
        LetterBudget { percent_max, run_max, span: Counts::default(), well: Counts::default() }
    }

    /// What there is to say when there are too many; `now`: [what is judged](super::Snapshot::judged).
    pub fn exceeded(&mut self, now: &Counts) -> Option<PipelineError> {
        let others = |counts: &Counts| counts.tally.records.saturating_sub(counts.dead_letters());
        if others(now) > others(&self.well) {
            self.well = now.clone();
        }
        let run = now.dead_letters() - self.well.dead_letters();
        if let Some(max) = self.run_max.filter(|max| run >= *max) {
            let bound = format!("run_max=`{max}`");
            return Some(too_many(&self.well, now, bound));
        }
        let records = now.tally.records.saturating_sub(self.span.tally.records);
        let letters = now.dead_letters() - self.span.dead_letters();
        if records < SPAN {
            return None;
        }
        let before = std::mem::replace(&mut self.span, now.clone());
        let max = self.percent_max.filter(|max| letters * 100 > records * u64::from(*max))?;
        Some(too_many(&before, now, format!("percent_max=`{max}`")))
    }
}

fn too_many(before: &Counts, now: &Counts, bound: String) -> PipelineError {
    let since = now.tally.dead_letters.iter().zip(&before.tally.dead_letters).map(|(now, before)| now - before);
    let mut reasons: Vec<(u64, &str)> = since.zip(ReasonKind::ALL.map(ReasonKind::name)).collect();
    reasons.retain(|(letters, _)| *letters > 0);
    reasons.sort_by_key(|(letters, _)| std::cmp::Reverse(*letters));
    let reasons: Vec<String> = reasons.into_iter().map(|(letters, reason)| format!("{reason} {letters}")).collect();
    PipelineError::TooManyDeadLetters {
        letters: now.dead_letters() - before.dead_letters(),
        records: now.tally.records.saturating_sub(before.tally.records),
        reasons: reasons.join(", "),
        bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{SinkSnapshot, Snapshot};

    fn counts(records: u64, json: u64, sink: u64) -> Counts {
        let mut counts = Counts::default();
        counts.tally.records = records;
        counts.tally.dead_letters[ReasonKind::Json as usize] = json;
        counts.tally.dead_letters[ReasonKind::Sink as usize] = sink;
        counts
    }

    fn bounded(percent_max: Option<u32>, run_max: Option<u64>) -> LetterBudget {
        LetterBudget::new(&DeadLetterSettings { topic: "dead".to_owned(), percent_max, run_max, archive: None })
    }

    #[test]
    fn more_than_so_many_of_a_hundred_are_too_many() {
        let mut budget = bounded(Some(10), None);
        assert!(budget.exceeded(&counts(999, 999, 0)).is_none(), "too few to tell");
        assert!(budget.exceeded(&counts(10_000, 1_000, 0)).is_none());
        let error = budget.exceeded(&counts(11_000, 1_001, 100)).expect("101 of 1000");
        let said = error.to_string();
        assert!(said.contains("letters=`101` records=`1000` percent_max=`10`: sink 100, json 1"), "{said}");
    }

    #[test]
    fn so_many_one_after_the_other_are_too_many() {
        let mut budget = bounded(None, Some(50));
        assert!(budget.exceeded(&counts(100, 49, 0)).is_none());
        assert!(budget.exceeded(&counts(200, 98, 0)).is_none(), "others came between them");
        assert!(budget.exceeded(&counts(247, 145, 0)).is_none());
        assert!(budget.exceeded(&counts(248, 146, 2)).is_some());
    }

    #[test]
    fn records_count_when_the_index_has_answered() {
        let mut budget = bounded(Some(20), Some(1_000));
        let look = |records: u64, settled: u64, refused: u64| {
            let mut counts = counts(records, 0, refused);
            counts.tally.documents = records;
            let sinks = vec![SinkSnapshot { settled, ..SinkSnapshot::default() }];
            Snapshot { counts, sinks, ..Snapshot::default() }.judged()
        };
        assert!(budget.exceeded(&look(20_000, 0, 0)).is_none());
        assert!(budget.exceeded(&look(20_000, 9_000, 1_000)).is_none(), "others were between them");
        assert!(budget.exceeded(&look(20_000, 18_000, 2_000)).is_none(), "one in ten");
        assert!(budget.exceeded(&look(25_000, 18_000, 2_000)).is_none(), "nothing is known of these");
        let said = budget.exceeded(&look(25_000, 18_000, 7_000)).expect("all of them").to_string();
        assert!(said.contains("letters=`5000`"), "{said}");
    }

    #[test]
    fn without_a_bound_nothing_is_too_much() {
        let mut budget = bounded(None, None);
        assert!(budget.exceeded(&counts(10_000, 10_000, 0)).is_none());
    }
}
