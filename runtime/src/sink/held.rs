//! What an index has refused for now, in a slot: when it is sent again, and what has to wait for it meanwhile. However much there is of it,
//! one request at a time is due. It sends nothing, and time comes as an argument.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use hashbrown::{HashMap, HashSet};

use super::bulk::{Bulk, BulkBuilder, ItemView, Place};
use super::lines::index_of;
use super::pace::{Ceiling, Pace};

/// After so many times, some seconds, an item is sent again slowly: it may be for long.
pub(super) const ATTEMPTS_SOON: u16 = 6;

/// Where a bulk comes from.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// It was never sent, or came to nothing as a whole.
    #[default]
    Ready,
    Soon,
    Slow,
    Probe,
}

/// When it is, and how long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub now: Instant,
    pub pace: Pace,
    /// In 0..1.
    pub dice: f64,
    /// So large a bulk may be.
    pub bytes_max: usize,
}

/// Items of one answer that are refused for now.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// Which ones of their bulk.
    items: Vec<u32>,
    soon: BulkBuilder,
    slow: BulkBuilder,
    stalled: BTreeMap<Box<[u8]>, BulkBuilder>,
}

impl Refused {
    /// One that the index will take by itself.
    pub fn busy(&mut self, number: u32, item: &ItemView<'_>) {
        let attempt = item.attempt.saturating_add(1);
        let bulk = if attempt > ATTEMPTS_SOON { &mut self.slow } else { &mut self.soon };
        bulk.push_again(item, attempt);
        self.items.push(number);
    }

    /// One that somebody has to do something about.
    pub fn stalled(&mut self, number: u32, item: &ItemView<'_>) {
        self.slow.push_again(item, item.attempt.saturating_add(1));
        self.items.push(number);
    }

    /// One of an index that takes nothing.
    pub fn index_stalled(&mut self, number: u32, item: &ItemView<'_>) {
        let bulk = self.stalled.entry(index_of(item.bytes).into()).or_default();
        bulk.push_again(item, item.attempt.saturating_add(1));
        self.items.push(number);
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it may be for long.
    pub fn waits(&self) -> bool {
        !self.slow.is_empty() || !self.stalled.is_empty()
    }
}

/// All that waits in a slot for an index that refused it.
///
/// ```text
/// refused ─┬─ a few times ────▶ soon ────(due: 100 ms and more)─▶ all of it, as one bulk
///          ├─ for long ───────▶ slow ────(due: 1 to 30 s)───────▶ all of it, as one bulk
///          └─ its index stalls ▶ stalled ─(due: 1 to 30 s)──────▶ one item of each index ─(taken)─▶ all of the index
/// ```
#[derive(Debug, Default)]
pub(super) struct Held {
    soon: Group,
    slow: Group,
    /// By index: it takes nothing, so nothing is sent but a probe.
    stalled: BTreeMap<Box<[u8]>, VecDeque<Bulk>>,
    probe: Timer,
    /// By the place of a document whose order counts, and that is held: what is written there later.
    behind: HashMap<Place, BulkBuilder>,
}

#[derive(Debug, Default)]
struct Group {
    bulks: VecDeque<Bulk>,
    timer: Timer,
}

/// When something is sent again.
#[derive(Debug, Default)]
struct Timer {
    due: Option<Instant>,
    /// How often in a row nothing of it was taken.
    failures: u16,
}

impl Timer {
    /// What it has sent is back. `taken`: some of it was taken; `refused`: some of it waits for this timer again.
    fn landed(&mut self, taken: bool, refused: bool, now: Instant) {
        match (taken, refused) {
            (false, _) => self.failures = self.failures.saturating_add(1),
            (true, false) => self.failures = 0,
            (true, true) => {}
        }
        self.due = (taken && !refused).then_some(now);
    }

    fn wind(&mut self, ceiling: Ceiling, at: &Moment) {
        let wait = ceiling.wait(self.failures.max(1), at.dice);
        self.due.get_or_insert(at.now + wait);
    }
}

impl Group {
    fn take(&mut self, now: Instant, bytes_max: usize) -> Option<Bulk> {
        self.timer.due.filter(|due| *due <= now)?;
        let bulk = joined(&mut self.bulks, bytes_max);
        if self.bulks.is_empty() {
            self.timer.due = None;
        }
        bulk
    }

