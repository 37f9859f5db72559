//! The last live batches once more, in virtual time: by the plugins that serve and by those that want to, side by side. What
//! they give is compared and thrown away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::{OnTrap, PipelineSettings};
use crate::pipeline::components::Plugins;
use crate::pipeline::{PipelineError, VirtualPipeline};
use crate::record::{BatchBuilder, Message, Partition, ReasonKind, RecordBatch};
use crate::sink::dead_letter::{MESSAGE, ORIGIN, REASON};

/// How much of a document an example shows.
const EXAMPLE_BYTES_MAX: usize = 200;

/// Records that are compared at most.
const RECORDS_MAX: usize = 4096;

/// The example where there is nothing to compare with.
const FAILS: &str = "the generation before fails on them";

/// Batches, with the partitions that they are of.
pub(super) type Batches = [(Partition, Arc<RecordBatch>)];

/// A pipeline file, and the plugins in its places.
pub(super) type Pipeline<'p> = (&'p PipelineSettings, &'p Plugins);

/// What the new plugins made of the batches, against what those that serve made of them.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Difference {
    records: usize,
    documents: (usize, usize),
    dead_letters: (usize, usize),
    /// Fields that one of the two has in another value, or alone, by the number of documents.
    fields: BTreeMap<String, usize>,
    example: Option<String>,
}

/// An error: the new plugins broke on a record that those that serve take. Records on which these break are left out.
pub(super) fn shadow(
    serving: Pipeline<'_>,
    wanted: Pipeline<'_>,
    batches: &Batches,
) -> Result<Difference, PipelineError> {
    if batches.is_empty() {
        return Ok(Difference::default());
    }
    let batches = &newest(batches);
    let Ok(before) = play(serving, batches) else {
        // They fail, and what wants to take their place need only do better.
        play(wanted, batches)?;
        return Ok(Difference { records: records(batches), example: Some(FAILS.to_owned()), ..Difference::default() });
    };
    let broken: BTreeSet<&str> = before.dead_letters().iter().filter_map(broken_record).collect();
    let strict = &wanted.1.with_on_trap(OnTrap::Stop)?;
    if broken.is_empty() {
        return Ok(compare(records(batches), &before, &play((wanted.0, strict), batches)?));
    }
    let innocent: Vec<_> = batches
        .iter()
        .map(|(partition, batch)| {
            let origin = |row| format!("{}-{}-{}", partition.topic, partition.number, batch.offset(row));
            (partition.clone(), some_of(batch, |row| !broken.contains(origin(row).as_str())))
        })
        .collect();
    Ok(compare(records(&innocent), &play(serving, &innocent)?, &play((wanted.0, strict), &innocent)?))
}

/// So many of their records, of the newest batches: a single one may have more.
fn newest(batches: &Batches) -> Vec<(Partition, Arc<RecordBatch>)> {
    let (mut newest, mut left) = (Vec::new(), RECORDS_MAX);
    for (partition, batch) in batches.iter().rev() {
        let taken = left.min(batch.len());
        left -= taken;
        let batch = if taken == batch.len() { batch.clone() } else { some_of(batch, |row| row < taken) };
        newest.push((partition.clone(), batch));
        if left == 0 {
            break;
        }
    }
    newest.reverse();
    newest
}

fn records(batches: &Batches) -> usize {
    batches.iter().map(|(_, batch)| batch.len()).sum()
}

/// All that follows from the batches, windows included.
fn play((settings, plugins): Pipeline<'_>, batches: &Batches) -> Result<VirtualPipeline, PipelineError> {
    let partitions = batches.iter().map(|(partition, _)| partition.number + 1).max().unwrap_or(1);
    let mut pipeline = VirtualPipeline::of(settings, plugins, partitions, usize::MAX)?;
    for (partition, batch) in batches {
        pipeline.batch(partition, batch.clone())?;
    }
    pipeline.finish()?;
    Ok(pipeline)
}

fn header<'m>(message: &'m Message, wanted: &str) -> Option<&'m str> {
    let (_, value) = message.headers.iter().find(|(name, _)| *name == wanted)?;
    std::str::from_utf8(value.as_deref()?).ok()
}

/// The origin of a record on which a component broke.
fn broken_record(letter: &Message) -> Option<&str> {
    let kinds = [ReasonKind::Trap, ReasonKind::Deadline, ReasonKind::Contract];
    let reason = header(letter, REASON)?;
    header(letter, ORIGIN).filter(|_| kinds.iter().any(|kind| kind.name() == reason))
}

