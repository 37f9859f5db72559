//! Outputs without windows: each document that a batch gives is looked for in the index as the batch comes, so that only what differs is
//! remembered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hashbrown::HashMap;

use super::account::{OutputAccount, Unsettled};
use super::differences::{Difference, Differences, Why};
use super::expected::{Expected, Judgement, judge};
use super::lanes::RecordLanes;
use super::letters::Refused;
use super::scope::Scope;
use crate::config::{OutputSettings, PipelineSettings, Refusal};
use crate::lane::{OutputLedger, RecordFate};
use crate::pipeline::lookups::{AtSink, Lookups};
use crate::pipeline::{DeadLetterTopic, Loader, PipelineError};
use crate::record::{Document, DocumentBatch, Offset, Partition, RecordBatch};
use crate::sink::Wanted;

/// What differs is looked at again so often, with a pause before each look but the first.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// So many documents that differ are looked at again, at most: each takes some 200 bytes. More are differences at once.
const PENDING_MAX: usize = 500_000;

pub(super) struct Records {
    lanes: RecordLanes,
    outputs: Vec<Output>,
    accounts: Vec<OutputAccount>,
    partitions: Vec<Partition>,
    /// What differs so far. What a later record writes under the same id takes its place.
    pending: HashMap<Key, Pending>,
    pub refused: Refused,
}

struct Output {
    /// Its place in the pipeline file.
    sink: usize,
    /// Versions are made of revision and offset.
    by_offset: bool,
    /// The policy drops some of what the index refuses.
    may_drop: bool,
    /// Ids are fields, so that records behind those that are read may delete what these have written.
    ids_come_again: bool,
}

/// The output, the index and the id.
type Key = (usize, Arc<str>, Box<str>);

struct Pending {
    /// Of the partition.
    place: usize,
    offset: Offset,
    ordinal: u32,
    expected: Expected,
    routing: Option<Box<str>>,
    why: Why,
    /// Its record is counted as settled.
    is_counted: bool,
    /// It is missing, and a record behind those that are compared writes or deletes it.
    is_gone: bool,
}

/// Of a record with documents; of one that was split, the greatest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Superseded,
    /// Or looked at again.
    Settled,
    Different,
}

impl Records {
    pub fn start(settings: &PipelineSettings, scope: &Scope, loader: &mut Loader) -> Result<Records, PipelineError> {
        let may_drop = |sink: usize| settings.sinks[sink].policy.iter().any(|rule| rule.then == Refusal::Drop);
        let output = |output: &OutputSettings| Output {
            sink: settings.sink_of(output),
            by_offset: output.id.as_ref().is_none_or(|id| id.version.is_none()),
            may_drop: may_drop(settings.sink_of(output)),
            ids_come_again: output.id.is_some(),
        };
        let partitions: Vec<Partition> = scope.partitions.iter().map(|it| it.partition.clone()).collect();
        let account = |output: &OutputSettings| OutputAccount::new(&output.name, partitions.len());
        Ok(Records {
            lanes: RecordLanes::load(settings, scope, loader)?,
            outputs: settings.outputs.iter().map(output).collect(),
            accounts: settings.outputs.iter().map(account).collect(),
            partitions,
            pending: HashMap::new(),
            refused: Refused::default(),
        })
    }

    pub fn take(
        &mut self,
        place: usize,
        batch: &Arc<RecordBatch>,
        lookups: &Lookups,
        topic: &DeadLetterTopic,
        differences: &mut Differences,
    ) -> Result<(), PipelineError> {
        let partition = self.partitions[place].clone();
        let given = self.lanes.step(&partition, batch)?;
        for (number, (ledger, documents)) in given.ledger.outputs.iter().zip(&given.documents).enumerate() {
            let account = &mut self.accounts[number];
            account.partitions[place].read += ledger.fates.len() as u64;
            for fate in &ledger.fates {
                match fate {
                    Some(fate) => account.leaves(place, fate),
                    None => debug_assert!(false, "a record goes somewhere"),
                }
            }
            self.look(number, place, &given.ledger.offsets, ledger, documents, lookups, differences)?;
        }
        for letter in &given.refused {
            self.refused.check(letter, place, topic, &mut self.accounts, differences);
        }
        Ok(())
    }

