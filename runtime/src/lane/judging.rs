//! Which records of a source lane are dead letters, each once whatever outputs refuse it, and how many of them come one after the other.
//! Batches count in their order, each when the index has answered for all of its documents.

use std::collections::VecDeque;

use crate::record::ReasonKind;

/// What is known of records, by count.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Judged {
    /// Those of which it is known whether they are dead letters.
    pub records: u64,
    /// Of these: dead letters of at least one output.
    pub refused: u64,
    /// The most of them that came one after the other in a partition.
    pub run_max: u64,
    /// Why: the first reason of each that is refused, and of what is no record. In the order of `ReasonKind::ALL`.
    pub reasons: [u64; ReasonKind::ALL.len()],
}

impl Judged {
    pub fn add(&mut self, more: &Judged) {
        let Judged { records, refused, run_max, reasons } = more;
        self.records += records;
        self.refused += refused;
        self.run_max = self.run_max.max(*run_max);
        for (sum, more) in self.reasons.iter_mut().zip(reasons) {
            *sum += more;
        }
    }
}

/// The batches of which something is not known yet, and those behind them.
#[derive(Clone, Default, Debug)]
pub(super) struct Judging {
    batches: VecDeque<Pending>,
    /// The number of the first.
    first: u64,
    /// Before the first: so many were refused since a record that was not.
    run: u64,
}

#[derive(Clone, Debug)]
struct Pending {
    records: u32,
    /// The lane itself while it works on the batch, and the outputs that the index has not answered.
    unanswered: usize,
    /// In no order, and a record more than once where several refuse it.
    refused: Vec<(u32, ReasonKind)>,
}

impl Judging {
    /// The lane begins with its next batch. The number of that, for [`Judging::answered`] when the lane is through with it.
    pub fn begin(&mut self, records: usize) -> u64 {
        self.batches.push_back(Pending { records: records as u32, unanswered: 1, refused: Vec::new() });
        self.first + self.batches.len() as u64 - 1
    }

    /// A record of the batch that the lane is at is a dead letter.
    pub fn refused(&mut self, record: u32, reason: ReasonKind) {
        if let Some(batch) = self.batches.back_mut() {
            batch.refused.push((record, reason));
        }
    }

    /// Documents of the batch that the lane is at go to the index. Its number, for [`Judging::answered`].
    pub fn sent(&mut self) -> u64 {
        if let Some(batch) = self.batches.back_mut() {
            batch.unanswered += 1;
        }
        self.first + self.batches.len() as u64 - 1
    }

    /// The index has refused documents of these records, and no others that were sent together; or the lane is through with the batch.
    pub fn answered(&mut self, batch: u64, refused: impl IntoIterator<Item = u32>, judged: &mut Judged) {
        let pending = &mut self.batches[(batch - self.first) as usize];
        pending.refused.extend(refused.into_iter().map(|record| (record, ReasonKind::Sink)));
        pending.unanswered -= 1;
        while let Some(batch) = self.batches.pop_front_if(|batch| batch.unanswered == 0) {
            self.first += 1;
            self.count(batch, judged);
        }
    }

