//! Taps: somebody watches what passes a place of the pipeline. One at a time, a bounded number of rows, and what there is no room for
//! is counted; while nobody watches, a batch looks at one flag.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::lane::{Instances, Tap, TapCondition, TapPlace};
use crate::record::{DocumentBatch, RejectedDocument};

mod line;

/// What is shown of a batch, and in a second.
const ROWS_A_BATCH: usize = 16;
const ROWS_A_SECOND: usize = 500;
/// What is looked at of a batch, to find rows that somebody asks for.
const LOOKS_A_BATCH: usize = 256;
/// Lines that wait for whoever watches.
const LINES_MAX: usize = 1024;

/// Where somebody watches, and what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TapRequest {
    /// `decode`, `window`, `sink`, or the name of a plugin's place.
    pub at: String,
    /// `FIELD=VALUE`.
    pub condition: Option<String>,
}

/// The tap of a pipeline, if one is on.
#[derive(Default, Debug)]
pub(crate) struct Taps {
    on: AtomicBool,
    active: Mutex<Option<Arc<Active>>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum At {
    Lane(TapPlace),
    Sink,
}

#[derive(Debug)]
pub(crate) struct Active {
    at: At,
    condition: Option<TapCondition>,
    lines: Sender<String>,
    begun: Instant,
    /// Rows that were not shown since the last line.
    missed: AtomicU64,
    /// A second since it began, and how many rows were shown in it.
    shown: Mutex<(u64, usize)>,
}

impl Taps {
    /// Lines of JSON, as long as they are received. `names` are the places of plugins.
    pub fn open(&self, request: &TapRequest, names: &[String]) -> Result<Receiver<String>, String> {
        let at = place(&request.at, names)?;
        let condition = request
            .condition
            .as_deref()
            .map(|text| TapCondition::parse(text).ok_or_else(|| format!("a condition is FIELD=VALUE; where=`{text}`")));
        let condition = condition.transpose()?;
        let mut active = lock(&self.active);
        if active.as_ref().is_some_and(|active| !active.lines.is_closed()) {
            return Err("somebody watches already; one tap at a time".to_owned());
        }
        let (lines, received) = channel(LINES_MAX);
        let (begun, missed, shown) = (Instant::now(), AtomicU64::new(0), Mutex::default());
        *active = Some(Arc::new(Active { at, condition, lines, begun, missed, shown }));
        self.on.store(true, Relaxed);
        Ok(received)
    }

    /// Lets the lane's next step be watched, if somebody watches lanes.
    pub fn watch(&self, instances: &mut Instances) -> Option<Arc<Active>> {
        let active = self.active()?;
        let At::Lane(place) = &active.at else { return None };
        let keeps = active.room();
        let looks = if active.condition.is_some() { LOOKS_A_BATCH } else { keeps };
        instances.watch(Tap::new(place.clone(), active.condition.clone(), looks, keeps));
        Some(active)
    }

    /// Some of the documents that go to the index now, if somebody watches them.
    pub fn documents(&self, documents: &DocumentBatch) -> Option<Documents> {
        let active = self.active()?;
        if active.at != At::Sink {
            return None;
        }
        let (mut room, mut rows, mut looked) = (active.room(), Vec::new(), 0);
        for (row, document) in documents.iter().enumerate().take(LOOKS_A_BATCH) {
            if room == 0 {
                break;
            }
            looked = row + 1;
            if active.condition.as_ref().is_none_or(|condition| condition.holds(document.body)) {
                rows.push((row, line::Document::of(&document)));
                room -= 1;
            }
        }
        active.missed.fetch_add((documents.len() - looked) as u64, Relaxed);
        Some(Documents { active, rows })
    }

    fn active(&self) -> Option<Arc<Active>> {
        if !self.on.load(Relaxed) {
            return None;
        }
        let mut active = lock(&self.active);
        if active.as_ref().is_some_and(|active| active.lines.is_closed()) {
            *active = None;
            self.on.store(false, Relaxed);
        }
        active.clone()
    }
}

impl Active {
    /// How many rows of this batch may be shown.
    fn room(&self) -> usize {
        let second = self.begun.elapsed().as_secs();
        let mut shown = lock(&self.shown);
        if shown.0 != second {
            *shown = (second, 0);
        }
        ROWS_A_BATCH.min(ROWS_A_SECOND - shown.1.min(ROWS_A_SECOND))
    }

