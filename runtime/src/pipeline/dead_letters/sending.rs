//! A portion of dead letters on its way: through lanes, to the index, and what became of each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use hashbrown::HashMap;

use super::FoundLetter;
use super::obstacle::Obstacle;
use super::reach::Reach;
use super::replay_lanes::{LaneKey, ReplayLanes, ReplayRun, Route, push_document};
use crate::lane::{Effect, Event, Ticket};
use crate::pipeline::PipelineError;
use crate::pipeline::sinks::Sinks;
use crate::record::{DocumentBatch, EventTime, Offset, Operation, RejectedDocument, WriteOptions};
use crate::sink::dead_letter::{ERROR_TYPE, PLUGIN};
use crate::sink::{Letter, Subject};

/// How long an index that takes nothing is waited for after somebody wants to stop.
const STOP_TIME: Duration = Duration::from_secs(25);
const LOOK: Duration = Duration::from_millis(100);

/// What became of a letter that was chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The index has what it gives now, or a newer version; or a filter drops it now.
    Settled,
    /// Something refuses it again.
    Refused {
        reason: String,
        message: String,
        output: Option<String>,
        /// The plugin, or the index's word for the error.
        by: String,
    },
    /// It was not tried.
    Stuck(Obstacle),
}

/// What a portion gave.
#[derive(Default)]
pub(super) struct Sent {
    /// For each letter, in order; none where somebody wanted to stop before the index had judged it.
    pub fates: Option<Vec<Fate>>,
    /// Documents for the index, by its name: written, deleted.
    pub indices: BTreeMap<String, (u64, u64)>,
    /// Records that a filter dropped.
    pub dropped: u64,
}

/// An answer of the index.
enum Answer {
    Lane { run: usize, ticket: Ticket, rejected: Vec<RejectedDocument> },
    Windows { batch: usize, rejected: Vec<RejectedDocument> },
}

/// Sends a portion, and waits for the verdicts; without sinks it says what would be sent.
pub(super) fn send(
    lanes: &mut ReplayLanes,
    reach: &Reach,
    sinks: Option<&Sinks>,
    letters: &[FoundLetter],
    now: EventTime,
    stop: &AtomicBool,
) -> Result<Sent, PipelineError> {
    let mut fates = vec![Fate::Settled; letters.len()];
    let mut by_lane: BTreeMap<LaneKey, Vec<(Offset, usize)>> = BTreeMap::new();
    // All documents of a batch are written in one way.
    let mut of_windows: BTreeMap<WriteOptions, (DocumentBatch, Vec<usize>)> = BTreeMap::new();
    for (place, FoundLetter { letter, .. }) in letters.iter().enumerate() {
        match lanes.route(letter, reach) {
            Ok(Route::Lane { lane, offset }) => by_lane.entry(lane).or_default().push((offset, place)),
            Ok(Route::Index { index, version, options }) => {
                let (documents, places) = of_windows.entry(options).or_default();
                push_document(documents, letter, &index, version);
                places.push(place);
            }
            Err(obstacle) => fates[place] = Fate::Stuck(obstacle),
        }
    }
    let mut runs = Vec::with_capacity(by_lane.len());
    for (key, mut places) in by_lane {
        places.sort_unstable();
        runs.push(lanes.run(key, letters, places, now)?);
    }

    let mut sent = Sent { dropped: runs.iter().map(|run| run.tally.dropped).sum(), ..Sent::default() };
    let (answers, answered) = unbounded();
    let (mut open, mut places_of) = (0, Vec::new());
    for (batch, (options, (mut documents, places))) in of_windows.into_iter().enumerate() {
        documents.write_with(&Arc::new(options));
        sent.count(&documents);
        open += submit_windows(documents, batch, sinks, &answers);
        places_of.push(places);
    }
    for (number, run) in runs.iter_mut().enumerate() {
        for effect in std::mem::take(&mut run.effects) {
            let Effect::Index { ticket, documents } = effect else { continue };
            sent.count(&documents);
            open += submit(documents, (number, ticket), sinks, &answers);
        }
    }
    if let Some(sinks) = sinks {
        sinks.flush();
    }
    let mut since = None;
    while open > 0 {
        let Some(answer) = next(&answered, stop, &mut since) else { return Ok(sent) };
        open -= 1;
        match answer {
            Answer::Lane { run, ticket, rejected } => {
                lanes.answer(&mut runs[run], Event::Indexed { ticket, rejected })?;
            }
            Answer::Windows { batch, rejected } => {
                for one in rejected.into_iter().filter(|one| !one.is_dropped) {
                    let place = places_of[batch][one.row as usize];
                    fates[place] = refused_document(one);
                }
            }
        }
    }
    runs.iter_mut().for_each(|run| judge(run, letters, &mut fates));
    sent.fates = Some(fates);
    Ok(sent)
}

