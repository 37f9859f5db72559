//! Outputs with windows: the real lanes in virtual time, all partitions merged; the windows that are closed then are looked for in the index.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::account::{OutputAccount, WindowCounts};
use super::differences::{Difference, Differences, Why};
use super::letters::Refused;
use super::scope::{PartitionScope, Scope};
use crate::config::{OutputSettings, PipelineSettings};
use crate::lane::{Ledger, RecordFate};
use crate::pipeline::lookups::Lookups;
use crate::pipeline::{DeadLetterTopic, LetterFilter, Loader, PipelineError, Plugins, VirtualPipeline};
use crate::record::{EventTime, Offset, Partition, ReasonKind, RecordBatch};
use crate::sink::{Letter, Looked, Subject, Wanted};

/// A pipeline that runs may be some seconds from writing what it has closed.
const LOOKS: u32 = 6;
const PAUSE: Duration = Duration::from_secs(1);
/// So many windows are compared at once: their documents are in memory twice.
const COMPARED_MAX: usize = 1000;

pub(super) struct Windows {
    pipeline: VirtualPipeline,
    outputs: Vec<Output>,
    accounts: Vec<OutputAccount>,
    /// Records of an output and a partition, by where their last window ends.
    folded: BTreeMap<(usize, usize, EventTime), u64>,
    /// Windows that begin before it may lack records that were not read.
    whole_from: EventTime,
    /// Of each partition, whether it has said something of that.
    is_begun: Vec<bool>,
    /// Windows that end after it may hold records behind a position, so that they may not be written yet.
    written_through: EventTime,
    out_of_order: Duration,
    /// Windows of which the aggregate cannot make a document: output, id, reason.
    unmade: Vec<(String, String, String)>,
    pub refused: Refused,
}

struct Output {
    /// Its place in the pipeline file.
    sink: usize,
    /// For how long after its end a window changes.
    update_within: Duration,
    is_merged: bool,
    /// Documents of windows that are open are written too.
    is_early: bool,
    /// The index changes documents.
    has_pipeline: bool,
}

/// A window's document, as it should be.
struct Expected<'a> {
    number: usize,
    index: &'a str,
    id: &'a str,
    body: Value,
    window: (EventTime, EventTime),
    why: Why,
}

/// A part that came too late: output, and where its window begins and ends.
type LateWindow = (String, i64, i64);

impl Windows {
    pub fn start(settings: &PipelineSettings, scope: &Scope, loader: &mut Loader) -> Result<Windows, PipelineError> {
        let plugins = Plugins::load(settings, loader)?;
        let pipeline = VirtualPipeline::over(settings, &plugins, scope.topology.clone(), 1)?;
        let output = |output: &OutputSettings| {
            let aggregate = output.aggregate.as_ref()?;
            Some(Output {
                sink: settings.sink_of(output),
                update_within: aggregate.late.update_within(),
                is_merged: !aggregate.partitioned_by_group,
                is_early: aggregate.emit.every.is_some(),
                has_pipeline: output.pipeline.is_some(),
            })
        };
        let account = |output: &OutputSettings| OutputAccount::new(&output.name, scope.partitions.len());
        Ok(Windows {
            pipeline,
            outputs: settings.outputs.iter().filter_map(output).collect(),
            accounts: settings.outputs.iter().map(account).collect(),
            folded: BTreeMap::new(),
            whole_from: EventTime::MIN,
            is_begun: vec![false; scope.partitions.len()],
            written_through: EventTime::MAX,
            out_of_order: settings.watermark.out_of_order,
            unmade: Vec::new(),
            refused: Refused::default(),
        })
    }

    pub fn take(
        &mut self,
        (place, scope): (usize, &PartitionScope),
        batch: &Arc<RecordBatch>,
        topic: &DeadLetterTopic,
        differences: &mut Differences,
    ) -> Result<(), PipelineError> {
        self.pipeline.instances().keep(Ledger::default());
        self.pipeline.batch(&scope.partition, batch.clone())?;
        let Ledger(ledgers) = self.pipeline.instances().take_ledger().unwrap_or_default();
        let position = scope.position.unwrap_or(Offset(0));
        let mut newest = EventTime::MIN;
        for ledger in &ledgers {
            for (number, output) in ledger.outputs.iter().enumerate() {
                let account = &mut self.accounts[number];
                account.partitions[place].read += output.fates.len() as u64;
                for (fate, offset) in output.fates.iter().zip(&ledger.offsets) {
                    let Some(fate) = fate else { continue };
                    account.leaves(place, fate);
                    if let RecordFate::Folded(window) = fate {
                        *self.folded.entry((number, place, window.end)).or_default() += 1;
                        newest = newest.max(window.end);
                        if Offset(*offset) >= position {
                            self.written_through = self.written_through.min(window.start);
                        }
                    }
                }
            }
        }
        // What lies before what is read may be of any time up to there: it is not much out of order.
        if scope.is_cut() && !self.is_begun[place] && newest != EventTime::MIN {
            self.is_begun[place] = true;
            self.whole_from = self.whole_from.max(newest.plus(self.out_of_order));
        }
        for letter in self.pipeline.take_dead_letters().into_iter().filter_map(Letter::unwritten) {
            match letter.subject() {
                Subject::Document { output, id } => {
                    self.unmade.push((output.to_owned(), id.to_owned(), letter.reason().to_owned()));
                }
                Subject::Record { .. } | Subject::Part { .. } | Subject::Unknown => {
                    self.refused.check(&letter, place, topic, &mut self.accounts, differences);
                }
            }
        }
        Ok(())
    }

