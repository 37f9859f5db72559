//! How many dead letters are too many: a topic that becomes dead letters as a whole is rarely what somebody wants.

use super::PipelineError;
use crate::config::DeadLetterSettings;
use crate::lane::Judged;
use crate::record::ReasonKind;

/// So many records are looked at together, at least.
const SPAN: u64 = 1_000;

/// The bounds of the pipeline file, and where the records began that are looked at together.
#[derive(Debug)]
pub(super) struct LetterBudget {
    percent_max: Option<u32>,
    run_max: Option<u64>,
    begin: Judged,
}

impl LetterBudget {
    pub fn new(settings: &DeadLetterSettings) -> Self {
        let DeadLetterSettings { percent_max, run_max, .. } = *settings;
        LetterBudget { percent_max, run_max, begin: Judged::default() }
    }

    /// What there is to say when there are too many.
    pub fn exceeded(&mut self, now: &Judged) -> Option<PipelineError> {
        if let Some(max) = self.run_max.filter(|max| now.run_max >= *max) {
            return Some(PipelineError::TooManyDeadLetters {
                letters: now.run_max,
                records: now.run_max,
                reasons: reasons(&self.begin, now),
                bound: format!("run_max=`{max}`"),
            });
        }
        let (letters, records) = (now.refused - self.begin.refused, now.records - self.begin.records);
        if records < SPAN {
            return None;
        }
        let begin = std::mem::replace(&mut self.begin, *now);
        let max = self.percent_max.filter(|max| letters * 100 > records * u64::from(*max))?;
        let bound = format!("percent_max=`{max}`");
        Some(PipelineError::TooManyDeadLetters { letters, records, reasons: reasons(&begin, now), bound })
    }
}

fn reasons(before: &Judged, now: &Judged) -> String {
    let since = now.reasons.iter().zip(&before.reasons).map(|(now, before)| now - before);
    let mut reasons: Vec<(u64, &str)> = since.zip(ReasonKind::ALL.map(ReasonKind::name)).collect();
    reasons.retain(|(letters, _)| *letters > 0);
    reasons.sort_by_key(|(letters, _)| std::cmp::Reverse(*letters));
    let reasons: Vec<String> = reasons.into_iter().map(|(letters, reason)| format!("{reason} {letters}")).collect();
    reasons.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(records: u64, json: u64, sink: u64) -> Judged {
        let mut judged = Judged { records, refused: json + sink, ..Judged::default() };
        judged.reasons[ReasonKind::Json as usize] = json;
        judged.reasons[ReasonKind::Sink as usize] = sink;
        judged
    }

    fn bounded(percent_max: Option<u32>, run_max: Option<u64>) -> LetterBudget {
        LetterBudget::new(&DeadLetterSettings { topic: "dead".to_owned(), percent_max, run_max, archive: None })
    }

    #[test]
    fn more_than_so_many_of_a_hundred_are_too_many() {
        let mut budget = bounded(Some(10), None);
        assert!(budget.exceeded(&judged(999, 999, 0)).is_none(), "too few to tell");
        assert!(budget.exceeded(&judged(10_000, 1_000, 0)).is_none());
        let error = budget.exceeded(&judged(11_000, 1_001, 100)).expect("101 of 1000");
        let said = error.to_string();
        assert!(said.contains("letters=`101` records=`1000` percent_max=`10`: sink 100, json 1"), "{said}");
    }

    #[test]
    fn so_many_one_after_the_other_are_too_many() {
        let mut budget = bounded(None, Some(50));
        let run = |run_max, judged: Judged| Judged { run_max, ..judged };
        assert!(budget.exceeded(&run(49, judged(2_000, 1_000, 49))).is_none(), "others were between them");
        let said = budget.exceeded(&run(51, judged(2_500, 1_100, 51))).expect("51").to_string();
        assert!(said.contains("letters=`51` records=`51` run_max=`50`: json 100, sink 2"), "{said}");
    }

    #[test]
    fn what_is_no_record_is_only_said() {
        let mut budget = bounded(Some(10), Some(10));
        let mut now = judged(1_000, 0, 100);
        now.reasons[ReasonKind::LatePart as usize] = 5_000;
        assert!(budget.exceeded(&now).is_none());
        now.reasons[ReasonKind::LatePart as usize] += 7;
        let now = Judged { records: 2_000, refused: 201, ..now };
        let said = budget.exceeded(&now).expect("101 of 1000").to_string();
        assert!(said.contains("letters=`101` records=`1000` percent_max=`10`: late-part 7"), "{said}");
    }

    #[test]
    fn without_a_bound_nothing_is_too_much() {
        let mut budget = bounded(None, None);
        assert!(budget.exceeded(&Judged { run_max: 10_000, ..judged(10_000, 10_000, 0) }).is_none());
    }
}