impl Sent {
    fn count(&mut self, documents: &DocumentBatch) {
        for document in documents.iter() {
            let (written, deleted) = match self.indices.get_mut(document.index) {
                Some(counts) => counts,
                None => self.indices.entry(document.index.to_owned()).or_default(),
            };
            match document.operation {
                Operation::Index | Operation::Create | Operation::Update => *written += 1,
                Operation::Delete => *deleted += 1,
            }
        }
    }
}

/// How many answers there will be.
fn submit_windows(documents: DocumentBatch, batch: usize, sinks: Option<&Sinks>, answers: &Sender<Answer>) -> usize {
    let Some(sinks) = sinks.filter(|_| !documents.is_empty()) else { return 0 };
    let answers = answers.clone();
    sinks.submit(documents, Box::new(move |rejected| drop(answers.send(Answer::Windows { batch, rejected }))));
    1
}

fn submit(
    documents: DocumentBatch,
    (run, ticket): (usize, Ticket),
    sinks: Option<&Sinks>,
    answers: &Sender<Answer>,
) -> usize {
    let Some(sinks) = sinks else { return 0 };
    let answers = answers.clone();
    let done = move |rejected| drop(answers.send(Answer::Lane { run, ticket, rejected }));
    sinks.submit(documents, Box::new(done));
    1
}

/// The next answer; none where somebody wants to stop and none comes.
fn next(answered: &Receiver<Answer>, stop: &AtomicBool, since: &mut Option<Instant>) -> Option<Answer> {
    loop {
        match answered.recv_timeout(LOOK) {
            Ok(answer) => return Some(answer),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if stop.load(Relaxed) && since.get_or_insert_with(Instant::now).elapsed() > STOP_TIME {
            return None;
        }
    }
}

fn refused_document(rejected: RejectedDocument) -> Fate {
    let RejectedDocument { reason, error_type, .. } = rejected;
    Fate::Refused { reason: reason.kind.name().to_owned(), message: reason.message, output: None, by: error_type }
}

fn refused(letter: &Letter) -> Fate {
    let by = letter.text(PLUGIN).or_else(|| letter.text(ERROR_TYPE)).unwrap_or_default();
    Fate::Refused {
        reason: letter.reason().to_owned(),
        message: letter.message().to_owned(),
        output: letter.output().map(str::to_owned),
        by: by.to_owned(),
    }
}

/// Says of each letter of a run whether something of it was refused again. What is refused and is of no letter, since a record is split in
/// another way now, is told with the first letter of its record.
fn judge(run: &mut ReplayRun, letters: &[FoundLetter], fates: &mut [Fate]) {
    let mut by_origin: HashMap<String, Vec<Letter>> = HashMap::new();
    for letter in std::mem::take(&mut run.refused) {
        by_origin.entry(letter.origin().to_owned()).or_default().push(letter);
    }
    for (origin, refused_now) in by_origin {
        let before = |place: &&usize| letters[**place].letter.origin() == origin;
        let of_record: Vec<usize> = run.letters.iter().filter(before).copied().collect();
        for now in refused_now {
            let same = of_record.iter().filter(|place| is_again(&letters[**place].letter, &now));
            let same: Vec<usize> = same.copied().collect();
            let told = if same.is_empty() { of_record.first().copied().into_iter().collect() } else { same };
            for place in told {
                if fates[place] == Fate::Settled {
                    fates[place] = refused(&now);
                }
            }
        }
    }
}

/// Whether what is refused now is the same as before: all of the record, or the same of those that it is split into.
fn is_again(before: &Letter, now: &Letter) -> bool {
    match (before.subject(), now.subject()) {
        (
            Subject::Record { output: Some(_), ordinal: before, .. },
            Subject::Record { output: Some(_), ordinal: now, .. },
        ) => before == now,
        (Subject::Record { .. } | Subject::Document { .. } | Subject::Part { .. } | Subject::Unknown, _) => true,
    }
}