    fn count(&mut self, batch: Pending, judged: &mut Judged) {
        let Pending { records, mut refused, .. } = batch;
        refused.sort_by_key(|(record, _)| *record);
        refused.dedup_by_key(|(record, _)| *record);
        judged.records += u64::from(records);
        judged.refused += refused.len() as u64;
        let mut next = 0;
        for (record, reason) in refused {
            self.run = if record == next { self.run + 1 } else { 1 };
            next = record + 1;
            judged.run_max = judged.run_max.max(self.run);
            judged.reasons[reason as usize] += 1;
        }
        if next < records {
            self.run = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use crate::config::PipelineSettings;
    use crate::lane::{Components, Effect, Event, Instances, Lane, OutputComponents, Plan, Ticket, Topology};
    use crate::record::{BatchBuilder, EventTime, Offset, Partition, Reason, RejectedDocument, Resume};

    use super::*;

    /// The second refuses a record without a user.
    const OUTPUTS: &str = r#"
        name = "clicks"
        source.kafka = { brokers = "localhost:9092", topics = ["events"] }
        source.decode.event_time = "$timestamp"
        sink.elasticsearch.urls = ["http://localhost:9200"]
        [[output]]
        name = "all"
        index = "all"
        [[output]]
        name = "users"
        index = "users"
        id = { field = "user", version = "v" }
    "#;
    const GOOD: &str = r#"{"user":"ada","v":1}"#;

    /// A lane with what it has judged.
    #[derive(Default)]
    struct Judge {
        judging: Judging,
        judged: Judged,
    }

    impl Judge {
        /// A batch of which the lane refuses these, and sends documents to so many outputs.
        fn batch(&mut self, records: usize, refused: &[u32], outputs: usize) -> u64 {
            let batch = self.judging.begin(records);
            refused.iter().for_each(|record| self.judging.refused(*record, ReasonKind::Json));
            (0..outputs).for_each(|_| assert_eq!(self.judging.sent(), batch));
            self.answer(batch, &[]);
            batch
        }

        fn answer(&mut self, batch: u64, refused: &[u32]) {
            self.judging.answered(batch, refused.iter().copied(), &mut self.judged);
        }

        /// Records, those that are refused, and the longest run; since the last call.
        fn take(&mut self) -> (u64, u64, u64) {
            let Judged { records, refused, run_max, .. } = std::mem::take(&mut self.judged);
            (records, refused, run_max)
        }
    }

    #[test]
    fn a_record_counts_once_whatever_outputs_refuse_it() {
        let mut judge = Judge::default();
        let batch = judge.batch(6, &[4, 0, 4], 2);
        judge.answer(batch, &[0, 2]);
        assert_eq!(judge.take(), (0, 0, 0), "an output is not answered");
        judge.answer(batch, &[2, 4]);
        assert_eq!(judge.judged.reasons[ReasonKind::Json as usize], 2);
        assert_eq!(judge.judged.reasons[ReasonKind::Sink as usize], 1);
        assert_eq!(judge.take(), (6, 3, 1));
    }

    #[test]
    fn a_run_goes_on_over_batches_and_ends_at_a_record_that_became_none() {
        let mut judge = Judge::default();
        judge.batch(4, &[0, 2, 3], 0);
        assert_eq!(judge.take(), (4, 3, 2));
        judge.batch(3, &[0, 1, 2], 0);
        assert_eq!(judge.take(), (3, 3, 5));
        judge.batch(3, &[0, 2], 0);
        assert_eq!(judge.take(), (3, 2, 6));
        judge.batch(2, &[0], 0);
        assert_eq!(judge.take(), (2, 1, 2));
        judge.batch(2, &[0], 0);
        assert_eq!(judge.take(), (2, 1, 1));
        judge.batch(1, &[], 0);
        assert_eq!(judge.take(), (1, 0, 0));
    }

    #[test]
    fn a_batch_counts_after_those_before_it_whenever_it_is_answered() {
        let mut judge = Judge::default();
        let (first, second) = (judge.batch(3, &[], 1), judge.batch(3, &[1], 1));
        judge.batch(2, &[0, 1], 0);
        judge.answer(second, &[0, 2]);
        assert_eq!(judge.take(), (0, 0, 0));
        let fourth = judge.batch(2, &[], 1);
        judge.answer(first, &[2]);
        assert_eq!(judge.take(), (8, 6, 6));
        judge.answer(fourth, &[0]);
        assert_eq!(judge.take(), (2, 1, 7));
    }

    #[test]
    fn what_is_judged_adds_up_and_the_longest_run_stays() {
        let mut sum = Judged { records: 10, refused: 4, run_max: 3, ..Judged::default() };
        sum.add(&Judged { records: 5, refused: 2, run_max: 2, ..Judged::default() });
        assert_eq!(sum, Judged { records: 15, refused: 6, run_max: 3, ..Judged::default() });
    }

    /// A lane of these outputs, and what it asks for.
    struct Outputs {
        lane: Lane,
        next: i64,
        effects: Vec<Effect>,
    }

    impl Outputs {
        fn from(offset: i64) -> Self {
            let settings =
                PipelineSettings::parse(OUTPUTS, Path::new("p.toml"), &|_| None, None).expect("it is right").0;
            let components = Components { outputs: vec![OutputComponents::default(); 2], ..Components::default() };
            let plan = Plan::new(&settings, &components, Topology::default()).expect("it fits together");
            let (resume, mut effects) = (Resume::Fresh { offset: Offset(offset) }, Vec::new());
            let lane = Lane::new(plan.into(), Partition::new("events", 0), resume, &mut effects).expect("it begins");
            Outputs { lane, next: offset, effects }
        }

        fn step(&mut self, event: Event) {
            self.lane.step(event, &mut Instances::default(), &mut self.effects).expect("it goes on");
        }

        /// Documents of these records, for each output that gets some.
        fn batch(&mut self, values: &[&str]) -> Vec<Ticket> {
            let mut batch = BatchBuilder::new(EventTime::MIN);
            for value in values {
                batch.push(Offset(self.next), Some(EventTime::from_micros(0)), None, Some(value.as_bytes()));
                self.next += 1;
            }
            self.step(Event::Batch(Arc::new(batch.finish())));
            let ticket = |effect| match effect {
                Effect::Index { ticket, .. } => Some(ticket),
                Effect::Write { .. } | Effect::Save { .. } => None,
            };
            self.effects.drain(..).filter_map(ticket).collect()
        }

        /// The index refuses these rows, and a rule of the policy drops those.
        fn answer(&mut self, ticket: Ticket, refused: &[u32], dropped: &[u32]) {
            let rejected = |row: &u32, is_dropped| RejectedDocument {
                row: *row,
                reason: Reason::new(ReasonKind::Sink, "the mapping"),
                status: Some(400),
                attempts: 1,
                error_type: String::new(),
                index: String::new(),
                id: String::new(),
                version: None,
                body: Vec::new(),
                is_dropped,
            };
            let refused = refused.iter().map(|row| rejected(row, false));
            let rejected = refused.chain(dropped.iter().map(|row| rejected(row, true))).collect();
            self.step(Event::Indexed { ticket, rejected });
        }

        fn judged(&mut self) -> Judged {
            self.lane.take_tally().judged
        }
    }

    fn judged(records: u64, run_max: u64, json: u64, field: u64, sink: u64) -> Judged {
        let mut judged = Judged { records, refused: json + field + sink, run_max, ..Judged::default() };
        let reasons = [(ReasonKind::Json, json), (ReasonKind::Field, field), (ReasonKind::Sink, sink)];
        reasons.iter().for_each(|(reason, count)| judged.reasons[*reason as usize] = *count);
        judged
    }

    #[test]
    fn a_lane_counts_what_its_outputs_and_the_index_refuse() {
        let mut outputs = Outputs::from(40);
        let first = outputs.batch(&["{", GOOD, "{}", GOOD]);
        let second = outputs.batch(&[GOOD, "{}", "{", GOOD]);
        assert_eq!(outputs.judged(), Judged::default());
        // Records 0, 1 and 3, and 0 and 3.
        outputs.answer(second[0], &[0, 1], &[2]);
        outputs.answer(second[1], &[0], &[]);
        outputs.answer(first[0], &[2], &[]);
        assert_eq!(outputs.judged(), Judged::default());
        // Records 1 and 3.
        outputs.answer(first[1], &[1], &[0]);
        assert_eq!(outputs.judged(), judged(8, 5, 2, 2, 2));
        assert_eq!(outputs.batch(&["{"]), []);
        assert_eq!(outputs.judged(), judged(1, 1, 1, 0, 0));
        assert_eq!(outputs.batch(&["{"; 3]), []);
        assert_eq!(outputs.judged(), judged(3, 4, 3, 0, 0));
    }
}