fn some_of(batch: &RecordBatch, wanted: impl Fn(usize) -> bool) -> Arc<RecordBatch> {
    let mut builder = BatchBuilder::new(batch.received());
    for row in (0..batch.len()).filter(|row| wanted(*row)) {
        builder.push(batch.offset(row), batch.timestamp(row), batch.key(row), batch.value(row));
        batch.headers(row).for_each(|(name, value)| builder.header(name, value));
    }
    Arc::new(builder.finish())
}

fn compare(records: usize, before: &VirtualPipeline, after: &VirtualPipeline) -> Difference {
    let documents = |pipeline: &VirtualPipeline| -> BTreeMap<(String, String), Vec<u8>> {
        let all = pipeline.index().documents();
        all.map(|(index, id, body)| ((index.to_owned(), id.to_owned()), body.to_vec())).collect()
    };
    let (old, new) = (documents(before), documents(after));
    let mut difference = Difference {
        records,
        documents: (old.len(), new.len()),
        dead_letters: (before.dead_letters().len(), after.dead_letters().len()),
        ..Difference::default()
    };
    for (place, was) in &old {
        match new.get(place) {
            Some(is) if is == was => {}
            Some(is) => difference.changed(&place.1, was, is),
            None => difference.shows(|| format!("{} is not there any more: {}", place.1, cut(was))),
        }
    }
    for (place, is) in new.iter().filter(|(place, _)| !old.contains_key(*place)) {
        difference.shows(|| format!("{} is new: {}", place.1, cut(is)));
    }
    if let Some(letter) = after.dead_letters().first().filter(|_| difference.dead_letters.1 > difference.dead_letters.0)
    {
        difference.shows(|| format!("a dead letter: {}", header(letter, MESSAGE).unwrap_or_default()));
    }
    difference
}

impl Difference {
    pub fn is_none(&self) -> bool {
        self.documents.0 == self.documents.1 && self.dead_letters.0 == self.dead_letters.1 && self.example.is_none()
    }

    fn changed(&mut self, id: &str, was: &[u8], is: &[u8]) {
        let fields = |body| serde_json::from_slice::<Map<String, Value>>(body).unwrap_or_default();
        let (was, is) = (fields(was), fields(is));
        let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for name in names.into_iter().filter(|name| was.get(*name) != is.get(*name)) {
            *self.fields.entry(name.clone()).or_default() += 1;
            let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            self.shows(|| format!("{id}: {name} was {}, is {}", show(was.get(name)), show(is.get(name))));
        }
    }

    /// The first example is kept.
    fn shows(&mut self, example: impl FnOnce() -> String) {
        self.example.get_or_insert_with(example);
    }
}

fn cut(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text[..text.floor_char_boundary(EXAMPLE_BYTES_MAX)].to_owned()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { records, documents, dead_letters, fields, example } = self;
        write!(f, "on the last records={records}: documents {} before, {} now; ", documents.0, documents.1)?;
        write!(f, "dead letters {} before, {} now", dead_letters.0, dead_letters.1)?;
        if !fields.is_empty() {
            let fields: Vec<String> = fields.iter().map(|(name, count)| format!("{name} in {count}")).collect();
            write!(f, "; fields that differ: {}", fields.join(", "))?;
        }
        match example {
            Some(example) => write!(f, "; for example {example}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{EventTime, Offset};

    #[test]
    fn a_large_batch_is_compared_in_part_and_older_ones_not_at_all() {
        let batch = |rows: usize| {
            let mut builder = BatchBuilder::new(EventTime::from_micros(0));
            (0..rows).for_each(|row| builder.push(Offset(row as i64), None, None, Some(b"{}")));
            (Partition::new("t", 0), Arc::new(builder.finish()))
        };
        let lengths = |batches: &Batches| newest(batches).iter().map(|(_, batch)| batch.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&[batch(10), batch(0), batch(20)]), [10, 0, 20]);
        assert_eq!(lengths(&[batch(10), batch(RECORDS_MAX), batch(96)]), [RECORDS_MAX - 96, 96]);
        assert_eq!(lengths(&[batch(10), batch(3 * RECORDS_MAX)]), [RECORDS_MAX]);
    }
}