    /// Looks for the documents of a batch.
    #[expect(clippy::too_many_arguments, reason = "what is known of a batch, and what is told of it")]
    fn look(
        &mut self,
        number: usize,
        place: usize,
        offsets: &[i64],
        ledger: &OutputLedger,
        documents: &DocumentBatch,
        lookups: &Lookups,
        differences: &mut Differences,
    ) -> Result<(), PipelineError> {
        let rows = last_rows(documents);
        let sink = self.outputs[number].sink;
        let wanted: Vec<AtSink<'_>> = rows.iter().map(|row| (sink, wanted(&documents.get(*row)))).collect();
        let looked = lookups.get(&wanted, false)?;
        // What has one of the same id behind it in the batch is not asked for.
        let mut standings = vec![Standing::Superseded; offsets.len()];
        let (output, account) = (&self.outputs[number], &mut self.accounts[number]);
        for (row, looked) in rows.into_iter().zip(looked) {
            let (document, of) = (documents.get(row), ledger.documents[row]);
            let record = of.record as usize;
            let is_counted = ledger.fates[record] == Some(RecordFate::Document);
            let Document { operation, version, .. } = document;
            let expected = Expected { operation, version, by_offset: output.by_offset };
            let key = (number, Arc::from(document.index), Box::from(document.id));
            // It was written again, and only the newest counts.
            if let Some(older) = self.pending.remove(&key)
                && older.is_counted
            {
                account.is_not_settled(older.place, Unsettled::Superseded);
            }
            let standing = match judge(expected, &looked) {
                Judgement::Settled => Standing::Settled,
                Judgement::Superseded => Standing::Superseded,
                Judgement::Earlier => {
                    account.earlier_revision += 1;
                    Standing::Settled
                }
                Judgement::Different(why) if self.pending.len() < PENDING_MAX => {
                    let routing = document.routing.map(Box::from);
                    let (offset, ordinal) = (Offset(offsets[record]), of.ordinal);
                    let pending =
                        Pending { place, offset, ordinal, expected, routing, why, is_counted, is_gone: false };
                    self.pending.insert(key, pending);
                    Standing::Settled
                }
                Judgement::Different(_) => {
                    differences.add_unnamed();
                    Standing::Different
                }
            };
            standings[record] = standings[record].max(standing);
        }
        let counts = &mut account.partitions[place];
        let of_documents = ledger.fates.iter().zip(standings);
        for (_, standing) in of_documents.filter(|(fate, _)| **fate == Some(RecordFate::Document)) {
            *match standing {
                Standing::Superseded => &mut counts.superseded,
                Standing::Settled => &mut counts.settled,
                Standing::Different => &mut counts.different,
            } += 1;
        }
        Ok(())
    }

    /// Looks at what differs once more.
    pub fn settle(&mut self, lookups: &Lookups) -> Result<(), PipelineError> {
        for look in 0..LOOKS {
            if look > 0 && !self.pending.is_empty() {
                thread::sleep(PAUSE);
            }
            self.look_again(lookups)?;
        }
        Ok(())
    }

    /// Whether documents are missing that records behind those that were read may have deleted.
    pub fn may_be_gone(&self) -> bool {
        let may_be =
            |(key, it): (&Key, &Pending)| self.outputs[key.0].ids_come_again && it.why == Why::Missing && !it.is_gone;
        self.pending.iter().any(may_be)
    }

    /// Takes records behind those that are compared: what they write or delete may be missing.
    pub fn take_behind(&mut self, place: usize, batch: &Arc<RecordBatch>) -> Result<(), PipelineError> {
        let given = self.lanes.step(&self.partitions[place].clone(), batch)?;
        for (number, documents) in given.documents.iter().enumerate() {
            for document in documents.iter() {
                let key = (number, Arc::from(document.index), Box::from(document.id));
                if let Some(pending) = self.pending.get_mut(&key) {
                    let is_later = document.version >= pending.expected.version;
                    pending.is_gone |= is_later && pending.why == Why::Missing;
                }
            }
        }
        Ok(())
    }