    /// Compares the windows that are closed; none where not all was read.
    pub fn finish(
        mut self,
        lookups: &Lookups,
        topic: &DeadLetterTopic,
        scope: &Scope,
        stopped: bool,
        differences: &mut Differences,
    ) -> Result<(Vec<OutputAccount>, Refused), PipelineError> {
        let idle: Vec<&Partition> = scope.partitions.iter().filter(|it| it.idle).map(|it| &it.partition).collect();
        for partition in idle.iter().filter(|_| !stopped) {
            self.pipeline.idle(partition)?;
        }
        self.count_records(scope, stopped);
        let mut counts = vec![WindowCounts::default(); self.outputs.len()];
        if !stopped {
            self.compare(lookups, topic, scope, &mut counts, differences)?;
            self.judge_unmade(topic, &mut counts, differences);
        }
        for (account, counts) in self.accounts.iter_mut().zip(counts) {
            account.windows = Some(counts);
        }
        Ok((self.accounts, self.refused))
    }

    /// Which records are in closed windows.
    fn count_records(&mut self, scope: &Scope, stopped: bool) {
        let merged = self.pipeline.closed_through(None);
        let own: Vec<EventTime> =
            scope.partitions.iter().map(|it| self.pipeline.closed_through(Some(&it.partition))).collect();
        for ((number, place, end), records) in &self.folded {
            let Output { update_within, is_merged, .. } = self.outputs[*number];
            let through = if is_merged { merged } else { own[*place] };
            let counts = &mut self.accounts[*number].partitions[*place];
            match !stopped && end.plus(update_within) <= through {
                true => counts.closed += records,
                false => counts.open += records,
            }
        }
    }

    fn compare(
        &self,
        lookups: &Lookups,
        topic: &DeadLetterTopic,
        scope: &Scope,
        counts: &mut [WindowCounts],
        differences: &mut Differences,
    ) -> Result<(), PipelineError> {
        let merged = self.pipeline.closed_through(None);
        let slowest = scope.partitions.iter().map(|it| self.pipeline.closed_through(Some(&it.partition))).min();
        let slowest = slowest.unwrap_or(EventTime::MIN);
        let mut differing: Vec<Expected<'_>> = Vec::new();
        let mut some: Vec<Expected<'_>> = Vec::new();
        for (name, id, body) in self.pipeline.index().documents() {
            let Some(expected) = self.expected(name, id, body) else { continue };
            let output = &self.outputs[expected.number];
            let (start, end) = expected.window;
            let through = if output.is_merged { merged } else { slowest };
            let may_change = output.is_early || !output.update_within.is_zero();
            if start < self.whole_from {
                counts[expected.number].not_judged += 1;
            } else if may_change && end.plus(output.update_within) > through {
                counts[expected.number].open += 1;
            } else {
                some.push(expected);
            }
            if some.len() >= COMPARED_MAX {
                differing.extend(self.look(lookups, std::mem::take(&mut some), counts)?);
            }
        }
        differing.extend(self.look(lookups, some, counts)?);
        for _ in 1..LOOKS {
            if differing.is_empty() {
                break;
            }
            thread::sleep(PAUSE);
            differing = self.look(lookups, differing, counts)?;
        }
        let late = if differing.is_empty() { BTreeSet::new() } else { late_windows(topic)? };
        for Expected { number, index, id, window: (start, end), why, .. } in differing {
            let (name, counts) = (&self.accounts[number].name, &mut counts[number]);
            let output = &self.outputs[number];
            let waits = output.is_merged && end.plus(output.update_within) > scope.merged_through;
            if topic.reason_of(&format!("document/{name}/{id}")).is_some() {
                counts.dead_letters += 1;
            } else if late.contains(&(name.to_string(), start.micros(), end.micros())) {
                counts.late_parts += 1;
            } else if waits || end > self.written_through {
                counts.open += 1;
            } else {
                counts.different += 1;
                differences.add(Difference::of_window(name.clone(), String::new(), Some(start), why).at(index, id));
            }
        }
        Ok(())
    }