    fn due(&self) -> Option<Instant> {
        self.timer.due.filter(|_| !self.bulks.is_empty())
    }
}

impl Held {
    /// Whether an index, or one of its documents, takes nothing for long.
    pub fn is_waiting(&self) -> bool {
        !self.slow.bulks.is_empty() || !self.stalled.is_empty()
    }

    /// When the next bulk of it is due.
    pub fn wake(&self) -> Option<Instant> {
        let is_stalled = self.stalled.values().any(|bulks| !bulks.is_empty());
        let probe = self.probe.due.filter(|_| is_stalled);
        [self.soon.due(), self.slow.due(), probe].into_iter().flatten().min()
    }

    /// The next bulk of it, if one is due.
    pub fn next(&mut self, now: Instant, bytes_max: usize) -> Option<(Bulk, Source)> {
        if self.probe.due.is_some_and(|due| due <= now)
            && let Some(probe) = self.probe()
        {
            return Some((probe, Source::Probe));
        }
        let soon = self.soon.take(now, bytes_max).map(|bulk| (bulk, Source::Soon));
        soon.or_else(|| self.slow.take(now, bytes_max).map(|bulk| (bulk, Source::Slow)))
    }

    /// The first item of each index that stalls.
    fn probe(&mut self) -> Option<Bulk> {
        let (mut probe, mut is_held) = (BulkBuilder::default(), false);
        for bulks in self.stalled.values_mut() {
            let Some(bulk) = bulks.pop_front() else { continue };
            is_held |= bulk.is_held;
            bulk.iter().take(1).for_each(|item| probe.push_again(&item, item.attempt));
            if let Some(rest) = bulk.after_first() {
                bulks.push_front(rest);
            }
        }
        (!probe.is_empty()).then(|| probe.finish().held(is_held))
    }

    /// Takes out of a bulk what has to wait for what is held, and gives back the rest.
    pub fn pass(&mut self, bulk: Bulk) -> Option<Bulk> {
        if bulk.is_held || (self.behind.is_empty() && self.stalled.is_empty()) {
            return Some(bulk);
        }
        let waits = |item: &ItemView<'_>| {
            self.behind.contains_key(&item.place) || self.stalled.contains_key(index_of(item.bytes))
        };
        if !bulk.iter().any(|item| waits(&item)) {
            return Some(bulk);
        }
        let mut free = BulkBuilder::default();
        let mut stalled: BTreeMap<&[u8], BulkBuilder> = BTreeMap::new();
        for item in bulk.iter() {
            let index = index_of(item.bytes);
            if let Some(behind) = self.behind.get_mut(&item.place) {
                behind.push_again(&item, item.attempt);
            } else if self.stalled.contains_key(index) {
                stalled.entry(index).or_default().push_again(&item, item.attempt);
            } else {
                free.push_again(&item, item.attempt);
            }
        }
        for (index, mut builder) in stalled {
            self.stalled.entry(index.into()).or_default().push_back(builder.finish_small());
        }
        (!free.is_empty()).then(|| free.finish())
    }

    /// What is written later to where these documents are written waits for them.
    pub fn hold(&mut self, bulk: &mut Bulk) {
        let mut is_ordered = false;
        for place in bulk.places() {
            self.behind.entry(place).or_default();
            is_ordered = true;
        }
        bulk.is_held |= is_ordered;
    }