    /// Says what still differs.
    pub fn finish(
        mut self,
        topic: &DeadLetterTopic,
        differences: &mut Differences,
    ) -> Result<(Vec<OutputAccount>, Refused), PipelineError> {
        let mut by_record: BTreeMap<(usize, usize, Offset), Unsettled<'_>> = BTreeMap::new();
        for ((number, name, id), pending) in self.pending {
            let Pending { place, offset, ordinal, why, is_counted, is_gone, .. } = pending;
            let output = self.accounts[number].name.clone();
            let origin = self.partitions[place].origin(offset);
            let identities = [format!("{origin}/{output}/{ordinal}"), format!("{origin}//0")];
            let is = match identities.iter().find_map(|identity| topic.reason_of(identity)) {
                _ if is_gone => Unsettled::Superseded,
                Some(reason) => Unsettled::DeadLetter(reason),
                None if why == Why::Missing && self.outputs[number].may_drop => Unsettled::PerhapsDropped,
                None => Unsettled::Different,
            };
            if is == Unsettled::Different {
                let partition = self.partitions[place].clone();
                differences.add(Difference::of_record(Some(output), partition, offset, why).at(&name, &id));
            }
            if is_counted {
                let known = by_record.entry((number, place, offset)).or_insert(is);
                // Of a record that was split, the worst counts.
                if is == Unsettled::Different {
                    *known = is;
                }
            }
        }
        for ((number, place, _), is) in by_record {
            self.accounts[number].is_not_settled(place, is);
        }
        Ok((self.accounts, self.refused))
    }

    fn look_again(&mut self, lookups: &Lookups) -> Result<(), PipelineError> {
        let keys: Vec<&Key> = self.pending.keys().collect();
        let mut settled: Vec<Key> = Vec::new();
        let mut changed: Vec<(Key, Why)> = Vec::new();
        for some in keys.chunks(1000) {
            let wanted = some.iter().map(|key| {
                let wanted = Wanted { index: &key.1, id: &key.2, routing: self.pending[*key].routing.as_deref() };
                (self.outputs[key.0].sink, wanted)
            });
            let looked = lookups.get(&wanted.collect::<Vec<_>>(), false)?;
            for (key, looked) in some.iter().zip(looked) {
                match judge(self.pending[*key].expected, &looked) {
                    Judgement::Settled | Judgement::Superseded | Judgement::Earlier => settled.push((*key).clone()),
                    Judgement::Different(why) => changed.push(((*key).clone(), why)),
                }
            }
        }
        for key in settled {
            self.pending.remove(&key);
        }
        for (key, why) in changed {
            if let Some(pending) = self.pending.get_mut(&key) {
                pending.why = why;
            }
        }
        Ok(())
    }
}

fn wanted<'a>(document: &Document<'a>) -> Wanted<'a> {
    Wanted { index: document.index, id: document.id, routing: document.routing }
}

/// Of each id the row that stays: with the greatest version, and without versions the last one.
fn last_rows(documents: &DocumentBatch) -> Vec<usize> {
    let mut last: HashMap<(&str, &str), usize> = HashMap::with_capacity(documents.len());
    for row in 0..documents.len() {
        let document = documents.get(row);
        let stays = last.entry((document.index, document.id)).or_insert(row);
        if document.version >= documents.get(*stays).version {
            *stays = row;
        }
    }
    let mut rows: Vec<usize> = last.into_values().collect();
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_id_the_greatest_version_stays_and_without_versions_the_last() {
        let mut documents = DocumentBatch::default();
        let index: Arc<str> = "i".into();
        for (id, version) in [("a", 3), ("b", 1), ("a", 2)] {
            documents.push(&index, id, version, |_| {});
        }
        assert_eq!(last_rows(&documents), [0, 1]);
        let mut documents = DocumentBatch::default();
        for id in ["a", "b", "a"] {
            documents.push_as(crate::record::Operation::Update, &index, id, None, |_| {});
        }
        assert_eq!(last_rows(&documents), [1, 2]);
    }
}