    /// Tells what was seen of a batch.
    pub fn saw(&self, tap: Option<Tap>) {
        let Some((samples, missed)) = tap.map(Tap::take) else { return };
        self.missed.fetch_add(missed, Relaxed);
        for sample in &samples {
            self.tell(|missed| line::of_sample(sample, missed));
        }
    }

    /// Whoever watches may be slow: nobody waits.
    fn tell(&self, line: impl FnOnce(u64) -> String) {
        let missed = self.missed.swap(0, Relaxed);
        lock(&self.shown).1 += 1;
        if self.lines.try_send(line(missed)).is_err() {
            self.missed.fetch_add(missed + 1, Relaxed);
        }
    }
}

/// Documents on their way, until the index has judged them.
pub(crate) struct Documents {
    active: Arc<Active>,
    rows: Vec<(usize, line::Document)>,
}

impl Documents {
    pub fn judged(self, rejected: &[RejectedDocument]) {
        for (row, document) in &self.rows {
            let rejected = rejected.iter().find(|one| one.row as usize == *row);
            self.active.tell(|missed| line::of_document(document, rejected, missed));
        }
    }
}

fn place(at: &str, names: &[String]) -> Result<At, String> {
    match (at, names.iter().any(|name| name == at), at.strip_suffix(".aggregate")) {
        ("decode", _, _) => Ok(At::Lane(TapPlace::Decode)),
        ("window", _, _) => Ok(At::Lane(TapPlace::Window(None))),
        ("sink", _, _) => Ok(At::Sink),
        (_, true, Some(output)) => Ok(At::Lane(TapPlace::Window(Some(output.to_owned())))),
        (_, true, None) => Ok(At::Lane(TapPlace::Transform(at.to_owned()))),
        (_, false, _) => {
            Err(format!("there is no place=`{at}`; there are: decode, {}, window, sink", names.join(", ")))
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(at: &str) -> TapRequest {
        TapRequest { at: at.to_owned(), condition: None }
    }

    fn documents(count: usize) -> DocumentBatch {
        let mut batch = DocumentBatch::default();
        for row in 0..count {
            batch.push(&"orders".into(), &row.to_string(), 1, |body| body.extend_from_slice(b"{}"));
        }
        batch
    }

    #[test]
    fn places_are_named_and_others_refused() {
        let names = ["stamp".to_owned(), "counts.aggregate".to_owned()];
        assert_eq!(place("stamp", &names), Ok(At::Lane(TapPlace::Transform("stamp".into()))));
        assert_eq!(place("counts.aggregate", &names), Ok(At::Lane(TapPlace::Window(Some("counts".into())))));
        let why = "there is no place=`x.aggregate`; there are: decode, stamp, counts.aggregate, window, sink";
        assert_eq!(place("x.aggregate", &names), Err(why.to_owned()));
    }

    #[test]
    fn one_watches_at_a_time_and_nothing_is_looked_at_when_nobody_does() {
        let taps = Taps::default();
        assert!(taps.documents(&documents(1)).is_none());
        let received = taps.open(&request("sink"), &[]).expect("nobody watches");
        assert!(taps.open(&request("sink"), &[]).is_err_and(|why| why.contains("already")));
        assert!(taps.watch(&mut Instances::default()).is_none(), "lanes are not watched");
        drop(received);
        assert!(taps.documents(&documents(1)).is_none() && !taps.on.load(Relaxed));
        assert!(taps.open(&request("decode"), &[]).is_ok());
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let taps = Taps::default();
        let mut received = taps.open(&request("sink"), &[]).expect("nobody watches");
        for _ in 0..2 {
            taps.documents(&documents(ROWS_A_BATCH + 5)).expect("somebody watches").judged(&[]);
        }
        let mut lines = Vec::new();
        while let Ok(line) = received.try_recv() {
            lines.push(line);
        }
        assert_eq!(lines.len(), 2 * ROWS_A_BATCH);
        let missed: Vec<&String> = lines.iter().filter(|line| line.contains("\"missed\":5")).collect();
        assert_eq!(missed.len(), 2, "{lines:?}");
    }
}