    /// The index has answered for all items of a bulk. `refused` are those that are not judged. Gives back what need not wait any more, in its
    /// order.
    pub fn answered(&mut self, bulk: &Bulk, source: Source, refused: Refused, at: &Moment) -> VecDeque<Bulk> {
        let Refused { items, soon, slow, stalled } = refused;
        let released = self.release(bulk, &items, at.bytes_max);
        let taken = items.len() < bulk.len();
        if source == Source::Probe {
            self.probe.landed(taken, !stalled.is_empty(), at.now);
        }
        for (index, mut builder) in stalled {
            let mut bulk = builder.finish_small();
            self.hold(&mut bulk);
            let bulks = self.stalled.entry(index).or_default();
            // One that is never taken must not be the only one that is tried; but one whose order counts stays before those that come later.
            match source == Source::Probe && bulk.is_held {
                true => bulks.push_front(bulk),
                false => bulks.push_back(bulk),
            }
        }
        match self.stalled.is_empty() {
            true => self.probe = Timer::default(),
            false => self.probe.wind(at.pace.stall, at),
        }
        self.group(Source::Soon, soon, (source, taken), at);
        self.group(Source::Slow, slow, (source, taken), at);
        released
    }

    fn group(&mut self, of: Source, mut refused: BulkBuilder, (source, taken): (Source, bool), at: &Moment) {
        let mut refused = (!refused.is_empty()).then(|| refused.finish_small());
        if let Some(bulk) = &mut refused {
            self.hold(bulk);
        }
        let (group, ceiling) = match of {
            Source::Slow => (&mut self.slow, at.pace.stall),
            Source::Ready | Source::Soon | Source::Probe => (&mut self.soon, at.pace.retry.at_most(ATTEMPTS_SOON)),
        };
        if source == of {
            group.timer.landed(taken, refused.is_some(), at.now);
        }
        group.bulks.extend(refused);
        match group.bulks.is_empty() {
            true => group.timer.due = None,
            false => group.timer.wind(ceiling, at),
        }
    }

    /// What waited for items that are judged: all of a bulk but these.
    fn release(&mut self, bulk: &Bulk, refused: &[u32], bytes_max: usize) -> VecDeque<Bulk> {
        let mut released = VecDeque::new();
        if self.behind.is_empty() && self.stalled.is_empty() {
            return released;
        }
        let (mut behind, mut refused) = (Vec::new(), refused.iter().peekable());
        let mut is_judged = |number: u32| refused.next_if_eq(&&number).is_none();
        for (_, item) in (0..).zip(bulk.iter()).filter(|(number, _)| is_judged(*number)) {
            released.extend(self.stalled.remove(index_of(item.bytes)).unwrap_or_default());
            behind.extend(self.behind.remove(&item.place).map(|mut behind| behind.finish()));
        }
        let mut together = VecDeque::new();
        while let Some(bulk) = joined(&mut released, bytes_max) {
            together.push_back(bulk);
        }
        together.extend(in_turn(&behind, bytes_max));
        together
    }
}

/// The first item of each bulk, then the second of each: no bulk has two of one.
fn in_turn(bulks: &[Bulk], bytes_max: usize) -> Vec<Bulk> {
    let mut rest: Vec<_> = bulks.iter().map(Bulk::iter).collect();
    let mut turns = Vec::new();
    let mut turn = BulkBuilder::default();
    while !rest.is_empty() {
        rest.retain_mut(|items| {
            let Some(item) = items.next() else { return false };
            if !turn.is_empty() && turn.bytes() + item.bytes.len() > bytes_max {
                turns.push(turn.finish());
            }
            turn.push_again(&item, item.attempt);
            true
        });
        turns.extend((!turn.is_empty()).then(|| turn.finish()));
    }
    turns
}

/// The first bulks as one, while they fit, and as long as none has a document twice whose order counts.
fn joined(bulks: &mut VecDeque<Bulk>, bytes_max: usize) -> Option<Bulk> {
    let first = bulks.pop_front()?;
    let (mut bytes, mut places) = (first.bytes(), HashSet::new());
    places.extend(first.places());
    let fits = |next: &&Bulk| {
        bytes += next.bytes();
        bytes <= bytes_max && next.is_held == first.is_held && next.places().all(|place| places.insert(place))
    };
    let more = bulks.iter().take_while(fits).count();
    if more == 0 {
        return Some(first);
    }
    let (is_held, mut together) = (first.is_held, BulkBuilder::default());
    for bulk in std::iter::once(first).chain(bulks.drain(..more)) {
        bulk.iter().for_each(|item| together.push_again(&item, item.attempt));
    }
    Some(together.finish().held(is_held))
}

#[cfg(test)]
mod tests;