    /// Those that are not there with equal fields, or cannot be looked at; the others are counted.
    fn look<'a>(
        &self,
        lookups: &Lookups,
        expected: Vec<Expected<'a>>,
        counts: &mut [WindowCounts],
    ) -> Result<Vec<Expected<'a>>, PipelineError> {
        let wanted =
            |it: &Expected<'a>| (self.outputs[it.number].sink, Wanted { index: it.index, id: it.id, routing: None });
        let looked = lookups.get(&expected.iter().map(wanted).collect::<Vec<_>>(), true)?;
        let mut differing = Vec::new();
        for (mut expected, looked) in expected.into_iter().zip(looked) {
            let counts = &mut counts[expected.number];
            let has_pipeline = self.outputs[expected.number].has_pipeline;
            match differs(looked, &expected.body, has_pipeline) {
                None if has_pipeline => counts.there += 1,
                None => counts.equal += 1,
                Some(why) => {
                    expected.why = why;
                    differing.push(expected);
                }
            }
        }
        Ok(differing)
    }

    /// A document of the virtual index.
    fn expected<'a>(&self, index: &'a str, id: &'a str, body: &[u8]) -> Option<Expected<'a>> {
        let number = self.number_of(id.split(':').next()?)?;
        let body: Value = serde_json::from_slice(body).ok()?;
        let time = |name: &str| {
            let time: Timestamp = body[name].as_str()?.parse().ok()?;
            Some(EventTime::from_micros(time.as_microsecond()))
        };
        let window = (time("window_start")?, time("window_end")?);
        Some(Expected { number, index, id, body, window, why: Why::Missing })
    }

    fn number_of(&self, output: &str) -> Option<usize> {
        self.accounts.iter().position(|account| *account.name == *output)
    }

    fn judge_unmade(&self, topic: &DeadLetterTopic, counts: &mut [WindowCounts], differences: &mut Differences) {
        let unmade: BTreeSet<_> = self.unmade.iter().collect();
        for (output, id, reason) in unmade {
            let Some(number) = self.number_of(output) else { continue };
            if topic.reason_of(&format!("document/{output}/{id}")).is_some() {
                counts[number].dead_letters += 1;
            } else if self.whole_from == EventTime::MIN {
                counts[number].different += 1;
                let (name, why) = (self.accounts[number].name.clone(), Why::NoDeadLetter { reason: reason.clone() });
                differences.add(Difference::of_window(name, id.clone(), None, why));
            } else {
                counts[number].not_judged += 1;
            }
        }
    }
}

/// Why a window's document is not what it should be; none where it is.
fn differs(looked: Looked, body: &Value, has_pipeline: bool) -> Option<Why> {
    match looked {
        Looked::There(found) => (!has_pipeline && found.source.as_ref() != Some(body)).then_some(Why::OtherFields),
        Looked::NotThere => Some(Why::Missing),
        Looked::Unknown(why) => Some(Why::NotLookedUp { kind: why.kind }),
    }
}

/// The windows of which a part came too late.
fn late_windows(topic: &DeadLetterTopic) -> Result<BTreeSet<LateWindow>, PipelineError> {
    let mut late = BTreeSet::new();
    let filter = LetterFilter { reasons: vec![ReasonKind::LatePart], ..LetterFilter::default() };
    topic.each(&filter, |found| {
        late.extend(late_window(found.letter.identity()));
        ControlFlow::Continue(())
    })?;
    Ok(late)
}

/// `part/TOPIC-PARTITION/OUTPUT/START/END/REVISION/GROUP`.
fn late_window(identity: &str) -> Option<LateWindow> {
    let mut segments = identity.split('/').skip(2);
    let output = segments.next()?.to_owned();
    Some((output, segments.next()?.parse().ok()?, segments.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sink::{Present, Unreadable};

    #[test]
    fn a_document_differs_by_its_fields_or_cannot_be_looked_at() {
        let there =
            |n: u64| Looked::There(Present { index: "i".to_owned(), version: 7, source: Some(json!({ "n": n })) });
        let differs = |looked, has_pipeline| differs(looked, &json!({ "n": 1 }), has_pipeline);
        assert_eq!([differs(there(1), false), differs(there(2), true)], [None, None]);
        assert_eq!(differs(there(2), false), Some(Why::OtherFields));
        assert_eq!(differs(Looked::NotThere, true), Some(Why::Missing));
        let kind = "index_closed_exception".to_owned();
        let closed = Looked::Unknown(Unreadable { kind: kind.clone(), reason: "closed".to_owned() });
        assert_eq!(differs(closed, true), Some(Why::NotLookedUp { kind }));
    }

    #[test]
    fn an_identity_says_which_window_a_part_was_late_for() {
        assert_eq!(late_window("part/events-3/counts/0/60000000/1/AWE"), Some(("counts".to_owned(), 0, 60_000_000)));
        assert_eq!(late_window("part/events-3"), None);
    }
}
